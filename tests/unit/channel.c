/* SPDX-License-Identifier: MIT */
/*
 * The channel: elements of odd sizes in order, through every capacity; full, empty, closed; waiters of every kind served in
 * order; a call that is cancelled, or finds no memory, has moved nothing.
 */
#define _GNU_SOURCE
#include "../../sync/channel.h"

#include "../../runtime/opaque_internal.h"
#include "../../runtime/sys_internal.h"
#include "plain.h"
#include "waiters.h"

enum { ELEM_MAX = 100 };

/* The n-th element of a channel whose elements have `size` bytes. */
static ROTA__OPAQUE const void *element(unsigned n, size_t size)
{
	static _Thread_local unsigned char bytes[ELEM_MAX];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(n * 31 + i * 7 + 1);
	return rota__of_this_thread(bytes);
}

static void expect_element(const void *actual, unsigned n, size_t size)
{
	const unsigned char *bytes = actual;

	for (size_t i = 0; i < size; i++)
		expect(bytes[i], ==, (unsigned char)(n * 31 + i * 7 + 1));
}

static void send_it(struct rota_channel *c, unsigned n)
{
	expect(rota_channel_send(c, element(n, c->elem_size_)), ==, 0);
}

static void recv_it(struct rota_channel *c, unsigned n)
{
	unsigned char bytes[ELEM_MAX + 1];

	memset(bytes, 0xee, sizeof(bytes));
	expect(rota_channel_recv(c, bytes), ==, 0);
	expect_element(bytes, n, c->elem_size_);
	expect(bytes[c->elem_size_], ==, 0xee);
}

/* --- one after the other --------------------------------------------------------------------------------------------- */

static const size_t sizes[] = { 1, 3, 8, ELEM_MAX };
static const size_t capacities[] = { 1, 2, 3, 64, ROTA_UNBOUNDED };

UNIT_TEST(channel, init)
{
	struct rota_channel c = { .buffer_ = NULL };

	expect(rota_channel_init(&c, 0, 1), ==, -EINVAL);
	expect(rota_channel_init(&c, SIZE_MAX, 2), ==, -EINVAL);
	expect(rota_channel_init(&c, 8, SIZE_MAX / 2), ==, -EINVAL);
	expect(rota_channel_init(&c, SIZE_MAX / 2, ROTA_UNBOUNDED), ==, -EINVAL);
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect(rota_channel_init(&c, 8, 8), ==, -ENOMEM);
	rota_channel_deinit(&c);
	expect(rota_channel_init(&c, 8, 8), ==, 0);
	expect(rota_channel_length(&c), ==, 0);
	rota_channel_deinit(&c);
	rota_channel_deinit(&c);
}

/* What is large, or has no bounds, is allocated when it is first sent to. */
UNIT_TEST(channel, wants_memory_when_it_grows)
{
	static const size_t grow[] = { ROTA_UNBOUNDED, 1 << 20 };

	for (size_t i = 0; i < sizeof(grow) / sizeof(grow[0]); i++) {
		struct rota_channel c;
		uint64_t value;

		rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
		expect(rota_channel_init(&c, 8, grow[i]), ==, 0);
		expect(rota_channel_try_recv(&c, &value), ==, -EAGAIN);
		expect(rota_channel_try_send(&c, element(0, 8)), ==, -ENOMEM);
		expect(rota_channel_length(&c), ==, 0);
		send_it(&c, 1);
		recv_it(&c, 1);
		rota_channel_deinit(&c);
	}
}

/* What no machine has. The address sanitizer takes the question amiss. */
UNIT_TEST(channel, beyond_memory)
{
#ifndef ROTA__ASAN
	static const size_t absurd[] = { SIZE_MAX - 1, SIZE_MAX / 2 - 64 };
	struct rota_channel c;

	for (int i = 0; i < 2; i++) {
		int rc = rota_channel_init(&c, 1, absurd[i]);

		if (rc != -EINVAL)
			expect(rc, ==, -ENOMEM);
	}
#endif
}

/* Larger than what is allocated at once. */
#define LARGE_CAPACITY ((size_t)3000)

UNIT_TEST(channel, a_large_one_grows_to_its_capacity)
{
	static const unsigned levels[] = { 1, 100, 999, 2998, 3000 };
	struct rota_channel c;
	unsigned sent = 0, received = 0;

	expect(rota_channel_init(&c, ELEM_MAX, LARGE_CAPACITY), ==, 0);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		while (sent - received < levels[i])
			send_it(&c, sent++);
		expect(rota_channel_length(&c), ==, levels[i]);
		if (levels[i] == LARGE_CAPACITY)
			expect(rota_channel_try_send(&c, element(sent, ELEM_MAX)), ==, -EAGAIN);
		while (sent - received > levels[i] / 2) /* so that the first is not at the ring's beginning */
			recv_it(&c, received++);
	}
	while (received < sent)
		recv_it(&c, received++);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, a_large_one_grows_for_what_is_reserved)
{
	struct rota_channel c;

	expect(rota_channel_init(&c, ELEM_MAX, LARGE_CAPACITY), ==, 0);
	for (unsigned i = 0; i < LARGE_CAPACITY; i++)
		expect(rota_channel_try_reserve(&c), ==, 0);
	expect(rota_channel_try_reserve(&c), ==, -EAGAIN);
	for (unsigned i = 0; i < LARGE_CAPACITY; i++)
		expect(rota_channel_send_reserved(&c, element(i, ELEM_MAX)), ==, 0);
	for (unsigned i = 0; i < LARGE_CAPACITY; i++)
		recv_it(&c, i);
	rota_channel_deinit(&c);
}

