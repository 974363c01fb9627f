/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "op.h"

#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>

#include "../runtime/runtime_internal.h"
#include "../runtime/slot_internal.h"
#include "../runtime/sys_internal.h"
#include "cached_internal.h"
#include "carrier_internal.h"
#include "fd_hint_internal.h"
#include "op_internal.h"
#include "sys_internal.h"

/* The kernel cuts longer transfers to this anyway. */
#define LENGTH_MAX ((size_t)INT_MAX & ~(size_t)4095)

short rota__op_poll_events(const struct rota_op *op)
{
	return rota__sys_call(op)->events;
}

static bool takes_message_flags(const struct rota_op *op)
{
	switch (op->opcode_) {
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
	case ROTA__OP_SEND_ZC:
	case ROTA__OP_SENDMSG_ZC:
		return true;
	default:
		return false;
	}
}

bool rota__op_would_block(const struct rota_op *op, int res)
{
	if (res != -EAGAIN && !((res == -EINPROGRESS || res == -EALREADY) && op->opcode_ == IORING_OP_CONNECT))
		return false;
	if (takes_message_flags(op) && op->flags_ & MSG_DONTWAIT)
		return false; /* the caller asked not to wait */
	return rota__op_poll_events(op) != 0;
}

static bool moves(const struct rota_op *op)
{
	switch (op->opcode_) {
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
		return true;
	default:
		return false;
	}
}

/* --- what is known of descriptors (fd_hint_internal.h) ---------------------------------------------------------- */

bool rota__op_was_no_socket(struct rota_op *op, int res)
{
	if (res != -ENOTSOCK || !op->as_socket_)
		return false;
	rota__fd_forget(op->fd_); /* the number means something else by now */
	op->opcode_ = op->opcode_ == IORING_OP_RECV ? IORING_OP_READ : IORING_OP_WRITE;
	op->offset_ = UINT64_MAX;
	op->flags_ = 0;
	op->as_socket_ = 0;
	op->ioprio_ = 0;
	return true;
}

bool rota__op_polls_first(const struct rota_op *op)
{
	return op->opcode_ == IORING_OP_RECV && op->more_ == ROTA__MORE_NONE &&
	       !(op->flags_ & (MSG_DONTWAIT | MSG_OOB)) && rota__fd_hinted(&rota__fd_connections, op->fd_) &&
	       !rota__fd_hinted(&rota__fd_ready, op->fd_);
}

bool rota__op_is_at_offset(const struct rota_op *op)
{
	return moves(op) && op->offset_ != UINT64_MAX && !op->positioned_;
}

static bool writes(const struct rota_op *op)
{
	return op->opcode_ == IORING_OP_WRITE || op->opcode_ == IORING_OP_WRITEV;
}

/* Of what is too large for one call at least more than that can take. */
static int64_t bytes_to_move(const struct rota_op *op)
{
	const struct iovec *parts = (const void *)(uintptr_t)op->addr_;
	int64_t bytes = 0;

	if (op->opcode_ == IORING_OP_READ || op->opcode_ == IORING_OP_WRITE)
		return op->len_;
	for (uint32_t i = 0; i < op->len_; i++)
		bytes += parts[i].iov_len < UINT32_MAX ? (int64_t)parts[i].iov_len : UINT32_MAX;
	return bytes;
}

void rota__op_note_position(struct rota_op *op)
{
	int64_t position = -1;

	if (!moves(op) || op->offset_ != UINT64_MAX || !rota__fd_has_position(op->fd_))
		return;
	/* What has no size is empty; or made up by the kernel as it is read, which would make up what is skipped, too. */
	if (writes(op) ? !rota__sys_appends(op->fd_) : rota__sys_has_size(op->fd_))
		position = rota__sys_take_position(op->fd_, bytes_to_move(op));
	op->placed_ = position >= 0;
	if (position < 0)
		position = rota__sys_position(op->fd_);
	if (position < 0)
		return;
	op->offset_ = (uint64_t)position;
	op->positioned_ = 1;
}

