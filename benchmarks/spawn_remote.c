/* SPDX-License-Identifier: MIT */
/*
 * Spawning by a thread that is outside of the runtime, which then enters it to join the tasks: tokio's
 * spawn_many_remote_idle, _busy1 and _busy2 of rt_multi_threaded, and with --workers 0 those of rt_current_thread.
 * While the workers have nothing else; while tasks compute for 10 us at a time and yield, two for each worker; while a
 * task for each worker computes for 10 us, spawns its successor and ends.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "harness.h"
#include "measure.h"

enum { STALL_US = 10 };

static struct bench_param params[] = {
	{ "tasks", 10000, 1000, "tasks that are spawned at a time; a tenth of them beside tasks that spawn" },
	{ NULL, 0, 0, NULL },
};

struct spawner {
	rota_runtime *rt;
	size_t tasks;
	rota_task **handles;
};

static int empty(void *arg)
{
	(void)arg;
	return 0;
}

static int join_all(void *arg)
{
	struct spawner *s = arg;
	int rc = 0;

	for (size_t i = 0; i < s->tasks; i++) {
		int joined = rota_join(s->handles[i], NULL);

		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static int spawn_step(void *arg)
{
	struct spawner *s = arg;
	const size_t wanted = s->tasks;
	int rc = 0, joined;

	for (s->tasks = 0; s->tasks < wanted && rc == 0; s->tasks += rc == 0)
		rc = rota_spawn_on(s->rt, &s->handles[s->tasks], empty, NULL);
	joined = rota_block_on(s->rt, join_all, s);
	return rc < 0 ? rc : joined;
}

static int measure(const char *name, struct spawner *s, size_t tasks)
{
	s->tasks = tasks;
	return bench_time_each(name, spawn_step, s, tasks);
}

/* --- what keeps the workers busy ---------------------------------------------------------------------------------------- */

struct office {
	atomic_bool busy;
	struct rota_wait_group workers;
	atomic_int error; /* the first; nobody joins the tasks */
};

/* Computes, and lets other threads have the CPU. */
static void stall(void)
{
	const uint64_t until = rota_now() + ROTA_US(STALL_US);

	while (rota_now() < until)
		sched_yield();
}

static int leave(struct office *office, int rc)
{
	int none = 0;

	if (rc < 0)
		atomic_compare_exchange_strong(&office->error, &none, rc);
	rota_wait_group_done(&office->workers);
	return rc;
}

static int yield_and_stall(void *arg)
{
	struct office *office = arg;
	int rc = 0;

	while (rc == 0 && atomic_load_explicit(&office->busy, memory_order_relaxed)) {
		rc = rota_yield();
		stall();
	}
	return leave(office, rc);
}

static int stall_and_spawn(void *arg)
{
	struct office *office = arg;
	int rc;

	if (!atomic_load_explicit(&office->busy, memory_order_relaxed))
		return leave(office, 0);
	stall();
	rc = rota_spawn(NULL, stall_and_spawn, office);
	return rc < 0 ? leave(office, rc) : 0;
}

static int go_home(void *arg)
{
	struct office *office = arg;
	int rc = rota_wait_group_wait(&office->workers);

	return rc < 0 ? rc : atomic_load(&office->error);
}

static int measure_beside(const char *name, struct spawner *s, size_t tasks, rota_fn *work, size_t count)
{
	struct office office = { .busy = true, .workers = ROTA_WAIT_GROUP_INIT };
	int rc = 0, home;

	for (size_t i = 0; i < count && rc == 0; i++) {
		rota_wait_group_add(&office.workers, 1);
		rc = rota_spawn_on(s->rt, NULL, work, &office);
		if (rc < 0)
			rota_wait_group_done(&office.workers);
	}
	if (rc == 0)
		rc = measure(name, s, tasks);
	atomic_store(&office.busy, false);
	home = rota_block_on(s->rt, go_home, &office);
	rota_wait_group_deinit(&office.workers);
	return rc < 0 ? rc : home;
}

static int measure_all(struct spawner *s, size_t tasks)
{
	const size_t workers = bench_param("workers") ? (size_t)bench_param("workers") : 1;
	int rc = measure("spawn_remote", s, tasks);

	if (rc == 0)
		rc = measure_beside("spawn_remote_busy", s, tasks, yield_and_stall, 2 * workers);
	if (rc == 0)
		rc = measure_beside("spawn_remote_chains", s, (tasks + 9) / 10, stall_and_spawn, workers);
	return rc;
}

static int round_of_spawns(void)
{
	const size_t tasks = (size_t)bench_param("tasks");
	struct spawner s = { .handles = calloc(tasks + 1, sizeof(rota_task *)) };
	int rc;

	if (!s.handles)
		return -ENOMEM;
	rc = tasks == 0 ? -EINVAL : bench_runtime_new(&s.rt);
	if (rc == 0) {
		rc = measure_all(&s, tasks);
		rota_runtime_free(s.rt);
	}
	free(s.handles);
	return rc;
}

static const struct bench bench = {
	.name = "spawn_remote",
	.about = "spawning by a thread outside of the runtime, idle and busy; per task",
	.round = round_of_spawns,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
