/* SPDX-License-Identifier: MIT */
/*
 * A condition variable, for use with a rota_mutex, as pthread_cond_t with a pthread_mutex_t: whoever waits gives the mutex
 * up and has it again afterwards, whatever the wait returns. Wait in a loop around the condition.
 */
#ifndef ROTA_SYNC_COND_H
#define ROTA_SYNC_COND_H

#include "mutex.h"

ROTA_BEGIN_DECLS

struct rota_cond {
	struct rota_waitlist waiters_;
};

/* clang-format off */
#define ROTA_COND_INIT { ROTA_WAITLIST_INIT_ }
/* clang-format on */

ROTA_API void rota_cond_init(struct rota_cond *c);

/* Ends it before its memory is freed: nobody waits, and nobody comes later. Whoever was woken may do this at once, as it waits
 * for the call that woke to be done with it. 0. -EBUSY: somebody waits, which is reported (debug builds abort), and nothing has
 * changed. */
ROTA_API int rota_cond_deinit(struct rota_cond *c);

/* The caller has locked the mutex. Waits until it is signalled and has the mutex again. 0; -ECANCELED: it was not
 * signalled, or it was and there was a cancel before it began; the mutex is the caller's all the same. That it waits
 * for the mutex is no cancellation point. -EPERM: another task has locked the mutex: reported, debug builds abort. */
ROTA_API int rota_cond_wait(struct rota_cond *c, struct rota_mutex *m) ROTA_MUST_USE;

/* The same until `deadline` (ns of CLOCK_MONOTONIC): -ETIMEDOUT, with the mutex. */
ROTA_API int rota_cond_wait_until(struct rota_cond *c, struct rota_mutex *m, uint64_t deadline) ROTA_MUST_USE;

/* Wakes the longest waiting, if anybody waits. A waiter that is cancelled afterwards reports 0: no signal is lost. Any
 * thread, with or without the mutex; never waits. */
ROTA_API void rota_cond_signal(struct rota_cond *c);

/* Wakes all that wait now. Any thread; never waits. Who was woken may end the condition variable once nobody waits and nobody
 * will, though the waker is on its way out. The same holds of a signal. */
ROTA_API void rota_cond_broadcast(struct rota_cond *c);

/* The wait as a future. The mutex is locked when it is polled first, and when it is ready. */
struct rota_cond_op {
	struct rota_future future;
	struct rota_cond *cond_;
	struct rota_waiter waiter_;
	struct rota_mutex_lock_op lock_;
	int result_;
	uint32_t phase_;
};
ROTA_API void rota_cond_wait_init(struct rota_cond_op *op, struct rota_cond *c, struct rota_mutex *m);

ROTA_END_DECLS

#endif
