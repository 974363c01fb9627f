/* SPDX-License-Identifier: MIT */
/*
 * The lock for readers and writers: who may be inside with whom; neither starves; downgrade; deadlines; who gives up makes
 * room for those behind; misuse.
 */
#define _GNU_SOURCE
#include "../../sync/rwlock.h"

#include "waiters.h"

static struct rota_rwlock static_lock = ROTA_RWLOCK_INIT;

static void alone_script(const struct place *place)
{
	struct rota_rwlock_op op;
	struct rota_rwlock lock;

	rota_rwlock_init(&lock);
	for (int i = 0; i < 2; i++) {
		struct rota_rwlock *l = i == 0 ? &static_lock : &lock;

		expect(rota_rwlock_rdlock(l), ==, 0);
		expect(rota_rwlock_tryrdlock(l), ==, 0);
		expect(rota_rwlock_trywrlock(l), ==, -EBUSY);
		expect(rota_rwlock_wrlock_until(l, rota_now() + ROTA_MS(1)), ==, -ETIMEDOUT);
		rota_rwlock_rdlock_init(&op, l);
		expect(place->carry(place, &op.future), ==, 0);
		for (int n = 0; n < 3; n++)
			expect(rota_rwlock_unlock(l), ==, 0);
		expect(rota_rwlock_wrlock(l), ==, 0);
		expect(rota_rwlock_tryrdlock(l), ==, -EBUSY);
		expect(rota_rwlock_trywrlock(l), ==, -EBUSY);
		expect(rota_rwlock_rdlock_until(l, 0), ==, -ETIMEDOUT);
		expect(rota_rwlock_downgrade(l), ==, 0);
		expect(rota_rwlock_tryrdlock(l), ==, 0);
		expect(rota_rwlock_unlock(l), ==, 0);
		expect(rota_rwlock_unlock(l), ==, 0);
		rota_rwlock_wrlock_init(&op, l);
		expect(place->carry(place, &op.future), ==, 0);
		rota_rwlock_rdlock_init(&op, l);
		rota_future_cancel(&op.future);
		expect(place->carry(place, &op.future), ==, -ECANCELED);
		expect(rota_rwlock_unlock(l), ==, 0);
		expect(rota_rwlock_rdlock_until(l, 0), ==, 0); /* free: had whatever the deadline */
		expect(rota_rwlock_unlock(l), ==, 0);
		expect(rota_rwlock_deinit(l), ==, 0);
	}
}

UNIT_TEST(rwlock, alone)
{
	wherever(alone_script);
}

static void unlock_it(void *arg)
{
	expect(rota_rwlock_unlock(arg), ==, 0);
}

/* Locked by a future, which leaves no owner: so another may unlock. */
static void lock_by_future(struct rota_rwlock *l, bool write)
{
	struct rota_rwlock_op op;

	(write ? rota_rwlock_wrlock_init : rota_rwlock_rdlock_init)(&op, l);
	expect(rota_await(&op.future), ==, 0);
}

static void waits_script(const struct place *place)
{
	for (int i = 0; i < 6; i++) {
		const bool write = i % 2 != 0; /* a writer waits for a reader, a reader for a writer */
		struct rota_rwlock lock = ROTA_RWLOCK_INIT;
		struct rota_rwlock_op op;
		struct party party;

		lock_by_future(&lock, !write);
		party_start(&party, unlock_it, &lock);
		party_go(&party);
		if (i < 2) {
			expect((write ? rota_rwlock_wrlock : rota_rwlock_rdlock)(&lock), ==, 0);
		} else if (i < 4) {
			expect((write ? rota_rwlock_wrlock_until
				      : rota_rwlock_rdlock_until)(&lock, rota_now() + ROTA_SECONDS(60)),
			       ==, 0);
		} else {
			(write ? rota_rwlock_wrlock_init : rota_rwlock_rdlock_init)(&op, &lock);
			expect(place->carry(place, &op.future), ==, 0);
		}
		party_join(&party);
		expect(rota_rwlock_tryrdlock(&lock), ==, write ? -EBUSY : 0);
		if (!write)
			expect(rota_rwlock_unlock(&lock), ==, 0);
		expect(rota_rwlock_unlock(&lock), ==, 0);
		expect(rota__word_own(lock.state_.value), ==, 0);
	}
}

UNIT_TEST(rwlock, waits_for_those_inside)
{
	wherever(waits_script);
}

/* --- by hand ------------------------------------------------------------------------------------------------------------- */

