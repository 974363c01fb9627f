/* SPDX-License-Identifier: MIT */
/*
 * A mutex for fibers, futures and plain threads alike. Fair enough: a waiter that was woken and found the mutex
 * taken again is handed it by the next unlock. The task that locked must be the one that unlocks.
 */
#ifndef ROTA_SYNC_MUTEX_H
#define ROTA_SYNC_MUTEX_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

struct rota_mutex {
	struct rota_atomic_u64 state_;
	struct rota_atomic_ptr owner_; /* if known */
	struct rota_waitlist waiters_; /* its lock_ is none, but the hint of rota__word_guess */
};

/* clang-format off */
#define ROTA_MUTEX_INIT { {0}, {NULL}, ROTA_WAITLIST_INIT_ }
/* clang-format on */

ROTA_API void rota_mutex_init(struct rota_mutex *m);

/* Ends it before its memory is freed: nobody waits, and nobody comes later. Whoever had it last may do this at once. 0. -EBUSY:
 * it is locked, which is reported (debug builds abort), and nothing has changed. */
ROTA_API int rota_mutex_deinit(struct rota_mutex *m);

/* Waits until the mutex is the caller's. Not a cancellation point. From a fiber or a plain thread; inside the poll of a
 * stackless task it is reported as misuse (debug builds abort) and blocks the worker. So is a second lock by the same
 * task, which then waits for itself. */
ROTA_API void rota_mutex_lock(struct rota_mutex *m);

/* The same until `deadline` (ns of CLOCK_MONOTONIC), and a cancellation point. 0; -ETIMEDOUT, -ECANCELED: it is not the
 * caller's. A mutex that is free is had whatever the deadline. */
ROTA_API int rota_mutex_lock_until(struct rota_mutex *m, uint64_t deadline) ROTA_MUST_USE;

/* 0, or -EBUSY. Never waits; any context. */
ROTA_API int rota_mutex_trylock(struct rota_mutex *m) ROTA_MUST_USE;

/* Never waits; any context. Unlocking a mutex that is not locked, or that another task locked, is reported: debug builds
 * abort, release builds ignore it. Who locked it is known unless it was a future. */
ROTA_API void rota_mutex_unlock(struct rota_mutex *m);

/* The lock as a future: status 0 when the mutex is the caller's; -ECANCELED: it is not. Any task may unlock it. */
struct rota_mutex_lock_op {
	struct rota_future future;
	struct rota_mutex *mutex_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_mutex_lock_init(struct rota_mutex_lock_op *op, struct rota_mutex *m);

ROTA_END_DECLS

#endif
