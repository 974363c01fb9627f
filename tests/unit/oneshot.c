/* SPDX-License-Identifier: MIT */
/*
 * One value, once: sent before or after somebody waits; sent twice; closed; received twice; a receiver that is cancelled
 * leaves the value where it is.
 */
#define _GNU_SOURCE
#include "../../sync/oneshot.h"

#include "waiters.h"

static int one, two; /* values are their addresses */

static struct rota_oneshot static_oneshot = ROTA_ONESHOT_INIT;

static void in_order_script(const struct place *place)
{
	struct rota_oneshot oneshot;
	struct rota_oneshot_op op;
	void *value = &two;

	rota_oneshot_init(&oneshot);
	expect(rota_oneshot_try_recv(&oneshot, &value), ==, -EAGAIN);
	expect(rota_oneshot_send(&oneshot, &one), ==, 0);
	expect_pointer(value, ==, &two);
	expect(rota_oneshot_recv(&oneshot, &value), ==, 0);
	expect_pointer(value, ==, &one);
	value = &two;
	expect(rota_oneshot_recv(&oneshot, &value), ==, -EPIPE);
	expect(rota_oneshot_try_recv(&oneshot, &value), ==, -EPIPE);
	expect_pointer(value, ==, &two);
	rota_oneshot_init(&oneshot);
	expect(rota_oneshot_send(&oneshot, NULL), ==, 0); /* a value like any other */
	rota_oneshot_recv_init(&op, &oneshot);
	expect(place->carry(place, &op.future), ==, 0);
	expect_pointer(op.value, ==, NULL);
	rota_oneshot_recv_init(&op, &oneshot);
	expect(place->carry(place, &op.future), ==, -EPIPE);
}

UNIT_TEST(oneshot, one_value_once)
{
	wherever(in_order_script);
}

static void send_one(void *arg)
{
	expect(rota_oneshot_send(arg, &one), ==, 0);
}

static void close_it(void *arg)
{
	rota_oneshot_close(arg);
}

static void waits_script(const struct place *place)
{
	for (int i = 0; i < 4; i++) {
		struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
		struct rota_oneshot_op op = { .value = NULL };
		struct party party;
		int rc;

		party_start(&party, i % 2 == 0 ? send_one : close_it, &oneshot);
		party_go(&party);
		if (i < 2) {
			rc = rota_oneshot_recv(&oneshot, &op.value);
		} else {
			rota_oneshot_recv_init(&op, &oneshot);
			rc = place->carry(place, &op.future);
		}
		expect(rc, ==, i % 2 == 0 ? 0 : -EPIPE);
		expect_pointer(op.value, ==, i % 2 == 0 ? &one : NULL);
		party_join(&party);
	}
}

UNIT_TEST(oneshot, waits_for_the_value_or_the_end)
{
	wherever(waits_script);
}

static void close_script(const struct place *place)
{
	struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
	void *value = &two;

	(void)place;
	rota_oneshot_close(&oneshot);
	rota_oneshot_close(&oneshot);
	expect(rota_oneshot_send(&oneshot, &one), ==, -EPIPE);
	expect(rota_oneshot_recv(&oneshot, &value), ==, -EPIPE);
	expect(rota_oneshot_try_recv(&oneshot, &value), ==, -EPIPE);
	expect_pointer(value, ==, &two);
	rota_oneshot_init(&oneshot);
	expect(rota_oneshot_send(&oneshot, &one), ==, 0);
	rota_oneshot_close(&oneshot); /* what was sent can be had */
	expect(rota_oneshot_recv(&oneshot, &value), ==, 0);
	expect_pointer(value, ==, &one);
	expect(rota_oneshot_recv(&oneshot, &value), ==, -EPIPE);
}

UNIT_TEST(oneshot, close)
{
	wherever(close_script);
}

UNIT_TEST(oneshot, static_initialiser)
{
	void *value = NULL;

	expect(rota_oneshot_try_recv(&static_oneshot, &value), ==, -EAGAIN);
	expect(rota_oneshot_send(&static_oneshot, &one), ==, 0);
	expect(rota_oneshot_recv(&static_oneshot, &value), ==, 0);
	expect_pointer(value, ==, &one);
}

/* --- cancelling ------------------------------------------------------------------------------------------------------------ */

UNIT_TEST(oneshot, a_cancelled_receiver_leaves_the_value)
{
	struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
	struct rota_oneshot_op op;
	void *value = NULL;

	rota_oneshot_recv_init(&op, &oneshot);
	expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
	rota_future_cancel(&op.future);
	rota_future_cancel(&op.future);
	expect(poll_by_hand(&op.future), ==, ROTA_READY);
	expect(op.future.status, ==, -ECANCELED);
	expect(waiters_count(&oneshot.waiters_), ==, 0);
	expect(rota_oneshot_send(&oneshot, &one), ==, 0);
	expect(rota_oneshot_recv(&oneshot, &value), ==, 0);
	expect_pointer(value, ==, &one);
}

