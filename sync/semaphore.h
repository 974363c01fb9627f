/* SPDX-License-Identifier: MIT */
/*
 * A semaphore: a number of permits, of which callers take some and give some back. First come, first served: while
 * somebody waits, nobody overtakes, so one who wants many permits gets them. For fibers, futures and plain threads alike.
 */
#ifndef ROTA_SYNC_SEMAPHORE_H
#define ROTA_SYNC_SEMAPHORE_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

#define ROTA_SEMAPHORE_MAX (UINT64_MAX >> 21) /* permits: 8.8e12 */

struct rota_semaphore {
	struct rota_atomic_u64 state_;
	struct rota_waitlist waiters_; /* its own lock is not used */
};

/* `permits` from the start, 0 to ROTA_SEMAPHORE_MAX: the compiler refuses a constant that is more. Of what is computed the
 * program has made sure; else rota_semaphore_init looks. */
/* clang-format off */
#define ROTA_SEMAPHORE_INIT(permits) \
	{ {((uint64_t)(permits) << 3) * sizeof(char[ROTA_SEMAPHORE_KNOWN_(permits) > ROTA_SEMAPHORE_MAX ? -1 : 1])}, \
	  ROTA_WAITLIST_INIT_ }
#ifdef __cplusplus
#define ROTA_SEMAPHORE_KNOWN_(n) (__builtin_constant_p(n) ? (uint64_t)(n) : 0)
#else /* where that would make an array of variable length of it */
#define ROTA_SEMAPHORE_KNOWN_(n) (uint64_t)__builtin_choose_expr(__builtin_constant_p(n), (n), 0)
#endif
/* clang-format on */

/* The same; more permits are reported (debug builds abort), and count as ROTA_SEMAPHORE_MAX. */
ROTA_API void rota_semaphore_init(struct rota_semaphore *s, uint64_t permits);

/* Ends it before its memory is freed: nobody waits, and nobody comes later. Whoever was woken may do this at once, as it waits
 * for the call that woke to be done with it. 0. -EBUSY: somebody waits, which is reported (debug builds abort), and nothing has
 * changed. */
ROTA_API int rota_semaphore_deinit(struct rota_semaphore *s);

/* Waits until n permits are the caller's. 0; -EPIPE once closed; -ECANCELED: none was taken; -EOVERFLOW: more than
 * ROTA_SEMAPHORE_MAX, which are never there, is reported (debug builds abort). A permit is not bound to who took it. */
ROTA_API int rota_semaphore_acquire(struct rota_semaphore *s, uint64_t n) ROTA_MUST_USE;

/* The same until `deadline` (ns of CLOCK_MONOTONIC): -ETIMEDOUT: none was taken. */
ROTA_API int rota_semaphore_acquire_until(struct rota_semaphore *s, uint64_t n, uint64_t deadline) ROTA_MUST_USE;

/* 0; -EAGAIN: too few permits, or somebody waits; -EPIPE. Never waits; any context. */
ROTA_API int rota_semaphore_try_acquire(struct rota_semaphore *s, uint64_t n) ROTA_MUST_USE;

/* Gives n permits back, or adds n new ones. Any thread, never waits; also when closed. 0; -EOVERFLOW: there would be more
 * than ROTA_SEMAPHORE_MAX, which is reported (debug builds abort), and nothing has changed. */
ROTA_API int rota_semaphore_release(struct rota_semaphore *s, uint64_t n);

/* No more permits for anybody: those that wait, and those that come later, get -EPIPE. Any thread, any number of times;
 * never waits. */
ROTA_API void rota_semaphore_close(struct rota_semaphore *s);

/* How many permits are free now. Any thread. */
ROTA_API uint64_t rota_semaphore_available(struct rota_semaphore *s);

/* rota_semaphore_acquire as a future. One that is cancelled when it has the permits keeps them: status 0. */
struct rota_semaphore_op {
	struct rota_future future;
	struct rota_semaphore *semaphore_;
	uint64_t permits_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_semaphore_acquire_init(struct rota_semaphore_op *op, struct rota_semaphore *s, uint64_t n);

ROTA_END_DECLS

#endif
