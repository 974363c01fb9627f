/* SPDX-License-Identifier: MIT */
/*
 * The protocol. `state_` holds LOCKED and WAITERS. Uncontended, lock and unlock are one compare-and-swap each, between
 * 0 and LOCKED. Everything else happens under the waiters' lock: WAITERS is set before a waiter is queued, so that the
 * fast unlock fails; the slow unlock takes the first waiter off.
 *
 * Normally the waiter is only woken to try again (RETRY): whoever runs now may take the mutex first, which saves a
 * switch per hand-over. A waiter that tried again in vain goes to the front as STARVED, and is given the mutex itself
 * (OWNED) by the next unlock, so it loses at most once.
 *
 * A waiter that was told to retry and is cancelled tries all the same: if it gets the mutex, that is its result; if
 * not, somebody holds it, whose unlock will wake the next. So the wake-up is never swallowed.
 */
#include "mutex.h"

#include <errno.h>

#include "../runtime/log_internal.h"
#include "../runtime/task.h"
#include "../runtime/waitlist_internal.h"

#define LOCKED 1u
#define WAITERS 2u

enum { TAG_NONE, TAG_RETRY, TAG_OWNED, TAG_STARVED };

void rota_mutex_init(struct rota_mutex *m)
{
	*m = (struct rota_mutex)ROTA_MUTEX_INIT;
}

int rota_mutex_trylock(struct rota_mutex *m)
{
	uint32_t state = rota__load(&m->state_, RELAXED);

	while (!(state & LOCKED)) {
		if (rota__cas(&m->state_, &state, state | LOCKED, ACQUIRE)) /* partner: the RELEASE of unlock */
			return 0;
	}
	return -EBUSY;
}

/* Takes the mutex, or makes sure that its holder will look at the waiters. With their lock held. */
static bool take_or_mark(struct rota_mutex *m, bool may_wait)
{
	uint32_t state = rota__load(&m->state_, RELAXED);

	for (;;) {
		if (!(state & LOCKED)) {
			if (rota__cas(&m->state_, &state, state | LOCKED, ACQUIRE))
				return true;
		} else if (!may_wait || state & WAITERS || rota__cas(&m->state_, &state, state | WAITERS, RELAXED)) {
			return false;
		}
	}
}

static struct rota_mutex_lock_op *op_of(struct rota_future *future)
{
	return (struct rota_mutex_lock_op *)(void *)future;
}

/* `status` is -ECANCELED from the cancel on, until the lock is had. */
static rota_poll lock_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_mutex_lock_op *op = op_of(self);
	struct rota_mutex *m = op->mutex_;
	struct rota_waiter *waiter = &op->waiter_;
	const bool cancelled = self->status == -ECANCELED;
	rota_poll ready = ROTA_READY;

	rota__waitlist_lock(&m->waiters_);
	if (rota__waiter_granted(waiter) && waiter->tag_ == TAG_OWNED) {
		self->status = 0;
	} else if (take_or_mark(m, !cancelled)) {
		if (rota__waiter_queued(waiter))
			rota__waitlist_remove(&m->waiters_, waiter);
		self->status = 0;
	} else if (cancelled) {
		if (rota__waiter_queued(waiter))
			rota__waitlist_remove(&m->waiters_, waiter);
	} else {
		bool starved = rota__waiter_granted(waiter);

		if (starved)
			waiter->tag_ = TAG_STARVED;
		rota__waitlist_wait(&m->waiters_, waiter, cx->waker, starved);
		ready = ROTA_PENDING;
	}
	rota__waitlist_unlock(&m->waiters_);
	return ready;
}

static void lock_cancel(struct rota_future *self)
{
	self->status = -ECANCELED;
}

static const struct rota_future_ops lock_ops = { .poll = lock_poll, .cancel = lock_cancel };

void rota_mutex_lock_init(struct rota_mutex_lock_op *op, struct rota_mutex *m)
{
	rota_future_init(&op->future, &lock_ops);
	op->mutex_ = m;
	rota__waiter_init(&op->waiter_);
}

void rota_mutex_lock(struct rota_mutex *m)
{
	struct rota_mutex_lock_op op;
	uint32_t free = 0;

	if (rota__cas_strong(&m->state_, &free, LOCKED, ACQUIRE)) /* partner: the RELEASE of unlock */
		return;
	rota_mutex_lock_init(&op, m);
	rota_shield_enter();
	rota_await(&op.future);
	rota_shield_leave();
}

/* With the waiters' lock held. While LOCKED is set and the lock is held, nobody else writes `state_`. */
static void pass_on(struct rota_mutex *m, struct rota__wake_batch *batch)
{
	struct rota_waitlist *list = &m->waiters_;

	if (rota__waitlist_empty(list)) {
		rota__store(&m->state_, 0, RELEASE);
		return;
	}
	uint32_t rest = list->count_ > 1 ? WAITERS : 0;
	if (list->first_->tag_ == TAG_STARVED) {
		rota__store(&m->state_, LOCKED | rest, RELEASE);
		rota__waitlist_grant(list, TAG_OWNED, batch);
	} else {
		rota__store(&m->state_, rest, RELEASE);
		rota__waitlist_grant(list, TAG_RETRY, batch);
	}
}

void rota_mutex_unlock(struct rota_mutex *m)
{
	struct rota__wake_batch batch;
	uint32_t state = LOCKED;

	if (rota__cas_strong(&m->state_, &state, 0, RELEASE)) /* partner: the ACQUIRE of the next lock */
		return;
	if (!(state & LOCKED)) {
		rota__misuse("rota_mutex_unlock of a mutex that is not locked (task %llu \"%s\")",
			     (unsigned long long)rota_task_id(), rota_task_name());
		return;
	}
	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&m->waiters_);
	pass_on(m, &batch);
	rota__waitlist_unlock(&m->waiters_);
	rota__wake_batch_submit(&batch);
}
