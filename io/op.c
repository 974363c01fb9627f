/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "op.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>

#include "../runtime/runtime_internal.h"
#include "../runtime/slot_internal.h"
#include "fd_hint_internal.h"
#include "op_internal.h"
#include "ring_internal.h"
#include "sys_internal.h"

#define IOV_COUNT_MAX 1024 /* UIO_MAXIOV of the kernel */

/* The kernel cuts longer transfers to this anyway. */
#define LENGTH_MAX ((size_t)INT_MAX & ~(size_t)4095)

short rota__op_poll_events(const struct rota_op *op)
{
	switch (op->opcode_) {
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_RECV:
	case IORING_OP_ACCEPT:
		return POLLIN;
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
	case IORING_OP_SEND:
	case IORING_OP_CONNECT:
		return POLLOUT;
	default:
		return 0;
	}
}

bool rota__op_would_block(const struct rota_op *op, int res)
{
	bool socket_call = op->opcode_ == IORING_OP_RECV || op->opcode_ == IORING_OP_SEND;

	if (res != -EAGAIN && !((res == -EINPROGRESS || res == -EALREADY) && op->opcode_ == IORING_OP_CONNECT))
		return false;
	if (socket_call && op->flags_ & MSG_DONTWAIT)
		return false; /* the caller asked not to wait */
	return rota__op_poll_events(op) != 0;
}

/* --- what is known of descriptors (fd_hint_internal.h) ---------------------------------------------------------- */

struct rota__fd_hints rota__fd_sockets;
struct rota__fd_hints rota__fd_seekables;

bool rota__op_was_no_socket(struct rota_op *op, int res)
{
	if (res != -ENOTSOCK || !op->as_socket_)
		return false;
	rota__fd_hint(&rota__fd_sockets, op->fd_, false);
	op->opcode_ = op->opcode_ == IORING_OP_RECV ? IORING_OP_READ : IORING_OP_WRITE;
	op->offset_ = UINT64_MAX;
	op->flags_ = 0;
	op->as_socket_ = 0;
	return true;
}

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

/* The number is about to mean something else. */
static void forget(int fd)
{
	rota__fd_hint(&rota__fd_sockets, fd, false);
	rota__fd_hint(&rota__fd_seekables, fd, false);
}

/* What a success says of a descriptor. */
static void learn(const struct rota_op *op, int status)
{
	if (status < 0)
		return;
	if (op->opcode_ == IORING_OP_RECV || op->opcode_ == IORING_OP_SEND || op->opcode_ == IORING_OP_CONNECT)
		rota__fd_hint(&rota__fd_sockets, op->fd_, true);
	else if (op->opcode_ == IORING_OP_ACCEPT)
		rota__fd_hint(&rota__fd_sockets, status, true);
	else if (op->opcode_ == IORING_OP_OPENAT)
		forget(status);
}

/* --- again ---------------------------------------------------------------------------------------------------- */

/* What a kernel thread that was interrupted in a blocking call may leak: ERESTARTSYS and its kin. */
#define ERESTART_FIRST 512
#define ERESTART_LAST 516

enum rota__op_mail rota__op_again(struct rota_op *op, int *res)
{
	if (*res <= -ERESTART_FIRST && *res >= -ERESTART_LAST)
		*res = -EINTR;
	if (op->polling_ == ROTA__POLL_NOW && *res >= 0)
		return ROTA__MAIL_SUBMIT;
	if (op->opcode_ == IORING_OP_CLOSE)
		return ROTA__MAIL_NONE; /* the number is free, whatever the result says */
	if (op->opcode_ == IORING_OP_CONNECT && op->polling_ == ROTA__POLL_DONE && *res == -EISCONN)
		*res = 0;
	/* ECANCELED unasked: the thread that submitted it has ended, in the current-thread flavour. */
	if (*res == -EINTR || *res == -ECANCELED)
		return op->opcode_ == IORING_OP_CONNECT ? ROTA__MAIL_POLL : ROTA__MAIL_SUBMIT;
	if (rota__op_was_no_socket(op, *res))
		return ROTA__MAIL_SUBMIT;
	return rota__op_would_block(op, *res) ? ROTA__MAIL_POLL : ROTA__MAIL_NONE;
}

/* --- starting ------------------------------------------------------------------------------------------------- */

/* Hands the operation to the kernel by way of the caller: a worker's own ring; the reactor's for other threads of a
 * runtime; for a thread outside of any, the plain system call. */
static rota_poll start(struct rota_op *op, const struct rota_waker *waker)
{
	struct rota__worker *worker = rota__worker_self();
	rota_runtime *rt = rota__runtime_self();

	if (rt == NULL) {
		op->future.status = rota__sys_perform(op);
		learn(op, op->future.status);
		return ROTA_READY;
	}
	op->stage_ = ROTA__OP_STARTED;
	rota__waker_hold(&op->waker_, waker);
	if (worker != NULL) {
		rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take, should the reactor reap it */
		rota__ring_submit(worker->io, op);
		worker->unsubmitted = true;
	} else {
		op->ring_ = rt->io;
		rota__store(&op->state_, ROTA__SLOT_ARMED, RELAXED); /* the mailbox publishes it */
		rota__ring_mail(rt->io, op, ROTA__MAIL_SUBMIT);
		rota__ring_wake(rt->io);
	}
	return ROTA_PENDING;
}

static rota_poll op_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_op *op = rota__op_of(self);

	if (op->stage_ == ROTA__OP_NEW) {
		if (op->cancelled_)
			self->status = -ECANCELED;
		else if (self->status == 0)
			return start(op, cx->waker);
		return ROTA_READY;
	}
	if (!rota__slot_fired(&op->state_) && rota__slot_register(&op->state_, &op->waker_, cx->waker) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = op->result_;
	learn(op, op->result_);
	return ROTA_READY;
}

