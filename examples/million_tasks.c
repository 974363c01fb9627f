/* SPDX-License-Identifier: MIT */
/*
 * "Tasks are essentially free": a million of them, all of which wait at the same time, first without stacks (futures),
 * then with (fibers). What each of them costs: time to start it and to end it, memory while it waits.
 *
 *   million_tasks [count]     default 1000000
 *
 * A fiber touches at least one page of its stack, and the kernel adds page tables: a million take more than 4 GiB. So they
 * are fewer where less than twice of that is free; and so are futures, of which a million take 300 MB.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rota.h>

/* SOME: as many are started, and let go, before others get a turn. */
enum { DEFAULT_COUNT = 1000000, MAX_COUNT = 100000000, SOME = 1000, FUTURE_BYTES = 320, FIBER_BYTES = 5 * 1024 };

/* What the tasks of one crowd share: each says that it waits, and waits until the gate lets it through. */
struct crowd {
	size_t count;
	struct rota_wait_group waiting; /* those that do not wait yet */
	struct rota_semaphore gate;
	rota_task **tasks;
	struct stackless *stackless; /* NULL: fibers */
};

/* --- a task with a stack ---------------------------------------------------------------------------------------- */

static int wait_at_gate(void *arg)
{
	struct crowd *crowd = arg;

	rota_wait_group_done(&crowd->waiting);
	return rota_semaphore_acquire(&crowd->gate, 1);
}

/* --- a task without --------------------------------------------------------------------------------------------- */

struct stackless {
	struct rota_async async;
	struct rota_semaphore_op wait;
	struct crowd *crowd;
};

static rota_poll stackless_poll(struct rota_future *self, struct rota_context *cx)
{
	struct stackless *s = (struct stackless *)self; /* its first member */

	ROTA_ASYNC_BEGIN(s);
	rota_wait_group_done(&s->crowd->waiting);
	rota_semaphore_acquire_init(&s->wait, &s->crowd->gate, 1);
	ROTA_AWAIT(s, cx, &s->wait.future);
	ROTA_ASYNC_RETURN(s, s->wait.future.status);
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops stackless_ops = ROTA_ASYNC_OPS(stackless_poll, "stackless");

/* --- memory ----------------------------------------------------------------------------------------------------- */

/* A line `key: N kB` of a file in /proc, in bytes; 0: it is not there. */
static uint64_t proc_bytes(const char *path, const char *key)
{
	char line[256];
	uint64_t bytes = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			bytes = strtoull(line + strlen(key), NULL, 10) * 1024;
	fclose(file);
	return bytes;
}

/* Of this process, with its page tables. */
static uint64_t memory_in_use(void)
{
	return proc_bytes("/proc/self/status", "VmRSS:") + proc_bytes("/proc/self/status", "VmPTE:");
}

/* What a container may use; UINT64_MAX: as much as there is. */
static uint64_t container_limit(void)
{
	uint64_t bytes = UINT64_MAX;
	FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");

	if (!file)
		return bytes;
	if (fscanf(file, "%" SCNu64, &bytes) != 1)
		bytes = UINT64_MAX; /* "max" */
	fclose(file);
	return bytes;
}

/* As many of `count` tasks of this size as half of the free memory has room for. */
static size_t affordable(size_t count, uint64_t bytes)
{
	uint64_t free = proc_bytes("/proc/meminfo", "MemAvailable:"), limit = container_limit();
	uint64_t room = (free < limit ? free : limit) / 2 / bytes;

	return room > 0 && room < count ? (size_t)room : count;
}

/* --- the crowd -------------------------------------------------------------------------------------------------- */

static int start_one(struct crowd *crowd, size_t i)
{
	struct stackless *s;

	if (i % SOME == 0) {
		int rc = rota_yield();

		if (rc < 0)
			return rc;
	}
	rota_wait_group_add(&crowd->waiting, 1);
	if (!crowd->stackless)
		return rota_spawn(&crowd->tasks[i], wait_at_gate, crowd);
	s = &crowd->stackless[i];
	rota_async_init(&s->async, &stackless_ops);
	s->crowd = crowd;
	return rota_spawn_future(&crowd->tasks[i], &s->async.future);
}

/* Opens the gate and waits for all that were started: they use what is the caller's. */
static int end_all(struct crowd *crowd, size_t started, int rc)
{
	rota_shield_enter(); /* behind which no wait fails */
	for (size_t i = 0; i < started; i += SOME) {
		rota_semaphore_release(&crowd->gate, SOME);
		rota_yield();
	}
	for (size_t i = 0; i < started; i++) {
		int status = 0, joined = rota_join(crowd->tasks[i], &status);

		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	rota_shield_leave();
	return rc;
}

static int run(struct crowd *crowd)
{
	const size_t count = crowd->count;
	uint64_t memory = memory_in_use(), start = rota_now(), up, down;
	size_t started = 0;
	int rc = 0;

	for (; started < count && rc == 0; started += rc == 0)
		rc = start_one(crowd, started);
	if (rc == 0)
		rc = rota_wait_group_wait(&crowd->waiting);
	up = rota_now();
	memory = memory_in_use() - memory;
	down = rota_now();
	rc = end_all(crowd, started, rc);
	if (rc < 0)
		return rc;
	printf("%8zu %-8s %8" PRIu64 " B %10.0f ns %10.0f ns\n", count, crowd->stackless ? "futures" : "fibers",
	       memory / count, (double)(up - start) / (double)count, (double)(rota_now() - down) / (double)count);
	return fflush(stdout) != 0 ? -errno : 0;
}

static int run_crowd(size_t count, bool stackless)
{
	struct crowd crowd = {
		.count = count,
		.waiting = ROTA_WAIT_GROUP_INIT,
		.gate = ROTA_SEMAPHORE_INIT(0),
		.tasks = calloc(count, sizeof(*crowd.tasks)),
		.stackless = stackless ? calloc(count, sizeof(*crowd.stackless)) : NULL,
	};
	int rc = crowd.tasks && (crowd.stackless || !stackless) ? run(&crowd) : -ENOMEM;

	free(crowd.stackless);
	free(crowd.tasks);
	return rc;
}

static int async_main(int argc, char **argv)
{
	unsigned long count = DEFAULT_COUNT;
	char *end = "";
	int rc;

	if (argc > 1)
		count = strtoul(argv[1], &end, 10);
	if (argc > 2 || *end != '\0' || count == 0 || count > MAX_COUNT) {
		fprintf(stderr, "usage: %s [count up to %d]\n", argv[0], MAX_COUNT);
		return 2;
	}
	printf("%8s %-8s %10s %13s %13s\n", "", "tasks", "memory", "start", "end");
	rc = run_crowd(affordable(count, FUTURE_BYTES), true);
	rota_runtime_trim(rota_runtime_current());
	if (rc == 0)
		rc = run_crowd(affordable(count, FIBER_BYTES), false);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "million_tasks: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
