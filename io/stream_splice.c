/* SPDX-License-Identifier: MIT */
/*
 * The part of a copy between two streams over descriptors that needs no buffer: where one of the two is a pipe, and once
 * the buffers of both streams are empty, bytes go from one to the other by splices.
 *
 * Between two sockets it would take a pipe of the copy's own between them, and two splices for each part. Measured over
 * TCP on the loopback that was slower than the buffer (446 and 358 MB/s against 519 and 432 with parts of 8 KiB, 961 and
 * 973 against 1,301 and 1,234 with 64 KiB) and took more CPU.
 */
#include <errno.h>

#include "splice_internal.h"
#include "stream_copy.h"
#include "stream_internal.h"
#include "sys_internal.h"

#define PART_MAX ((uint64_t)1024 * 1024)

/* Whether both are descriptors, one of them a pipe. */
static bool is_possible(const struct rota_stream_splice *op)
{
	return op->from_->in_error_ == 0 && op->from_->ops_ == &rota__stream_fd_ops &&
	       op->to_->ops_ == &rota__stream_fd_ops &&
	       (rota__sys_is_pipe(op->from_->in_fd_) || rota__sys_is_pipe(op->to_->out_fd_));
}

static rota_poll splice_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_stream_splice *op = (struct rota_stream_splice *)(void *)self;
	uint64_t left;
	int n;

	ROTA_ASYNC_BEGIN(op);
	if (!is_possible(op))
		ROTA_ASYNC_RETURN(op, ROTA__SPLICE_UNABLE);
	while (*op->copied_ < op->limit_) {
		left = op->limit_ - *op->copied_;
		rota_op_splice(&op->splice_, op->from_->in_fd_, -1, op->to_->out_fd_, -1,
			       (size_t)(left < PART_MAX ? left : PART_MAX), 0);
		rota__splice_goes_on(&op->splice_, op->from_->in_closes_, op->to_->out_closes_);
		ROTA_AWAIT(op, cx, &op->splice_.future);
		n = op->splice_.future.status;
		if (n == -EINVAL || n == -ENOSYS || n == -EOPNOTSUPP) /* what these descriptors cannot do */
			ROTA_ASYNC_RETURN(op, ROTA__SPLICE_UNABLE);
		if (n <= 0)
			ROTA_ASYNC_RETURN(op, n);
		*op->copied_ += (uint64_t)n;
		op->to_->written_ += (uint64_t)n;
	}
	ROTA_ASYNC_END(op);
}

void rota__stream_splice_init(struct rota_stream_splice *op, struct rota_stream *from, struct rota_stream *to,
			      uint64_t limit, uint64_t *copied)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(splice_poll, "stream copy");

	rota_async_init(&op->async, &ops);
	op->from_ = from;
	op->to_ = to;
	op->limit_ = limit;
	op->copied_ = copied;
}
