/* SPDX-License-Identifier: MIT */
/*
 * The protocol. A waiter is queued, or takes the permit, under the list's lock; notify_one grants the first waiter,
 * notify_last the last one, or they leave the permit; notify_all grants those that are queued when it begins. A grant is final: a waiter that is
 * cancelled after it was granted reports 0, so a notification is never lost.
 */
#include "notify.h"

#include <errno.h>

#include "misuse_internal.h"

void rota_notify_init(struct rota_notify *n)
{
	*n = (struct rota_notify)ROTA_NOTIFY_INIT;
}

int rota_notify_deinit(struct rota_notify *n)
{
	return rota__sync_deinit(&n->waiters_, "rota_notify_deinit while somebody waits");
}

static struct rota_notify_op *op_of(struct rota_future *future)
{
	return (struct rota_notify_op *)(void *)future;
}

/* `status` is -ECANCELED from the cancel on. */
static rota_poll wait_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_notify_op *op = op_of(self);
	struct rota_notify *n = op->notify_;
	rota_poll ready = ROTA_READY;

	rota__waitlist_lock(&n->waiters_);
	if (rota__waiter_granted(&op->waiter_)) {
		self->status = 0;
	} else if (self->status == -ECANCELED) {
		if (rota__waiter_queued(&op->waiter_))
			rota__waitlist_remove(&n->waiters_, &op->waiter_);
	} else if (n->permit_ != 0 && !rota__waiter_queued(&op->waiter_)) {
		n->permit_ = 0;
	} else {
		rota__waitlist_wait(&n->waiters_, &op->waiter_, cx->waker, false);
		ready = ROTA_PENDING;
	}
	rota__waitlist_unlock(&n->waiters_);
	return ready;
}

static void wait_cancel(struct rota_future *self)
{
	self->status = -ECANCELED;
}

static const struct rota_future_ops wait_ops = { .poll = wait_poll, .cancel = wait_cancel, .name = "notify" };

void rota_notify_wait_init(struct rota_notify_op *op, struct rota_notify *n)
{
	rota_future_init(&op->future, &wait_ops);
	op->notify_ = n;
	rota__waiter_init(&op->waiter_);
}

int rota_notify_wait(struct rota_notify *n)
{
	struct rota_notify_op op;

	rota_notify_wait_init(&op, n);
	return rota_await(&op.future);
}

static void notify(struct rota_notify *n, bool last)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&n->waiters_);
	if (rota__waitlist_empty(&n->waiters_))
		n->permit_ = 1;
	else
		rota__waitlist_grant_to(&n->waiters_, last ? n->waiters_.last_ : n->waiters_.first_, 0, &batch);
	rota__waitlist_unlock(&n->waiters_);
	rota__wake_batch_submit(&batch);
}

void rota_notify_one(struct rota_notify *n)
{
	notify(n, false);
}

void rota_notify_last(struct rota_notify *n)
{
	notify(n, true);
}

void rota_notify_all(struct rota_notify *n)
{
	struct rota__wake_batch batch;
	uint32_t left;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&n->waiters_);
	/* Later comers queue behind, also while the lock is dropped. Those that leave meanwhile make room in `left` for
	 * a later comer: it gets a wake-up that it did not miss, which is allowed. */
	for (left = n->waiters_.count_; left > 0 && !rota__waitlist_empty(&n->waiters_); left--) {
		rota__waitlist_grant(&n->waiters_, 0, &batch);
		if (rota__wake_batch_full(&batch)) {
			rota__waitlist_unlock(&n->waiters_);
			rota__wake_batch_submit(&batch);
			rota__waitlist_lock(&n->waiters_);
		}
	}
	rota__waitlist_unlock(&n->waiters_);
	rota__wake_batch_submit(&batch);
}
