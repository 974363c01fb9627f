/* SPDX-License-Identifier: MIT */
/*
 * A runtime with a task that waits for a connection which never comes, and nothing else to do: how often any of its
 * threads goes to sleep (and so was awake) in ten seconds, the runtime's own count of wake-ups, CPU time, memory.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "seconds", 10, 1, "to be idle" },
	{ "settle-ms", 500, 200, "before that, for the start to be over" },
	{ NULL, 0, 0, NULL },
};

static void sleep_ms(uint64_t ms)
{
	struct timespec ts = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

/* Adds how often one thread went to sleep. A thread that has ended meanwhile counts as nothing. */
static void add_switches(const char *tid, uint64_t *sum)
{
	static const char key[] = "voluntary_ctxt_switches:";
	char path[64], line[256];
	FILE *status;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", tid);
	status = fopen(path, "re");
	if (!status)
		return;
	while (fgets(line, sizeof(line), status))
		if (strncmp(line, key, sizeof(key) - 1) == 0)
			*sum += strtoull(line + sizeof(key) - 1, NULL, 10);
	fclose(status);
}

/* How often the threads of the process, save this one, went to sleep. */
static int voluntary_switches(uint64_t *ret)
{
	char own[24];
	struct dirent *entry;
	DIR *tasks = opendir("/proc/self/task");

	if (!tasks)
		return -errno;
	*ret = 0;
	snprintf(own, sizeof(own), "%d", (int)gettid());
	while ((entry = readdir(tasks)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, own) != 0)
			add_switches(entry->d_name, ret);
	closedir(tasks);
	return 0;
}

/* Waits until it is cancelled. */
static int wait_for_nobody(void *arg)
{
	int fd = rota_accept(*(const int *)arg, NULL, NULL);

	return fd == -ECANCELED ? 0 : -EPROTO;
}

static int be_idle(rota_runtime *rt)
{
	struct rota_metrics metrics_before, metrics_after;
	uint64_t switches_before, switches_after, cpu;
	int rc;

	sleep_ms(bench_param("settle-ms"));
	rc = voluntary_switches(&switches_before);
	if (rc < 0)
		return rc;
	rota_runtime_metrics(rt, &metrics_before);
	cpu = bench_cpu_ns();
	sleep_ms(bench_param("seconds") * 1000);
	cpu = bench_cpu_ns() - cpu;
	rota_runtime_metrics(rt, &metrics_after);
	rc = voluntary_switches(&switches_after);
	if (rc < 0)
		return rc;
	bench_report("switches", (double)(switches_after - switches_before), "count");
	bench_report("wakeups", (double)(metrics_after.wakeups - metrics_before.wakeups), "count");
	bench_report("cpu", (double)cpu / 1e3, "us");
	bench_report("rss", (double)bench_rss_bytes() / 1024, "KiB");
	return 0;
}

static int with_runtime(rota_runtime *rt)
{
	int rc, stopped, listener = rota_tcp_listen("127.0.0.1", "0", 1);

	if (listener < 0)
		return listener;
	rc = rota_spawn_on(rt, NULL, wait_for_nobody, &listener);
	if (rc == 0)
		rc = be_idle(rt);
	stopped = rota_runtime_shutdown(rt, ROTA_SECONDS(10)); /* cancels the task */
	close(listener);
	return rc < 0 ? rc : stopped;
}

static int round_of_idling(void)
{
	rota_runtime *rt;
	int rc = bench_runtime_new(&rt);

	if (rc < 0)
		return rc;
	rc = with_runtime(rt);
	rota_runtime_free(rt);
	return rc;
}

static const struct bench bench = {
	.name = "idle",
	.about = "a runtime with nothing to do",
	.round = round_of_idling,
	.params = params,
	.rounds = 3,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
