/* SPDX-License-Identifier: MIT */
/*
 * The mutex: who may have it when, from fibers, stackless tasks and plain threads together; that nobody starves; that a
 * waiter which gives up passes on what it was told; misuse.
 */
#define _GNU_SOURCE
#include "../../sync/mutex.h"

#include "waiters.h"

static struct rota_mutex static_mutex = ROTA_MUTEX_INIT;

static void alone_script(const struct place *place)
{
	struct rota_mutex mutex;
	struct rota_mutex_lock_op op;

	rota_mutex_init(&mutex);
	for (int i = 0; i < 3; i++) {
		struct rota_mutex *m = i == 0 ? &static_mutex : &mutex;

		rota_mutex_lock(m);
		expect(rota_mutex_trylock(m), ==, -EBUSY);
		rota_mutex_unlock(m);
		expect(rota_mutex_trylock(m), ==, 0);
		expect(rota_mutex_trylock(m), ==, -EBUSY);
		rota_mutex_unlock(m);
		rota_mutex_lock_init(&op, m);
		expect(place->carry(place, &op.future), ==, 0);
		expect(rota_mutex_trylock(m), ==, -EBUSY);
		rota_mutex_unlock(m);
	}
}

UNIT_TEST(mutex, alone)
{
	wherever(alone_script);
}

static void unlock_it(void *arg)
{
	rota_mutex_unlock(arg);
}

/* By a future, which leaves no owner: so another may unlock. */
static void lock_for_another(struct rota_mutex *mutex)
{
	struct rota_mutex_lock_op op;

	rota_mutex_lock_init(&op, mutex);
	expect(rota_await(&op.future), ==, 0);
}

static void waits_script(const struct place *place)
{
	struct rota_mutex mutex = ROTA_MUTEX_INIT;
	struct rota_mutex_lock_op op;
	struct party party;

	lock_for_another(&mutex);
	party_start(&party, unlock_it, &mutex);
	rota_mutex_lock_init(&op, &mutex);
	party_go(&party);
	expect(place->carry(place, &op.future), ==, 0);
	expect(rota_mutex_trylock(&mutex), ==, -EBUSY);
	party_join(&party);
	party_start(&party, unlock_it, &mutex);
	party_go(&party);
	rota_mutex_lock(&mutex);
	party_join(&party);
	rota_mutex_unlock(&mutex);
	lock_for_another(&mutex);
	expect(rota_mutex_lock_until(&mutex, rota_now() + ROTA_MS(1)), ==, -ETIMEDOUT);
	expect(rota_mutex_lock_until(&mutex, 0), ==, -ETIMEDOUT);
	party_start(&party, unlock_it, &mutex);
	party_go(&party);
	expect(rota_mutex_lock_until(&mutex, rota_now() + ROTA_SECONDS(60)), ==, 0);
	party_join(&party);
	rota_mutex_unlock(&mutex);
	expect(rota_mutex_lock_until(&mutex, 0), ==, 0); /* free: had whatever the deadline */
	rota_mutex_unlock(&mutex);
	expect(rota__word_own(mutex.state_.value), ==, 0);
	expect(busy_waiters_count(&mutex.state_, &mutex.waiters_), ==, 0);
}

UNIT_TEST(mutex, waits_for_the_holder)
{
	wherever(waits_script);
}

/* --- many -------------------------------------------------------------------------------------------------------------- */

enum { TURNS = 500 };

struct shared {
	struct rota_mutex mutex;
	unsigned long count; /* under the mutex */
	unsigned inside;     /* under the mutex */
};

static void be_inside(struct shared *shared)
{
	unsigned long count = shared->count;

	expect(shared->inside++, ==, 0);
	for (int i = 0; i < 20; i++)
		rota__cpu_relax();
	expect(--shared->inside, ==, 0);
	expect(shared->count, ==, count);
	shared->count = count + 1;
}

static int take_turns(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < TURNS; i++) {
		if (i % 8 == 0 && rota_mutex_trylock(&shared->mutex) < 0)
			rota_mutex_lock(&shared->mutex);
		else if (i % 8 != 0)
			rota_mutex_lock(&shared->mutex);
		be_inside(shared);
		rota_mutex_unlock(&shared->mutex);
		if (i % 16 == 0)
			rota_yield();
	}
	return 0;
}

/* A stackless task that locks TURNS times, and unlocks a poll later now and then. */
struct turns {
	struct rota_future future;
	struct rota_mutex_lock_op op;
	struct shared *shared;
	unsigned turn;
	bool started;
};

