/* SPDX-License-Identifier: MIT */
/*
 * The condition variable: the mutex is given up and had again, whatever ends the wait; signals go to the longest waiting
 * and are not lost to one who was cancelled.
 */
#define _GNU_SOURCE
#include "../../sync/cond.h"

#include "waiters.h"

struct box {
	struct rota_mutex mutex;
	struct rota_cond cond;
	unsigned things; /* under the mutex */
};

static struct box static_box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };

/* The mutex, for one whose future locked it: it has no owner. */
static void expect_locked(struct rota_mutex *m)
{
	expect(rota_mutex_trylock(m), ==, -EBUSY);
}

static void put_one(void *arg)
{
	struct box *box = arg;

	rota_mutex_lock(&box->mutex);
	box->things++;
	rota_cond_signal(&box->cond);
	rota_mutex_unlock(&box->mutex);
}

static void put_all(void *arg)
{
	struct box *box = arg;

	rota_mutex_lock(&box->mutex);
	box->things++;
	rota_mutex_unlock(&box->mutex);
	rota_cond_broadcast(&box->cond);
}

static void waits_script(const struct place *place)
{
	for (int i = 0; i < 6; i++) {
		struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 }, *b = i < 3 ? &box : &static_box;
		struct rota_cond_op op;
		struct party party;

		b->things = 0;
		rota_cond_signal(&b->cond); /* nobody waits: nothing is kept */
		party_start(&party, i % 2 == 0 ? put_one : put_all, b);
		rota_mutex_lock(&b->mutex);
		party_go(&party);
		while (b->things == 0) {
			if (i % 3 == 0) {
				expect(rota_cond_wait(&b->cond, &b->mutex), ==, 0);
			} else if (i % 3 == 1) {
				expect(rota_cond_wait_until(&b->cond, &b->mutex, rota_now() + ROTA_SECONDS(60)), ==, 0);
			} else {
				rota_cond_wait_init(&op, &b->cond, &b->mutex);
				expect(place->carry(place, &op.future), ==, 0);
			}
			expect_locked(&b->mutex);
		}
		rota_mutex_unlock(&b->mutex);
		party_join(&party);
		expect(rota__word_own(b->mutex.state_.value), ==, 0);
		expect(rota_cond_deinit(&b->cond), ==, 0);
	}
}

UNIT_TEST(cond, waits_for_a_signal)
{
	wherever(waits_script);
}

static void timeout_script(const struct place *place)
{
	struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };
	struct rota_cond_op op;
	uint64_t deadline = rota_now() + ROTA_MS(2);

	rota_mutex_lock(&box.mutex);
	expect(rota_cond_wait_until(&box.cond, &box.mutex, deadline), ==, -ETIMEDOUT);
	expect(rota_now() >= deadline, ==, 1);
	expect_locked(&box.mutex);
	expect(rota_cond_wait_until(&box.cond, &box.mutex, 0), ==, -ETIMEDOUT);
	expect_locked(&box.mutex);
	rota_cond_wait_init(&op, &box.cond, &box.mutex);
	rota_future_cancel(&op.future); /* before it has begun */
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	expect_locked(&box.mutex);
	rota_mutex_unlock(&box.mutex);
	expect(waiters_count(&box.cond.waiters_), ==, 0);
}

UNIT_TEST(cond, deadline)
{
	wherever(timeout_script);
}

/* --- by hand ------------------------------------------------------------------------------------------------------------- */

static void wait_by_hand(struct rota_cond_op *op, struct box *box)
{
	rota_mutex_lock(&box->mutex);
	rota_cond_wait_init(op, &box->cond, &box->mutex);
	expect(poll_by_hand(&op->future), ==, ROTA_PENDING);
	expect(rota_mutex_trylock(&box->mutex), ==, 0); /* it was given up */
	rota_mutex_unlock(&box->mutex);
}

