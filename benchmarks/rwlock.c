/* SPDX-License-Identifier: MIT */
/* A lock for readers and writers: read by one task, by many, and by many of whom some write. */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

enum { WRITE_EVERY = 16 };

static struct bench_param params[] = {
	{ "tasks", 64, 64, "tasks that lock, at most 256" },
	{ "turns", 1000, 100, "times that each of them does, at a time" },
	{ NULL, 0, 0, NULL },
};

struct works {
	struct rota_rwlock lock;
	uint64_t turns, value;
	size_t tasks;
};

static int read_turns(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	uint64_t sum = 0;
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		rc = rota_rwlock_rdlock(&works->lock);
		if (rc == 0) {
			sum += works->value;
			rc = rota_rwlock_unlock(&works->lock);
		}
	}
	return rc < 0 ? rc : sum == UINT64_MAX;
}

static int mixed_turns(void *arg)
{
	struct works *works = arg;
	const uint64_t turns = works->turns; /* beside what all of them write */
	int rc = 0;

	for (uint64_t i = 0; i < turns && rc == 0; i++) {
		const int write = i % WRITE_EVERY == 0;

		rc = write ? rota_rwlock_wrlock(&works->lock) : rota_rwlock_rdlock(&works->lock);
		if (rc < 0)
			break;
		works->value += (uint64_t)write;
		rc = rota_rwlock_unlock(&works->lock);
	}
	return rc;
}

static int read_step(void *arg)
{
	return crowd_run(((struct works *)arg)->tasks, read_turns, NULL, arg);
}

static int mixed_step(void *arg)
{
	return crowd_run(((struct works *)arg)->tasks, mixed_turns, NULL, arg);
}

static int inside(void *arg)
{
	struct works *works = arg;
	int rc = bench_time_each("rwlock_read", read_turns, works, works->turns);

	if (rc == 0)
		rc = bench_time_each("rwlock_read_shared", read_step, works, works->tasks * works->turns);
	if (rc == 0)
		rc = bench_time_each("rwlock_mixed", mixed_step, works, works->tasks * works->turns);
	return rc;
}

static int round_of_rwlock(void)
{
	struct works works = {
		.lock = ROTA_RWLOCK_INIT,
		.turns = bench_param("turns"),
		.tasks = (size_t)bench_param("tasks"),
	};

	if (works.tasks == 0 || works.tasks > CROWD_MAX || works.turns == 0)
		return -EINVAL;
	return bench_run(inside, &works);
}

static const struct bench bench = {
	.name = "rwlock",
	.about = "a rwlock, read by one task, by 64, and by 64 that write every 16th time; per lock and unlock",
	.round = round_of_rwlock,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
