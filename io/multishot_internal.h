/* SPDX-License-Identifier: MIT */
/*
 * Operations with several completions, which only rings have. Such an operation lies within a stream (accept_stream.h,
 * recv_stream.h); `more_` says in which kind.
 *
 *   the last completion    ends the operation like any other: result, FIRED. It may bring something, too: then it is
 *                          queued, and the result is 1.
 *   those before it        are put into the stream's queue by whoever reaps, under the operation's slot (its lock), and
 *                          its waker, if there is one, is claimed: the slot stays ARMED, with an empty waker.
 *
 * The task that owns the stream looks at the queue under the slot too, until it sees FIRED: then all is its own. It leaves
 * its waker with the operation only while it waits, since the operation outlives the wait.
 *
 * Enough: when the queue is long, whoever reaps cancels the operation; what comes before its end is queued all the same.
 */
#ifndef ROTA_IO_MULTISHOT_INTERNAL_H
#define ROTA_IO_MULTISHOT_INTERNAL_H

#include <liburing.h>

#include "../runtime/slot_internal.h"
#include "op_internal.h"

/* More may come after what was queued: go on. */
#define ROTA__MULTISHOT_GOES_ON 1

struct rota__buffers;

/* Queue what a completion brings. Called by who reaps, with the slot taken. `last`: *res becomes the operation's result.
 * Return whether it is enough for now. */
bool rota__accept_stream_take(struct rota_op *op, int *res, bool last);
bool rota__recv_stream_take(struct rota_op *op, struct rota__buffers *buffers, int *res, unsigned flags, bool last);

static inline bool rota__op_is_multishot(const struct rota_op *op)
{
	return op->more_ == ROTA__MORE_ACCEPT || op->more_ == ROTA__MORE_RECV;
}

/* true: the operation has ended and its queue is the owner's; false: the slot is taken, one of the three below lets go. */
static inline bool rota__multishot_lock(struct rota_op *op)
{
	return rota__slot_take(&op->state_) == ROTA__SLOT_FIRED;
}

/* The owner goes on, and leaves no waker behind. */
static inline void rota__multishot_leave(struct rota_op *op)
{
	rota__waker_release(&op->waker_);
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
}

/* The owner waits. */
static inline void rota__multishot_wait(struct rota_op *op, const struct rota_waker *waker)
{
	if (!rota_waker_same(&op->waker_, waker)) {
		rota__waker_release(&op->waker_);
		rota__waker_hold(&op->waker_, waker);
	}
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
}

/* Whether the calling thread's operations are carried by a ring. */
bool rota__multishot_here(void);

/* Asks the operation to end and waits for that. */
rota_poll rota__multishot_stop(struct rota_op *op, struct rota_context *cx);

#endif