static void settle_position(const struct rota_op *op, int count)
{
	const int64_t bytes = op->placed_ ? bytes_to_move(op) : 0;

	if (!op->positioned_ || (op->placed_ ? count == bytes : count <= 0))
		return;
	if (!rota__call_begin(op->fd_, op->closes_))
		return;
	if (op->placed_)
		rota__sys_give_back_position(op->fd_, (int64_t)op->offset_ + bytes, bytes - (count > 0 ? count : 0),
					     !writes(op) && count >= 0);
	else
		rota__sys_move_position(op->fd_, (int64_t)op->offset_, count, writes(op));
	rota__call_end(op->fd_);
}

bool rota__op_can_move(struct rota_op *op)
{
	if (!moves(op) || op->offset_ != UINT64_MAX || !rota__fd_is_odd(op->fd_))
		return true;
	op->future.status = rota__sys_move_nothing(op->fd_, writes(op));
	return op->future.status == 0;
}

/* A vector whose parts are all empty, or none. */
static bool is_empty(const struct rota_op *op)
{
	const struct iovec *parts = (const void *)(uintptr_t)op->addr_;

	for (uint32_t i = 0; i < op->len_; i++) {
		if (parts[i].iov_len > 0)
			return false;
	}
	return true;
}

/* Reads and writes of nothing need not wait, and are told what the system says at once; those that are a call to the
 * descriptor all the same go on: a file's, and a write to a socket, which may be a datagram. But a ring finds nothing wrong with
 * one from a directory. */
static bool moves_nothing(struct rota_op *op)
{
	const bool vector = op->opcode_ == IORING_OP_READV || op->opcode_ == IORING_OP_WRITEV;

	if (!moves(op) || (!vector && op->len_ > 0))
		return false;
	if (op->opcode_ == IORING_OP_READ && rota__sys_is_directory(op->fd_)) {
		op->future.status = rota__sys_read_nothing(op->fd_);
		return true;
	}
	if (op->offset_ != UINT64_MAX || (vector && !is_empty(op)))
		return false;
	if (!vector && (rota__sys_is_file(op->fd_) || (writes(op) && rota__sys_kind(op->fd_) == ROTA__KIND_SOCKET)))
		return false;
	op->future.status = rota__sys_move_nothing(op->fd_, writes(op));
	return true;
}

bool rota__op_goes_elsewhere(const struct rota_op *op)
{
	switch (op->opcode_) {
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
		return (op->entry_flags_ & IOSQE_ASYNC) != 0;
	case IORING_OP_SPLICE:
		return true;
	default:
		return moves(op) && op->offset_ == UINT64_MAX && rota__fd_is(&rota__fd_devices, op->fd_) &&
		       rota__sys_is_blocking(op->fd_);
	}
}

/* A socket that has no poll answers the wait for it with EAGAIN. false: `res` does not mean that. */
static bool could_not_poll(struct rota_op *op, int res)
{
	if (res != -EAGAIN || op->opcode_ != IORING_OP_RECV || !(op->ioprio_ & IORING_RECVSEND_POLL_FIRST))
		return false;
	rota__fd_hint(&rota__fd_connections, op->fd_, false);
	op->ioprio_ = 0;
	return true;
}

/* What a success says of a descriptor. */
static void learn(const struct rota_op *op, int status)
{
	if (status < 0)
		return;
	if (op->opcode_ == IORING_OP_RECV || op->opcode_ == IORING_OP_SEND)
		rota__fd_hint(&rota__fd_sockets, op->fd_, true);
	else if (op->opcode_ == IORING_OP_CONNECT)
		rota__fd_connected(op->fd_);
	else if (op->opcode_ == IORING_OP_ACCEPT)
		rota__fd_connected(status);
	else if (op->opcode_ == IORING_OP_OPENAT || op->opcode_ == IORING_OP_OPENAT2)
		rota__fd_forget(status);
}

/* --- again ---------------------------------------------------------------------------------------------------- */

/* What a kernel thread that was interrupted in a blocking call may leak: ERESTARTSYS and its kin. */
#define ERESTART_FIRST 512
#define ERESTART_LAST 516

/* Turns a zero-copy send that kernel, socket or limits do not allow into a send. false: `res` does not mean that. */
static bool could_not_lend(struct rota_op *op, int res)
{
	if (op->more_ != ROTA__MORE_NOTIFICATION)
		return false;
	if (res != -EOPNOTSUPP && res != -EINVAL && res != -ENOMEM && res != -ENOBUFS)
		return false;
	op->opcode_ = op->opcode_ == ROTA__OP_SEND_ZC ? IORING_OP_SEND : IORING_OP_SENDMSG;
	op->more_ = ROTA__MORE_NONE;
	return true;
}

