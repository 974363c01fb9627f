/* SPDX-License-Identifier: MIT */
/* The ways to do all pieces: one after the other; a thread for each; a pool of threads; a process for each; a task for each
 * on one thread, and on all workers. Each returns the first error, when everybody has ended. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu_vs_io.h"

static int in_turn(struct pieces *p)
{
	int rc = 0;

	for (size_t i = 0; i < p->count && rc == 0; i++)
		rc = p->each[i].work(&p->each[i]);
	return rc;
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

static int first_error(const struct pieces *p)
{
	int rc = 0;

	for (size_t i = 0; i < p->count && rc == 0; i++)
		rc = p->each[i].status;
	return rc;
}

/* Threads 0 to count - 1 run main(args + i * step). */
static int run_threads(size_t count, void *(*main)(void *), char *args, size_t step)
{
	pthread_t *threads = calloc(count, sizeof(*threads));
	size_t started = 0;
	int rc = threads ? 0 : -ENOMEM;

	for (; started < count && rc == 0; started += rc == 0)
		rc = -pthread_create(&threads[started], NULL, main, args + started * step);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL); /* cannot fail: each is another thread, and joined once */
	free(threads);
	return rc;
}

static void *piece_thread(void *arg)
{
	struct piece *piece = arg;

	piece->status = piece->work(piece);
	return NULL;
}

static int by_thread_each(struct pieces *p)
{
	int rc = run_threads(p->count, piece_thread, (char *)p->each, sizeof(*p->each));

	return rc < 0 ? rc : first_error(p);
}

struct pool {
	struct pieces *pieces;
	atomic_size_t next; /* piece that nobody has taken */
};

static void *pool_thread(void *arg)
{
	struct pool *pool = arg;
	size_t i;

	while ((i = atomic_fetch_add(&pool->next, 1)) < pool->pieces->count)
		piece_thread(&pool->pieces->each[i]);
	return NULL;
}

static int by_pool(struct pieces *p)
{
	struct pool pool = { .pieces = p };
	int rc = run_threads(POOL_THREADS, pool_thread, (char *)&pool, 0);

	return rc < 0 ? rc : first_error(p);
}

/* --- processes -------------------------------------------------------------------------------------------------- */

/* What this process adds to the memory of all: what it shares with others counts in parts. 0: the system does not say. */
static long own_share_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *file = fopen("/proc/self/smaps_rollup", "re");

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "Pss:", 4) == 0)
			kib = strtol(line + 4, NULL, 10);
	if (file)
		fclose(file);
	return kib;
}

/* A piece's status does not fit into an exit code, so 1 stands for any error. */
static void process_main(struct piece *piece, atomic_long *kib)
{
	int rc;

	measure_be_child();
	rc = piece->work(piece);
	atomic_fetch_add(kib, own_share_kib());
	_exit(rc == 0 ? 0 : 1);
}

static int wait_for_process(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int run_processes(struct pieces *p, pid_t *pids, atomic_long *kib)
{
	size_t started = 0;
	int rc = 0;

	for (; started < p->count && rc == 0; started += rc == 0) {
		pids[started] = fork();
		if (pids[started] == 0)
			process_main(&p->each[started], kib);
		rc = pids[started] < 0 ? -errno : 0;
	}
	for (size_t i = 0; i < started; i++) {
		int waited = wait_for_process(pids[i]);

		rc = rc < 0 ? rc : waited;
	}
	return rc;
}

/* Their memory is counted where all of them see it. */
static int by_process_each(struct pieces *p)
{
	pid_t *pids = calloc(p->count, sizeof(*pids));
	atomic_long *kib = mmap(NULL, sizeof(*kib), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = pids && kib != MAP_FAILED ? run_processes(p, pids, kib) : -ENOMEM;

	if (kib != MAP_FAILED) {
		p->processes_kib = atomic_load(kib);
		munmap(kib, sizeof(*kib));
	}
	free(pids);
	return rc;
}

/* --- tasks ------------------------------------------------------------------------------------------------------ */

static int spawn_all(void *arg)
{
	struct pieces *p = arg;
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < p->count && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, p->each[i].work, &p->each[i]);
	closed = rota_scope_close(&scope);
	return closed < 0 ? closed : rc;
}

/* A task that computes lets others wait, which would be reported; here it is what is compared. */
static int run_tasks(struct pieces *p, enum rota_flavor flavor)
{
	const struct rota_config config = { .flavor = flavor, .stall_report = ROTA_STALL_REPORT_OFF };
	rota_runtime *rt;
	int rc = rota_runtime_new(&rt, &config);

	if (rc < 0)
		return rc;
	rc = rota_block_on(rt, spawn_all, p);
	rota_runtime_free(rt);
	return rc;
}

static int by_task_each_on_one(struct pieces *p)
{
	return run_tasks(p, ROTA_FLAVOR_CURRENT_THREAD);
}

static int by_task_each(struct pieces *p)
{
	return run_tasks(p, ROTA_FLAVOR_MULTI_THREAD);
}

const struct way ways[WAYS] = {
	{ "in turn", in_turn },
	{ "a thread each", by_thread_each },
	{ "pool of 8", by_pool },
	{ "a process each", by_process_each },
	{ "tasks, 1 thread", by_task_each_on_one },
	{ "tasks", by_task_each },
};
_Static_assert(POOL_THREADS == 8, "the name says so");