static void op_cancel(struct rota_future *self)
{
	struct rota_op *op = rota__op_of(self);
	struct rota__worker *worker = rota__worker_self();
	struct rota__ring *ring;
	bool mailed = false;

	if (op->stage_ == ROTA__OP_NEW) {
		op->cancelled_ = 1;
		return;
	}
	if (rota__slot_take(&op->state_) == ROTA__SLOT_FIRED)
		return;
	ring = op->ring_;
	if (!op->cancelled_) {
		op->cancelled_ = 1;
		mailed = op->mail_ == ROTA__MAIL_NONE; /* else whoever opens the letter sees it */
		if (mailed)
			rota__ring_mail(ring, op, ROTA__MAIL_CANCEL);
	}
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
	if (!mailed)
		return;
	if (worker != NULL && worker->io == ring)
		worker->unsubmitted = true;
	else
		rota__ring_wake(ring);
}

static const struct rota_future_ops op_ops = { .poll = op_poll, .cancel = op_cancel };

/* --- filling in ----------------------------------------------------------------------------------------------- */

static void prepare(struct rota_op *op, unsigned opcode, int fd, const void *addr, size_t len, uint64_t offset,
		    uint32_t flags)
{
	rota_future_init(&op->future, &op_ops);
	op->opcode_ = (uint8_t)opcode;
	op->stage_ = ROTA__OP_NEW;
	op->ioprio_ = 0;
	op->fd_ = fd;
	op->offset_ = offset;
	op->addr_ = (uintptr_t)addr;
	op->len_ = (uint32_t)(len < LENGTH_MAX ? len : LENGTH_MAX);
	op->flags_ = flags;
	rota__store(&op->state_, ROTA__SLOT_EMPTY, RELAXED);
	op->ring_ = NULL;
	op->mail_ = ROTA__MAIL_NONE;
	op->cancelled_ = 0;
	op->polling_ = ROTA__POLL_NEVER;
	op->as_socket_ = 0;
	op->entry_flags_ = 0;
}

/* An operation that fails before it starts: the first poll is ready with the error. */
static void refuse(struct rota_op *op, int error)
{
	op->future.status = error;
}

static void check_offset(struct rota_op *op, off_t offset)
{
	if (offset < -1) {
		refuse(op, -EINVAL);
	} else if (offset >= 0 && !rota__fd_hinted(&rota__fd_seekables, op->fd_)) {
		if (rota__sys_has_offset(op->fd_))
			rota__fd_hint(&rota__fd_seekables, op->fd_, true);
		else
			refuse(op, -ESPIPE);
	}
}

void rota_op_read(struct rota_op *op, int fd, void *buf, size_t len, off_t offset)
{
	prepare(op, IORING_OP_READ, fd, buf, len, (uint64_t)offset, 0);
	use_hint(op);
	check_offset(op, offset);
}

void rota_op_write(struct rota_op *op, int fd, const void *buf, size_t len, off_t offset)
{
	prepare(op, IORING_OP_WRITE, fd, buf, len, (uint64_t)offset, 0);
	use_hint(op);
	check_offset(op, offset);
}

static void prepare_vector(struct rota_op *op, unsigned opcode, int fd, const struct iovec *iov, int iovcnt,
			   off_t offset)
{
	prepare(op, opcode, fd, iov, iovcnt > 0 ? (size_t)iovcnt : 0, (uint64_t)offset, 0);
	check_offset(op, offset);
	if (iovcnt < 0 || iovcnt > IOV_COUNT_MAX)
		refuse(op, -EINVAL);
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
	prepare(op, IORING_OP_RECV, fd, buf, len, 0, (uint32_t)flags);
}

void rota_op_send(struct rota_op *op, int fd, const void *buf, size_t len, int flags)
{
	prepare(op, IORING_OP_SEND, fd, buf, len, 0, (uint32_t)flags | MSG_NOSIGNAL);
}

void rota_op_accept(struct rota_op *op, int fd, struct sockaddr *addr, socklen_t *len)
{
	prepare(op, IORING_OP_ACCEPT, fd, addr, 0, (uintptr_t)len, SOCK_CLOEXEC);
}

void rota_op_connect(struct rota_op *op, int fd, const struct sockaddr *addr, socklen_t len)
{
	prepare(op, IORING_OP_CONNECT, fd, addr, 0, len, 0);
}

void rota_op_poll(struct rota_op *op, int fd, short events)
{
	prepare(op, IORING_OP_POLL_ADD, fd, NULL, 0, 0, (uint16_t)events);
}

void rota_op_open(struct rota_op *op, const char *path, int flags, mode_t mode)
{
	prepare(op, IORING_OP_OPENAT, AT_FDCWD, path, 0, 0, (uint32_t)(flags | O_CLOEXEC));
	op->len_ = mode; /* not a length */
	/* The kernel would first try with O_NONBLOCK, which opens a FIFO without waiting for its other side. */
	if (!(flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)))
		op->entry_flags_ = IOSQE_ASYNC;
}

void rota_op_close(struct rota_op *op, int fd)
{
	prepare(op, IORING_OP_CLOSE, fd, NULL, 0, 0, 0);
	forget(fd);
}

void rota_op_fsync(struct rota_op *op, int fd, bool data_only)
{
	prepare(op, IORING_OP_FSYNC, fd, NULL, 0, 0, data_only ? IORING_FSYNC_DATASYNC : 0);
}

void rota_op_statx(struct rota_op *op, int dirfd, const char *path, int flags, unsigned mask, struct statx *ret)
{
	prepare(op, IORING_OP_STATX, dirfd, path, 0, (uintptr_t)ret, (uint32_t)flags);
	op->len_ = mask; /* not a length */
}