int rota__op_asked_events(const struct rota_op *op, int events)
{
	const int asked = op->polling_ == ROTA__POLL_NOW ? rota__op_poll_events(op) : (int)op->flags_;

	return events & (asked | POLLERR | POLLHUP | POLLNVAL);
}

static bool polls(const struct rota_op *op)
{
	return op->polling_ == ROTA__POLL_NOW || op->opcode_ == IORING_OP_POLL_ADD;
}

static enum rota__op_mail again(struct rota_op *op, int *res)
{
	if (op->changes_ && op->future.status > 0)
		*res = op->future.status;
	if (polls(op) && *res > 0 && rota__op_asked_events(op, *res) == 0) {
		op->changes_ = 1;
		op->future.status = 0;
		return op->polling_ == ROTA__POLL_NOW ? ROTA__MAIL_POLL : ROTA__MAIL_SUBMIT;
	}
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
	if (rota__op_was_no_socket(op, *res) || could_not_lend(op, *res) || could_not_poll(op, *res))
		return ROTA__MAIL_SUBMIT;
	return rota__op_would_block(op, *res) ? ROTA__MAIL_POLL : ROTA__MAIL_NONE;
}

enum rota__op_mail rota__op_again(struct rota_op *op, int *res)
{
	const enum rota__op_mail mail = again(op, res);

	if (mail == ROTA__MAIL_SUBMIT && op->opcode_ != IORING_OP_POLL_ADD)
		op->changes_ = 0; /* its next entry is no poll */
	return mail;
}

/* --- faults, for tests ---------------------------------------------------------------------------------------- */

static bool moves_bytes(const struct rota_op *op)
{
	switch (op->opcode_) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_RECV:
	case IORING_OP_SEND:
		return true;
	default:
		return false;
	}
}

int rota__op_fault(struct rota_op *op)
{
	int fault;

	if (op->opcode_ == IORING_OP_CLOSE) /* one that fails would not have closed */
		return 0;
	fault = rota__fault(ROTA__FAULT_OP);
	if (fault > 0 && moves_bytes(op) && op->len_ > (uint32_t)fault)
		op->len_ = (uint32_t)fault;
	return fault < 0 ? fault : 0;
}

/* --- starting ------------------------------------------------------------------------------------------------- */

/* `status` is what the carrier said. */
static void take_result(struct rota_op *op)
{
	if (op->opcode_ == IORING_OP_POLL_ADD && op->future.status > 0)
		op->future.status = rota__op_asked_events(op, op->future.status);
	learn(op, op->future.status);
	settle_position(op, op->future.status);
	if (!op->pair_) /* which has its second descriptor in that place */
		op->future.status = rota__cached_result(op, op->future.status);
}

/* One that goes on for another is also a call that its descriptor's close waits for, or forestalls. */
static bool read_in_place(struct rota_op *op)
{
	bool done;

	if (op->opcode_ != IORING_OP_READ && op->opcode_ != IORING_OP_READV)
		return false;
	if (op->stage_ != ROTA__OP_NEXT)
		return rota__cached_read(op);
	op->future.status = -ECANCELED;
	if (!rota__call_begin(op->fd_, op->closes_))
		return true;
	op->future.status = 0;
	done = rota__cached_read(op);
	rota__call_end(op->fd_);
	return done;
}

/* By a thread outside of any runtime. */
static int perform_outside(struct rota_op *op)
{
	if (op->opcode_ == IORING_OP_CLOSE)
		rota__fd_count_close(op->fd_);
	if (op->stage_ == ROTA__OP_NEXT && rota__op_was_closed(op))
		return -ECANCELED;
	return rota__sys_perform(op);
}

/* Hands the operation to who carries it out for the caller: its worker's part of the back end; the reactor's for other
 * threads of a runtime. A thread outside of any makes the plain system call. */
static rota_poll start(struct rota_op *op, const struct rota_waker *waker)
{
	struct rota__carrier *carrier = rota__carrier_self();
	rota_poll polled;

	op->future.status = rota__op_fault(op);
	if (op->future.status < 0 || moves_nothing(op))
		return ROTA_READY;
	if (carrier == NULL) {
		op->future.status = perform_outside(op);
		learn(op, op->future.status);
		return ROTA_READY;
	}
	if (read_in_place(op))
		return ROTA_READY;
	polled = carrier->ops->start(carrier, op, waker);
	op->stage_ = ROTA__OP_STARTED; /* the poller's own: who ends it does not look */
	if (polled == ROTA_READY)
		take_result(op);
	return polled;
}