static void wait_by_hand(struct rota_rwlock_op *op, struct rota_rwlock *l, bool write)
{
	(write ? rota_rwlock_wrlock_init : rota_rwlock_rdlock_init)(op, l);
	expect(poll_by_hand(&op->future), ==, ROTA_PENDING);
}

static void expect_ready(struct rota_rwlock_op *op, int status)
{
	expect(poll_by_hand(&op->future), ==, ROTA_READY);
	expect(op->future.status, ==, status);
}

UNIT_TEST(rwlock, first_come_first_served)
{
	struct rota_rwlock l = ROTA_RWLOCK_INIT;
	struct rota_rwlock_op readers[4], writer, last;

	expect(rota_rwlock_rdlock(&l), ==, 0);
	wait_by_hand(&writer, &l, true);
	for (int i = 0; i < 4; i++)
		wait_by_hand(&readers[i], &l, false); /* behind the writer, which so does not starve */
	wait_by_hand(&last, &l, true);
	expect(rota_rwlock_tryrdlock(&l), ==, -EBUSY);
	expect(rota_rwlock_unlock(&l), ==, 0);
	expect_ready(&writer, 0);
	expect(poll_by_hand(&readers[0].future), ==, ROTA_PENDING);
	expect(rota_rwlock_unlock(&l), ==, 0);
	for (int i = 0; i < 4; i++)
		expect_ready(&readers[i], 0); /* all of them, though another writer waits */
	expect(poll_by_hand(&last.future), ==, ROTA_PENDING);
	for (int i = 0; i < 4; i++)
		expect(rota_rwlock_unlock(&l), ==, 0);
	expect_ready(&last, 0);
	expect(rota_rwlock_unlock(&l), ==, 0);
	expect(rota__word_own(l.state_.value), ==, 0);
}

UNIT_TEST(rwlock, downgrade_lets_readers_in)
{
	struct rota_rwlock l = ROTA_RWLOCK_INIT;
	struct rota_rwlock_op reader, writer;

	expect(rota_rwlock_wrlock(&l), ==, 0);
	wait_by_hand(&reader, &l, false);
	wait_by_hand(&writer, &l, true);
	expect(rota_rwlock_downgrade(&l), ==, 0);
	expect_ready(&reader, 0);
	expect(poll_by_hand(&writer.future), ==, ROTA_PENDING);
	expect(rota_rwlock_unlock(&l), ==, 0);
	expect(poll_by_hand(&writer.future), ==, ROTA_PENDING);
	expect(rota_rwlock_unlock(&l), ==, 0);
	expect_ready(&writer, 0);
}

/* A writer that gives up lets in the readers that it kept out; one that has the lock already keeps it. */
UNIT_TEST(rwlock, a_cancelled_waiter_makes_room)
{
	struct rota_rwlock l = ROTA_RWLOCK_INIT;
	struct rota_rwlock_op writer, reader;

	expect(rota_rwlock_rdlock(&l), ==, 0);
	wait_by_hand(&writer, &l, true);
	wait_by_hand(&reader, &l, false);
	rota_future_cancel(&writer.future);
	expect_ready(&writer, -ECANCELED);
	expect_ready(&reader, 0);
	wait_by_hand(&writer, &l, true);
	expect(rota_rwlock_unlock(&l), ==, 0);
	expect(rota_rwlock_unlock(&l), ==, 0);
	rota_future_cancel(&writer.future);
	expect_ready(&writer, 0);
	expect(rota_rwlock_unlock(&l), ==, 0);
	expect(rota__word_own(l.state_.value), ==, 0);
}

/* --- tasks ----------------------------------------------------------------------------------------------------------------- */

static int write_lock(void *arg)
{
	int rc = rota_rwlock_wrlock(arg);

	if (rc == 0)
		expect(rota_rwlock_unlock(arg), ==, 0);
	return rc;
}

static int read_lock(void *arg)
{
	int rc = rota_rwlock_rdlock(arg);

	if (rc == 0)
		expect(rota_rwlock_unlock(arg), ==, 0);
	return rc;
}

static void cancel_script(const struct place *place)
{
	struct rota_rwlock l = ROTA_RWLOCK_INIT;
	rota_task *writer, *reader;
	int status;

	(void)place;
	for (int i = 0; i < 200; i++) {
		expect((i % 3 == 0 ? rota_rwlock_wrlock : rota_rwlock_rdlock)(&l), ==, 0);
		expect(rota_spawn(&writer, write_lock, &l), ==, 0);
		expect(rota_spawn(&reader, read_lock, &l), ==, 0);
		if (i % 4 < 2)
			expect(rota_yield(), ==, 0);
		if (i % 2 == 0)
			expect(rota_rwlock_unlock(&l), ==, 0);
		expect(rota_cancel(writer), ==, 0);
		if (i % 2 != 0)
			expect(rota_rwlock_unlock(&l), ==, 0);
		expect(rota_join(writer, &status), ==, 0);
		if (status != 0)
			expect(status, ==, -ECANCELED);
		expect(rota_join(reader, &status), ==, 0);
		expect(status, ==, 0);
		expect(rota__word_own(l.state_.value), ==, 0);
	}
}

