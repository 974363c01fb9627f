/* SPDX-License-Identifier: MIT */
/* benchmarks/hogs.c on libuv: the ticker and the echo are on one loop, the hogs' steps are jobs of the thread pool,
 * which has as many threads as there are hogs. */
#include <stdio.h>
#include <stdlib.h>

#include "uv.h"

enum { PIECE = 1000, HOGS_MAX = 64 };

static volatile uint64_t sink;

static void work(uint64_t pieces)
{
	uint64_t state = pieces, sum = 0;

	for (uint64_t i = 0; i < pieces * PIECE; i++) {
		uint64_t z = state += 0x9e3779b97f4a7c15u;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		sum ^= z ^ (z >> 31);
	}
	sink = sum;
}

static uint64_t pieces_per_ms(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 30; i++) {
		uint64_t start = uv_hrtime(), ns;

		work(200);
		ns = uv_hrtime() - start;
		best = ns < best ? ns : best;
	}
	return (uint64_t)1000000 * 200 / best;
}

static uint64_t hog_pieces, hog_steps;
static int hogs_stop;
static uv_work_t hog_jobs[HOGS_MAX];

static void hog_step(uv_work_t *job)
{
	(void)job;
	work(hog_pieces);
}

static void hog_again(uv_work_t *job, int status)
{
	(void)status;
	hog_steps++;
	if (!hogs_stop)
		check(uv_queue_work(job->loop, job, hog_step, hog_again), "queue");
}

static void let_loose(uv_loop_t *loop, uint64_t hogs, uint64_t pieces)
{
	hog_pieces = pieces;
	hog_steps = 0;
	hogs_stop = 0;
	for (uint64_t i = 0; i < hogs; i++)
		check(uv_queue_work(loop, &hog_jobs[i], hog_step, hog_again), "queue");
}

/* --- the ticker --------------------------------------------------------------------------------------------------- */

static uint64_t tick_due, ticks_left;

/* libuv's timers count whole milliseconds: the next is set for the first one that is not before its time. */
static void on_tick(uv_timer_t *timer)
{
	uint64_t now = uv_hrtime();

	if (now >= tick_due) {
		add_sample(now - tick_due);
		tick_due += (now - tick_due) / 1000000 * 1000000 + 1000000;
		if (--ticks_left == 0) {
			hogs_stop = 1;
			uv_close((uv_handle_t *)timer, NULL);
			return;
		}
	}
	uv_update_time(timer->loop);
	uv_timer_start(timer, on_tick, tick_due > now ? (tick_due - now + 999999) / 1000000 : 0, 0);
}

static void ticker(uint64_t hogs, uint64_t pieces)
{
	uv_timer_t timer;
	uv_loop_t loop;
	char name[48];

	check(uv_loop_init(&loop), "loop");
	clear_samples();
	ticks_left = param("ticks");
	let_loose(&loop, hogs, pieces);
	uv_timer_init(&loop, &timer);
	tick_due = uv_hrtime() + param("warmup-ms") * 1000000;
	uv_timer_start(&timer, on_tick, param("warmup-ms"), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	sort_samples();
	snprintf(name, sizeof(name), "ticker_%llu_p50", (unsigned long long)hogs);
	report_quantile(name, 0.50);
	snprintf(name, sizeof(name), "ticker_%llu_p99", (unsigned long long)hogs);
	report_quantile(name, 0.99);
}

static void stop_hogs(void)
{
	hogs_stop = 1;
}

static void beside_echo(uint64_t hogs, uint64_t pieces)
{
	uint64_t start = uv_hrtime();
	struct echo_outcome outcome;
	uv_loop_t loop;

	check(uv_loop_init(&loop), "loop");
	let_loose(&loop, hogs, pieces);
	outcome = run_echo(&loop, param("clients"), 0, stop_hogs);
	uv_loop_close(&loop);
	printf("echo %g rt/s\n", outcome.trips_per_s);
	report_quantile("echo_p50", 0.50);
	report_quantile("echo_p99", 0.99);
	printf("echo_steps %g steps/s\n", (double)hog_steps * 1e9 / (double)(uv_hrtime() - start));
}

void hogs(void)
{
	uint64_t count = param("hogs"), per_ms;
	char threads[24];

	if (count > HOGS_MAX)
		exit(2);
	snprintf(threads, sizeof(threads), "%llu", (unsigned long long)(count > 0 ? count : 1));
	setenv("UV_THREADPOOL_SIZE", threads, 1);
	per_ms = pieces_per_ms();
	for (uint64_t i = 0; i <= count; i++)
		ticker(i, per_ms * param("ticker-step-ms"));
	if (param("clients") > 0)
		beside_echo(count, per_ms * param("echo-step-ms"));
}