static void expect_ready(struct rota_cond_op *op, struct box *box, int status)
{
	expect(poll_by_hand(&op->future), ==, ROTA_READY);
	expect(op->future.status, ==, status);
	expect_locked(&box->mutex);
	rota_mutex_unlock(&box->mutex);
}

UNIT_TEST(cond, signals_go_to_the_longest_waiting)
{
	struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };
	struct rota_cond_op ops[3];

	for (int i = 0; i < 3; i++)
		wait_by_hand(&ops[i], &box);
	rota_cond_signal(&box.cond);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_PENDING);
	expect_ready(&ops[0], &box, 0);
	rota_cond_broadcast(&box.cond);
	expect_ready(&ops[2], &box, 0);
	expect_ready(&ops[1], &box, 0);
}

/* Cancelled, or signalled, while somebody else has the mutex: the wait goes on until it is free. */
UNIT_TEST(cond, the_mutex_is_had_again)
{
	for (int i = 0; i < 2; i++) {
		struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };
		struct rota_cond_op op;

		wait_by_hand(&op, &box);
		rota_mutex_lock(&box.mutex);
		if (i == 0)
			rota_future_cancel(&op.future);
		else
			rota_cond_signal(&box.cond);
		expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
		rota_future_cancel(&op.future); /* no cancel disturbs it now */
		expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
		rota_mutex_unlock(&box.mutex);
		expect_ready(&op, &box, i == 0 ? -ECANCELED : 0);
	}
}

UNIT_TEST(cond, a_cancelled_waiter_swallows_nothing)
{
	struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };
	struct rota_cond_op ops[2];

	wait_by_hand(&ops[0], &box);
	wait_by_hand(&ops[1], &box);
	rota_future_cancel(&ops[0].future);
	expect_ready(&ops[0], &box, -ECANCELED);
	rota_cond_signal(&box.cond);
	expect_ready(&ops[1], &box, 0);
	wait_by_hand(&ops[0], &box);
	rota_cond_signal(&box.cond);
	rota_future_cancel(&ops[0].future); /* too late: the signal was its own */
	expect_ready(&ops[0], &box, 0);
}

/* --- tasks ----------------------------------------------------------------------------------------------------------------- */

static int take_one(void *arg)
{
	struct box *box = arg;
	int rc = 0;

	rota_mutex_lock(&box->mutex);
	while (box->things == 0 && rc == 0)
		rc = rota_cond_wait(&box->cond, &box->mutex);
	expect_locked(&box->mutex);
	if (box->things > 0) {
		box->things--;
		rc = 0;
	}
	rota_mutex_unlock(&box->mutex);
	return rc;
}

/* Two wait, one is cancelled, one thing comes: somebody takes it. */
static void cancel_script(const struct place *place)
{
	struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };
	rota_task *first, *second;
	int status;

	(void)place;
	for (int i = 0; i < 200; i++) {
		expect(rota_spawn(&first, take_one, &box), ==, 0);
		expect(rota_spawn(&second, take_one, &box), ==, 0);
		if (i % 4 < 2)
			waiters_await(&box.cond.waiters_, 2);
		if (i % 2 == 0)
			put_one(&box);
		expect(rota_cancel(first), ==, 0);
		if (i % 2 != 0)
			put_one(&box);
		expect(rota_join(first, &status), ==, 0);
		if (status == 0)
			put_one(&box);
		else
			expect(status, ==, -ECANCELED);
		expect(rota_join(second, &status), ==, 0);
		expect(status, ==, 0);
		expect(box.things, ==, 0);
	}
}

UNIT_TEST(cond, cancel_that_races_with_a_signal)
{
	in_fibers(cancel_script, 0);
}

/* The deadline passes while it waits for the mutex: that it was signalled, or cancelled, before stands. */
struct late {
	struct box *box;
	uint64_t deadline;
};