/* Fills by turns to every level, so that the ring wraps and grows at every place. */
static void fill_and_drain(size_t size, size_t capacity)
{
	struct rota_channel c;
	unsigned sent = 0, received = 0;
	unsigned char bytes[ELEM_MAX];

	expect(rota_channel_init(&c, size, capacity), ==, 0);
	for (unsigned level = 1; level <= 70; level++) {
		while (sent - received < level && sent - received < capacity)
			send_it(&c, sent++);
		expect(rota_channel_length(&c), ==, sent - received);
		if (sent - received == capacity)
			expect(rota_channel_try_send(&c, element(sent, size)), ==, -EAGAIN);
		for (unsigned n = level % 7 + 1; n > 0 && sent != received; n--)
			recv_it(&c, received++);
	}
	while (sent != received) {
		expect(rota_channel_try_recv(&c, bytes), ==, 0);
		expect_element(bytes, received++, size);
	}
	expect(rota_channel_try_recv(&c, bytes), ==, -EAGAIN);
	rota_channel_deinit(&c);
}

static void order_script(const struct place *place)
{
	(void)place;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (unsigned n = 0; n < sizeof(capacities) / sizeof(capacities[0]); n++)
			fill_and_drain(sizes[s], capacities[n]);
	}
}

UNIT_TEST(channel, first_in_first_out)
{
	wherever(order_script);
}

static void many_script(const struct place *place)
{
	unsigned char bytes[ELEM_MAX * 8];
	struct rota_channel c;

	(void)place;
	expect(rota_channel_init(&c, 3, 5), ==, 0);
	expect(rota_channel_recv_many(&c, bytes, 0), ==, -EINVAL);
	for (unsigned n = 0; n < 5; n++)
		send_it(&c, n);
	expect(rota_channel_recv_many(&c, bytes, 3), ==, 3);
	for (unsigned n = 0; n < 3; n++)
		expect_element(bytes + (size_t)n * 3, n, 3);
	expect(rota_channel_recv_many(&c, bytes, 8), ==, 2);
	expect_element(bytes + 3, 4, 3);
	send_it(&c, 5);
	rota_channel_close(&c);
	expect(rota_channel_recv_many(&c, bytes, 8), ==, 1);
	expect(rota_channel_recv_many(&c, bytes, 8), ==, -EPIPE);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, recv_many)
{
	wherever(many_script);
}

static void close_script(const struct place *place)
{
	unsigned char bytes[ELEM_MAX] = { 9 };
	struct rota_channel_op op;
	struct rota_channel c;

	for (unsigned n = 0; n < 2; n++) {
		expect(rota_channel_init(&c, 8, n == 0 ? 4 : ROTA_UNBOUNDED), ==, 0);
		send_it(&c, 0);
		send_it(&c, 1);
		send_it(&c, 2);
		rota_channel_close(&c);
		rota_channel_close(&c);
		expect(rota_channel_send(&c, element(3, 8)), ==, -EPIPE);
		expect(rota_channel_try_send(&c, element(3, 8)), ==, -EPIPE);
		rota_channel_send_init(&op, &c, element(3, 8));
		expect(place->carry(place, &op.future), ==, -EPIPE);
		recv_it(&c, 0); /* what is inside can be had */
		expect(rota_channel_try_recv(&c, bytes), ==, 0);
		rota_channel_recv_init(&op, &c, bytes);
		expect(place->carry(place, &op.future), ==, 0);
		expect_element(bytes, 2, 8);
		expect(rota_channel_recv(&c, bytes), ==, -EPIPE);
		expect(rota_channel_try_recv(&c, bytes), ==, -EPIPE);
		rota_channel_recv_init(&op, &c, bytes);
		expect(place->carry(place, &op.future), ==, -EPIPE);
		expect_element(bytes, 2, 8); /* untouched since */
		rota_channel_deinit(&c);
	}
}

