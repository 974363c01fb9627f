/* SPDX-License-Identifier: MIT */
/* Reading from streams: each call as an async function, and its direct form. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "stream_internal.h"

static struct rota_stream_op *op_of(struct rota_future *future)
{
	return (struct rota_stream_op *)(void *)future;
}

/* Moves what is in the buffer to the caller's, as far as there is room. */
static void move(struct rota_stream_op *op)
{
	struct rota_stream_half *in = &op->stream_->in_;
	size_t n = rota__half_filled(in);

	if (n > op->len_ - op->done)
		n = op->len_ - op->done;
	if (n == 0)
		return;
	memcpy(op->buf_ + op->done, rota__half_first(in), n);
	rota__half_drop(in, n);
	op->done += n;
}

/* The next read of the source: into the stream's buffer, which is empty, or directly into the caller's where that has room
 * for as much. */
static void begin_read(struct rota_stream_op *op)
{
	size_t room = op->len_ - op->done;

	op->direct_ = room >= op->stream_->in_.size;
	if (op->direct_)
		rota__stream_io_init(&op->io_, op->stream_, op->buf_ + op->done, room, false);
	else
		rota__stream_fill_init(&op->io_, op->stream_);
}

/* 1, 0 at the end, an error. */
static int end_read(struct rota_stream_op *op)
{
	int n = op->io_.future.status;

	if (!op->direct_)
		n = rota__stream_filled(&op->io_);
	else if (n > 0)
		op->done += (size_t)n;
	return n > 0 ? 1 : n;
}

/* --- fill ----------------------------------------------------------------------------------------------------- */

static rota_poll fill_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_op *op = op_of(self);

	ROTA_ASYNC_BEGIN(op);
	if (op->len_ > op->stream_->in_.size)
		ROTA_ASYNC_RETURN(op, -EMSGSIZE);
	while (rota__half_filled(&op->stream_->in_) < op->len_) {
		rota__stream_fill_init(&op->io_, op->stream_);
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = rota__stream_filled(&op->io_);
		if (op->error_ < 0)
			ROTA_ASYNC_RETURN(op, op->error_);
		if (op->error_ == 0)
			break;
	}
	ROTA_ASYNC_RETURN(op, (int)rota__half_filled(&op->stream_->in_));
	ROTA_ASYNC_END(op);
}

void rota_op_stream_fill(struct rota_stream_op *op, struct rota_stream *s, size_t len)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(fill_poll, "stream fill");

	rota__stream_op_init(op, &ops, s, NULL, len);
}

/* --- read, read_exact, read_to_end ---------------------------------------------------------------------------------- */

static rota_poll read_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_op *op = op_of(self);

	ROTA_ASYNC_BEGIN(op);
	move(op);
	if (op->done == 0 && op->len_ > 0) {
		begin_read(op);
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = end_read(op);
		if (op->error_ < 0)
			ROTA_ASYNC_RETURN(op, op->error_);
		move(op);
	}
	ROTA_ASYNC_RETURN(op, (int)op->done);
	ROTA_ASYNC_END(op);
}

void rota_op_stream_read(struct rota_stream_op *op, struct rota_stream *s, void *buf, size_t len)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(read_poll, "stream read");

	rota__stream_op_init(op, &ops, s, buf, len < ROTA__STREAM_MAX ? len : ROTA__STREAM_MAX);
}

static rota_poll exact_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_op *op = op_of(self);

	ROTA_ASYNC_BEGIN(op);
	move(op);
	while (op->done < op->len_) {
		begin_read(op);
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = end_read(op);
		if (op->error_ <= 0)
			ROTA_ASYNC_RETURN(op, op->error_);
		move(op);
	}
	ROTA_ASYNC_END(op);
}

void rota_op_stream_read_exact(struct rota_stream_op *op, struct rota_stream *s, void *buf, size_t len)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(exact_poll, "stream read_exact");

	rota__stream_op_init(op, &ops, s, buf, len);
}

static rota_poll to_end_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_op *op = op_of(self);

	ROTA_ASYNC_BEGIN(op);
	for (;;) {
		move(op);
		if (rota__half_filled(&op->stream_->in_) > 0)
			ROTA_ASYNC_RETURN(op, -EMSGSIZE);
		begin_read(op); /* without room: whether the end is here */
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = end_read(op);
		if (op->error_ <= 0)
			ROTA_ASYNC_RETURN(op, op->error_);
	}
	ROTA_ASYNC_END(op);
}

void rota_op_stream_read_to_end(struct rota_stream_op *op, struct rota_stream *s, void *buf, size_t size)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(to_end_poll, "stream read_to_end");

	rota__stream_op_init(op, &ops, s, buf, size);
}

/* --- up to a delimiter --------------------------------------------------------------------------------------------- */

/* Takes `total` bytes off the buffer, of which the first `len` go to the caller. */
static int deliver(struct rota_stream_op *op, size_t len, size_t total)
{
	memcpy(op->buf_, rota__half_first(&op->stream_->in_), len);
	rota__half_drop(&op->stream_->in_, total);
	op->done = len;
	return 1;
}

/* Where the delimiter begins in the buffer, or -1. What was searched is not searched again. */
static ssize_t find(struct rota_stream_op *op)
{
	const unsigned char *first = rota__half_first(&op->stream_->in_);
	size_t filled = rota__half_filled(&op->stream_->in_);
	const unsigned char *at = NULL;

	if (filled > op->scanned_)
		at = memmem(first + op->scanned_, filled - op->scanned_, op->delimiter_, op->delimiter_len_);
	if (at != NULL)
		return at - first;
	if (filled >= op->delimiter_len_)
		op->scanned_ = filled - op->delimiter_len_ + 1; /* its beginning may be there */
	return -1;
}

