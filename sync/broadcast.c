/* SPDX-License-Identifier: MIT */
/*
 * The protocol. Value number n lies in slot n modulo the ring's size, under a stamp (words_internal.h): 2n+1 while it is
 * written, 2n+2 from then on. Senders hold the list's lock, so one writes at a time. A receiver knows the number that it
 * wants and looks at that slot only, without the lock: its stamp tells whether the value is there, still to come, or gone.
 *
 * A receiver that finds nothing looks again under the lock, and queues. Each send grants all that are queued: a grant says
 * "look again" and carries no value, so a receiver that is cancelled has taken nothing from anybody. Nor from itself: its
 * number goes on only in the poll that returns the value.
 */
#include "broadcast.h"

#include <errno.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/await_internal.h"
#include "../runtime/direct_internal.h"
#include "misuse_internal.h"
#include "words_internal.h"

int rota_broadcast_init(struct rota_broadcast *b, size_t elem_size, size_t capacity)
{
	size_t stride = 1 + rota__words(elem_size);
	size_t slots = 1, bytes;

	if (elem_size == 0 || elem_size > PTRDIFF_MAX / 2 || capacity == 0 || capacity > SIZE_MAX / 4)
		return -EINVAL;
	while (slots < capacity)
		slots *= 2;
	if (__builtin_mul_overflow(slots, stride * sizeof(*b->ring_), &bytes) || bytes > PTRDIFF_MAX)
		return -EINVAL;
	*b = (struct rota_broadcast){ .elem_size_ = elem_size, .slots_ = slots, .stride_ = stride };
	b->ring_ = rota__alloc_object(bytes, ROTA__CACHE_LINE);
	if (b->ring_ == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < slots; i++)
		rota__store(&b->ring_[i * stride], 0, RELAXED); /* whoever shares it orders this */
	return 0;
}

int rota_broadcast_deinit(struct rota_broadcast *b)
{
	int rc = rota__sync_deinit(&b->receivers_, "rota_broadcast_deinit while somebody waits");

	if (rc < 0)
		return rc;
	if (!b->lent_)
		rota__free_object(b->ring_, b->slots_ * b->stride_ * sizeof(*b->ring_), ROTA__CACHE_LINE);
	b->ring_ = NULL;
	b->slots_ = 0;
	b->closed_ |= 1;
	return 0;
}

void rota_broadcast_subscribe(struct rota_broadcast *b, struct rota_broadcast_receiver *receiver)
{
	receiver->missed = 0;
	receiver->broadcast_ = b;
	receiver->next_ = rota__load(&b->sent_, RELAXED); /* partner: none; the slots have stamps of their own */
}

static struct rota_atomic_u64 *slot(struct rota_broadcast *b, uint64_t n)
{
	return b->ring_ + (n & (b->slots_ - 1)) * b->stride_;
}

int rota_broadcast_send(struct rota_broadcast *b, const void *elem)
{
	struct rota__wake_batch batch;
	bool tell = false;
	int rc = 0;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&b->receivers_);
	if (b->closed_) {
		rc = -EPIPE;
		tell = rota__sync_first_refused(&b->closed_);
	} else {
		uint64_t n = rota__load(&b->sent_, RELAXED); /* written under the lock */
		struct rota_atomic_u64 *stamp = slot(b, n);

		rota__words_write(stamp, 2 * n + 2, stamp + 1, elem, b->elem_size_);
		rota__store(&b->sent_, n + 1, RELAXED); /* partner: none, it carries nothing */
		rota__waitlist_grant_all(&b->receivers_, 0, &batch);
	}
	rota__waitlist_unlock(&b->receivers_);
	rota__wake_batch_submit(&batch);
	if (tell)
		rota__sync_tell_refused("rota_broadcast_send: the broadcast is closed");
	return rc;
}

void rota_broadcast_close(struct rota_broadcast *b)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&b->receivers_);
	b->closed_ |= 1;
	rota__waitlist_grant_all(&b->receivers_, 0, &batch);
	rota__waitlist_unlock(&b->receivers_);
	rota__wake_batch_submit(&batch);
}

