/* SPDX-License-Identifier: MIT */
/* fib with a fork for each call but the leaves: what it costs to fork, and what computes without end beside others. */
#ifndef BENCHMARKS_FIB_H
#define BENCHMARKS_FIB_H

#include <rota.h>

ROTA_FORK_DEFINE_1(uint64_t, fib, unsigned, n)
{
	struct fib_frame other;

	if (n < 2)
		return n;
	ROTA_FORK(fib, &other, n - 1);
	uint64_t sum = ROTA_FORK_CALL(fib, n - 2);
	return sum + ROTA_FORK_JOIN(fib, &other);
}

static inline uint64_t fib_by_sum(unsigned n)
{
	uint64_t a = 0, b = 1;

	while (n-- > 0) {
		uint64_t next = a + b;

		a = b;
		b = next;
	}
	return a;
}

#endif