/* 1: delivered. 0: more is needed. An error. */
static int try_until(struct rota_stream_op *op)
{
	size_t filled = rota__half_filled(&op->stream_->in_);
	ssize_t at = find(op);
	size_t total = (size_t)at + op->delimiter_len_;

	if (at < 0)
		return filled >= op->len_ || filled == op->stream_->in_.size ? -EMSGSIZE : 0;
	return total <= op->len_ ? deliver(op, total, total) : -EMSGSIZE;
}

/* The bytes before the end of a line that are not text: a carriage return. */
static size_t returns(const unsigned char *first, size_t len)
{
	return len > 0 && first[len - 1] == '\r';
}

static int try_line(struct rota_stream_op *op)
{
	const unsigned char *first = rota__half_first(&op->stream_->in_);
	size_t filled = rota__half_filled(&op->stream_->in_);
	ssize_t at = find(op);
	size_t len = at < 0 ? filled : (size_t)at;

	len -= returns(first, len);
	if (len > op->len_ || (at < 0 && filled == op->stream_->in_.size))
		return -EMSGSIZE;
	if (at < 0)
		return 0;
	deliver(op, len, (size_t)at + 1);
	op->buf_[len] = '\0';
	return 1;
}

/* What is left, at the end of the stream. */
static int deliver_rest(struct rota_stream_op *op)
{
	size_t filled = rota__half_filled(&op->stream_->in_);

	if (filled == 0)
		return 0;
	if (filled > op->len_)
		return -EMSGSIZE;
	deliver(op, filled, filled);
	if (op->line_)
		op->buf_[filled] = '\0';
	return 1;
}

static rota_poll search_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_op *op = op_of(self);

	ROTA_ASYNC_BEGIN(op);
	while ((op->error_ = op->line_ ? try_line(op) : try_until(op)) == 0) {
		rota__stream_fill_init(&op->io_, op->stream_);
		ROTA_AWAIT(op, cx, &op->io_.future);
		op->error_ = rota__stream_filled(&op->io_);
		if (op->error_ == 0)
			op->error_ = deliver_rest(op);
		else if (op->error_ > 0)
			continue;
		break;
	}
	ROTA_ASYNC_RETURN(op, op->error_);
	ROTA_ASYNC_END(op);
}

static const struct rota_future_ops search_ops = ROTA_ASYNC_OPS(search_poll, "stream read_until");

static rota_poll refused_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	self->status = -EINVAL;
	return ROTA_READY;
}

static const struct rota_future_ops refused_ops = ROTA_ASYNC_OPS(refused_poll, "stream");

void rota_op_stream_read_until(struct rota_stream_op *op, struct rota_stream *s, const void *delimiter,
			       size_t delimiter_len, void *buf, size_t size)
{
	rota__stream_op_init(op, delimiter_len > 0 ? &search_ops : &refused_ops, s, buf, size);
	op->delimiter_ = delimiter;
	op->delimiter_len_ = delimiter_len;
}

void rota_op_stream_read_line(struct rota_stream_op *op, struct rota_stream *s, char *buf, size_t size)
{
	rota__stream_op_init(op, size > 0 ? &search_ops : &refused_ops, s, buf, size - 1);
	op->delimiter_ = (const unsigned char *)"\n";
	op->delimiter_len_ = 1;
	op->line_ = true;
}

/* --- the direct forms ---------------------------------------------------------------------------------------------- */

ssize_t rota_stream_fill(struct rota_stream *s, size_t len)
{
	struct rota_stream_op op;

	rota_op_stream_fill(&op, s, len);
	return rota_await(&op.future);
}

ssize_t rota_stream_read(struct rota_stream *s, void *buf, size_t len)
{
	struct rota_stream_op op;

	rota_op_stream_read(&op, s, buf, len);
	return rota_await(&op.future);
}

ssize_t rota_stream_read_exact(struct rota_stream *s, void *buf, size_t len)
{
	struct rota_stream_op op;
	int rc;

	rota_op_stream_read_exact(&op, s, buf, len);
	rc = rota_await(&op.future);
	if (rc < 0 && op.done == 0)
		return rc;
	if (rc < 0 && rc != -ECANCELED) /* a cancelled task meets that anyway */
		s->in_error_ = rc;
	return (ssize_t)op.done;
}

int rota_stream_read_line(struct rota_stream *s, char *buf, size_t size, size_t *ret_len)
{
	struct rota_stream_op op;
	int rc;

	rota_op_stream_read_line(&op, s, buf, size);
	rc = rota_await(&op.future);
	if (rc > 0 && ret_len != NULL)
		*ret_len = op.done;
	return rc;
}

int rota_stream_read_until(struct rota_stream *s, const void *delimiter, size_t delimiter_len, void *buf, size_t size,
			   size_t *ret_len)
{
	struct rota_stream_op op;
	int rc;

	rota_op_stream_read_until(&op, s, delimiter, delimiter_len, buf, size);
	rc = rota_await(&op.future);
	if (rc > 0)
		*ret_len = op.done;
	return rc;
}

int rota_stream_read_to_end(struct rota_stream *s, void *buf, size_t *len)
{
	struct rota_stream_op op;
	int rc;

	rota_op_stream_read_to_end(&op, s, buf, *len);
	rc = rota_await(&op.future);
	*len = op.done;
	return rc;
}
