/* SPDX-License-Identifier: MIT */
/* How the models of sync/ wait and give up. */
#ifndef TESTS_MODEL_WAITS_H
#define TESTS_MODEL_WAITS_H

#include "seams.h"

/* Polls with the calling thread's waker. A future that setup leaves waiting is one waiter more without one thread more,
 * of which a search gets long: a thread cancels it, or finish looks whether it was served. */
static inline rota_poll poll(struct rota_future *future)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };

	return rota_future_poll(future, &cx);
}

static inline void *nobody_clone(void *data)
{
	return data;
}

static inline void nobody_told(void *data)
{
	(void)data;
}

/* The same with the waker of an executor elsewhere, of which the model tells no more: a wake that takes room in its batch. */
static inline rota_poll poll_elsewhere(struct rota_future *future)
{
	static const struct rota_waker_ops ops = { nobody_clone, nobody_told, nobody_told, nobody_told };
	const struct rota_waker waker = { &ops, NULL };
	struct rota_context cx = { &waker };

	return rota_future_poll(future, &cx);
}

/* Cancels a future that waits, which must end it. Its status. */
static inline int give_up(struct rota_future *future)
{
	rota_future_cancel(future);
	model_check(poll(future) == ROTA_READY);
	return future->status;
}

/* Polls the future, and gives up when it is not ready at once. Its status. */
static inline int wait_or_give_up(struct rota_future *future)
{
	return poll(future) == ROTA_READY ? future->status : give_up(future);
}

#endif
