/* SPDX-License-Identifier: MIT */
/*
 * Bytes go from the reading buffer of one stream straight to the sink of the other, and leave the buffer when they were
 * written: so there is no moment at which they are nowhere. The writing buffer of the other is emptied first, for order.
 * From or to a pipe the rest goes by splices (stream_splice.c).
 */
#include "stream_copy.h"

#include <errno.h>

#include "stream_internal.h"

static rota_poll copy_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_copy_op *op = (struct rota_stream_copy_op *)(void *)self;

	ROTA_ASYNC_BEGIN(op);
	rota__stream_io_begin(&op->io_, op->from_, false);
	rota__stream_io_begin(&op->io_, op->to_, true);
	while (rota__half_filled(&op->to_->out_) > 0) {
		rota__stream_drain_init(&op->io_, op->to_);
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = rota__stream_drained(&op->io_);
		if (op->error_ < 0)
			ROTA_ASYNC_RETURN(op, op->error_);
	}
	while (op->copied < op->limit_) {
		if (rota__half_filled(&op->from_->in_) == 0 && !op->unable_) {
			rota__stream_splice_init(&op->splice_, op->from_, op->to_, op->limit_, &op->copied);
			ROTA_AWAIT(op, cx, &op->splice_.async.future);
			op->error_ = op->splice_.async.future.status;
			if (op->error_ < 0)
				ROTA_ASYNC_RETURN(op, op->error_);
			if (op->error_ != ROTA__SPLICE_UNABLE)
				break;
			op->unable_ = true;
		}
		if (rota__half_filled(&op->from_->in_) == 0) {
			rota__stream_fill_init(&op->io_, op->from_);
			ROTA_AWAIT(op, cx, &op->io_.future);
			op->error_ = rota__stream_filled(&op->io_);
			if (op->error_ < 0)
				ROTA_ASYNC_RETURN(op, op->error_);
			if (op->error_ == 0)
				break;
		}
		size_t n = rota__half_filled(&op->from_->in_);

		if (n > op->limit_ - op->copied)
			n = (size_t)(op->limit_ - op->copied);
		rota__stream_io_init(&op->io_, op->to_, rota__half_first(&op->from_->in_), n, true);
		ROTA_AWAIT(op, cx, &op->io_.future);
		if (op->io_.future.status < 0)
			ROTA_ASYNC_RETURN(op, op->io_.future.status);
		rota_stream_consume(op->from_, (size_t)op->io_.future.status);
		op->copied += (uint64_t)op->io_.future.status;
	}
	if (!op->ends_)
		ROTA_ASYNC_RETURN(op, 0);
	rota_op_stream_shutdown(&op->shutdown_, op->to_);
	op->shutdown_.io_.begun_[true] = true; /* with the copy */
	ROTA_AWAIT(op, cx, &op->shutdown_.future);
	op->error_ = op->shutdown_.future.status;
	/* A terminal or a file has no half to close; a peer that is gone needs no telling. */
	ROTA_ASYNC_RETURN(op, op->error_ == -ENOTSOCK || op->error_ == -ENOTCONN ? 0 : op->error_);
	ROTA_ASYNC_END(op);
}

static void copy_init(struct rota_stream_copy_op *op, struct rota_stream *from, struct rota_stream *to, uint64_t limit,
		      bool ends)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(copy_poll, "stream copy");

	rota_async_init(&op->async, &ops);
	op->copied = 0;
	op->from_ = from;
	op->to_ = to;
	op->limit_ = limit;
	op->error_ = 0;
	op->ends_ = ends;
	op->unable_ = false;
	op->io_.begun_[false] = op->io_.begun_[true] = false;
}

void rota_op_stream_copy(struct rota_stream_copy_op *op, struct rota_stream *from, struct rota_stream *to,
			 uint64_t limit)
{
	copy_init(op, from, to, limit, false);
}

int rota_stream_copy(struct rota_stream *from, struct rota_stream *to, uint64_t limit, uint64_t *ret_copied)
{
	struct rota_stream_copy_op op;
	int rc;

	rota_op_stream_copy(&op, from, to, limit);
	rc = rota_await(&op.future);
	if (ret_copied != NULL)
		*ret_copied = op.copied;
	return rc;
}

/* --- both ways ------------------------------------------------------------------------------------------------------ */

static void tell(struct rota_stream_join_op *op, int way)
{
	if (op->ready_[way] || op->told_[way])
		return;
	op->told_[way] = true;
	rota_future_cancel(&op->ways_[way].future);
}

/* The first error is the result; what the other way's cancel brings is not. */
static rota_poll join_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_join_op *op = (struct rota_stream_join_op *)(void *)self;
	bool again = true;

	while (again) {
		again = false;
		for (int way = 0; way < 2; way++) {
			if (op->ready_[way] || rota_future_poll(&op->ways_[way].future, cx) == ROTA_PENDING)
				continue;
			op->ready_[way] = true;
			op->copied[way] = op->ways_[way].copied;
			if (op->ways_[way].future.status >= 0 || self->status < 0)
				continue;
			self->status = op->ways_[way].future.status;
			tell(op, 1 - way);
			again = true; /* what was cancelled is polled once more */
		}
	}
	return op->ready_[0] && op->ready_[1] ? ROTA_READY : ROTA_PENDING;
}

static void join_cancel(struct rota_future *self)
{
	struct rota_stream_join_op *op = (struct rota_stream_join_op *)(void *)self;

	tell(op, 0);
	tell(op, 1);
}

void rota_op_stream_join(struct rota_stream_join_op *op, struct rota_stream *a, struct rota_stream *b)
{
	static const struct rota_future_ops ops = { join_poll, join_cancel, "stream join" };

	rota_future_init(&op->future, &ops);
	copy_init(&op->ways_[0], a, b, UINT64_MAX, true);
	copy_init(&op->ways_[1], b, a, UINT64_MAX, true);
	for (int way = 0; way < 2; way++)
		op->ready_[way] = op->told_[way] = false;
}

int rota_stream_join(struct rota_stream *a, struct rota_stream *b, uint64_t ret_copied[2])
{
	struct rota_stream_join_op op;
	int rc;

	rota_op_stream_join(&op, a, b);
	rc = rota_await(&op.future);
	for (int way = 0; way < 2 && ret_copied != NULL; way++)
		ret_copied[way] = op.copied[way];
	return rc;
}
