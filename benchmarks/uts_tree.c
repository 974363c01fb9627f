/* SPDX-License-Identifier: MIT */
#include "uts_tree.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* --- SHA-1 of what fits one block -------------------------------------------------------------------------------------- */

static uint32_t rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static uint32_t load(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void store(uint8_t *to, uint32_t x)
{
	to[0] = (uint8_t)(x >> 24);
	to[1] = (uint8_t)(x >> 16);
	to[2] = (uint8_t)(x >> 8);
	to[3] = (uint8_t)x;
}

/* len is 20 or 24. */
static struct uts_state sha1(const uint8_t *data, size_t len)
{
	uint32_t w[80] = { 0 };
	uint32_t a = 0x67452301, b = 0xefcdab89, c = 0x98badcfe, d = 0x10325476, e = 0xc3d2e1f0;
	struct uts_state digest;

	for (size_t i = 0; i < len / 4; i++)
		w[i] = load(data + 4 * i);
	w[len / 4] = 0x80000000;
	w[15] = (uint32_t)len * 8;
	for (unsigned i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
#pragma GCC unroll 80
	for (unsigned i = 0; i < 80; i++) {
		uint32_t f = i < 20   ? (d ^ (b & (c ^ d))) + 0x5a827999
			     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
			     : i < 60 ? ((b & c) | (d & (b | c))) + 0x8f1bbcdc
				      : (b ^ c ^ d) + 0xca62c1d6;
		uint32_t next = rotate(a, 5) + f + e + w[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	store(digest.byte, 0x67452301 + a);
	store(digest.byte + 4, 0xefcdab89 + b);
	store(digest.byte + 8, 0x98badcfe + c);
	store(digest.byte + 12, 0x10325476 + d);
	store(digest.byte + 16, 0xc3d2e1f0 + e);
	return digest;
}

/* --- trees -------------------------------------------------------------------------------------------------------- */

static const struct uts_tree trees[2][2] = {
	{ { "T1L", false, 29, 4, 13, 0, 0, 102181082 }, { "T1", false, 19, 4, 10, 0, 0, 4130071 } },
	{ { "T3L", true, 7, 2000, 0, 0.200014, 5, 111345631 }, { "T3", true, 42, 2000, 0, 0.124875, 8, 4112897 } },
};

enum { MOST_CHILDREN = 100 }; /* of a geometric node */

const struct uts_tree *uts_tree_find(bool deep, bool small)
{
	return &trees[deep][small];
}

static unsigned children_of(const struct uts_tree *tree, const struct uts_state *state, unsigned depth)
{
	const double random = (double)(load(state->byte + 16) & 0x7fffffff) / 2147483648.0;

	if (tree->binomial) {
		if (depth == 0)
			return (unsigned)tree->branching;
		return random < tree->probability ? tree->children : 0;
	}
	if (depth >= tree->depth)
		return 0;
	const double n = floor(log(1 - random) / log(1 - 1 / (1 + tree->branching)));
	return n < MOST_CHILDREN ? (unsigned)n : MOST_CHILDREN;
}

unsigned uts_tree_root(const struct uts_tree *tree, struct uts_state *ret_state)
{
	uint8_t data[20] = { 0 };

	store(data + 16, tree->seed);
	*ret_state = sha1(data, sizeof(data));
	return children_of(tree, ret_state, 0);
}

unsigned uts_tree_child(const struct uts_tree *tree, const struct uts_state *parent, unsigned number, unsigned depth,
			struct uts_state *ret_state)
{
	uint8_t data[24];

	memcpy(data, parent->byte, 20);
	store(data + 20, number);
	*ret_state = sha1(data, sizeof(data));
	return children_of(tree, ret_state, depth);
}
