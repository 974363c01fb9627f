/* SPDX-License-Identifier: MIT */
/* benchmarks/wake.c on libuv: a thread wakes a loop by uv_async_send; beside it, if busy, jobs of the thread pool compute in
 * steps of 50 us, one for each worker. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "uv.h"

enum { PAUSE_MIN_NS = 50000, PAUSE_SPREAD_NS = 100000, STEP_US = 50, HOGS_MAX = 64 };

static _Atomic uint64_t woken, ran;
static atomic_bool measuring, stop;
static uv_work_t hogs_at_work[HOGS_MAX];

static void hog_step(uv_work_t *job)
{
	const uint64_t until = uv_hrtime() + STEP_US * 1000;

	(void)job;
	while (uv_hrtime() < until)
		;
}

static void hog_again(uv_work_t *job, int status)
{
	check(status, "job");
	if (!atomic_load(&stop))
		check(uv_queue_work(job->loop, job, hog_step, hog_again), "queue");
}

static void on_bell(uv_async_t *bell)
{
	const uint64_t now = uv_hrtime();

	if (atomic_load(&stop)) {
		uv_close((uv_handle_t *)bell, NULL);
		return;
	}
	if (atomic_load(&measuring))
		add_sample(now - atomic_load(&woken));
	atomic_fetch_add(&ran, 1);
}

static void run_loop(void *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
}

/* Unless the loop has not run since the last time. */
static void wake_again_and_again(uv_async_t *bell)
{
	const uint64_t warm = uv_hrtime() + param("warmup-ms") * 1000000, end = warm + param("round-ms") * 1000000;
	uint64_t wakes = 0, random = 1;

	while (uv_hrtime() < end) {
		const struct timespec pause = { .tv_nsec =
							PAUSE_MIN_NS + (long)(next_random(&random) % PAUSE_SPREAD_NS) };

		nanosleep(&pause, NULL);
		if (atomic_load(&ran) < wakes)
			continue;
		wakes++;
		atomic_store(&measuring, uv_hrtime() >= warm);
		atomic_store(&woken, uv_hrtime());
		uv_async_send(bell);
	}
}

static void measure(const char *beside, uint64_t hogs)
{
	uv_thread_t thread;
	uv_async_t bell;
	uv_loop_t loop;
	char name[48];

	check(uv_loop_init(&loop), "loop");
	check(uv_async_init(&loop, &bell, on_bell), "async");
	clear_samples();
	atomic_store(&ran, 0);
	atomic_store(&measuring, false);
	atomic_store(&stop, false);
	for (uint64_t i = 0; i < hogs; i++)
		check(uv_queue_work(&loop, &hogs_at_work[i], hog_step, hog_again), "queue");
	check(uv_thread_create(&thread, run_loop, &loop), "thread");
	wake_again_and_again(&bell);
	atomic_store(&stop, true);
	uv_async_send(&bell);
	uv_thread_join(&thread);
	uv_loop_close(&loop);
	sort_samples();
	snprintf(name, sizeof(name), "wake_thread_%s_p50", beside);
	report_quantile(name, 0.50);
	snprintf(name, sizeof(name), "wake_thread_%s_p99", beside);
	report_quantile(name, 0.99);
}

void wake(void)
{
	char threads[24];

	if (param("workers") == 0 || param("workers") > HOGS_MAX)
		exit(2);
	snprintf(threads, sizeof(threads), "%llu", (unsigned long long)param("workers"));
	setenv("UV_THREADPOOL_SIZE", threads, 1);
	measure("idle", 0);
	measure("busy", param("workers"));
}