static int wait_until(void *arg)
{
	struct late *late = arg;
	int rc;

	rota_mutex_lock(&late->box->mutex);
	rc = rota_cond_wait_until(&late->box->cond, &late->box->mutex, late->deadline);
	expect_locked(&late->box->mutex);
	rota_mutex_unlock(&late->box->mutex);
	return rc;
}

static void late_script(const struct place *place)
{
	(void)place;
	for (int signalled = 0; signalled < 2; signalled++) {
		struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };
		struct late late = { &box, rota_now() + ROTA_MS(30) };
		rota_task *task;
		int status;

		expect(rota_spawn(&task, wait_until, &late), ==, 0);
		while (waiters_count(&box.cond.waiters_) == 0 && rota_now() < late.deadline)
			rota_sleep(ROTA_US(50));
		rota_mutex_lock(&box.mutex);
		const bool waits = waiters_count(&box.cond.waiters_) == 1;
		if (signalled)
			rota_cond_signal(&box.cond);
		else
			expect(rota_cancel(task), ==, 0);
		const bool in_time = waits && rota_now() < late.deadline;
		while (rota_now() < late.deadline + ROTA_MS(3))
			rota_sleep(ROTA_MS(1));
		rota_mutex_unlock(&box.mutex);
		expect(rota_join(task, &status), ==, 0);
		if (in_time)
			expect(status, ==, signalled ? 0 : -ECANCELED);
		else /* on a machine that was busy elsewhere */
			expect(status == 0 || status == -ECANCELED || status == -ETIMEDOUT, ==, true);
	}
}

UNIT_TEST(cond, a_deadline_that_passes_during_the_lock_changes_nothing)
{
	in_fibers(late_script, 0);
}

static void *wait_until_in_thread(void *arg)
{
	return (void *)(intptr_t)wait_until(arg);
}

/* The same of a plain thread, which has no timer. */
UNIT_TEST(cond, a_deadline_that_passes_during_the_lock_of_a_thread)
{
	struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };
	struct late late = { &box, rota_now() + ROTA_MS(30) };
	pthread_t thread;
	void *result;

	expect(pthread_create(&thread, NULL, wait_until_in_thread, &late), ==, 0);
	while (waiters_count(&box.cond.waiters_) == 0 && rota_now() < late.deadline)
		rota_sleep(ROTA_US(50));
	rota_mutex_lock(&box.mutex);
	const bool waits = waiters_count(&box.cond.waiters_) == 1;
	rota_cond_signal(&box.cond);
	while (rota_now() < late.deadline + ROTA_MS(3))
		rota_sleep(ROTA_MS(1));
	rota_mutex_unlock(&box.mutex);
	expect(pthread_join(thread, &result), ==, 0);
	expect((int)(intptr_t)result, ==, waits ? 0 : -ETIMEDOUT);
}

/* --- misuse ---------------------------------------------------------------------------------------------------------------- */

static void *wait_wrongly(void *arg)
{
	struct box *box = arg;

	return (void *)(intptr_t)rota_cond_wait(&box->cond, &box->mutex);
}

UNIT_TEST(cond, waiting_with_another_ones_mutex_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };
	struct unit_capture capture;
	pthread_t thread;
	void *result;

	rota_mutex_lock(&box.mutex);
	unit_capture_begin(&capture);
	expect(pthread_create(&thread, NULL, wait_wrongly, &box), ==, 0);
	expect(pthread_join(thread, &result), ==, 0);
	expect((int)(intptr_t)result, ==, -EPERM);
	expect_contains(unit_capture_end(&capture), "another task locked");
	rota_mutex_unlock(&box.mutex);
}

UNIT_TEST(cond, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct box box = { ROTA_MUTEX_INIT, ROTA_COND_INIT, 0 };
	struct unit_capture capture;
	struct rota_cond_op op;

	wait_by_hand(&op, &box);
	unit_capture_begin(&capture);
	expect(rota_cond_deinit(&box.cond), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	rota_cond_signal(&box.cond);
	expect_ready(&op, &box, 0);
}
