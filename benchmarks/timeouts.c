/* SPDX-License-Identifier: MIT */
/*
 * Tokio's time_now and time_timeout. time_now: a thread enters the runtime to ask what time it is, with a fiber, which
 * runs on a worker, or with a future, which it polls itself, as tokio's block_on does. timeout: tasks that put a limit
 * of a second around something that is there at once. timer_unused: a timer of a second that is made and never waited
 * for.
 */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

enum { ENTRIES = 100, UNUSED = 1000 };

static struct bench_param params[] = {
	{ "tasks", 8, 8, "tasks that put a limit around something, at most 1,000" },
	{ "limits", 1000, 100, "limits of each at a time" },
	{ NULL, 0, 0, NULL },
};

/* --- time_now ----------------------------------------------------------------------------------------------------------- */

static uint64_t last_look;

static int look_at_clock(void *arg)
{
	*(volatile uint64_t *)arg = rota_now();
	return 0;
}

static int enter_step(void *arg)
{
	int rc = 0;

	for (int i = 0; i < ENTRIES && rc == 0; i++)
		rc = rota_block_on(arg, look_at_clock, &last_look);
	return rc;
}

static rota_poll clock_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	look_at_clock(&last_look);
	self->status = 0;
	return ROTA_READY;
}

static const struct rota_future_ops clock_ops = { .poll = clock_poll, .name = "clock" };

static int poll_step(void *arg)
{
	int rc = 0;

	for (int i = 0; i < ENTRIES && rc == 0; i++) {
		struct rota_future clock;

		rota_future_init(&clock, &clock_ops);
		rc = rota_block_on_future(arg, &clock);
	}
	return rc;
}

static int measure_entries(void)
{
	double fiber_ns = 0, future_ns = 0;
	rota_runtime *rt;
	int rc = bench_runtime_new(&rt);

	if (rc < 0)
		return rc;
	rc = bench_time(enter_step, rt, &fiber_ns);
	if (rc == 0)
		rc = bench_time(poll_step, rt, &future_ns);
	rota_runtime_free(rt);
	if (rc == 0) {
		bench_report("time_now", fiber_ns / ENTRIES, "ns");
		bench_report("time_now_future", future_ns / ENTRIES, "ns");
	}
	return rc;
}

/* --- timeout ------------------------------------------------------------------------------------------------------------ */

static rota_poll ready_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	self->status = 1;
	return ROTA_READY;
}

static const struct rota_future_ops ready_ops = { .poll = ready_poll, .name = "ready" };

static int set_limits(void *arg)
{
	const uint64_t limits = bench_param("limits");
	int rc = 0;

	(void)arg;
	for (uint64_t i = 0; i < limits && rc == 0; i++) {
		struct rota_future ready;
		struct rota_scope scope;
		int status;

		rc = rota_scope_open(&scope, ROTA_SECONDS(1));
		if (rc < 0)
			return rc;
		rota_future_init(&ready, &ready_ops);
		status = rota_await(&ready);
		rc = rota_scope_close(&scope);
		if (rc == 0 && status != 1)
			rc = -EBADMSG;
	}
	return rc;
}

static int timeout_step(void *arg)
{
	return crowd_run((size_t)bench_param("tasks"), set_limits, NULL, arg);
}

/* --- timer_unused ------------------------------------------------------------------------------------------------------- */

static int unused_step(void *arg)
{
	(void)arg;
	for (int i = 0; i < UNUSED; i++) {
		struct rota_timer timer;

		rota_timer_init(&timer, rota_now() + ROTA_SECONDS(1));
		__asm__ volatile("" : : "r"(&timer) : "memory"); /* somebody might look at it */
	}
	return 0;
}

static int inside(void *arg)
{
	int rc = bench_time_each("timeout", timeout_step, arg, bench_param("tasks") * bench_param("limits"));

	return rc < 0 ? rc : bench_time_each("timer_unused", unused_step, arg, UNUSED);
}

static int round_of_timeouts(void)
{
	const uint64_t tasks = bench_param("tasks");
	int rc;

	if (tasks == 0 || tasks > CROWD_MAX || bench_param("limits") == 0)
		return -EINVAL;
	rc = bench_run(inside, NULL);
	return rc < 0 ? rc : measure_entries();
}

static const struct bench bench = {
	.name = "timeouts",
	.about = "entering the runtime to read the clock; limits around what is there at once; timers that nobody "
		 "waits for",
	.round = round_of_timeouts,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
