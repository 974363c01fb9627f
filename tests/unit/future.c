/* SPDX-License-Identifier: MIT */
/*
 * Futures written by hand: as a task of their own, made of others, polled by a foreign executor; wakers that are cloned,
 * fired from anywhere and after the end; polling after the end. await.c has waiting for them.
 */
#define _GNU_SOURCE
#include "countdown.h"

/* --- as a task ---------------------------------------------------------------------------------------------------------- */

TASK_TEST(future, is_polled_until_it_is_ready)
{
	for (unsigned polls = 1; polls < 200; polls++) {
		struct countdown c = countdown(polls, 7, true);

		unit_expect_join(unit_spawn_future(&c.future), 7);
		expect(c.polls, ==, polls);
	}
}

TASK_TEST(future, its_status_may_be_an_error)
{
	struct countdown c = countdown(1, -EIO, true);

	unit_expect_join(unit_spawn_future(&c.future), -EIO);
}

TASK_TEST(future, is_not_polled_unless_it_is_woken)
{
	struct countdown c = countdown(2, 9, false);
	rota_task *task = unit_spawn_future(&c.future);

	until_pending(&c);
	for (int i = 0; i < 100; i++)
		rota_yield();
	expect(c.polls, ==, 1);
	rota_wake(&c.waker);
	unit_expect_join(task, 9);
	expect(c.polls, ==, 2);
}

TASK_TEST(future, many_wakes_are_at_least_one_poll)
{
	struct countdown c = countdown(2, 9, false);
	rota_task *task = unit_spawn_future(&c.future);
	struct rota_waker clones[10];

	until_pending(&c);
	for (int i = 0; i < 10; i++) {
		clones[i] = rota_waker_clone(&c.waker);
		expect(rota_waker_same(&clones[i], &c.waker), ==, true);
	}
	for (int i = 0; i < 10; i++)
		rota_wake_by_ref(&clones[i]);
	unit_expect_join(task, 9);
	/* The task has ended; its wakers have not. */
	for (int i = 0; i < 5; i++)
		rota_wake_by_ref(&clones[i]);
	for (int i = 0; i < 5; i++)
		rota_wake(&clones[i]);
	for (int i = 5; i < 10; i++)
		rota_waker_drop(&clones[i]);
	rota_wake(&c.waker);
}

/* A copy of the struct is no clone. */
TASK_TEST(future, a_waker_that_is_given_back_twice_aborts, .signal = SIGABRT)
{
	struct countdown c = countdown(2, 9, false);
	rota_task *task = unit_spawn_future(&c.future);

	until_pending(&c);
	for (int i = 0; i < 100; i++) { /* more than there are references */
		struct rota_waker copy = c.waker;

		expect(rota__state_ended(&task->state), ==, false);
		rota_waker_drop(&copy);
	}
}

static int wake_it(void *waker)
{
	rota_wake(waker);
	return 0;
}

TASK_TEST(future, is_woken_from_other_threads)
{
	for (unsigned i = 0; i < 200; i++) {
		struct countdown c = countdown(2, (int)i, false);
		rota_task *task = unit_spawn_future(&c.future), *job = NULL;

		until_pending(&c);
		expect(rota_spawn_blocking(&job, wake_it, &c.waker), ==, 0);
		unit_expect_join(task, (int)i);
		unit_expect_join(job, 0);
	}
}

TASK_TEST(future, a_handle_may_be_given_up)
{
	static struct countdown c;
	rota_runtime *rt = rota_runtime_current();

	c = countdown(2, 0, false);
	expect(rota_spawn_future(NULL, &c.future), ==, 0);
	until_pending(&c);
	rota_wake(&c.waker);
	unit_until_alive(rt, 1);
	expect(c.polls, ==, 2);
}

TASK_TEST(future, is_cancelled_once_and_polled_to_its_end)
{
	struct countdown c = countdown(100, 5, false);
	rota_task *task = unit_spawn_future(&c.future);

	c.obeys = true;
	until_pending(&c);
	rota_cancel(task);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	expect(c.cancels, >=, 1);
	expect(c.polls, ==, 2);
	rota_waker_drop(&c.waker);
}

static int cancel_unstarted(void *arg)
{
	struct countdown c = countdown(100, 5, false);
	rota_task *task = unit_spawn_future(&c.future);

	(void)arg;
	c.obeys = true;
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	expect(c.cancels, ==, 1);
	expect(c.polls, ==, 1);
	return 0;
}

