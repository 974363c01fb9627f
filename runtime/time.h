/* SPDX-License-Identifier: MIT */
/* Time: nanoseconds of CLOCK_MONOTONIC. Sleeping, and ticking at an interval. */
#ifndef ROTA_RUNTIME_TIME_H
#define ROTA_RUNTIME_TIME_H

#include "future.h"
#include "types.h"

ROTA_BEGIN_DECLS

#define ROTA_US(n) ((uint64_t)1000 * (n))
#define ROTA_MS(n) ((uint64_t)1000000 * (n))
#define ROTA_SECONDS(n) ((uint64_t)1000000000 * (n))
#define ROTA_NEVER UINT64_MAX /* as a deadline: none */

/* Now, in nanoseconds of CLOCK_MONOTONIC. Any thread, signal handlers too. */
ROTA_API uint64_t rota_now(void);

/* Waits for at least `ns` nanoseconds, in a task or on a plain thread. 0, or -ECANCELED. A sleep of 0 yields. Never
 * early; late by up to 66 us (the wheel's tick) plus what the scheduler and the kernel add. */
ROTA_API int rota_sleep(uint64_t ns);

/* Waits until rota_now() has reached `deadline`; at once when it lies in the past. 0, or -ECANCELED. */
ROTA_API int rota_sleep_until(uint64_t deadline);

/* A timer as a future: status 0 once the deadline is reached, -ECANCELED when it was cancelled first. */
struct rota_timer {
	struct rota_future future;
	/* private */
	struct rota_timer *next_, *prev_;
	uint64_t deadline_;
	struct rota_waker waker_;
	void *wheel_;
	struct rota_atomic_u32 state_;
	uint32_t slot_;
};

/* Any thread; starts nothing: the first poll (or rota_await) does, which is in a task, a blocking job or inside
 * rota_block_on_future: elsewhere the status is -ENXIO, whatever the deadline. The timer may be initialised again once
 * it is ready. */
ROTA_API void rota_timer_init(struct rota_timer *timer, uint64_t deadline);

/* What rota_interval_tick does about ticks that were missed. */
enum rota_missed_tick {
	ROTA_MISSED_BURST, /* catches up: overdue ticks come at once, one call each */
	ROTA_MISSED_DELAY, /* the next tick is one period after the late one */
	ROTA_MISSED_SKIP,  /* overdue ticks are dropped; the next falls on a multiple of the period */
};

struct rota_interval {
	uint64_t next;   /* deadline of the next tick */
	uint64_t period; /* nanoseconds */
	enum rota_missed_tick missed;
};

/* The first tick is due at once. -EINVAL: period 0, or an unknown policy. Owned by one task at a time. */
ROTA_API int rota_interval_init(struct rota_interval *interval, uint64_t period_ns, enum rota_missed_tick missed);

/* Waits for the next tick. 0, and *ret_late (may be NULL) says by how many ns the tick was late; -ECANCELED: the
 * tick is still to come. */
ROTA_API int rota_interval_tick(struct rota_interval *interval, uint64_t *ret_late);

/* The same as a future: `late` when its status is 0. The interval stays in place, and nobody else uses it, until it is
 * ready. As a timer, it needs a runtime: elsewhere the status is -ENXIO. */
struct rota_interval_op {
	struct rota_future future;
	uint64_t late;
	/* private */
	struct rota_interval *interval_;
	struct rota_timer timer_;
};
ROTA_API void rota_interval_tick_init(struct rota_interval_op *op, struct rota_interval *interval);

ROTA_END_DECLS

#endif
