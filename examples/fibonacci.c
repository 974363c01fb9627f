/* SPDX-License-Identifier: MIT */
/*
 * Fibonacci and threads: fib(n) once; by 4 and by 8 threads, each of which computes all of it; by 4 and by 8 tasks; and
 * once more, divided among the workers by fork and join. Work that never waits gains nothing from being a task and loses
 * nothing by it; what makes it faster is to divide it.
 *
 *   fibonacci [n [count]]     default 40, by 4 and by 8; with a count: by so many
 *
 * In its table "to once" is how many times as long as fib(n) once it took, "to ideal" how many times as long as it would
 * take if the CPUs were shared out without loss, and "CPU" how much of them was used. (Lost is also what other programs
 * take, and what CPUs slow down by when all of them compute.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <rota.h>

enum { DEFAULT_N = 40, MAX_N = 60, MAX_COUNT = 100, SMALL = 20 };

/* Of the original, which computed fib(50). */
#define PUBLISHED_ONCE 39.7      /* seconds */
#define PUBLISHED_4_THREADS 42.6 /* seconds */
#define PUBLISHED_8_CPU 99.95    /* % of the CPUs */

struct piece {
	unsigned n;
	uint64_t result;
};

struct work {
	struct piece *pieces;
	size_t count;
};

/* --- the work --------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) uint64_t fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

/* Divided, but for what is too small. (fib_fork divides to the end.) */
ROTA_FORK_DEFINE_1(uint64_t, divided_fib, unsigned, n)
{
	struct divided_fib_frame other;

	if (n < SMALL)
		return fib(n);
	ROTA_FORK(divided_fib, &other, n - 1);
	uint64_t sum = ROTA_FORK_CALL(divided_fib, n - 2);
	return sum + ROTA_FORK_JOIN(divided_fib, &other);
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

/* A task, or what a thread calls. */
static int compute(void *arg)
{
	struct piece *piece = arg;

	piece->result = fib(piece->n);
	return 0;
}

/* --- the ways to do it ------------------------------------------------------------------------------------------ */

static int in_turn(void *arg)
{
	const struct work *work = arg;

	for (size_t i = 0; i < work->count; i++)
		compute(&work->pieces[i]);
	return 0;
}

static void *thread_main(void *arg)
{
	compute(arg);
	return NULL;
}

static int by_threads(void *arg)
{
	const struct work *work = arg;
	pthread_t threads[MAX_COUNT];
	size_t started = 0;
	int rc = 0;

	for (; started < work->count && rc == 0; started += rc == 0)
		rc = -pthread_create(&threads[started], NULL, thread_main, &work->pieces[started]);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL); /* cannot fail: each is another thread, and joined once */
	return rc;
}

static int by_tasks(void *arg)
{
	const struct work *work = arg;
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < work->count && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, compute, &work->pieces[i]);
	closed = rota_scope_close(&scope);
	return rc < 0 ? rc : closed;
}

static int by_forks(void *arg)
{
	const struct work *work = arg;

	for (size_t i = 0; i < work->count; i++)
		work->pieces[i].result = divided_fib(work->pieces[i].n);
	return 0;
}

/* --- the table -------------------------------------------------------------------------------------------------- */

struct row {
	size_t count;
	const char *what;
	rota_fn *run;                            /* of a struct work */
	bool on_rota;                            /* in a task, not on the main thread */
	double published_seconds, published_cpu; /* 0: none */
};

struct table {
	unsigned n;
	unsigned cpus, workers;
	rota_runtime *rt;
	double once; /* seconds */
};

struct measured {
	double seconds, cpu;
};

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage); /* cannot fail with these arguments */
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Runs a row, and checks what its pieces have computed. */
static int measure(const struct table *table, const struct row *row, struct measured *ret)
{
	struct piece pieces[MAX_COUNT];
	struct work work = { pieces, row->count };
	double cpu = cpu_seconds();
	uint64_t start = rota_now();
	int rc;

	for (size_t i = 0; i < row->count; i++)
		pieces[i].n = table->n;
	rc = row->on_rota ? rota_block_on(table->rt, row->run, &work) : row->run(&work);
	ret->seconds = (double)(rota_now() - start) / 1e9;
	ret->cpu = cpu_seconds() - cpu;
	for (size_t i = 0; i < row->count && rc == 0; i++)
		rc = pieces[i].result == fib_by_sum(table->n) ? 0 : -EBADMSG;
	return rc;
}