UNIT_TEST(channel, close)
{
	wherever(close_script);
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

static void send_seven(void *arg)
{
	send_it(arg, 7);
}

static void recv_seven(void *arg)
{
	recv_it(arg, 7);
}

static void close_it(void *arg)
{
	rota_channel_close(arg);
}

static void recv_waits_script(const struct place *place)
{
	unsigned char bytes[ELEM_MAX];
	struct rota_channel_op op;
	struct rota_channel c;
	struct party party;

	expect(rota_channel_init(&c, 8, 1), ==, 0);
	party_start(&party, send_seven, &c);
	party_go(&party);
	recv_it(&c, 7);
	party_join(&party);
	party_start(&party, send_seven, &c);
	rota_channel_recv_init(&op, &c, bytes);
	party_go(&party);
	expect(place->carry(place, &op.future), ==, 0);
	expect_element(bytes, 7, 8);
	party_join(&party);
	party_start(&party, close_it, &c);
	party_go(&party);
	expect(rota_channel_recv(&c, bytes), ==, -EPIPE);
	party_join(&party);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, a_receiver_waits)
{
	wherever(recv_waits_script);
}

static void send_waits_script(const struct place *place)
{
	struct rota_channel_op op;
	struct rota_channel c;
	struct party party;

	expect(rota_channel_init(&c, 3, 1), ==, 0);
	send_it(&c, 7);
	party_start(&party, recv_seven, &c);
	party_go(&party);
	send_it(&c, 7);
	party_join(&party);
	party_start(&party, recv_seven, &c);
	rota_channel_send_init(&op, &c, element(8, 3));
	party_go(&party);
	expect(place->carry(place, &op.future), ==, 0);
	party_join(&party);
	party_start(&party, close_it, &c);
	party_go(&party);
	expect(rota_channel_send(&c, element(9, 3)), ==, -EPIPE);
	party_join(&party);
	recv_it(&c, 8);
	expect(rota_channel_length(&c), ==, 0); /* the last one was not sent */
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, a_sender_waits)
{
	wherever(send_waits_script);
}

enum { SEND, SEND_MANY, RESERVE, RECV, RECV_MANY, WAITS };

static void wait_by_hand(struct rota_channel_op *op, struct rota_channel *c, int which)
{
	static unsigned char bytes[2 * 8];

	if (which == SEND)
		rota_channel_send_init(op, c, bytes);
	else if (which == SEND_MANY)
		rota_channel_send_many_init(op, c, bytes, 2);
	else if (which == RESERVE)
		rota_channel_reserve_init(op, c);
	else if (which == RECV)
		rota_channel_recv_init(op, c, bytes);
	else
		rota_channel_recv_many_init(op, c, bytes, 2);
	expect(poll_by_hand(&op->future), ==, ROTA_PENDING);
}

static void expect_closed(struct rota_channel_op *op)
{
	expect(poll_by_hand(&op->future), ==, ROTA_READY);
	expect(op->future.status, ==, -EPIPE);
}

/* A close ends every kind of wait: at a full channel, at one whose place is reserved, at an empty one, at a rendezvous. */
UNIT_TEST(channel, close_ends_each_wait)
{
	struct rota_channel_op ops[2];
	struct rota_channel c;

	for (int i = 0; i < 4 * WAITS; i++) {
		const int which = i / 4;
		const bool receives = which >= RECV, full = i % 4 == 1, reserved = i % 4 == 2;
		const size_t capacity = i % 4 == 0 ? 0 : i % 4 == 3 ? ROTA_UNBOUNDED : 1;

		if ((capacity == 0 && which == RESERVE) || (capacity == ROTA_UNBOUNDED && !receives))
			continue; /* neither waits */
		expect(rota_channel_init(&c, 8, capacity), ==, 0);
		if (full && !receives)
			send_it(&c, 1);
		if (reserved)
			expect(rota_channel_reserve(&c), ==, 0);
		for (int n = 0; n < 2; n++)
			wait_by_hand(&ops[n], &c, which);
		rota_channel_close(&c);
		if (reserved && receives) { /* one more may come */
			expect(poll_by_hand(&ops[0].future), ==, ROTA_PENDING);
			expect(rota_channel_unreserve(&c), ==, 0);
		} else if (reserved) {
			expect(rota_channel_send_reserved(&c, element(1, 8)), ==, 0);
		}
		for (int n = 0; n < 2; n++)
			expect_closed(&ops[n]);
		if (!receives && capacity > 0)
			recv_it(&c, 1); /* what is inside is had, and nothing of those that waited */
		expect(rota_channel_length(&c), ==, 0);
		expect(rota_channel_try_recv(&c, ops), ==, -EPIPE);
		expect(rota_channel_deinit(&c), ==, 0);
	}
}

/* --- by hand: the order of events ---------------------------------------------------------------------------------------- */

enum { LINE = 5 };

UNIT_TEST(channel, receivers_are_served_in_order)
{
	struct rota_channel_op ops[LINE];
	unsigned char bytes[LINE][8];
	struct rota_channel c;

	expect(rota_channel_init(&c, 8, ROTA_UNBOUNDED), ==, 0);
	for (unsigned i = 0; i < LINE; i++) {
		rota_channel_recv_init(&ops[i], &c, bytes[i]);
		expect(poll_by_hand(&ops[i].future), ==, ROTA_PENDING);
	}
	for (unsigned i = 0; i < LINE; i++) {
		send_it(&c, i);
		expect(rota_channel_length(&c), ==, 0); /* it is in somebody's hands */
	}
	for (unsigned i = 0; i < LINE; i++) {
		expect(poll_by_hand(&ops[i].future), ==, ROTA_READY);
		expect(ops[i].future.status, ==, 0);
		expect_element(bytes[i], i, 8);
	}
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, senders_are_served_in_order)
{
	struct rota_channel_op ops[LINE];
	unsigned char bytes[LINE][8], many[8 * (LINE + 2)];
	struct rota_channel c;

	expect(rota_channel_init(&c, 8, 2), ==, 0);
	send_it(&c, 100);
	send_it(&c, 101);
	for (unsigned i = 0; i < LINE; i++) {
		memcpy(bytes[i], element(i, 8), 8);
		rota_channel_send_init(&ops[i], &c, bytes[i]);
		expect(poll_by_hand(&ops[i].future), ==, ROTA_PENDING);
	}
	expect(rota_channel_try_send(&c, element(99, 8)), ==, -EAGAIN);
	recv_it(&c, 100);
	memset(bytes[0], 0, 8); /* it was taken over with the room */
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_PENDING);
	expect(rota_channel_recv_many(&c, many, LINE + 2), ==, LINE + 1); /* more than the capacity */
	expect_element(many, 101, 8);
	for (unsigned i = 0; i < LINE; i++)
		expect_element(many + (size_t)8 * (i + 1), i, 8);
	for (unsigned i = 1; i < LINE; i++) {
		expect(poll_by_hand(&ops[i].future), ==, ROTA_READY);
		expect(ops[i].future.status, ==, 0);
	}
	rota_channel_deinit(&c);
}