UNIT_TEST(future, cancelled_before_its_first_poll_it_is_polled_all_the_same)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD); /* it cannot have started yet */

	expect(rota_block_on(rt, cancel_unstarted, NULL), ==, 0);
	rota_runtime_free(rt);
}

static const struct rota_future_ops deaf_ops = { .poll = countdown_poll };

TASK_TEST(future, one_that_cannot_be_cancelled_goes_on)
{
	struct countdown c = countdown(3, 5, false);
	rota_task *task;

	rota_future_init(&c.future, &deaf_ops);
	task = unit_spawn_future(&c.future);
	until_pending(&c);
	rota_cancel(task); /* which also wakes it */
	until_pending(&c);
	rota_wake(&c.waker);
	unit_expect_join(task, 5);
}

static rota_poll see_task(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	self->status = rota_task_id() != 0 && rota_runtime_current() != NULL;
	expect_text(rota_task_name(), "");
	return ROTA_READY;
}

TASK_TEST(future, its_poll_is_inside_a_task)
{
	static const struct rota_future_ops ops = { .poll = see_task };
	struct rota_future future;

	rota_future_init(&future, &ops);
	unit_expect_join(unit_spawn_future(&future), 1);
}

#define MANY 50000

TASK_TEST(future, very_many_wait_and_are_woken)
{
	static struct countdown many[MANY];
	static rota_task *tasks[MANY];

	for (unsigned i = 0; i < MANY; i++) {
		many[i] = countdown(2, (int)i, false);
		tasks[i] = unit_spawn_future(&many[i].future);
	}
	for (unsigned i = 0; i < MANY; i++) {
		until_pending(&many[i]);
		rota_wake(&many[i].waker);
	}
	for (unsigned i = 0; i < MANY; i++)
		unit_expect_join(tasks[i], (int)i);
}

/* --- what is no future, and from where ------------------------------------------------------------------------------------ */

TASK_TEST(future, what_is_no_future_is_refused)
{
	static const struct rota_future_ops no_poll = { .poll = NULL };
	struct rota_future future = { .ops = NULL };
	rota_task *task = NULL;

	expect(rota_spawn_future(&task, NULL), ==, -EINVAL);
	expect(rota_spawn_future(&task, &future), ==, -EINVAL);
	expect(rota_spawn_future_on(rota_runtime_current(), &task, &future), ==, -EINVAL);
	future.ops = &no_poll;
	expect(rota_spawn_future(&task, &future), ==, -EINVAL);
	expect_pointer(task, ==, NULL);
}

RUNTIME_TEST(future, a_plain_thread_names_the_runtime)
{
	struct countdown c = countdown(3, 8, true), d = countdown(3, 8, true);
	rota_task *task = NULL;
	struct rota_join_op join;

	expect(rota_spawn_future(&task, &c.future), ==, -ENXIO);
	expect(rota_spawn_future_on(NULL, &task, &c.future), ==, -EINVAL);
	expect_pointer(task, ==, NULL);
	if (unit_flavor == ROTA_FLAVOR_CURRENT_THREAD)
		return; /* nobody would poll it */
	expect(rota_spawn_future_on(rt, &task, &c.future), ==, 0);
	rota_join_init(&join, task);
	expect(rota_block_on_future(rt, &join.future), ==, 0);
	unit_expect_join(task, 8);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect(rota_spawn_future_on(rt, &task, &d.future), ==, -ESHUTDOWN);
	expect(d.polls, ==, 0);
}

/* --- polling after the end -------------------------------------------------------------------------------------------------- */

UNIT_TEST(future, polled_after_it_was_ready_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct countdown c = countdown(1, 5, true);
	struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };
	struct unit_capture capture;

	expect(rota_future_poll(&c.future, &cx), ==, ROTA_READY);
	expect(c.future.status, ==, 5);
	for (int i = 0; i < 3; i++) {
		unit_capture_begin(&capture);
		expect(rota_future_poll(&c.future, &cx), ==, ROTA_READY);
		expect_contains(unit_capture_end(&capture), "polled after it was ready");
		expect(c.future.status, ==, -EINVAL);
	}
	expect(c.polls, ==, 1);
	rota_future_cancel(&c.future); /* harmless */
}

static int await_twice(void *future)
{
	expect(rota_await(future), ==, 5);
	return rota_await(future);
}

UNIT_TEST(future, awaited_after_it_was_ready_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_MULTI_THREAD);
	struct countdown c = countdown(3, 5, true);
	struct unit_capture capture;

	unit_capture_begin(&capture);
	expect(rota_block_on(rt, await_twice, &c.future), ==, -EINVAL);
	expect(unit_lines(unit_capture_end(&capture)), ==, 1);
	rota_runtime_free(rt);
}

