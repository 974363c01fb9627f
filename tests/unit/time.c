/* SPDX-License-Identifier: MIT */
/*
 * Sleeping and ticking: never early, in every place a wait may be; timers as futures; what intervals do about missed
 * ticks. No test says how late something may be. wheel.c has the wheel's own clockwork.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "../../runtime/wheel_internal.h"
#include "unit.h"

/* --- never early ------------------------------------------------------------------------------------------------------ */

static const uint64_t naps[] = { 1, 1000, 65535, 65536, 65537, ROTA_US(200), ROTA_MS(1), ROTA_MS(3), ROTA_MS(5) };

#define NAPS (sizeof(naps) / sizeof(naps[0]))

static int nap(void *arg)
{
	for (uintptr_t i = 0; i < NAPS; i++) {
		const uint64_t ns = naps[((uintptr_t)arg + i) % NAPS], before = rota_now();

		expect(rota_sleep(ns), ==, 0);
		expect(rota_now(), >=, before + ns);
		expect(rota_sleep_until(rota_now() + ns), ==, 0);
		expect(rota_now(), >=, before + 2 * ns);
	}
	return 0;
}

TASK_TEST(time, a_sleep_is_never_early)
{
	rota_task *tasks[200];

	for (uintptr_t i = 0; i < 200; i++)
		tasks[i] = unit_spawn(nap, (void *)i);
	for (int i = 0; i < 200; i++)
		unit_expect_join(tasks[i], 0);
}

static void *nap_on_a_thread(void *arg)
{
	nap(arg);
	return NULL;
}

UNIT_TEST(time, a_plain_thread_sleeps_too)
{
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		expect(pthread_create(&threads[i], NULL, nap_on_a_thread, (void *)i), ==, 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	expect(rota_sleep(0), ==, 0);
	expect(rota_sleep_until(0), ==, 0);
	expect(rota_sleep_until(rota_now()), ==, 0);
}

TASK_TEST(time, a_blocking_job_sleeps_too)
{
	rota_task *jobs[8];

	for (uintptr_t i = 0; i < 8; i++)
		expect(rota_spawn_blocking(&jobs[i], nap, (void *)i), ==, 0);
	for (int i = 0; i < 8; i++)
		unit_expect_join(jobs[i], 0);
}

TASK_TEST(time, what_lies_in_the_past_is_over)
{
	for (int i = 0; i < 1000; i++) {
		expect(rota_sleep(0), ==, 0);
		expect(rota_sleep_until(0), ==, 0);
		expect(rota_sleep_until(rota_now()), ==, 0);
	}
}

#define SLEEPERS 5000

static int sleep_until(void *arg)
{
	const uint64_t deadline = *(uint64_t *)arg;

	expect(rota_sleep_until(deadline), ==, 0);
	expect(rota_now(), >=, deadline);
	return 0;
}

TASK_TEST(time, thousands_sleep_at_once)
{
	static uint64_t deadlines[SLEEPERS];
	static rota_task *tasks[SLEEPERS];
	const uint64_t now = rota_now();

	for (unsigned i = 0; i < SLEEPERS; i++) {
		deadlines[i] = now + (i * 7919 % 1000) * ROTA_US(50);
		tasks[i] = unit_spawn(sleep_until, &deadlines[i]);
	}
	for (unsigned i = 0; i < SLEEPERS; i++)
		unit_expect_join(tasks[i], 0);
}

/* --- timers as futures -------------------------------------------------------------------------------------------------- */

TASK_TEST(time, a_timer_is_a_future)
{
	struct rota_timer timer;

	/* The same memory again and again. */
	for (unsigned i = 0; i < 20; i++) {
		const uint64_t deadline = rota_now() + i * ROTA_US(100);

		rota_timer_init(&timer, deadline);
		expect(rota_await(&timer.future), ==, 0);
		expect(rota_now(), >=, deadline);
	}
}

TASK_TEST(time, a_timer_that_is_cancelled_before_it_starts_says_so)
{
	struct rota_timer timer;

	rota_timer_init(&timer, rota_now() + ROTA_SECONDS(1000));
	rota_future_cancel(&timer.future);
	rota_future_cancel(&timer.future);
	expect(rota_await(&timer.future), ==, -ECANCELED);
}

static rota_poll poll_once(struct rota_timer *timer)
{
	struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };

	return rota_future_poll(&timer->future, &cx);
}

