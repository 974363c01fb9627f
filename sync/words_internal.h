/* SPDX-License-Identifier: MIT */
/*
 * Values that are read while they may be written (a sequence lock): kept as words, each of which is copied atomically, and
 * under a stamp that says whether what was read belongs together. The stamp is odd while somebody writes.
 *
 * Orderings, after Boehm: the writer's RELEASE fence keeps the words behind the odd stamp, its RELEASE store keeps them
 * before the even one; the reader's ACQUIRE load keeps the words behind the first look, its ACQUIRE fence keeps them before
 * the second. So whoever read a word of a later write sees a later stamp in its second look.
 */
#ifndef ROTA_SYNC_WORDS_INTERNAL_H
#define ROTA_SYNC_WORDS_INTERNAL_H

#include <string.h>

#include "../runtime/atomic_internal.h"
#include "../runtime/opaque_internal.h"

/* How many words hold `size` bytes. */
static inline size_t rota__words(size_t size)
{
	return size / 8 + (size % 8 != 0);
}

/* By one writer at a time: `stamp` goes to an odd number, then to `next`, which is even. */
static inline void rota__words_write(struct rota_atomic_u64 *stamp, uint64_t next, struct rota_atomic_u64 *words,
				     const void *value, size_t size)
{
	const unsigned char *bytes = rota__unsized(value);
	uint64_t word;

	rota__store(stamp, next - 1, RELAXED);
	rota__fence(RELEASE); /* partner: the ACQUIRE fence of a reader */
	for (; size >= 8; size -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		rota__store(words++, word, RELAXED);
	}
	if (size > 0) {
		word = 0;
		memcpy(&word, bytes, size);
		rota__store(words, word, RELAXED);
	}
	rota__store(stamp, next, RELEASE); /* partner: a reader's first look */
}

/* Copies the value that was stamped `seen` (even, loaded with ACQUIRE). Whether it was one whole value. */
static inline bool rota__words_read(const struct rota_atomic_u64 *stamp, uint64_t seen,
				    const struct rota_atomic_u64 *words, void *ret_value, size_t size)
{
	unsigned char *bytes = rota__unsized(ret_value);

	for (; size >= 8; size -= 8, bytes += 8) {
		const uint64_t word = rota__load(words++, RELAXED);

		memcpy(bytes, &word, 8);
	}
	if (size > 0) { /* a word of its own, so that those above stay in registers */
		const uint64_t rest = rota__load(words, RELAXED);

		memcpy(bytes, &rest, size);
	}
	rota__fence(ACQUIRE); /* partner: the RELEASE fence of the writer */
	return rota__load(stamp, RELAXED) == seen;
}

#endif
