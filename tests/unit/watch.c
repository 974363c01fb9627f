/* SPDX-License-Identifier: MIT */
/*
 * The watched value: the latest is read, a change is seen once, a wait ends when the value is as wanted; the end; a cancelled
 * receiver has seen nothing.
 */
#define _GNU_SOURCE
#include "../../sync/watch.h"

#include "../../runtime/sys_internal.h"
#include "waiters.h"

struct value {
	uint64_t number;
	unsigned char rest[13]; /* no whole number of words */
};

static struct value make(uint64_t n)
{
	struct value value;

	memset(&value, 0, sizeof(value)); /* what lies between the members, too */
	value.number = n;
	memset(value.rest, (int)n & 0xff, sizeof(value.rest));
	return value;
}

static void expect_value(const struct value *value, uint64_t n)
{
	expect(value->number, ==, n);
	for (unsigned i = 0; i < sizeof(value->rest); i++)
		expect(value->rest[i], ==, n & 0xff);
}

static void send_it(struct rota_watch *w, uint64_t n)
{
	const struct value value = make(n);

	expect(rota_watch_send(w, &value), ==, 0);
}

static bool at_least(const void *value, void *arg)
{
	return ((const struct value *)value)->number >= *(uint64_t *)arg;
}

UNIT_TEST(watch, init)
{
	const struct value first = make(1);
	struct rota_watch w;

	expect(rota_watch_init(&w, 0, &first), ==, -EINVAL);
	expect(rota_watch_init(&w, SIZE_MAX, &first), ==, -EINVAL);
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect(rota_watch_init(&w, sizeof(first), &first), ==, -ENOMEM);
	expect(rota_watch_init(&w, sizeof(first), &first), ==, 0);
	expect(rota_watch_deinit(&w), ==, 0);
	expect(rota_watch_deinit(&w), ==, 0);
}

static void alone_script(const struct place *place)
{
	struct rota_watch_receiver receiver;
	struct value first = make(1), got;
	struct rota_watch_op op;
	uint64_t wanted = 5;
	struct rota_watch w;

	expect(rota_watch_init(&w, sizeof(first), &first), ==, 0);
	rota_watch_subscribe(&w, &receiver);
	rota_watch_get(&w, &got);
	expect_value(&got, 1);
	expect(rota_watch_try_changed(&receiver, &got), ==, -EAGAIN);
	send_it(&w, 2);
	send_it(&w, 3); /* the one before is not seen */
	expect(rota_watch_changed(&receiver, &got), ==, 0);
	expect_value(&got, 3);
	expect(rota_watch_try_changed(&receiver, &got), ==, -EAGAIN);
	send_it(&w, 4);
	expect(rota_watch_changed(&receiver, NULL), ==, 0);
	send_it(&w, 5);
	rota_watch_changed_init(&op, &receiver, &got);
	rota_future_cancel(&op.future);
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	rota_watch_changed_init(&op, &receiver, &got);
	expect(place->carry(place, &op.future), ==, 0); /* it had not been seen */
	expect_value(&got, 5);
	expect(rota_watch_wait_for(&receiver, at_least, &wanted, &got), ==, 0); /* the present value will do */
	rota_watch_wait_for_init(&op, &receiver, at_least, &wanted, &got);
	expect(place->carry(place, &op.future), ==, 0);
	expect_value(&got, 5);
	send_it(&w, 6);
	expect(rota_watch_wait_for(&receiver, NULL, NULL, &got), ==, 0); /* any that is new */
	expect_value(&got, 6);
	rota_watch_wait_for_init(&op, &receiver, NULL, NULL, &got);
	rota_future_cancel(&op.future);
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	send_it(&w, 6);
	rota_watch_close(&w);
	rota_watch_close(&w);
	expect(rota_watch_send(&w, &first), ==, -EPIPE);
	expect(rota_watch_changed(&receiver, &got), ==, 0); /* the last one can be seen */
	expect_value(&got, 6);
	expect(rota_watch_changed(&receiver, &got), ==, -EPIPE);
	expect(rota_watch_try_changed(&receiver, &got), ==, -EPIPE);
	wanted = 7;
	expect(rota_watch_wait_for(&receiver, at_least, &wanted, &got), ==, -EPIPE);
	rota_watch_get(&w, &got);
	expect_value(&got, 6);
	expect(rota_watch_deinit(&w), ==, 0);
}

UNIT_TEST(watch, alone)
{
	wherever(alone_script);
}

static void count_to_nine(void *arg)
{
	for (uint64_t n = 2; n <= 9; n++) {
		send_it(arg, n);
		if (n % 3 == 0)
			usleep(100);
	}
}

static void close_it(void *arg)
{
	rota_watch_close(arg);
}

