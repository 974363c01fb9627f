/* SPDX-License-Identifier: MIT */
/* Waiting for several futures at once: all of them, or the first; what the losers keep; cancels from outside. */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "countdown.h"
#include "places.h"

/* --- all ---------------------------------------------------------------------------------------------------------------- */

static void all_script(const struct place *place)
{
	struct countdown a = countdown(1, 3, true), b = countdown(5, 0, true), c = countdown(3, 9, true);
	struct rota_future *const futures[] = { &a.future, &b.future, &c.future };
	struct rota_all_op all;

	rota_all_init(&all, futures, 3);
	expect(place->carry(place, &all.future), ==, 0);
	expect(a.future.status, ==, 3);
	expect(b.future.status, ==, 0);
	expect(c.future.status, ==, 9);
	/* Each is polled as often as it needs, and not once more. */
	expect(a.polls, ==, 1);
	expect(b.polls, ==, 5);
	expect(c.polls, ==, 3);
}

UNIT_TEST(select, all_waits_for_all)
{
	everyhow(all_script);
}

static void all_errors_script(const struct place *place)
{
	struct countdown a = countdown(4, 0, true), b = countdown(3, -EIO, true), c = countdown(1, -EPERM, true);
	struct rota_future *const futures[] = { &a.future, &b.future, &c.future };
	struct rota_all_op all;

	(void)place;
	rota_all_init(&all, futures, 3);
	expect(place->carry(place, &all.future), ==, -EIO); /* the first in the array, not in time */
	expect(a.polls, ==, 4);                             /* the others are not cut short */
	expect(a.cancels, ==, 0);
}

UNIT_TEST(select, all_tells_the_first_error)
{
	everyhow(all_errors_script);
}

TASK_TEST(select, all_of_nothing_is_ready)
{
	expect(rota_await_all(NULL, 0), ==, 0);
}

TASK_TEST(select, all_runs_side_by_side)
{
	uint64_t start = rota_now();
	struct rota_timer timers[10];
	struct rota_future *futures[10];

	for (int i = 0; i < 10; i++) {
		rota_timer_init(&timers[i], start + ROTA_MS(20) + (uint64_t)i);
		futures[i] = &timers[i].future;
	}
	expect(rota_await_all(futures, 10), ==, 0);
	expect(rota_now() - start, >=, ROTA_MS(20));
	for (int i = 0; i < 10; i++)
		expect(futures[i]->status, ==, 0);
}

/* --- any ---------------------------------------------------------------------------------------------------------------- */

static void any_script(const struct place *place)
{
	struct countdown a = countdown(100, 3, false), b = countdown(5, 7, true), c = countdown(200, 9, false);
	struct rota_future *const futures[] = { &a.future, &b.future, &c.future };
	struct rota_any_op any;

	a.obeys = true;
	c.obeys = true;
	rota_any_init(&any, futures, 3);
	expect(place->carry(place, &any.future), ==, 7);
	expect(any.index, ==, 1);
	expect(a.future.status, ==, -ECANCELED);
	expect(c.future.status, ==, -ECANCELED);
	expect(a.cancels, ==, 1);
	expect(b.cancels, ==, 0);
	if (a.waker.ops != NULL)
		rota_waker_drop(&a.waker);
	if (c.waker.ops != NULL)
		rota_waker_drop(&c.waker);
}

UNIT_TEST(select, any_takes_the_first)
{
	everyhow(any_script);
}

TASK_TEST(select, any_waits_for_those_that_do_not_obey)
{
	struct countdown slow = countdown(50, 5, true), quick = countdown(2, 1, true);
	size_t which = 9;

	expect(ROTA_AWAIT_ANY(&which, &slow.future, &quick.future), ==, 1);
	expect(which, ==, 1);
	expect(slow.polls, ==, 50);
	expect(slow.cancels, ==, 1);
	expect(slow.future.status, ==, 5);
}

TASK_TEST(select, any_of_nothing_is_an_error)
{
	size_t which = 9;

	expect(rota_await_any(NULL, 0, &which), ==, -EINVAL);
	expect(which, ==, 9);
}

