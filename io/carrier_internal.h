/* SPDX-License-Identifier: MIT */
/*
 * Who carries an operation out: a ring, or the epoll back end. It is the first member of what worker->io and rt->io
 * point to; an operation that was started keeps the one that has it.
 */
#ifndef ROTA_IO_CARRIER_INTERNAL_H
#define ROTA_IO_CARRIER_INTERNAL_H

#include "../runtime/atomic_internal.h"
#include "../runtime/runtime_internal.h"
#include "op_internal.h"

struct rota__carrier {
	const struct rota__carrier_ops *ops;
};

struct rota__carrier_ops {
	/* The first poll, on the thread that the carrier serves. READY: the status is set. PENDING: the waker was kept,
	 * and the operation is the carrier's until its slot fires. */
	rota_poll (*start)(struct rota__carrier *carrier, struct rota_op *op, const struct rota_waker *waker);

	/* The slot has fired with ROTA__OP_RESUME instead of a result: the owner goes on. As start. */
	rota_poll (*resume)(struct rota_op *op, const struct rota_waker *waker);

	/* The owner asks for an early end of what was started; any thread. It may have ended already. */
	void (*cancel)(struct rota_op *op);

	/* Whether it carries such operations out. Else the blocking pool makes the call. */
	bool (*has)(unsigned opcode);

	/* Reads and writes will be of this memory. -EBUSY: there is some already. Any thread. */
	int (*register_memory)(rota_runtime *rt, const struct iovec *memory);

	/* For futures that make calls by themselves: see below. */
	bool (*call_begin)(struct rota__carrier *carrier, int fd, uint16_t closes);
	void (*call_end)(struct rota__carrier *carrier, int fd);

	/* Whether operations, or calls, are under way on a descriptor. Certain after a close of it was counted. */
	bool (*waited_for)(struct rota__carrier *carrier, int fd);
};

#define ROTA__OP_RESUME INT32_MIN

/* Of an operation that was started. */
static inline struct rota__carrier *rota__op_carrier(const struct rota_op *op)
{
	return rota__load(&op->carrier_, RELAXED); /* a rescue may change it to another of the same kind */
}

/* What serves whoever is no worker in the calling thread's runtime, and what serves the calling thread. NULL outside of any
 * runtime. */
static inline struct rota__carrier *rota__carrier_of_runtime(void)
{
	rota_runtime *rt = rota__runtime_self();

	return rt != NULL ? rt->io : NULL;
}

static inline struct rota__carrier *rota__carrier_self(void)
{
	const struct rota__worker *worker = rota__worker_self();

	return worker != NULL ? worker->io : rota__carrier_of_runtime();
}

/*
 * A future that waits by a poll and then makes the call itself: as it begins it takes down how often its descriptor was
 * closed (rota__fd_closes); each call, which may not wait, stands between begin and end. begin returns false when the number
 * was closed since: the result is -ECANCELED, and there is no end. Any thread; outside of a runtime no close waits for the call.
 */
static inline bool rota__call_begin(int fd, uint16_t closes)
{
	struct rota__carrier *carrier = rota__carrier_of_runtime();

	return carrier != NULL ? carrier->ops->call_begin(carrier, fd, closes) : rota__fd_closes(fd) == closes;
}

static inline void rota__call_end(int fd)
{
	struct rota__carrier *carrier = rota__carrier_of_runtime();

	if (carrier != NULL)
		carrier->ops->call_end(carrier, fd);
}

/* Whether operations, or calls, are under way on the descriptor, as the caller can know: a close has to end them. Any thread;
 * outside of a runtime nothing is known of them. */
static inline bool rota__fd_waited_for(int fd)
{
	struct rota__carrier *carrier = rota__carrier_of_runtime();

	return carrier != NULL && carrier->ops->waited_for(carrier, fd);
}

/* The descriptor is about to be closed. true: in place, without an operation; what goes on for it ends from here on. */
static inline bool rota__fd_may_close(int fd)
{
	rota__fd_count_close(fd); /* before it looks */
	return !rota__fd_waited_for(fd);
}

#endif
