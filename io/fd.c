/* SPDX-License-Identifier: MIT */
#include "fd.h"

#include <errno.h>

#include "../runtime/task.h"
#include "op.h"

ssize_t rota_read(int fd, void *buf, size_t len)
{
	struct rota_op op;

	rota_op_read(&op, fd, buf, len, -1);
	return rota_await(&op.future);
}

ssize_t rota_write(int fd, const void *buf, size_t len)
{
	struct rota_op op;

	rota_op_write(&op, fd, buf, len, -1);
	return rota_await(&op.future);
}

ssize_t rota_readv(int fd, const struct iovec *iov, int iovcnt)
{
	struct rota_op op;

	rota_op_readv(&op, fd, iov, iovcnt, -1);
	return rota_await(&op.future);
}

ssize_t rota_writev(int fd, const struct iovec *iov, int iovcnt)
{
	struct rota_op op;

	rota_op_writev(&op, fd, iov, iovcnt, -1);
	return rota_await(&op.future);
}

ssize_t rota_pread(int fd, void *buf, size_t len, off_t offset)
{
	struct rota_op op;

	if (offset < 0)
		return -EINVAL;
	rota_op_read(&op, fd, buf, len, offset);
	return rota_await(&op.future);
}

ssize_t rota_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	struct rota_op op;

	if (offset < 0)
		return -EINVAL;
	rota_op_write(&op, fd, buf, len, offset);
	return rota_await(&op.future);
}

ssize_t rota_preadv(int fd, const struct iovec *iov, int iovcnt, off_t offset)
{
	struct rota_op op;

	if (offset < 0)
		return -EINVAL;
	rota_op_readv(&op, fd, iov, iovcnt, offset);
	return rota_await(&op.future);
}

ssize_t rota_pwritev(int fd, const struct iovec *iov, int iovcnt, off_t offset)
{
	struct rota_op op;

	if (offset < 0)
		return -EINVAL;
	rota_op_writev(&op, fd, iov, iovcnt, offset);
	return rota_await(&op.future);
}

static ssize_t transfer(struct rota_transfer_op *op)
{
	int rc = rota_await(&op->future);

	return rc < 0 && op->done == 0 ? rc : (ssize_t)op->done;
}

ssize_t rota_read_exact(int fd, void *buf, size_t len)
{
	struct rota_transfer_op op;

	rota_op_read_exact(&op, fd, buf, len);
	return transfer(&op);
}

ssize_t rota_write_all(int fd, const void *buf, size_t len)
{
	struct rota_transfer_op op;

	rota_op_write_all(&op, fd, buf, len);
	return transfer(&op);
}

int rota_poll_fd(int fd, short events)
{
	struct rota_op op;

	rota_op_poll(&op, fd, events);
	return rota_await(&op.future);
}

int rota_close(int fd)
{
	struct rota_op op;
	int rc;

	rota_op_close(&op, fd);
	rota_shield_enter();
	rc = rota_await(&op.future);
	rota_shield_leave();
	return rc;
}
