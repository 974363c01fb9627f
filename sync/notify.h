/* SPDX-License-Identifier: MIT */
/*
 * A notification: "something has changed, look again". notify_one (or notify_last) with nobody waiting is kept, once,
 * for the next waiter, so it is never lost; notify_all wakes those that wait now and keeps nothing. For fibers, futures
 * and plain threads alike.
 */
#ifndef ROTA_SYNC_NOTIFY_H
#define ROTA_SYNC_NOTIFY_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

struct rota_notify {
	struct rota_atomic_u64 state_;
	struct rota_waitlist waiters_; /* its own lock is not used */
};

/* clang-format off */
#define ROTA_NOTIFY_INIT { {0}, ROTA_WAITLIST_INIT_ }
/* clang-format on */

ROTA_API void rota_notify_init(struct rota_notify *n);

/* Ends it before its memory is freed: nobody waits, and nobody comes later. Whoever was woken may do this at once, as it waits
 * for the call that woke to be done with it. 0. -EBUSY: somebody waits, which is reported (debug builds abort), and nothing has
 * changed. */
ROTA_API int rota_notify_deinit(struct rota_notify *n);

/* Waits for a notification. 0, or -ECANCELED. A caller that was notified and cancelled at once gets 0: no notification
 * is lost. */
ROTA_API int rota_notify_wait(struct rota_notify *n) ROTA_MUST_USE;

/* Wakes the longest waiting, or keeps one permit. Any thread; never waits. */
ROTA_API void rota_notify_one(struct rota_notify *n);

/* Wakes the one that came last, whose caches are the warmest, or keeps one permit. Any thread; never waits. */
ROTA_API void rota_notify_last(struct rota_notify *n);

/* Wakes all that wait now. Any thread; never waits. */
ROTA_API void rota_notify_all(struct rota_notify *n);

struct rota_notify_op {
	struct rota_future future;
	struct rota_notify *notify_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_notify_wait_init(struct rota_notify_op *op, struct rota_notify *n);

ROTA_END_DECLS

#endif