static struct turns turns[CROWD_FUTURES];

static rota_poll turns_poll(struct rota_future *self, struct rota_context *cx)
{
	struct turns *t = (struct turns *)(void *)self;

	while (t->turn < TURNS) {
		if (!t->started)
			rota_mutex_lock_init(&t->op, &t->shared->mutex);
		t->started = true;
		if (rota_future_poll(&t->op.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		expect(t->op.future.status, ==, 0);
		be_inside(t->shared);
		rota_mutex_unlock(&t->shared->mutex);
		t->started = false;
		t->turn++;
	}
	return ROTA_READY;
}

static struct rota_future *turns_future(void *arg, unsigned i)
{
	static const struct rota_future_ops ops = { .poll = turns_poll };

	turns[i] = (struct turns){ .shared = arg };
	rota_future_init(&turns[i].future, &ops);
	return &turns[i].future;
}

UNIT_TEST(mutex, one_at_a_time)
{
	struct shared shared = { .mutex = ROTA_MUTEX_INIT };
	struct crowd crowd = { .wait = take_turns, .future = turns_future, .arg = &shared };

	crowd_start(&crowd);
	expect(crowd_join(&crowd, 0), ==, CROWD);
	expect(shared.count, ==, CROWD * TURNS);
	expect(rota__word_own(shared.mutex.state_.value), ==, 0);
}

struct contest {
	struct rota_mutex mutex;
	unsigned over; /* atomic */
	unsigned long greedy_turns;
};

static int be_greedy(void *arg)
{
	struct contest *contest = arg;

	while (__atomic_load_n(&contest->over, __ATOMIC_ACQUIRE) == 0) {
		rota_mutex_lock(&contest->mutex);
		contest->greedy_turns++;
		rota_mutex_unlock(&contest->mutex); /* and again, before anybody has woken up */
	}
	return 0;
}

static int be_modest(void *arg)
{
	struct contest *contest = arg;

	for (int i = 0; i < 200; i++) {
		rota_mutex_lock(&contest->mutex);
		rota_mutex_unlock(&contest->mutex);
	}
	return 0;
}

static void *be_modest_thread(void *arg)
{
	be_modest(arg);
	return NULL;
}

/* Nobody starves: the modest end though the greedy never pause until then. */
UNIT_TEST(mutex, is_fair_to_those_who_wait)
{
	struct contest contest = { .mutex = ROTA_MUTEX_INIT };
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);
	rota_task *greedy, *modest[3];
	pthread_t thread;

	expect(rota_spawn_on(rt, &greedy, be_greedy, &contest), ==, 0);
	expect(pthread_create(&thread, NULL, be_modest_thread, &contest), ==, 0);
	for (int i = 0; i < 3; i++)
		expect(rota_spawn_on(rt, &modest[i], be_modest, &contest), ==, 0);
	for (int i = 0; i < 3; i++)
		expect(rota_join(modest[i], NULL), ==, 0);
	pthread_join(thread, NULL);
	__atomic_store_n(&contest.over, 1, __ATOMIC_RELEASE);
	expect(rota_join(greedy, NULL), ==, 0);
	place_runtime_free(rt);
}

/* --- by hand: the order of events ---------------------------------------------------------------------------------------- */

/* The caller has the mutex, and two wait for it as plain threads do. */
static void lock_before_two(struct rota_mutex *mutex, struct rota_mutex_lock_op *first,
			    struct rota_mutex_lock_op *second)
{
	rota_mutex_lock(mutex);
	rota_mutex_lock_init(first, mutex);
	rota_mutex_lock_init(second, mutex);
	expect(poll_by_hand(&first->future), ==, ROTA_PENDING);
	expect(poll_by_hand(&second->future), ==, ROTA_PENDING);
}

/* A waiter that was woken and finds the mutex taken is given it by the next unlock, before those that came later. */
UNIT_TEST(mutex, loses_at_most_once)
{
	struct rota_mutex mutex = ROTA_MUTEX_INIT;
	struct rota_mutex_lock_op first, second;

	lock_before_two(&mutex, &first, &second);
	rota_mutex_unlock(&mutex);                 /* tells the first to try */
	expect(rota_mutex_trylock(&mutex), ==, 0); /* but somebody is faster */
	expect(poll_by_hand(&first.future), ==, ROTA_PENDING);
	rota_mutex_unlock(&mutex);
	expect(rota_mutex_trylock(&mutex), ==, -EBUSY); /* it is the first one's already */
	expect(poll_by_hand(&second.future), ==, ROTA_PENDING);
	expect(poll_by_hand(&first.future), ==, ROTA_READY);
	expect(first.future.status, ==, 0);
	rota_mutex_unlock(&mutex);
	expect(poll_by_hand(&second.future), ==, ROTA_READY);
	expect(second.future.status, ==, 0);
	rota_mutex_unlock(&mutex);
	expect(rota_mutex_trylock(&mutex), ==, 0);
}

/* A thread that was woken takes its time: until it has tried, nobody else is woken for nothing. */
UNIT_TEST(mutex, wakes_one_thread_at_a_time)
{
	struct rota_mutex mutex = ROTA_MUTEX_INIT;
	struct rota_mutex_lock_op first, second;

	lock_before_two(&mutex, &first, &second);
	for (int i = 0; i < 3; i++) {
		rota_mutex_unlock(&mutex);
		expect(rota__waiter_granted(&first.waiter_), ==, true);
		expect(rota__waiter_granted(&second.waiter_), ==, false);
		expect(rota_mutex_trylock(&mutex), ==, 0);
	}
	rota_mutex_unlock(&mutex);
	expect(poll_by_hand(&first.future), ==, ROTA_READY);
	expect(first.future.status, ==, 0);
	rota_mutex_unlock(&mutex);
	expect(rota__waiter_granted(&second.waiter_), ==, true);
	expect(poll_by_hand(&second.future), ==, ROTA_READY);
	rota_mutex_unlock(&mutex);
}

static void *same_task(void *data)
{
	return data;
}

static void ignore(void *data)
{
	(void)data;
}

static rota_poll poll_as_task(struct rota_mutex_lock_op *op)
{
	static const struct rota_waker_ops ops = { same_task, ignore, ignore, ignore };
	const struct rota_waker waker = { &ops, NULL };
	struct rota_context cx = { &waker };

	return rota_future_poll(&op->future, &cx);
}

/* A task is not kept by a thread that was woken, and has not tried: neither one that waits behind it nor one that lost. */
UNIT_TEST(mutex, no_task_waits_for_a_thread_that_comes_late)
{
	for (int task_first = 0; task_first < 2; task_first++) {
		struct rota_mutex mutex = ROTA_MUTEX_INIT;
		struct rota_mutex_lock_op task, thread;

		rota_mutex_lock(&mutex);
		rota_mutex_lock_init(&task, &mutex);
		rota_mutex_lock_init(&thread, &mutex);
		if (task_first)
			expect(poll_as_task(&task), ==, ROTA_PENDING);
		expect(poll_by_hand(&thread.future), ==, ROTA_PENDING);
		if (!task_first)
			expect(poll_as_task(&task), ==, ROTA_PENDING);
		for (int i = 0; i < 2; i++) {
			rota_mutex_unlock(&mutex); /* tells one to try, then the other */
			expect(rota_mutex_trylock(&mutex), ==, 0);
		}
		expect(rota__waiter_granted(&thread.waiter_), ==, true);
		expect(rota__waiter_granted(&task.waiter_), ==, true);
		expect(poll_as_task(&task), ==, ROTA_PENDING);
		rota_mutex_unlock(&mutex);
		expect(rota_mutex_trylock(&mutex), ==, -EBUSY); /* it is the task's already */
		expect(poll_by_hand(&thread.future), ==, ROTA_PENDING);
		expect(poll_as_task(&task), ==, ROTA_READY);
		rota_mutex_unlock(&mutex);
		expect(poll_by_hand(&thread.future), ==, ROTA_READY);
		rota_mutex_unlock(&mutex);
	}
}

/* Each way in which a waiter can give up: queued, told to try, told to try in vain, given the mutex. */
UNIT_TEST(mutex, a_waiter_that_gives_up_passes_on)
{
	for (int when = 0; when < 5; when++) {
		struct rota_mutex mutex = ROTA_MUTEX_INIT;
		struct rota_mutex_lock_op first, second;
		bool held = true; /* by us */

		rota_mutex_lock(&mutex);
		rota_mutex_lock_init(&first, &mutex);
		rota_mutex_lock_init(&second, &mutex);
		if (when > 0)
			expect(poll_by_hand(&first.future), ==, ROTA_PENDING);
		expect(poll_by_hand(&second.future), ==, ROTA_PENDING);
		if (when >= 2) {
			rota_mutex_unlock(&mutex);
			held = false;
		}
		if (when >= 3) {
			expect(rota_mutex_trylock(&mutex), ==, 0);
			held = true;
			expect(poll_by_hand(&first.future), ==, ROTA_PENDING);
		}
		if (when == 4) {
			rota_mutex_unlock(&mutex);
			held = false;
		}
		rota_future_cancel(&first.future);
		rota_future_cancel(&first.future);
		expect(poll_by_hand(&first.future), ==, ROTA_READY);
		if (first.future.status == 0) {
			expect(held, ==, false);
			rota_mutex_unlock(&mutex);
		} else {
			expect(first.future.status, ==, -ECANCELED);
			if (held)
				rota_mutex_unlock(&mutex);
		}
		expect(poll_by_hand(&second.future), ==, ROTA_READY);
		expect(second.future.status, ==, 0);
		rota_mutex_unlock(&mutex);
		expect(rota__word_own(mutex.state_.value), ==, 0);
		expect(busy_waiters_count(&mutex.state_, &mutex.waiters_), ==, 0);
	}
}

/* --- cancelling ------------------------------------------------------------------------------------------------------------ */

static int lock_and_unlock(void *arg)
{
	struct rota_mutex *mutex = arg;

	rota_mutex_lock(mutex);
	expect(rota_mutex_trylock(mutex), ==, -EBUSY);
	rota_mutex_unlock(mutex);
	return rota_cancelled();
}

static void not_a_cancellation_point_script(const struct place *place)
{
	struct rota_mutex mutex = ROTA_MUTEX_INIT;
	rota_task *task;
	int status = -1;

	(void)place;
	rota_mutex_lock(&mutex);
	expect(rota_spawn(&task, lock_and_unlock, &mutex), ==, 0);
	busy_waiters_await(&mutex.state_, &mutex.waiters_, 1);
	expect(rota_cancel(task), ==, 0);
	rota_sleep(ROTA_MS(1));
	rota_mutex_unlock(&mutex);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, 1);
}

