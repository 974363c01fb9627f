/* SPDX-License-Identifier: MIT */
/*
 * Operations as plain system calls: a function and a row in the table for each opcode.
 *
 * A call that must not wait, on a descriptor that is not O_NONBLOCK, is made with a flag where there is one (MSG_DONTWAIT;
 * RWF_NOWAIT, which sockets and pipes know since Linux 6.5). Else the descriptor is polled first, and when it is ready a
 * thread that may block has to make the call, since somebody else may be quicker.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../runtime/atomic_internal.h"
#include "../runtime/sys_internal.h"
#include "after_fork_internal.h"
#include "sys_internal.h"
#include "sys_net_internal.h"

static void *address(const struct rota_op *op)
{
	return (void *)(uintptr_t)op->addr_;
}

static void *second_address(const struct rota_op *op)
{
	return (void *)(uintptr_t)op->offset_;
}

/* --- not to wait ------------------------------------------------------------------------------------------------ */

/* The events that hold now, or within `timeout_ms` (-1: no limit); 0: none; a negative errno. */
static int poll_events(int fd, short events, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int rc;

	if (fd < 0)
		return -EBADF; /* poll(2) would pass it over, and wait for ever */
	rc = rota__sys_result(poll(&pfd, 1, timeout_ms));
	if (rc <= 0)
		return rc;
	return pfd.revents & POLLNVAL ? -EBADF : pfd.revents;
}

static int ready_events(int fd, short events)
{
	return poll_events(fd, events, 0);
}

static int is_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -rota__sys_errno() : (flags & O_NONBLOCK) != 0;
}

/* --- reading and writing ------------------------------------------------------------------------------------------ */

static bool is_vector(const struct rota_op *op)
{
	return op->opcode_ == IORING_OP_READV || op->opcode_ == IORING_OP_WRITEV;
}

static bool is_write(const struct rota_op *op)
{
	return op->opcode_ == IORING_OP_WRITE || op->opcode_ == IORING_OP_WRITEV;
}

static int move_plainly(const struct rota_op *op)
{
	const bool here = op->offset_ == UINT64_MAX;
	const off_t offset = (off_t)op->offset_;
	const int parts = (int)op->len_;

	switch (op->opcode_) {
	case IORING_OP_READ:
		return rota__sys_result(here ? read(op->fd_, address(op), op->len_)
					     : pread(op->fd_, address(op), op->len_, offset));
	case IORING_OP_WRITE:
		return rota__sys_result(here ? write(op->fd_, address(op), op->len_)
					     : pwrite(op->fd_, address(op), op->len_, offset));
	case IORING_OP_READV:
		return rota__sys_result(here ? readv(op->fd_, address(op), parts)
					     : preadv(op->fd_, address(op), parts, offset));
	default:
		return rota__sys_result(here ? writev(op->fd_, address(op), parts)
					     : pwritev(op->fd_, address(op), parts, offset));
	}
}

/* On a kind of descriptor that has no flag for it. */
static int move_when_ready(const struct rota_op *op)
{
	int rc = is_nonblocking(op->fd_);

	if (rc != 0)
		return rc < 0 ? rc : move_plainly(op);
	rc = ready_events(op->fd_, is_write(op) ? POLLOUT : POLLIN);
	if (rc == 0)
		return -EAGAIN;
	return rc < 0 ? rc : ROTA__CALL_UNSURE;
}

/* A socket of a kernel that does not know RWF_NOWAIT on it; -ENOTSOCK. */
static int move_on_socket(const struct rota_op *op, struct iovec *parts, size_t count)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };

	return rota__sys_result(is_write(op) ? sendmsg(op->fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
					     : recvmsg(op->fd_, &message, MSG_DONTWAIT));
}

static int move_nowait(const struct rota_op *op)
{
	const bool vector = is_vector(op), writes = is_write(op);
	struct iovec one = { address(op), op->len_ };
	struct iovec *parts = vector ? address(op) : &one;
	const int count = vector ? (int)op->len_ : 1;
	const off_t offset = op->offset_ == UINT64_MAX ? -1 : (off_t)op->offset_;
	int rc;

	if (op->len_ == 0 && writes && !vector) { /* which pwritev2 is done with; to some sockets it is a datagram */
		rc = move_on_socket(op, parts, 1);
		if (rc != -ENOTSOCK)
			return rc;
	}
	rc = rota__sys_result(writes ? pwritev2(op->fd_, parts, count, offset, RWF_NOWAIT)
				     : preadv2(op->fd_, parts, count, offset, RWF_NOWAIT));
	if (rc != -EOPNOTSUPP)
		return rc;
	if (op->len_ == 0)
		return ROTA__CALL_UNSURE;
	rc = move_on_socket(op, parts, (size_t)count);
	return rc != -ENOTSOCK ? rc : move_when_ready(op);
}

static int make_move(const struct rota_op *op, bool nowait)
{
	return nowait ? move_nowait(op) : move_plainly(op);
}

