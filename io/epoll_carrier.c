/* SPDX-License-Identifier: MIT */
/*
 * Operations without a ring: the owner makes the call at once if that needs no waiting, and again each time it was
 * woken because its descriptor is ready. So data is moved by who asked for it, and what was cancelled while it waited
 * has moved none. What blocks (files, and names of files) is made by a pool thread, or in place by a thread that is no
 * worker; but what may wait for ever by another one, if there is one to be had, as is an accept on a blocking listener.
 */
#include "backend_epoll_internal.h"

#include <errno.h>
#include <sys/socket.h>

#include "../runtime/blocking_internal.h"
#include "../runtime/runtime_internal.h"
#include "fd_hint_internal.h"
#include "poller_pool_internal.h"
#include "sys_internal.h"

static struct rota__poller *poller_of(const struct rota_op *op)
{
	return rota__poll_set_of(op)->poller;
}

static rota_poll finish(struct rota_op *op, int status)
{
	struct rota__worker *worker = rota__worker_self();

	if (worker != NULL)
		rota__count(&worker->operations, 1);
	else
		rota__fetch_add(&poller_of(op)->ended, 1, RELAXED); /* a count */
	op->future.status = status;
	return ROTA_READY;
}

static rota_poll nap(struct rota_op *op, const struct rota_waker *waker)
{
	const int rc = rota__poller_nap(poller_of(op), op, waker);

	return rc == 0 ? ROTA_PENDING : finish(op, rc);
}

/* --- what blocks ---------------------------------------------------------------------------------------------------- */

static rota_poll in_pool(struct rota_op *op, const struct rota_waker *waker)
{
	const bool closed = rota__op_was_closed(op);
	int rc;

	/* In place, save where it may take for ever, and could not be cancelled. */
	if (rota__worker_self() == NULL && (!rota__op_waits_for_ever(op) || rota__sys_opens_file(op)))
		return finish(op, closed ? -ECANCELED : rota__sys_perform(op));
	/* The connection of an accept is there, as a rule: it waits for no job. */
	if (rota__blocking_thread() || op->opcode_ == IORING_OP_ACCEPT) {
		if (rota__poller_beside(poller_of(op), op, waker) == 0)
			return ROTA_PENDING;
		rc = rota__poller_in_place(poller_of(op), op); /* for want of another thread */
		return rc == ROTA__CALL_TAKEN ? nap(op, waker) : finish(op, rc);
	}
	rc = rota__poller_to_pool(poller_of(op), op, waker);
	return rc < 0 ? finish(op, rc) : ROTA_PENDING;
}

/* A file, as opposed to a pipe, a socket, a terminal. */
static bool is_file(const struct rota_op *op, const struct rota__call *call)
{
	if (call->kind != ROTA__CALL_MOVES || op->polling_ == ROTA__POLL_DONE)
		return false;
	return op->offset_ != UINT64_MAX || rota__sys_is_file(op->fd_);
}

/* --- what waits for a descriptor ------------------------------------------------------------------------------------ */

/* With MSG_WAITALL a part is not enough: goes on behind it. */
static bool wants_more(struct rota_op *op, int moved)
{
	const bool message = op->opcode_ == IORING_OP_RECV || op->opcode_ == IORING_OP_SEND;

	if (!message || (op->flags_ & (MSG_WAITALL | MSG_PEEK)) != MSG_WAITALL || moved <= 0 ||
	    (uint32_t)moved == op->len_ || !rota__sys_is_connection(op->fd_))
		return false;
	op->moved_ += (uint32_t)moved;
	op->addr_ += (uint32_t)moved;
	op->len_ -= (uint32_t)moved;
	return true;
}

static bool must_wait(const struct rota_op *op, int rc)
{
	return op->opcode_ == IORING_OP_POLL_ADD ? rc == -EAGAIN : rota__op_would_block(op, rc);
}

/* Who waits may be on another worker by now than when it began, or on none. */
static void follow(struct rota_op *op)
{
	const struct rota__worker *worker = rota__worker_self();
	struct rota__poller *poller = poller_of(op);

	rota__store(&op->carrier_, worker != NULL && worker->rt == poller->rt ? worker->io : &poller->set, RELAXED);
}

static rota_poll wait(struct rota_op *op, int said, const struct rota_waker *waker)
{
	uint8_t before = op->polling_;
	int rc;

	/* A Unix socket says so when the listener's queue is full, and nothing reports that it is no more. */
	if (op->opcode_ == IORING_OP_CONNECT && said == -EAGAIN && before != ROTA__POLL_DONE)
		return nap(op, waker);
	op->polling_ = ROTA__POLL_DONE;
	follow(op);
	rc = rota__poller_wait(poller_of(op), op, waker, false);
	if (rc == 0)
		return ROTA_PENDING;
	if (rc == -EAGAIN) {
		if (op->opcode_ != IORING_OP_CONNECT)
			op->polling_ = before;
		return nap(op, waker);
	}
	if (rc == -EPERM && op->opcode_ == IORING_OP_POLL_ADD)
		rc = -EINVAL; /* it never has news, and none of these events now; a ring says the same */
	return rc == -EPERM ? in_pool(op, waker) : finish(op, rc);
}

