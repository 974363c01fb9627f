/* SPDX-License-Identifier: MIT */
/*
 * A wait group: a count of things that are under way, and waiting until it is zero. For fibers, futures and plain threads
 * alike. Add before the thing begins (before the spawn, not inside the task), and add to a group that is at zero only when
 * nobody waits for it any more.
 */
#ifndef ROTA_SYNC_WAIT_GROUP_H
#define ROTA_SYNC_WAIT_GROUP_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

#define ROTA_WAIT_GROUP_MAX UINT32_MAX

struct rota_wait_group {
	struct rota_atomic_u64 state_;
	struct rota_waitlist waiters_; /* its own lock is not used */
	uint32_t generation_;
};

/* clang-format off */
#define ROTA_WAIT_GROUP_INIT { {0}, ROTA_WAITLIST_INIT_, 0 }
/* clang-format on */

ROTA_API void rota_wait_group_init(struct rota_wait_group *g);

/* Ends it before its memory is freed: nobody waits, and nobody comes later. Whoever was woken may do this at once, as it waits
 * for the call that woke to be done with it. 0. -EBUSY: somebody waits, which is reported (debug builds abort), and nothing has
 * changed. */
ROTA_API int rota_wait_group_deinit(struct rota_wait_group *g);

/* n more things are under way. Any thread; never waits. 0; -EOVERFLOW: there would be more than ROTA_WAIT_GROUP_MAX, which is
 * reported (debug builds abort), and nothing has changed. */
ROTA_API int rota_wait_group_add(struct rota_wait_group *g, uint32_t n);

/* One has ended; the last one wakes all that wait, which may free the group at once. Any thread; never waits. 0; -EINVAL:
 * none was under way, which is reported (debug builds abort). */
ROTA_API int rota_wait_group_done(struct rota_wait_group *g);

/* Waits until none is under way. 0, or -ECANCELED. */
ROTA_API int rota_wait_group_wait(struct rota_wait_group *g) ROTA_MUST_USE;

/* How many are under way now. Any thread. */
ROTA_API uint32_t rota_wait_group_count(struct rota_wait_group *g);

struct rota_wait_group_op {
	struct rota_future future;
	struct rota_wait_group *group_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_wait_group_wait_init(struct rota_wait_group_op *op, struct rota_wait_group *g);

ROTA_END_DECLS

#endif