static rota_poll op_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_op *op = rota__op_of(self);

	if (op->stage_ != ROTA__OP_STARTED) {
		if (op->cancelled_)
			self->status = -ECANCELED;
		else if (self->status == 0)
			return start(op, cx->waker);
		return ROTA_READY;
	}
	if (!rota__slot_fired(&op->state_) && rota__slot_register(&op->state_, &op->waker_, cx->waker) == ROTA_PENDING)
		return ROTA_PENDING;
	if (self->status == ROTA__OP_RESUME && rota__op_carrier(op)->ops->resume(op, cx->waker) == ROTA_PENDING)
		return ROTA_PENDING;
	take_result(op);
	return ROTA_READY;
}

static void op_cancel(struct rota_future *self)
{
	struct rota_op *op = rota__op_of(self);

	if (op->stage_ != ROTA__OP_STARTED)
		op->cancelled_ = 1;
	else
		rota__op_carrier(op)->ops->cancel(op);
}

/* They differ in what reports call them. */
#define OPS(opcode, name) [opcode] = { op_poll, op_cancel, name }
static const struct rota_future_ops op_ops[] = {
	OPS(IORING_OP_NOP, "an I/O operation"),
	OPS(IORING_OP_READ, "read"),
	OPS(IORING_OP_WRITE, "write"),
	OPS(IORING_OP_READV, "readv"),
	OPS(IORING_OP_WRITEV, "writev"),
	OPS(IORING_OP_RECV, "recv"),
	OPS(IORING_OP_SEND, "send"),
	OPS(IORING_OP_RECVMSG, "recvmsg"),
	OPS(IORING_OP_SENDMSG, "sendmsg"),
	OPS(IORING_OP_ACCEPT, "accept"),
	OPS(IORING_OP_CONNECT, "connect"),
	OPS(IORING_OP_POLL_ADD, "poll"),
	OPS(IORING_OP_OPENAT, "open"),
	OPS(IORING_OP_CLOSE, "close"),
	OPS(IORING_OP_FSYNC, "fsync"),
	OPS(IORING_OP_STATX, "statx"),
	OPS(IORING_OP_SPLICE, "splice"),
};

static const struct rota_future_ops *ops_of(unsigned opcode)
{
	bool named = opcode < sizeof(op_ops) / sizeof(op_ops[0]) && op_ops[opcode].poll != NULL;

	return &op_ops[named ? opcode : IORING_OP_NOP];
}

void rota__op_prepare(struct rota_op *op, unsigned opcode, int fd, const void *addr, size_t len, uint64_t offset,
		      uint32_t flags)
{
	rota_future_init(&op->future, ops_of(opcode));
	op->opcode_ = (uint8_t)opcode;
	op->stage_ = ROTA__OP_NEW;
	op->ioprio_ = 0;
	op->fd_ = fd;
	op->offset_ = offset;
	op->addr_ = (uintptr_t)addr;
	op->len_ = (uint32_t)(len < LENGTH_MAX ? len : LENGTH_MAX);
	op->flags_ = flags;
	rota__store(&op->state_, ROTA__SLOT_EMPTY, RELAXED);
	rota__store(&op->carrier_, NULL, RELAXED);
	op->mail_ = ROTA__MAIL_NONE;
	op->cancelled_ = 0;
	op->polling_ = ROTA__POLL_NEVER;
	op->as_socket_ = 0;
	op->changes_ = 0;
	op->pair_ = 0;
	op->has_turn_ = 0;
	op->elsewhere_ = 0;
	op->positioned_ = 0;
	op->placed_ = 0;
	op->entry_flags_ = 0;
	op->moved_ = 0;
	op->more_ = ROTA__MORE_NONE;
}

uint32_t rota__op_receive_flags(int flags)
{
	return (uint32_t)(flags & MSG_ERRQUEUE ? flags | MSG_DONTWAIT : flags);
}

void rota__op_refuse(struct rota_op *op, int error)
{
	op->future.status = error; /* the first poll finds it */
}