/* Cancelled while it waits: nothing has moved. Cancelled after it was served: that stands. */
UNIT_TEST(channel, a_cancelled_receiver)
{
	struct rota_channel_op ops[2];
	unsigned char bytes[2][8];
	struct rota_channel c;

	expect(rota_channel_init(&c, 8, 4), ==, 0);
	for (int served = 0; served < 2; served++) {
		memset(bytes, 0xee, sizeof(bytes));
		for (unsigned i = 0; i < 2; i++) {
			rota_channel_recv_init(&ops[i], &c, bytes[i]);
			expect(poll_by_hand(&ops[i].future), ==, ROTA_PENDING);
		}
		if (served)
			send_it(&c, 5);
		rota_future_cancel(&ops[0].future);
		rota_future_cancel(&ops[0].future);
		expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
		expect(ops[0].future.status, ==, served ? 0 : -ECANCELED);
		if (served)
			expect_element(bytes[0], 5, 8);
		else
			plain_expect_filled(bytes[0], 0xee, 8);
		send_it(&c, 6); /* for the one behind */
		expect(poll_by_hand(&ops[1].future), ==, ROTA_READY);
		expect_element(bytes[1], 6, 8);
		expect(rota_channel_length(&c), ==, 0);
	}
	rota_channel_recv_init(&ops[0], &c, bytes[0]); /* before the first poll */
	send_it(&c, 7);
	rota_future_cancel(&ops[0].future);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	expect(ops[0].future.status, ==, -ECANCELED);
	recv_it(&c, 7);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, a_cancelled_sender)
{
	const uint64_t first = 11, second = 22;
	struct rota_channel_op ops[2];
	struct rota_channel c;
	uint64_t got;

	expect(rota_channel_init(&c, 8, 1), ==, 0);
	for (int served = 0; served < 2; served++) {
		expect(rota_channel_try_send(&c, &(uint64_t){ 1 }), ==, 0);
		rota_channel_send_init(&ops[0], &c, &first);
		rota_channel_send_init(&ops[1], &c, &second);
		expect(poll_by_hand(&ops[0].future), ==, ROTA_PENDING);
		expect(poll_by_hand(&ops[1].future), ==, ROTA_PENDING);
		if (served) {
			expect(rota_channel_try_recv(&c, &got), ==, 0);
			expect(got, ==, 1);
		}
		rota_future_cancel(&ops[0].future);
		expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
		expect(ops[0].future.status, ==, served ? 0 : -ECANCELED);
		expect(rota_channel_try_recv(&c, &got), ==, 0);
		expect(got, ==, served ? 11 : 1);
		expect(rota_channel_try_recv(&c, &got), ==, 0);
		expect(got, ==, 22);
		expect(poll_by_hand(&ops[1].future), ==, ROTA_READY);
		expect(rota_channel_try_recv(&c, &got), ==, -EAGAIN);
	}
	rota_channel_deinit(&c);
}

/* --- no memory ----------------------------------------------------------------------------------------------------------- */

static size_t growing_size = 8, growing_capacity = ROTA_UNBOUNDED;

static void no_memory_script(const struct place *place)
{
	struct rota_channel_op op;
	struct rota_channel c;
	unsigned sent = 0;
	int rc = 0;

	unit_no_more_spares(place->rt);
	expect(rota_channel_init(&c, growing_size, growing_capacity), ==, 0);
	send_it(&c, sent++); /* from here on only the channel asks for memory */
	for (unsigned round = 0; round < 3; round++) {
		while (true) {
			expect(sent, <, 1000);
			rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM); /* until it wants to grow */
			rc = rota_channel_send(&c, element(sent, growing_size));
			rota__fault_arm(ROTA__FAULT_ALLOC, 0, 0);
			if (rc < 0)
				break;
			sent++;
		}
		expect(rc, ==, -ENOMEM);
		expect(rota_channel_length(&c), ==, sent);
		rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
		expect(rota_channel_try_send(&c, element(sent, growing_size)), ==, -ENOMEM);
		rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
		expect(rota_channel_try_reserve(&c), ==, -ENOMEM);
		rota_channel_send_init(&op, &c, element(sent, growing_size));
		expect(place->carry(place, &op.future), ==, 0); /* there is memory again */
		sent++;
	}
	for (unsigned n = 0; n < sent; n++)
		recv_it(&c, n);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, no_memory_to_grow)
{
	wherever(no_memory_script);
	growing_size = ELEM_MAX;
	growing_capacity = LARGE_CAPACITY;
	wherever(no_memory_script);
}

/* --- crowds -------------------------------------------------------------------------------------------------------------- */

static int recv_one(void *arg)
{
	uint64_t got;

	return rota_channel_recv(arg, &got);
}

static int send_one(void *arg)
{
	const uint64_t sent = 5;

	return rota_channel_send(arg, &sent);
}

static struct rota_channel_op crowd_ops[CROWD_FUTURES];
static uint64_t crowd_elems[CROWD_FUTURES];

static struct rota_future *recv_future(void *arg, unsigned i)
{
	rota_channel_recv_init(&crowd_ops[i], arg, &crowd_elems[i]);
	return &crowd_ops[i].future;
}

