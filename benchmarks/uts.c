/* SPDX-License-Identifier: MIT */
/*
 * Unbalanced tree search (Olivier and others, "UTS: An Unbalanced Tree Search Benchmark"): counts the nodes of a tree
 * whose shape comes out of SHA-1, a fork for each node. T1L: geometric, 102 million nodes, 13 deep. T3L: binomial, 111
 * million nodes, 17,844 deep, in a task with a stack to match. Milliseconds, and the memory that the deep one touched.
 * With --quick T1 and T3, their small sisters. The numbers of nodes are checked.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "small", 0, 1, "1: T1 and T3 instead of T1L and T3L" },
	{ "stack", 256, 256, "stack of the task, MiB" },
	{ NULL, 0, 0, NULL },
};

/* --- SHA-1 of what fits one block -------------------------------------------------------------------------------------- */

struct state {
	uint8_t byte[20];
};

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
static struct state sha1(const uint8_t *data, size_t len)
{
	uint32_t w[80] = { 0 };
	uint32_t a = 0x67452301, b = 0xefcdab89, c = 0x98badcfe, d = 0x10325476, e = 0xc3d2e1f0;
	struct state digest;

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

/* --- trees ------------------------------------------------------------------------------------------------------------------ */

struct tree {
	const char *name;
	bool binomial;
	uint32_t seed;
	double branching; /* of the root; geometric: the mean of all */
	unsigned depth;   /* geometric: nodes so deep have no children */
	double probability;
	unsigned children; /* binomial: a node has so many with that probability, else none */
	uint64_t nodes;
};

static const struct tree trees[2][2] = {
	{ { "T1L", false, 29, 4, 13, 0, 0, 102181082 }, { "T3L", true, 7, 2000, 0, 0.200014, 5, 111345631 } },
	{ { "T1", false, 19, 4, 10, 0, 0, 4130071 }, { "T3", true, 42, 2000, 0, 0.124875, 8, 4112897 } },
};

enum { MOST_CHILDREN = 100 }; /* of a geometric node */

static const struct tree *tree; /* of this measurement */

static struct state root_state(void)
{
	uint8_t data[20] = { 0 };

	store(data + 16, tree->seed);
	return sha1(data, sizeof(data));
}

static struct state child_state(const struct state *parent, uint32_t number)
{
	uint8_t data[24];

	memcpy(data, parent->byte, 20);
	store(data + 20, number);
	return sha1(data, sizeof(data));
}

static unsigned children_of(const struct state *state, unsigned depth)
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

static uint64_t count_children(struct rota_forks *forks, const struct state *state, unsigned depth, unsigned n);

ROTA_FORK_DEFINE_3(uint64_t, count, const struct state *, parent, unsigned, number, unsigned, depth)
{
	const struct state state = child_state(parent, number);
	const unsigned n = children_of(&state, depth);

	return n == 0 ? 1 : 1 + count_children(rota_forks_, &state, depth, n);
}

/* As many frames as there are children: on the stack, which is the point of this benchmark. */
static __attribute__((noinline)) uint64_t count_children(struct rota_forks *rota_forks_, const struct state *state,
							 unsigned depth, unsigned n)
{
	struct count_frame *frames = __builtin_alloca(n * sizeof(*frames));
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		ROTA_FORK(count, &frames[i], state, i, depth + 1);
	for (unsigned i = n; i-- > 0;)
		sum += ROTA_FORK_JOIN(count, &frames[i]);
	return sum;
}

static int count_tree(void *arg)
{
	const struct state root = root_state();
	const unsigned n = children_of(&root, 0);
	uint64_t *nodes = arg;

	*nodes = n == 0 ? 1 : 1 + count_children(rota_forks_self(), &root, 0, n);
	return 0;
}

/* --- measuring ---------------------------------------------------------------------------------------------------------------- */

static double peak_mib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

static int measure(const struct tree *which)
{
	const struct rota_task_attr attr = { .name = "uts", .stack_size = (size_t)bench_param("stack") << 20 };
	const double before = peak_mib();
	uint64_t nodes = 0, start;
	rota_task *task;
	int rc;

	tree = which;
	start = rota_now();
	rc = rota_spawn_with(&task, &attr, count_tree, &nodes);
	if (rc == 0)
		rc = rota_join(task, NULL);
	if (rc < 0)
		return rc;
	bench_report(which->name, (double)(rota_now() - start) / 1e6, "ms");
	if (which->binomial)
		bench_report("peak_growth", peak_mib() - before, "MiB");
	if (nodes != which->nodes) {
		bench_note("%s has %llu nodes instead of %llu", which->name, (unsigned long long)nodes,
			   (unsigned long long)which->nodes);
		return -EPROTO;
	}
	return 0;
}

static int inside(void *arg)
{
	const struct tree *pair = trees[bench_param("small") != 0];
	int rc = measure(&pair[0]);

	(void)arg;
	return rc == 0 ? measure(&pair[1]) : rc;
}

static int round_of_uts(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "uts",
	.about = "unbalanced tree search: a wide tree and a deep one",
	.round = round_of_uts,
	.params = params,
	.rounds = 3,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
