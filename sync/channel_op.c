/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a channel; the protocol is in channel.c. An operation tries in its first poll, and queues when that is in vain.
 * From then on the other side does the work, under the lock, and grants when it is done; who was queued never tries again
 * itself, so the order is kept.
 */
#include <errno.h>
#include <limits.h>

#include "../runtime/await_internal.h"
#include "../runtime/direct_internal.h"
#include "channel_internal.h"
#include "until_internal.h"

static struct rota_channel_op *op_of(struct rota_future *future)
{
	return (struct rota_channel_op *)(void *)future;
}

/* What an operation ends with when it goes no further because of `rc`. */
static int outcome(const struct rota_channel_op *op, int rc)
{
	if (op->moved_ == 0)
		return rc;
	return op->many_ ? (int)op->moved_ : 0;
}

static int served_outcome(const struct rota_channel_op *op)
{
	return outcome(op, op->waiter_.tag_ == ROTA__CHANNEL_DONE ? 0 : -EPIPE);
}

/* A later poll of an operation that was queued in `list`: its status, or -EAGAIN to wait on. */
static int poll_again(struct rota_channel_op *op, struct rota_context *cx, struct rota_waitlist *list)
{
	struct rota_waiter *waiter = &op->waiter_;
	int rc = -EAGAIN;

	if (rota__waiter_granted(waiter))
		return served_outcome(op);
	rota__waitlist_lock(list);
	if (rota__waiter_queued(waiter)) {
		if (rota__future_cancel_noted(&op->future)) {
			rota__waitlist_remove(list, waiter);
			rc = outcome(op, -ECANCELED);
		} else {
			rota__waitlist_wait(list, waiter, cx->waker, false);
		}
	} else { /* granted between the look and the lock */
		rc = served_outcome(op);
	}
	rota__waitlist_unlock(list);
	return rc;
}

static rota_poll polled(struct rota_channel_op *op, int rc)
{
	if (rc == -EAGAIN)
		return ROTA_PENDING;
	op->future.status = rc;
	return ROTA_READY;
}

static bool was_queued(const struct rota_channel_op *op)
{
	return rota__load(&op->waiter_.state_, RELAXED) != ROTA__WAITER_IDLE; /* who polls has left IDLE itself */
}

/* --- sending -------------------------------------------------------------------------------------------------- */

static int attempt_send(struct rota_channel_op *op)
{
	const size_t elem_size = op->channel_->elem_size_; /* who has received all may have ended the channel */
	int rc = 0;
	size_t n = rota__channel_put(op->channel_, op->elem_, op->left_, &rc);

	op->elem_ += n * elem_size;
	op->left_ -= n;
	op->moved_ += n;
	return op->left_ == 0 ? 0 : rc;
}

static int attempt_reserve(struct rota_channel_op *op)
{
	return rota_channel_try_reserve(op->channel_);
}

static rota_poll poll_sender(struct rota_channel_op *op, struct rota_context *cx,
			     int (*attempt)(struct rota_channel_op *op))
{
	int rc;

	if (was_queued(op))
		return polled(op, poll_again(op, cx, &op->channel_->senders_));
	if (rota__future_cancel_noted(&op->future))
		return ROTA_READY;
	do {
		rc = attempt(op);
		if (rc == -EAGAIN)
			rc = rota__channel_queue_sender(op, cx->waker);
		else
			return polled(op, outcome(op, rc));
	} while (rc == -EBUSY);
	return rc == 0 ? ROTA_PENDING : polled(op, outcome(op, rc));
}

static rota_poll send_poll(struct rota_future *self, struct rota_context *cx)
{
	return poll_sender(op_of(self), cx, attempt_send);
}

static rota_poll reserve_poll(struct rota_future *self, struct rota_context *cx)
{
	return poll_sender(op_of(self), cx, attempt_reserve);
}

/* --- receiving ------------------------------------------------------------------------------------------------ */

/* Takes what there is: at least one, or an error. */
static int attempt_recv(struct rota_channel_op *op)
{
	int rc = 0;

	op->moved_ = rota__channel_take(op->channel_, op->elem_, op->left_, &rc);
	return outcome(op, rc);
}

/* Where the ring looks empty, it queues at once, which looks more closely. Apart, as one that was woken was most often
 * served. */
static __attribute__((noinline)) rota_poll recv_unserved(struct rota_channel_op *op, struct rota_context *cx)
{
	int rc;

	if (was_queued(op))
		return polled(op, poll_again(op, cx, &op->channel_->receivers_));
	if (rota__future_cancel_noted(&op->future))
		return ROTA_READY;
	rc = rota__channel_looks_empty(op->channel_) ? -EAGAIN : attempt_recv(op);
	while (rc == -EAGAIN) {
		rc = rota__channel_queue_receiver(op, cx->waker);
		if (rc == 0)
			return ROTA_PENDING;
		if (rc == -EBUSY)
			rc = attempt_recv(op);
	}
	return polled(op, rc);
}

static rota_poll recv_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_channel_op *op = op_of(self);

	return rota__waiter_granted(&op->waiter_) ? polled(op, served_outcome(op)) : recv_unserved(op, cx);
}