static struct rota_future *send_future(void *arg, unsigned i)
{
	rota_channel_send_init(&crowd_ops[i], arg, &crowd_elems[i]);
	return &crowd_ops[i].future;
}

UNIT_TEST(channel, close_wakes_a_crowd_of_receivers)
{
	struct rota_channel c;
	struct crowd crowd = { .wait = recv_one, .future = recv_future, .arg = &c };

	expect(rota_channel_init(&c, 8, 4), ==, 0);
	crowd_start(&crowd);
	waiters_await(&c.receivers_, CROWD);
	for (uint64_t i = 0; i < 10; i++)
		expect(rota_channel_send(&c, &i), ==, 0);
	rota_channel_close(&c);
	expect(crowd_join(&crowd, -EPIPE), ==, CROWD - 10);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, close_wakes_a_crowd_of_senders)
{
	struct rota_channel c;
	struct crowd crowd = { .wait = send_one, .future = send_future, .arg = &c };
	uint64_t got;

	expect(rota_channel_init(&c, 8, 1), ==, 0);
	expect(rota_channel_send(&c, &(uint64_t){ 1 }), ==, 0);
	crowd_start(&crowd);
	while (waiters_count(&c.receivers_) != 0 || c.senders_.count_ != CROWD) /* the one lock is the receivers' */
		rota_sleep(ROTA_US(50));
	for (int i = 0; i < 10; i++)
		expect(rota_channel_recv(&c, &got), ==, 0);
	rota_channel_close(&c);
	expect(crowd_join(&crowd, -EPIPE), ==, CROWD - 10);
	expect(rota_channel_try_recv(&c, &got), ==, 0);
	expect(rota_channel_try_recv(&c, &got), ==, -EPIPE);
	rota_channel_deinit(&c);
}

/* One receive of many serves a crowd of senders. */
UNIT_TEST(channel, recv_many_serves_a_crowd_of_senders)
{
	struct rota_channel c;
	struct crowd crowd = { .wait = send_one, .future = send_future, .arg = &c };
	uint64_t got[CROWD + 1];
	size_t count = 0;

	expect(rota_channel_init(&c, 8, 1), ==, 0);
	crowd_start(&crowd);
	while (count < CROWD) {
		ssize_t n = rota_channel_recv_many(&c, got, CROWD + 1);

		expect(n, >, 0);
		count += (size_t)n;
	}
	expect(count, ==, CROWD);
	expect(crowd_join(&crowd, 0), ==, CROWD);
	rota_channel_deinit(&c);
}

/* --- tasks that are cancelled -------------------------------------------------------------------------------------------- */

static void cancel_script(const struct place *place)
{
	struct rota_channel c;
	unsigned taken = 0, left = 0;

	(void)place;
	expect(rota_channel_init(&c, 8, 1), ==, 0);
	for (unsigned i = 0; i < 200; i++) {
		rota_task *task;
		uint64_t got;
		int status;

		expect(rota_spawn(&task, recv_one, &c), ==, 0);
		if (i % 3 != 0)
			waiters_await(&c.receivers_, 1);
		if (i % 2 == 0)
			expect(rota_channel_send(&c, &(uint64_t){ i }), ==, 0);
		expect(rota_cancel(task), ==, 0);
		if (i % 2 != 0)
			expect(rota_channel_send(&c, &(uint64_t){ i }), ==, 0);
		expect(rota_join(task, &status), ==, 0);
		if (status == 0) {
			taken++;
			continue;
		}
		expect(status, ==, -ECANCELED);
		expect(rota_channel_recv(&c, &got), ==, 0);
		expect(got, ==, i);
		left++;
	}
	expect(taken + left, ==, 200);
	expect(rota_channel_length(&c), ==, 0);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, cancel_that_races_with_an_element)
{
	in_fibers(cancel_script, 0);
}

/* --- many at a time ------------------------------------------------------------------------------------------------------ */

static void fill_many(unsigned char *bytes, unsigned from, size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++)
		memcpy(bytes + i * size, element(from + (unsigned)i, size), size);
}

/* Runs of every length through a ring that wraps at every place. */
static void send_many_script(const struct place *place)
{
	unsigned char out[ELEM_MAX * 9], in[ELEM_MAX * 9];
	struct rota_channel c;

	(void)place;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		unsigned sent = 0, received = 0;

		expect(rota_channel_init(&c, sizes[s], s % 2 == 0 ? 9 : ROTA_UNBOUNDED), ==, 0);
		expect(rota_channel_send_many(&c, out, 0), ==, -EINVAL);
		expect(rota_channel_try_send_many(&c, out, 0), ==, -EINVAL);
		expect(rota_channel_try_recv_many(&c, in, 0), ==, -EINVAL);
		expect(rota_channel_try_recv_many(&c, in, 9), ==, -EAGAIN);
		for (unsigned n = 1; n < 100; n++) {
			const unsigned count = n % 9 + 1;
			ssize_t got;

			fill_many(out, sent, count, sizes[s]);
			if (n % 2 == 0)
				expect(rota_channel_send_many(&c, out, count), ==, count);
			else
				expect(rota_channel_try_send_many(&c, out, count), ==, count);
			sent += count;
			while (received < sent) {
				got = n % 3 == 0 ? rota_channel_recv_many(&c, in, n % 5 + 1)
						 : rota_channel_try_recv_many(&c, in, n % 5 + 1);
				expect(got, >, 0);
				for (ssize_t i = 0; i < got; i++)
					expect_element(in + (size_t)i * sizes[s], received++, sizes[s]);
			}
		}
		rota_channel_close(&c);
		expect(rota_channel_send_many(&c, out, 2), ==, -EPIPE);
		rota_channel_deinit(&c);
	}
}

