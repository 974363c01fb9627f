/* SPDX-License-Identifier: MIT */
/*
 * Notifications: one permit is kept and no more, the longest waiting is woken first, all means those that wait now, and
 * a waiter that is cancelled swallows nothing.
 */
#define _GNU_SOURCE
#include "../../sync/notify.h"

#include "waiters.h"

static struct rota_notify static_notify = ROTA_NOTIFY_INIT;

static void permit_script(const struct place *place)
{
	struct rota_notify notify;
	struct rota_notify_op op;

	rota_notify_init(&notify);
	for (int i = 0; i < 4; i++) {
		struct rota_notify *n = i < 2 ? &static_notify : &notify;

		rota_notify_one(n);
		rota_notify_one(n); /* one is kept */
		expect(rota_notify_wait(n), ==, 0);
		rota_notify_one(n);
		rota_notify_wait_init(&op, n);
		expect(place->carry(place, &op.future), ==, 0);
		rota_notify_all(n); /* nobody waits: nothing is kept */
		rota_notify_wait_init(&op, n);
		rota_future_cancel(&op.future);
		expect(place->carry(place, &op.future), ==, -ECANCELED);
	}
}

UNIT_TEST(notify, a_permit_is_kept)
{
	wherever(permit_script);
}

static void tell_one(void *arg)
{
	rota_notify_one(arg);
}

static void tell_all(void *arg)
{
	struct rota_notify *notify = arg;

	while (busy_waiters_count(&notify->state_, &notify->waiters_) == 0)
		sched_yield();
	rota_notify_all(notify);
}

static void waits_script(const struct place *place)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	struct rota_notify_op op;
	struct party party;

	for (int i = 0; i < 4; i++) {
		party_start(&party, i % 2 == 0 ? tell_one : tell_all, &notify);
		party_go(&party);
		if (i < 2) {
			expect(rota_notify_wait(&notify), ==, 0);
		} else {
			rota_notify_wait_init(&op, &notify);
			expect(place->carry(place, &op.future), ==, 0);
		}
		party_join(&party);
	}
	expect(rota__word_own(notify.state_.value), ==, 0);
}

UNIT_TEST(notify, waits)
{
	wherever(waits_script);
}

/* --- by hand ------------------------------------------------------------------------------------------------------------- */

static void wait_by_hand(struct rota_notify_op *ops, unsigned n, struct rota_notify *notify)
{
	for (unsigned i = 0; i < n; i++) {
		rota_notify_wait_init(&ops[i], notify);
		expect(poll_by_hand(&ops[i].future), ==, ROTA_PENDING);
	}
}

static void expect_told(struct rota_notify_op *op)
{
	expect(poll_by_hand(&op->future), ==, ROTA_READY);
	expect(op->future.status, ==, 0);
}

UNIT_TEST(notify, one_wakes_the_longest_waiting)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	struct rota_notify_op ops[3];

	wait_by_hand(ops, 3, &notify);
	for (int i = 0; i < 3; i++) {
		rota_notify_one(&notify);
		for (int later = i + 1; later < 3; later++)
			expect(poll_by_hand(&ops[later].future), ==, ROTA_PENDING);
		expect_told(&ops[i]);
	}
	wait_by_hand(ops, 1, &notify); /* nothing was kept */
	rota_notify_one(&notify);
	expect_told(&ops[0]);
}

UNIT_TEST(notify, last_wakes_the_one_that_came_last)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	struct rota_notify_op ops[3];

	wait_by_hand(ops, 3, &notify);
	rota_notify_last(&notify);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_PENDING);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_PENDING);
	expect_told(&ops[2]);
	rota_notify_one(&notify);
	expect_told(&ops[0]);
	rota_notify_last(&notify);
	expect_told(&ops[1]);
	rota_notify_last(&notify); /* nobody waits: it is kept */
	rota_notify_last(&notify);
	rota_notify_wait_init(&ops[0], &notify);
	expect_told(&ops[0]);
	wait_by_hand(ops, 1, &notify);
	rota_notify_all(&notify);
	expect_told(&ops[0]);
}

UNIT_TEST(notify, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	struct unit_capture capture;
	struct rota_notify_op op;

	wait_by_hand(&op, 1, &notify);
	unit_capture_begin(&capture);
	expect(rota_notify_deinit(&notify), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	rota_notify_one(&notify);
	expect_told(&op);
	expect(rota_notify_deinit(&notify), ==, 0);
}

UNIT_TEST(notify, all_wakes_those_that_wait_now)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	struct rota_notify_op ops[40], late;

	wait_by_hand(ops, 40, &notify);
	rota_notify_all(&notify);
	wait_by_hand(&late, 1, &notify);
	for (int i = 0; i < 40; i++)
		expect_told(&ops[i]);
	expect(poll_by_hand(&late.future), ==, ROTA_PENDING);
	rota_notify_one(&notify);
	expect_told(&late);
}

