/* SPDX-License-Identifier: MIT */
/* What the tests of rings do in the place of a ring's owner: a plain thread, which looks at operations by itself. */
#ifndef TESTS_UNIT_RING_OWNER_H
#define TESTS_UNIT_RING_OWNER_H

#include "../../io/closing_internal.h"
#include "../../io/ring_internal.h"
#include "../../io/sys_internal.h"
#include "../../runtime/slot_internal.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

/* Starts an operation as its first poll would, for a plain thread that looks at it by itself. */
static inline void make_ready(struct rota_op *op)
{
	const struct rota_waker waker = rota_thread_waker();

	op->stage_ = ROTA__OP_STARTED;
	rota__waker_hold(&op->waker_, &waker);
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE);
}

static inline void submit(struct rota__ring *ring, struct rota_op *op)
{
	make_ready(op);
	rota__store(&op->carrier_, ring, RELAXED);
	rota__ring_submit(ring, op);
}

/* The owner's turns until the operation has ended; its result. */
static inline int finish(struct rota__ring *ring, struct rota_op *op)
{
	while (!rota__slot_fired(&op->state_))
		rota__ring_turn(ring, ROTA_NEVER);
	return op->future.status;
}

/* As a future's cancel does it. */
static inline void cancel(struct rota_op *op)
{
	rota_future_cancel(&op->future);
}

#endif
