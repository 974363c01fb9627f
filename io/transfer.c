/* SPDX-License-Identifier: MIT */
/* Reading and writing until all bytes have moved, as one future over a row of operations. */
#include <errno.h>

#include "op_internal.h"

static struct rota_transfer_op *transfer_of(struct rota_future *future)
{
	return (struct rota_transfer_op *)(void *)future;
}

static void start_next(struct rota_transfer_op *op)
{
	unsigned char *at = op->buf_ + op->done;
	size_t left = op->len_ - op->done;

	if (op->writes_)
		rota_op_write(&op->op_, op->fd_, at, left, -1);
	else
		rota_op_read(&op->op_, op->fd_, at, left, -1);
	if (op->begun_)
		rota__op_goes_on(&op->op_, op->closes_);
	else
		op->closes_ = rota__fd_closes(op->fd_);
	op->begun_ = true;
	op->started_ = true;
}

static rota_poll transfer_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_transfer_op *op = transfer_of(self);

	while (op->done < op->len_) {
		if (!op->started_ && op->cancelled_) {
			self->status = -ECANCELED;
			return ROTA_READY;
		}
		if (!op->started_)
			start_next(op);
		if (rota_future_poll(&op->op_.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		op->started_ = false;
		if (op->op_.future.status == -EINTR)
			continue;
		if (op->op_.future.status <= 0) {
			self->status = op->op_.future.status;
			return ROTA_READY;
		}
		op->done += (size_t)op->op_.future.status;
	}
	self->status = 0;
	return ROTA_READY;
}

static void transfer_cancel(struct rota_future *self)
{
	struct rota_transfer_op *op = transfer_of(self);

	op->cancelled_ = true;
	if (op->started_)
		rota_future_cancel(&op->op_.future);
}

static const struct rota_future_ops transfer_ops = { transfer_poll, transfer_cancel, "transfer" };

static void prepare(struct rota_transfer_op *op, int fd, void *buf, size_t len, bool writes)
{
	rota_future_init(&op->future, &transfer_ops);
	op->done = 0;
	op->len_ = len;
	op->buf_ = buf;
	op->fd_ = fd;
	op->writes_ = writes;
	op->begun_ = false;
	op->started_ = false;
	op->cancelled_ = false;
}

void rota_op_read_exact(struct rota_transfer_op *op, int fd, void *buf, size_t len)
{
	prepare(op, fd, buf, len, false);
}

void rota_op_write_all(struct rota_transfer_op *op, int fd, const void *buf, size_t len)
{
	prepare(op, fd, (void *)(uintptr_t)buf, len, true); /* a write only reads it */
}
