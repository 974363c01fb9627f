/* SPDX-License-Identifier: MIT */
/*
 * The protocol. The lock of `receivers_` guards everything. Receivers wait only while the channel is empty, senders
 * only while it is full. A sender that finds a receiver waiting copies the element straight into the receiver's hands
 * and grants it; a receiver that makes room copies the first waiting sender's element into the ring and grants that
 * one. So an element is always in exactly one place, and a waiter is granted only when its call is done: a cancel that
 * comes after the grant changes nothing, one that comes before takes the waiter off with nothing moved.
 *
 * Elements lie in a ring of `slots_`; an unbounded channel doubles it when it is full.
 */
#include "channel.h"

#include <errno.h>
#include <string.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/waitlist_internal.h"

#define UNBOUNDED_START 16u
#define BUFFER_ALIGN 64u

enum { TAG_DONE, TAG_CLOSED };

static struct rota_channel_op *op_of(struct rota_future *future)
{
	return (struct rota_channel_op *)(void *)future;
}

static struct rota_channel_op *op_of_waiter(struct rota_waiter *waiter)
{
	return (struct rota_channel_op *)(void *)((unsigned char *)waiter - offsetof(struct rota_channel_op, waiter_));
}

int rota_channel_init(struct rota_channel *c, size_t elem_size, size_t capacity)
{
	size_t slots = capacity == ROTA_UNBOUNDED ? UNBOUNDED_START : capacity;
	size_t bytes;

	if (elem_size == 0 || capacity == 0 || __builtin_mul_overflow(slots, elem_size, &bytes))
		return -EINVAL;
	*c = (struct rota_channel){ .elem_size_ = elem_size, .capacity_ = capacity, .slots_ = slots };
	c->buffer_ = rota__alloc(bytes, BUFFER_ALIGN);
	return c->buffer_ != NULL ? 0 : -ENOMEM;
}

void rota_channel_deinit(struct rota_channel *c)
{
	rota__free(c->buffer_, c->slots_ * c->elem_size_, BUFFER_ALIGN);
	c->buffer_ = NULL;
	c->slots_ = 0;
	c->length_ = 0;
	c->closed_ = 1;
}

static void lock(struct rota_channel *c)
{
	rota__waitlist_lock(&c->receivers_);
}

static void unlock(struct rota_channel *c)
{
	rota__waitlist_unlock(&c->receivers_);
}

/* --- the ring; with the lock held ----------------------------------------------------------------------------- */

static unsigned char *slot(struct rota_channel *c, size_t i)
{
	size_t at = c->head_ + i;

	return c->buffer_ + (at < c->slots_ ? at : at - c->slots_) * c->elem_size_;
}

static int grow(struct rota_channel *c)
{
	const size_t old_bytes = c->slots_ * c->elem_size_;
	const size_t first_part = (c->slots_ - c->head_) * c->elem_size_;
	unsigned char *buffer;
	size_t bytes;

	if (__builtin_mul_overflow(old_bytes, (size_t)2, &bytes))
		return -ENOMEM;
	buffer = rota__alloc(bytes, BUFFER_ALIGN);
	if (buffer == NULL)
		return -ENOMEM;
	memcpy(buffer, c->buffer_ + c->head_ * c->elem_size_, first_part);
	memcpy(buffer + first_part, c->buffer_, old_bytes - first_part);
	rota__free(c->buffer_, old_bytes, BUFFER_ALIGN);
	c->buffer_ = buffer;
	c->head_ = 0;
	c->slots_ *= 2;
	return 0;
}

static void put(struct rota_channel *c, const void *elem)
{
	memcpy(slot(c, c->length_), elem, c->elem_size_);
	c->length_++;
}

/* 0, -EPIPE, -ENOMEM, -EAGAIN: full. */
static int send_locked(struct rota_channel *c, const void *elem, struct rota__wake_batch *batch)
{
	int rc;

	if (c->closed_)
		return -EPIPE;
	if (!rota__waitlist_empty(&c->receivers_)) {
		memcpy(op_of_waiter(c->receivers_.first_)->elem_, elem, c->elem_size_);
		rota__waitlist_grant(&c->receivers_, TAG_DONE, batch);
		return 0;
	}
	if (c->length_ == c->slots_) {
		if (c->capacity_ != ROTA_UNBOUNDED)
			return -EAGAIN;
		rc = grow(c);
		if (rc < 0)
			return rc;
	}
	put(c, elem);
	return 0;
}

/* 0, -EPIPE, -EAGAIN: empty. */
static int recv_locked(struct rota_channel *c, void *ret_elem, struct rota__wake_batch *batch)
{
	if (c->length_ == 0)
		return c->closed_ ? -EPIPE : -EAGAIN;
	memcpy(ret_elem, slot(c, 0), c->elem_size_);
	c->head_ = c->head_ + 1 < c->slots_ ? c->head_ + 1 : 0;
	c->length_--;
	if (!rota__waitlist_empty(&c->senders_)) {
		put(c, op_of_waiter(c->senders_.first_)->elem_);
		rota__waitlist_grant(&c->senders_, TAG_DONE, batch);
	}
	return 0;
}

/* --- without waiting ------------------------------------------------------------------------------------------ */

int rota_channel_try_send(struct rota_channel *c, const void *elem)
{
	struct rota__wake_batch batch;
	int rc;

	rota__wake_batch_init(&batch);
	lock(c);
	rc = send_locked(c, elem, &batch);
	unlock(c);
	rota__wake_batch_submit(&batch);
	return rc;
}

