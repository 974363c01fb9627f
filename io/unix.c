/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unix.h"

#include <errno.h>
#include <liburing.h>
#include <stddef.h>
#include <string.h>

#include "../runtime/runtime.h"
#include "../runtime/sys_internal.h"
#include "fd.h"
#include "op_internal.h"
#include "socket.h"
#include "sys_internal.h"
#include "sys_net_internal.h"

int rota_unix_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_len)
{
	const size_t len = path != NULL ? strlen(path) : 0;

	if (len == 0)
		return -EINVAL;
	if (len >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, path, len);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (path[0] == '@')
		ret->sun_path[0] = '\0';
	else
		*ret_len += 1; /* the end of the string */
	return 0;
}

static int bind_to(const char *path, int type, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(address.sun_family); /* of an address that the kernel chooses */
	int rc = path != NULL ? rota_unix_address(path, &address, &len) : 0;

	return rc < 0 ? rc : rota__sys_unix_bind(&address, len, type, backlog);
}

int rota_unix_listen(const char *path, int type, int backlog)
{
	if (path == NULL || (type != SOCK_STREAM && type != SOCK_SEQPACKET))
		return -EINVAL;
	return bind_to(path, type, backlog);
}

int rota_unix_bind(const char *path)
{
	return bind_to(path, SOCK_DGRAM, 0);
}

int rota_unix_unbind(int fd)
{
	rota__sys_unix_unlink(fd);
	return rota_close(fd);
}

int rota_socketpair(int type, int ret_fds[2])
{
	return rota__sys_socketpair(type, ret_fds);
}

int rota_unix_peer(int fd, struct rota_unix_peer *ret)
{
	return rota__sys_unix_peer(fd, ret);
}

/* --- connecting ------------------------------------------------------------------------------------------------------- */
/*
 * A connect does not wait, save when the listener's queue is full. The kernel does not tell when there is room again: a
 * poll says that the socket is writable all the while. So it is tried again, after 1 ms at first, 32 ms in the end.
 */

#define PAUSE_FIRST ROTA_MS(1)
#define PAUSE_LAST ROTA_MS(32)

static struct rota_unix_connect_op *connect_of(struct rota_future *future)
{
	return (struct rota_unix_connect_op *)(void *)future;
}

static rota_poll connect_finish(struct rota_unix_connect_op *op, int status)
{
	if (status < 0)
		rota__sys_close(op->fd_);
	op->future.status = status < 0 ? status : op->fd_;
	return ROTA_READY;
}

static rota_poll connect_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_unix_connect_op *op = connect_of(self);
	const bool blocks = rota_runtime_current() == NULL;

	if (self->status < 0)
		return ROTA_READY; /* refused */
	for (;;) {
		int rc;

		if (op->waits_ && rota_future_poll(&op->timer_.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		op->waits_ = false;
		if (op->cancelled_)
			return connect_finish(op, -ECANCELED);
		if (op->fd_ < 0)
			op->fd_ = rota__sys_socket(AF_UNIX, op->type_);
		if (op->fd_ < 0)
			return connect_finish(op, op->fd_);
		rc = rota__sys_unix_connect(op->fd_, &op->address_, op->len_, blocks);
		if (rc != -EAGAIN)
			return connect_finish(op, rc);
		rota_timer_init(&op->timer_, rota_now() + op->pause_);
		op->waits_ = true;
		if (op->pause_ < PAUSE_LAST)
			op->pause_ *= 2;
	}
}

static void connect_cancel(struct rota_future *self)
{
	struct rota_unix_connect_op *op = connect_of(self);

	op->cancelled_ = true;
	if (op->waits_)
		rota_future_cancel(&op->timer_.future);
}

static const struct rota_future_ops connect_ops = {
	.poll = connect_poll,
	.cancel = connect_cancel,
	.name = "unix connect",
};

void rota_op_unix_connect(struct rota_unix_connect_op *op, const char *path, int type)
{
	rota_future_init(&op->future, &connect_ops);
	op->future.status = path != NULL ? rota_unix_address(path, &op->address_, &op->len_) : -EINVAL;
	op->fd_ = -1;
	op->type_ = type;
	op->pause_ = PAUSE_FIRST;
	op->waits_ = false;
	op->cancelled_ = false;
}

int rota_unix_connect(const char *path, int type)
{
	struct rota_unix_connect_op op;

	rota_op_unix_connect(&op, path, type);
	return rota_await(&op.future);
}

/* --- messages with descriptors ------------------------------------------------------------------------------------------ */
/*
 * A receive always offers room for as many descriptors as a message can bring, so that the kernel drops none for lack of
 * it; those that the caller has no room for are closed here, and it is told.
 */

static struct rota_unix_op *unix_of(struct rota_future *future)
{
	return (struct rota_unix_op *)(void *)future;
}

/* Hands out the descriptors of one control message. */
static void take_fds(struct rota_unix_op *op, struct cmsghdr *header, struct rota_unix_received *received)
{
	const unsigned n = (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));

	for (unsigned i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
		if (received->fds < op->max_) {
			op->fds_[received->fds++] = fd;
		} else {
			rota__sys_close(fd);
			received->fds_lost = true;
		}
	}
}

