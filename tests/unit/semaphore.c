/* SPDX-License-Identifier: MIT */
/*
 * The semaphore: permits are conserved, the first in line collects what it needs, close ends every wait, deadlines, and a
 * waiter that is cancelled takes nothing with it.
 */
#define _GNU_SOURCE
#include "../../sync/semaphore.h"

#include "waiters.h"

static struct rota_semaphore static_semaphore = ROTA_SEMAPHORE_INIT(3);

static void alone_script(const struct place *place)
{
	struct rota_semaphore_op op;
	struct rota_semaphore s;

	rota_semaphore_init(&s, 3);
	for (int i = 0; i < 2; i++) {
		struct rota_semaphore *which = i == 0 ? &static_semaphore : &s;

		expect(rota_semaphore_available(which), ==, 3);
		expect(rota_semaphore_acquire(which, 2), ==, 0);
		expect(rota_semaphore_try_acquire(which, 2), ==, -EAGAIN);
		expect(rota_semaphore_try_acquire(which, 1), ==, 0);
		expect(rota_semaphore_available(which), ==, 0);
		expect(rota_semaphore_acquire_until(which, 1, rota_now() + ROTA_MS(2)), ==, -ETIMEDOUT);
		expect(rota_semaphore_acquire_until(which, 1, 0), ==, -ETIMEDOUT);
		expect(rota_semaphore_release(which, 3), ==, 0);
		expect(rota_semaphore_acquire_until(which, 3, 0), ==, 0); /* free: had whatever the deadline */
		expect(rota_semaphore_release(which, 3), ==, 0);
		rota_semaphore_acquire_init(&op, which, 3);
		expect(place->carry(place, &op.future), ==, 0);
		rota_semaphore_acquire_init(&op, which, 1);
		rota_future_cancel(&op.future);
		expect(place->carry(place, &op.future), ==, -ECANCELED);
		expect(rota_semaphore_release(which, 3), ==, 0);
		expect(rota_semaphore_available(which), ==, 3);
		expect(rota_semaphore_deinit(which), ==, 0);
	}
}

UNIT_TEST(semaphore, alone)
{
	wherever(alone_script);
}

static void release_two(void *arg)
{
	struct rota_semaphore *s = arg;

	expect(rota_semaphore_release(s, 1), ==, 0);
	sched_yield();
	expect(rota_semaphore_release(s, 1), ==, 0);
}

static void close_it(void *arg)
{
	rota_semaphore_close(arg);
}

static void waits_script(const struct place *place)
{
	for (int i = 0; i < 6; i++) {
		struct rota_semaphore s = ROTA_SEMAPHORE_INIT(0);
		const int expected = i % 2 == 0 ? 0 : -EPIPE;
		struct rota_semaphore_op op;
		struct party party;

		party_start(&party, i % 2 == 0 ? release_two : close_it, &s);
		party_go(&party);
		if (i < 2) {
			expect(rota_semaphore_acquire(&s, 2), ==, expected);
		} else if (i < 4) {
			expect(rota_semaphore_acquire_until(&s, 2, rota_now() + ROTA_SECONDS(60)), ==, expected);
		} else {
			rota_semaphore_acquire_init(&op, &s, 2);
			expect(place->carry(place, &op.future), ==, expected);
		}
		party_join(&party);
		expect(rota_semaphore_available(&s), ==, 0);
		expect(rota_semaphore_try_acquire(&s, 1), ==, i % 2 == 0 ? -EAGAIN : -EPIPE);
	}
}

UNIT_TEST(semaphore, waits_for_permits_or_the_end)
{
	wherever(waits_script);
}

/* --- by hand ------------------------------------------------------------------------------------------------------------- */

static void wait_by_hand(struct rota_semaphore_op *op, struct rota_semaphore *s, uint64_t n)
{
	rota_semaphore_acquire_init(op, s, n);
	expect(poll_by_hand(&op->future), ==, ROTA_PENDING);
}

