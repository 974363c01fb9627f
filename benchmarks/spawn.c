/* SPDX-License-Identifier: MIT */
/*
 * Spawning. spawn_join: a fiber spawns 10,000 tasks and joins them. chained_spawn: each task spawns the next.
 * spawn_many: 10,000 detached tasks, the last one tells the spawner (tokio's rt_multi_threaded benchmark).
 * spawn_remote: the same from a thread outside of the runtime; spawn_remote_busy: the workers have tasks that block
 * them for 10 us at a time (its spawn_many_remote_busy1).
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "tasks", 10000, 1000, "tasks that are spawned at a time" },
	{ "chain", 1000, 100, "tasks that spawn one another" },
	{ NULL, 0, 0, NULL },
};

struct spawner {
	size_t tasks;
	rota_task **handles;
	_Atomic size_t left;
	struct rota_oneshot done;
	rota_runtime *rt;        /* remote: where to */
	atomic_bool busy;        /* remote: the workers are to be */
	struct rota_waker waker; /* remote: of the spawning thread */
};

static int empty(void *arg)
{
	(void)arg;
	return 0;
}

static int spawn_join_step(void *arg)
{
	struct spawner *s = arg;
	size_t spawned = 0;
	int rc = 0;

	while (spawned < s->tasks && rc == 0) {
		rc = rota_spawn(&s->handles[spawned], empty, NULL);
		spawned += rc == 0;
	}
	for (size_t i = 0; i < spawned; i++) {
		int joined = rota_join(s->handles[i], NULL);

		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

/* One link: the last one tells the start of the chain; an error does too, since nobody joins the links. */
static int chain_link(void *arg)
{
	struct spawner *s = arg;
	int rc = 0;

	if (atomic_fetch_sub_explicit(&s->left, 1, memory_order_relaxed) > 1)
		rc = rota_spawn(NULL, chain_link, s);
	else
		rc = rota_oneshot_send(&s->done, s);
	if (rc < 0)
		rota_oneshot_close(&s->done);
	return rc;
}

static int await_done(struct spawner *s)
{
	void *value;
	int rc = rota_oneshot_recv(&s->done, &value);

	rota_oneshot_init(&s->done);
	return rc;
}

static int chained_step(void *arg)
{
	struct spawner *s = arg;
	int rc;

	atomic_store_explicit(&s->left, s->tasks, memory_order_relaxed);
	rc = rota_spawn(NULL, chain_link, s);
	return rc < 0 ? rc : await_done(s);
}

static int count_down(void *arg)
{
	struct spawner *s = arg;

	if (atomic_fetch_sub_explicit(&s->left, 1, memory_order_acq_rel) == 1)
		return rota_oneshot_send(&s->done, s);
	return 0;
}

static int spawn_many_step(void *arg)
{
	struct spawner *s = arg;

	atomic_store_explicit(&s->left, s->tasks, memory_order_relaxed);
	for (size_t i = 0; i < s->tasks; i++) {
		int rc = rota_spawn(NULL, count_down, s);

		if (rc < 0)
			return rc;
	}
	return await_done(s);
}

static int count_down_remote(void *arg)
{
	struct spawner *s = arg;

	if (atomic_fetch_sub_explicit(&s->left, 1, memory_order_acq_rel) == 1)
		rota_wake_by_ref(&s->waker);
	return 0;
}

static int spawn_remote_step(void *arg)
{
	struct spawner *s = arg;

	atomic_store_explicit(&s->left, s->tasks, memory_order_relaxed);
	for (size_t i = 0; i < s->tasks; i++) {
		int rc = rota_spawn_on(s->rt, NULL, count_down_remote, s);

		if (rc < 0)
			return rc;
	}
	while (atomic_load_explicit(&s->left, memory_order_acquire) > 0)
		rota_thread_park();
	return 0;
}

static int stall(void *arg)
{
	const struct timespec a_moment = { .tv_nsec = 10000 };
	const struct spawner *s = arg;

	while (atomic_load_explicit(&s->busy, memory_order_relaxed)) {
		int rc = rota_yield();

		if (rc < 0)
			return rc;
		nanosleep(&a_moment, NULL);
	}
	return 0;
}

static int measure(const char *name, rota_fn *step, struct spawner *s, size_t tasks)
{
	double ns = 0;
	int rc;

	s->tasks = tasks;
	rc = bench_time(step, s, &ns);
	if (rc == 0)
		bench_report(name, ns / (double)tasks, "ns");
	return rc;
}

static int inside(void *arg)
{
	struct spawner *s = arg;
	size_t tasks = (size_t)bench_param("tasks");
	int rc = measure("spawn_join", spawn_join_step, s, tasks);

	if (rc == 0)
		rc = measure("chained_spawn", chained_step, s, (size_t)bench_param("chain"));
	if (rc == 0)
		rc = measure("spawn_many", spawn_many_step, s, tasks);
	return rc;
}

/* Two such tasks for each worker. */
static int measure_busy(struct spawner *s)
{
	rota_task *stalls[2 * 64];
	const size_t wanted = 2 * (size_t)bench_param("workers");
	size_t made = 0;
	int rc = 0;

	atomic_store(&s->busy, true);
	for (; made < wanted && made < sizeof(stalls) / sizeof(stalls[0]) && rc == 0; made += rc == 0)
		rc = rota_spawn_on(s->rt, &stalls[made], stall, s);
	if (rc == 0)
		rc = measure("spawn_remote_busy", spawn_remote_step, s, (size_t)bench_param("tasks"));
	atomic_store(&s->busy, false);
	for (size_t i = 0; i < made; i++) {
		int joined = rota_join(stalls[i], NULL);

		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static int outside(struct spawner *s)
{
	int rc = bench_runtime_new(&s->rt);

	if (rc < 0)
		return rc;
	s->waker = rota_thread_waker();
	rc = measure("spawn_remote", spawn_remote_step, s, (size_t)bench_param("tasks"));
	if (rc == 0)
		rc = measure_busy(s);
	rota_runtime_free(s->rt);
	return rc;
}

static int round_of_spawn(void)
{
	struct spawner s = { .done = ROTA_ONESHOT_INIT };
	int rc;

	s.handles = calloc((size_t)bench_param("tasks") + 1, sizeof(rota_task *));
	if (!s.handles)
		return -ENOMEM;
	rc = bench_run(inside, &s);
	if (rc == 0)
		rc = outside(&s);
	free(s.handles);
	return rc;
}

static const struct bench bench = {
	.name = "spawn",
	.about = "spawning: and joining, in a chain, many at once, from outside",
	.round = round_of_spawn,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