TASK_TEST(select, what_is_no_future_is_refused_before_any_is_polled)
{
	struct countdown quick = countdown(1, 1, true);
	struct rota_future without_ops = { .ops = NULL };
	struct rota_future *const missing[] = { &quick.future, NULL }, *const empty[] = { &quick.future, &without_ops };
	size_t which = 9;

	expect(rota_await_all(missing, 2), ==, -EINVAL);
	expect(rota_await_all(empty, 2), ==, -EINVAL);
	expect(rota_await_all(NULL, 2), ==, -EINVAL);
	expect(rota_await_any(missing, 2, &which), ==, -EINVAL);
	expect(rota_await_any_biased(empty, 2, &which), ==, -EINVAL);
	expect(rota_await_any(NULL, 2, &which), ==, -EINVAL);
	expect(which, ==, 9);
	expect(quick.polls, ==, 0);
}

TASK_TEST(select, an_error_wins_too)
{
	struct countdown bad = countdown(1, -EIO, true);
	struct rota_timer timer;
	size_t which = 9;

	rota_timer_init(&timer, ROTA_NEVER);
	expect(ROTA_AWAIT_ANY(&which, &timer.future, &bad.future), ==, -EIO);
	expect(which, ==, 1);
	expect(timer.future.status, ==, -ECANCELED);
}

enum { ROUNDS = 4000 };

TASK_TEST(select, any_is_fair)
{
	unsigned won[3] = { 0 };

	for (int i = 0; i < ROUNDS; i++) {
		struct countdown c[3] = { countdown(1, 0, true), countdown(1, 0, true), countdown(1, 0, true) };
		size_t which = 9;

		expect(ROTA_AWAIT_ANY(&which, &c[0].future, &c[1].future, &c[2].future), ==, 0);
		won[which]++;
	}
	/* A fair coin with three sides is this far off once in 10^40. */
	for (int i = 0; i < 3; i++) {
		expect(won[i], >, ROUNDS / 3 - 400);
		expect(won[i], <, ROUNDS / 3 + 400);
	}
}

TASK_TEST(select, biased_takes_the_lowest)
{
	for (int i = 0; i < 100; i++) {
		struct countdown a = countdown(1, 0, true), b = countdown(1, 0, true);
		size_t which = 9;

		expect(ROTA_AWAIT_ANY_BIASED(&which, &a.future, &b.future), ==, 0);
		expect(which, ==, 0);
	}
}

static int write_to_both(void *arg)
{
	const int(*pairs)[2] = arg;

	for (int k = 0; k < 2; k++)
		expect(write(pairs[k][1], "hello", 5), ==, 5);
	return 0;
}

/* Bytes that came together with the winner are not lost, whoever wins: before both began to wait, or meanwhile. */
TASK_TEST(select, a_loser_keeps_what_it_has)
{
	unsigned kept = 0;

	for (int i = 0; i < 200; i++) {
		struct rota_op ops[2];
		char buf[2][8];
		rota_task *writer = NULL;
		int pairs[2][2];
		size_t which = 9;

		for (int k = 0; k < 2; k++) {
			expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[k]), ==, 0);
			rota_op_recv(&ops[k], pairs[k][0], buf[k], sizeof(buf[k]), 0);
		}
		if (i % 2 == 0)
			write_to_both(pairs);
		else
			expect(rota_spawn(&writer, write_to_both, pairs), ==, 0);
		expect(ROTA_AWAIT_ANY(&which, &ops[0].future, &ops[1].future), ==, 5);
		expect(which, <, 2);
		if (writer != NULL)
			unit_expect_join(writer, 0);
		/* Taken by the loser, or still in its socket: once. */
		ssize_t left = ops[1 - which].future.status;
		if (left == 5) {
			kept++;
			expect(memcmp(buf[1 - which], "hello", 5), ==, 0);
			expect(recv(pairs[1 - which][0], buf[0], 8, MSG_DONTWAIT), ==, -1);
		} else {
			expect(left, ==, -ECANCELED);
			expect(recv(pairs[1 - which][0], buf[0], 8, MSG_DONTWAIT), ==, 5);
		}
		for (int k = 0; k < 4; k++)
			close(pairs[k / 2][k % 2]);
	}
	/* On one thread the ring had both when the winner was seen. With epoll, who has lost has not read yet. */
	if (unit_flavor == ROTA_FLAVOR_CURRENT_THREAD &&
	    rota_runtime_backend(rota_runtime_current()) == ROTA_BACKEND_IO_URING)
		expect(kept, >, 0);
}

