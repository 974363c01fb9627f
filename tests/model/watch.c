/* SPDX-License-Identifier: MIT */
/*
 * The watched value: the latest is seen in the end, whole, with what it points to; no sleeper is forgotten; a receiver that
 * gave up has missed nothing by that. The words of longer values are checked in words.c, too.
 */
#include "../../sync/watch.h"

#include <errno.h>

#include "waits.h"

static struct rota_watch watch;
static struct rota_watch_receiver start;
static struct rota_watch_op waiting;
static struct rota_watch_receiver waiting_receiver;
static uint64_t waiting_value;
static unsigned payload[3]; /* plain: what a value points to */

static void setup(void)
{
	const uint64_t value = 0;

	model_check(rota_watch_init(&watch, sizeof(value), &value) == 0);
	rota_watch_subscribe(&watch, &start);
	payload[0] = 1;
	payload[1] = payload[2] = 0;
}

static void setup_one_waits(void)
{
	setup();
	waiting_receiver = start;
	rota_watch_changed_init(&waiting, &waiting_receiver, &waiting_value);
	model_check(poll(&waiting.future) == ROTA_PENDING);
}

static void send(uint64_t value)
{
	payload[value] = 1;
	model_check(rota_watch_send(&watch, &value) == 0);
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
	rota_watch_close(&watch);
}

static void get(void)
{
	uint64_t value, later;

	rota_watch_get(&watch, &value);
	model_check(payload[value] == 1);
	model_outcome((unsigned)value);
	rota_watch_get(&watch, &later);
	model_check(later >= value);
}

static void changed(void)
{
	struct rota_watch_receiver receiver = start;
	uint64_t value = 0;

	model_check(rota_watch_changed(&receiver, &value) == 0);
	model_check(value == 1 && payload[1] == 1);
}

static void changed_to_2(void)
{
	struct rota_watch_receiver receiver = start;
	uint64_t value = 0, last = 0;

	while (value != 2) {
		model_check(rota_watch_changed(&receiver, &value) == 0);
		model_check(value > last && payload[value] == 1);
		last = value;
	}
	model_check(rota_watch_try_changed(&receiver, &value) == -EAGAIN);
}

static bool is_2(const void *value, void *arg)
{
	(void)arg;
	return *(const uint64_t *)value == 2;
}

static void wait_for_2(void)
{
	struct rota_watch_receiver receiver = start;
	uint64_t value = 0;

	model_check(rota_watch_wait_for(&receiver, is_2, NULL, &value) == 0);
	model_check(value == 2 && payload[2] == 1);
}

static void changed_to_the_end(void)
{
	struct rota_watch_receiver receiver = start;
	uint64_t value = 0;

	model_check(rota_watch_changed(&receiver, &value) == 0 && value == 1);
	model_check(rota_watch_changed(&receiver, &value) == -EPIPE);
}

static void give_up_then_changed(void)
{
	int status = give_up(&waiting.future);
	uint64_t value = 0;

	model_free(&waiting, sizeof(waiting));
	model_check(status == -ECANCELED);
	model_check(rota_watch_changed(&waiting_receiver, &value) == 0 && value == 1);
}

static void served(void)
{
	model_check(poll(&waiting.future) == ROTA_READY && waiting.future.status == 0 && waiting_value == 1);
}

const struct model_scenario model_scenarios[] = {
	{ "watch: send, get", setup, { send_1, get }, NULL, 0x3, 0, 0 },
	{ "watch: two values, get", setup, { send_1_2, get }, NULL, 0x7, 0, 0 },
	{ "watch: send, changed", setup, { send_1, changed }, NULL, 0, 0, 0 },
	{ "watch: two values, changed", setup, { send_1_2, changed_to_2 }, NULL, 0, 0, 3 },
	{ "watch: two values, wait for one", setup, { send_1_2, wait_for_2 }, NULL, 0, 0, 3 },
	{ "watch: send, one waits, another comes", setup_one_waits, { send_1, changed }, served, 0, 0, 0 },
	{ "watch: close", setup, { send_1_and_close, changed_to_the_end }, NULL, 0, 0, 0 },
	{ "watch: cancel", setup_one_waits, { send_1, give_up_then_changed }, NULL, 0, 0, 0 },
	{ .name = NULL },
};
