/* SPDX-License-Identifier: MIT */
/* The time limit of a scope: noted when it is opened, filed in a wheel when it can first matter. See scope_internal.h. */
#include <errno.h>

#include "runtime_internal.h"
#include "scope_internal.h"
#include "sys_internal.h"

static void time_is_over(void *data)
{
	struct rota_scope *scope = data;
	struct rota__wake_batch batch;

	rota__scope_stop(scope, -ETIMEDOUT);
	rota__wake_batch_init(&batch);
	rota__scope_lock(scope);
	scope->timed_ = false;
	rota__scope_wake_opener(scope, &batch);
	rota__scope_unlock(scope); /* from here on it may be gone */
	rota__wake_batch_submit(&batch);
}

static const struct rota_waker_ops timer_waker_ops = { rota__waker_clone_uncounted, time_is_over, time_is_over,
						       rota__waker_drop_uncounted };

/* To read the clock costs more than all the rest of a scope that ends before it is waited in. So a long timeout begins at
 * the last timer tick, which is COARSE_NS ago at most, and is corrected when it is filed: see deadline_of. */
#define LONG_NS ROTA_SECONDS(1)
#define COARSE_NS ROTA_MS(10) /* a tick of the slowest kernel, 100 Hz */

/* Until it is filed the timer is nothing but its deadline, which is the timeout. */
void rota__scope_set_timer(struct rota_scope *scope, uint64_t timeout_ns)
{
	scope->timer_.deadline_ = timeout_ns;
	scope->opened_at_ = timeout_ns < LONG_NS ? rota_now() : rota__sys_clock_coarse();
	scope->unfiled_ = true;
	rota__task_extra(scope->opener_)->unfiled = true;
}

/* Of a timer that is still unfiled. Never too early: a scope that was opened at the tick or
 * after it was so before now, and, unless the kernel was late with its ticks, before two of them had passed. */
static uint64_t deadline_of(const struct rota_scope *scope)
{
	const uint64_t timeout = scope->timer_.deadline_;
	uint64_t start = scope->opened_at_;

	if (timeout >= LONG_NS) {
		const uint64_t now = rota_now(), latest = start + 2 * COARSE_NS;

		start = now < latest ? now : latest;
	}
	return rota__later(start, timeout);
}

void rota__scope_file_timers(rota_task *task)
{
	struct rota__wheel *wheel = &rota__worker_self()->wheel;
	struct rota__extra *extra = rota__task_extra(task);

	extra->unfiled = false;
	for (struct rota_scope *scope = extra->opened; scope != NULL; scope = scope->outer_) {
		const struct rota_waker waker = { &timer_waker_ops, scope };

		if (!scope->unfiled_)
			continue;
		scope->unfiled_ = false;
		scope->shared_ = true;
		scope->timed_ = true;
		rota_timer_init(&scope->timer_, deadline_of(scope));
		scope->timer_.wheel_ = wheel;
		rota__wheel_poll(wheel, &scope->timer_, &waker, NULL); /* also when it is over already */
	}
}

bool rota__scope_stop_timer(struct rota_scope *scope)
{
	if (scope->timed_ && rota__wheel_cancel(scope->timer_.wheel_, &scope->timer_))
		scope->timed_ = false;
	return !scope->timed_;
}
