/* SPDX-License-Identifier: MIT */
/*
 * A million tasks asleep at once: time to start them and to join them, resident memory and page tables per task
 * while they sleep (the benchmark's own arrays included), what of it is the runtime's (not the stacks), and how many
 * mappings of the address space they take, of those that the system allows a process. With --futures 1 they have no
 * stacks.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "tasks", 1000000, 10000, "tasks that sleep" },
	{ "sleep-ms", 20000, 500, "from the first spawn to the waking of all: time to start them" },
	{ "futures", 0, 0, "1: tasks without stacks" },
	{ NULL, 0, 0, NULL },
};

struct dormitory {
	size_t tasks;
	uint64_t deadline;
	_Atomic uint64_t started;
	rota_task **handles;
	struct stackless *stackless; /* NULL: fibers */
};

/* A sleeper without a stack. */
struct stackless {
	struct rota_future future;
	struct rota_timer timer;
	struct dormitory *dormitory; /* NULL once it has been polled */
};

struct memory {
	uint64_t rss, page_tables, mappings;
	uint64_t runtime; /* what rota holds, as it says itself */
};

/* A line `key: N kB` of /proc/self/status, in bytes. */
static int status_bytes(const char *key, uint64_t *ret)
{
	char line[256];
	size_t len = strlen(key);
	int rc = -ENOENT;
	FILE *status = fopen("/proc/self/status", "re");

	if (!status)
		return -errno;
	while (rc < 0 && fgets(line, sizeof(line), status)) {
		if (strncmp(line, key, len) != 0 || line[len] != ':')
			continue;
		*ret = strtoull(line + len + 1, NULL, 10) * 1024;
		rc = 0;
	}
	fclose(status);
	return rc;
}

/* How many mappings the process has. */
static int count_mappings(uint64_t *ret)
{
	uint64_t lines = 0;
	int c;
	FILE *maps = fopen("/proc/self/maps", "re");

	if (!maps)
		return -errno;
	while ((c = getc(maps)) != EOF)
		lines += c == '\n';
	fclose(maps);
	*ret = lines;
	return 0;
}

static int look_at_memory(struct memory *ret)
{
	struct rota_metrics metrics;
	int rc;

	rota_runtime_metrics(rota_runtime_current(), &metrics);
	ret->runtime = metrics.memory_bytes;
	ret->rss = bench_rss_bytes();
	rc = status_bytes("VmPTE", &ret->page_tables);
	return rc < 0 ? rc : count_mappings(&ret->mappings);
}

static int sleep_as_fiber(void *arg)
{
	struct dormitory *d = arg;

	atomic_fetch_add_explicit(&d->started, 1, memory_order_relaxed);
	return rota_sleep_until(d->deadline);
}

static rota_poll stackless_poll(struct rota_future *self, struct rota_context *cx)
{
	struct stackless *s = (struct stackless *)self; /* its first member */

	if (s->dormitory) {
		atomic_fetch_add_explicit(&s->dormitory->started, 1, memory_order_relaxed);
		s->dormitory = NULL;
	}
	if (rota_future_poll(&s->timer.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	s->future.status = s->timer.future.status;
	return ROTA_READY;
}

static void stackless_cancel(struct rota_future *self)
{
	rota_future_cancel(&((struct stackless *)self)->timer.future);
}

static const struct rota_future_ops stackless_ops = { .poll = stackless_poll, .cancel = stackless_cancel };

static int start_one(struct dormitory *d, size_t i)
{
	struct stackless *s;

	if (!d->stackless)
		return rota_spawn(&d->handles[i], sleep_as_fiber, d);
	s = &d->stackless[i];
	s->dormitory = d;
	rota_future_init(&s->future, &stackless_ops);
	rota_timer_init(&s->timer, d->deadline);
	return rota_spawn_future(&d->handles[i], &s->future);
}

/* Until every task has begun to sleep. */
static int await_start(struct dormitory *d)
{
	int rc = 0;

	while (rc == 0 && atomic_load_explicit(&d->started, memory_order_relaxed) < d->tasks)
		rc = rota_sleep(ROTA_MS(1));
	return rc;
}

static int join_all(struct dormitory *d, size_t spawned, int rc)
{
	for (size_t i = 0; i < spawned; i++) {
		int status = 0, joined;

		if (rc < 0)
			rota_cancel(d->handles[i]); /* cannot fail with a handle */
		joined = rota_join(d->handles[i], &status);
		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

static void report(const struct dormitory *d, const struct memory *before, const struct memory *asleep)
{
	double tasks = (double)d->tasks;

	bench_report("rss", (double)(asleep->rss - before->rss) / tasks, "B");
	bench_report("runtime_memory", (double)(asleep->runtime - before->runtime) / tasks, "B");
	bench_report("page_tables", (double)(asleep->page_tables - before->page_tables) / tasks, "B");
	bench_report("mappings", (double)asleep->mappings, "count");
	bench_report("max_map_count", (double)bench_file_number("/proc/sys/vm/max_map_count", 0), "count");
}

static int sleep_all(struct dormitory *d)
{
	struct memory before, asleep = { 0 };
	uint64_t start, started = 0, joined;
	size_t spawned = 0;
	int rc = look_at_memory(&before);

	if (rc < 0)
		return rc;
	start = rota_now();
	d->deadline = start + ROTA_MS(bench_param("sleep-ms"));
	while (spawned < d->tasks && rc == 0) {
		rc = start_one(d, spawned);
		spawned += rc == 0;
	}
	if (rc == 0)
		rc = await_start(d);
	started = rota_now();
	if (rc == 0)
		rc = look_at_memory(&asleep);
	if (rc == 0 && rota_now() > d->deadline) {
		fprintf(stderr, "sleepers: the first slept out before the last had started: raise --sleep-ms\n");
		rc = -ETIME; /* what was seen is not a million asleep */
	}
	rc = join_all(d, spawned, rc);
	joined = rota_now();
	if (rc < 0)
		return rc;
	bench_report("start", (double)(started - start) / (double)d->tasks, "ns");
	bench_report("wake_join", (double)(joined - d->deadline) / (double)d->tasks, "ns");
	report(d, &before, &asleep);
	return 0;
}

static int inside(void *arg)
{
	return sleep_all(arg);
}

static int round_of_sleepers(void)
{
	struct dormitory d = { .tasks = (size_t)bench_param("tasks") };
	int rc = -ENOMEM;

	if (d.tasks == 0)
		return -EINVAL;
	d.handles = calloc(d.tasks, sizeof(*d.handles));
	if (!d.handles)
		return -ENOMEM;
	if (bench_param("futures"))
		d.stackless = calloc(d.tasks, sizeof(*d.stackless));
	if (d.stackless || !bench_param("futures"))
		rc = bench_run(inside, &d);
	free(d.stackless);
	free(d.handles);
	return rc;
}

static const struct bench bench = {
	.name = "sleepers",
	.about = "a million tasks asleep at once, started and joined",
	.round = round_of_sleepers,
	.params = params,
	.rounds = 3,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
