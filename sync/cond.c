/* SPDX-License-Identifier: MIT */
/*
 * The protocol. A wait goes through START, WAITING and LOCKING. Its first poll queues it, under the list's lock, and only
 * then gives the mutex up: a signal by somebody who has the mutex finds it. It leaves WAITING when it was granted, or,
 * cancelled before that, takes itself off the list; either way it then locks the mutex, which no cancel disturbs. A grant
 * is final: the signal was this waiter's, and its result is 0.
 */
#include "cond.h"

#include <errno.h>

#include "../runtime/future_internal.h"
#include "misuse_internal.h"
#include "mutex_internal.h"
#include "owner_internal.h"
#include "until_internal.h"

enum { START, WAITING, LOCKING };

void rota_cond_init(struct rota_cond *c)
{
	*c = (struct rota_cond)ROTA_COND_INIT;
}

int rota_cond_deinit(struct rota_cond *c)
{
	return rota__sync_deinit(&c->waiters_, "rota_cond_deinit while somebody waits");
}

static struct rota_cond_op *op_of(struct rota_future *future)
{
	return (struct rota_cond_op *)(void *)future;
}

static rota_poll start(struct rota_cond_op *op, struct rota_context *cx)
{
	struct rota_mutex *m = op->lock_.mutex_;

	rota__waitlist_lock(&op->cond_->waiters_);
	rota__waitlist_wait(&op->cond_->waiters_, &op->waiter_, cx->waker, false);
	rota__waitlist_unlock(&op->cond_->waiters_);
	op->phase_ = WAITING;
	/* The caller of the future answers for the mutex being locked; the poller may be another task. */
	rota__store(&m->owner_, NULL, RELAXED);
	rota__mutex_release(m);
	return ROTA_PENDING;
}

static rota_poll look(struct rota_cond_op *op, struct rota_context *cx)
{
	struct rota_waitlist *list = &op->cond_->waiters_;
	rota_poll ready = ROTA_READY;

	if (rota__waiter_served(list, &op->waiter_))
		return ROTA_READY;
	rota__waitlist_lock(list);
	if (rota__waiter_granted(&op->waiter_)) {
		/* between the look and the lock */
	} else if (rota__future_cancel_noted(&op->future)) {
		rota__waitlist_remove(list, &op->waiter_);
		op->result_ = -ECANCELED;
	} else {
		rota__waitlist_wait(list, &op->waiter_, cx->waker, false);
		ready = ROTA_PENDING;
	}
	rota__waitlist_unlock(list);
	return ready;
}

static rota_poll wait_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_cond_op *op = op_of(self);

	if (op->phase_ == START)
		return rota__future_cancel_noted(self) ? ROTA_READY : start(op, cx);
	if (op->phase_ == WAITING) {
		if (look(op, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		op->phase_ = LOCKING;
	}
	if (rota_future_poll(&op->lock_.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = op->result_;
	return ROTA_READY;
}

static const struct rota_future_ops wait_ops = { wait_poll, rota__future_note_cancel, "condition" };

void rota_cond_wait_init(struct rota_cond_op *op, struct rota_cond *c, struct rota_mutex *m)
{
	rota_future_init(&op->future, &wait_ops);
	op->cond_ = c;
	rota__waiter_init(&op->waiter_);
	rota_mutex_lock_init(&op->lock_, m);
	op->result_ = 0;
	op->phase_ = START;
}

int rota_cond_wait_until(struct rota_cond *c, struct rota_mutex *m, uint64_t deadline)
{
	struct rota_cond_op op;
	void *owner = rota__load(&m->owner_, RELAXED); /* the caller's own, or a mistake */
	int rc;

	if (owner != NULL && owner != rota__owner_self())
		return rota__sync_misuse("rota_cond_wait with a mutex that another task locked", -EPERM);
	rota_cond_wait_init(&op, c, m);
	rc = rota__await_until(&op.future, deadline);
	rota__owner_set(&m->owner_);
	return rc;
}

int rota_cond_wait(struct rota_cond *c, struct rota_mutex *m)
{
	return rota_cond_wait_until(c, m, ROTA_NEVER);
}

void rota_cond_signal(struct rota_cond *c)
{
	struct rota_waitlist *list = &c->waiters_;
	struct rota_waker claimed = { NULL, NULL };

	rota__waitlist_lock(list);
	if (!rota__waitlist_empty(list))
		claimed = rota__waitlist_grant_one(list, list->first_, 0);
	rota__waitlist_unlock(list);
	rota__wake_claimed(claimed);
}

void rota_cond_broadcast(struct rota_cond *c)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&c->waiters_);
	rota__waitlist_grant_all(&c->waiters_, 0, &batch);
	rota__waitlist_unlock(&c->waiters_);
	rota__wake_batch_submit(&batch);
}
