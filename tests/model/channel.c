/* SPDX-License-Identifier: MIT */
/*
 * The channel, by plain threads that block on their parkers, with the real waitlist, wakers and parking below: each
 * element arrives once, in its sender's order; a cancelled wait leaves what was meant for it to others; close ends all.
 */
#include "../../sync/channel.h"

#include <errno.h>

#include "waits.h"

static struct rota_channel channel;
static unsigned got[4];
static unsigned count;
static struct rota_channel_op crowd[3]; /* they wait, in this order: more than one batch of wakes (meson.build) */
static unsigned elems[3];
static unsigned char large[1024];

static void share(void)
{
	model_share_list(&channel.senders_);
	model_share_list(&channel.receivers_);
}

static void setup(void)
{
	model_check(rota_channel_init(&channel, sizeof(unsigned), 1) == 0);
	share();
	got[0] = got[1] = got[2] = got[3] = 0;
	count = 0;
	model_misuse_expected = true; /* a send after close */
}

static void setup_unbounded(void)
{
	model_check(rota_channel_init(&channel, sizeof(unsigned), ROTA_UNBOUNDED) == 0);
	share();
	got[0] = got[1] = got[2] = got[3] = 0;
}

static void setup_filled(void)
{
	const unsigned elem = 3;

	setup();
	model_check(rota_channel_try_send(&channel, &elem) == 0);
}

/* A ring of two slots, both filled, that may grow: elements are so large that it began with one. */
static void setup_grown(void)
{
	model_check(rota_channel_init(&channel, sizeof(large), ROTA_UNBOUNDED) == 0);
	share();
	for (int i = 0; i < 2; i++)
		model_check(rota_channel_try_send(&channel, large) == 0);
	model_check(channel.slots_ == 2);
}

static void setup_rendezvous(void)
{
	model_check(rota_channel_init(&channel, sizeof(unsigned), 0) == 0);
	share();
	got[0] = got[1] = got[2] = got[3] = 0;
}

static void setup_reserved(void)
{
	setup();
	model_check(rota_channel_try_reserve(&channel) == 0);
}

static void setup_three_receivers_wait(void)
{
	setup();
	for (int i = 0; i < 3; i++) {
		elems[i] = 0;
		rota_channel_recv_init(&crowd[i], &channel, &elems[i]);
		model_check(poll_elsewhere(&crowd[i].future) == ROTA_PENDING);
	}
}

/* The place is reserved, and somebody waits for what is sent there. */
static void setup_reserved_and_one_waits(void)
{
	setup_reserved();
	elems[2] = 0;
	rota_channel_recv_init(&crowd[2], &channel, &elems[2]);
	model_check(poll_elsewhere(&crowd[2].future) == ROTA_PENDING);
}

static void three_senders_wait(void)
{
	for (unsigned i = 0; i < 3; i++) {
		elems[i] = i + 1;
		rota_channel_send_init(&crowd[i], &channel, &elems[i]);
		model_check(poll_elsewhere(&crowd[i].future) == ROTA_PENDING);
	}
}

/* 0 is inside, 1, 2 and 3 are to follow. */
static void setup_three_senders_wait(void)
{
	setup();
	model_check(rota_channel_try_send(&channel, &count) == 0);
	three_senders_wait();
}

static void setup_three_senders_wait_at_no_slots(void)
{
	setup_rendezvous();
	three_senders_wait();
}

static void send(unsigned elem)
{
	model_check(rota_channel_send(&channel, &elem) == 0);
}

static unsigned recv(void)
{
	unsigned elem = 0;

	model_check(rota_channel_recv(&channel, &elem) == 0);
	got[elem]++;
	return elem;
}

static void send_1(void)
{
	send(1);
}

static void send_1_2(void)
{
	send(1);
	send(2);
}

static void send_reserved_2(void)
{
	const unsigned elem = 2;

	model_check(rota_channel_send_reserved(&channel, &elem) == 0);
}

static void unreserve(void)
{
	model_check(rota_channel_unreserve(&channel) == 0);
}

static void recv_one(void)
{
	recv();
}

static void recv_1_2(void)
{
	model_check(recv() == 1);
	model_check(recv() == 2);
}

/* The sender may still be on its way out. */
static void recv_and_end(void)
{
	recv();
	rota_channel_deinit(&channel);
	model_free(&channel, sizeof(channel));
}

/* The receiver that made room may still be on its way out. */
static void send_and_end(void)
{
	send(1);
	rota_channel_deinit(&channel);
	model_free(&channel, sizeof(channel));
}

static void recv_3_1(void)
{
	model_check(recv() == 3);
	model_check(recv() == 1);
}

