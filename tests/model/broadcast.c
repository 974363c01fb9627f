/* SPDX-License-Identifier: MIT */
/*
 * The broadcast: each value once and in order, or told how many were missed; and what values.h says. The words of a value
 * are checked in words.c, too.
 */
#include "../../sync/broadcast.h"

typedef struct rota_broadcast_receiver values_receiver;
typedef struct rota_broadcast_op values_op;
#define values_recv_init rota_broadcast_recv_init
#define values_recv rota_broadcast_recv
#define values_try_recv rota_broadcast_try_recv

static struct rota_broadcast broadcast;
static values_receiver start;

static int values_send(const uint64_t *value)
{
	return rota_broadcast_send(&broadcast, value);
}

static void values_close(void)
{
	rota_broadcast_close(&broadcast);
}

#include "values.h"

static void setup(size_t capacity)
{
	model_check(rota_broadcast_init(&broadcast, sizeof(uint64_t), capacity) == 0);
	model_share_list(&broadcast.receivers_);
	rota_broadcast_subscribe(&broadcast, &start);
	payload_init();
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
	one_waits();
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

static void recv_and_end(void)
{
	model_check(rota_broadcast_recv(&start, &waiting_value) == 0 && waiting_value == 1);
	model_check(rota_broadcast_deinit(&broadcast) == 0);
}

const struct model_scenario model_scenarios[] = {
	VALUES_SCENARIOS("broadcast", setup_of_2, setup_one_waits),
	{ "broadcast: two values", setup_of_2, { send_1_2, recv_1_2 }, NULL, 0, 0, 0 },
	{ "broadcast: two values in a ring of one", setup_of_1, { send_1_2, recv_to_2 }, NULL, 0x3, 0, 3 },
	{ "broadcast: ended by the receiver", setup_of_2, { send_1, recv_and_end }, NULL, 0, 0, 0 },
	{ .name = NULL },
};