TASK_TEST(time, a_timer_that_is_cancelled_while_it_runs_says_so)
{
	struct rota_timer timer;

	rota_timer_init(&timer, rota_now() + ROTA_SECONDS(1000));
	expect(poll_once(&timer), ==, ROTA_PENDING);
	rota_future_cancel(&timer.future);
	rota_future_cancel(&timer.future);
	expect(poll_once(&timer), ==, ROTA_READY);
	expect(timer.future.status, ==, -ECANCELED);
}

TASK_TEST(time, a_timer_that_has_fired_is_not_cancelled)
{
	struct rota_timer timer;
	uint64_t deadline, ns = ROTA_MS(1);

	do { /* later each time: it may be over before it is polled */
		deadline = rota_now() + ns;
		ns *= 2;
		rota_timer_init(&timer, deadline);
	} while (poll_once(&timer) == ROTA_READY);
	while (rota__load(&timer.state_, ACQUIRE) != ROTA__TIMER_FIRED)
		expect(rota_sleep(ROTA_US(100)), ==, 0);
	expect(rota_now(), >=, deadline);
	rota_future_cancel(&timer.future);
	expect(poll_once(&timer), ==, ROTA_READY);
	expect(timer.future.status, ==, 0);
}

static struct rota_timer nobodys;

UNIT_TEST(time, a_timer_needs_a_runtime)
{
	rota_timer_init(&nobodys, ROTA_NEVER);
	expect(rota_await(&nobodys.future), ==, -ENXIO);
	rota_timer_init(&nobodys, 0); /* one that is over already, too */
	expect(rota_await(&nobodys.future), ==, -ENXIO);
}

struct waiter {
	rota_runtime *rt;
	pthread_t thread;
	unsigned n;
};

static void *block_on_timers(void *arg)
{
	struct waiter *waiter = arg;

	for (unsigned i = 0; i < 100; i++) {
		const uint64_t deadline = rota_now() + (i * 37 + waiter->n * 11) % 50 * ROTA_US(20);
		struct rota_timer timer;

		rota_timer_init(&timer, deadline);
		expect(rota_block_on_future(waiter->rt, &timer.future), ==, 0);
		expect(rota_now(), >=, deadline);
	}
	return NULL;
}

RUNTIME_TEST(time, plain_threads_wait_for_timers_of_the_runtime)
{
	struct waiter waiters[6];

	for (unsigned i = 0; i < 6; i++) {
		waiters[i] = (struct waiter){ .rt = rt, .n = i };
		expect(pthread_create(&waiters[i].thread, NULL, block_on_timers, &waiters[i]), ==, 0);
	}
	for (unsigned i = 0; i < 6; i++)
		pthread_join(waiters[i].thread, NULL);
}

/* --- intervals -------------------------------------------------------------------------------------------------------------- */

#define LONG ROTA_SECONDS(1000) /* so long that nothing else is due while a test runs */

UNIT_TEST(time, an_interval_needs_a_period)
{
	struct rota_interval interval;

	expect(rota_interval_init(&interval, 0, ROTA_MISSED_BURST), ==, -EINVAL);
	expect(rota_interval_init(&interval, LONG, (enum rota_missed_tick)(ROTA_MISSED_SKIP + 1)), ==, -EINVAL);
}

TASK_TEST(time, the_first_tick_is_due_at_once_and_the_next_one_a_period_later)
{
	for (enum rota_missed_tick missed = ROTA_MISSED_BURST; missed <= ROTA_MISSED_SKIP; missed++) {
		const uint64_t before = rota_now();
		struct rota_interval interval;
		uint64_t late = 0;

		expect(rota_interval_init(&interval, LONG, missed), ==, 0);
		expect(rota_interval_tick(&interval, &late), ==, 0);
		expect(late, <=, rota_now() - before);
		expect(interval.next, >=, before + LONG);
		expect(interval.next, <=, rota_now() + LONG);
	}
}

TASK_TEST(time, ticks_are_never_early)
{
	struct rota_interval interval;
	uint64_t due, late = 0;

	for (enum rota_missed_tick missed = ROTA_MISSED_BURST; missed <= ROTA_MISSED_SKIP; missed++) {
		expect(rota_interval_init(&interval, ROTA_US(300), missed), ==, 0);
		for (int i = 0; i < 30; i++) {
			due = interval.next;
			expect(rota_interval_tick(&interval, i % 2 ? &late : NULL), ==, 0);
			expect(rota_now(), >=, due);
			expect(interval.next, >, due);
		}
	}
}

/* An interval whose last `periods` and a half were missed. */
static struct rota_interval missed_interval(enum rota_missed_tick missed, unsigned periods)
{
	struct rota_interval interval;

	/* The clock may not have run that long: a shorter period then. */
	expect(rota_interval_init(&interval, rota_now() / 100, missed), ==, 0);
	interval.next -= periods * interval.period + interval.period / 2;
	return interval;
}

