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
	uint16_t (*closes)(struct rota__carrier *carrier, int fd);
	bool (*call_begin)(struct rota__carrier *carrier, int fd, uint16_t closes);
	void (*call_end)(struct rota__carrier *carrier, int fd);

	/* For a close that is no operation: what goes on for the number ends with -ECANCELED from here on, as after one that is.
	 * Whether operations, or calls, are under way on it. */
	void (*count_close)(struct rota__carrier *carrier, int fd);
	bool (*waited_for)(struct rota__carrier *carrier, int fd);
};

#define ROTA__OP_RESUME INT32_MIN

/* Of an operation that was started. */
static inline struct rota__carrier *rota__op_carrier(const struct rota_op *op)
{
	return rota__load(&op->carrier_, RELAXED); /* a rescue may change it to another of the same kind */
}

/* Whether it is one of the runtime that the calling thread belongs to. It may be of one that is gone: it is only compared. */
static inline bool rota__carrier_is_here(const struct rota__carrier *carrier)
{
	const struct rota__worker *worker = rota__worker_self();
	rota_runtime *rt = rota__runtime_self();

	if (carrier == NULL || rt == NULL)
		return false;
	if (carrier == rt->io || (worker != NULL && carrier == worker->io))
		return true;
	for (unsigned i = 0; i < rota__worker_total(rt); i++) {
		if (carrier == rt->workers[i].io)
			return true;
	}
	return false;
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
 * closed; each call, which may not wait, stands between begin and end. begin returns false when the number was closed
 * since: the result is -ECANCELED, and there is no end. Any thread; outside of a runtime nothing is known of closes.
 */
static inline uint16_t rota__call_closes(int fd)
{
	struct rota__carrier *carrier = rota__carrier_of_runtime();

	return carrier != NULL ? carrier->ops->closes(carrier, fd) : 0;
}

static inline bool rota__call_begin(int fd, uint16_t closes)
{
	struct rota__carrier *carrier = rota__carrier_of_runtime();

	return carrier == NULL || carrier->ops->call_begin(carrier, fd, closes);
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
	struct rota__carrier *carrier = rota__carrier_of_runtime();

	if (carrier != NULL)
		carrier->ops->count_close(carrier, fd); /* before it looks */
	return !rota__fd_waited_for(fd);
}

static inline void rota__call_end(int fd)
{
	struct rota__carrier *carrier = rota__carrier_of_runtime();

	if (carrier != NULL)
		carrier->ops->call_end(carrier, fd);
}

#endif
