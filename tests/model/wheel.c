/* SPDX-License-Identifier: MIT */
/*
 * Timers: a cancel and a second poll against the owner's expiry and the monitor's. The timer fires or is cancelled, not
 * both; who waits is woken; after FIRED was seen, without the lock, its memory is the waiter's own.
 */
#include "../../runtime/wheel_internal.h"

#include <errno.h>
#include <string.h>

#include "seams.h"

#define MS 1000000u

static struct rota__wheel wheel;
static struct rota_timer timers[2];
static unsigned fired[2], cancelled;

/* As time.c polls it, its wheel chosen. */
static rota_poll timer_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_timer *timer = (struct rota_timer *)(void *)self;

	switch (rota__load(&timer->state_, ACQUIRE)) {
	case ROTA__TIMER_FIRED:
		return ROTA_READY;
	case ROTA__TIMER_CANCELLED:
		self->status = -ECANCELED;
		return ROTA_READY;
	default:
		return rota__wheel_poll(&wheel, timer, cx->waker, NULL);
	}
}

static void timer_cancel(struct rota_future *self)
{
	rota__wheel_cancel(&wheel, (struct rota_timer *)(void *)self);
}

static const struct rota_future_ops timer_ops = { .poll = timer_poll, .cancel = timer_cancel };

static void setup(void)
{
	memset(timers, 0, sizeof(timers));
	memset(&wheel, 0, sizeof(wheel));
	rota__wheel_init(&wheel, 0);
	for (unsigned i = 0; i < 2; i++) {
		rota_future_init(&timers[i].future, &timer_ops);
		timers[i].deadline_ = MS;
	}
	fired[0] = fired[1] = cancelled = 0;
}

/* Filed by others before. */
static void setup_filed(void)
{
	static struct rota__parker nobody;
	const struct rota_waker waker = { &rota__thread_waker_ops, &nobody };

	setup();
	nobody = (struct rota__parker){ .next_free = NULL };
	model_check(rota__wheel_poll(&wheel, &timers[0], &waker, NULL) == ROTA_PENDING);
	model_check(rota__wheel_poll(&wheel, &timers[1], &waker, NULL) == ROTA_PENDING);
}

static void expire(void)
{
	rota__wheel_expire(&wheel, 2 * MS);
}

/* Looks until the timer is there: else it might look too early, and nobody would ever fire it. */
static void expire_when_filed(void)
{
	while (rota__wheel_next(&wheel) > 2 * MS)
		model_spin();
	expire();
}

static void wait_over(unsigned i)
{
	int status = timers[i].future.status;

	fired[i] += status == 0;
	cancelled += status == -ECANCELED;
	model_outcome(status == 0 ? 0 : 1);
	model_free(&timers[i], sizeof(timers[i]));
}

static void waiter(void)
{
	rota_await(&timers[0].future);
	wait_over(0);
}

/* Polls without parking: FIRED may be seen before the wake is carried out. */
static void canceller(void)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };

	if (rota_future_poll(&timers[0].future, &cx) == ROTA_PENDING) {
		rota_future_cancel(&timers[0].future);
		model_check(rota_future_poll(&timers[0].future, &cx) == ROTA_READY);
	}
	wait_over(0);
}

static void cancel_of_the_other(void)
{
	rota_future_cancel(&timers[1].future);
	fired[1] += rota__load(&timers[1].state_, ACQUIRE) == ROTA__TIMER_FIRED;
	model_free(&timers[1], sizeof(timers[1]));
}

static void over(void)
{
	model_check(fired[0] + cancelled == 1);
}

const struct model_scenario model_scenarios[] = {
	{ "wheel: wait, expire", setup, { waiter, expire_when_filed }, over, 0x1, 0, 0 },
	{ "wheel: cancel, expire", setup_filed, { canceller, expire }, over, 0x3, 0, 0 },
	{ "wheel: two cancels, expire", setup_filed, { canceller, expire, cancel_of_the_other }, over, 0x3, 0, 2 },
	{ "wheel: cancel, two expire", setup_filed, { canceller, expire, expire }, over, 0x3, 0, 2 },
	{ .name = NULL },
};
