/* SPDX-License-Identifier: MIT */
/*
 * The same work done one piece after the other, by a thread for each piece, and by a task for each piece. A piece asks
 * something of somebody slow, which is a pause here, and computes a little with the answer: the very same function all
 * three times, since a call of rota suspends a task and blocks a plain thread.
 *
 *   three_ways [pieces]     default 300, of 10 ms each
 *
 * Each way runs in a process of its own, so that its memory is what the kernel counted for it alone. (cpu_vs_io compares
 * more ways, and more kinds of work.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota.h>

enum { DEFAULT_PIECES = 300, MAX_PIECES = 10000, PAUSE_MS = 10, ROUNDS = 20000 };

struct piece {
	uint32_t number;
	uint32_t result;
	int status;
};

/* --- the work --------------------------------------------------------------------------------------------------- */

static uint32_t mix(uint32_t x)
{
	for (int i = 0; i < ROUNDS; i++)
		x = x * 1664525 + 1013904223;
	return x;
}

static int work(void *arg)
{
	struct piece *piece = arg;
	int rc = rota_sleep(ROTA_MS(PAUSE_MS));

	if (rc == 0)
		piece->result = mix(piece->number);
	return rc;
}

/* --- the three ways --------------------------------------------------------------------------------------------- */

struct pieces {
	struct piece *each;
	size_t count;
};

static int in_turn(struct pieces *p)
{
	int rc = 0;

	for (size_t i = 0; i < p->count && rc == 0; i++)
		rc = work(&p->each[i]);
	return rc;
}

static void *thread_main(void *arg)
{
	struct piece *piece = arg;

	piece->status = work(piece);
	return NULL;
}

static int by_threads(struct pieces *p)
{
	pthread_t *threads = calloc(p->count, sizeof(*threads));
	size_t started = 0;
	int rc = threads ? 0 : -ENOMEM;

	for (; started < p->count && rc == 0; started += rc == 0)
		rc = -pthread_create(&threads[started], NULL, thread_main, &p->each[started]);
	for (size_t i = 0; i < started; i++) {
		pthread_join(threads[i], NULL); /* cannot fail: each is another thread, and joined once */
		rc = rc < 0 ? rc : p->each[i].status;
	}
	free(threads);
	return rc;
}

static int spawn_all(void *arg)
{
	struct pieces *p = arg;
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < p->count && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, work, &p->each[i]);
	closed = rota_scope_close(&scope);
	return closed < 0 ? closed : rc;
}

static int by_tasks(struct pieces *p)
{
	rota_runtime *rt;
	int rc = rota_runtime_new(&rt, NULL);

	if (rc < 0)
		return rc;
	rc = rota_block_on(rt, spawn_all, p);
	rota_runtime_free(rt);
	return rc;
}

/* --- one way, in a process of its own --------------------------------------------------------------------------- */

static const struct way {
	const char *name;
	int (*run)(struct pieces *p);
} ways[] = { { "in turn", in_turn }, { "threads", by_threads }, { "tasks", by_tasks } };
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* All pieces, and a look at what they computed. */
static int run_way(const struct way *way, size_t count)
{
	struct pieces p = { calloc(count, sizeof(*p.each)), count };
	int rc;

	if (!p.each)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		p.each[i].number = (uint32_t)i;
	rc = way->run(&p);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = p.each[i].result == mix((uint32_t)i) ? 0 : -EBADMSG;
	free(p.each);
	return rc;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int measure(const struct way *way, size_t count)
{
	uint64_t start = rota_now();
	struct rusage usage;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int rc = prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : run_way(way, count); /* not without us */

		if (rc < 0)
			fprintf(stderr, "three_ways: %s: %s\n", way->name, strerror(-rc));
		_exit(rc < 0 ? 1 : 0);
	}
	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return -ECHILD;
	printf("%-10s %9.3f %9.3f %10ld %10ld\n", way->name, (double)(rota_now() - start) / 1e9,
	       seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss, usage.ru_nvcsw + usage.ru_nivcsw);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long count = DEFAULT_PIECES;
	char *end = "";
	int rc = 0;

	if (argc > 1)
		count = strtoul(argv[1], &end, 10);
	if (argc > 2 || *end != '\0' || count == 0 || count > MAX_PIECES) {
		fprintf(stderr, "usage: %s [pieces up to %d]\n", argv[0], MAX_PIECES);
		return 2;
	}
	printf("%lu pieces of %d ms\n\n%-10s %9s %9s %10s %10s\n", count, PAUSE_MS, "", "time s", "CPU s", "peak KiB",
	       "switches");
	for (int i = 0; i < WAYS && rc == 0; i++)
		rc = measure(&ways[i], count);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "three_ways: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}
