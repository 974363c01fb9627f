/* SPDX-License-Identifier: MIT */
/*
 * The broadcast: each receiver sees each value that is sent after it subscribed, whole and in order; a slow one is told how
 * many it missed; the end; a cancelled receiver has taken nothing.
 */
#define _GNU_SOURCE
#include "../../sync/broadcast.h"

#include "../../runtime/opaque_internal.h"
#include "../../runtime/sys_internal.h"
#include "waiters.h"

enum { ELEM_MAX = 100 };

static ROTA__OPAQUE const void *element(uint64_t n, size_t size)
{
	static _Thread_local unsigned char bytes[ELEM_MAX];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(n * 31 + i * 7 + 1);
	return rota__of_this_thread(bytes);
}

static void send_it(struct rota_broadcast *b, uint64_t n)
{
	expect(rota_broadcast_send(b, element(n, b->elem_size_)), ==, 0);
}

static void expect_element(const unsigned char *bytes, uint64_t n, size_t size)
{
	for (size_t i = 0; i < size; i++)
		expect(bytes[i], ==, (unsigned char)(n * 31 + i * 7 + 1));
	expect(bytes[size], ==, 0xee);
}

static void recv_it(struct rota_broadcast_receiver *receiver, uint64_t n)
{
	unsigned char bytes[ELEM_MAX + 1];

	memset(bytes, 0xee, sizeof(bytes));
	expect(rota_broadcast_recv(receiver, bytes), ==, 0);
	expect_element(bytes, n, receiver->broadcast_->elem_size_);
}

UNIT_TEST(broadcast, init)
{
	struct rota_broadcast b = { .ring_ = NULL };

	expect(rota_broadcast_init(&b, 0, 1), ==, -EINVAL);
	expect(rota_broadcast_init(&b, 1, 0), ==, -EINVAL);
	expect(rota_broadcast_init(&b, SIZE_MAX, 2), ==, -EINVAL);
	expect(rota_broadcast_init(&b, 8, SIZE_MAX), ==, -EINVAL);
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect(rota_broadcast_init(&b, 8, 8), ==, -ENOMEM);
	expect(rota_broadcast_init(&b, 8, 5), ==, 0);
	expect(b.slots_, ==, 8);
	expect(rota_broadcast_deinit(&b), ==, 0);
	expect(rota_broadcast_deinit(&b), ==, 0);
}

static void order_script(const struct place *place)
{
	static const size_t sizes[] = { 1, 3, 8, 12, ELEM_MAX };
	unsigned char bytes[ELEM_MAX + 1];

	for (unsigned s = 0; s < 5; s++) {
		struct rota_broadcast_receiver early, late;
		struct rota_broadcast_op op;
		struct rota_broadcast b;

		expect(rota_broadcast_init(&b, sizes[s], 4), ==, 0);
		send_it(&b, 0); /* nobody listens */
		rota_broadcast_subscribe(&b, &early);
		expect(rota_broadcast_try_recv(&early, bytes), ==, -EAGAIN);
		for (uint64_t n = 1; n < 20; n += 3) {
			send_it(&b, n);
			send_it(&b, n + 1);
			rota_broadcast_subscribe(&b, &late);
			send_it(&b, n + 2);
			recv_it(&late, n + 2);
			expect(rota_broadcast_try_recv(&late, bytes), ==, -EAGAIN);
			recv_it(&early, n);
			memset(bytes, 0xee, sizeof(bytes));
			rota_broadcast_recv_init(&op, &early, bytes);
			expect(place->carry(place, &op.future), ==, 0);
			expect_element(bytes, n + 1, sizes[s]);
			rota_broadcast_recv_init(&op, &early, bytes);
			rota_future_cancel(&op.future);
			expect(place->carry(place, &op.future), ==, -ECANCELED);
			memset(bytes, 0xee, sizeof(bytes));
			expect(rota_broadcast_try_recv(&early, bytes), ==, 0); /* it was not taken */
			expect_element(bytes, n + 2, sizes[s]);
		}
		send_it(&b, 50);
		rota_broadcast_close(&b);
		rota_broadcast_close(&b);
		expect(rota_broadcast_send(&b, element(51, sizes[s])), ==, -EPIPE);
		recv_it(&early, 50);
		expect(rota_broadcast_recv(&early, bytes), ==, -EPIPE);
		expect(rota_broadcast_try_recv(&early, bytes), ==, -EPIPE);
		rota_broadcast_recv_init(&op, &early, bytes);
		expect(place->carry(place, &op.future), ==, -EPIPE);
		expect(rota_broadcast_deinit(&b), ==, 0);
	}
}

UNIT_TEST(broadcast, each_value_in_order_to_each)
{
	wherever(order_script);
}