/* A message, a timer or an end, whichever comes first. */
TASK_TEST(select, over_a_channel_a_timer_and_a_join)
{
	struct rota_channel channel;
	struct rota_channel_op recv;
	struct rota_timer timer;
	struct rota_join_op join;
	size_t which;
	int value = 0;

	expect(rota_channel_init(&channel, sizeof(int), 4), ==, 0);
	rota_channel_recv_init(&recv, &channel, &value);
	rota_timer_init(&timer, rota_now() + ROTA_MS(1));
	expect(ROTA_AWAIT_ANY(&which, &recv.future, &timer.future), ==, 0);
	expect(which, ==, 1);
	expect(recv.future.status, ==, -ECANCELED);

	struct countdown c = countdown(3, 11, true);
	rota_task *task = unit_spawn_future(&c.future);
	rota_join_init(&join, task);
	rota_channel_recv_init(&recv, &channel, &value);
	expect(ROTA_AWAIT_ANY(&which, &recv.future, &join.future), ==, 0);
	expect(which, ==, 1);
	unit_expect_join(task, 11);

	expect(rota_channel_try_send(&channel, &(int){ 5 }), ==, 0);
	rota_channel_recv_init(&recv, &channel, &value);
	rota_timer_init(&timer, ROTA_NEVER);
	expect(ROTA_AWAIT_ANY(&which, &recv.future, &timer.future), ==, 0);
	expect(which, ==, 0);
	expect(value, ==, 5);
	rota_channel_deinit(&channel);
}

/* --- cancelled from outside -------------------------------------------------------------------------------------------- */

struct waits {
	size_t which;
	struct countdown complete;
};

static int wait_for_ever(void *arg)
{
	struct waits *waits = arg;
	struct rota_timer a, b;

	rota_timer_init(&a, ROTA_NEVER);
	rota_timer_init(&b, ROTA_NEVER - 1);
	int status = ROTA_AWAIT_ANY(&waits->which, &a.future, &b.future);
	expect(a.future.status, ==, -ECANCELED);
	expect(b.future.status, ==, -ECANCELED);
	expect(ROTA_AWAIT_ALL(&(struct countdown){ .ready_at = 1, .future = { &countdown_ops, 0 } }.future), ==, 0);
	return status;
}

TASK_TEST(select, a_cancel_reaches_all)
{
	struct waits waits = { .which = 9 };
	rota_task *task = unit_spawn(wait_for_ever, &waits);

	unit_until_resting(task);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
}

static int wait_for_a_stubborn_one(void *arg)
{
	struct waits *waits = arg;
	struct rota_timer timer;

	rota_timer_init(&timer, ROTA_NEVER);
	return ROTA_AWAIT_ANY(&waits->which, &timer.future, &waits->complete.future);
}

/* One that is complete all the same when the whole is cancelled is the result. */
TASK_TEST(select, a_result_outlives_the_cancel)
{
	struct waits waits = { .which = 9, .complete = countdown(3, 77, false) };
	rota_task *task = unit_spawn(wait_for_a_stubborn_one, &waits);

	until_pending(&waits.complete);
	rota_waker_drop(&waits.complete.waker); /* the next poll leaves another */
	expect(rota_cancel(task), ==, 0);
	until_pending(&waits.complete);
	rota_wake(&waits.complete.waker);
	unit_expect_join(task, 77);
	expect(waits.which, ==, 1);
	expect(waits.complete.cancels, ==, 1);
}

static int nest(void *arg)
{
	struct countdown a = countdown(100, 1, false), b = countdown(3, 2, true), c = countdown(100, 3, false);
	struct rota_future *const inner_futures[] = { &a.future, &b.future };
	struct rota_any_op inner;
	size_t which = 9;

	a.obeys = true;
	c.obeys = true;
	(void)arg;
	rota_any_init(&inner, inner_futures, 2);
	expect(ROTA_AWAIT_ANY(&which, &c.future, &inner.future), ==, 2);
	expect(which, ==, 1);
	expect(inner.index, ==, 1);
	expect(c.future.status, ==, -ECANCELED);
	rota_waker_drop(&a.waker);
	rota_waker_drop(&c.waker);
	return 0;
}

TASK_TEST(select, nests)
{
	unit_expect_join(unit_spawn(nest, NULL), 0);
}
