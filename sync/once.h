/* SPDX-License-Identifier: MIT */
/*
 * Something that is done once, by whoever comes first, while the others wait. If it fails, the next one tries. The function
 * may wait. For fibers and plain threads; for futures by the two steps below.
 */
#ifndef ROTA_SYNC_ONCE_H
#define ROTA_SYNC_ONCE_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

struct rota_once {
	struct rota_atomic_u32 state_;
	int status_;
	struct rota_waitlist waiters_;
};

/* clang-format off */
#define ROTA_ONCE_INIT { {0}, 0, ROTA_WAITLIST_INIT_ }
/* clang-format on */

ROTA_API void rota_once_init(struct rota_once *o);

/* Ends it before its memory is freed: nobody waits, and nobody comes later. Whoever was woken may do this at once, as it waits
 * for the call that woke to be done with it. 0. -EBUSY: somebody waits, which is reported (debug builds abort), and nothing has
 * changed. */
ROTA_API int rota_once_deinit(struct rota_once *o);

/* Runs fn(arg) unless it has been done; waits while another does it. What the successful one returned (>= 0), always the same; a
 * negative errno of fn, when it was this caller's fn that failed; -ECANCELED: fn did not run here; -EINVAL: it has not been done,
 * and fn is NULL. fn must not call this with the same cell. */
ROTA_API int rota_once_run(struct rota_once *o, rota_fn *fn, void *arg) ROTA_MUST_USE;

/* Whether it has been done. Any thread; never waits. What was done is seen. */
ROTA_API bool rota_once_done(struct rota_once *o);

/*
 * The steps of it. The future's status is ROTA_ONCE_TURN: the caller must do it, and then call rota_once_end, whatever
 * comes; 0: it has been done; -ECANCELED. One that is cancelled when the turn was its own has the turn.
 */
#define ROTA_ONCE_TURN 1
struct rota_once_op {
	struct rota_future future;
	struct rota_once *once_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_once_begin_init(struct rota_once_op *op, struct rota_once *o);

/* It has been done (status >= 0), or has failed: then the longest waiting has the turn. Any thread; never waits. 0;
 * -EINVAL: it was nobody's turn, which is reported (debug builds abort). */
ROTA_API int rota_once_end(struct rota_once *o, int status);

ROTA_END_DECLS

#endif
