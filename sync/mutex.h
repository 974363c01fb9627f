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
	struct rota_atomic_u32 state_;
	struct rota_waitlist waiters_; /* its own lock is not used */
};

/* clang-format off */
#define ROTA_MUTEX_INIT { {0}, {{0}, 0, NULL, NULL} }
/* clang-format on */

ROTA_API void rota_mutex_init(struct rota_mutex *m);

/* Waits until the mutex is the caller's. Not a cancellation point. From a fiber or a plain thread; inside the poll of a
 * stackless task it is reported as misuse (debug builds abort) and blocks the worker. */
ROTA_API void rota_mutex_lock(struct rota_mutex *m);

/* 0, or -EBUSY. Never waits; any context. */
ROTA_API int rota_mutex_trylock(struct rota_mutex *m) ROTA_MUST_USE;

/* Never waits; any context. Unlocking a mutex that is not locked is reported: debug builds abort, release builds
 * ignore it. */
ROTA_API void rota_mutex_unlock(struct rota_mutex *m);

/* The lock as a future: status 0 when the mutex is the caller's; -ECANCELED: it is not. */
struct rota_mutex_lock_op {
	struct rota_future future;
	struct rota_mutex *mutex_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_mutex_lock_init(struct rota_mutex_lock_op *op, struct rota_mutex *m);

ROTA_END_DECLS

#endif
