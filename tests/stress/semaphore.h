/* SPDX-License-Identifier: MIT */
/*
 * A semaphore on the queue of waiters, for stress programs: tasks, stackless tasks and plain threads wait, anybody
 * posts. A post to one who waits is handed over; a cancelled waiter that was handed one keeps it. All zero is empty.
 */
#ifndef TESTS_STRESS_SEMAPHORE_H
#define TESTS_STRESS_SEMAPHORE_H

#include <errno.h>

#include "../../runtime/waitlist_internal.h"
#include "stress.h"

struct semaphore {
	struct rota_waitlist waiters;
	uint32_t count;
};

struct semaphore_wait {
	struct rota_future future;
	struct semaphore *semaphore;
	struct rota_waiter waiter;
	bool cancelled;
};

static inline rota_poll semaphore_poll(struct rota_future *self, struct rota_context *cx)
{
	struct semaphore_wait *wait = (struct semaphore_wait *)(void *)self;
	struct semaphore *semaphore = wait->semaphore;
	rota_poll ready = ROTA_READY;

	self->status = 0;
	if (rota__waiter_granted(&wait->waiter))
		return ROTA_READY;
	rota__waitlist_lock(&semaphore->waiters);
	if (rota__waiter_granted(&wait->waiter)) {
		/* between the look and the lock */
	} else if (wait->cancelled) {
		self->status = -ECANCELED;
	} else if (semaphore->count > 0 && !rota__waiter_queued(&wait->waiter)) {
		semaphore->count--;
	} else {
		rota__waitlist_wait(&semaphore->waiters, &wait->waiter, cx->waker, false);
		ready = ROTA_PENDING;
	}
	rota__waitlist_unlock(&semaphore->waiters);
	return ready;
}

static inline void semaphore_cancel(struct rota_future *self)
{
	struct semaphore_wait *wait = (struct semaphore_wait *)(void *)self;

	rota__waitlist_lock(&wait->semaphore->waiters);
	if (rota__waiter_queued(&wait->waiter))
		rota__waitlist_remove(&wait->semaphore->waiters, &wait->waiter);
	wait->cancelled = true;
	rota__waitlist_unlock(&wait->semaphore->waiters);
}

static const struct rota_future_ops semaphore_ops = { .poll = semaphore_poll, .cancel = semaphore_cancel };

static inline void semaphore_wait_init(struct semaphore_wait *wait, struct semaphore *semaphore)
{
	rota_future_init(&wait->future, &semaphore_ops);
	wait->semaphore = semaphore;
	rota__waiter_init(&wait->waiter);
	wait->cancelled = false;
}

/* 0, or -ECANCELED. From wherever one may wait. */
static inline int semaphore_down(struct semaphore *semaphore)
{
	struct semaphore_wait wait;

	semaphore_wait_init(&wait, semaphore);
	return rota_await(&wait.future);
}

static inline void semaphore_up(struct semaphore *semaphore)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&semaphore->waiters);
	if (rota__waitlist_empty(&semaphore->waiters))
		semaphore->count++;
	else
		rota__waitlist_grant(&semaphore->waiters, 0, &batch);
	rota__waitlist_unlock(&semaphore->waiters);
	rota__wake_batch_submit(&batch);
}

#endif
