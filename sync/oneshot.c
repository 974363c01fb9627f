/* SPDX-License-Identifier: MIT */
/*
 * The protocol. All under the list's lock: EMPTY -> SENT -> TAKEN, or EMPTY -> CLOSED; SENT stays SENT when closed. A
 * receiver that waits when the value comes is granted it: EMPTY -> TAKEN, and it reads the value in its next poll,
 * without the lock. One that was cancelled meanwhile puts it back in that poll, TAKEN -> SENT, so it takes nothing with
 * it.
 */
#include "oneshot.h"

#include <errno.h>

#include "../runtime/await_internal.h"
#include "misuse_internal.h"

enum { EMPTY, SENT, TAKEN, CLOSED };
enum { TAG_GIVEN, TAG_NOTHING }; /* of grants */

void rota_oneshot_init(struct rota_oneshot *o)
{
	*o = (struct rota_oneshot)ROTA_ONESHOT_INIT;
}

int rota_oneshot_deinit(struct rota_oneshot *o)
{
	return rota__sync_deinit(&o->waiters_, "rota_oneshot_deinit while somebody waits");
}

/* With the lock, which it drops: the value is there, of which `claimed` is told, and the others are told that there is none.
 * Apart, as most often only one waits. */
static __attribute__((noinline)) void send_nothing(struct rota_oneshot *o, struct rota_waker claimed)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__wake_batch_put(&batch, claimed);
	rota__waitlist_grant_all(&o->waiters_, TAG_NOTHING, &batch);
	rota__waitlist_unlock_shared(&o->waiters_);
	rota__wake_batch_submit(&batch);
}

int rota_oneshot_send(struct rota_oneshot *o, void *value)
{
	struct rota_waitlist *list = &o->waiters_;
	struct rota_waker claimed = { NULL, NULL };
	int rc;

	rota__waitlist_lock_shared(list);
	if (o->state_ != EMPTY) {
		rc = o->state_ == CLOSED ? -EPIPE : -EEXIST;
		rota__waitlist_unlock_shared(list);
		return rc == -EEXIST ? rota__sync_misuse("rota_oneshot_send: a value was sent before", rc) : rc;
	}
	o->value_ = value;
	o->state_ = rota__waitlist_empty(list) ? SENT : TAKEN;
	if (!rota__waitlist_empty(list)) {
		claimed = rota__waitlist_grant_one(list, list->first_, TAG_GIVEN);
		if (!rota__waitlist_empty(list)) {
			send_nothing(o, claimed);
			return 0;
		}
	}
	rota__waitlist_unlock_shared(list);
	rota__wake_claimed(claimed);
	return 0;
}

void rota_oneshot_close(struct rota_oneshot *o)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock_shared(&o->waiters_);
	if (o->state_ == EMPTY)
		o->state_ = CLOSED;
	rota__waitlist_grant_all(&o->waiters_, TAG_NOTHING, &batch);
	rota__waitlist_unlock_shared(&o->waiters_);
	rota__wake_batch_submit(&batch);
}

/* With the lock held. -EAGAIN while empty. */
static int take(struct rota_oneshot *o, void **ret_value)
{
	if (o->state_ == EMPTY)
		return -EAGAIN;
	if (o->state_ != SENT)
		return -EPIPE;
	o->state_ = TAKEN;
	*ret_value = o->value_;
	return 0;
}

int rota_oneshot_try_recv(struct rota_oneshot *o, void **ret_value)
{
	int rc;

	rota__waitlist_lock_shared(&o->waiters_);
	rc = take(o, ret_value);
	rota__waitlist_unlock_shared(&o->waiters_);
	return rc;
}

static struct rota_oneshot_op *op_of(struct rota_future *future)
{
	return (struct rota_oneshot_op *)(void *)future;
}

/* A receiver that was granted. */
static rota_poll granted(struct rota_oneshot_op *op)
{
	struct rota_oneshot *o = op->oneshot_;

	if (op->waiter_.tag_ == TAG_NOTHING) {
		if (!rota__future_cancel_noted(&op->future))
			op->future.status = -EPIPE;
	} else if (!rota__future_cancel_noted(&op->future)) {
		op->value = o->value_;
		op->future.status = 0;
	} else {
		rota__waitlist_lock_shared(&o->waiters_);
		o->state_ = SENT;
		rota__waitlist_unlock_shared(&o->waiters_);
	}
	return ROTA_READY;
}

/* Apart, as a receiver that was woken has most often been granted. */
static __attribute__((noinline)) rota_poll recv_locked(struct rota_oneshot_op *op, const struct rota_waker *waker)
{
	struct rota_oneshot *o = op->oneshot_;
	struct rota_waiter *waiter = &op->waiter_;
	int rc = -ECANCELED;

	rota__waitlist_lock_shared(&o->waiters_);
	if (rota__waiter_granted(waiter)) { /* between the look and the lock */
		rota__waitlist_unlock_shared(&o->waiters_);
		return granted(op);
	}
	if (!rota__future_cancel_noted(&op->future)) {
		rc = take(o, &op->value);
		if (rc == -EAGAIN)
			rota__waitlist_wait(&o->waiters_, waiter, waker, false);
	} else if (rota__waiter_queued(waiter)) {
		rota__waitlist_remove(&o->waiters_, waiter);
	}
	rota__waitlist_unlock_shared(&o->waiters_);
	if (rc == -EAGAIN)
		return ROTA_PENDING;
	op->future.status = rc;
	return ROTA_READY;
}

static rota_poll recv_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_oneshot_op *op = op_of(self);

	return rota__waiter_served(&op->oneshot_->waiters_, &op->waiter_) ? granted(op) : recv_locked(op, cx->waker);
}

static const struct rota_future_ops recv_ops = { recv_poll, rota__future_note_cancel, "oneshot receive" };

void rota_oneshot_recv_init(struct rota_oneshot_op *op, struct rota_oneshot *o)
{
	rota_future_init(&op->future, &recv_ops);
	op->value = NULL;
	op->oneshot_ = o;
	rota__waiter_init(&op->waiter_);
}

static __attribute__((noinline)) int recv_apart(struct rota_oneshot *o, void **ret_value)
{
	struct rota_oneshot_op op;
	int rc;

	rota_oneshot_recv_init(&op, o);
	rc = rota__await_own(&op.future, &recv_ops);
	if (rc == 0)
		*ret_value = op.value;
	return rc;
}

int rota_oneshot_recv(struct rota_oneshot *o, void **ret_value)
{
	return ROTA__COME_BACK2(recv_apart, o, ret_value);
}
