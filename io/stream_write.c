/* SPDX-License-Identifier: MIT */
/* Writing to streams: each call as an async function, and its direct form. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "stream_internal.h"

static struct rota_stream_op *op_of(struct rota_future *future)
{
	return (struct rota_stream_op *)(void *)future;
}

/* --- write_all ------------------------------------------------------------------------------------------------- */

/* Takes what the buffer has room for. */
static void put(struct rota_stream_op *op)
{
	struct rota_stream_half *out = &op->stream_->out_;
	size_t n = op->len_ - op->done;

	if (n > out->size - out->end)
		rota__half_compact(out);
	if (n > out->size - out->end)
		n = out->size - out->end;
	memcpy(out->bytes + out->end, op->buf_ + op->done, n);
	out->end += n;
	op->done += n;
}

static bool goes_directly(const struct rota_stream_op *op)
{
	return rota__half_filled(&op->stream_->out_) == 0 && op->len_ - op->done >= op->stream_->out_.size;
}

static int end_write(struct rota_stream_op *op)
{
	int n = op->io_.future.status;

	if (!op->direct_)
		return rota__stream_drained(&op->io_);
	if (n < 0)
		return n;
	op->done += (size_t)n;
	return 0;
}

static rota_poll write_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_op *op = op_of(self);

	ROTA_ASYNC_BEGIN(op);
	while (op->done < op->len_) {
		op->direct_ = goes_directly(op);
		if (op->direct_) {
			rota__stream_io_init(&op->io_, op->stream_, op->buf_ + op->done, op->len_ - op->done, true);
		} else {
			put(op);
			if (op->done == op->len_)
				break;
			rota__stream_drain_init(&op->io_, op->stream_);
		}
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = end_write(op);
		if (op->error_ < 0)
			ROTA_ASYNC_RETURN(op, op->error_);
	}
	ROTA_ASYNC_END(op);
}

void rota_op_stream_write_all(struct rota_stream_op *op, struct rota_stream *s, const void *buf, size_t len)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(write_poll, "stream write_all");

	rota__stream_op_init(op, &ops, s, buf, len);
}

/* --- flush, reserve ------------------------------------------------------------------------------------------------ */

/* Until `len` bytes fit. */
static rota_poll reserve_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_op *op = op_of(self);

	ROTA_ASYNC_BEGIN(op);
	if (op->len_ > op->stream_->out_.size)
		ROTA_ASYNC_RETURN(op, -EMSGSIZE);
	while (op->stream_->out_.size - rota__half_filled(&op->stream_->out_) < op->len_) {
		rota__stream_drain_init(&op->io_, op->stream_);
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = rota__stream_drained(&op->io_);
		if (op->error_ < 0)
			ROTA_ASYNC_RETURN(op, op->error_);
	}
	ROTA_ASYNC_END(op);
}

void rota_op_stream_reserve(struct rota_stream_op *op, struct rota_stream *s, size_t len)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(reserve_poll, "stream reserve");

	rota__stream_op_init(op, &ops, s, NULL, len);
}

void rota_op_stream_flush(struct rota_stream_op *op, struct rota_stream *s)
{
	rota_op_stream_reserve(op, s, s->out_.size);
}

/* --- shutdown, close ------------------------------------------------------------------------------------------------- */

/* The source's shutdown or close, as a future. It is not begun when it was cancelled before; once begun it is waited for. */
static rota_poll call_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_io *io = (struct rota_stream_io *)(void *)self;
	const struct rota_stream_ops *ops = io->stream_->ops_;
	rota_poll (*call)(void *source, struct rota_context *cx, int *ret) = io->writes_ ? ops->shutdown : ops->close;

	if (call == NULL)
		return ROTA_READY;
	if (io->cancelled_ && !io->started_) {
		self->status = -ECANCELED;
		return ROTA_READY;
	}
	io->started_ = true;
	return call(io->stream_->source_, cx, &self->status);
}

