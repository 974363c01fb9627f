/* SPDX-License-Identifier: MIT */
/*
 * The wake slot, as an operation's life uses it: a waiter registers, perhaps with another waker, or takes its waker back;
 * who has the event writes the result and fires. The result is seen, the waiter is woken, and once it has seen FIRED the
 * operation's memory is its own, and its task may end: firing may not touch them any more.
 */
#include "../../runtime/slot_internal.h"

#include <errno.h>
#include <string.h>

#include "seams.h"

struct operation {
	struct rota_future future;
	struct rota_atomic_u32 slot;
	struct rota_waker held;
	int result;
	bool cancelled;
};

static struct operation op;
static struct model_task task;
static unsigned awaited;

static rota_poll op_poll(struct rota_future *self, struct rota_context *cx)
{
	if (op.cancelled) {
		/* As the kernel might, the firer may be faster than the cancel. */
		if (rota__slot_disarm(&op.slot, &op.held) == ROTA_PENDING) {
			self->status = -ECANCELED;
			return ROTA_READY;
		}
	} else if (!rota__slot_fired(&op.slot) && rota__slot_register(&op.slot, &op.held, cx->waker) == ROTA_PENDING) {
		return ROTA_PENDING;
	}
	self->status = op.result;
	return ROTA_READY;
}

static void op_cancel(struct rota_future *self)
{
	(void)self;
	op.cancelled = true;
}

static const struct rota_future_ops op_ops = { .poll = op_poll, .cancel = op_cancel };

static void setup(void)
{
	memset(&op, 0, sizeof(op));
	rota_future_init(&op.future, &op_ops);
	awaited = 0;
	model_task_init(&task, false);
}

static void over(int status)
{
	model_check(status == 42 || (status == -ECANCELED && op.cancelled));
	model_outcome(status == 42 ? 0 : 1);
	awaited++;
}

/* A plain thread: the operation lies on its stack, so to speak. */
static void thread_waits(void)
{
	int status = rota_await(&op.future);

	over(status);
	model_free(&op, sizeof(op));
}

static rota_poll body_poll(struct rota_future *self, struct rota_context *cx)
{
	if (rota_future_poll(&op.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	over(op.future.status);
	model_free(&op, sizeof(op));
	self->status = 0;
	return ROTA_READY;
}

static const struct rota_future_ops body_ops = { .poll = body_poll };
static struct rota_future body;

/* A task without a handle: it is freed as it ends. */
static void task_waits(void)
{
	rota_future_init(&body, &body_ops);
	model_task_run(&task, &body);
}

/* Polled by one thread after the other: by two wakers. */
static void waits_with_two_wakers(void)
{
	static struct rota__parker other;
	const struct rota_waker waker = { &rota__thread_waker_ops, &other };
	struct rota_context cx = { &waker };

	other = (struct rota__parker){ .next_free = NULL };
	if (rota_future_poll(&op.future, &cx) == ROTA_PENDING)
		op.future.status = rota_await(&op.future);
	over(op.future.status);
	model_free(&op, sizeof(op));
}

static void gives_up(void)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };

	if (rota_future_poll(&op.future, &cx) == ROTA_PENDING) {
		rota_future_cancel(&op.future);
		model_check(rota_future_poll(&op.future, &cx) == ROTA_READY);
	}
	over(op.future.status);
}

static void fires(void)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	op.result = 42;
	rota__slot_fire(&op.slot, &op.held, &batch);
	rota__wake_batch_submit(&batch);
}

/* As io does when it has looked first: only an armed slot is fired so. */
static void fires_taken(void)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	op.result = 42;
	if (rota__slot_take(&op.slot) == ROTA__SLOT_ARMED)
		rota__slot_fire_taken(&op.slot, &op.held, &batch);
	else
		rota__store(&op.slot, ROTA__SLOT_FIRED, RELEASE);
	rota__wake_batch_submit(&batch);
}

static void finish(void)
{
	model_check(awaited == 1);
}

const struct model_scenario model_scenarios[] = {
	{ "slot: thread, fire", setup, { thread_waits, fires }, finish, 0x1, 1, 0 },
	{ "slot: task, fire", setup, { task_waits, fires }, finish, 0x1, 0, 0 },
	{ "slot: task, fire of a taken one", setup, { task_waits, fires_taken }, finish, 0x1, 0, 0 },
	{ "slot: thread, fire of a taken one", setup, { thread_waits, fires_taken }, finish, 0x1, 1, 0 },
	{ "slot: two wakers, fire", setup, { waits_with_two_wakers, fires }, finish, 0x1, 0, 0 },
	{ "slot: cancel, fire", setup, { gives_up, fires }, finish, 0x3, 1, 0 },
	{ .name = NULL },
};
