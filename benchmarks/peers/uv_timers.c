/* SPDX-License-Identifier: MIT */
/*
 * benchmarks/timers.c on libuv, whose timers count whole milliseconds: started and stopped; and as many as its own benchmark
 * million_timers has, here spread over a second that begins when all have been started. And benchmarks/blocking.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "uv.h"

enum { BATCH = 1000 };

static void never(uv_timer_t *timer)
{
	(void)timer;
	abort();
}

/* Nanoseconds for each of those that fit the time. */
static double start_and_stop(uv_loop_t *loop, uint64_t ms)
{
	static uv_timer_t timer;
	uint64_t elapsed, count = 0, start = uv_hrtime();

	uv_timer_init(loop, &timer);
	do {
		for (int i = 0; i < BATCH; i++) {
			uv_timer_start(&timer, never, 3600000, 0);
			uv_timer_stop(&timer);
		}
		count += BATCH;
		elapsed = uv_hrtime() - start;
	} while (elapsed < ms * 1000000);
	return (double)elapsed / (double)count;
}

static uint64_t timers_start;

/* When it was due is in the timer's data. */
static void on_due(uv_timer_t *timer)
{
	uint64_t now = uv_hrtime(), due = timers_start + (uint64_t)(uintptr_t)timer->data * 1000000;

	add_sample(now > due ? now - due : 0);
	uv_close((uv_handle_t *)timer, NULL);
}

void timers(void)
{
	uint64_t count = param("timers"), random = 1, cpu;
	uv_timer_t *all = malloc(count * sizeof(*all));
	uv_loop_t loop;

	check(all != NULL ? 0 : UV_ENOMEM, "memory");
	check(uv_loop_init(&loop), "loop");
	start_and_stop(&loop, param("warmup-ms"));
	printf("timer_start_cancel %g ns\n", start_and_stop(&loop, param("round-ms")));

	clear_samples();
	cpu = cpu_ns();
	uv_update_time(&loop);
	timers_start = uv_hrtime();
	for (uint64_t i = 0; i < count; i++) {
		uint64_t due = param("lead-ms") + next_random(&random) % param("spread-ms");

		uv_timer_init(&loop, &all[i]);
		all[i].data = (void *)(uintptr_t)due;
		uv_timer_start(&all[i], on_due, due, 0);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	printf("timer_cpu %g us\n", (double)(cpu_ns() - cpu) / 1e3 / (double)count);
	sort_samples();
	report_quantile("timer_late_p50", 0.50);
	report_quantile("timer_late_p99", 0.99);
	uv_loop_close(&loop);
	free(all);
}

/* --- blocking ----------------------------------------------------------------------------------------------------------- */

static uint64_t jobs_done;
static int jobs_stop;

static void empty(uv_work_t *job)
{
	(void)job;
}

static void again(uv_work_t *job, int status)
{
	check(status, "job");
	jobs_done++;
	if (!jobs_stop)
		check(uv_queue_work(job->loop, job, empty, again), "queue");
}

static void stop_jobs(uv_timer_t *timer)
{
	jobs_stop = 1;
	uv_close((uv_handle_t *)timer, NULL);
}

/* The pool has libuv's four threads. */
static double run_jobs(uv_loop_t *loop, uv_work_t *jobs, uint64_t in_flight, uint64_t ms)
{
	uint64_t start = uv_hrtime();
	uv_timer_t timer;

	jobs_done = 0;
	jobs_stop = 0;
	for (uint64_t i = 0; i < in_flight; i++)
		check(uv_queue_work(loop, &jobs[i], empty, again), "queue");
	uv_timer_init(loop, &timer);
	uv_timer_start(&timer, stop_jobs, ms, 0);
	uv_run(loop, UV_RUN_DEFAULT);
	return (double)(uv_hrtime() - start) / 1e3 / (double)jobs_done;
}

void blocking(void)
{
	uint64_t in_flight = param("tasks");
	uv_work_t *jobs = calloc(in_flight, sizeof(*jobs));
	uv_loop_t loop;

	check(jobs != NULL ? 0 : UV_ENOMEM, "memory");
	check(uv_loop_init(&loop), "loop");
	run_jobs(&loop, jobs, in_flight, param("warmup-ms"));
	printf("blocking %g us\n", run_jobs(&loop, jobs, in_flight, param("round-ms")));
	uv_loop_close(&loop);
	free(jobs);
}
