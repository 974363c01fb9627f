/* SPDX-License-Identifier: MIT */
/* The operations on plain descriptors: how each is filled in. */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>

#include "fd_hint_internal.h"
#include "op_internal.h"
#include "sys_internal.h"

#define IOV_COUNT_MAX 1024 /* UIO_MAXIOV of the kernel */

static void use_hint(struct rota_op *op)
{
	/* Of nothing, read(2) returns at once where recv(2) waits. */
	if (op->len_ == 0 || op->offset_ != UINT64_MAX || !rota__fd_hinted(&rota__fd_sockets, op->fd_))
		return;
	op->flags_ = op->opcode_ == IORING_OP_WRITE ? MSG_NOSIGNAL : 0;
	op->opcode_ = op->opcode_ == IORING_OP_READ ? IORING_OP_RECV : IORING_OP_SEND;
	op->offset_ = 0;
	op->as_socket_ = 1;
}

static void check_offset(struct rota_op *op, off_t offset)
{
	int rc;

	if (offset == -1 || (offset >= 0 && rota__fd_hinted(&rota__fd_seekables, op->fd_)))
		return;
	rc = rota__sys_check_offset(op->fd_, offset);
	if (rc < 0)
		rota__op_refuse(op, rc);
	else if (rota__sys_kind(op->fd_) != ROTA__KIND_NONE)
		rota__fd_hint(&rota__fd_seekables, op->fd_, true);
}

void rota_op_read(struct rota_op *op, int fd, void *buf, size_t len, off_t offset)
{
	rota__op_prepare(op, IORING_OP_READ, fd, buf, len, (uint64_t)offset, 0);
	use_hint(op);
	check_offset(op, offset);
}

void rota_op_write(struct rota_op *op, int fd, const void *buf, size_t len, off_t offset)
{
	rota__op_prepare(op, IORING_OP_WRITE, fd, buf, len, (uint64_t)offset, 0);
	use_hint(op);
	check_offset(op, offset);
}

static void prepare_vector(struct rota_op *op, unsigned opcode, int fd, const struct iovec *iov, int iovcnt,
			   off_t offset)
{
	rota__op_prepare(op, opcode, fd, iov, iovcnt > 0 ? (size_t)iovcnt : 0, (uint64_t)offset, 0);
	check_offset(op, offset);
	if (iovcnt < 0 || iovcnt > IOV_COUNT_MAX)
		rota__op_refuse(op, -EINVAL);
	else if (iovcnt > 0 && iov == NULL) /* which is looked at here, too */
		rota__op_refuse(op, -EFAULT);
}

void rota_op_readv(struct rota_op *op, int fd, const struct iovec *iov, int iovcnt, off_t offset)
{
	prepare_vector(op, IORING_OP_READV, fd, iov, iovcnt, offset);
}

void rota_op_writev(struct rota_op *op, int fd, const struct iovec *iov, int iovcnt, off_t offset)
{
	prepare_vector(op, IORING_OP_WRITEV, fd, iov, iovcnt, offset);
}

void rota_op_recv(struct rota_op *op, int fd, void *buf, size_t len, int flags)
{
	rota__op_prepare(op, IORING_OP_RECV, fd, buf, len, 0, rota__op_receive_flags(flags));
}

void rota_op_send(struct rota_op *op, int fd, const void *buf, size_t len, int flags)
{
	rota__op_prepare(op, IORING_OP_SEND, fd, buf, len, 0, (uint32_t)flags | MSG_NOSIGNAL);
}

void rota_op_accept(struct rota_op *op, int fd, struct sockaddr *addr, socklen_t *len)
{
	rota__op_prepare(op, IORING_OP_ACCEPT, fd, addr, 0, (uintptr_t)len, SOCK_CLOEXEC);
}

void rota_op_connect(struct rota_op *op, int fd, const struct sockaddr *addr, socklen_t len)
{
	rota__op_prepare(op, IORING_OP_CONNECT, fd, addr, 0, len, 0);
}

void rota_op_poll(struct rota_op *op, int fd, short events)
{
	rota__op_prepare(op, IORING_OP_POLL_ADD, fd, NULL, 0, 0, (uint16_t)events);
}

void rota_op_close(struct rota_op *op, int fd)
{
	rota__op_prepare(op, IORING_OP_CLOSE, fd, NULL, 0, 0, 0);
	rota__fd_forget(fd);
}
