/* SPDX-License-Identifier: MIT */
/* One mutex, locked and unlocked by one task, and by 64. */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "tasks", 64, 64, "tasks that lock, at most 1,000" },
	{ "locks", 1000, 100, "times that each of them does, at a time" },
	{ NULL, 0, 0, NULL },
};

struct counter {
	struct rota_mutex mutex;
	uint64_t value; /* under the mutex */
	uint64_t locks;
	size_t tasks;
};

static int locker(void *arg)
{
	struct counter *counter = arg;
	const uint64_t locks = counter->locks; /* beside what all of them write */

	for (uint64_t i = 0; i < locks; i++) {
		rota_mutex_lock(&counter->mutex);
		counter->value++;
		rota_mutex_unlock(&counter->mutex);
	}
	return 0;
}

static int mutex_step(void *arg)
{
	struct counter *counter = arg;
	int rc;

	counter->value = 0;
	rc = crowd_run(counter->tasks, locker, NULL, counter);
	if (rc == 0 && counter->value != counter->tasks * counter->locks)
		rc = -EBADMSG;
	return rc;
}

static int inside(void *arg)
{
	struct counter *counter = arg;
	int rc = bench_time_each("mutex_uncontended", locker, counter, counter->locks);

	return rc < 0 ? rc : bench_time_each("mutex", mutex_step, counter, counter->tasks * counter->locks);
}

static int round_of_mutex(void)
{
	struct counter counter = {
		.mutex = ROTA_MUTEX_INIT,
		.tasks = (size_t)bench_param("tasks"),
		.locks = bench_param("locks"),
	};

	if (counter.tasks == 0 || counter.tasks > CROWD_MAX || counter.locks == 0)
		return -EINVAL;
	return bench_run(inside, &counter);
}

static const struct bench bench = {
	.name = "mutex",
	.about = "one mutex, locked by one task and by 64; per lock and unlock",
	.round = round_of_mutex,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
