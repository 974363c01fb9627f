/* SPDX-License-Identifier: MIT */
/*
 * Rings hand every splice to a thread of the kernel's, which would be held for as long as a connection is silent. So
 * the two sides are waited for first, by polls. Then the caller makes the call itself where it cannot block: between
 * pipes, and with sockets that are O_NONBLOCK already. The flag of others is never touched, since it belongs to all who
 * share the open file. With those, with files and with terminals a thread of the ring's or of the pool makes the call:
 * somebody else may take the bytes or the room between the poll and the call, and a disk takes its time.
 *
 * The kernel holds a pipe's lock while it writes from the pipe to a socket, and with a blocking socket it waits there
 * for room. Whoever touched the pipe meanwhile, with whatever flags, would wait too, a worker among them. So a blocking
 * socket is given no more at a time than it has room for when it polls as writable, with the buffers that are usual.
 */
#define _GNU_SOURCE
#include "splice.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>

#include "carrier_internal.h"
#include "pairs_internal.h"
#include "pooled_op_internal.h"
#include "splice_internal.h"
#include "sys_internal.h"

#define PIECE_MAX ((size_t)16 * 1024)

static void prepare_call(struct rota_splice_op *op, size_t len)
{
	struct rota_op *call = &op->call_.op_;

	rota__op_prepare(call, IORING_OP_SPLICE, op->to_, NULL, len, (uint64_t)op->to_offset_,
			 op->flags_ | SPLICE_F_NONBLOCK);
	call->addr_ = (uint64_t)op->from_offset_; /* not an address */
	rota__op_pair(call, op->from_, op->from_closes_);
	rota__op_goes_on(call, op->to_closes_);
}

/* For one side; a close of the other ends it, too. */
static void prepare_wait(struct rota_splice_op *op, enum rota__splice_side side)
{
	struct rota_op *wait = &op->call_.op_;

	if (side == ROTA__SPLICE_FROM) {
		rota_op_poll(wait, op->from_, POLLIN);
		rota__op_pair(wait, op->to_, op->to_closes_);
		rota__op_goes_on(wait, op->from_closes_);
	} else {
		rota_op_poll(wait, op->to_, POLLOUT);
		rota__op_pair(wait, op->from_, op->from_closes_);
		rota__op_goes_on(wait, op->to_closes_);
	}
}

/* Until `leave` neither is closed, and calls that do not wait may be made. false: one of the two was. */
static bool enter(const struct rota_splice_op *op)
{
	if (!rota__call_begin(op->from_, op->from_closes_))
		return false;
	if (rota__call_begin(op->to_, op->to_closes_))
		return true;
	rota__call_end(op->from_);
	return false;
}

static void leave(const struct rota_splice_op *op)
{
	rota__call_end(op->to_);
	rota__call_end(op->from_);
}

/* What has to be waited for, and by whom the call may be made if nothing has. false: one of the two was closed. */
static bool look(const struct rota_splice_op *op, enum rota__splice_side *ret_side, enum rota__splice_way *ret_way)
{
	if (!enter(op))
		return false;
	*ret_side = rota__sys_splice_waits(op->from_, op->to_);
	*ret_way = rota__sys_splice_way(op->from_, op->to_);
	leave(op);
	return true;
}

/* Before a wait without a try, which would have no end with a descriptor that is not fit for it. */
static int check(const struct rota_splice_op *op)
{
	int rc;

	if (!enter(op))
		return -ECANCELED;
	rc = rota__sys_splice_check(op->from_, op->to_);
	leave(op);
	return rc;
}

/* The call in place. */
static int splice_here(struct rota_splice_op *op)
{
	int rc;

	prepare_call(op, op->len_);
	rc = rota__op_fault(&op->call_.op_);
	if (rc < 0)
		return rc;
	if (!enter(op))
		return -ECANCELED;
	rc = rota__sys_make_splice(&op->call_.op_, true);
	leave(op);
	return rc;
}

static rota_poll splice_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_splice_op *op = (struct rota_splice_op *)(void *)self;
	enum rota__splice_side side;
	enum rota__splice_way way;
	int rc;

	ROTA_ASYNC_BEGIN(op);
	if (op->async.cancelled_)
		ROTA_ASYNC_RETURN(op, -ECANCELED);
	if (!op->goes_on_) {
		op->from_closes_ = rota__fd_closes(op->from_);
		op->to_closes_ = rota__fd_closes(op->to_);
	}
	/* The kernel would say so; but only when there is something to move. */
	rc = rota__sys_check_offset(op->from_, op->from_offset_);
	if (rc == 0)
		rc = rota__sys_check_offset(op->to_, op->to_offset_);
	if (rc < 0 || op->len_ == 0)
		ROTA_ASYNC_RETURN(op, rc);
	for (;;) {
		if (!look(op, &side, &way))
			ROTA_ASYNC_RETURN(op, -ECANCELED);
		if (way == ROTA__SPLICE_HERE) { /* also if it has to wait: the call says whether the two are fit for it */
			rc = splice_here(op);
			if (rc != -EAGAIN)
				ROTA_ASYNC_RETURN(op, rc);
			if (side == ROTA__SPLICE_READY && !look(op, &side, &way))
				ROTA_ASYNC_RETURN(op, -ECANCELED);
		} else if (side == ROTA__SPLICE_READY) {
			prepare_call(op, way == ROTA__SPLICE_IN_PIECES && op->len_ > PIECE_MAX ? PIECE_MAX : op->len_);
			rota__pooled_op_init(&op->call_);
			ROTA_AWAIT(op, cx, &op->call_.future);
			rc = op->call_.future.status;
			if (rc != -EAGAIN)
				ROTA_ASYNC_RETURN(op, rc);
			if (!look(op, &side, &way))
				ROTA_ASYNC_RETURN(op, -ECANCELED);
		}
		rc = way == ROTA__SPLICE_HERE ? 0 : check(op);
		if (rc == 0 && (op->flags_ & SPLICE_F_NONBLOCK))
			rc = -EAGAIN;
		if (rc < 0)
			ROTA_ASYNC_RETURN(op, rc);
		prepare_wait(op, side);
		ROTA_AWAIT(op, cx, &op->call_.op_.future);
		if (op->call_.op_.future.status < 0)
			ROTA_ASYNC_RETURN(op, op->call_.op_.future.status);
	}
	ROTA_ASYNC_END(op);
}

void rota_op_splice(struct rota_splice_op *op, int from, off_t from_offset, int to, off_t to_offset, size_t len,
		    unsigned flags)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(splice_poll, "splice");

	rota_async_init(&op->async, &ops);
	op->from_ = from;
	op->from_offset_ = from_offset;
	op->to_ = to;
	op->to_offset_ = to_offset;
	op->len_ = len;
	op->flags_ = flags;
	op->goes_on_ = false;
}

void rota__splice_goes_on(struct rota_splice_op *op, uint16_t from_closes, uint16_t to_closes)
{
	op->goes_on_ = true;
	op->from_closes_ = from_closes;
	op->to_closes_ = to_closes;
}

ssize_t rota_splice(int from, off_t from_offset, int to, off_t to_offset, size_t len, unsigned flags)
{
	struct rota_splice_op op;

	rota_op_splice(&op, from, from_offset, to, to_offset, len, flags);
	return rota_await(&op.future);
}
