/* SPDX-License-Identifier: MIT */
#include "time.h"

#include <errno.h>

#include "runtime_internal.h"
#include "sys_internal.h"

#define FAR_AHEAD_NS ROTA_MS(10)

uint64_t rota_now(void)
{
	return rota__sys_clock();
}

static struct rota_timer *timer_of(struct rota_future *future)
{
	return (struct rota_timer *)(void *)future;
}

/* Whether the deadline lies so far behind the worker's last look at the clock that it need not be read again, which costs
 * more than all the rest of a timer's start. A task that has run longer than that without a look has kept the worker from
 * its timers as well: should the deadline be over, the next look finds it. */
static bool far_ahead(const struct rota__worker *worker, uint64_t deadline)
{
	return deadline > worker->polled_at && deadline - worker->polled_at > FAR_AHEAD_NS;
}

static rota_poll timer_start_on(struct rota__worker *worker, struct rota_timer *timer, const struct rota_waker *waker)
{
	if (!far_ahead(worker, timer->deadline_) && rota__sys_clock() >= timer->deadline_)
		return ROTA_READY;
	timer->wheel_ = &worker->wheel;
	return rota__wheel_poll(&worker->wheel, timer, waker, NULL);
}

/* Files a timer where the caller's timers belong: its worker's wheel, or the runtime's for outsiders. */
static rota_poll timer_start(struct rota_timer *timer, const struct rota_waker *waker)
{
	struct rota__worker *worker = rota__worker_self();
	rota_runtime *rt;
	bool earlier;

	if (worker != NULL)
		return timer_start_on(worker, timer, waker);
	rt = rota__runtime_self();
	if (rt == NULL) { /* whatever the deadline: who relies on it would learn it too late */
		timer->future.status = -ENXIO;
		return ROTA_READY;
	}
	if (rota__sys_clock() >= timer->deadline_)
		return ROTA_READY;
	timer->wheel_ = &rt->outside;
	rota__wheel_poll(&rt->outside, timer, waker, &earlier);
	if (earlier)
		rt->driver->wake_reactor(rt);
	return ROTA_PENDING;
}

static rota_poll timer_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_timer *timer = timer_of(self);

	switch (rota__load(&timer->state_, ACQUIRE)) { /* partner: FIRED in rota__wheel_expire */
	case ROTA__TIMER_FIRED:
		return ROTA_READY;
	case ROTA__TIMER_CANCELLED:
		self->status = -ECANCELED;
		return ROTA_READY;
	case ROTA__TIMER_IDLE:
		return timer_start(timer, cx->waker);
	default:
		return rota__wheel_poll(timer->wheel_, timer, cx->waker, NULL);
	}
}

static void timer_cancel(struct rota_future *self)
{
	struct rota_timer *timer = timer_of(self);

	if (timer->wheel_ != NULL)
		rota__wheel_cancel(timer->wheel_, timer);
	else
		rota__store(&timer->state_, ROTA__TIMER_CANCELLED, RELAXED); /* not started: only its owner looks */
}

static const struct rota_future_ops timer_ops = { timer_poll, timer_cancel, "timer" };

void rota_timer_init(struct rota_timer *timer, uint64_t deadline)
{
	rota_future_init(&timer->future, &timer_ops);
	timer->deadline_ = deadline;
	timer->wheel_ = NULL;
	rota__store(&timer->state_, ROTA__TIMER_IDLE, RELAXED);
}

int rota_sleep_until(uint64_t deadline)
{
	struct rota_timer timer;

	if (rota__runtime_self() == NULL) {
		/* A plain thread outside of any runtime just sleeps. */
		struct rota_atomic_u32 never = { 0 };
		uint64_t now;

		while ((now = rota__sys_clock()) < deadline)
			rota__sys_futex_wait(&never, 0, deadline == ROTA_NEVER ? ROTA_NEVER : deadline - now);
		return 0;
	}
	rota_timer_init(&timer, deadline);
	return rota_await(&timer.future);
}

int rota_sleep(uint64_t ns)
{
	uint64_t now = rota__sys_clock();

	if (ns == 0)
		return rota_yield();
	return rota_sleep_until(rota__later(now, ns));
}

int rota_interval_init(struct rota_interval *interval, uint64_t period_ns, enum rota_missed_tick missed)
{
	if (period_ns == 0 || (unsigned)missed > ROTA_MISSED_SKIP)
		return -EINVAL;
	interval->next = rota__sys_clock();
	interval->period = period_ns;
	interval->missed = missed;
	return 0;
}

/* The deadline after the one at `due`, when it is `now`. */
static uint64_t following_tick(const struct rota_interval *interval, uint64_t due, uint64_t now)
{
	switch (interval->missed) {
	case ROTA_MISSED_DELAY:
		return rota__later(now > due ? now : due, interval->period);
	case ROTA_MISSED_SKIP:
		if (now >= rota__later(due, interval->period))
			return rota__later(now - (now - due) % interval->period, interval->period);
		return rota__later(due, interval->period);
	default:
		return rota__later(due, interval->period);
	}
}

/* The tick has come. By how much it is late. */
static uint64_t take_tick(struct rota_interval *interval)
{
	const uint64_t due = interval->next, now = rota__sys_clock();

	interval->next = following_tick(interval, due, now);
	return now > due ? now - due : 0;
}

int rota_interval_tick(struct rota_interval *interval, uint64_t *ret_late)
{
	uint64_t late;
	int rc = rota_sleep_until(interval->next);

	if (rc < 0)
		return rc;
	late = take_tick(interval);
	if (ret_late != NULL)
		*ret_late = late;
	return 0;
}

static struct rota_interval_op *interval_of(struct rota_future *future)
{
	return (struct rota_interval_op *)(void *)future;
}

static rota_poll interval_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_interval_op *op = interval_of(self);

	if (rota_future_poll(&op->timer_.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = op->timer_.future.status;
	if (self->status == 0)
		op->late = take_tick(op->interval_);
	return ROTA_READY;
}

static void interval_cancel(struct rota_future *self)
{
	rota_future_cancel(&interval_of(self)->timer_.future);
}

void rota_interval_tick_init(struct rota_interval_op *op, struct rota_interval *interval)
{
	static const struct rota_future_ops ops = { interval_poll, interval_cancel, "interval" };

	rota_future_init(&op->future, &ops);
	op->late = 0;
	op->interval_ = interval;
	rota_timer_init(&op->timer_, interval->next);
}