static int make_write(const struct rota_op *op, bool nowait)
{
	const bool hushed = rota__sys_hush();
	int rc = make_move(op, nowait);

	if (hushed)
		rota__sys_unblock_sigpipe();
	return rc;
}

/* --- sockets -------------------------------------------------------------------------------------------------------- */

static int message_flags(const struct rota_op *op, bool nowait)
{
	return (int)op->flags_ | (nowait ? MSG_DONTWAIT : 0);
}

static int make_recv(const struct rota_op *op, bool nowait)
{
	return rota__sys_result(recv(op->fd_, address(op), op->len_, message_flags(op, nowait)));
}

static int make_send(const struct rota_op *op, bool nowait)
{
	return rota__sys_result(send(op->fd_, address(op), op->len_, message_flags(op, nowait)));
}

static int make_recvmsg(const struct rota_op *op, bool nowait)
{
	return rota__sys_result(recvmsg(op->fd_, address(op), message_flags(op, nowait)));
}

static int make_sendmsg(const struct rota_op *op, bool nowait)
{
	return rota__sys_result(sendmsg(op->fd_, address(op), message_flags(op, nowait)));
}

static int accept_plainly(const struct rota_op *op)
{
	return rota__sys_result(accept4(op->fd_, address(op), second_address(op), (int)op->flags_));
}

/* 1, 0, or why it cannot: -ENOTSOCK. */
static int is_listening(int fd)
{
	int listens = 0;
	socklen_t len = sizeof(listens);
	int rc = rota__sys_result(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len));

	return rc < 0 ? rc : listens != 0;
}

/*
 * Accepts on a listener that is not O_NONBLOCK take turns, so that what was ready for one was not taken by another, and so that
 * one thread at most waits where another process was quicker. The turn is a bit of the number, since nobody waits for it as
 * for a lock: it begins before the poll, and where there is a connection it is the operation's until the call was made. Who
 * finds it taken naps: to wait for a connection would not do, as the poll tells at once of the one that is there.
 *
 * No number shares its turn, since it may last until somebody connects. Higher ones, which no process has unless fs.nr_open was
 * raised, have none: there a thread may wait for each accept.
 */
#define TURNS (1u << 20)
static struct rota_atomic_u32 accept_turns[TURNS / 32];

bool rota__accept_turn_begin(int fd)
{
	const uint32_t bit = (uint32_t)1 << (unsigned)fd % 32;

	if ((unsigned)fd >= TURNS)
		return true;
	/* partner: rota__accept_turn_end */
	return (rota__fetch_or(&accept_turns[(unsigned)fd / 32], bit, ACQUIRE) & bit) == 0;
}

void rota__accept_turn_end(int fd)
{
	if ((unsigned)fd < TURNS)
		rota__fetch_and(&accept_turns[(unsigned)fd / 32], ~((uint32_t)1 << (unsigned)fd % 32), RELEASE);
}

void rota__accept_turn_pass(struct rota_op *op)
{
	if (op->has_turn_)
		rota__accept_turn_end(op->fd_);
	op->has_turn_ = 0;
}

void rota__accepts_forked(void)
{
	for (unsigned i = 0; i < TURNS / 32; i++) {
		if (rota__load(&accept_turns[i], RELAXED) != 0) /* leaves pages alone that were never used */
			rota__store(&accept_turns[i], 0, RELAXED);
	}
}

static int accept_in_turn(const struct rota_op *op)
{
	int rc;

	if (!rota__accept_turn_begin(op->fd_))
		return ROTA__CALL_TAKEN;
	rc = ready_events(op->fd_, POLLIN);
	if (rc > 0)
		return ROTA__CALL_UNSURE; /* with the turn */
	rota__accept_turn_end(op->fd_);
	return rc < 0 ? rc : -EAGAIN;
}

static int make_accept(const struct rota_op *op, bool nowait)
{
	int rc;

	if (!nowait)
		return accept_plainly(op);
	rc = is_nonblocking(op->fd_);
	if (rc != 0)
		return rc < 0 ? rc : accept_plainly(op);
	rota__io_after_fork_install();
	rc = accept_in_turn(op);
	if (rc != -EAGAIN)
		return rc;
	rc = is_listening(op->fd_);
	if (rc == 0) /* it would be waited for in vain */
		return rota__sys_is_connection(op->fd_) ? -EINVAL : -EOPNOTSUPP;
	return rc < 0 ? rc : -EAGAIN;
}

static int connect_plainly(const struct rota_op *op)
{
	return rota__sys_result(connect(op->fd_, address(op), (socklen_t)op->offset_));
}

static int connect_nowait(const struct rota_op *op)
{
	return rota__sys_connect_nowait(op->fd_, address(op), (socklen_t)op->offset_);
}

