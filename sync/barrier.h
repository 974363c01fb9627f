/* SPDX-License-Identifier: MIT */
/*
 * A barrier: whoever comes waits until `count` are there, then all go on and the next round begins. For fibers, futures and
 * plain threads alike.
 */
#ifndef ROTA_SYNC_BARRIER_H
#define ROTA_SYNC_BARRIER_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

#define ROTA_BARRIER_LEADER 1 /* what one of each round is told, as PTHREAD_BARRIER_SERIAL_THREAD */

struct rota_barrier {
	struct rota_waitlist waiters_;
	uint32_t count_;
	uint32_t arrived_;
	uint32_t generation_;
};

/* clang-format off */
#define ROTA_BARRIER_INIT(count) { ROTA_WAITLIST_INIT_, (count), 0, 0 }
/* clang-format on */

/* 0, or -EINVAL: count 0. */
ROTA_API int rota_barrier_init(struct rota_barrier *b, uint32_t count) ROTA_MUST_USE;

/* Ends it before its memory is freed: nobody waits, and nobody comes later. Whoever was woken may do this at once, as it waits
 * for the call that woke to be done with it. 0. -EBUSY: somebody waits, which is reported (debug builds abort), and nothing has
 * changed. */
ROTA_API int rota_barrier_deinit(struct rota_barrier *b);

/* Waits until `count` callers are there. ROTA_BARRIER_LEADER to the one who came last, 0 to the others; -ECANCELED: the
 * caller does not count as having come; -EINVAL: the barrier was begun for none, which is reported (debug builds abort). */
ROTA_API int rota_barrier_wait(struct rota_barrier *b) ROTA_MUST_USE;

/* The same as a future. One that is cancelled when all were there reports 0. */
struct rota_barrier_op {
	struct rota_future future;
	struct rota_barrier *barrier_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_barrier_wait_init(struct rota_barrier_op *op, struct rota_barrier *b);

ROTA_END_DECLS

#endif
