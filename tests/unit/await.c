/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a future: a fiber awaits it, plain threads block on it, several at once; and waits where none may be, in a
 * task that would block its worker.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "countdown.h"
#include "places.h"

/* --- awaited by a fiber ------------------------------------------------------------------------------------------- */

static int await(void *future)
{
	return rota_await(future);
}

TASK_TEST(await, a_fiber_awaits_it)
{
	for (unsigned polls = 1; polls < 300; polls++) {
		struct countdown c = countdown(polls, 3, true);

		expect(rota_await(&c.future), ==, 3);
		expect(c.polls, ==, polls);
	}
}

TASK_TEST(await, a_fiber_sleeps_until_it_is_woken)
{
	struct countdown c = countdown(2, 3, false);
	rota_task *task = unit_spawn(await, &c.future);

	until_pending(&c);
	unit_until_resting(task);
	expect(c.polls, ==, 1);
	rota_wake(&c.waker);
	unit_expect_join(task, 3);
}

TASK_TEST(await, a_cancelled_fiber_cancels_what_it_awaits_and_waits_for_it)
{
	struct countdown c = countdown(3, 3, false);
	rota_task *task = unit_spawn(await, &c.future);

	/* It takes its time: one more wake until it is over. */
	until_pending(&c);
	rota_cancel(task);
	until_pending(&c);
	expect(c.cancels, ==, 1);
	rota_wake(&c.waker);
	unit_expect_join(task, 3);
}

/* As everything that is given a future of the program's to carry out. */
static void nothing_script(const struct place *place)
{
	struct rota_future without_ops = { .ops = NULL };

	expect(rota_await(NULL), ==, -EINVAL);
	expect(rota_await(&without_ops), ==, -EINVAL);
	(void)place;
}

UNIT_TEST(await, nothing_to_await)
{
	everywhere(nothing_script);
}

/* --- polls that wait themselves ----------------------------------------------------------------------------------- */

/* Two events, and a future that waits for the second in its poll. */
struct waiting {
	struct rota_future future;
	struct unit_event first, second;
	struct rota_atomic_u32 begun;
};

static rota_poll waiting_poll(struct rota_future *self, struct rota_context *cx)
{
	struct waiting *w = (struct waiting *)(void *)self;

	(void)cx;
	rota__store(&w->begun, 1, SEQ_CST);
	self->status = unit_event_wait(&w->second);
	return ROTA_READY;
}

static const struct rota_future_ops waiting_ops = { .poll = waiting_poll };

static int await_both(void *arg)
{
	struct waiting *w = arg;
	struct rota_future *const both[] = { &w->first.future, &w->future };

	rota_future_init(&w->future, &waiting_ops);
	rota_future_init(&w->first.future, &unit_event_ops);
	return rota_await_all(both, 2);
}

static void bring_both(struct waiting *w)
{
	expect_eventually(rota__load(&w->begun, SEQ_CST) != 0);
	usleep(1000);
	unit_event_set(&w->first);
	usleep(1000);
	unit_event_set(&w->second);
}

/* The wake for the first comes while the second is waited for. */
RUNTIME_TEST(await, what_comes_while_a_poll_waits_is_not_lost)
{
	struct waiting w = { .begun = { 0 } };
	rota_task *task = NULL;

	if (unit_flavor == ROTA_FLAVOR_CURRENT_THREAD)
		return; /* nobody would run it meanwhile */
	expect(rota_spawn_on(rt, &task, await_both, &w), ==, 0);
	bring_both(&w);
	unit_expect_join(task, 0);
}

/* The poll's wait ends with the cancel, and so does what was polled before. */
TASK_TEST(await, nor_is_a_cancel)
{
	struct waiting w = { .begun = { 0 } };
	rota_task *task = unit_spawn(await_both, &w);

	unit_until_resting(task);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
}

static void *bring_both_thread(void *arg)
{
	bring_both(arg);
	return NULL;
}

UNIT_TEST(await, nor_is_it_on_a_plain_thread)
{
	struct waiting w = { .begun = { 0 } };
	pthread_t thread;

	expect(pthread_create(&thread, NULL, bring_both_thread, &w), ==, 0);
	expect(await_both(&w), ==, 0);
	pthread_join(thread, NULL);
}

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Wakes itself, then gives way. */
static rota_poll wake_and_yield(struct rota_future *self, struct rota_context *cx)
{
	if (++self->status == 2)
		return ROTA_READY;
	rota_wake_by_ref(cx->waker);
	expect(rota_spawn(NULL, do_nothing, NULL), ==, 0);
	expect(rota_yield(), ==, 0);
	return ROTA_PENDING;
}