static void take_message(struct rota_unix_op *op)
{
	struct msghdr *message = &op->message_;
	struct rota_unix_received received = {
		.fds_lost = (message->msg_flags & MSG_CTRUNC) != 0, /* there was no descriptor left to be had */
		.truncated = (message->msg_flags & MSG_TRUNC) != 0,
	};

	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
		if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_RIGHTS)
			take_fds(op, at, &received);
	}
	if (op->received_ != NULL)
		*op->received_ = received;
}

static rota_poll unix_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_unix_op *op = unix_of(self);

	if (rota_future_poll(&op->op_.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = op->op_.future.status;
	if (self->status >= 0 && op->op_.opcode_ == IORING_OP_RECVMSG)
		take_message(op);
	/* To a stream the kernel sends nothing at all then, and says that all is well. */
	else if (self->status == 0 && op->message_.msg_controllen > 0 && rota__sys_is_stream(op->op_.fd_))
		self->status = -EINVAL;
	return ROTA_READY;
}

static void unix_cancel(struct rota_future *self)
{
	rota_future_cancel(&unix_of(self)->op_.future);
}

static const struct rota_future_ops unix_ops = { .poll = unix_poll, .cancel = unix_cancel, .name = "unix message" };

static void prepare(struct rota_unix_op *op, const void *buf, size_t len)
{
	rota_future_init(&op->future, &unix_ops);
	op->part_ = (struct iovec){ (void *)(uintptr_t)buf, len }; /* a send only reads it */
	op->message_ = (struct msghdr){ .msg_iov = &op->part_, .msg_iovlen = 1 };
}

static void put_fds(struct rota_unix_op *op, const int *fds, unsigned n)
{
	struct cmsghdr *header = (struct cmsghdr *)(void *)op->control_;

	memset(op->control_, 0, CMSG_SPACE(n * sizeof(int)));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(header), fds, n * sizeof(int));
	op->message_.msg_control = header;
	op->message_.msg_controllen = CMSG_SPACE(n * sizeof(int));
}

void rota_op_unix_send(struct rota_unix_op *op, int fd, const void *buf, size_t len, const int *fds, unsigned n)
{
	const bool can = n <= ROTA_UNIX_MAX_FDS && (n == 0 || fds != NULL);

	prepare(op, buf, len);
	if (n > 0 && can)
		put_fds(op, fds, n);
	rota_op_sendmsg(&op->op_, fd, &op->message_, 0);
	if (!can)
		rota__op_refuse(&op->op_, -EINVAL);
}

void rota_op_unix_recv(struct rota_unix_op *op, int fd, void *buf, size_t size, int *ret_fds, unsigned max,
		       struct rota_unix_received *ret)
{
	prepare(op, buf, size);
	op->message_.msg_control = op->control_;
	op->message_.msg_controllen = sizeof(op->control_);
	op->fds_ = ret_fds;
	op->max_ = max;
	op->received_ = ret;
	rota_op_recvmsg(&op->op_, fd, &op->message_, 0);
	if (max > 0 && (ret == NULL || ret_fds == NULL))
		rota__op_refuse(&op->op_, -EINVAL);
}

ssize_t rota_unix_send(int fd, const void *buf, size_t len, const int *fds, unsigned n)
{
	struct rota_unix_op op;

	rota_op_unix_send(&op, fd, buf, len, fds, n);
	return rota_await(&op.future);
}

ssize_t rota_unix_recv(int fd, void *buf, size_t size, int *ret_fds, unsigned max, struct rota_unix_received *ret)
{
	struct rota_unix_op op;

	rota_op_unix_recv(&op, fd, buf, size, ret_fds, max, ret);
	return rota_await(&op.future);
}
