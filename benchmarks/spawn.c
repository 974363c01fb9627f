/* SPDX-License-Identifier: MIT */
/*
 * Spawning, by a fiber. spawn_join: 10,000 tasks, then all are joined. spawn_one: one at a time, joined at once
 * (tokio's spawn benchmark). chained_spawn: each task spawns the next; spawn_many: 10,000 detached tasks, the last one
 * tells the spawner (both tokio's rt_multi_threaded, and with --workers 0 its rt_current_thread).
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

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

static int spawn_one_step(void *arg)
{
	struct spawner *s = arg;
	int rc = 0;

	for (size_t i = 0; i < s->tasks && rc == 0; i++) {
		rota_task *task;

		rc = rota_spawn(&task, empty, NULL);
		if (rc == 0)
			rc = rota_join(task, NULL);
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

static int measure(const char *name, rota_fn *step, struct spawner *s, size_t tasks)
{
	s->tasks = tasks;
	return bench_time_each(name, step, s, tasks);
}

static int inside(void *arg)
{
	struct spawner *s = arg;
	size_t tasks = (size_t)bench_param("tasks");
	int rc = measure("spawn_join", spawn_join_step, s, tasks);

	if (rc == 0)
		rc = measure("spawn_one", spawn_one_step, s, tasks);
	if (rc == 0)
		rc = measure("chained_spawn", chained_step, s, (size_t)bench_param("chain"));
	if (rc == 0)
		rc = measure("spawn_many", spawn_many_step, s, tasks);
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
	free(s.handles);
	return rc;
}

static const struct bench bench = {
	.name = "spawn",
	.about = "spawning: and joining, all or one by one, in a chain, many at once",
	.round = round_of_spawn,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
