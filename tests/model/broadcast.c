/* SPDX-License-Identifier: MIT */
/*
 * The broadcast: each value once and in order, or told how many were missed; no sleeper is forgotten; a receiver that gave
 * up has missed nothing by that. The words of a value are checked in words.c, too.
 */
#include "../../sync/broadcast.h"

#include <errno.h>

#include "waits.h"

static struct rota_broadcast broadcast;
static struct rota_broadcast_receiver start;
static struct rota_broadcast_receiver waiting_receiver;
static struct rota_broadcast_op waiting;
static uint64_t waiting_value;

static void setup(size_t capacity)
{
	model_check(rota_broadcast_init(&broadcast, sizeof(uint64_t), capacity) == 0);
	rota_broadcast_subscribe(&broadcast, &start);
}

static void setup_of_1(void)
{
	setup(1);
}

static void setup_of_2(void)
{
	setup(2);
}

static void setup_one_waits(void)
{
	setup(2);
	waiting_receiver = start;
	rota_broadcast_recv_init(&waiting, &waiting_receiver, &waiting_value);
	model_check(poll(&waiting.future) == ROTA_PENDING);
}

static void send(uint64_t value)
{
	model_check(rota_broadcast_send(&broadcast, &value) == 0);
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

static void send_1_and_close(void)
{
	send(1);
	rota_broadcast_close(&broadcast);
}

static void recv_1(void)
{
	struct rota_broadcast_receiver receiver = start;
	uint64_t value = 0;

	model_check(rota_broadcast_recv(&receiver, &value) == 0 && value == 1);
}

static void recv_1_2(void)
{
	struct rota_broadcast_receiver receiver = start;
	uint64_t value = 0;

	model_check(rota_broadcast_recv(&receiver, &value) == 0 && value == 1);
	model_check(rota_broadcast_recv(&receiver, &value) == 0 && value == 2);
}

/* In a ring of one: all that it got and all that it missed are the two. */
static void recv_to_2(void)
{
	struct rota_broadcast_receiver receiver = start;
	uint64_t value = 0, missed = 0, last = 0;

	while (last != 2) {
		int rc = rota_broadcast_recv(&receiver, &value);

		model_check(rc == 0 || rc == -EOVERFLOW);
		if (rc == 0) {
			model_check(value == last + missed + 1);
			last = value;
			missed = 0;
		} else {
			missed = receiver.missed;
			model_check(missed == 1 && last == 0);
			model_outcome(1);
		}
	}
	model_outcome(0);
}

static void recv_to_the_end(void)
{
	struct rota_broadcast_receiver receiver = start;
	uint64_t value = 0;

	model_check(rota_broadcast_recv(&receiver, &value) == 0 && value == 1);
	model_check(rota_broadcast_recv(&receiver, &value) == -EPIPE);
}

/* The value can be received afterwards. */
static void give_up_then_recv(void)
{
	int status = give_up(&waiting.future);
	uint64_t value = 0;

	model_free(&waiting, sizeof(waiting));
	model_check(status == -ECANCELED);
	model_check(rota_broadcast_recv(&waiting_receiver, &value) == 0 && value == 1);
}

static void recv_and_end(void)
{
	model_check(rota_broadcast_recv(&start, &waiting_value) == 0 && waiting_value == 1);
	model_check(rota_broadcast_deinit(&broadcast) == 0);
}

static void served(void)
{
	model_check(poll(&waiting.future) == ROTA_READY && waiting.future.status == 0 && waiting_value == 1);
}

const struct model_scenario model_scenarios[] = {
	{ "broadcast: send, recv", setup_of_2, { send_1, recv_1 }, NULL, 0, 0, 0 },
	{ "broadcast: two values", setup_of_2, { send_1_2, recv_1_2 }, NULL, 0, 0, 0 },
	{ "broadcast: two values in a ring of one", setup_of_1, { send_1_2, recv_to_2 }, NULL, 0x3, 0, 3 },
	{ "broadcast: send, one waits, another receives", setup_one_waits, { send_1, recv_1 }, served, 0, 0, 0 },
	{ "broadcast: close", setup_of_2, { send_1_and_close, recv_to_the_end }, NULL, 0, 0, 0 },
	{ "broadcast: cancel", setup_one_waits, { send_1, give_up_then_recv }, NULL, 0, 0, 0 },
	{ "broadcast: ended by the receiver", setup_of_2, { send_1, recv_and_end }, NULL, 0, 0, 0 },
	{ .name = NULL },
};