/* Sends, but asks for the end at once. */
static void send_1_or_give_up(void)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };
	struct rota_channel_op op;
	const unsigned elem = 1;

	rota_channel_send_init(&op, &channel, &elem);
	if (rota_future_poll(&op.future, &cx) == ROTA_PENDING) {
		rota_future_cancel(&op.future);
		model_check(rota_future_poll(&op.future, &cx) == ROTA_READY);
	}
	model_check(op.future.status == 0 || op.future.status == -ECANCELED);
	model_outcome(op.future.status == 0 ? 0 : 1);
	model_free(&op, sizeof(op)); /* nobody else knows of it any more */
}

static void recv_or_give_up(void)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };
	struct rota_channel_op op;
	unsigned elem = 0;

	rota_channel_recv_init(&op, &channel, &elem);
	if (rota_future_poll(&op.future, &cx) == ROTA_PENDING) {
		rota_future_cancel(&op.future);
		model_check(rota_future_poll(&op.future, &cx) == ROTA_READY);
	}
	if (op.future.status == 0)
		got[elem]++;
	model_outcome(op.future.status == 0 ? 0 : 1);
	model_free(&op, sizeof(op));
}

static void try_send_1(void)
{
	const unsigned elem = 1;

	model_check(rota_channel_try_send(&channel, &elem) == 0);
}

static void send_large(void)
{
	model_check(rota_channel_send(&channel, large) == 0);
}

static void grown_once(void)
{
	model_check(channel.slots_ == 4);
	model_check(rota_channel_length(&channel) == 4);
}

static void close_it(void)
{
	rota_channel_close(&channel);
}

static void recv_until_closed(void)
{
	unsigned elem;
	int rc;

	while ((rc = rota_channel_recv(&channel, &elem)) == 0)
		got[elem]++;
	model_check(rc == -EPIPE);
}

/* Whoever has a place has yet to be waited for. */
static void close_and_try(void)
{
	unsigned elem;
	int rc;

	close_it();
	rc = rota_channel_try_recv(&channel, &elem);
	model_check(rc == 0 || rc == -EAGAIN);
	model_outcome(rc == 0 ? 0 : 1);
}

static void send_1_if_open(void)
{
	const unsigned elem = 1;
	int rc = rota_channel_send(&channel, &elem);

	model_check(rc == 0 || rc == -EPIPE);
	count += rc == 0;
}

static void got_one_each(void)
{
	model_check(got[1] == 1 && got[2] == 1);
	model_check(rota_channel_length(&channel) == 0);
}

static void got_1(void)
{
	model_check(got[1] == 1);
}

static void got_what_was_sent(void)
{
	model_check(got[1] + rota_channel_length(&channel) == count);
	model_outcome(count);
}

static void nothing_lost(void)
{
	model_check(got[1] + rota_channel_length(&channel) == 1);
}

static void got_2(void)
{
	model_check(got[2] == 1);
}

static void got_1_and_3(void)
{
	model_check(got[1] == 1 && got[3] == 1);
}

static void unreserve_the_rest(void)
{
	got_1();
	unreserve();
}

static void got_3(void)
{
	model_check(got[3] == 1);
}

static void send_many(void)
{
	static const unsigned sent[3] = { 1, 2, 3 };

	model_check(rota_channel_try_send_many(&channel, sent, 3) == 3);
}

static int give_up_the_third(void)
{
	int status = give_up(&crowd[2].future);

	model_free(&crowd[2], sizeof(crowd[2]));
	model_outcome(status == 0 ? 0 : status == -EPIPE ? 2 : 1);
	return status;
}

static void give_up_the_third_receiver(void)
{
	if (give_up_the_third() == 0)
		model_check(elems[2] == 3);
	else
		count++; /* the element is still there */
}

static void give_up_waiting_for_2(void)
{
	if (give_up_the_third() == 0)
		model_check(elems[2] == 2);
	else
		count++;
}

static void received_or_inside(void)
{
	unsigned elem = 0;

	model_check(rota_channel_length(&channel) == count);
	model_check(count == 0 || (rota_channel_try_recv(&channel, &elem) == 0 && elem == 2));
}

static void give_up_the_third_waiter(void)
{
	give_up_the_third();
}

static void ended(unsigned i, int status)
{
	model_check(poll(&crowd[i].future) == ROTA_READY && crowd[i].future.status == status);
}

static void send_in_vain(void)
{
	const unsigned elem = 1;

	model_check(rota_channel_send(&channel, &elem) == -EPIPE);
}

static void try_recv_twice(void)
{
	unsigned elem = 0;

	for (int i = 0; i < 2; i++) {
		int rc = rota_channel_try_recv(&channel, &elem);

		model_check(rc == 0 || (i > 0 && rc == -EPIPE));
		model_check(rc < 0 || elem == (unsigned)i);
	}
}

static void try_recv_the_first(void)
{
	unsigned elem = 0;
	int rc = rota_channel_try_recv(&channel, &elem);

	model_check(rc == -EPIPE || (rc == 0 && elem == 1));
}

