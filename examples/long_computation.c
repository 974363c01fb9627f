/* SPDX-License-Identifier: MIT */
/*
 * Long computations, one for each worker, beside a task that wants to run every millisecond. How late that one is:
 *
 *   in one go    tasks that compute without a break: nobody else gets a turn, which rota reports as a stall
 *   yielding     the same with rota_yield after every few candidates
 *   blocking     the same on threads of the blocking pool, by rota_spawn_blocking; the kernel shares the CPUs out
 *
 *   long_computation [limit]     counts the primes below the limit, default 1000000
 *
 * It checks that all three find the same primes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { MOST_COMPUTATIONS = 64, MOST_TICKS = 100000, CANDIDATES_A_TURN = 200 };
enum { DEFAULT_LIMIT = 1000000, MAX_LIMIT = 100000000 };

static int limit;

static bool is_prime(int n)
{
	for (int d = 2; d <= n / d; d++)
		if (n % d == 0)
			return false;
	return n >= 2;
}

static int count_primes(void *arg)
{
	int primes = 0;

	(void)arg;
	for (int n = 0; n < limit; n++)
		primes += is_prime(n);
	return primes;
}

static int count_primes_yielding(void *arg)
{
	int primes = 0;

	(void)arg;
	for (int n = 0; n < limit; n++) {
		if (n % CANDIDATES_A_TURN == 0) {
			int rc = rota_yield();

			if (rc < 0)
				return rc;
		}
		primes += is_prime(n);
	}
	return primes;
}

static const struct way {
	const char *name;
	rota_fn *body;
	int (*spawn)(rota_task **ret_task, rota_fn *fn, void *arg);
} ways[] = {
	{ "in one go", count_primes, rota_spawn },
	{ "yielding", count_primes_yielding, rota_spawn },
	{ "blocking", count_primes, rota_spawn_blocking },
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* --- the other task --------------------------------------------------------------------------------------------- */

struct ticker {
	atomic_bool stop;
	int ticks;
	uint64_t late[MOST_TICKS];
};

static int tick(void *arg)
{
	struct ticker *ticker = arg;
	struct rota_interval interval;
	int rc = rota_interval_init(&interval, ROTA_MS(1), ROTA_MISSED_SKIP);

	do { /* once at least */
		rc = rc < 0 ? rc : rota_interval_tick(&interval, &ticker->late[ticker->ticks]);
		ticker->ticks += rc == 0;
	} while (rc == 0 && !atomic_load(&ticker->stop) && ticker->ticks < MOST_TICKS);
	return rc;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_latency(const char *name, struct ticker *ticker, uint64_t took)
{
	const int n = ticker->ticks, middle = n / 2, high = n * 99 / 100;

	qsort(ticker->late, (size_t)n, sizeof(ticker->late[0]), by_size);
	printf("%-12s%10" PRIu64 "%10d%12.2f%12.2f%12.2f\n", name, took / ROTA_MS(1), n,
	       (double)ticker->late[middle] / 1e6, (double)ticker->late[high] / 1e6, (double)ticker->late[n - 1] / 1e6);
}

/* --- the computations ------------------------------------------------------------------------------------------- */

/* Starts `count` of them, and joins; the number of primes that each has found. */
static int compute(const struct way *way, int count)
{
	rota_task *task[MOST_COMPUTATIONS];
	int spawned = 0, found = 0, rc = 0;

	for (; spawned < count && rc == 0; spawned += rc == 0)
		rc = way->spawn(&task[spawned], way->body, NULL);
	for (int i = 0; i < spawned; i++) {
		int status = 0, joined = rota_join(task[i], &status);

		rc = rc < 0 ? rc : joined < 0 ? joined : status < 0 ? status : 0;
		if (rc == 0 && found != 0 && status != found)
			rc = -EPROTO;
		found = status;
	}
	return rc < 0 ? rc : found;
}

static int measure(const struct way *way, int count)
{
	struct ticker *ticker = calloc(1, sizeof(*ticker));
	rota_task *task;
	uint64_t start;
	int rc, found, status = 0;

	if (ticker == NULL)
		return -ENOMEM;
	rc = rota_spawn(&task, tick, ticker);
	if (rc < 0) {
		free(ticker);
		return rc;
	}
	rc = rota_sleep(ROTA_MS(20)); /* it ticks before, and after */
	start = rota_now();
	found = rc < 0 ? rc : compute(way, count);
	start = rota_now() - start;
	atomic_store(&ticker->stop, true);
	rc = rota_join(task, &status);
	if (rc == 0 && status == 0 && found >= 0)
		print_latency(way->name, ticker, start);
	free(ticker);
	return rc < 0 ? rc : status < 0 ? status : found;
}

static int async_main(int argc, char **argv)
{
	struct rota_metrics metrics;
	unsigned long below = DEFAULT_LIMIT;
	int count, found, first = 0;
	char *end = "";

	if (argc > 1)
		below = strtoul(argv[1], &end, 10);
	if (argc > 2 || *end != '\0' || below == 0 || below > MAX_LIMIT) {
		fprintf(stderr, "usage: %s [limit up to %d]\n", argv[0], MAX_LIMIT);
		return 2;
	}
	limit = (int)below;
	rota_runtime_metrics(rota_runtime_current(), &metrics);
	count = metrics.workers < MOST_COMPUTATIONS ? (int)metrics.workers : MOST_COMPUTATIONS;
	printf("%d computations on %u workers\n%-12s%10s%10s%12s%12s%12s\n", count, metrics.workers, "", "took ms",
	       "ticks", "late p50 ms", "p99", "most");
	for (int i = 0; i < WAYS; i++) {
		found = measure(&ways[i], count);
		if (found >= 0 && i > 0 && found != first)
			found = -EPROTO;
		if (found < 0) {
			fprintf(stderr, "long_computation: %s: %s\n", ways[i].name, strerror(-found));
			return 1;
		}
		first = found;
	}
	printf("each found %d primes below %d\n", first, limit);
	if (fflush(stdout) != 0) {
		perror("long_computation");
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