UNIT_TEST(mutex, a_plain_lock_is_not_cancelled)
{
	in_fibers(not_a_cancellation_point_script, 0);
}

static int lock_as_future(void *arg)
{
	struct rota_mutex_lock_op op;
	int rc;

	rota_mutex_lock_init(&op, arg);
	rc = rota_await(&op.future);
	if (rc == 0)
		rota_mutex_unlock(arg);
	return rc;
}

static void cancelled_script(const struct place *place)
{
	struct rota_mutex mutex = ROTA_MUTEX_INIT;
	rota_task *first, *second;
	int status = -1;

	(void)place;
	for (int i = 0; i < 100; i++) {
		rota_mutex_lock(&mutex);
		expect(rota_spawn(&first, lock_as_future, &mutex), ==, 0);
		busy_waiters_await(&mutex.state_, &mutex.waiters_, 1);
		expect(rota_spawn(&second, lock_as_future, &mutex), ==, 0);
		busy_waiters_await(&mutex.state_, &mutex.waiters_, 2);
		if (i % 2 == 0)
			rota_mutex_unlock(&mutex);
		expect(rota_cancel(first), ==, 0);
		if (i % 2 != 0)
			rota_mutex_unlock(&mutex);
		expect(rota_join(first, &status), ==, 0);
		if (status != 0)
			expect(status, ==, -ECANCELED);
		expect(rota_join(second, &status), ==, 0);
		expect(status, ==, 0);
	}
	expect(rota__word_own(mutex.state_.value), ==, 0);
}

