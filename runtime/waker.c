/* SPDX-License-Identifier: MIT */
#include "waker_internal.h"

#include "park_internal.h"
#include "task_internal.h"

struct rota_waker rota_waker_clone(const struct rota_waker *waker)
{
	struct rota_waker copy = { waker->ops, NULL };

	if (waker->ops != NULL)
		copy.data = waker->ops->clone(waker->data);
	return copy;
}

void rota_wake(struct rota_waker *waker)
{
	struct rota_waker taken = *waker;

	*waker = (struct rota_waker){ NULL, NULL };
	if (taken.ops != NULL)
		taken.ops->wake(taken.data);
}

void rota_wake_by_ref(const struct rota_waker *waker)
{
	if (waker->ops != NULL)
		waker->ops->wake_by_ref(waker->data);
}

void rota_waker_drop(struct rota_waker *waker)
{
	struct rota_waker taken = *waker;

	*waker = (struct rota_waker){ NULL, NULL };
	if (taken.ops != NULL)
		taken.ops->drop(taken.data);
}

void *rota__waker_clone_uncounted(void *data)
{
	return data;
}

void rota__waker_drop_uncounted(void *data)
{
	(void)data;
}

void rota__wake_batch_add(struct rota__wake_batch *batch, struct rota_waker *held)
{
	rota__wake_batch_put(batch, rota__wake_claim(*held));
}

void rota__wake_claimed_other(struct rota_waker claimed)
{
	if (claimed.ops == &rota__thread_waker_ops)
		rota__parker_unpark(claimed.data);
	else
		rota_wake(&claimed);
}

/* Apart, as most batches are of tasks. */
static __attribute__((noinline)) void submit_others(struct rota__wake_batch *batch)
{
	for (unsigned i = 0; i < batch->others; i++)
		rota__wake_claimed_other(batch->other[i]);
	batch->others = 0;
}

void rota__wake_batch_submit_all(struct rota__wake_batch *batch)
{
	rota_task *task = batch->first;

	batch->first = NULL;
	batch->last = NULL;
	if (task != NULL)
		rota__tasks_submit(task);
	if (batch->others > 0)
		submit_others(batch);
}

void rota__wake_batch_submit_ahead(struct rota__wake_batch *batch, struct rota__wake_batch *behind)
{
	rota_task *first = batch->first;

	if (first == NULL)
		first = behind->first;
	else
		batch->last->queue_next = behind->first;
	batch->first = batch->last = NULL;
	behind->first = behind->last = NULL;
	if (first != NULL)
		rota__tasks_submit_ahead(first);
	if (batch->others > 0)
		submit_others(batch);
	if (behind->others > 0)
		submit_others(behind);
}
