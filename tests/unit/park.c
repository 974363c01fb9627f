/* SPDX-License-Identifier: MIT */
/*
 * Parking of plain threads: a wake before the park, during it, many at once, after the thread's end; the time limit;
 * no memory for a parker. And an executor of the user's own on top. stress/park.c has the races.
 */
#define _GNU_SOURCE
#include "../../runtime/park_internal.h"

#include <limits.h>
#include <pthread.h>

#include "../../runtime/sys_internal.h"
#include "unit.h"

UNIT_TEST(park, a_wake_before_the_park_ends_it)
{
	struct rota_waker waker = rota_thread_waker();

	rota_wake_by_ref(&waker);
	rota_thread_park(); /* hangs otherwise */
	/* Many are one. */
	rota_wake_by_ref(&waker);
	rota_wake_by_ref(&waker);
	rota_thread_park();
	rota__parker_park(rota__parker_self(), 1000);
}

UNIT_TEST(park, claim_tells_whether_somebody_sleeps)
{
	struct rota__parker *parker = rota__parker_self();

	expect(rota__parker_claim(parker), ==, false);
	expect(rota__parker_claim(parker), ==, false);
	rota__parker_park(parker, UINT64_MAX);
	expect(rota__parker_claim(parker), ==, false);
}

UNIT_TEST(park, a_thread_has_one_parker_and_one_waker)
{
	struct rota_waker first = rota_thread_waker(), second = rota_thread_waker(), third;

	expect_pointer(rota__parker_self(), ==, rota__parker_self());
	expect(rota_waker_same(&first, &second), ==, true);
	third = rota_waker_clone(&first);
	expect(rota_waker_same(&first, &third), ==, true);
	rota_waker_drop(&third);
	expect_pointer(third.ops, ==, NULL);
	rota_wake(&first);
	expect_pointer(first.ops, ==, NULL);
	rota_wake(&first); /* an empty one does nothing */
	rota_wake_by_ref(&first);
	rota_waker_drop(&first);
	rota_thread_park();
}

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void enter(rota_runtime *rt)
{
	expect(rota_block_on(rt, do_nothing, NULL), ==, 0);
}

/* What a thread keeps and has no key to be given back by must not take the place of another's value. */
UNIT_TEST(park, a_process_without_keys_keeps_its_values)
{
	static pthread_key_t keys[PTHREAD_KEYS_MAX];
	void *const first = pthread_getspecific(0); /* the first key that there is, whosever */
	struct rota_waker waker;
	unsigned n = 0;

	while (n < PTHREAD_KEYS_MAX && pthread_key_create(&keys[n], NULL) == 0)
		n++;
	waker = rota_thread_waker();
	expect_pointer(pthread_getspecific(0), ==, first);
	rota_wake_by_ref(&waker);
	rota_thread_park();
	unit_with_runtime(ROTA_FLAVOR_CURRENT_THREAD, enter);
	expect_pointer(pthread_getspecific(0), ==, first);
	for (unsigned i = 0; i < n; i++) {
		expect_pointer(pthread_getspecific(keys[i]), ==, NULL);
		pthread_key_delete(keys[i]);
	}
}

UNIT_TEST(park, returns_when_its_time_is_over)
{
	const uint64_t before = rota_now();

	while (rota_now() < before + ROTA_MS(2))
		rota__parker_park(rota__parker_self(), before + ROTA_MS(2) - rota_now());
	rota__parker_park(rota__parker_self(), 0);
}

struct sleeper {
	struct rota_waker waker;
	struct rota_atomic_u32 ready, go;
	unsigned parks;
};

static void *sleep_until_told(void *arg)
{
	struct sleeper *sleeper = arg;

	sleeper->waker = rota_thread_waker();
	rota__store(&sleeper->ready, 1, RELEASE);
	while (rota__load(&sleeper->go, ACQUIRE) == 0) {
		rota_thread_park();
		sleeper->parks++;
	}
	return NULL;
}

UNIT_TEST(park, a_thread_that_sleeps_is_woken)
{
	struct sleeper sleeper = { .parks = 0 };
	struct rota__parker *parker;
	pthread_t thread;

	expect(pthread_create(&thread, NULL, sleep_until_told, &sleeper), ==, 0);
	expect_eventually(rota__load(&sleeper.ready, ACQUIRE) == 1);
	parker = sleeper.waker.data;
	expect_eventually(rota__load(&parker->state, SEQ_CST) != 0); /* it sleeps, or is about to */
	rota__store(&sleeper.go, 1, RELEASE);
	rota_wake_by_ref(&sleeper.waker);
	pthread_join(thread, NULL);
	expect(sleeper.parks, >=, 1);
	/* After the end of the thread: nothing happens. */
	rota_wake_by_ref(&sleeper.waker);
	rota_wake(&sleeper.waker);
}

static void *take_parker(void *arg)
{
	*(struct rota__parker **)arg = rota__parker_self();
	return NULL;
}

UNIT_TEST(park, threads_that_end_leave_their_parkers_to_others)
{
	struct rota__parker *mine = rota__parker_self(), *first = NULL, *second = NULL;
	pthread_t thread;

	expect(pthread_create(&thread, NULL, take_parker, &first), ==, 0);
	pthread_join(thread, NULL);
	expect(pthread_create(&thread, NULL, take_parker, &second), ==, 0);
	pthread_join(thread, NULL);
	expect_pointer(first, ==, second);
	expect_pointer(first, !=, mine);
}

static void *park_without_memory(void *arg)
{
	struct rota_waker waker;

	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	waker = rota_thread_waker();
	rota_thread_park(); /* a nap: the caller looks again */
	rota_wake_by_ref(&waker);
	rota_thread_park();
	return arg;
}

UNIT_TEST(park, without_memory_a_park_is_a_nap)
{
	pthread_t thread;

	rota__parker_self();
	expect(pthread_create(&thread, NULL, park_without_memory, NULL), ==, 0);
	pthread_join(thread, NULL);
}

/* --- an executor of the user's own: the example that park.h gives -------------------------------------------------- */

static int answer(void *arg)
{
	rota_yield();
	return *(int *)arg;
}

RUNTIME_TEST(park, an_executor_polls_a_join_from_a_plain_thread)
{
	struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };
	struct rota_join_op join;
	rota_task *task;
	int forty_two = 42, status = 0;

	expect(rota_spawn_on(rt, &task, answer, &forty_two), ==, 0);
	/* Without worker threads somebody has to run it. */
	if (unit_flavor == ROTA_FLAVOR_CURRENT_THREAD)
		expect(rota_block_on(rt, answer, &forty_two), ==, 42);
	rota_join_init(&join, task);
	while (rota_future_poll(&join.future, &cx) == ROTA_PENDING)
		rota_thread_park();
	expect(join.future.status, ==, 0);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, 42);
}