UNIT_TEST(mutex, a_cancelled_lock_passes_on)
{
	in_fibers(cancelled_script, 0);
}

/* --- misuse ---------------------------------------------------------------------------------------------------------------- */

UNIT_TEST(mutex, unlocking_a_free_mutex_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_mutex mutex = ROTA_MUTEX_INIT;
	struct unit_capture capture;

	unit_capture_begin(&capture);
	rota_mutex_unlock(&mutex);
	expect_contains(unit_capture_end(&capture), "not locked");
	expect(rota_mutex_trylock(&mutex), ==, 0); /* nothing has happened */
	expect(rota_mutex_trylock(&mutex), ==, -EBUSY);
	rota_mutex_unlock(&mutex);
}

static void *unlock_wrongly(void *arg)
{
	rota_mutex_unlock(arg);
	return NULL;
}

UNIT_TEST(mutex, unlocking_for_another_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_mutex mutex = ROTA_MUTEX_INIT;
	struct unit_capture capture;
	pthread_t thread;

	rota_mutex_lock(&mutex);
	unit_capture_begin(&capture);
	expect(pthread_create(&thread, NULL, unlock_wrongly, &mutex), ==, 0);
	expect(pthread_join(thread, NULL), ==, 0);
	expect(rota_mutex_deinit(&mutex), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "another task locked");
	expect(rota_mutex_trylock(&mutex), ==, -EBUSY); /* nothing has happened */
	rota_mutex_unlock(&mutex);
	expect(rota_mutex_deinit(&mutex), ==, 0);
}

