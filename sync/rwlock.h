/* SPDX-License-Identifier: MIT */
/*
 * A lock for many readers or one writer, for fibers, futures and plain threads alike. First come, first served: a reader
 * that comes while a writer waits goes behind it, so neither starves. Therefore a task that holds the lock for reading
 * must not take it again. The lock is not recursive.
 */
#ifndef ROTA_SYNC_RWLOCK_H
#define ROTA_SYNC_RWLOCK_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

struct rota_rwlock {
	struct rota_atomic_u64 state_;
	struct rota_atomic_ptr owner_; /* the writer, if known */
	struct rota_waitlist waiters_; /* its own lock is not used */
};

/* clang-format off */
#define ROTA_RWLOCK_INIT { {0}, {NULL}, ROTA_WAITLIST_INIT_ }
/* clang-format on */

ROTA_API void rota_rwlock_init(struct rota_rwlock *l);

/* Ends it before its memory is freed: nobody waits, and nobody comes later. Whoever had it may do this at once, as it waits for
 * the call that gave it to be done with it. 0. -EBUSY: it is locked, which is reported (debug builds abort), and nothing has
 * changed. */
ROTA_API int rota_rwlock_deinit(struct rota_rwlock *l);

/* Wait until the lock is the caller's. 0; -ECANCELED: it is not. */
ROTA_API int rota_rwlock_rdlock(struct rota_rwlock *l) ROTA_MUST_USE;
ROTA_API int rota_rwlock_wrlock(struct rota_rwlock *l) ROTA_MUST_USE;

/* The same until `deadline` (ns of CLOCK_MONOTONIC): -ETIMEDOUT. */
ROTA_API int rota_rwlock_rdlock_until(struct rota_rwlock *l, uint64_t deadline) ROTA_MUST_USE;
ROTA_API int rota_rwlock_wrlock_until(struct rota_rwlock *l, uint64_t deadline) ROTA_MUST_USE;

/* 0, or -EBUSY: a writer has it or waits for it; for tryrdlock readers do not matter. Never wait; any context. */
ROTA_API int rota_rwlock_tryrdlock(struct rota_rwlock *l) ROTA_MUST_USE;
ROTA_API int rota_rwlock_trywrlock(struct rota_rwlock *l) ROTA_MUST_USE;

/* Gives back what the caller has, reading or writing. Never waits; any context. 0; -EPERM: nobody has it, or another task
 * locked it for writing (known unless it was locked by a future): reported, debug builds abort, nothing has changed. */
ROTA_API int rota_rwlock_unlock(struct rota_rwlock *l);

/* The writer becomes a reader: no other writer comes between. Readers in front of the list come in too. Never waits. 0;
 * -EPERM as above. */
ROTA_API int rota_rwlock_downgrade(struct rota_rwlock *l);

/* The two locks as futures: status 0 when the lock is the caller's, also when it was cancelled at once; -ECANCELED: it is
 * not. */
struct rota_rwlock_op {
	struct rota_future future;
	struct rota_rwlock *lock_;
	bool write_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_rwlock_rdlock_init(struct rota_rwlock_op *op, struct rota_rwlock *l);
ROTA_API void rota_rwlock_wrlock_init(struct rota_rwlock_op *op, struct rota_rwlock *l);

ROTA_END_DECLS

#endif
