/* SPDX-License-Identifier: MIT */
/*
 * The queue of waiters: order, leaving from anywhere, grants; and what becomes of wakers: those of foreign executors
 * are cloned, and each clone is given back exactly once.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "../../runtime/sys_internal.h"
#include "../../runtime/waitlist_internal.h"

#include "unit.h"

#define WAITERS 8

/* A foreign executor that counts. */
struct executor {
	int clones, wakes, drops;
};

static void *executor_clone(void *data)
{
	((struct executor *)data)->clones++;
	return data;
}

static void executor_wake(void *data)
{
	((struct executor *)data)->wakes++;
}

static void executor_wake_by_ref(void *data)
{
	(void)data;
	expect_text("wake_by_ref", "not called: what is held is consumed");
}

static void executor_drop(void *data)
{
	((struct executor *)data)->drops++;
}

static const struct rota_waker_ops executor_ops = {
	.clone = executor_clone,
	.wake = executor_wake,
	.wake_by_ref = executor_wake_by_ref,
	.drop = executor_drop,
};

static struct rota_waitlist list;
static struct rota_waiter waiters[WAITERS];
static struct executor executors[WAITERS];
static struct rota__wake_batch batch;

static struct rota_waker waker(unsigned i)
{
	return (struct rota_waker){ &executor_ops, &executors[i] };
}

static void wait_at(unsigned i, bool front)
{
	struct rota_waker w = waker(i);

	rota__waitlist_wait(&list, &waiters[i], &w, front);
	expect(rota__waiter_queued(&waiters[i]), ==, true);
	expect(rota__waiter_granted(&waiters[i]), ==, false);
}

static void queue_all(void)
{
	for (unsigned i = 0; i < WAITERS; i++) {
		rota__waiter_init(&waiters[i]);
		wait_at(i, false);
	}
	expect(list.count_, ==, WAITERS);
}

/* The first waiter is number i: grants to it, and expects that it alone is woken. */
static void grant_to(unsigned i)
{
	expect_pointer(list.first_, ==, &waiters[i]);
	rota__wake_batch_init(&batch);
	rota__waitlist_grant(&list, 100 + i, &batch);
	expect(rota__waiter_granted(&waiters[i]), ==, true);
	expect(rota__waiter_queued(&waiters[i]), ==, false);
	expect(waiters[i].tag_, ==, 100 + i);
	expect(executors[i].wakes, ==, 0); /* claimed only */
	rota__wake_batch_submit(&batch);
	expect(executors[i].wakes, ==, 1);
	expect(executors[i].drops, ==, 0); /* waking gives it back */
	expect(executors[i].clones, ==, 1);
}

UNIT_TEST(waitlist, all_zero_is_empty)
{
	expect(rota__waitlist_empty(&list), ==, true);
	expect(list.count_, ==, 0);
}

UNIT_TEST(waitlist, is_first_in_first_out)
{
	queue_all();
	for (unsigned i = 0; i < WAITERS; i++)
		grant_to(i);
	expect(rota__waitlist_empty(&list), ==, true);
	expect(list.count_, ==, 0);
}

UNIT_TEST(waitlist, who_waits_in_front_comes_first)
{
	wait_at(0, false);
	wait_at(1, false);
	wait_at(2, true);
	wait_at(3, true);
	grant_to(3);
	grant_to(2);
	grant_to(0);
	grant_to(1);
}

UNIT_TEST(waitlist, leaves_from_anywhere)
{
	static const unsigned leaving[] = { 0, 3, 7, 4 }; /* first, middle, last, beside a gap */
	static const unsigned staying[] = { 1, 2, 5, 6 };

	queue_all();
	for (unsigned i = 0; i < 4; i++) {
		rota__waitlist_remove(&list, &waiters[leaving[i]]);
		expect(rota__waiter_queued(&waiters[leaving[i]]), ==, false);
		expect(rota__waiter_granted(&waiters[leaving[i]]), ==, false);
		expect(executors[leaving[i]].drops, ==, 1);
		expect(list.count_, ==, WAITERS - 1 - i);
	}
	for (unsigned i = 0; i < 4; i++)
		grant_to(staying[i]);
	expect(rota__waitlist_empty(&list), ==, true);
}