static void expect_ready(struct rota_semaphore_op *op, int status)
{
	expect(poll_by_hand(&op->future), ==, ROTA_READY);
	expect(op->future.status, ==, status);
}

UNIT_TEST(semaphore, nobody_overtakes)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(1);
	struct rota_semaphore_op many, one;

	wait_by_hand(&many, &s, 3);
	wait_by_hand(&one, &s, 1); /* there is a permit, but it comes second */
	expect(rota_semaphore_try_acquire(&s, 1), ==, -EAGAIN);
	expect(rota_semaphore_release(&s, 1), ==, 0);
	expect(poll_by_hand(&many.future), ==, ROTA_PENDING);
	expect(rota_semaphore_release(&s, 2), ==, 0);
	expect_ready(&one, 0);
	expect_ready(&many, 0);
	expect(rota_semaphore_available(&s), ==, 0);
	expect(rota_semaphore_release(&s, 4), ==, 0);
	expect(rota_semaphore_try_acquire(&s, 4), ==, 0);
}

/* The one in front gives up: what it held up comes at once. */
UNIT_TEST(semaphore, a_cancelled_waiter_makes_room)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(2);
	struct rota_semaphore_op many, one, other;

	wait_by_hand(&many, &s, 3);
	wait_by_hand(&one, &s, 1);
	wait_by_hand(&other, &s, 2);
	rota_future_cancel(&many.future);
	rota_future_cancel(&many.future);
	expect_ready(&many, -ECANCELED);
	expect_ready(&one, 0);
	expect(poll_by_hand(&other.future), ==, ROTA_PENDING);
	expect(rota_semaphore_release(&s, 1), ==, 0);
	rota_future_cancel(&other.future); /* too late: it has them */
	expect_ready(&other, 0);
	expect(rota_semaphore_available(&s), ==, 0);
}

UNIT_TEST(semaphore, close_ends_all)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(1);
	struct rota_semaphore_op ops[3], late;

	for (int i = 0; i < 3; i++)
		wait_by_hand(&ops[i], &s, 2);
	rota_semaphore_close(&s);
	rota_semaphore_close(&s);
	for (int i = 0; i < 3; i++)
		expect_ready(&ops[i], -EPIPE);
	rota_semaphore_acquire_init(&late, &s, 1);
	expect_ready(&late, -EPIPE);
	expect(rota_semaphore_acquire(&s, 1), ==, -EPIPE);
	expect(rota_semaphore_release(&s, 1), ==, 0); /* giving back is always allowed */
	expect(rota_semaphore_available(&s), ==, 2);
}

/* --- tasks ----------------------------------------------------------------------------------------------------------------- */

static int acquire_one(void *arg)
{
	return rota_semaphore_acquire(arg, 1);
}

/* Two wait, one is cancelled, one permit comes: one of them has it, or it is there. */
static void cancel_script(const struct place *place)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(0);
	rota_task *first, *second;
	int status, other;

	(void)place;
	for (int i = 0; i < 200; i++) {
		expect(rota_spawn(&first, acquire_one, &s), ==, 0);
		expect(rota_spawn(&second, acquire_one, &s), ==, 0);
		if (i % 4 < 2)
			expect(rota_yield(), ==, 0);
		if (i % 2 == 0)
			expect(rota_semaphore_release(&s, 1), ==, 0);
		expect(rota_cancel(first), ==, 0);
		if (i % 2 != 0)
			expect(rota_semaphore_release(&s, 1), ==, 0);
		expect(rota_join(first, &status), ==, 0);
		if (status == 0)
			expect(rota_semaphore_release(&s, 1), ==, 0);
		else
			expect(status, ==, -ECANCELED);
		expect(rota_join(second, &other), ==, 0);
		expect(other, ==, 0);
		expect(rota_semaphore_available(&s), ==, 0);
	}
}

UNIT_TEST(semaphore, cancel_that_races_with_a_release)
{
	in_fibers(cancel_script, 0);
}

static struct rota_semaphore_op crowd_ops[CROWD_FUTURES];