UNIT_TEST(channel, send_many)
{
	wherever(send_many_script);
}

static void recv_twenty(void *arg)
{
	for (unsigned n = 0; n < 20; n++)
		recv_it(arg, n);
}

static void send_many_waits_script(const struct place *place)
{
	unsigned char out[20 * 8], in[20 * 8];
	struct rota_channel_op op;
	struct rota_channel c;
	struct party party;

	fill_many(out, 0, 20, 8);
	for (int i = 0; i < 2; i++) {
		expect(rota_channel_init(&c, 8, i == 0 ? 3 : 0), ==, 0);
		party_start(&party, recv_twenty, &c);
		party_go(&party);
		rota_channel_send_many_init(&op, &c, out, 20);
		expect(place->carry(place, &op.future), ==, 20);
		party_join(&party);
		party_start(&party, send_seven, &c);
		party_go(&party);
		rota_channel_recv_many_init(&op, &c, in, 20);
		expect(place->carry(place, &op.future), ==, 1);
		expect_element(in, 7, 8);
		party_join(&party);
		rota_channel_deinit(&c);
	}
}

UNIT_TEST(channel, send_many_waits)
{
	wherever(send_many_waits_script);
}

/* A wait for many that ends early has what was moved until then, and no more. */
UNIT_TEST(channel, many_that_end_early)
{
	unsigned char out[5 * 8], in[8 * 8];
	struct rota_channel_op op;
	struct rota_channel c;

	for (int how = 0; how < 3; how++) {
		expect(rota_channel_init(&c, 8, 2), ==, 0);
		fill_many(out, 0, 5, 8);
		rota_channel_send_many_init(&op, &c, out, 5);
		expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
		expect(rota_channel_length(&c), ==, 2);
		recv_it(&c, 0); /* the third one moves up */
		if (how == 0)
			rota_future_cancel(&op.future);
		else if (how == 1)
			rota_channel_close(&c);
		else
			expect(rota_channel_recv_many(&c, in, 8), ==, 4);
		expect(poll_by_hand(&op.future), ==, ROTA_READY);
		expect(op.future.status, ==, how == 2 ? 5 : 3);
		expect(rota_channel_length(&c), ==, how == 2 ? 0 : 2);
		if (how != 2) {
			recv_it(&c, 1);
			recv_it(&c, 2);
		}
		rota_channel_deinit(&c);
	}
	expect(rota_channel_init(&c, 8, 0), ==, 0); /* nothing was moved: that is an error */
	rota_channel_send_many_init(&op, &c, out, 5);
	expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
	rota_future_cancel(&op.future);
	expect(poll_by_hand(&op.future), ==, ROTA_READY);
	expect(op.future.status, ==, -ECANCELED);
	rota_channel_deinit(&c);
}

/* --- rendezvous ---------------------------------------------------------------------------------------------------------- */

UNIT_TEST(channel, rendezvous)
{
	struct rota_channel_op ops[3];
	unsigned char out[3][8], bytes[3 * 8];
	struct rota_channel c;

	expect(rota_channel_init(&c, 8, 0), ==, 0);
	expect(rota_channel_try_send(&c, element(0, 8)), ==, -EAGAIN);
	expect(rota_channel_try_recv(&c, bytes), ==, -EAGAIN);
	expect(rota_channel_try_reserve(&c), ==, -EINVAL);
	for (unsigned i = 0; i < 3; i++) {
		memcpy(out[i], element(i, 8), 8);
		rota_channel_send_init(&ops[i], &c, out[i]);
		expect(poll_by_hand(&ops[i].future), ==, ROTA_PENDING);
	}
	rota_future_cancel(&ops[1].future);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_READY);
	expect(ops[1].future.status, ==, -ECANCELED);
	expect(rota_channel_length(&c), ==, 0);
	recv_it(&c, 0);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	expect(poll_by_hand(&ops[2].future), ==, ROTA_PENDING);
	expect(rota_channel_recv_many(&c, bytes, 3), ==, 1);
	expect_element(bytes, 2, 8);
	expect(poll_by_hand(&ops[2].future), ==, ROTA_READY);
	rota_channel_recv_init(&ops[0], &c, bytes);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_PENDING);
	expect(rota_channel_try_send(&c, element(3, 8)), ==, 0); /* somebody waits for it */
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	expect_element(bytes, 3, 8);
	rota_channel_send_init(&ops[0], &c, out[0]);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_PENDING);
	rota_channel_close(&c);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	expect(ops[0].future.status, ==, -EPIPE);
	expect(rota_channel_recv(&c, bytes), ==, -EPIPE);
	rota_channel_deinit(&c);
}

static void rendezvous_script(const struct place *place)
{
	unsigned char bytes[8];
	struct rota_channel_op op;
	struct rota_channel c;
	struct party party;

	expect(rota_channel_init(&c, 8, 0), ==, 0);
	party_start(&party, send_seven, &c);
	party_go(&party);
	rota_channel_recv_init(&op, &c, bytes);
	expect(place->carry(place, &op.future), ==, 0);
	expect_element(bytes, 7, 8);
	party_join(&party);
	party_start(&party, recv_seven, &c);
	party_go(&party);
	rota_channel_send_init(&op, &c, element(7, 8));
	expect(place->carry(place, &op.future), ==, 0);
	party_join(&party);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, rendezvous_of_two)
{
	wherever(rendezvous_script);
}

