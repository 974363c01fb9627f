/* SPDX-License-Identifier: MIT */
/*
 * Operations that are about two descriptors: a splice, and the poll by which it waits for one side, which a close of the
 * other one has to end, too. A back end lists the polls that it has, so that whoever closes the second descriptor finds them.
 * (Splices are calls of threads, and listed where those are: elsewhere_internal.h, interrupt_internal.h.)
 *
 * Most closes concern none: a back end that has none of them takes no lock to find that out (rota__pairs_any).
 *
 * Each is part of a pooled operation, which no pool has now: so there is room for the links. Order of locks: pairs, then
 * those of lists and slots.
 */
#ifndef ROTA_IO_PAIRS_INTERNAL_H
#define ROTA_IO_PAIRS_INTERNAL_H

#include "../runtime/spin_internal.h"
#include "file.h"

#define ROTA__PAIRS_LISTS 64u

struct rota__pairs {
	struct rota_atomic_u32 lock;              /* guards the rest, and the links */
	struct rota_atomic_u32 count;             /* of all; written under the lock */
	struct rota_op *polls[ROTA__PAIRS_LISTS]; /* by the second descriptor */
};

/* A prepared operation, of a pooled one, is also about a second descriptor, which was closed so often so far. */
void rota__op_pair(struct rota_op *op, int second_fd, uint16_t second_closes);

/* A poll. Without the lock. One that is in no list may be removed. */
void rota__pairs_add(struct rota__pairs *pairs, struct rota_op *op);
void rota__pairs_remove(struct rota__pairs *pairs, struct rota_op *op);

/* Without the lock. Who closes a descriptor marks it, SEQ_CST, and then asks; who adds a pair looks for the mark, SEQ_CST, behind
 * that: one of the two sees the other. */
static inline bool rota__pairs_any(const struct rota__pairs *pairs)
{
	return rota__load(&pairs->count, SEQ_CST) != 0; /* partner: rota__pairs_add */
}

/* With the lock held: those whose second descriptor it may be, one after another. NULL: that was the last one. */
static inline struct rota_op *rota__pairs_polls(const struct rota__pairs *pairs, int second_fd)
{
	return pairs->polls[(unsigned)second_fd % ROTA__PAIRS_LISTS];
}

struct rota_op *rota__pairs_next(struct rota_op *op);

#endif