/* One that was granted while others went on sending takes those elements too. */
static rota_poll recv_many_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_channel_op *op = op_of(self);
	rota_poll ready = recv_poll(self, cx);
	ssize_t more;

	if (ready == ROTA_READY && was_queued(op) && self->status > 0 && op->left_ > 0 &&
	    !rota__channel_looks_empty(op->channel_)) {
		more = rota_channel_try_recv_many(op->channel_, op->elem_, op->left_);
		if (more > 0)
			self->status += (int)more;
	}
	return ready;
}

/* --- futures and calls ---------------------------------------------------------------------------------------- */

static const struct rota_future_ops send_ops = { send_poll, rota__future_note_cancel, "channel send" };
static const struct rota_future_ops reserve_ops = { reserve_poll, rota__future_note_cancel, "channel reserve" };
static const struct rota_future_ops recv_ops = { recv_poll, rota__future_note_cancel, "channel receive" };
static const struct rota_future_ops recv_many_ops = { recv_many_poll, rota__future_note_cancel, "channel receive" };

static void init_op(struct rota_channel_op *op, const struct rota_future_ops *ops, struct rota_channel *c, void *elem,
		    size_t n)
{
	rota_future_init(&op->future, ops);
	op->channel_ = c;
	op->elem_ = elem;
	op->left_ = n < INT_MAX ? n : INT_MAX;
	op->moved_ = 0;
	op->many_ = false;
	rota__waiter_init(&op->waiter_);
}

/* As an argument that is only read is kept. */
static void *readable(const void *elem)
{
	return (void *)(uintptr_t)elem;
}

void rota_channel_send_init(struct rota_channel_op *op, struct rota_channel *c, const void *elem)
{
	init_op(op, &send_ops, c, readable(elem), 1);
}

void rota_channel_recv_init(struct rota_channel_op *op, struct rota_channel *c, void *ret_elem)
{
	init_op(op, &recv_ops, c, ret_elem, 1);
}

/* A count that is refused. */
static rota_poll refuse_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	self->status = -EINVAL;
	return ROTA_READY;
}

static const struct rota_future_ops refuse_ops = { .poll = refuse_poll };

void rota_channel_send_many_init(struct rota_channel_op *op, struct rota_channel *c, const void *elems, size_t n)
{
	init_op(op, n == 0 || n > INT_MAX ? &refuse_ops : &send_ops, c, readable(elems), n);
	op->many_ = true;
}

void rota_channel_recv_many_init(struct rota_channel_op *op, struct rota_channel *c, void *ret_elems, size_t max)
{
	init_op(op, max == 0 ? &refuse_ops : &recv_many_ops, c, ret_elems, max);
	op->many_ = true;
}

void rota_channel_reserve_init(struct rota_channel_op *op, struct rota_channel *c)
{
	init_op(op, &reserve_ops, c, NULL, 0);
}

/* The direct calls try first, which is cheaper than to begin a wait; but who was asked to stop learns it in the wait, even
 * if there is nothing to wait for. The waits are apart, so that the calls that need none make no room for them. */

static __attribute__((noinline)) int send_waiting(struct rota_channel *c, const void *elem, uint64_t deadline)
{
	struct rota_channel_op op;

	rota_channel_send_init(&op, c, elem);
	return deadline == ROTA_NEVER ? rota__await_own(&op.future, &send_ops) : rota__await_until(&op.future, deadline);
}

int rota_channel_send_until(struct rota_channel *c, const void *elem, uint64_t deadline)
{
	struct rota__worker *worker = rota__worker_self();
	int rc = rota__direct_may(worker) ? rota__channel_put_one(c, elem) : -EAGAIN;

	if (rc == -EAGAIN)
		return ROTA__COME_BACK3(send_waiting, c, elem, deadline);
	rota__direct_done(worker);
	return rc;
}

static __attribute__((noinline)) int recv_waiting(struct rota_channel *c, void *ret_elem, uint64_t deadline)
{
	struct rota_channel_op op;

	rota_channel_recv_init(&op, c, ret_elem);
	return deadline == ROTA_NEVER ? rota__await_own(&op.future, &recv_ops) : rota__await_until(&op.future, deadline);
}

int rota_channel_recv_until(struct rota_channel *c, void *ret_elem, uint64_t deadline)
{
	struct rota__worker *worker = rota__worker_self();
	int rc = -EAGAIN;

	if (rota__direct_may(worker) && !rota__channel_looks_empty(c))
		rc = rota__channel_take_one(c, ret_elem);
	if (rc == -EAGAIN)
		return ROTA__COME_BACK3(recv_waiting, c, ret_elem, deadline);
	rota__direct_done(worker);
	return rc;
}

int rota_channel_send(struct rota_channel *c, const void *elem)
{
	return rota_channel_send_until(c, elem, ROTA_NEVER);
}

int rota_channel_recv(struct rota_channel *c, void *ret_elem)
{
	return rota_channel_recv_until(c, ret_elem, ROTA_NEVER);
}

ssize_t rota_channel_send_many(struct rota_channel *c, const void *elems, size_t n)
{
	struct rota_channel_op op;

	rota_channel_send_many_init(&op, c, elems, n);
	return rota_await(&op.future);
}

ssize_t rota_channel_recv_many(struct rota_channel *c, void *ret_elems, size_t max)
{
	struct rota_channel_op op;

	rota_channel_recv_many_init(&op, c, ret_elems, max);
	return rota_await(&op.future);
}

int rota_channel_reserve(struct rota_channel *c)
{
	struct rota_channel_op op;

	rota_channel_reserve_init(&op, c);
	return rota_await(&op.future);
}
