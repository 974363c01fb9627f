/* SPDX-License-Identifier: MIT */
/*
 * The protocol. EMPTY -> RUNNING -> DONE, or back to EMPTY; all transitions under the list's lock. DONE is final and is
 * stored with RELEASE after `status_`, so who sees it needs no lock. While it is RUNNING others queue. A failure passes the
 * turn to the first of them without leaving RUNNING; a waiter that is cancelled after that has the turn all the same, so
 * it is never lost.
 */
#include "once.h"

#include <errno.h>

#include "../runtime/future_internal.h"
#include "misuse_internal.h"

enum { EMPTY, RUNNING, DONE };
enum { TAG_DONE, TAG_TURN };

void rota_once_init(struct rota_once *o)
{
	*o = (struct rota_once)ROTA_ONCE_INIT;
}

int rota_once_deinit(struct rota_once *o)
{
	return rota__sync_deinit(&o->waiters_, "rota_once_deinit while somebody waits");
}

bool rota_once_done(struct rota_once *o)
{
	return rota__load(&o->state_, ACQUIRE) == DONE; /* partner: rota_once_end */
}

static struct rota_once_op *op_of(struct rota_future *future)
{
	return (struct rota_once_op *)(void *)future;
}

static rota_poll begin_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_once_op *op = op_of(self);
	struct rota_once *o = op->once_;
	struct rota_waiter *waiter = &op->waiter_;
	rota_poll ready = ROTA_READY;

	rota__waitlist_lock(&o->waiters_);
	if (rota__waiter_granted(waiter)) {
		self->status = waiter->tag_ == TAG_TURN ? ROTA_ONCE_TURN : 0;
	} else if (rota__waiter_queued(waiter)) {
		if (rota__future_cancel_noted(self)) {
			rota__waitlist_remove(&o->waiters_, waiter);
		} else {
			rota__waitlist_wait(&o->waiters_, waiter, cx->waker, false);
			ready = ROTA_PENDING;
		}
	} else if (!rota__future_cancel_noted(self)) {
		if (rota__load(&o->state_, RELAXED) == EMPTY) { /* under the lock */
			rota__store(&o->state_, RUNNING, RELAXED);
			self->status = ROTA_ONCE_TURN;
		} else if (rota__load(&o->state_, RELAXED) == RUNNING) {
			rota__waitlist_wait(&o->waiters_, waiter, cx->waker, false);
			ready = ROTA_PENDING;
		}
	}
	rota__waitlist_unlock(&o->waiters_);
	return ready;
}

static const struct rota_future_ops begin_ops = { begin_poll, rota__future_note_cancel, "once" };

void rota_once_begin_init(struct rota_once_op *op, struct rota_once *o)
{
	rota_future_init(&op->future, &begin_ops);
	op->once_ = o;
	rota__waiter_init(&op->waiter_);
}

int rota_once_end(struct rota_once *o, int status)
{
	struct rota__wake_batch batch;
	bool mistake;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&o->waiters_);
	mistake = rota__load(&o->state_, RELAXED) != RUNNING; /* under the lock */
	if (mistake) {
		/* reported below */
	} else if (status >= 0) {
		o->status_ = status;
		rota__store(&o->state_, DONE, RELEASE); /* partner: rota_once_done */
		rota__waitlist_grant_all(&o->waiters_, TAG_DONE, &batch);
	} else if (!rota__waitlist_empty(&o->waiters_)) {
		rota__waitlist_grant(&o->waiters_, TAG_TURN, &batch);
	} else {
		rota__store(&o->state_, EMPTY, RELAXED);
	}
	rota__waitlist_unlock(&o->waiters_);
	rota__wake_batch_submit(&batch);
	return mistake ? rota__sync_misuse("rota_once_end without a turn", -EINVAL) : 0;
}

int rota_once_run(struct rota_once *o, rota_fn *fn, void *arg)
{
	struct rota_once_op op;
	int rc;

	if (rota_once_done(o))
		return o->status_;
	if (fn == NULL)
		return -EINVAL;
	rota_once_begin_init(&op, o);
	rc = rota_await(&op.future);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return o->status_;
	rc = fn(arg);
	rota_once_end(o, rc);
	return rc;
}
