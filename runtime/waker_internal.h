/* SPDX-License-Identifier: MIT */
/*
 * How wakers are kept and fired inside rota.
 *
 * What waits inside rota (a timer, a queue's waiter, an operation) is always unlinked before its task goes on, so it
 * borrows task and thread wakers: no reference counting. Wakers of foreign executors are cloned.
 *
 * Waking has two steps. rota__wake_batch_add claims, and is called with the lock of the thing waited for held;
 * rota__wake_batch_submit carries out, after the lock was dropped.
 */
#ifndef ROTA_RUNTIME_WAKER_INTERNAL_H
#define ROTA_RUNTIME_WAKER_INTERNAL_H

#include "atomic_internal.h"
#include "future.h"
#include "waker.h"

extern const struct rota_waker_ops rota__task_waker_ops;   /* data: a rota_task */
extern const struct rota_waker_ops rota__thread_waker_ops; /* data: a struct rota__parker */

#ifndef ROTA__WAKE_BATCH /* a model makes do with fewer */
#define ROTA__WAKE_BATCH 16
#endif

struct rota__wake_batch {
	rota_task *first, *last; /* claimed tasks */
	unsigned others;         /* of the array below */
	struct rota_waker other[ROTA__WAKE_BATCH];
};

static inline void rota__wake_batch_init(struct rota__wake_batch *batch)
{
	batch->first = NULL;
	batch->last = NULL;
	batch->others = 0;
}

/* No room for a waker that is not a task's: submit before adding more. */
static inline bool rota__wake_batch_full(const struct rota__wake_batch *batch)
{
	return batch->others == ROTA__WAKE_BATCH;
}

/* Claims, and consumes what rota__waker_hold kept. The batch must not be full. */
void rota__wake_batch_add(struct rota__wake_batch *batch, struct rota_waker *held);

/* Hands a claimed task to the scheduler. Any thread. */
void rota__task_submit(rota_task *task);

/* Wakes whoever was claimed and is no task. */
void rota__wake_claimed_other(struct rota_waker claimed);

void rota__wake_batch_submit_all(struct rota__wake_batch *batch);

/* Wakes what was claimed; the batch is empty afterwards. Never under a lock. */
static inline void rota__wake_batch_submit(struct rota__wake_batch *batch)
{
	rota_task *const task = batch->first;

	if (__builtin_expect(task != batch->last || batch->others > 0, 0)) {
		rota__wake_batch_submit_all(batch);
	} else if (task != NULL) {
		batch->first = NULL;
		batch->last = NULL;
		rota__task_submit(task);
	}
}

/* Wakes those of `batch`, then those of `behind`, whose I/O is over (rota__tasks_submit_ahead). Never under a lock. */
void rota__wake_batch_submit_ahead(struct rota__wake_batch *batch, struct rota__wake_batch *behind);

/* `clone` and `drop` of wakers of which nobody counts how many there are. */
void *rota__waker_clone_uncounted(void *data);
void rota__waker_drop_uncounted(void *data);

static inline bool rota__waker_borrowed(const struct rota_waker *waker)
{
	return waker->ops == &rota__task_waker_ops || waker->ops == &rota__thread_waker_ops;
}

static inline void rota__waker_hold(struct rota_waker *held, const struct rota_waker *waker)
{
	*held = rota__waker_borrowed(waker) ? *waker : rota_waker_clone(waker);
}

static inline void rota__waker_release(struct rota_waker *held)
{
	if (!rota__waker_borrowed(held))
		rota_waker_drop(held);
	held->ops = NULL;
}

#endif