static void waits_script(const struct place *place)
{
	for (int i = 0; i < 4; i++) {
		const struct value first = make(1);
		struct rota_watch_receiver receiver;
		struct rota_watch_op op;
		uint64_t wanted = 9;
		struct value got;
		struct rota_watch w;
		struct party party;

		expect(rota_watch_init(&w, sizeof(first), &first), ==, 0);
		rota_watch_subscribe(&w, &receiver);
		party_start(&party, count_to_nine, &w);
		party_go(&party);
		if (i == 0) {
			expect(rota_watch_changed(&receiver, &got), ==, 0);
			expect(got.number, >, 1);
			expect_value(&got, got.number);
		} else if (i == 1) {
			rota_watch_changed_init(&op, &receiver, &got);
			expect(place->carry(place, &op.future), ==, 0);
			expect(got.number, >, 1);
		} else if (i == 2) {
			expect(rota_watch_wait_for(&receiver, at_least, &wanted, &got), ==, 0);
			expect_value(&got, 9);
		} else {
			rota_watch_wait_for_init(&op, &receiver, at_least, &wanted, &got);
			expect(place->carry(place, &op.future), ==, 0);
			expect_value(&got, 9);
		}
		party_join(&party);
		rota_watch_subscribe(&w, &receiver);
		party_start(&party, close_it, &w);
		party_go(&party);
		expect(rota_watch_changed(&receiver, NULL), ==, -EPIPE);
		party_join(&party);
		expect(rota_watch_deinit(&w), ==, 0);
	}
}

UNIT_TEST(watch, waits_for_a_change_or_the_end)
{
	wherever(waits_script);
}

/* --- by hand ------------------------------------------------------------------------------------------------------------- */

UNIT_TEST(watch, a_cancelled_receiver)
{
	const struct value first = make(1);
	struct rota_watch_receiver receivers[2];
	struct rota_watch_op ops[2];
	struct value got[2];
	uint64_t wanted = 3;
	struct rota_watch w;

	expect(rota_watch_init(&w, sizeof(first), &first), ==, 0);
	for (int i = 0; i < 2; i++) {
		rota_watch_subscribe(&w, &receivers[i]);
		rota_watch_wait_for_init(&ops[i], &receivers[i], at_least, &wanted, &got[i]);
		expect(poll_by_hand(&ops[i].future), ==, ROTA_PENDING);
	}
	send_it(&w, 2);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_PENDING); /* not yet as wanted */
	rota_future_cancel(&ops[0].future);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	expect(ops[0].future.status, ==, -ECANCELED);
	send_it(&w, 3);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_READY);
	expect(ops[1].future.status, ==, 0);
	expect_value(&got[1], 3);
	expect(waiters_count(&w.receivers_), ==, 0);
	expect(rota_watch_deinit(&w), ==, 0);
}

/* --- a crowd ------------------------------------------------------------------------------------------------------------- */

static int wait_one(void *arg)
{
	struct rota_watch_receiver receiver;
	struct value got;
	uint64_t wanted = 2;

	rota_watch_subscribe(arg, &receiver);
	return rota_watch_wait_for(&receiver, at_least, &wanted, &got);
}

static struct rota_watch_receiver crowd_receivers[CROWD_FUTURES];
static struct rota_watch_op crowd_ops[CROWD_FUTURES];

static struct rota_future *crowd_future(void *arg, unsigned i)
{
	rota_watch_subscribe(arg, &crowd_receivers[i]);
	rota_watch_changed_init(&crowd_ops[i], &crowd_receivers[i], NULL);
	return &crowd_ops[i].future;
}

UNIT_TEST(watch, a_crowd_sees_it)
{
	const struct value first = make(1);
	struct rota_watch w;
	struct crowd crowd = { .wait = wait_one, .future = crowd_future, .arg = &w };

	expect(rota_watch_init(&w, sizeof(first), &first), ==, 0);
	crowd_start(&crowd);
	waiters_await(&w.receivers_, CROWD);
	send_it(&w, 2);
	expect(crowd_join(&crowd, 0), ==, CROWD);
	expect(rota_watch_deinit(&w), ==, 0);
}

UNIT_TEST(watch, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	const struct value first = make(1);
	struct rota_watch_receiver receiver;
	struct unit_capture capture;
	struct rota_watch_op op;
	struct rota_watch w;

	expect(rota_watch_init(&w, sizeof(first), &first), ==, 0);
	rota_watch_subscribe(&w, &receiver);
	rota_watch_changed_init(&op, &receiver, NULL);
	expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
	unit_capture_begin(&capture);
	expect(rota_watch_deinit(&w), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	rota_watch_close(&w);
	expect(poll_by_hand(&op.future), ==, ROTA_READY);
	expect(rota_watch_deinit(&w), ==, 0);
}
