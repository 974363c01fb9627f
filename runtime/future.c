/* SPDX-License-Identifier: MIT */
#include "future.h"

#include <errno.h>

#include "direct_internal.h"
#include "future_internal.h"
#include "log_internal.h"
#include "park_internal.h"
#include "runtime_internal.h"
#include "scope_internal.h"

/* What a future turns into once it was ready. */
static rota_poll polled_after_ready(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	rota__misuse("future %p was polled after it was ready (task %llu \"%s\")", (void *)self,
		     (unsigned long long)rota_task_id(), rota_task_name());
	self->status = -EINVAL;
	return ROTA_READY;
}

const struct rota_future_ops rota__done_ops = { polled_after_ready, NULL, "a future of the program's own" };

rota_poll rota_future_poll(struct rota_future *future, struct rota_context *cx)
{
	return rota__future_poll(future, cx);
}

void rota_future_cancel(struct rota_future *future)
{
	if (future->ops->cancel != NULL)
		future->ops->cancel(future);
}

struct rota_waker rota_context_waker(struct rota_context *cx)
{
	return rota_waker_clone(cx->waker);
}

/* There may be a reason to stop. Whether there is: then the future was told. Apart, as few waits end so. */
static __attribute__((noinline)) bool tell_cancelled(rota_task *task, struct rota_future *future)
{
	if (!rota__task_cancelled(task))
		return false;
	rota__scope_pass_on(task);
	rota_future_cancel(future);
	return true;
}

/*
 * A poll of the program's own may wait itself, or give way. What comes meanwhile, or came before, ends that wait, also if it is
 * meant for a future that was polled before. Then *ret_left: the fiber is on another worker now, or that one has begun to run it
 * once more. It must not wait before all was polled again.
 */
static inline rota_poll fiber_poll(struct rota_future *future, struct rota_context *cx, bool *ret_left)
{
	const struct rota__worker *const worker = rota__worker_self();
	const uint64_t runs = rota__load(&worker->runs, RELAXED); /* the worker's own */

	if (rota__future_poll(future, cx) == ROTA_READY)
		return ROTA_READY;
	*ret_left = rota__worker_self() != worker || rota__load(&worker->runs, RELAXED) != runs;
	return ROTA_PENDING;
}

/* The first poll stands before the loop, since many waits are over with it. */
static inline int fiber_await(rota_task *task, struct rota_future *future)
{
	const struct rota_waker waker = { &rota__task_waker_ops, task };
	struct rota_context cx = { &waker };
	bool told = rota__state_asked(&task->state) && tell_cancelled(task, future);
	bool left;

	if (fiber_poll(future, &cx, &left) == ROTA_READY) {
		rota__direct_done(rota__worker_self()); /* a poll of the program's own may have waited */
	} else {
		do {
			if (__builtin_expect(!left, 1)) {
				rota__store(&task->waits_for, rota__future_code(future), RELAXED);
				rota__worker_wait(rota__worker_self());
			}
			if (!told && rota__state_asked(&task->state))
				told = tell_cancelled(task, future);
		} while (fiber_poll(future, &cx, &left) == ROTA_PENDING);
	}
	return told && future->status == -ECANCELED ? rota__task_told_reason(task) : future->status;
}

static int thread_await(struct rota_future *future)
{
	struct rota__parker *parker = rota__parker_self();
	const struct rota_waker waker = { &rota__thread_waker_ops, parker };
	struct rota_context cx = { &waker };

	for (;;) {
		const uint64_t parks = parker->parks;

		if (rota__future_poll(future, &cx) == ROTA_READY)
			return future->status;
		if (parker->parks == parks) /* else the poll has waited itself */
			rota__parker_park(parker, UINT64_MAX);
	}
}

int rota_await(struct rota_future *future)
{
	struct rota__worker *worker = rota__worker_self();

	if (future == NULL || future->ops == NULL)
		return -EINVAL;
	if (worker == NULL || worker->current == NULL)
		return thread_await(future);
	if (!rota__task_may_wait(worker->current)) {
		rota__misuse(
			"a wait inside the poll of stackless task %llu would block its worker: poll the future instead",
			(unsigned long long)worker->current->id);
		return -EDEADLK;
	}
	return fiber_await(worker->current, future);
}

int rota_block_on_future(rota_runtime *rt, struct rota_future *future)
{
	rota_runtime *outer;
	int status, rc;

	if (rt == NULL || future == NULL || future->ops == NULL)
		return -EINVAL;
	if (rota__task_current() != NULL) {
		rota__misuse("rota_block_on_future inside task %llu would block its worker: use rota_await",
			     (unsigned long long)rota_task_id());
		return -EDEADLK;
	}
	rc = rota__runtime_admit_guest(rt);
	if (rc < 0)
		return rc;
	outer = rota__runtime_enter(rt);
	status = thread_await(future);
	rota__runtime_enter(outer);
	rota__runtime_dismiss_guest(rt);
	return status;
}
