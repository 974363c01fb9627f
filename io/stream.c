/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <errno.h>
#include <string.h>

#include "../runtime/alloc_internal.h"
#include "fd_closes_internal.h"
#include "stream_internal.h"

#define ALIGN 64u

static int half_init(struct rota_stream_half *half, void *bytes, size_t size)
{
	*half = (struct rota_stream_half){ .bytes = bytes, .size = size };
	if (bytes != NULL)
		return size > 0 ? 0 : -EINVAL;
	if (size == 0)
		half->size = ROTA_STREAM_BUFFER;
	half->bytes = rota__alloc(half->size, ALIGN);
	half->allocated = half->bytes != NULL;
	return half->allocated ? 0 : -ENOMEM;
}

static void half_deinit(struct rota_stream_half *half)
{
	if (half->allocated)
		rota__free(half->bytes, half->size, ALIGN);
	*half = (struct rota_stream_half){ .bytes = NULL };
}

int rota_stream_init(struct rota_stream *s, const struct rota_stream_ops *ops, void *source,
		     const struct rota_stream_buffers *buffers)
{
	const struct rota_stream_buffers none = { NULL, 0, NULL, 0 };
	int rc;

	if (ops == NULL || ops->read == NULL || ops->write == NULL)
		return -EINVAL;
	if (buffers == NULL)
		buffers = &none;
	*s = (struct rota_stream){ .ops_ = ops, .source_ = source, .in_fd_ = -1, .out_fd_ = -1 };
	rc = half_init(&s->in_, buffers->in, buffers->in_size);
	if (rc == 0)
		rc = half_init(&s->out_, buffers->out, buffers->out_size);
	if (rc < 0)
		rota_stream_deinit(s);
	return rc;
}

int rota_stream_init_fds(struct rota_stream *s, int in_fd, int out_fd, const struct rota_stream_buffers *buffers)
{
	int rc = rota_stream_init(s, &rota__stream_fd_ops, s, buffers);

	s->in_fd_ = in_fd;
	s->out_fd_ = out_fd;
	return rc;
}

int rota_stream_init_fd(struct rota_stream *s, int fd, const struct rota_stream_buffers *buffers)
{
	return rota_stream_init_fds(s, fd, fd, buffers);
}

void rota_stream_deinit(struct rota_stream *s)
{
	half_deinit(&s->in_);
	half_deinit(&s->out_);
}

/* --- the buffers ---------------------------------------------------------------------------------------------- */

void rota__half_compact(struct rota_stream_half *half)
{
	if (half->start == 0)
		return;
	memmove(half->bytes, half->bytes + half->start, half->end - half->start);
	half->end -= half->start;
	half->start = 0;
}

const void *rota_stream_peek(const struct rota_stream *s, size_t *ret_len)
{
	*ret_len = rota__half_filled(&s->in_);
	return rota__half_first(&s->in_);
}

void rota_stream_consume(struct rota_stream *s, size_t len)
{
	size_t filled = rota__half_filled(&s->in_);

	rota__half_drop(&s->in_, len < filled ? len : filled);
}

size_t rota_stream_unwritten(const struct rota_stream *s)
{
	return rota__half_filled(&s->out_);
}

uint64_t rota_stream_written(const struct rota_stream *s)
{
	return s->written_;
}

/* --- one call of the source ------------------------------------------------------------------------------------- */

static rota_poll io_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_io *io = (struct rota_stream_io *)(void *)self;
	struct rota_stream *s = io->stream_;
	ssize_t n = 0;
	rota_poll polled;

	if (!io->writes_ && s->in_error_ != 0) {
		self->status = s->in_error_;
		s->in_error_ = 0;
		return ROTA_READY;
	}
	if (io->cancelled_ && !io->started_) {
		self->status = -ECANCELED;
		return ROTA_READY;
	}
	io->started_ = true;
	rota__stream_io_begin(io, s, io->writes_);
	polled = io->writes_ ? s->ops_->write(s->source_, cx, io->buf_, io->len_, &n)
			     : s->ops_->read(s->source_, cx, io->buf_, io->len_, &n);
	if (polled == ROTA_PENDING)
		return ROTA_PENDING;
	if (n > (ssize_t)io->len_ || (n == 0 && io->writes_))
		n = -EIO; /* the source cannot count */
	if (n > 0 && io->writes_)
		s->written_ += (uint64_t)n;
	self->status = (int)n;
	return ROTA_READY;
}

static void io_cancel(struct rota_future *self)
{
	struct rota_stream_io *io = (struct rota_stream_io *)(void *)self;
	struct rota_stream *s = io->stream_;

	io->cancelled_ = true;
	if (io->started_ && s->ops_->cancel != NULL)
		s->ops_->cancel(s->source_, io->writes_);
}

static const struct rota_future_ops io_ops = { .poll = io_poll, .cancel = io_cancel, .name = "stream" };

void rota__stream_io_init(struct rota_stream_io *io, struct rota_stream *s, const void *buf, size_t len, bool writes)
{
	rota_future_init(&io->future, &io_ops);
	io->stream_ = s;
	io->buf_ = (unsigned char *)(uintptr_t)buf; /* a write only reads it */
	io->len_ = len < ROTA__STREAM_MAX ? len : ROTA__STREAM_MAX;
	io->writes_ = writes;
	io->started_ = false;
	io->cancelled_ = false;
}

void rota__stream_io_begin(struct rota_stream_io *io, struct rota_stream *s, bool writes)
{
	if (io->begun_[writes] || s->ops_ != &rota__stream_fd_ops)
		return;
	io->begun_[writes] = true;
	if (writes)
		s->out_closes_ = rota__fd_closes(s->out_fd_);
	else
		s->in_closes_ = rota__fd_closes(s->in_fd_);
}

void rota__stream_fill_init(struct rota_stream_io *io, struct rota_stream *s)
{
	if (s->in_.end == s->in_.size)
		rota__half_compact(&s->in_);
	rota__stream_io_init(io, s, s->in_.bytes + s->in_.end, s->in_.size - s->in_.end, false);
}

int rota__stream_filled(struct rota_stream_io *io)
{
	int n = io->future.status;

	if (n > 0)
		io->stream_->in_.end += (size_t)n;
	return n > 0 ? 1 : n;
}

void rota__stream_drain_init(struct rota_stream_io *io, struct rota_stream *s)
{
	rota__stream_io_init(io, s, rota__half_first(&s->out_), rota__half_filled(&s->out_), true);
}

int rota__stream_drained(struct rota_stream_io *io)
{
	int n = io->future.status;

	if (n < 0)
		return n;
	rota__half_drop(&io->stream_->out_, (size_t)n);
	return 0;
}

void rota__stream_op_init(struct rota_stream_op *op, const struct rota_future_ops *ops, struct rota_stream *s,
			  const void *buf, size_t len)
{
	rota_async_init(&op->async, ops);
	op->done = 0;
	op->stream_ = s;
	op->buf_ = (unsigned char *)(uintptr_t)buf; /* a write only reads it */
	op->len_ = len;
	op->scanned_ = 0;
	op->delimiter_ = NULL;
	op->delimiter_len_ = 0;
	op->error_ = 0;
	op->direct_ = false;
	op->line_ = false;
	op->io_.begun_[false] = op->io_.begun_[true] = false;
}
