/* SPDX-License-Identifier: MIT */
/* Yielding: 200 tasks a thousand times each (tokio's rt_multi_threaded benchmark), and one task alone. */
#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "tasks", 200, 20, "tasks that yield" },
	{ "yields", 1000, 100, "yields of each at a time" },
	{ NULL, 0, 0, NULL },
};

struct crowd {
	size_t tasks;
	uint64_t yields;
	rota_task **handles;
};

static int yielder(void *arg)
{
	const struct crowd *crowd = arg;
	int rc = 0;

	for (uint64_t i = 0; i < crowd->yields && rc == 0; i++)
		rc = rota_yield();
	return rc;
}

static int yield_step(void *arg)
{
	struct crowd *crowd = arg;
	size_t spawned = 0;
	int rc = 0;

	while (spawned < crowd->tasks && rc == 0) {
		rc = rota_spawn(&crowd->handles[spawned], yielder, crowd);
		spawned += rc == 0;
	}
	for (size_t i = 0; i < spawned; i++) {
		int status = 0, joined = rota_join(crowd->handles[i], &status);

		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static int measure(const char *name, struct crowd *crowd, size_t tasks)
{
	crowd->tasks = tasks;
	return bench_time_each(name, yield_step, crowd, tasks * crowd->yields);
}

static int inside(void *arg)
{
	struct crowd *crowd = arg;
	int rc = measure("yield_many", crowd, (size_t)bench_param("tasks"));

	return rc < 0 ? rc : measure("yield_one", crowd, 1);
}

static int round_of_yields(void)
{
	struct crowd crowd = { .yields = bench_param("yields") };
	int rc;

	crowd.handles = calloc((size_t)bench_param("tasks") + 1, sizeof(rota_task *));
	if (!crowd.handles)
		return -ENOMEM;
	rc = bench_run(inside, &crowd);
	free(crowd.handles);
	return rc;
}

static const struct bench bench = {
	.name = "yield",
	.about = "yielding: many tasks, and one alone",
	.round = round_of_yields,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