static struct rota_future *crowd_future(void *arg, unsigned i)
{
	rota_semaphore_acquire_init(&crowd_ops[i], arg, 1);
	return &crowd_ops[i].future;
}

static unsigned crowd_waiting(struct rota_semaphore *s)
{
	return __atomic_load_n(&s->waiters_.count_, __ATOMIC_RELAXED);
}

UNIT_TEST(semaphore, one_release_serves_a_crowd)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(0);
	struct crowd crowd = { .wait = acquire_one, .future = crowd_future, .arg = &s };

	crowd_start(&crowd);
	expect_eventually(crowd_waiting(&s) == CROWD);
	expect(rota_semaphore_release(&s, CROWD - 2), ==, 0); /* so more threads are served than one batch wakes */
	expect_eventually(crowd_waiting(&s) == 2);
	rota_semaphore_close(&s);
	expect(crowd_join(&crowd, -EPIPE), ==, 2);
}

UNIT_TEST(semaphore, a_close_turns_a_crowd_away)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(0);
	struct crowd crowd = { .wait = acquire_one, .future = crowd_future, .arg = &s };

	crowd_start(&crowd);
	expect_eventually(crowd_waiting(&s) == CROWD);
	rota_semaphore_close(&s);
	expect(crowd_join(&crowd, -EPIPE), ==, CROWD);
	expect(rota_semaphore_available(&s), ==, 0);
}

/* --- misuse ---------------------------------------------------------------------------------------------------------------- */

UNIT_TEST(semaphore, too_many_permits_are_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(5);
	struct unit_capture capture;

	unit_capture_begin(&capture);
	expect(rota_semaphore_release(&s, ROTA_SEMAPHORE_MAX - 4), ==, -EOVERFLOW);
	expect(rota_semaphore_release(&s, UINT64_MAX), ==, -EOVERFLOW);
	expect_contains(unit_capture_end(&capture), "more permits");
	expect(rota_semaphore_release(&s, ROTA_SEMAPHORE_MAX - 5), ==, 0);
	expect(rota_semaphore_available(&s), ==, ROTA_SEMAPHORE_MAX);
}

/* They can never be there. */
UNIT_TEST(semaphore, to_acquire_more_than_there_may_be_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(5);
	struct unit_capture capture;

	expect(rota_semaphore_try_acquire(&s, UINT64_MAX), ==, -EAGAIN);
	unit_capture_begin(&capture);
	expect(rota_semaphore_acquire(&s, (uint64_t)ROTA_SEMAPHORE_MAX + 1), ==, -EOVERFLOW);
	expect(rota_semaphore_acquire_until(&s, UINT64_MAX, UINT64_MAX), ==, -EOVERFLOW);
	expect_contains(unit_capture_end(&capture), "more permits");
	expect(rota_semaphore_available(&s), ==, 5);
}

/* Also while somebody waits, for more than there are. */
UNIT_TEST(semaphore, too_many_permits_are_reported_to_who_serves, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(5);
	struct rota_semaphore_op op;
	struct unit_capture capture;

	wait_by_hand(&op, &s, 6);
	unit_capture_begin(&capture);
	expect(rota_semaphore_release(&s, ROTA_SEMAPHORE_MAX - 4), ==, -EOVERFLOW);
	expect_contains(unit_capture_end(&capture), "more permits");
	expect(rota_semaphore_available(&s), ==, 5);
	expect(rota_semaphore_release(&s, 1), ==, 0);
	expect_ready(&op, 0);
}

UNIT_TEST(semaphore, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_semaphore s = ROTA_SEMAPHORE_INIT(0);
	struct rota_semaphore_op op;
	struct unit_capture capture;

	wait_by_hand(&op, &s, 1);
	unit_capture_begin(&capture);
	expect(rota_semaphore_deinit(&s), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	expect(rota_semaphore_release(&s, 1), ==, 0);
	expect_ready(&op, 0);
	expect(rota_semaphore_deinit(&s), ==, 0);
}
