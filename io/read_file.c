/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "sys_internal.h"
#include "whole_file.h"

#define STEP 4096u

/* Room for more; one byte above the limit, to see what is too long, and always one for the NUL. */
static int grow(struct rota_read_file_op *op)
{
	size_t room = op->room_ == 0 ? rota__sys_size(op->fd_) + 1 : op->room_ * 2;
	char *bytes;

	if (op->len > op->limit_)
		return -EFBIG;
	if (room < STEP)
		room = STEP;
	if (room > op->limit_)
		room = op->limit_ < SIZE_MAX - 1 ? op->limit_ + 1 : SIZE_MAX - 1;
	bytes = realloc(op->bytes, room + 1);
	if (bytes == NULL)
		return -ENOMEM;
	op->bytes = bytes;
	op->room_ = room;
	return 0;
}

static rota_poll read_file_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_read_file_op *op = (struct rota_read_file_op *)(void *)self;

	ROTA_ASYNC_BEGIN(op);
	rota_op_open(&op->op_, op->path_, O_RDONLY, 0);
	ROTA_AWAIT(op, cx, &op->op_.future);
	op->fd_ = op->op_.future.status;
	if (op->fd_ < 0)
		ROTA_ASYNC_RETURN(op, op->fd_);
	while ((op->error_ = op->len < op->room_ ? 0 : grow(op)) == 0) {
		rota_op_read(&op->op_, op->fd_, op->bytes + op->len, op->room_ - op->len, -1);
		ROTA_AWAIT(op, cx, &op->op_.future);
		op->error_ = op->op_.future.status;
		if (op->error_ <= 0)
			break;
		op->len += (size_t)op->error_;
	}
	if (op->error_ == 0 && op->len > op->limit_)
		op->error_ = -EFBIG;
	rota_op_close(&op->op_, op->fd_);
	ROTA_AWAIT_SHIELDED(op, cx, &op->op_.future);
	if (op->error_ < 0) {
		free(op->bytes);
		op->bytes = NULL;
	} else {
		op->bytes[op->len] = '\0';
	}
	ROTA_ASYNC_RETURN(op, op->error_);
	ROTA_ASYNC_END(op);
}

void rota_op_read_file(struct rota_read_file_op *op, const char *path, size_t limit)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(read_file_poll, "read file");

	rota_async_init(&op->async, &ops);
	op->bytes = NULL;
	op->len = 0;
	op->path_ = path;
	op->limit_ = limit;
	op->room_ = 0;
	op->fd_ = -1;
	op->error_ = 0;
}

int rota_read_file(const char *path, size_t limit, char **ret_bytes, size_t *ret_len)
{
	struct rota_read_file_op op;
	int rc;

	rota_op_read_file(&op, path, limit);
	rc = rota_await(&op.future);
	if (rc < 0)
		return rc;
	*ret_bytes = op.bytes;
	if (ret_len != NULL)
		*ret_len = op.len;
	return 0;
}
