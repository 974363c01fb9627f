/* SPDX-License-Identifier: MIT */
/*
 * For calls that try before they begin a wait, which is cheaper where it succeeds. Who was asked to stop must not succeed
 * so, but learn it in the wait; and a fiber whose tries always succeed must yield now and then.
 */
#ifndef ROTA_RUNTIME_DIRECT_INTERNAL_H
#define ROTA_RUNTIME_DIRECT_INTERNAL_H

#include "worker_internal.h"

/* Whether the caller may try. `worker` is the calling thread's, and stays so until rota__direct_done. */
static inline bool rota__direct_may(const struct rota__worker *worker)
{
	/* Who has an extra may have a scope with a timer that is not filed yet. */
	if (__builtin_expect(worker == NULL || worker->current == NULL || rota__task_extra(worker->current) != NULL, 0))
		return !rota__cancelled();
	return !rota__task_cancelled(worker->current);
}

/* Whether the caller may try, by looks that suffice for most, and what it costs can be charged without a yield:
 * rota__direct_charge, once it has succeeded. false: the calls below tell. So the way of most needs no room on the stack. */
static inline bool rota__direct_at_once(const struct rota__worker *worker)
{
	const rota_task *task;

	if (__builtin_expect(worker == NULL || worker->budget <= 1, 0))
		return false;
	task = worker->current;
	return task != NULL && !rota__task_may_have_extra(task) && !rota__state_asked(&task->state);
}

static inline void rota__direct_charge(struct rota__worker *worker)
{
	worker->budget--;
}

/* The try has succeeded: costs as a wait that was over before it began. The fiber may be on another worker afterwards. */
static inline void rota__direct_done(struct rota__worker *worker)
{
	if (worker == NULL)
		return;
	if (__builtin_expect(worker->budget > 1, 1))
		worker->budget--;
	else
		rota__worker_spend();
}

/* The same two for what others wait for as long as the caller has it: charges first, so that nobody yields with a lock in
 * his hands that was free a moment ago. Whether the caller may try; it may be on another worker afterwards. */
static inline bool rota__direct_may_hold(void)
{
	struct rota__worker *worker = rota__worker_self();

	if (!rota__direct_may(worker))
		return false;
	if (worker == NULL)
		return true;
	if (__builtin_expect(worker->budget > 1, 1)) {
		worker->budget--;
		return true;
	}
	rota__worker_spend();
	return rota__direct_may(rota__worker_self());
}

#endif
