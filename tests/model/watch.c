/* SPDX-License-Identifier: MIT */
/*
 * The watched value: the latest is seen in the end, whole; and what values.h says. The words of longer values are checked in
 * words.c, too.
 */
#include "../../sync/watch.h"

typedef struct rota_watch_receiver values_receiver;
typedef struct rota_watch_op values_op;
#define values_recv_init rota_watch_changed_init
#define values_recv rota_watch_changed
#define values_try_recv rota_watch_try_changed

static struct rota_watch watch;
static values_receiver start;

static int values_send(const uint64_t *value)
{
	return rota_watch_send(&watch, value);
}

static void values_close(void)
{
	rota_watch_close(&watch);
}

#include "values.h"

static void setup(void)
{
	const uint64_t value = 0;

	model_check(rota_watch_init(&watch, sizeof(value), &value) == 0);
	model_share_list(&watch.receivers_);
	rota_watch_subscribe(&watch, &start);
	payload_init();
}

static void setup_one_waits(void)
{
	setup();
	one_waits();
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

/* One value is one change, also for who does not want to have it. */
static void look_twice(void)
{
	struct rota_watch_receiver receiver = start;
	unsigned changes = 0;

	for (int i = 0; i < 2; i++)
		changes += rota_watch_try_changed(&receiver, NULL) == 0;
	model_check(changes <= 1);
	model_outcome(changes);
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

const struct model_scenario model_scenarios[] = {
	VALUES_SCENARIOS("watch", setup, setup_one_waits),
	{ "watch: send, get", setup, { send_1, get }, NULL, 0x3, 0, 0 },
	{ "watch: two values, get", setup, { send_1_2, get }, NULL, 0x7, 0, 0 },
	{ "watch: send, two looks", setup, { send_1, look_twice }, NULL, 0x3, 0, 0 },
	{ "watch: two values, changed", setup, { send_1_2, changed_to_2 }, NULL, 0, 0, 3 },
	{ "watch: two values, wait for one", setup, { send_1_2, wait_for_2 }, NULL, 0, 0, 3 },
	{ .name = NULL },
};
