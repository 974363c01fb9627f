/* SPDX-License-Identifier: MIT */
/* Streams over descriptors: the source is the stream itself, which has an operation for each direction. */
#include <errno.h>
#include <sys/socket.h>

#include "carrier_internal.h"
#include "op_internal.h"
#include "stream_internal.h"
#include "sys_net_internal.h"

static rota_poll finish(struct rota_op *op, bool *busy, struct rota_context *cx)
{
	if (rota_future_poll(&op->future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	*busy = false;
	return ROTA_READY;
}

static rota_poll fd_read(void *source, struct rota_context *cx, void *buf, size_t len, ssize_t *ret)
{
	struct rota_stream *s = source;

	if (!s->in_busy_) {
		rota_op_read(&s->in_op_, s->in_fd_, buf, len, -1);
		rota__op_goes_on(&s->in_op_, s->in_closes_);
	}
	s->in_busy_ = true;
	if (finish(&s->in_op_, &s->in_busy_, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	*ret = s->in_op_.future.status;
	return ROTA_READY;
}

static rota_poll fd_write(void *source, struct rota_context *cx, const void *buf, size_t len, ssize_t *ret)
{
	struct rota_stream *s = source;

	if (!s->out_busy_) {
		rota_op_write(&s->out_op_, s->out_fd_, buf, len, -1);
		rota__op_goes_on(&s->out_op_, s->out_closes_);
	}
	s->out_busy_ = true;
	if (finish(&s->out_op_, &s->out_busy_, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	*ret = s->out_op_.future.status;
	return ROTA_READY;
}

static void fd_cancel(void *source, bool writes)
{
	struct rota_stream *s = source;

	rota_future_cancel(writes ? &s->out_op_.future : &s->in_op_.future);
}

/* Closes *fd, which is -1 afterwards. */
static rota_poll close_one(struct rota_op *op, bool *busy, int *fd, struct rota_context *cx, int *ret)
{
	if (!*busy)
		rota_op_close(op, *fd);
	*busy = true;
	if (finish(op, busy, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	*fd = -1;
	*ret = op->future.status;
	return ROTA_READY;
}

static rota_poll fd_shutdown(void *source, struct rota_context *cx, int *ret)
{
	struct rota_stream *s = source;
	const bool begins = !s->out_busy_;

	if (begins && !rota__call_begin(s->out_fd_, s->out_closes_)) {
		*ret = -ECANCELED; /* the number may be somebody else's */
		return ROTA_READY;
	}
	if (s->out_fd_ == s->in_fd_)
		*ret = rota__sys_shutdown(s->out_fd_, SHUT_WR);
	if (begins)
		rota__call_end(s->out_fd_);
	if (s->out_fd_ == s->in_fd_)
		return ROTA_READY;
	return close_one(&s->out_op_, &s->out_busy_, &s->out_fd_, cx, ret);
}

static rota_poll fd_close(void *source, struct rota_context *cx, int *ret)
{
	struct rota_stream *s = source;
	int rc = 0;

	if (s->out_fd_ == s->in_fd_)
		s->out_fd_ = -1;
	if (s->out_fd_ >= 0 && close_one(&s->out_op_, &s->out_busy_, &s->out_fd_, cx, &rc) == ROTA_PENDING)
		return ROTA_PENDING;
	*ret = rc;
	if (s->in_fd_ >= 0 && close_one(&s->in_op_, &s->in_busy_, &s->in_fd_, cx, &rc) == ROTA_PENDING)
		return ROTA_PENDING;
	if (rc < 0)
		*ret = rc;
	return ROTA_READY;
}

const struct rota_stream_ops rota__stream_fd_ops = {
	.read = fd_read,
	.write = fd_write,
	.cancel = fd_cancel,
	.shutdown = fd_shutdown,
	.close = fd_close,
};