/* Sent first, then cancelled: nobody else waits, so it is better to have it. */
UNIT_TEST(oneshot, a_value_that_was_there_is_not_lost_to_a_cancel)
{
	struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
	struct rota_oneshot_op op;
	void *value = NULL;

	rota_oneshot_recv_init(&op, &oneshot);
	expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
	expect(rota_oneshot_send(&oneshot, &one), ==, 0);
	rota_future_cancel(&op.future);
	expect(poll_by_hand(&op.future), ==, ROTA_READY);
	if (op.future.status == 0) {
		expect_pointer(op.value, ==, &one);
		expect(rota_oneshot_recv(&oneshot, &value), ==, -EPIPE);
	} else {
		expect(op.future.status, ==, -ECANCELED);
		expect(rota_oneshot_recv(&oneshot, &value), ==, 0);
		expect_pointer(value, ==, &one);
	}
}

struct receiver {
	struct rota_oneshot oneshot;
	void *value;
};

static int receive(void *arg)
{
	struct receiver *receiver = arg;

	return rota_oneshot_recv(&receiver->oneshot, &receiver->value);
}

static void race_script(const struct place *place)
{
	(void)place;
	for (int i = 0; i < 200; i++) {
		struct receiver receiver = { .oneshot = ROTA_ONESHOT_INIT };
		rota_task *task;
		int status;

		expect(rota_spawn(&task, receive, &receiver), ==, 0);
		if (i % 3 != 0)
			waiters_await(&receiver.oneshot.waiters_, 1);
		if (i % 2 == 0)
			expect(rota_oneshot_send(&receiver.oneshot, &one), ==, 0);
		expect(rota_cancel(task), ==, 0);
		if (i % 2 != 0)
			expect(rota_oneshot_send(&receiver.oneshot, &one), ==, 0);
		expect(rota_join(task, &status), ==, 0);
		if (status != 0) {
			expect(status, ==, -ECANCELED);
			expect_pointer(receiver.value, ==, NULL);
			expect(rota_oneshot_recv(&receiver.oneshot, &receiver.value), ==, 0);
		}
		expect_pointer(receiver.value, ==, &one);
	}
}

UNIT_TEST(oneshot, cancel_that_races_with_the_value)
{
	in_fibers(race_script, 0);
}

/* --- more receivers than there should be ----------------------------------------------------------------------------------- */

static int receive_any(void *arg)
{
	void *value;

	return rota_oneshot_recv(arg, &value);
}

static struct rota_oneshot_op crowd_ops[CROWD_FUTURES];

static struct rota_future *crowd_future(void *arg, unsigned i)
{
	rota_oneshot_recv_init(&crowd_ops[i], arg);
	return &crowd_ops[i].future;
}

UNIT_TEST(oneshot, one_of_a_crowd_has_the_value)
{
	struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
	struct crowd crowd = { .wait = receive_any, .future = crowd_future, .arg = &oneshot };

	crowd_start(&crowd);
	waiters_await(&oneshot.waiters_, CROWD);
	expect(rota_oneshot_send(&oneshot, &one), ==, 0);
	expect(crowd_join(&crowd, -EPIPE), ==, CROWD - 1);
}

UNIT_TEST(oneshot, close_wakes_a_crowd)
{
	struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
	struct crowd crowd = { .wait = receive_any, .future = crowd_future, .arg = &oneshot };

	crowd_start(&crowd);
	waiters_await(&oneshot.waiters_, CROWD);
	rota_oneshot_close(&oneshot);
	expect(crowd_join(&crowd, -EPIPE), ==, CROWD);
}

/* --- misuse ---------------------------------------------------------------------------------------------------------------- */

UNIT_TEST(oneshot, a_second_value_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
	struct unit_capture capture;
	void *value;

	expect(rota_oneshot_send(&oneshot, &one), ==, 0);
	unit_capture_begin(&capture);
	expect(rota_oneshot_send(&oneshot, &two), ==, -EEXIST);
	rota_oneshot_close(&oneshot);
	expect(rota_oneshot_send(&oneshot, &two), ==, -EEXIST);
	expect(rota_oneshot_recv(&oneshot, &value), ==, 0);
	expect_pointer(value, ==, &one); /* the first one stands */
	expect(rota_oneshot_send(&oneshot, &two), ==, -EEXIST);
	expect(unit_lines(unit_capture_end(&capture)), ==, 3);
	expect(rota_oneshot_recv(&oneshot, &value), ==, -EPIPE);
}

UNIT_TEST(oneshot, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
	struct unit_capture capture;
	struct rota_oneshot_op op;

	rota_oneshot_recv_init(&op, &oneshot);
	expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
	unit_capture_begin(&capture);
	expect(rota_oneshot_deinit(&oneshot), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	rota_oneshot_close(&oneshot);
	expect(poll_by_hand(&op.future), ==, ROTA_READY);
	expect(rota_oneshot_deinit(&oneshot), ==, 0);
}