/* However far behind, the count and the oldest that is left are exact. */
UNIT_TEST(broadcast, a_slow_receiver_is_told)
{
	for (uint64_t sent = 0; sent < 30; sent++) {
		struct rota_broadcast_receiver slow;
		struct rota_broadcast b;
		unsigned char bytes[8];
		uint64_t next = 0;

		expect(rota_broadcast_init(&b, 8, 4), ==, 0);
		rota_broadcast_subscribe(&b, &slow);
		for (uint64_t n = 0; n < sent; n++)
			send_it(&b, n);
		if (sent > 4) {
			expect(rota_broadcast_recv(&slow, bytes), ==, -EOVERFLOW);
			expect(slow.missed, ==, sent - 4);
			next = sent - 4;
		}
		while (next < sent)
			recv_it(&slow, next++);
		expect(rota_broadcast_try_recv(&slow, bytes), ==, -EAGAIN);
		expect(rota_broadcast_deinit(&b), ==, 0);
	}
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

static void send_seven(void *arg)
{
	send_it(arg, 7);
}

static void close_it(void *arg)
{
	rota_broadcast_close(arg);
}

static void waits_script(const struct place *place)
{
	for (int i = 0; i < 4; i++) {
		struct rota_broadcast_receiver receiver;
		struct rota_broadcast_op op;
		unsigned char bytes[9];
		struct rota_broadcast b;
		struct party party;
		int rc;

		memset(bytes, 0xee, sizeof(bytes));
		expect(rota_broadcast_init(&b, 8, 1), ==, 0);
		rota_broadcast_subscribe(&b, &receiver);
		party_start(&party, i % 2 == 0 ? send_seven : close_it, &b);
		party_go(&party);
		if (i < 2) {
			rc = rota_broadcast_recv(&receiver, bytes);
		} else {
			rota_broadcast_recv_init(&op, &receiver, bytes);
			rc = place->carry(place, &op.future);
		}
		expect(rc, ==, i % 2 == 0 ? 0 : -EPIPE);
		if (i % 2 == 0)
			expect_element(bytes, 7, 8);
		party_join(&party);
		expect(rota_broadcast_deinit(&b), ==, 0);
	}
}

UNIT_TEST(broadcast, waits_for_a_value_or_the_end)
{
	wherever(waits_script);
}

UNIT_TEST(broadcast, a_cancelled_receiver)
{
	struct rota_broadcast_receiver receivers[2];
	struct rota_broadcast_op ops[2];
	unsigned char bytes[2][9];
	struct rota_broadcast b;

	memset(bytes, 0xee, sizeof(bytes));
	expect(rota_broadcast_init(&b, 8, 4), ==, 0);
	for (int i = 0; i < 2; i++) {
		rota_broadcast_subscribe(&b, &receivers[i]);
		rota_broadcast_recv_init(&ops[i], &receivers[i], bytes[i]);
		expect(poll_by_hand(&ops[i].future), ==, ROTA_PENDING);
	}
	rota_future_cancel(&ops[0].future);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	expect(ops[0].future.status, ==, -ECANCELED);
	expect(waiters_count(&b.receivers_), ==, 1);
	send_it(&b, 5);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_READY);
	expect(ops[1].future.status, ==, 0);
	expect_element(bytes[1], 5, 8);
	recv_it(&receivers[0], 5); /* it sees it all the same */
	for (int i = 0; i < 2; i++) {
		rota_broadcast_recv_init(&ops[i], &receivers[i], bytes[i]);
		expect(poll_by_hand(&ops[i].future), ==, ROTA_PENDING);
	}
	send_it(&b, 6);
	rota_future_cancel(&ops[0].future); /* between the send and its look */
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	recv_it(&receivers[0], 6);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_READY);
	expect_element(bytes[1], 6, 8);
	expect(rota_broadcast_deinit(&b), ==, 0);
}

/* --- a crowd ------------------------------------------------------------------------------------------------------------- */

static int recv_one(void *arg)
{
	struct rota_broadcast_receiver receiver;
	uint64_t value = 0;
	int rc;

	receiver = *(struct rota_broadcast_receiver *)arg; /* each goes on from there */
	rc = rota_broadcast_recv(&receiver, &value);
	return rc == 0 ? (int)value : rc;
}

static struct rota_broadcast_receiver crowd_receivers[CROWD_FUTURES];
static struct rota_broadcast_op crowd_ops[CROWD_FUTURES];
static uint64_t crowd_values[CROWD_FUTURES];

static struct rota_future *crowd_future(void *arg, unsigned i)
{
	crowd_receivers[i] = *(struct rota_broadcast_receiver *)arg;
	rota_broadcast_recv_init(&crowd_ops[i], &crowd_receivers[i], &crowd_values[i]);
	return &crowd_ops[i].future;
}

UNIT_TEST(broadcast, a_crowd_sees_it)
{
	const uint64_t value = 77;
	struct rota_broadcast_receiver receiver;
	struct rota_broadcast b;
	struct crowd crowd = { .wait = recv_one, .future = crowd_future, .arg = &receiver };

	expect(rota_broadcast_init(&b, 8, 2), ==, 0);
	rota_broadcast_subscribe(&b, &receiver);
	crowd_start(&crowd);
	waiters_await(&b.receivers_, CROWD);
	expect(rota_broadcast_send(&b, &value), ==, 0);
	expect(crowd_join(&crowd, 77), ==, CROWD_FIBERS + CROWD_THREADS);
	for (int i = 0; i < CROWD_FUTURES; i++)
		expect(crowd_values[i], ==, 77);
	expect(rota_broadcast_deinit(&b), ==, 0);
}

UNIT_TEST(broadcast, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_broadcast_receiver receiver;
	struct unit_capture capture;
	struct rota_broadcast_op op;
	struct rota_broadcast b;
	unsigned char bytes[8];

	expect(rota_broadcast_init(&b, 8, 2), ==, 0);
	rota_broadcast_subscribe(&b, &receiver);
	rota_broadcast_recv_init(&op, &receiver, bytes);
	expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
	unit_capture_begin(&capture);
	expect(rota_broadcast_deinit(&b), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	rota_broadcast_close(&b);
	expect(poll_by_hand(&op.future), ==, ROTA_READY);
	expect(op.future.status, ==, -EPIPE);
	expect(rota_broadcast_deinit(&b), ==, 0);
}