static int print_row(const struct table *table, const struct row *row, const struct measured *m)
{
	unsigned cpus = row->on_rota ? table->workers : row->run == by_threads ? table->cpus : 1;
	double ideal = row->run == by_forks || row->count > cpus ? (double)row->count / cpus : 1;

	printf("%3zu %-8s %9.3f %9.2f %9.2f %8.2f%%", row->count, row->what, m->seconds, m->seconds / table->once,
	       m->seconds / table->once / ideal, 100 * m->cpu / m->seconds / cpus);
	if (row->published_seconds > 0)
		printf(" %9.1f s %9.2f", row->published_seconds, row->published_seconds / PUBLISHED_ONCE);
	if (row->published_cpu > 0)
		printf(" %21s %8.2f%%", "", row->published_cpu);
	printf("\n");
	return fflush(stdout) != 0 ? -errno : 0;
}

static int print_rows(struct table *table, const struct row *rows, size_t count)
{
	int rc = 0;

	printf("fib(%u) = %" PRIu64 ", on %u CPUs with %u workers%26spublished: fib(50)\n\n", table->n,
	       fib_by_sum(table->n), table->cpus, table->workers, "");
	printf("%12s %9s %9s %9s %9s %11s %9s %9s\n", "", "time s", "to once", "to ideal", "CPU", "time", "to once",
	       "CPU");
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct measured m = { .seconds = 0 };

		rc = measure(table, &rows[i], &m);
		if (i == 0)
			table->once = m.seconds;
		if (rc == 0)
			rc = print_row(table, &rows[i], &m);
	}
	return rc;
}

static int print_table(unsigned n, size_t count)
{
	const struct row usual[] = {
		{ 1, "once", in_turn, false, PUBLISHED_ONCE, 0 },
		{ 4, "threads", by_threads, false, PUBLISHED_4_THREADS, 0 },
		{ 8, "threads", by_threads, false, 0, PUBLISHED_8_CPU },
		{ 4, "tasks", by_tasks, true, 0, 0 },
		{ 8, "tasks", by_tasks, true, 0, 0 },
		{ 1, "divided", by_forks, true, 0, 0 },
	};
	const struct row of_count[] = {
		{ 1, "once", in_turn, false, PUBLISHED_ONCE, 0 },
		{ count, "threads", by_threads, false, 0, 0 },
		{ count, "tasks", by_tasks, true, 0, 0 },
		{ count, "divided", by_forks, true, 0, 0 },
	};
	/* A task that computes lets others wait, which would be reported; here it is what is compared. */
	const struct rota_config config = { .stall_report = ROTA_STALL_REPORT_OFF };
	struct table table = { .n = n };
	struct rota_metrics metrics;
	cpu_set_t set;
	int rc = rota_runtime_new(&table.rt, &config);

	if (rc < 0)
		return rc;
	rota_runtime_metrics(table.rt, &metrics);
	table.workers = metrics.workers;
	table.cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : metrics.workers;
	if (count == 0)
		rc = print_rows(&table, usual, sizeof(usual) / sizeof(usual[0]));
	else
		rc = print_rows(&table, of_count, sizeof(of_count) / sizeof(of_count[0]));
	rota_runtime_free(table.rt);
	return rc;
}

/* A number from 1 to `most`; 0: it is none. */
static unsigned parse(const char *text, unsigned most)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && *end == '\0' && number <= most ? (unsigned)number : 0;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? parse(argv[1], MAX_N) : DEFAULT_N, count = argc > 2 ? parse(argv[2], MAX_COUNT) : 0;
	int rc;

	if (argc > 3 || n == 0 || (argc == 3 && count == 0)) {
		fprintf(stderr, "usage: %s [n up to %d [count up to %d]]\n", argv[0], MAX_N, MAX_COUNT);
		return 2;
	}
	rc = print_table(n, count);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "fibonacci: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}
