/* SPDX-License-Identifier: MIT */
/* Empty jobs for the blocking pool, 64 always in flight: by spawn_blocking and join, and by rota_offload. */
#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "tasks", 64, 64, "tasks, each with one job in flight" },
	{ "jobs", 100, 10, "jobs of each at a time" },
	{ NULL, 0, 0, NULL },
};

struct office {
	size_t tasks;
	uint64_t jobs;
	rota_task **handles;
	rota_fn *clerk;
};

static int empty(void *arg)
{
	(void)arg;
	return 0;
}

static int spawning_clerk(void *arg)
{
	const struct office *office = arg;

	for (uint64_t i = 0; i < office->jobs; i++) {
		rota_task *job;
		int rc = rota_spawn_blocking(&job, empty, NULL);

		if (rc == 0)
			rc = rota_join(job, NULL);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int offloading_clerk(void *arg)
{
	const struct office *office = arg;
	int rc = 0;

	for (uint64_t i = 0; i < office->jobs && rc == 0; i++)
		rc = rota_offload(empty, NULL);
	return rc;
}

static int blocking_step(void *arg)
{
	struct office *office = arg;
	size_t spawned = 0;
	int rc = 0;

	while (spawned < office->tasks && rc == 0) {
		rc = rota_spawn(&office->handles[spawned], office->clerk, office);
		spawned += rc == 0;
	}
	for (size_t i = 0; i < spawned; i++) {
		int status = 0, joined = rota_join(office->handles[i], &status);

		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static int measure(const char *name, struct office *office, rota_fn *clerk)
{
	double ns = 0;
	int rc;

	office->clerk = clerk;
	rc = bench_time(blocking_step, office, &ns);
	if (rc == 0)
		bench_report(name, ns / 1e3 / (double)(office->tasks * office->jobs), "us");
	return rc;
}

static int inside(void *arg)
{
	int rc = measure("blocking", arg, spawning_clerk);

	return rc < 0 ? rc : measure("offload", arg, offloading_clerk);
}

static int round_of_blocking(void)
{
	struct office office = { .tasks = (size_t)bench_param("tasks"), .jobs = bench_param("jobs") };
	int rc;

	if (office.tasks == 0 || office.jobs == 0)
		return -EINVAL;
	office.handles = calloc(office.tasks, sizeof(rota_task *));
	if (!office.handles)
		return -ENOMEM;
	rc = bench_run(inside, &office);
	free(office.handles);
	return rc;
}

static const struct bench bench = {
	.name = "blocking",
	.about = "empty jobs for the blocking pool, 64 in flight; per job",
	.round = round_of_blocking,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
