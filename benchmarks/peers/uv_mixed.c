/* SPDX-License-Identifier: MIT */
/* benchmarks/mixed.c on libuv: the echo is on the loop, fib without end is jobs of the thread pool, one for each worker. Each
 * alone, then both. */
#include <stdio.h>
#include <stdlib.h>

#include "uv.h"

enum { JOBS_MAX = 64 };

static uint64_t fib_done, fib_result;
static int fib_stop;
static uv_work_t jobs[JOBS_MAX];

static uint64_t fib(uint64_t n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static void fib_once(uv_work_t *job)
{
	(void)job;
	if (fib(param("fib")) != fib_result)
		abort();
}

static void fib_again(uv_work_t *job, int status)
{
	check(status, "job");
	fib_done++;
	if (!fib_stop)
		check(uv_queue_work(job->loop, job, fib_once, fib_again), "queue");
}

static void compute(uv_loop_t *loop)
{
	fib_done = 0;
	fib_stop = 0;
	for (uint64_t i = 0; i < param("workers"); i++)
		check(uv_queue_work(loop, &jobs[i], fib_once, fib_again), "queue");
}

static void stop_fib(void)
{
	fib_stop = 1;
}

/* Computations in a second, alone. */
static uint64_t counted, counted_ns;

static void on_end(uv_timer_t *timer)
{
	counted = fib_done - counted;
	counted_ns = uv_hrtime() - counted_ns;
	stop_fib();
	uv_close((uv_handle_t *)timer, NULL);
}

static void on_warm(uv_timer_t *timer)
{
	counted = fib_done;
	counted_ns = uv_hrtime();
	uv_timer_start(timer, on_end, param("round-ms"), 0);
}

static double alone(uv_loop_t *loop)
{
	uv_timer_t timer;

	compute(loop);
	uv_timer_init(loop, &timer);
	uv_timer_start(&timer, on_warm, param("warmup-ms"), 0);
	uv_run(loop, UV_RUN_DEFAULT);
	return (double)counted * 1e9 / (double)counted_ns;
}

static void echo_round(uv_loop_t *loop, const char *name, void (*at_end)(void))
{
	struct echo_outcome outcome = run_echo(loop, param("clients"), param("pause-ms"), at_end);
	char full[48];

	printf("echo_%s %g rt/s\n", name, outcome.trips_per_s);
	snprintf(full, sizeof(full), "p99_%s", name);
	report_quantile(full, 0.99);
	snprintf(full, sizeof(full), "p50_%s", name);
	report_quantile(full, 0.50);
}

void mixed(void)
{
	double free_speed, shared_speed;
	uint64_t start;
	char threads[24];
	uv_loop_t loop;

	if (param("workers") > JOBS_MAX || param("clients") == 0)
		exit(2);
	snprintf(threads, sizeof(threads), "%llu", (unsigned long long)param("workers"));
	setenv("UV_THREADPOOL_SIZE", threads, 1);
	fib_result = fib(param("fib"));
	check(uv_loop_init(&loop), "loop");
	echo_round(&loop, "alone", NULL);
	free_speed = alone(&loop);
	start = uv_hrtime();
	compute(&loop);
	echo_round(&loop, "beside", stop_fib);
	shared_speed = (double)fib_done * 1e9 / (double)(uv_hrtime() - start);
	uv_loop_close(&loop);
	printf("fib_alone %g fib/s\nfib_beside %g fib/s\n", free_speed, shared_speed);
	printf("fib_loses %g %%\n", 100 - shared_speed / free_speed * 100);
}