TASK_TEST(time, burst_catches_up)
{
	struct rota_interval interval = missed_interval(ROTA_MISSED_BURST, 5);
	const uint64_t start = interval.next;
	uint64_t late = 0;

	for (unsigned i = 1; i <= 6; i++) {
		const uint64_t before = rota_now();

		expect(rota_interval_tick(&interval, &late), ==, 0);
		expect(interval.next, ==, start + i * interval.period);
		expect(late, >=, before - (start + (i - 1) * interval.period));
	}
	expect(interval.next, >, rota_now());
}

TASK_TEST(time, delay_starts_anew)
{
	struct rota_interval interval = missed_interval(ROTA_MISSED_DELAY, 5);
	const uint64_t before = rota_now();

	expect(rota_interval_tick(&interval, NULL), ==, 0);
	expect(interval.next, >=, before + interval.period);
	expect(interval.next, <=, rota_now() + interval.period);
}

TASK_TEST(time, skip_keeps_the_beat)
{
	struct rota_interval interval = missed_interval(ROTA_MISSED_SKIP, 5);
	const uint64_t start = interval.next;

	expect(rota_interval_tick(&interval, NULL), ==, 0);
	expect(interval.next, ==, start + 6 * interval.period);
	expect(interval.next, >, rota_now());
}

static int tick_for_ever(void *arg)
{
	struct rota_interval *interval = arg;
	const uint64_t due = interval->next;
	uint64_t late = 5;

	expect(rota_interval_tick(interval, &late), ==, -ECANCELED);
	expect(late, ==, 5);
	expect(interval->next, ==, due); /* the tick is still to come */
	return 0;
}

TASK_TEST(time, a_cancelled_tick_is_still_to_come)
{
	struct rota_interval interval;
	rota_task *task;

	expect(rota_interval_init(&interval, LONG, ROTA_MISSED_SKIP), ==, 0);
	expect(rota_interval_tick(&interval, NULL), ==, 0);
	task = unit_spawn(tick_for_ever, &interval);
	unit_until_resting(task);
	rota_cancel(task);
	unit_expect_join(task, 0);
}

TASK_TEST(time, a_period_that_never_ends_does_not_come_round)
{
	for (enum rota_missed_tick missed = ROTA_MISSED_BURST; missed <= ROTA_MISSED_SKIP; missed++) {
		struct rota_interval interval;

		expect(rota_interval_init(&interval, ROTA_NEVER, missed), ==, 0);
		expect(rota_interval_tick(&interval, NULL), ==, 0);
		expect(interval.next, >, rota_now());
	}
}

TASK_TEST(time, a_tick_is_a_future)
{
	for (enum rota_missed_tick missed = ROTA_MISSED_BURST; missed <= ROTA_MISSED_SKIP; missed++) {
		struct rota_interval interval = missed_interval(missed, 5), other = interval;
		const uint64_t before = rota_now(), due = interval.next;
		struct rota_interval_op op;

		rota_interval_tick_init(&op, &interval);
		expect(rota_await(&op.future), ==, 0);
		expect(op.late, >=, before - due);
		expect(op.late, <=, rota_now() - due);
		expect(rota_interval_tick(&other, NULL), ==, 0);
		if (missed != ROTA_MISSED_DELAY) /* which depends on when it came */
			expect(interval.next, ==, other.next);
		expect(interval.next, >, due);
	}
}

TASK_TEST(time, a_tick_that_loses_is_still_to_come)
{
	struct rota_interval interval;
	struct rota_interval_op op;
	struct rota_yield_op now;
	uint64_t due;
	size_t which;

	expect(rota_interval_init(&interval, LONG, ROTA_MISSED_SKIP), ==, 0);
	expect(rota_interval_tick(&interval, NULL), ==, 0);
	due = interval.next;
	rota_interval_tick_init(&op, &interval);
	rota_yield_init(&now);
	expect(ROTA_AWAIT_ANY(&which, &op.future, &now.future), ==, 0);
	expect(which, ==, 1);
	expect(op.future.status, ==, -ECANCELED);
	expect(interval.next, ==, due);
}

UNIT_TEST(time, a_tick_as_a_future_needs_a_runtime)
{
	struct rota_interval interval;
	struct rota_interval_op op;
	uint64_t due;

	expect(rota_interval_init(&interval, LONG, ROTA_MISSED_BURST), ==, 0);
	due = interval.next;
	rota_interval_tick_init(&op, &interval);
	expect(rota_await(&op.future), ==, -ENXIO);
	expect(interval.next, ==, due);
}
