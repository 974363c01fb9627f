/* SPDX-License-Identifier: MIT */
/*
 * In a task the deadline is a timer of its worker; the parent future below polls both, and is ready only when the timer
 * is out of its wheel. A thread needs no timer: its sleep has a limit.
 */
#include "until_internal.h"

#include <errno.h>

#include "../runtime/park_internal.h"
#include "../runtime/sys_internal.h"
#include "../runtime/task_internal.h"
#include "../runtime/time.h"

struct until {
	struct rota_future future;
	struct rota_future *child;
	struct rota_timer timer;
	bool started, expired, cancelled;
};

static struct until *until_of(struct rota_future *future)
{
	return (struct until *)(void *)future;
}

static rota_poll until_poll(struct rota_future *self, struct rota_context *cx)
{
	struct until *until = until_of(self);
	rota_poll polled = rota_future_poll(until->child, cx);

	if (polled == ROTA_PENDING && !until->expired) {
		until->started = true;
		until->expired = rota_future_poll(&until->timer.future, cx) == ROTA_READY;
		if (until->expired) {
			rota_future_cancel(until->child);
			polled = rota_future_poll(until->child, cx);
		}
	}
	if (polled == ROTA_PENDING)
		return ROTA_PENDING;
	if (until->started && !until->expired) {
		rota_future_cancel(&until->timer.future);
		(void)rota_future_poll(&until->timer.future, cx); /* ready at once after a cancel */
	}
	self->status = until->child->status;
	if (self->status == -ECANCELED && until->expired && !until->cancelled)
		self->status = -ETIMEDOUT;
	return ROTA_READY;
}

static void until_cancel(struct rota_future *self)
{
	until_of(self)->cancelled = true;
	rota_future_cancel(until_of(self)->child);
}

static const struct rota_future_ops until_ops = { until_poll, until_cancel, "wait with a deadline" };

static int thread_await_until(struct rota_future *future, uint64_t deadline)
{
	struct rota__parker *parker = rota__parker_self();
	const struct rota_waker waker = { &rota__thread_waker_ops, parker };
	struct rota_context cx = { &waker };
	bool expired = false;

	while (rota_future_poll(future, &cx) == ROTA_PENDING) {
		uint64_t now = rota__sys_clock();

		if (!expired && now >= deadline) {
			expired = true;
			rota_future_cancel(future);
		} else {
			rota__parker_park(parker, expired ? UINT64_MAX : deadline - now);
		}
	}
	return expired && future->status == -ECANCELED ? -ETIMEDOUT : future->status;
}

/* Apart, so that a wait without a deadline makes no room for the timer. */
static __attribute__((noinline)) int task_await_until(struct rota_future *future, uint64_t deadline)
{
	struct until until = { .child = future };

	rota_future_init(&until.future, &until_ops);
	rota_timer_init(&until.timer, deadline);
	return rota_await(&until.future);
}

int rota__await_until(struct rota_future *future, uint64_t deadline)
{
	if (deadline == ROTA_NEVER)
		return rota_await(future);
	if (rota__task_current() == NULL)
		return thread_await_until(future, deadline);
	return task_await_until(future, deadline);
}
