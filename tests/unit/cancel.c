/* SPDX-License-Identifier: MIT */
/*
 * Cancellation at each point of a task's life: before it starts, while it waits, after its end, under a shield, on its
 * thread's mail. stress/join_cancel.c has the races.
 */
#define _GNU_SOURCE
#include "unit.h"

static int give(void *arg)
{
	return (int)(intptr_t)arg;
}

static int wait_for(void *event)
{
	return unit_event_wait(event);
}

static int expect_cancelled(void *arg)
{
	(void)arg;
	expect(rota_cancelled(), ==, true);
	expect(rota_yield(), ==, -ECANCELED);
	expect(rota_sleep(ROTA_SECONDS(1000)), ==, -ECANCELED);
	expect(rota_sleep(0), ==, -ECANCELED);
	return 17;
}

static int cancel_before_start(void *arg)
{
	rota_task *task = unit_spawn(expect_cancelled, NULL);

	(void)arg;
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, 17);
	return 0;
}

UNIT_TEST(cancel, cancelled_before_its_start_it_runs_and_its_first_wait_says_so)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD); /* it cannot have started yet */

	expect(rota_block_on(rt, cancel_before_start, NULL), ==, 0);
	rota_runtime_free(rt);
}

static int wait_then_again(void *event)
{
	expect(rota_cancelled(), ==, false);
	expect(unit_event_wait(event), ==, -ECANCELED);
	return expect_cancelled(NULL);
}

TASK_TEST(cancel, a_cancel_ends_the_present_wait_and_all_later_ones)
{
	struct unit_event event = { 0 };
	rota_task *task = unit_spawn(wait_then_again, &event);

	unit_until_resting(task);
	expect(rota_cancel(task), ==, 0);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, 17);
}

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_NEVER);
}

TASK_TEST(cancel, a_cancel_ends_a_sleep)
{
	rota_task *task = unit_spawn(sleep_for_ever, NULL);

	unit_until_resting(task);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
}

TASK_TEST(cancel, a_cancel_after_the_end_changes_nothing)
{
	rota_task *task = unit_spawn(give, (void *)4);

	unit_until_alive(rota_runtime_current(), 1);
	expect(rota_cancel(task), ==, 0);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, 4);
}

TASK_TEST(cancel, what_has_come_wins_over_a_cancel)
{
	struct unit_event event = { 0 };
	rota_task *task = unit_spawn(wait_for, &event);
	int status = 5;

	unit_until_resting(task);
	unit_event_set(&event);
	rota_cancel(task);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, 0);
}

RUNTIME_TEST(cancel, nobody_cancels_a_plain_thread)
{
	expect(rota_cancelled(), ==, false);
	expect(rota_yield(), ==, 0);
	rota_shield_enter();
	rota_shield_leave();
	expect(rota_cancelled(), ==, false);
}

struct shielded {
	struct unit_event first, cleanup, last;
};

static int clean_up(void *arg)
{
	struct shielded *s = arg;

	expect(unit_event_wait(&s->first), ==, -ECANCELED);
	rota_shield_enter();
	expect(rota_cancelled(), ==, false);
	expect(rota_yield(), ==, 0);
	expect(rota_sleep(1), ==, 0);
	rota_shield_enter();
	expect(unit_event_wait(&s->cleanup), ==, 0);
	rota_shield_leave();
	expect(rota_cancelled(), ==, false); /* they nest */
	rota_shield_leave();
	expect(rota_cancelled(), ==, true);
	expect(unit_event_wait(&s->last), ==, -ECANCELED);
	return 21;
}

TASK_TEST(cancel, a_shield_lets_cleanup_wait)
{
	struct shielded s = { .last = { .cancelled = false } };
	rota_task *task = unit_spawn(clean_up, &s);

	unit_until_resting(task);
	rota_cancel(task);
	/* While it is shielded, cancelling again does not disturb it. */
	for (int i = 0; i < 100; i++) {
		rota_cancel(task);
		rota_yield();
	}
	unit_event_set(&s.cleanup);
	unit_expect_join(task, 21);
}

static int shielded_first(void *arg)
{
	struct shielded *s = arg;

	rota_shield_enter();
	expect(unit_event_wait(&s->first), ==, 0);
	rota_shield_leave();
	return unit_event_wait(&s->last);
}

TASK_TEST(cancel, a_cancel_during_a_shield_is_kept)
{
	struct shielded s = { .last = { .cancelled = false } };
	rota_task *task = unit_spawn(shielded_first, &s);

	unit_until_resting(task);
	rota_cancel(task);
	unit_event_set(&s.first);
	unit_expect_join(task, -ECANCELED);
}

static int leave_what_was_not_entered(void *arg)
{
	struct unit_capture capture;

	(void)arg;
	unit_capture_begin(&capture);
	rota_shield_leave();
	expect_contains(unit_capture_end(&capture), "rota_shield_leave");
	rota_shield_enter();
	rota_shield_leave();
	return 3;
}

UNIT_TEST(cancel, leaving_a_shield_that_was_not_entered_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_MULTI_THREAD);

	expect(rota_block_on(rt, leave_what_was_not_entered, NULL), ==, 3);
	rota_runtime_free(rt);
}

static int cancel_it(void *task)
{
	return rota_cancel(task);
}

TASK_TEST(cancel, a_local_task_is_cancelled_from_elsewhere)
{
	for (int i = 0; i < 100; i++) {
		rota_task *task = NULL, *job = NULL;

		expect(rota_spawn_local(&task, sleep_for_ever, NULL), ==, 0);
		expect(rota_spawn_blocking(&job, cancel_it, task), ==, 0);
		unit_expect_join(job, 0);
		unit_expect_join(task, -ECANCELED);
	}
}
