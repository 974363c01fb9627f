/* SPDX-License-Identifier: MIT */
/*
 * What broadcast and watch promise alike: a value comes with what it points to; no sleeper is forgotten; a receiver that
 * gave up has missed nothing by that; who was served may end it all. The program that includes this has defined
 *
 *	values_receiver                            the type of a receiver
 *	values_op                                  the type of a wait
 *	start                                      a receiver that has seen nothing; set up by the program's `setup`
 *	values_send, values_close, values_recv, values_try_recv   the calls
 *	values_recv_init                           the wait
 */
#ifndef TESTS_MODEL_VALUES_H
#define TESTS_MODEL_VALUES_H

#include <errno.h>

#include "waits.h"

static values_receiver waiting_receiver;
static values_op waiting;
static uint64_t waiting_value;
static unsigned payload[3]; /* plain: what a value points to */

static void payload_init(void)
{
	payload[0] = 1;
	payload[1] = payload[2] = 0;
}

static void one_waits(void)
{
	waiting_receiver = start;
	values_recv_init(&waiting, &waiting_receiver, &waiting_value);
	model_check(poll(&waiting.future) == ROTA_PENDING);
}

static void send(uint64_t value)
{
	payload[value] = 1;
	model_check(values_send(&value) == 0);
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
	values_close();
}

static void recv_1(void)
{
	values_receiver receiver = start;
	uint64_t value = 0;

	model_check(values_recv(&receiver, &value) == 0 && value == 1 && payload[1] == 1);
}

/* The end is not seen before the value. */
static void try_to_recv(void)
{
	values_receiver receiver = start;
	uint64_t value = 0;
	int rc = values_try_recv(&receiver, &value);

	model_check(rc == -EAGAIN || (rc == 0 && value == 1 && payload[1] == 1));
	model_outcome(rc == 0);
}

static void recv_to_the_end(void)
{
	values_receiver receiver = start;
	uint64_t value = 0;

	model_check(values_recv(&receiver, &value) == 0 && value == 1);
	model_check(values_recv(&receiver, &value) == -EPIPE);
}

/* The value can be received afterwards. */
static void give_up_then_recv(void)
{
	int status = give_up(&waiting.future);
	uint64_t value = 0;

	model_free(&waiting, sizeof(waiting));
	model_check(status == -ECANCELED);
	model_check(values_recv(&waiting_receiver, &value) == 0 && value == 1);
}

static void served(void)
{
	model_check(poll(&waiting.future) == ROTA_READY && waiting.future.status == 0 && waiting_value == 1);
}

/* `setup` makes it, `setup_one_waits` also calls one_waits. */
#define VALUES_SCENARIOS(name, setup, setup_one_waits) \
	{ name ": send, recv", setup, { send_1, recv_1 }, NULL, 0, 0, 0 }, \
		{ name ": send, one waits, another comes", setup_one_waits, { send_1, recv_1 }, served, 0, 0, 0 }, \
		{ name ": close", setup, { send_1_and_close, recv_to_the_end }, NULL, 0, 0, 0 }, \
		{ name ": close, try", setup, { send_1_and_close, try_to_recv }, NULL, 0x3, 0, 0 }, \
	{ \
		name ": cancel", setup_one_waits, { send_1, give_up_then_recv }, NULL, 0, 0, 0 \
	}

#endif