/* --- blocking in place ----------------------------------------------------------------------------------------------------- */

static int lock_in_place(void *arg)
{
	rota_mutex_lock(arg);
	return 0;
}

static int unlock_in_place(void *arg)
{
	rota_mutex_unlock(arg);
	return 0;
}

/* It is the same task inside, so nothing is reported. */
static void in_place_script(const struct place *place)
{
	struct rota_mutex mutex = ROTA_MUTEX_INIT;

	(void)place;
	rota_mutex_lock(&mutex);
	expect(rota_block_in_place(unlock_in_place, &mutex), ==, 0);
	expect(rota_mutex_trylock(&mutex), ==, 0);
	rota_mutex_unlock(&mutex);
	expect(rota_block_in_place(lock_in_place, &mutex), ==, 0);
	expect(rota_mutex_trylock(&mutex), ==, -EBUSY);
	rota_mutex_unlock(&mutex);
	expect(rota__word_own(mutex.state_.value), ==, 0);
}

UNIT_TEST(mutex, a_task_that_blocks_in_place_is_the_same)
{
	place_run(&place_kinds[1], 0, in_place_script, NULL);
}

/* --- waits that go wrong --------------------------------------------------------------------------------------------------- */

static struct rota_mutex twice = ROTA_MUTEX_INIT;

static void *end_when_it_waits(void *arg)
{
	busy_waiters_await(&twice.state_, &twice.waiters_, 1);
	_exit(0);
	return arg;
}

static void lock_twice(void *arg)
{
	pthread_t thread;

	(void)arg;
	rota_mutex_lock(&twice);
	expect(pthread_create(&thread, NULL, end_when_it_waits, NULL), ==, 0);
	rota_mutex_lock(&twice);
}

UNIT_TEST(mutex, a_second_lock_by_the_same_is_reported)
{
	static struct unit_child child;

	unit_child_run(&child, lock_twice, NULL);
	expect_contains(child.text, "rota_mutex_lock of a mutex that the caller has locked");
#ifdef ROTA_DEBUG
	expect(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT, ==, 1);
#else
	expect(child.status, ==, 0);
#endif
}

struct blocker {
	struct rota_future future;
	struct rota_mutex mutex;
	unsigned *polled; /* atomic */
	bool given;       /* written by who has the mutex */
};

static rota_poll blocker_poll(struct rota_future *self, struct rota_context *cx)
{
	struct blocker *blocker = (struct blocker *)(void *)self;

	(void)cx;
	__atomic_store_n(blocker->polled, 1, __ATOMIC_RELEASE);
	rota_mutex_lock(&blocker->mutex);
	expect(blocker->given, ==, true);
	expect(rota_mutex_trylock(&blocker->mutex), ==, -EBUSY);
	rota_mutex_unlock(&blocker->mutex);
	self->status = 0;
	return ROTA_READY;
}

static const struct rota_future_ops blocker_ops = { .poll = blocker_poll };

/* It blocks the worker until it has the mutex. */
UNIT_TEST(mutex, a_lock_inside_a_poll_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	static struct blocker blocker = { .mutex = ROTA_MUTEX_INIT };
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);
	struct unit_capture capture;
	unsigned polled = 0;
	rota_task *task;

	blocker.polled = &polled;
	rota_mutex_lock(&blocker.mutex);
	rota_future_init(&blocker.future, &blocker_ops);
	unit_capture_begin(&capture);
	expect(rota_spawn_future_on(rt, &task, &blocker.future), ==, 0);
	while (__atomic_load_n(&polled, __ATOMIC_ACQUIRE) == 0 ||
	       strstr(unit_capture_so_far(&capture), "would block its worker") == NULL)
		sched_yield();
	usleep(10000); /* time for one that goes on without the mutex */
	blocker.given = true;
	rota_mutex_unlock(&blocker.mutex);
	unit_expect_join(task, 0);
	unit_capture_end(&capture);
	place_runtime_free(rt);
}
