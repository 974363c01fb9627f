/* SPDX-License-Identifier: MIT */
/*
 * From waking a task until it runs, once every 100 us or so: woken by a plain thread, and by a task that sleeps
 * meanwhile; on a machine that is idle otherwise, and beside tasks that compute in steps of 50 us, one for each worker.
 * The pauses are random, from 50 to 150 us: were they all alike, the wakes would keep step with the steps.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "measure.h"

enum { HOGS_MAX = 64, PAUSE_MIN_NS = 50000, PAUSE_SPREAD_NS = 100000, STEP_US = 50 };

static struct bench_param params[] = {
	{ NULL, 0, 0, NULL },
};

/* One sleeper, woken again and again. `woken` is written by who wakes, and read by the sleeper, which answers with `ran`. */
struct bed {
	struct rota_notify bell;
	_Atomic uint64_t woken; /* when */
	_Atomic uint64_t ran;   /* how often */
	atomic_bool stop;
	bool measuring; /* written before a wake, read after it */
	struct bench_histogram latency;
};

static int sleeper(void *arg)
{
	struct bed *bed = arg;
	int rc = 0;

	while (rc == 0) {
		uint64_t now;

		rc = rota_notify_wait(&bed->bell);
		now = rota_now();
		if (atomic_load_explicit(&bed->stop, memory_order_acquire))
			break;
		if (bed->measuring)
			bench_histogram_add(&bed->latency,
					    now - atomic_load_explicit(&bed->woken, memory_order_relaxed));
		atomic_fetch_add_explicit(&bed->ran, 1, memory_order_release);
	}
	return rc;
}

/* Through warm-up and round: waits with `pause`, then wakes, unless the sleeper has not run since the last time. */
static int wake_again_and_again(struct bed *bed, int (*pause)(uint64_t ns))
{
	uint64_t start = rota_now(), warm = start + ROTA_MS(bench_param("warmup-ms"));
	uint64_t end = warm + ROTA_MS(bench_param("round-ms")), now, wakes = 0, random = 1;
	int rc;

	do {
		rc = pause(PAUSE_MIN_NS + bench_random(&random) % PAUSE_SPREAD_NS);
		now = rota_now();
		if (atomic_load_explicit(&bed->ran, memory_order_acquire) < wakes)
			continue;
		bed->measuring = now >= warm;
		wakes++;
		now = rota_now();
		atomic_store_explicit(&bed->woken, now, memory_order_relaxed);
		rota_notify_one(&bed->bell);
	} while (rc == 0 && now < end);
	return rc;
}

static void stop_sleeper(struct bed *bed)
{
	atomic_store_explicit(&bed->stop, true, memory_order_release);
	rota_notify_one(&bed->bell);
}

/* --- who wakes ------------------------------------------------------------------------------------------------------ */

static int thread_pause(uint64_t ns)
{
	const struct timespec ts = { .tv_nsec = (long)ns };

	nanosleep(&ts, NULL);
	return 0;
}

static int task_pause(uint64_t ns)
{
	return rota_sleep(ns);
}

static int wake_by_task(void *arg)
{
	return wake_again_and_again(arg, task_pause);
}

/* --- who computes --------------------------------------------------------------------------------------------------- */

static atomic_bool hogs_stop;

static int hog(void *arg)
{
	int rc = 0;

	(void)arg;
	while (rc == 0 && !atomic_load_explicit(&hogs_stop, memory_order_relaxed)) {
		uint64_t until = rota_now() + ROTA_US(STEP_US);

		while (rota_now() < until)
			;
		rc = rota_yield();
	}
	return rc;
}

static int let_loose(rota_runtime *rt, rota_task **tasks, size_t count)
{
	int rc = 0;

	atomic_store(&hogs_stop, false);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = rota_spawn_on(rt, &tasks[i], hog, NULL);
	return rc;
}

/* --- rounds --------------------------------------------------------------------------------------------------------- */

static void report(const char *by, const char *beside, const struct bench_histogram *latency)
{
	char name[48];

	snprintf(name, sizeof(name), "wake_%s_%s_p50", by, beside);
	bench_report(name, (double)bench_histogram_quantile(latency, 0.50) / 1e3, "us");
	snprintf(name, sizeof(name), "wake_%s_%s_p99", by, beside);
	bench_report(name, (double)bench_histogram_quantile(latency, 0.99) / 1e3, "us");
}

/* The environment may have none, whatever was asked for. */
static bool has_workers(void)
{
	const char *flavor = getenv("ROTA_FLAVOR");

	return bench_param("workers") > 0 && (!flavor || strcmp(flavor, "current_thread") != 0);
}

/* From this thread, on a runtime of its own. */
static int measure(bool by_task, bool busy)
{
	static struct bed bed;
	rota_task *hogs[HOGS_MAX], *sleeping = NULL;
	size_t workers = (size_t)bench_param("workers");
	rota_runtime *rt;
	int rc, stopped;

	if (!has_workers() || workers > HOGS_MAX) /* without workers nobody would be there to be woken by a thread */
		return -EINVAL;
	rc = bench_runtime_new(&rt);
	if (rc < 0)
		return rc;
	bed = (struct bed){ .stop = false };
	rota_notify_init(&bed.bell);
	rc = rota_spawn_on(rt, &sleeping, sleeper, &bed);
	if (rc == 0 && busy)
		rc = let_loose(rt, hogs, workers);
	if (rc == 0)
		rc = by_task ? rota_block_on(rt, wake_by_task, &bed) : wake_again_and_again(&bed, thread_pause);
	atomic_store(&hogs_stop, true);
	stop_sleeper(&bed);
	if (sleeping)
		rota_join(sleeping, NULL);
	for (size_t i = 0; rc == 0 && busy && i < workers; i++)
		rota_join(hogs[i], NULL);
	stopped = rota_runtime_shutdown(rt, ROTA_SECONDS(60));
	if (stopped < 0)
		return rc < 0 ? rc : stopped;
	rota_runtime_free(rt);
	rota_notify_deinit(&bed.bell);
	if (rc == 0)
		report(by_task ? "task" : "thread", busy ? "busy" : "idle", &bed.latency);
	return rc;
}

static int round_of_wakes(void)
{
	int rc = 0;

	for (int which = 0; which < 4 && rc == 0; which++)
		rc = measure(which & 1, which & 2);
	return rc;
}

static const struct bench bench = {
	.name = "wake",
	.about = "from waking a task until it runs",
	.round = round_of_wakes,
	.params = params,
	.round_ms = 500,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