static int make_connect(const struct rota_op *op, bool nowait)
{
	int rc;

	if (!nowait)
		return connect_plainly(op);
	if (op->polling_ != ROTA__POLL_DONE)
		return connect_nowait(op);
	/* It was begun, and the socket has news: the second call says how the first one went. */
	rc = ready_events(op->fd_, POLLOUT);
	if (rc == 0)
		return -EAGAIN;
	if (rc > 0)
		rc = connect_nowait(op);
	return rc == -EISCONN ? 0 : rc;
}

/* --- the others ----------------------------------------------------------------------------------------------------- */

static int make_poll(const struct rota_op *op, bool nowait)
{
	int rc = poll_events(op->fd_, (short)op->flags_, nowait ? 0 : -1);

	return rc != 0 ? rc : -EAGAIN;
}

static int make_open(const struct rota_op *op, bool nowait)
{
	(void)nowait;
	return rota__sys_result(openat(op->fd_, address(op), (int)op->flags_, (mode_t)op->len_));
}

static int make_close(const struct rota_op *op, bool nowait)
{
	(void)nowait;
	return rota__sys_result(close(op->fd_));
}

static int make_fsync(const struct rota_op *op, bool nowait)
{
	(void)nowait;
	return rota__sys_result(op->flags_ & IORING_FSYNC_DATASYNC ? fdatasync(op->fd_) : fsync(op->fd_));
}

static int make_statx(const struct rota_op *op, bool nowait)
{
	(void)nowait;
	return rota__sys_result(statx(op->fd_, address(op), (int)op->flags_, op->len_, second_address(op)));
}

static int make_unknown(const struct rota_op *op, bool nowait)
{
	(void)op;
	(void)nowait;
	return -ENOSYS;
}

/* --- the table ------------------------------------------------------------------------------------------------------ */

static const struct rota__call calls[256] = {
	[IORING_OP_READ] = { make_move, POLLIN, ROTA__CALL_MOVES },
	[IORING_OP_READV] = { make_move, POLLIN, ROTA__CALL_MOVES },
	[IORING_OP_WRITE] = { make_write, POLLOUT, ROTA__CALL_MOVES },
	[IORING_OP_WRITEV] = { make_write, POLLOUT, ROTA__CALL_MOVES },
	[IORING_OP_RECV] = { make_recv, POLLIN, ROTA__CALL_WAITS },
	[IORING_OP_SEND] = { make_send, POLLOUT, ROTA__CALL_WAITS },
	[IORING_OP_RECVMSG] = { make_recvmsg, POLLIN, ROTA__CALL_WAITS },
	[IORING_OP_SENDMSG] = { make_sendmsg, POLLOUT, ROTA__CALL_WAITS },
	[ROTA__OP_SEND_ZC] = { make_send, POLLOUT, ROTA__CALL_WAITS },
	[ROTA__OP_SENDMSG_ZC] = { make_sendmsg, POLLOUT, ROTA__CALL_WAITS },
	[IORING_OP_ACCEPT] = { make_accept, POLLIN, ROTA__CALL_WAITS },
	[IORING_OP_CONNECT] = { make_connect, POLLOUT, ROTA__CALL_WAITS },
	[IORING_OP_POLL_ADD] = { make_poll, 0, ROTA__CALL_WAITS }, /* the events are its flags */
	[IORING_OP_CLOSE] = { make_close, 0, ROTA__CALL_AT_ONCE },
	[IORING_OP_OPENAT] = { make_open, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_FSYNC] = { make_fsync, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_STATX] = { make_statx, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_OPENAT2] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_FALLOCATE] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[ROTA__OP_FTRUNCATE] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_RENAMEAT] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_UNLINKAT] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_MKDIRAT] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_SYMLINKAT] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_LINKAT] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[ROTA__OP_READLINKAT] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[IORING_OP_SPLICE] = { rota__sys_make_splice, 0, ROTA__CALL_BLOCKS },
	[ROTA__OP_COPY_FILE_RANGE] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
	[ROTA__OP_GETDENTS] = { rota__sys_make_file_call, 0, ROTA__CALL_BLOCKS },
};

static const struct rota__call unknown = { make_unknown, 0, ROTA__CALL_AT_ONCE };

const struct rota__call *rota__sys_call(const struct rota_op *op)
{
	return calls[op->opcode_].make != NULL ? &calls[op->opcode_] : &unknown;
}

int rota__sys_perform_once(struct rota_op *op)
{
	for (;;) {
		const struct rota__call *call = rota__sys_call(op);
		int rc = call->make(op, false);

		if (rota__op_was_no_socket(op, rc))
			continue;
		if (!rota__op_would_block(op, rc))
			return rc;
		rc = poll_events(op->fd_, call->events, -1);
		if (rc < 0)
			return rc;
	}
}

/* A non-blocking descriptor is waited for, an interrupted call made again; close is made once. */
int rota__sys_perform(struct rota_op *op)
{
	int rc;

	do
		rc = rota__sys_perform_once(op);
	while (rc == -EINTR && op->opcode_ != IORING_OP_CLOSE);
	return rc;
}