/* 0, -EAGAIN: still to come, -EOVERFLOW. */
static int take(struct rota_broadcast_receiver *receiver, void *ret_elem)
{
	struct rota_broadcast *b = receiver->broadcast_;
	const uint64_t mine = 2 * receiver->next_ + 2;
	struct rota_atomic_u64 *stamp = slot(b, receiver->next_);
	uint64_t seen = rota__load(stamp, ACQUIRE); /* partner: rota__words_write */
	uint64_t oldest, sent;

	if (seen < mine)
		return -EAGAIN;
	if (seen == mine && rota__words_read(stamp, seen, stamp + 1, ret_elem, b->elem_size_)) {
		receiver->next_++;
		return 0;
	}
	/* Another value took the place of ours, or is about to: the one after the last that is gone is the oldest. */
	seen = rota__load(stamp, ACQUIRE); /* partner: rota__words_write */
	oldest = (seen - 1) / 2 + 1 - b->slots_;
	sent = rota__load(&b->sent_, RELAXED); /* which may be far ahead by now; partner: none, the next stamp tells */
	if (sent > oldest + b->slots_)
		oldest = sent - b->slots_;
	receiver->missed = oldest - receiver->next_;
	receiver->next_ = oldest;
	return -EOVERFLOW;
}

int rota_broadcast_try_recv(struct rota_broadcast_receiver *receiver, void *ret_elem)
{
	struct rota_broadcast *b = receiver->broadcast_;
	int rc = take(receiver, ret_elem);

	if (rc == -EAGAIN) {
		rota__waitlist_lock(&b->receivers_);
		rc = take(receiver, ret_elem);
		if (rc == -EAGAIN && b->closed_)
			rc = -EPIPE;
		rota__waitlist_unlock(&b->receivers_);
	}
	return rc;
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

static struct rota_broadcast_op *op_of(struct rota_future *future)
{
	return (struct rota_broadcast_op *)(void *)future;
}

/* Under the lock no value comes. Queues when there is none: -EINPROGRESS. The count of values says so, and leaves alone the
 * slot that is written next. */
static int queue(struct rota_broadcast_op *op, struct rota_context *cx)
{
	struct rota_broadcast *b = op->receiver_->broadcast_;

	if (rota__load(&b->sent_, RELAXED) != op->receiver_->next_) /* written under the lock */
		return take(op->receiver_, op->elem_);
	if (b->closed_)
		return -EPIPE;
	rota__waitlist_wait(&b->receivers_, &op->waiter_, cx->waker, false);
	return -EINPROGRESS;
}

static rota_poll recv_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_broadcast_op *op = op_of(self);
	struct rota_waitlist *list = &op->receiver_->broadcast_->receivers_;
	const bool look = !op->looked_ && rota__waiter_mine(&op->waiter_); /* queued, it has to leave the list first */
	const bool cancelled = rota__future_cancel_noted(self);
	int rc = -EAGAIN;

	op->looked_ = false;
	if (look && !cancelled)
		rc = take(op->receiver_, op->elem_);
	if (rc == -EAGAIN) {
		rota__waitlist_lock(list);
		rc = cancelled ? -ECANCELED : queue(op, cx);
		if (rc != -EINPROGRESS && rota__waiter_queued(&op->waiter_))
			rota__waitlist_remove(list, &op->waiter_);
		rota__waitlist_unlock(list);
	}
	if (rc == -EINPROGRESS)
		return ROTA_PENDING;
	self->status = rc;
	return ROTA_READY;
}

static const struct rota_future_ops recv_ops = { recv_poll, rota__future_note_cancel, "broadcast receive" };

void rota_broadcast_recv_init(struct rota_broadcast_op *op, struct rota_broadcast_receiver *receiver, void *ret_elem)
{
	rota_future_init(&op->future, &recv_ops);
	op->receiver_ = receiver;
	op->elem_ = ret_elem;
	op->looked_ = false;
	rota__waiter_init(&op->waiter_);
}

/* Apart, so that who finds a value makes no room for the wait. */
static __attribute__((noinline)) int recv_waiting(struct rota_broadcast_receiver *receiver, void *ret_elem, bool looked)
{
	struct rota_broadcast_op op;

	rota_broadcast_recv_init(&op, receiver, ret_elem);
	op.looked_ = looked;
	return rota__await_own(&op.future, &recv_ops);
}

int rota_broadcast_recv(struct rota_broadcast_receiver *receiver, void *ret_elem)
{
	struct rota__worker *worker = rota__worker_self();
	const bool may = rota__direct_may(worker);
	int rc = may ? take(receiver, ret_elem) : -EAGAIN;

	if (rc == -EAGAIN)
		return ROTA__COME_BACK3(recv_waiting, receiver, ret_elem, may);
	rota__direct_done(worker);
	return rc;
}