/* In their order: nobody sends once one ahead of him has been turned away. */
static void turned_away_from_one_on(void)
{
	int status = 0;

	for (int i = 0; i < 3; i++) {
		model_check(poll(&crowd[i].future) == ROTA_READY);
		model_check(crowd[i].future.status == -EPIPE || (crowd[i].future.status == 0 && status == 0));
		status = crowd[i].future.status;
	}
}

static void two_received(void)
{
	for (unsigned i = 0; i < 2; i++) {
		ended(i, 0);
		model_check(elems[i] == i + 1);
	}
	model_check(rota_channel_length(&channel) == count);
}

static void two_learned_of_the_end(void)
{
	ended(0, -EPIPE);
	ended(1, -EPIPE);
	model_check(rota_channel_deinit(&channel) == 0);
}

const struct model_scenario model_scenarios[] = {
	{ "channel: send, recv", setup, { send_1, recv_one }, got_1, 0, 0, 0 },
	{ "channel: two each", setup, { send_1_2, recv_1_2 }, got_one_each, 0, 0, 3 },
	{ "channel: full, send, recv", setup_filled, { send_1, recv_3_1 }, got_1, 0, 0, 0 },
	{ "channel: unbounded", setup_unbounded, { send_1_2, recv_1_2 }, got_one_each, 0, 0, 3 },
	{ "channel: grows for two", setup_grown, { send_large, send_large }, grown_once, 0, 0, 2 },
	{ "channel: full, sender, two receivers", setup_filled, { send_1, recv_one, recv_one }, got_1_and_3, 0, 0, 1 },
	{ "channel: ended by the receiver", setup, { send_1, recv_and_end }, NULL, 0, 0, 0 },
	{ "channel: full, ended by the sender", setup_filled, { send_and_end, recv_one }, got_3, 0, 0, 0 },
	{ "channel: no slots", setup_rendezvous, { send_1, recv_one }, got_1, 0, 0, 3 },
	{ "channel: no slots, twice", setup_rendezvous, { send_1_2, recv_1_2 }, got_one_each, 0, 0, 1 },
	{ "channel: all reserved, send, recv", setup_reserved, { send_1, recv_one }, unreserve_the_rest, 0, 0, 3 },
	{ "channel: reserved, recv", setup_reserved, { send_reserved_2, recv_one }, got_2, 0, 0, 0 },
	{ "channel: unreserve, send, recv", setup_reserved, { unreserve, send_1, recv_one }, got_1, 0, 0, 1 },
	{ "channel: close, reserved, recv",
	  setup_reserved,
	  { close_it, send_reserved_2, recv_until_closed },
	  got_2,
	  0,
	  0,
	  1 },
	{ "channel: close, reserved, try", setup_reserved, { send_reserved_2, close_and_try }, NULL, 0x3, 0, 0 },
	{ "channel: recv cancelled", setup, { try_send_1, recv_or_give_up }, nothing_lost, 0x3, 0, 0 },
	{ "channel: send cancelled", setup_filled, { send_1_or_give_up, recv_one }, got_3, 0x3, 0, 0 },
	{ "channel: close, recv", setup, { close_it, recv_until_closed }, NULL, 0, 0, 0 },
	{ "channel: send, close, recv",
	  setup,
	  { send_1_if_open, close_it, recv_until_closed },
	  got_what_was_sent,
	  0x3,
	  0,
	  1 },
	{ "channel: reserved, the receiver is cancelled",
	  setup_reserved_and_one_waits,
	  { send_reserved_2, give_up_waiting_for_2 },
	  received_or_inside,
	  0x3,
	  0,
	  0 },
	{ "channel: full, close, send", setup_filled, { close_it, send_in_vain }, NULL, 0, 0, 0 },
	{ "channel: close, senders wait, recv",
	  setup_three_senders_wait,
	  { close_it, try_recv_twice },
	  turned_away_from_one_on,
	  0,
	  0,
	  0 },
	{ "channel: no slots, close, senders wait, recv",
	  setup_three_senders_wait_at_no_slots,
	  { close_it, try_recv_the_first },
	  turned_away_from_one_on,
	  0,
	  0,
	  0 },
	{ "channel: send many, cancel between two batches",
	  setup_three_receivers_wait,
	  { send_many, give_up_the_third_receiver },
	  two_received,
	  0x3,
	  0,
	  0 },
	{ "channel: close, a receiver cancelled between two batches",
	  setup_three_receivers_wait,
	  { close_it, give_up_the_third_waiter },
	  two_learned_of_the_end,
	  0x6,
	  0,
	  0 },
	{ "channel: close, a sender cancelled between two batches",
	  setup_three_senders_wait,
	  { close_it, give_up_the_third_waiter },
	  two_learned_of_the_end,
	  0x6,
	  0,
	  0 },
	{ .name = NULL },
};