int rota_channel_try_recv(struct rota_channel *c, void *ret_elem)
{
	struct rota__wake_batch batch;
	int rc;

	rota__wake_batch_init(&batch);
	lock(c);
	rc = recv_locked(c, ret_elem, &batch);
	unlock(c);
	rota__wake_batch_submit(&batch);
	return rc;
}

/* Takes up to `max` elements; how many. */
static size_t take_many(struct rota_channel *c, unsigned char *ret_elems, size_t max)
{
	struct rota__wake_batch batch;
	size_t n = 0;

	rota__wake_batch_init(&batch);
	lock(c);
	while (n < max && recv_locked(c, ret_elems + n * c->elem_size_, &batch) == 0) {
		n++;
		if (!rota__wake_batch_full(&batch))
			continue;
		unlock(c);
		rota__wake_batch_submit(&batch);
		lock(c);
	}
	unlock(c);
	rota__wake_batch_submit(&batch);
	return n;
}

void rota_channel_close(struct rota_channel *c)
{
	struct rota__wake_batch batch;
	bool more = true;

	rota__wake_batch_init(&batch);
	while (more) {
		lock(c);
		c->closed_ = 1;
		while (!rota__waitlist_empty(&c->receivers_) && !rota__wake_batch_full(&batch))
			rota__waitlist_grant(&c->receivers_, TAG_CLOSED, &batch);
		while (!rota__waitlist_empty(&c->senders_) && !rota__wake_batch_full(&batch))
			rota__waitlist_grant(&c->senders_, TAG_CLOSED, &batch);
		more = rota__wake_batch_full(&batch);
		unlock(c);
		rota__wake_batch_submit(&batch);
	}
}

size_t rota_channel_length(struct rota_channel *c)
{
	size_t length;

	lock(c);
	length = c->length_;
	unlock(c);
	return length;
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

/* The part that sending and receiving share. `status` is -ECANCELED from the cancel on. */
static rota_poll poll_op(struct rota_future *self, struct rota_context *cx, struct rota_waitlist *list,
			 int (*attempt)(struct rota_channel_op *op, struct rota__wake_batch *batch))
{
	struct rota_channel_op *op = op_of(self);
	struct rota_channel *c = op->channel_;
	struct rota_waiter *waiter = &op->waiter_;
	struct rota__wake_batch batch;
	rota_poll ready = ROTA_READY;

	rota__wake_batch_init(&batch);
	lock(c);
	if (rota__waiter_granted(waiter)) {
		self->status = waiter->tag_ == TAG_DONE ? 0 : -EPIPE;
	} else if (self->status == -ECANCELED) {
		if (rota__waiter_queued(waiter))
			rota__waitlist_remove(list, waiter);
	} else if (rota__waiter_queued(waiter) || (self->status = attempt(op, &batch)) == -EAGAIN) {
		/* Who is queued is served by the other side, in order. */
		self->status = 0;
		rota__waitlist_wait(list, waiter, cx->waker, false);
		ready = ROTA_PENDING;
	}
	unlock(c);
	rota__wake_batch_submit(&batch);
	return ready;
}

static int attempt_send(struct rota_channel_op *op, struct rota__wake_batch *batch)
{
	return send_locked(op->channel_, op->elem_, batch);
}

static int attempt_recv(struct rota_channel_op *op, struct rota__wake_batch *batch)
{
	return recv_locked(op->channel_, op->elem_, batch);
}

static rota_poll send_poll(struct rota_future *self, struct rota_context *cx)
{
	return poll_op(self, cx, &op_of(self)->channel_->senders_, attempt_send);
}

static rota_poll recv_poll(struct rota_future *self, struct rota_context *cx)
{
	return poll_op(self, cx, &op_of(self)->channel_->receivers_, attempt_recv);
}

static void cancel_op(struct rota_future *self)
{
	self->status = -ECANCELED;
}

static const struct rota_future_ops send_ops = { .poll = send_poll, .cancel = cancel_op, .name = "channel send" };
static const struct rota_future_ops recv_ops = { .poll = recv_poll, .cancel = cancel_op, .name = "channel receive" };

static void init_op(struct rota_channel_op *op, const struct rota_future_ops *ops, struct rota_channel *c, void *elem)
{
	rota_future_init(&op->future, ops);
	op->channel_ = c;
	op->elem_ = elem;
	rota__waiter_init(&op->waiter_);
}

void rota_channel_send_init(struct rota_channel_op *op, struct rota_channel *c, const void *elem)
{
	init_op(op, &send_ops, c, (void *)(uintptr_t)elem); /* a send only reads it */
}

void rota_channel_recv_init(struct rota_channel_op *op, struct rota_channel *c, void *ret_elem)
{
	init_op(op, &recv_ops, c, ret_elem);
}

int rota_channel_send(struct rota_channel *c, const void *elem)
{
	struct rota_channel_op op;

	rota_channel_send_init(&op, c, elem);
	return rota_await(&op.future);
}

int rota_channel_recv(struct rota_channel *c, void *ret_elem)
{
	struct rota_channel_op op;

	rota_channel_recv_init(&op, c, ret_elem);
	return rota_await(&op.future);
}

ssize_t rota_channel_recv_many(struct rota_channel *c, void *ret_elems, size_t max)
{
	int rc;

	if (max == 0)
		return -EINVAL;
	rc = rota_channel_recv(c, ret_elems);
	if (rc < 0)
		return rc;
	return 1 + (ssize_t)take_many(c, (unsigned char *)ret_elems + c->elem_size_, max - 1);
}
