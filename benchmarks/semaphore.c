/* SPDX-License-Identifier: MIT */
/* A semaphore: taken and given back by one task, by as many as there are permits, and by many that want more than there are. */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

enum { PERMITS = 5 };

static struct bench_param params[] = {
	{ "tasks", 64, 64, "tasks that share the permits, at most 256" },
	{ "turns", 1000, 100, "times that each of them takes one, at a time" },
	{ NULL, 0, 0, NULL },
};

struct works {
	struct rota_semaphore semaphore;
	uint64_t turns;
	size_t tasks;
};

static int take_turns(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		rc = rota_semaphore_acquire(&works->semaphore, 1);
		if (rc == 0)
			rc = rota_semaphore_release(&works->semaphore, 1);
	}
	return rc;
}

/* Each stays inside for a turn of the others, so that the permits are used up. */
static int take_turns_and_yield(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		rc = rota_semaphore_acquire(&works->semaphore, 1);
		if (rc == 0)
			rc = rota_yield();
		if (rc == 0)
			rc = rota_semaphore_release(&works->semaphore, 1);
	}
	return rc;
}

static int shared_step(void *arg)
{
	return crowd_run(PERMITS, take_turns, NULL, arg);
}

static int contended_step(void *arg)
{
	struct works *works = arg;

	return crowd_run(works->tasks, take_turns_and_yield, NULL, works);
}

static int inside(void *arg)
{
	struct works *works = arg;
	int rc = bench_time_each("semaphore_uncontended", take_turns, works, works->turns);

	if (rc == 0)
		rc = bench_time_each("semaphore_shared", shared_step, works, PERMITS * works->turns);
	if (rc == 0)
		rc = bench_time_each("semaphore_contended", contended_step, works, works->tasks * works->turns);
	return rc;
}

static int round_of_semaphore(void)
{
	struct works works = {
		.semaphore = ROTA_SEMAPHORE_INIT(PERMITS),
		.turns = bench_param("turns"),
		.tasks = (size_t)bench_param("tasks"),
	};

	if (works.tasks == 0 || works.tasks > CROWD_MAX || works.turns == 0)
		return -EINVAL;
	return bench_run(inside, &works);
}

static const struct bench bench = {
	.name = "semaphore",
	.about = "a semaphore of 5 permits, by one task, by 5, and by 64 that yield inside; per acquire and release",
	.round = round_of_semaphore,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
