/* SPDX-License-Identifier: MIT */
/*
 * Who carries an operation out: a ring, or the epoll back end. It is the first member of what worker->io and rt->io
 * point to; an operation that was started keeps the one that has it.
 */
#ifndef ROTA_IO_CARRIER_INTERNAL_H
#define ROTA_IO_CARRIER_INTERNAL_H

#include "../runtime/atomic_internal.h"
#include "op_internal.h"

struct rota__carrier {
	const struct rota__carrier_ops *ops;
};

struct rota__carrier_ops {
	/* The first poll, on the thread that the carrier serves. READY: the status is set. PENDING: the waker was kept, and the
	 * operation is the carrier's until its slot fires. */
	rota_poll (*start)(struct rota__carrier *carrier, struct rota_op *op, const struct rota_waker *waker);

	/* The slot has fired with ROTA__OP_RESUME instead of a result: the owner goes on. As start. */
	rota_poll (*resume)(struct rota_op *op, const struct rota_waker *waker);

	/* The owner asks for an early end of what was started; any thread. It may have ended already. */
	void (*cancel)(struct rota_op *op);
};

#define ROTA__OP_RESUME INT32_MIN

/* Of an operation that was started. */
static inline struct rota__carrier *rota__op_carrier(const struct rota_op *op)
{
	return rota__load(&op->carrier_, RELAXED); /* a rescue may change it to another of the same kind */
}

#endif
