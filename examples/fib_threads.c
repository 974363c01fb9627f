/* SPDX-License-Identifier: MIT */
/*
 * Fibonacci and threads: fib(n) once; by 4 and by 8 threads, each of which computes all of it; by 4 and by 8 tasks.
 * Work that never waits gains nothing from tasks and loses nothing by them: both come out at what the CPUs give.
 *
 *   fib_threads [n]     default 40
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <rota.h>

enum { DEFAULT_N = 40, MAX_N = 60, MAX_PIECES = 8 };

struct piece {
	unsigned n;
	uint64_t result;
};

struct measured {
	double seconds, cpu;
};

typedef int run_fn(struct piece *pieces, size_t count);

static __attribute__((noinline)) uint64_t fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
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

static int compute(void *arg)
{
	struct piece *piece = arg;

	piece->result = fib(piece->n);
	return 0;
}

static void *compute_in_thread(void *arg)
{
	compute(arg);
	return NULL;
}

static int run_here(struct piece *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++)
		compute(&pieces[i]);
	return 0;
}

static int run_threads(struct piece *pieces, size_t count)
{
	pthread_t threads[MAX_PIECES];
	size_t started = 0;
	int rc = 0;

	for (; started < count && rc == 0; started += rc == 0)
		rc = -pthread_create(&threads[started], NULL, compute_in_thread, &pieces[started]);
	for (size_t i = 0; i < started; i++) {
		int joined = -pthread_join(threads[i], NULL);

		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static int run_tasks(struct piece *pieces, size_t count)
{
	rota_task *tasks[MAX_PIECES];
	size_t started = 0;
	int rc = 0;

	for (; started < count && rc == 0; started += rc == 0)
		rc = rota_spawn(&tasks[started], compute, &pieces[started]);
	for (size_t i = 0; i < started; i++) {
		int joined = rota_join(tasks[i], NULL);

		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return 0; /* cannot fail with these arguments */
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Runs `count` pieces in one way and checks what they computed. */
static int measure(run_fn *run, size_t count, unsigned n, struct measured *ret)
{
	struct piece pieces[MAX_PIECES];
	uint64_t start = rota_now();
	double cpu = cpu_seconds();
	int rc;

	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct piece){ .n = n };
	rc = run(pieces, count);
	if (rc < 0)
		return rc;
	ret->seconds = (double)(rota_now() - start) / 1e9;
	ret->cpu = cpu_seconds() - cpu;
	for (size_t i = 0; i < count; i++)
		if (pieces[i].result != fib_by_sum(n))
			return -EBADMSG;
	return 0;
}

static int print_table(unsigned n)
{
	static const struct {
		const char *name;
		run_fn *run;
		size_t count;
	} rows[] = { { "once", run_here, 1 },
		     { "4 threads", run_threads, 4 },
		     { "8 threads", run_threads, 8 },
		     { "4 tasks", run_tasks, 4 },
		     { "8 tasks", run_tasks, 8 } };
	struct rota_metrics metrics;
	struct measured once = { 0 }, m;

	rota_runtime_metrics(rota_runtime_current(), &metrics);
	printf("fib(%u) = %" PRIu64 ", workers: %u\n\n", n, fib_by_sum(n), metrics.workers);
	printf("%-10s %10s %10s %12s %14s\n", "", "time s", "CPU s", "to once", "CPU to once");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = measure(rows[i].run, rows[i].count, n, &m);

		if (rc < 0)
			return rc;
		if (i == 0)
			once = m;
		printf("%-10s %10.3f %10.3f %12.2f %14.2f\n", rows[i].name, m.seconds, m.cpu, m.seconds / once.seconds,
		       once.cpu > 0 ? m.cpu / once.cpu : 0);
		fflush(stdout);
	}
	printf("\nThe original's published figures, not measured here: fib(50) once 39.7 s; on 4 threads, each of\n"
	       "which computes all of it, 42.6 s (1.07 to once).\n");
	return 0;
}

static int async_main(int argc, char **argv)
{
	unsigned long n = DEFAULT_N;
	char *end = "";
	int rc;

	if (argc > 1)
		n = strtoul(argv[1], &end, 10);
	if (argc > 2 || *end != '\0' || n == 0 || n > MAX_N) {
		fprintf(stderr, "usage: %s [n from 1 to %d]\n", argv[0], MAX_N);
		return 2;
	}
	rc = print_table((unsigned)n);
	if (rc < 0)
		fprintf(stderr, "fib_threads: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