/* Cancelled first: the notification is for the next. Told first: it was told. */
UNIT_TEST(notify, a_cancelled_waiter_swallows_nothing)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	struct rota_notify_op ops[2];

	wait_by_hand(ops, 2, &notify);
	rota_future_cancel(&ops[0].future);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	expect(ops[0].future.status, ==, -ECANCELED);
	rota_notify_one(&notify);
	expect_told(&ops[1]);

	wait_by_hand(ops, 2, &notify);
	rota_notify_one(&notify);
	rota_future_cancel(&ops[0].future);
	expect_told(&ops[0]);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_PENDING);
	rota_future_cancel(&ops[1].future);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_READY);
	expect(busy_waiters_count(&notify.state_, &notify.waiters_), ==, 0);

	wait_by_hand(ops, 1, &notify); /* cancelled, but not yet polled again: the notification finds it first */
	rota_future_cancel(&ops[0].future);
	rota_notify_one(&notify);
	expect_told(&ops[0]);
}

/* --- tasks ----------------------------------------------------------------------------------------------------------------- */

static int wait_for_it(void *arg)
{
	return rota_notify_wait(arg);
}

/* Two wait, one is cancelled, one notification comes: one of them has it. */
static void cancel_script(const struct place *place)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	rota_task *first, *second;
	int status, other;

	(void)place;
	for (int i = 0; i < 200; i++) {
		expect(rota_spawn(&first, wait_for_it, &notify), ==, 0);
		busy_waiters_await(&notify.state_, &notify.waiters_, 1);
		expect(rota_spawn(&second, wait_for_it, &notify), ==, 0);
		busy_waiters_await(&notify.state_, &notify.waiters_, 2);
		if (i % 2 == 0)
			rota_notify_one(&notify);
		expect(rota_cancel(first), ==, 0);
		if (i % 2 != 0)
			rota_notify_one(&notify);
		expect(rota_join(first, &status), ==, 0);
		if (status == 0) /* it was told: the other still waits */
			rota_notify_one(&notify);
		else
			expect(status, ==, -ECANCELED);
		expect(rota_join(second, &other), ==, 0);
		expect(other, ==, 0);
		expect(rota__word_own(notify.state_.value), ==, 0);
	}
}

UNIT_TEST(notify, cancel_that_races_with_a_notification)
{
	in_fibers(cancel_script, 0);
}

static int wait_when_cancelled(void *arg)
{
	while (!rota_cancelled())
		rota_yield();
	return rota_notify_wait(arg);
}

static void permit_stays_script(const struct place *place)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	rota_task *task;
	int status;

	(void)place;
	rota_notify_one(&notify);
	expect(rota_spawn(&task, wait_when_cancelled, &notify), ==, 0);
	expect(rota_cancel(task), ==, 0);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, -ECANCELED);
	expect(rota_notify_wait(&notify), ==, 0); /* its permit is still there */
}

UNIT_TEST(notify, a_cancelled_task_leaves_the_permit)
{
	in_fibers(permit_stays_script, 0);
}

static struct rota_notify_op crowd_ops[CROWD_FUTURES];

static struct rota_future *crowd_future(void *arg, unsigned i)
{
	rota_notify_wait_init(&crowd_ops[i], arg);
	return &crowd_ops[i].future;
}

UNIT_TEST(notify, all_wakes_a_crowd)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	struct crowd crowd = { .wait = wait_for_it, .future = crowd_future, .arg = &notify };

	crowd_start(&crowd);
	busy_waiters_await(&notify.state_, &notify.waiters_, CROWD);
	rota_notify_all(&notify);
	expect(crowd_join(&crowd, 0), ==, CROWD);
	expect(rota__word_own(notify.state_.value), ==, 0);
}

UNIT_TEST(notify, one_wakes_a_crowd_one_by_one)
{
	struct rota_notify notify = ROTA_NOTIFY_INIT;
	struct crowd crowd = { .wait = wait_for_it, .future = crowd_future, .arg = &notify };

	crowd_start(&crowd);
	busy_waiters_await(&notify.state_, &notify.waiters_, CROWD);
	for (unsigned i = CROWD; i-- > 0;) {
		rota_notify_one(&notify);
		expect(busy_waiters_count(&notify.state_, &notify.waiters_), ==, i);
	}
	expect(crowd_join(&crowd, 0), ==, CROWD);
}
