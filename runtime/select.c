/* SPDX-License-Identifier: MIT */
/*
 * The protocol. Each poll of the whole polls, with the same context, every future that is not ready yet; a future that
 * has become ready carries rota__done_ops from then on (rota_future_poll), and is not touched again. So no list of what
 * is left is needed, and no memory for it.
 *
 * Any: PICKING until the first one is ready, then ENDING: the others have been asked to stop, and are polled until
 * they are ready too. A cancel of the whole asks all of them at once; then the first that has a result, not just
 * -ECANCELED, counts.
 */
#include "select.h"

#include <errno.h>

#include "future_internal.h"
#include "opaque_internal.h"

/* Whether each can be polled. */
static bool all_are_futures(struct rota_future *const futures[], size_t n)
{
	if (futures == NULL)
		return n == 0;
	for (size_t i = 0; i < n; i++) {
		if (futures[i] == NULL || futures[i]->ops == NULL)
			return false;
	}
	return true;
}

/* --- all ------------------------------------------------------------------------------------------------------ */

static struct rota_all_op *all_of(struct rota_future *future)
{
	return (struct rota_all_op *)(void *)future;
}

/* Polls what is not ready; whether all is now. */
static bool poll_rest(struct rota_future *const futures[], size_t n, struct rota_context *cx)
{
	bool all = true;

	for (size_t i = 0; i < n; i++) {
		if (!rota__future_done(futures[i]) && rota_future_poll(futures[i], cx) == ROTA_PENDING)
			all = false;
	}
	return all;
}

static void cancel_rest(struct rota_future *const futures[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!rota__future_done(futures[i]))
			rota_future_cancel(futures[i]);
	}
}

static rota_poll all_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_all_op *op = all_of(self);

	if (!poll_rest(op->futures_, op->count_, cx))
		return ROTA_PENDING;
	for (size_t i = 0; i < op->count_ && self->status == 0; i++) {
		if (op->futures_[i]->status < 0)
			self->status = op->futures_[i]->status;
	}
	return ROTA_READY;
}

static void all_cancel(struct rota_future *self)
{
	struct rota_all_op *op = all_of(self);

	cancel_rest(op->futures_, op->count_);
}

static const struct rota_future_ops all_ops = { all_poll, all_cancel, "wait for all" };

void rota_all_init(struct rota_all_op *op, struct rota_future *const futures[], size_t n)
{
	rota_future_init(&op->future, &all_ops);
	op->futures_ = futures;
	op->count_ = n;
}

int rota_await_all(struct rota_future *const futures[], size_t n)
{
	struct rota_all_op op;

	if (!all_are_futures(futures, n))
		return -EINVAL;
	rota_all_init(&op, futures, n);
	return rota_await(&op.future);
}

/* --- any ------------------------------------------------------------------------------------------------------ */

static struct rota_any_op *any_of(struct rota_future *future)
{
	return (struct rota_any_op *)(void *)future;
}

/* Where a fair look begins. The sequence is the thread's own: two loops on one thread must not fall into step. */
static ROTA__OPAQUE size_t somewhere(size_t n)
{
	static _Thread_local uint32_t state;

	state = state * 1664525u + 1013904223u; /* Numerical Recipes' generator; its high half is good enough */
	return (size_t)(((uint64_t)state * n) >> 32);
}

/* Looks for the first that is ready, and asks the others to stop. */
static void pick(struct rota_any_op *op, struct rota_context *cx)
{
	size_t n = op->count_;
	size_t at = op->biased_ ? 0 : somewhere(n);

	for (size_t looked = 0; looked < n; looked++, at = at + 1 < n ? at + 1 : 0) {
		if (rota_future_poll(op->futures_[at], cx) == ROTA_READY) {
			op->index = at;
			op->ending_ = true;
			cancel_rest(op->futures_, n);
			return;
		}
	}
}

/* All are ready after a cancel of the whole: which of them has something to tell? */
static size_t survivor(const struct rota_any_op *op)
{
	for (size_t i = 0; i < op->count_; i++) {
		if (op->futures_[i]->status != -ECANCELED)
			return i;
	}
	return 0;
}

static rota_poll any_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_any_op *op = any_of(self);

	if (op->count_ == 0) {
		self->status = -EINVAL;
		return ROTA_READY;
	}
	if (!op->ending_)
		pick(op, cx);
	if (!op->ending_ || !poll_rest(op->futures_, op->count_, cx))
		return ROTA_PENDING;
	if (op->cancelled_)
		op->index = survivor(op);
	self->status = op->futures_[op->index]->status;
	return ROTA_READY;
}

static void any_cancel(struct rota_future *self)
{
	struct rota_any_op *op = any_of(self);

	if (op->ending_)
		return; /* the first is known, the others were asked */
	op->cancelled_ = true;
	op->ending_ = true;
	cancel_rest(op->futures_, op->count_);
}

static const struct rota_future_ops any_ops = { any_poll, any_cancel, "wait for any" };

void rota_any_init(struct rota_any_op *op, struct rota_future *const futures[], size_t n)
{
	*op = (struct rota_any_op){ .futures_ = futures, .count_ = n };
	rota_future_init(&op->future, &any_ops);
}

void rota_any_init_biased(struct rota_any_op *op, struct rota_future *const futures[], size_t n)
{
	rota_any_init(op, futures, n);
	op->biased_ = true;
}

static int await_any(struct rota_any_op *op, size_t *ret_index)
{
	int status;

	if (!all_are_futures(op->futures_, op->count_))
		return -EINVAL;
	status = rota_await(&op->future);
	if (ret_index != NULL && op->count_ > 0 && rota__future_done(&op->future)) /* it was not refused */
		*ret_index = op->index;
	return status;
}

int rota_await_any(struct rota_future *const futures[], size_t n, size_t *ret_index)
{
	struct rota_any_op op;

	rota_any_init(&op, futures, n);
	return await_any(&op, ret_index);
}

int rota_await_any_biased(struct rota_future *const futures[], size_t n, size_t *ret_index)
{
	struct rota_any_op op;

	rota_any_init_biased(&op, futures, n);
	return await_any(&op, ret_index);
}