/* --- reserved places ------------------------------------------------------------------------------------------------------ */

static void reserve_script(const struct place *place)
{
	unsigned char bytes[8];
	struct rota_channel_op op;
	struct rota_channel c;

	for (int i = 0; i < 2; i++) {
		const unsigned places = i == 0 ? 2 : 40;

		expect(rota_channel_init(&c, 8, i == 0 ? 2 : ROTA_UNBOUNDED), ==, 0);
		for (unsigned n = 0; n < places; n++)
			expect(n % 2 == 0 ? rota_channel_reserve(&c) : rota_channel_try_reserve(&c), ==, 0);
		expect(rota_channel_length(&c), ==, 0);
		expect(rota_channel_try_recv(&c, bytes), ==, -EAGAIN);
		if (i == 0) {
			expect(rota_channel_try_reserve(&c), ==, -EAGAIN);
			expect(rota_channel_try_send(&c, element(0, 8)), ==, -EAGAIN);
		}
		expect(rota_channel_unreserve(&c), ==, 0);
		send_it(&c, 0);
		for (unsigned n = 1; n < places; n++)
			expect(rota_channel_send_reserved(&c, element(n, 8)), ==, 0);
		for (unsigned n = 0; n < places; n++)
			recv_it(&c, n);
		rota_channel_reserve_init(&op, &c);
		expect(place->carry(place, &op.future), ==, 0);
		rota_channel_close(&c);
		expect(rota_channel_try_reserve(&c), ==, -EPIPE);
		expect(rota_channel_reserve(&c), ==, -EPIPE);
		expect(rota_channel_try_recv(&c, bytes), ==, -EAGAIN); /* there may be one more */
		expect(rota_channel_send_reserved(&c, element(5, 8)), ==, 0);
		recv_it(&c, 5);
		expect(rota_channel_recv(&c, bytes), ==, -EPIPE);
		rota_channel_deinit(&c);
	}
}

UNIT_TEST(channel, reserved_places)
{
	wherever(reserve_script);
}

/* A place that is given back, by hand or by a cancel, goes on to the next in line. */
UNIT_TEST(channel, a_place_goes_on)
{
	struct rota_channel_op first, second, send, recv;
	const uint64_t value = 9;
	struct rota_channel c;
	uint64_t got;

	expect(rota_channel_init(&c, 8, 1), ==, 0);
	expect(rota_channel_reserve(&c), ==, 0);
	rota_channel_reserve_init(&first, &c);
	rota_channel_reserve_init(&second, &c);
	rota_channel_send_init(&send, &c, &value);
	expect(poll_by_hand(&first.future), ==, ROTA_PENDING);
	expect(poll_by_hand(&second.future), ==, ROTA_PENDING);
	expect(poll_by_hand(&send.future), ==, ROTA_PENDING);
	rota_future_cancel(&first.future);
	expect(poll_by_hand(&first.future), ==, ROTA_READY);
	expect(first.future.status, ==, -ECANCELED);
	expect(rota_channel_unreserve(&c), ==, 0);
	rota_future_cancel(&second.future); /* too late: the place is its own */
	expect(poll_by_hand(&second.future), ==, ROTA_READY);
	expect(second.future.status, ==, 0);
	expect(poll_by_hand(&send.future), ==, ROTA_PENDING);
	expect(rota_channel_unreserve(&c), ==, 0);
	expect(poll_by_hand(&send.future), ==, ROTA_READY);
	expect(rota_channel_try_recv(&c, &got), ==, 0);
	expect(got, ==, 9);

	/* All places are reserved: a receiver takes from the hands of a sender that waits, whoever came first. */
	for (int i = 0; i < 2; i++) {
		expect(rota_channel_reserve(&c), ==, 0);
		rota_channel_recv_init(&recv, &c, &got);
		rota_channel_send_init(&send, &c, &value);
		if (i == 0)
			expect(poll_by_hand(&recv.future), ==, ROTA_PENDING);
		got = 0;
		expect(poll_by_hand(&send.future), ==, i == 0 ? ROTA_READY : ROTA_PENDING);
		expect(poll_by_hand(&recv.future), ==, ROTA_READY);
		expect(got, ==, 9);
		if (i == 1)
			expect(poll_by_hand(&send.future), ==, ROTA_READY);
		expect(rota_channel_unreserve(&c), ==, 0);
		expect(rota_channel_length(&c), ==, 0);
	}

	/* The last place is given back: now the receiver learns of the end. */
	expect(rota_channel_reserve(&c), ==, 0);
	rota_channel_recv_init(&recv, &c, &got);
	expect(poll_by_hand(&recv.future), ==, ROTA_PENDING);
	rota_channel_close(&c);
	expect(poll_by_hand(&recv.future), ==, ROTA_PENDING);
	expect(rota_channel_unreserve(&c), ==, 0);
	expect(poll_by_hand(&recv.future), ==, ROTA_READY);
	expect(recv.future.status, ==, -EPIPE);
	rota_channel_deinit(&c);
}

/* --- deadlines ------------------------------------------------------------------------------------------------------------ */

