/* SPDX-License-Identifier: MIT */
/* The oneshot: send, close and a cancelled wait against a receiver that blocks. The value comes once, with what it
 * points to. */
#include "../../sync/oneshot.h"

#include <errno.h>

#include "waits.h"

static struct rota_oneshot oneshot;
static int payload;
static int sent;
static bool closes; /* somebody does in this scenario */
static struct rota_oneshot_op waiting;
static bool tried; /* with success */

static void setup(void)
{
	rota_oneshot_init(&oneshot);
	payload = 0;
	sent = 0;
	closes = false;
	model_misuse_expected = true; /* a second send, a send after close */
}

static void setup_closing(void)
{
	setup();
	closes = true;
}

static void setup_waiting(void)
{
	setup();
	tried = false;
	rota_oneshot_recv_init(&waiting, &oneshot);
	model_check(poll(&waiting.future) == ROTA_PENDING);
}

static void sender(void)
{
	payload = 42;
	sent = rota_oneshot_send(&oneshot, &payload);
	model_check(sent == 0 || sent == -EPIPE || sent == -EEXIST);
}

static void second_sender(void)
{
	static int other;
	int rc = rota_oneshot_send(&oneshot, &other);

	other = 42;
	model_check(rc == 0 || rc == -EEXIST);
}

static void check(int rc, const void *value)
{
	model_check(rc == 0 || (rc == -EPIPE && closes));
	if (rc == 0)
		model_check(value == &payload && *(const int *)value == 42);
	model_outcome(rc == 0 ? 0 : 1);
}

static void receiver(void)
{
	void *value = NULL;
	int rc = rota_oneshot_recv(&oneshot, &value);

	check(rc, value);
}

/* Who has the value may end the oneshot. */
static void receiver_who_frees(void)
{
	receiver();
	model_free(&oneshot, sizeof(oneshot));
}

static void receiver_of_any(void)
{
	void *value = NULL;

	model_check(rota_oneshot_recv(&oneshot, &value) == 0);
}

/* What comes is kept for the next call. */
static void receiver_who_cancels(void)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };
	struct rota_oneshot_op op;

	rota_oneshot_recv_init(&op, &oneshot);
	if (rota_future_poll(&op.future, &cx) == ROTA_PENDING) {
		rota_future_cancel(&op.future);
		model_check(rota_future_poll(&op.future, &cx) == ROTA_READY);
		model_check(op.future.status == -ECANCELED);
		model_free(&op, sizeof(op));
		model_outcome(1);
		receiver();
	} else {
		check(op.future.status, op.value);
	}
}

static void give_up_waiting(void)
{
	model_check(give_up(&waiting.future) == -ECANCELED);
	model_free(&waiting, sizeof(waiting));
}

static void trier(void)
{
	void *value = NULL;
	int rc = rota_oneshot_try_recv(&oneshot, &value);

	model_check(rc == 0 || rc == -EAGAIN || rc == -EPIPE);
	if (rc == 0)
		model_check(value == &payload && *(const int *)value == 42);
	tried = rc == 0;
	model_outcome(rc == 0 ? 0 : 1);
}

static void received_once(void)
{
	void *value;

	model_check(rota_oneshot_try_recv(&oneshot, &value) == (tried ? -EPIPE : 0));
}

static void closer(void)
{
	rota_oneshot_close(&oneshot);
}

const struct model_scenario model_scenarios[] = {
	{ "oneshot: send, recv", setup, { sender, receiver }, NULL, 0x1, 0, 0 },
	{ "oneshot: freed by the receiver", setup, { sender, receiver_who_frees }, NULL, 0x1, 0, 0 },
	{ "oneshot: cancelled, received later", setup, { sender, receiver_who_cancels }, NULL, 0x3, 0, 0 },
	{ "oneshot: cancelled beside a try", setup_waiting, { sender, give_up_waiting, trier }, received_once, 0x3, 0, 2 },
	{ "oneshot: close, recv", setup_closing, { closer, receiver }, NULL, 0x2, 0, 0 },
	{ "oneshot: send, close, recv", setup_closing, { sender, closer, receiver }, NULL, 0x3, 0, 1 },
	{ "oneshot: two senders", setup, { sender, second_sender, receiver_of_any }, NULL, 0, 0, 1 },
	{ .name = NULL },
};