UNIT_TEST(rwlock, cancel_that_races_with_an_unlock)
{
	in_fibers(cancel_script, 0);
}

static struct rota_rwlock_op crowd_ops[CROWD_FUTURES];

static struct rota_future *crowd_future(void *arg, unsigned i)
{
	rota_rwlock_rdlock_init(&crowd_ops[i], arg);
	return &crowd_ops[i].future;
}

static int crowd_wait(void *arg)
{
	return rota_rwlock_rdlock(arg);
}

UNIT_TEST(rwlock, a_crowd_of_readers_comes_in_together)
{
	struct rota_rwlock l = ROTA_RWLOCK_INIT;
	struct crowd crowd = { .wait = crowd_wait, .future = crowd_future, .arg = &l };

	expect(rota_rwlock_wrlock(&l), ==, 0);
	crowd_start(&crowd);
	expect_eventually(__atomic_load_n(&l.waiters_.count_, __ATOMIC_RELAXED) == CROWD);
	expect(rota_rwlock_unlock(&l), ==, 0);
	expect(crowd_join(&crowd, 0), ==, CROWD);
	for (int i = 0; i < CROWD; i++)
		expect(rota_rwlock_unlock(&l), ==, 0);
	expect(rota__word_own(l.state_.value), ==, 0);
}

/* --- turns ------------------------------------------------------------------------------------------------------------------- */

struct turns {
	struct rota_rwlock lock;
	bool done;
};

static int take_turns(void *arg)
{
	struct turns *turns = arg;
	int rc = 0;

	for (int i = 0; i < 1000 && rc == 0; i++) {
		rc = i % 2 == 0 ? rota_rwlock_wrlock(&turns->lock) : rota_rwlock_rdlock(&turns->lock);
		if (rc == 0)
			rc = rota_rwlock_unlock(&turns->lock);
	}
	turns->done = true;
	return rc;
}

/* On one thread: whoever looks while the other yields, which it must now and then, finds the lock free. */
static void yields_without_it_script(const struct place *place)
{
	struct turns turns = { .lock = ROTA_RWLOCK_INIT };
	unsigned looks = 0;
	rota_task *task;
	int status;

	(void)place;
	expect(rota_spawn(&task, take_turns, &turns), ==, 0);
	for (; !turns.done; looks++) {
		expect(rota_rwlock_trywrlock(&turns.lock), ==, 0);
		expect(rota_rwlock_unlock(&turns.lock), ==, 0);
		expect(rota_yield(), ==, 0);
	}
	expect(looks, >, 2);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, 0);
}

UNIT_TEST(rwlock, nobody_yields_with_it)
{
	place_run(&place_kinds[2], 0, yields_without_it_script, NULL);
}

/* --- misuse ---------------------------------------------------------------------------------------------------------------- */

UNIT_TEST(rwlock, unlocking_a_free_lock_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_rwlock l = ROTA_RWLOCK_INIT;
	struct unit_capture capture;

	unit_capture_begin(&capture);
	expect(rota_rwlock_unlock(&l), ==, -EPERM);
	expect(rota_rwlock_downgrade(&l), ==, -EPERM);
	expect_contains(unit_capture_end(&capture), "not locked");
	expect(rota__word_own(l.state_.value), ==, 0);
}

static void *unlock_wrongly(void *arg)
{
	return (void *)(intptr_t)rota_rwlock_unlock(arg);
}

UNIT_TEST(rwlock, unlocking_for_another_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_rwlock l = ROTA_RWLOCK_INIT;
	struct unit_capture capture;
	pthread_t thread;
	void *result;

	expect(rota_rwlock_wrlock(&l), ==, 0);
	unit_capture_begin(&capture);
	expect(pthread_create(&thread, NULL, unlock_wrongly, &l), ==, 0);
	expect(pthread_join(thread, &result), ==, 0);
	expect((int)(intptr_t)result, ==, -EPERM);
	expect(rota_rwlock_deinit(&l), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "another task locked");
	expect(rota_rwlock_trywrlock(&l), ==, -EBUSY); /* nothing has happened */
	expect(rota_rwlock_unlock(&l), ==, 0);
	expect(rota_rwlock_deinit(&l), ==, 0);
}
