/* SPDX-License-Identifier: MIT */
/*
 * rota_await for the library's own waits, which know how their future is polled: most wait once, are woken by whoever has
 * served them, and end. What else can happen, rota_await sees to.
 */
#ifndef ROTA_RUNTIME_AWAIT_INTERNAL_H
#define ROTA_RUNTIME_AWAIT_INTERNAL_H

#include "direct_internal.h"
#include "future_internal.h"

/*
 * Waits until `future`, which has just been made, is ready, and returns its status. `ops` are its ops, a table of the
 * library's own whose poll does not wait itself. Nobody polls the future afterwards.
 */
static inline __attribute__((always_inline)) int rota__await_own(struct rota_future *future,
								 const struct rota_future_ops *ops)
{
	struct rota__worker *const worker = rota__worker_self();
	rota_task *const task = worker != NULL ? worker->current : NULL;
	const struct rota_waker waker = { &rota__task_waker_ops, task };
	struct rota_context cx = { &waker };

	if (__builtin_expect(task == NULL || !rota__task_may_wait(task) || rota__state_asked(&task->state), 0))
		return rota_await(future);
	if (ops->poll(future, &cx) == ROTA_READY) {
		rota__direct_done(worker);
		return future->status;
	}
	rota__store(&task->waits_for, rota__future_code_of(ops), RELAXED);
	rota__worker_suspend(worker, ROTA__VERDICT_WAIT); /* not by a call: see ROTA__COME_BACK1 */
	if (__builtin_expect(rota__state_asked(&task->state), 0) || ops->poll(future, &cx) != ROTA_READY)
		return rota_await(future);
	return future->status;
}

#endif