/* A receive that would be tried in vain. Only of what this set has waited for before: that is a connection, whatever was known of
 * its number, and is armed by one call. false: it is to be tried. */
static bool waits_first(struct rota_op *op, const struct rota_waker *waker)
{
	if (op->polling_ == ROTA__POLL_DONE || !rota__op_polls_first(op))
		return false;
	op->polling_ = ROTA__POLL_DONE;
	follow(op);
	if (rota__poller_wait(poller_of(op), op, waker, true) == 0)
		return true;
	op->polling_ = ROTA__POLL_NEVER;
	return false;
}

/* Whether the next receive is likely to find something: this one has left some, or may have, or had not to wait. */
static void learn_ready(const struct rota_op *op, int received)
{
	const bool left = (uint32_t)received == op->len_ || (op->flags_ & MSG_PEEK) != 0;

	if (op->opcode_ == IORING_OP_RECV && received > 0)
		rota__fd_hint(&rota__fd_ready, op->fd_, left || op->polling_ != ROTA__POLL_DONE);
}

static rota_poll close_it(struct rota_op *op, const struct rota_waker *waker)
{
	const bool begun = op->polling_ == ROTA__POLL_DONE;

	op->polling_ = ROTA__POLL_DONE;
	if (!begun && rota__poller_close_begin(poller_of(op), op, waker))
		return ROTA_PENDING;
	return finish(op, rota__poller_close_end(poller_of(op), op));
}

/* --- the owner's part ----------------------------------------------------------------------------------------------- */

static rota_poll go_on(struct rota_op *op, const struct rota_waker *waker)
{
	if (op->pair_)
		rota__pairs_remove(&poller_of(op)->pairs, op);
	for (;;) {
		const struct rota__call *call = rota__sys_call(op);
		int rc;

		if (op->cancelled_ || (op->pair_ && rota__op_was_closed(op)))
			return finish(op, -ECANCELED);
		if (call->kind == ROTA__CALL_BLOCKS || is_file(op, call))
			return in_pool(op, waker);
		if (op->opcode_ == IORING_OP_CLOSE)
			return close_it(op, waker);
		if (waits_first(op, waker))
			return ROTA_PENDING;
		if (!rota__poller_call_begin(poller_of(op), op->fd_, op->closes_))
			return finish(op, -ECANCELED);
		rc = call->make(op, call->kind != ROTA__CALL_AT_ONCE);
		rota__poller_call_end(poller_of(op), op->fd_);
		learn_ready(op, rc);
		if (rc == -EINTR || rota__op_was_no_socket(op, rc) || wants_more(op, rc))
			continue;
		if (rc == ROTA__CALL_UNSURE) {
			op->has_turn_ = op->opcode_ == IORING_OP_ACCEPT;
			return in_pool(op, waker);
		}
		if (rc == ROTA__CALL_TAKEN)
			return nap(op, waker);
		return must_wait(op, rc) ? wait(op, rc, waker) : finish(op, rc);
	}
}

static rota_poll epoll_start(struct rota__carrier *carrier, struct rota_op *op, const struct rota_waker *waker)
{
	rota__store(&op->carrier_, carrier, RELAXED);
	if (op->stage_ != ROTA__OP_NEXT)
		op->closes_ = rota__fd_closes(op->fd_);
	return go_on(op, waker);
}

static void epoll_cancel(struct rota_op *op)
{
	if (op->opcode_ == IORING_OP_CLOSE)
		return; /* that one is made, and does not take long */
	if (!rota__poller_cancel(poller_of(op), op))
		op->cancelled_ = 1; /* the owner sees it when it goes on */
}

/* All that there are. */
static bool epoll_has(unsigned opcode)
{
	(void)opcode;
	return true;
}

/* Plain system calls have no use for it. */
static int epoll_register_memory(rota_runtime *rt, const struct iovec *memory)
{
	struct rota__poller *poller = rt->io;

	(void)memory;
	return rota__swap(&poller->memory_taken, 1, SEQ_CST) == 0 ? 0 : -EBUSY;
}

static struct rota__poller *poller_behind(struct rota__carrier *carrier)
{
	return ((struct rota__poll_set *)(void *)carrier)->poller;
}

static bool epoll_call_begin(struct rota__carrier *carrier, int fd, uint16_t closes)
{
	return rota__poller_call_begin(poller_behind(carrier), fd, closes);
}

static void epoll_call_end(struct rota__carrier *carrier, int fd)
{
	rota__poller_call_end(poller_behind(carrier), fd);
}

static bool epoll_waited_for(struct rota__carrier *carrier, int fd)
{
	return rota__poller_waited_for(poller_behind(carrier), fd);
}

const struct rota__carrier_ops rota__epoll_carrier_ops = {
	.start = epoll_start,
	.resume = go_on,
	.cancel = epoll_cancel,
	.has = epoll_has,
	.register_memory = epoll_register_memory,
	.call_begin = epoll_call_begin,
	.call_end = epoll_call_end,
	.waited_for = epoll_waited_for,
};
