/* SPDX-License-Identifier: MIT */
/* One mutex, locked and unlocked by one task, and by 64. */
#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "tasks", 64, 64, "tasks that lock" },
	{ "locks", 1000, 100, "times that each of them does, at a time" },
	{ NULL, 0, 0, NULL },
};

struct counter {
	struct rota_mutex mutex;
	uint64_t value; /* under the mutex */
	uint64_t locks;
	size_t tasks;
	rota_task **handles;
};

static int locker(void *arg)
{
	struct counter *counter = arg;

	for (uint64_t i = 0; i < counter->locks; i++) {
		rota_mutex_lock(&counter->mutex);
		counter->value++;
		rota_mutex_unlock(&counter->mutex);
	}
	return 0;
}

static int mutex_step(void *arg)
{
	struct counter *counter = arg;
	size_t spawned = 0;
	int rc = 0;

	counter->value = 0;
	while (spawned < counter->tasks && rc == 0) {
		rc = rota_spawn(&counter->handles[spawned], locker, counter);
		spawned += rc == 0;
	}
	for (size_t i = 0; i < spawned; i++) {
		int joined = rota_join(counter->handles[i], NULL);

		rc = rc < 0 ? rc : joined;
	}
	if (rc == 0 && counter->value != counter->tasks * counter->locks)
		rc = -EBADMSG;
	return rc;
}

static int inside(void *arg)
{
	struct counter *counter = arg;
	double ns = 0;
	int rc = bench_time(locker, counter, &ns);

	if (rc < 0)
		return rc;
	bench_report("mutex_uncontended", ns / (double)counter->locks, "ns");
	rc = bench_time(mutex_step, counter, &ns);
	if (rc == 0)
		bench_report("mutex", ns / (double)(counter->tasks * counter->locks), "ns");
	return rc;
}

static int round_of_mutex(void)
{
	struct counter counter = {
		.mutex = ROTA_MUTEX_INIT,
		.tasks = (size_t)bench_param("tasks"),
		.locks = bench_param("locks"),
	};
	int rc;

	if (counter.tasks == 0 || counter.locks == 0)
		return -EINVAL;
	counter.handles = calloc(counter.tasks, sizeof(rota_task *));
	if (!counter.handles)
		return -ENOMEM;
	rc = bench_run(inside, &counter);
	free(counter.handles);
	return rc;
}

static const struct bench bench = {
	.name = "mutex",
	.about = "one mutex, locked by one task and by 64; per lock and unlock",
	.round = round_of_mutex,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
