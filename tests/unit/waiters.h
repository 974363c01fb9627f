/* SPDX-License-Identifier: MIT */
/* What the tests of sync/ share: futures polled by hand, and waiting until somebody else waits. */
#ifndef TESTS_UNIT_WAITERS_H
#define TESTS_UNIT_WAITERS_H

#include "../../sync/busy_internal.h"
#include "places.h"

/* Runs the script wherever a future may be carried out, and on a runtime of one worker, where nobody runs beside it. */
static inline void wherever(place_script *script)
{
	const struct place_kind kind = { "a fiber of a runtime of one worker", HOST_FIBER, true,
					 ROTA_FLAVOR_MULTI_THREAD, carry_await };

	everyhow(script);
	place_run_of(1, &kind, 0, script, NULL);
}

/* Polls with the calling thread's waker. On a plain thread. */
static inline rota_poll poll_by_hand(struct rota_future *future)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };

	return rota_future_poll(future, &cx);
}

static inline unsigned waiters_count(struct rota_waitlist *list)
{
	unsigned count;

	rota__waitlist_lock(list);
	count = list->count_;
	rota__waitlist_unlock(list);
	return count;
}

/* Until so many wait. From a fiber too. */
static inline void waiters_await(struct rota_waitlist *list, unsigned count)
{
	while (waiters_count(list) != count)
		rota_sleep(ROTA_US(50));
}

/* The same where a busy word is the list's lock. */
static inline unsigned busy_waiters_count(struct rota_atomic_u64 *word, const struct rota_waitlist *list)
{
	const uint64_t state = rota__busy_take(word);
	const unsigned count = list->count_;

	rota__busy_give(word, state, list);
	return count;
}

static inline void busy_waiters_await(struct rota_atomic_u64 *word, const struct rota_waitlist *list, unsigned count)
{
	while (busy_waiters_count(word, list) != count)
		rota_sleep(ROTA_US(50));
}

/* A crowd that waits for the same thing in every way: fibers, stackless tasks, blocking jobs' kin (plain threads). */
enum {
	CROWD_FIBERS = 20,
	CROWD_FUTURES = 20,
	CROWD_THREADS = 20, /* more than one batch of wakes */
	CROWD = CROWD_FIBERS + CROWD_FUTURES + CROWD_THREADS,
};

struct crowd {
	rota_runtime *rt;
	int (*wait)(void *arg);                               /* called by fibers and threads; its result is kept */
	struct rota_future *(*future)(void *arg, unsigned i); /* for stackless tasks: the i-th */
	void *arg;
	rota_task *tasks[CROWD_FIBERS + CROWD_FUTURES];
	pthread_t threads[CROWD_THREADS];
	int status[CROWD];
};

static inline void *crowd_thread(void *arg)
{
	struct crowd *crowd = arg;

	return (void *)(intptr_t)crowd->wait(crowd->arg);
}

static inline void crowd_start(struct crowd *crowd)
{
	crowd->rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);
	for (unsigned i = 0; i < CROWD_FIBERS; i++)
		expect(rota_spawn_on(crowd->rt, &crowd->tasks[i], crowd->wait, crowd->arg), ==, 0);
	for (unsigned i = 0; i < CROWD_FUTURES; i++)
		expect(rota_spawn_future_on(crowd->rt, &crowd->tasks[CROWD_FIBERS + i], crowd->future(crowd->arg, i)),
		       ==, 0);
	for (unsigned i = 0; i < CROWD_THREADS; i++)
		expect(pthread_create(&crowd->threads[i], NULL, crowd_thread, crowd), ==, 0);
}

/* Waits for all. How many ended with `status`. */
static inline unsigned crowd_join(struct crowd *crowd, int status)
{
	unsigned count = 0;
	void *result;

	for (unsigned i = 0; i < CROWD_FIBERS + CROWD_FUTURES; i++)
		expect(rota_join(crowd->tasks[i], &crowd->status[i]), ==, 0);
	for (unsigned i = 0; i < CROWD_THREADS; i++) {
		expect(pthread_join(crowd->threads[i], &result), ==, 0);
		crowd->status[CROWD_FIBERS + CROWD_FUTURES + i] = (int)(intptr_t)result;
	}
	for (unsigned i = 0; i < CROWD; i++)
		count += crowd->status[i] == status;
	place_runtime_free(crowd->rt);
	return count;
}

#endif