static void call_cancel(struct rota_future *self)
{
	((struct rota_stream_io *)(void *)self)->cancelled_ = true;
}

static void call_init(struct rota_stream_io *io, struct rota_stream *s, bool shutdown)
{
	static const struct rota_future_ops ops = { call_poll, call_cancel, "stream" };

	rota__stream_io_init(io, s, NULL, 0, shutdown);
	rota_future_init(&io->future, &ops);
}

static rota_poll shutdown_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_op *op = op_of(self);

	ROTA_ASYNC_BEGIN(op);
	rota__stream_io_begin(&op->io_, op->stream_, true);
	while (rota__half_filled(&op->stream_->out_) > 0) {
		rota__stream_drain_init(&op->io_, op->stream_);
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = rota__stream_drained(&op->io_);
		if (op->error_ < 0)
			ROTA_ASYNC_RETURN(op, op->error_);
	}
	call_init(&op->io_, op->stream_, true);
	ROTA_AWAIT(op, cx, &op->io_.future);
	ROTA_ASYNC_RETURN(op, op->io_.future.status);
	ROTA_ASYNC_END(op);
}

void rota_op_stream_shutdown(struct rota_stream_op *op, struct rota_stream *s)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(shutdown_poll, "stream shutdown");

	rota__stream_op_init(op, &ops, s, NULL, 0);
}

static rota_poll close_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_op *op = op_of(self);

	ROTA_ASYNC_BEGIN(op);
	while (rota__half_filled(&op->stream_->out_) > 0 && op->error_ == 0) {
		rota__stream_drain_init(&op->io_, op->stream_);
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = rota__stream_drained(&op->io_);
	}
	call_init(&op->io_, op->stream_, false);
	ROTA_AWAIT_SHIELDED(op, cx, &op->io_.future);
	rota_stream_deinit(op->stream_);
	ROTA_ASYNC_RETURN(op, op->error_ < 0 ? op->error_ : op->io_.future.status);
	ROTA_ASYNC_END(op);
}

void rota_op_stream_close(struct rota_stream_op *op, struct rota_stream *s)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(close_poll, "stream close");

	rota__stream_op_init(op, &ops, s, NULL, 0);
}

/* --- the direct forms ---------------------------------------------------------------------------------------------- */

ssize_t rota_stream_write_all(struct rota_stream *s, const void *buf, size_t len)
{
	struct rota_stream_op op;
	int rc;

	rota_op_stream_write_all(&op, s, buf, len);
	rc = rota_await(&op.future);
	return rc < 0 && op.done == 0 ? rc : (ssize_t)op.done;
}

int rota_stream_reserve(struct rota_stream *s, size_t len)
{
	struct rota_stream_op op;

	rota_op_stream_reserve(&op, s, len);
	return rota_await(&op.future);
}

int rota_stream_flush(struct rota_stream *s)
{
	return rota_stream_reserve(s, s->out_.size);
}

int rota_stream_shutdown(struct rota_stream *s)
{
	struct rota_stream_op op;

	rota_op_stream_shutdown(&op, s);
	return rota_await(&op.future);
}

int rota_stream_close(struct rota_stream *s)
{
	struct rota_stream_op op;

	rota_op_stream_close(&op, s);
	return rota_await(&op.future);
}

int rota_stream_printf(struct rota_stream *s, const char *format, ...)
{
	struct rota_stream_half *out = &s->out_;

	for (;;) {
		va_list arguments;
		int n, rc;

		rota__half_compact(out);
		va_start(arguments, format);
		n = vsnprintf((char *)out->bytes + out->end, out->size - out->end, format, arguments);
		va_end(arguments);
		if (n < 0)
			return -EINVAL;
		if ((size_t)n < out->size - out->end) {
			out->end += (size_t)n;
			return n;
		}
		rc = rota_stream_reserve(s, (size_t)n + 1);
		if (rc < 0)
			return rc;
	}
}