/* --- futures made of futures ----------------------------------------------------------------------------------------------------- */

/* Two timers and an event, one after the other: an async function as a state machine. */
struct journey {
	struct rota_future future;
	struct rota_timer timer;
	struct unit_event event;
	unsigned step;
	uint64_t times[3];
};

static rota_poll journey_poll(struct rota_future *self, struct rota_context *cx)
{
	struct journey *j = (struct journey *)(void *)self;

	for (;;) {
		if (j->step % 2 == 0) {
			j->times[j->step / 2] = rota_now() + ROTA_US(300);
			rota_timer_init(&j->timer, j->times[j->step / 2]);
			j->step++;
		}
		if (rota_future_poll(&j->timer.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		if (j->timer.future.status < 0) {
			self->status = j->timer.future.status;
			return ROTA_READY;
		}
		expect(rota_now(), >=, j->times[j->step / 2]);
		if (++j->step == 6) {
			self->status = 66;
			return ROTA_READY;
		}
	}
}

static void journey_cancel(struct rota_future *self)
{
	struct journey *j = (struct journey *)(void *)self;

	if (j->step % 2 != 0)
		rota_future_cancel(&j->timer.future);
}

static const struct rota_future_ops journey_ops = { .poll = journey_poll, .cancel = journey_cancel };

TASK_TEST(future, may_poll_others)
{
	static struct journey journeys[100];
	rota_task *tasks[100];

	for (int i = 0; i < 100; i++) {
		rota_future_init(&journeys[i].future, &journey_ops);
		tasks[i] = unit_spawn_future(&journeys[i].future);
	}
	for (int i = 0; i < 100; i++)
		unit_expect_join(tasks[i], 66);
}

TASK_TEST(future, passes_a_cancel_on)
{
	struct rota_timer timer;
	rota_task *task;

	rota_timer_init(&timer, ROTA_NEVER);
	task = unit_spawn_future(&timer.future);
	unit_until_resting(task);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
}

/* --- a foreign executor -------------------------------------------------------------------------------------------------------------- */

struct executor {
	struct rota_atomic_u32 references, wakes;
};

static void *executor_clone(void *data)
{
	rota__fetch_add(&((struct executor *)data)->references, 1, SEQ_CST);
	return data;
}

static void executor_wake_by_ref(void *data)
{
	rota__fetch_add(&((struct executor *)data)->wakes, 1, SEQ_CST);
}

static void executor_drop(void *data)
{
	rota__fetch_sub(&((struct executor *)data)->references, 1, SEQ_CST);
}

static void executor_wake(void *data)
{
	executor_wake_by_ref(data);
	executor_drop(data);
}

static const struct rota_waker_ops executor_ops = {
	.clone = executor_clone,
	.wake = executor_wake,
	.wake_by_ref = executor_wake_by_ref,
	.drop = executor_drop,
};

/* Polls with a waker of its own, for as long as it takes. */
static int execute(struct executor *executor, struct rota_future *future)
{
	const struct rota_waker waker = { &executor_ops, executor };
	struct rota_context cx = { &waker };
	uint32_t seen = rota__load(&executor->wakes, SEQ_CST);

	while (rota_future_poll(future, &cx) == ROTA_PENDING) {
		const time_t start = expect_seconds_();

		while (rota__load(&executor->wakes, SEQ_CST) == seen) {
			expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
			rota_yield();
		}
		seen = rota__load(&executor->wakes, SEQ_CST);
	}
	return future->status;
}

TASK_TEST(future, a_foreign_executor_gets_its_wakers_back)
{
	struct executor executor = { .wakes = { 0 } };
	struct countdown c;
	struct rota_timer timer;
	struct rota_join_op join;
	rota_task *task;

	for (int i = 0; i < 20; i++) {
		c = countdown(3, 4, true);
		expect(execute(&executor, &c.future), ==, 4);
		rota_timer_init(&timer, rota_now() + ROTA_US(200));
		expect(execute(&executor, &timer.future), ==, 0);
		c = countdown(3, 4, true);
		task = unit_spawn_future(&c.future);
		rota_join_init(&join, task);
		expect(execute(&executor, &join.future), ==, 0);
		unit_expect_join(task, 4);
	}
	/* Whoever fires a waker gives it back a moment after it was heard. */
	while (rota__load(&executor.references, SEQ_CST) != 0)
		rota_yield();
}