TASK_TEST(await, nor_is_a_wake_before_the_poll_gives_way)
{
	static const struct rota_future_ops ops = { .poll = wake_and_yield };
	struct rota_future future;

	rota_future_init(&future, &ops);
	expect(rota_await(&future), ==, 2);
}

/* --- blocked on by plain threads ---------------------------------------------------------------------------------- */

static int runs_in_a_task(void *arg)
{
	(void)arg;
	return rota_task_id() != 0 ? 11 : 12;
}

static rota_poll poll_and_spawn(struct rota_future *self, struct rota_context *cx)
{
	rota_task *task = NULL;

	(void)cx;
	expect_pointer(rota_runtime_current(), !=, NULL);
	expect(rota_task_id(), ==, 0);
	expect(rota_spawn_local(&task, runs_in_a_task, NULL), ==, -ENXIO);
	expect(rota_spawn(&task, runs_in_a_task, NULL), ==, 0);
	rota_detach(task);
	self->status = 13;
	return ROTA_READY;
}

RUNTIME_TEST(await, a_plain_thread_blocks_on_it_inside_the_runtime)
{
	static const struct rota_future_ops ops = { .poll = poll_and_spawn };
	struct rota_future future;

	rota_future_init(&future, &ops);
	expect(rota_block_on_future(rt, &future), ==, 13);
	expect_pointer(rota_runtime_current(), ==, NULL);
}

struct blocker {
	pthread_t thread;
	rota_runtime *rt;
	struct countdown countdown;
};

static void *block_on_it(void *arg)
{
	struct blocker *b = arg;

	expect(rota_block_on_future(b->rt, &b->countdown.future), ==, 4);
	return NULL;
}

RUNTIME_TEST(await, many_threads_block_at_once)
{
	struct blocker blockers[8];

	for (int i = 0; i < 8; i++) {
		blockers[i].rt = rt;
		blockers[i].countdown = countdown(3, 4, false);
		expect(pthread_create(&blockers[i].thread, NULL, block_on_it, &blockers[i]), ==, 0);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 8; i++) {
			until_pending(&blockers[i].countdown);
			rota_wake(&blockers[i].countdown.waker);
		}
	}
	for (int i = 0; i < 8; i++)
		pthread_join(blockers[i].thread, NULL);
}

RUNTIME_TEST(await, blocking_on_nothing_or_on_what_was_stopped_is_refused)
{
	struct countdown c = countdown(1, 4, true);
	struct rota_future empty = { .ops = NULL };

	expect(rota_block_on_future(NULL, &c.future), ==, -EINVAL);
	expect(rota_block_on_future(rt, NULL), ==, -EINVAL);
	expect(rota_block_on_future(rt, &empty), ==, -EINVAL);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect(rota_block_on_future(rt, &c.future), ==, -ESHUTDOWN);
	expect(c.polls, ==, 0);
}

/* --- waits where none may be -------------------------------------------------------------------------------------- */

static int block_inside(void *arg)
{
	struct countdown c = countdown(1, 4, true);

	expect(rota_block_on_future(arg, &c.future), ==, -EDEADLK);
	expect(c.polls, ==, 0);
	return 2;
}

RUNTIME_TEST(await, blocking_inside_a_task_is_refused, .signal = UNIT_MISUSE_SIGNAL)
{
	struct unit_capture capture;

	unit_capture_begin(&capture);
	expect(rota_block_on(rt, block_inside, rt), ==, 2);
	expect_contains(unit_capture_end(&capture), "rota_block_on_future inside task");
	expect(unit_lines(capture.text), ==, 1);
}

static rota_poll wait_in_poll(struct rota_future *self, struct rota_context *cx)
{
	struct countdown c = countdown(1, 4, true);
	struct rota_future *const futures[] = { &c.future };
	size_t which = 9;

	(void)cx;
	expect(rota_await(&c.future), ==, -EDEADLK);
	expect(rota_await_any(futures, 1, &which), ==, -EDEADLK);
	expect(which, ==, 9);
	expect(rota_yield(), ==, -EDEADLK);
	expect(rota_sleep(ROTA_SECONDS(1000)), ==, -EDEADLK);
	self->status = 6;
	return ROTA_READY;
}

static int spawn_waiting(void *arg)
{
	static const struct rota_future_ops ops = { .poll = wait_in_poll };
	struct rota_future future;

	(void)arg;
	rota_future_init(&future, &ops);
	unit_expect_join(unit_spawn_future(&future), 6);
	return 0;
}

RUNTIME_TEST(await, waiting_inside_a_poll_is_refused, .signal = UNIT_MISUSE_SIGNAL)
{
	struct unit_capture capture;

	unit_capture_begin(&capture);
	expect(rota_block_on(rt, spawn_waiting, NULL), ==, 0);
	expect(unit_lines(unit_capture_end(&capture)), ==, 4);
	expect_contains(capture.text, "stackless task");
}