UNIT_TEST(waitlist, who_left_may_come_again)
{
	wait_at(0, false);
	rota__waitlist_remove(&list, &waiters[0]);
	expect(rota__waitlist_empty(&list), ==, true);
	executors[0] = (struct executor){ 0 };
	wait_at(1, false);
	wait_at(0, false);
	grant_to(1);
	grant_to(0);
}

UNIT_TEST(waitlist, waiting_again_keeps_the_place_and_takes_the_latest_waker)
{
	struct rota_waker other = waker(5);

	wait_at(0, false);
	wait_at(1, false);
	/* The same waker: nothing is cloned. */
	wait_at(0, false);
	expect(executors[0].clones, ==, 1);
	expect(list.count_, ==, 2);
	/* Another one takes its place. */
	rota__waitlist_wait(&list, &waiters[0], &other, false);
	expect(executors[0].drops, ==, 1);
	expect(executors[5].clones, ==, 1);
	expect_pointer(list.first_, ==, &waiters[0]);
	rota__wake_batch_init(&batch);
	rota__waitlist_grant(&list, 0, &batch);
	rota__wake_batch_submit(&batch);
	expect(executors[0].wakes, ==, 0);
	expect(executors[5].wakes, ==, 1);
	grant_to(1);
}

UNIT_TEST(waitlist, a_batch_has_room_for_what_it_says)
{
	static struct rota_waiter many[ROTA__WAKE_BATCH];
	struct rota_waker w = waker(0);

	rota__wake_batch_init(&batch);
	for (unsigned i = 0; i < ROTA__WAKE_BATCH; i++)
		rota__waitlist_wait(&list, &many[i], &w, false);
	for (unsigned i = 0; i < ROTA__WAKE_BATCH; i++) {
		expect(rota__wake_batch_full(&batch), ==, false);
		rota__waitlist_grant(&list, 0, &batch);
	}
	expect(rota__wake_batch_full(&batch), ==, true);
	rota__wake_batch_submit(&batch);
	expect(rota__wake_batch_full(&batch), ==, false);
	expect(executors[0].wakes, ==, ROTA__WAKE_BATCH);
}

UNIT_TEST(waitlist, the_lock_excludes)
{
	for (unsigned i = 0; i < 2 * ROTA__STREAK; i++) {
		rota__waitlist_lock(&list);
		expect(list.lock_.value & ROTA__LIST_LOCKED, ==, ROTA__LIST_LOCKED);
		rota__waitlist_unlock(&list);
		expect(list.lock_.value & ROTA__LIST_LOCKED, ==, 0);
	}
}

static void lock_often(void)
{
	for (unsigned i = 0; i < ROTA__STREAK; i++) {
		rota__waitlist_lock(&list);
		rota__waitlist_unlock(&list);
	}
}

static void *lock_elsewhere(void *arg)
{
	lock_often();
	return arg;
}

UNIT_TEST(waitlist, who_locks_it_often_has_the_lock_alone_until_another_comes)
{
	pthread_t thread;

	lock_often();
	expect((list.lock_.value & ROTA__BIASED) != 0, ==, rota__sys_has_sequences());
	lock_often();
	expect((list.lock_.value & ROTA__BIASED) != 0, ==, rota__sys_has_sequences());
	expect(pthread_create(&thread, NULL, lock_elsewhere, NULL), ==, 0);
	expect(pthread_join(thread, NULL), ==, 0);
	expect(list.lock_.value, ==, ROTA__SHARED);
	lock_often();
	expect(list.lock_.value, ==, ROTA__SHARED);
}

UNIT_TEST(waitlist, one_that_begins_as_shared_is_nobodys)
{
	list = (struct rota_waitlist)ROTA_WAITLIST_SHARED_INIT_;
	lock_often();
	lock_often();
	expect(list.lock_.value, ==, ROTA__SHARED);
	rota__waitlist_lock_shared(&list);
	rota__waitlist_unlock_shared(&list);
	expect(list.lock_.value, ==, ROTA__SHARED);
}
