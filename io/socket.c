/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "socket.h"

#include <errno.h>
#include <liburing.h>

#include "op_internal.h"
#include "sys_net_internal.h"

void rota_op_sendmsg(struct rota_op *op, int fd, const struct msghdr *message, int flags)
{
	rota__op_prepare(op, IORING_OP_SENDMSG, fd, message, 1, 0, (uint32_t)flags | MSG_NOSIGNAL);
}

void rota_op_recvmsg(struct rota_op *op, int fd, struct msghdr *message, int flags)
{
	rota__op_prepare(op, IORING_OP_RECVMSG, fd, message, 1, 0, rota__op_receive_flags(flags) | MSG_CMSG_CLOEXEC);
}

void rota_op_accept4(struct rota_op *op, int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	rota_op_accept(op, fd, addr, len);
	op->flags_ |= (uint32_t)flags;
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		rota__op_refuse(op, -EINVAL);
}

void rota_op_send_zero_copy(struct rota_op *op, int fd, const void *buf, size_t len, int flags)
{
	rota__op_prepare(op, ROTA__OP_SEND_ZC, fd, buf, len, 0, (uint32_t)flags | MSG_NOSIGNAL);
	op->more_ = ROTA__MORE_NOTIFICATION;
}

void rota_op_sendmsg_zero_copy(struct rota_op *op, int fd, const struct msghdr *message, int flags)
{
	rota__op_prepare(op, ROTA__OP_SENDMSG_ZC, fd, message, 1, 0, (uint32_t)flags | MSG_NOSIGNAL);
	op->more_ = ROTA__MORE_NOTIFICATION;
}

/* --- sendto and recvfrom: a message of one part, which lives in the operation ------------------------------------- */

static struct rota_message_op *message_of(struct rota_future *future)
{
	return (struct rota_message_op *)(void *)future;
}

static rota_poll message_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_message_op *op = message_of(self);

	if (rota_future_poll(&op->op_.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = op->op_.future.status;
	if (self->status >= 0 && op->len_ != NULL)
		*op->len_ = op->message_.msg_namelen;
	return ROTA_READY;
}

static void message_cancel(struct rota_future *self)
{
	rota_future_cancel(&message_of(self)->op_.future);
}

static const struct rota_future_ops message_ops = {
	.poll = message_poll,
	.cancel = message_cancel,
	.name = "message",
};

static void prepare(struct rota_message_op *op, const void *buf, size_t len, const struct sockaddr *addr,
		    socklen_t addr_len)
{
	rota_future_init(&op->future, &message_ops);
	op->len_ = NULL;
	op->part_ = (struct iovec){ (void *)(uintptr_t)buf, len }; /* a send only reads it */
	op->message_ = (struct msghdr){
		.msg_name = (void *)(uintptr_t)addr, .msg_namelen = addr_len, .msg_iov = &op->part_, .msg_iovlen = 1
	};
}

void rota_op_sendto(struct rota_message_op *op, int fd, const void *buf, size_t len, int flags,
		    const struct sockaddr *addr, socklen_t addr_len)
{
	prepare(op, buf, len, addr, addr != NULL ? addr_len : 0);
	rota_op_sendmsg(&op->op_, fd, &op->message_, flags);
}

void rota_op_recvfrom(struct rota_message_op *op, int fd, void *buf, size_t size, int flags, struct sockaddr *addr,
		      socklen_t *len)
{
	const bool named = addr != NULL && len != NULL;

	prepare(op, buf, size, named ? addr : NULL, named ? *len : 0);
	op->len_ = named ? len : NULL;
	rota_op_recvmsg(&op->op_, fd, &op->message_, flags);
	if (addr != NULL && len == NULL)
		rota__op_refuse(&op->op_, -EINVAL);
}

/* --- the direct calls ------------------------------------------------------------------------------------------- */

ssize_t rota_sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct rota_op op;

	rota_op_sendmsg(&op, fd, message, flags);
	return rota_await(&op.future);
}

ssize_t rota_recvmsg(int fd, struct msghdr *message, int flags)
{
	struct rota_op op;

	rota_op_recvmsg(&op, fd, message, flags);
	return rota_await(&op.future);
}

ssize_t rota_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr, socklen_t addr_len)
{
	struct rota_message_op op;

	rota_op_sendto(&op, fd, buf, len, flags, addr, addr_len);
	return rota_await(&op.future);
}

ssize_t rota_recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *addr, socklen_t *len)
{
	struct rota_message_op op;

	rota_op_recvfrom(&op, fd, buf, size, flags, addr, len);
	return rota_await(&op.future);
}

int rota_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct rota_op op;

	rota_op_accept4(&op, fd, addr, len, flags);
	return rota_await(&op.future);
}

ssize_t rota_send_zero_copy(int fd, const void *buf, size_t len, int flags)
{
	struct rota_op op;

	rota_op_send_zero_copy(&op, fd, buf, len, flags);
	return rota_await(&op.future);
}

ssize_t rota_sendmsg_zero_copy(int fd, const struct msghdr *message, int flags)
{
	struct rota_op op;

	rota_op_sendmsg_zero_copy(&op, fd, message, flags);
	return rota_await(&op.future);
}

int rota_address_format(const struct rota_address *address, char *ret, size_t size)
{
	return rota__sys_address_format(address, ret, size);
}