static void deadline_script(const struct place *place)
{
	unsigned char bytes[8];
	struct rota_channel c;
	struct party party;

	(void)place;
	expect(rota_channel_init(&c, 8, 1), ==, 0);
	expect(rota_channel_recv_until(&c, bytes, rota_now() + ROTA_MS(1)), ==, -ETIMEDOUT);
	expect(rota_channel_recv_until(&c, bytes, 0), ==, -ETIMEDOUT);
	expect(rota_channel_send_until(&c, element(7, 8), 0), ==, 0); /* there is room */
	expect(rota_channel_send_until(&c, element(8, 8), rota_now() + ROTA_MS(1)), ==, -ETIMEDOUT);
	expect(rota_channel_recv_until(&c, bytes, 0), ==, 0);
	expect_element(bytes, 7, 8);
	party_start(&party, send_seven, &c);
	party_go(&party);
	expect(rota_channel_recv_until(&c, bytes, rota_now() + ROTA_SECONDS(60)), ==, 0);
	expect_element(bytes, 7, 8);
	party_join(&party);
	expect(rota_channel_length(&c), ==, 0);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, deadlines)
{
	wherever(deadline_script);
}

/* --- misuse ---------------------------------------------------------------------------------------------------------------- */

UNIT_TEST(channel, a_place_that_was_not_reserved_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct unit_capture capture;
	struct rota_channel c;

	expect(rota_channel_init(&c, 8, 1), ==, 0);
	unit_capture_begin(&capture);
	expect(rota_channel_send_reserved(&c, element(0, 8)), ==, -EPERM);
	expect(rota_channel_unreserve(&c), ==, -EPERM);
	expect_contains(unit_capture_end(&capture), "no place is reserved");
	expect(rota_channel_length(&c), ==, 0);
	rota_channel_deinit(&c);
}

UNIT_TEST(channel, a_place_in_a_channel_that_was_ended_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct unit_capture capture;
	struct rota_channel c;

	expect(rota_channel_init(&c, sizeof(int), 2), ==, 0);
	expect(rota_channel_reserve(&c), ==, 0);
	expect(rota_channel_deinit(&c), ==, 0);
	unit_capture_begin(&capture);
	expect(rota_channel_send_reserved(&c, &(int){ 1 }), ==, -EPERM);
	expect_contains(unit_capture_end(&capture), "no place is reserved");
	expect(rota_channel_try_recv(&c, &(int){ 0 }), ==, -EPIPE);
}

UNIT_TEST(channel, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct unit_capture capture;
	struct rota_channel_op op;
	unsigned char bytes[8];
	struct rota_channel c;

	expect(rota_channel_init(&c, 8, 1), ==, 0);
	rota_channel_recv_init(&op, &c, bytes);
	expect(poll_by_hand(&op.future), ==, ROTA_PENDING);
	unit_capture_begin(&capture);
	expect(rota_channel_deinit(&c), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	send_it(&c, 7); /* it is still there */
	expect(poll_by_hand(&op.future), ==, ROTA_READY);
	expect_element(bytes, 7, 8);
	rota_channel_deinit(&c);
}

/* --- many at once ---------------------------------------------------------------------------------------------------------- */

static void *keep(void *data)
{
	return data;
}

static void count_wake(void *data)
{
	++*(unsigned *)data;
}

static void dropped(void *data)
{
	(void)data;
}

static rota_poll poll_of_executor(struct rota_future *future, unsigned *wakes)
{
	static const struct rota_waker_ops ops = { keep, count_wake, count_wake, dropped };
	const struct rota_waker waker = { &ops, wakes };
	struct rota_context cx = { &waker };

	return rota_future_poll(future, &cx);
}

/* One place, which is reserved; somebody waits for it, and behind it senders with an element, while receivers wait.
 * When the place is given back all are served at once: a sender and a receiver at a time, also where the batch of wakes
 * has room for one. */
UNIT_TEST(channel, senders_and_receivers_in_pairs)
{
	enum { PAIRS = ROTA__WAKE_BATCH };
	static struct rota_channel_op place, senders[PAIRS], receivers[PAIRS];
	int sent[PAIRS], received[PAIRS];
	struct rota_channel c;
	unsigned wakes = 0;

	expect(rota_channel_init(&c, sizeof(int), 1), ==, 0);
	expect(rota_channel_try_reserve(&c), ==, 0);
	rota_channel_reserve_init(&place, &c);
	expect(poll_of_executor(&place.future, &wakes), ==, ROTA_PENDING);
	for (int i = 0; i < PAIRS; i++) {
		sent[i] = i;
		rota_channel_send_init(&senders[i], &c, &sent[i]);
		expect(poll_of_executor(&senders[i].future, &wakes), ==, ROTA_PENDING);
	}
	for (int i = 0; i < PAIRS; i++) {
		received[i] = -1;
		rota_channel_recv_init(&receivers[i], &c, &received[i]);
		expect(poll_of_executor(&receivers[i].future, &wakes), ==, ROTA_PENDING);
	}
	expect(rota_channel_unreserve(&c), ==, 0);
	expect(wakes, ==, 1 + 2 * PAIRS);
	expect(poll_by_hand(&place.future), ==, ROTA_READY);
	for (int i = 0; i < PAIRS; i++) {
		expect(poll_by_hand(&senders[i].future), ==, ROTA_READY);
		expect(senders[i].future.status, ==, 0);
		expect(poll_by_hand(&receivers[i].future), ==, ROTA_READY);
		expect(received[i], ==, i);
	}
	expect(rota_channel_length(&c), ==, 0);
	expect(rota_channel_unreserve(&c), ==, 0);
	expect(rota_channel_deinit(&c), ==, 0);
}
