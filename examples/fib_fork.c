/* SPDX-License-Identifier: MIT */
/*
 * Fibonacci in five lines, on all workers: a fork for each of its hundreds of millions of calls.
 *
 *   fib_fork [n]     default 40
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rota.h>

enum { DEFAULT_N = 40, MAX_N = 60 };

ROTA_FORK_DEFINE_1(uint64_t, fib, unsigned, n)
{
	struct fib_frame other;

	if (n < 2)
		return n;
	ROTA_FORK(fib, &other, n - 1);
	uint64_t sum = ROTA_FORK_CALL(fib, n - 2);
	return sum + ROTA_FORK_JOIN(fib, &other);
}

/* The same number by adding up, to check with. */
static uint64_t fib_by_sum(unsigned n)
{
	uint64_t a = 0, b = 1;

	while (n-- > 0) {
		uint64_t next = a + b;

		a = b;
		b = next;
	}
	return a;
}

static int async_main(int argc, char **argv)
{
	char *end = "";
	const unsigned long n = argc > 1 ? strtoul(argv[1], &end, 10) : DEFAULT_N;
	struct rota_metrics metrics;
	uint64_t result, start;
	double seconds;

	if (argc > 2 || *end != '\0' || n > MAX_N) {
		fprintf(stderr, "usage: %s [n up to %d]\n", argv[0], MAX_N);
		return 2;
	}
	start = rota_now();
	result = fib((unsigned)n);
	seconds = (double)(rota_now() - start) / 1e9;
	rota_runtime_metrics(rota_runtime_current(), &metrics);
	/* fib(n) calls itself 2 fib(n + 1) - 2 times. */
	printf("fib(%lu) = %" PRIu64 " on %u workers in %.3f s, %.2f ns a call; frames that changed workers: %" PRIu64
	       "\n",
	       n, result, metrics.workers, seconds, seconds * 1e9 / (double)(2 * fib_by_sum((unsigned)n + 1) - 1),
	       metrics.steals);
	if (fflush(stdout) != 0) {
		perror("fib_fork");
		return 1;
	}
	return result == fib_by_sum((unsigned)n) ? 0 : 1;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
