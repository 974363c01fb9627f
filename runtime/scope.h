/* SPDX-License-Identifier: MIT */
/*
 * Structured concurrency: a scope is a block that no task outlives which was spawned in it. It is task group, join set,
 * deadline and cancellation in one.
 *
 *	struct rota_scope scope;
 *
 *	rc = rota_scope_open(&scope, ROTA_SECONDS(5));
 *	if (rc < 0)
 *		return rc;
 *	for (int i = 0; i < n && rc == 0; i++)
 *		rc = rota_scope_spawn(&scope, NULL, serve, &items[i]);
 *	rc = rota_scope_close(&scope);
 *
 * A scope lives on the stack of the fiber that opens it, between rota_scope_open and rota_scope_close, which that same
 * fiber calls; several nest, and close in reverse. Children may use what lives on the opener's stack: close returns
 * when all of them are gone.
 *
 * The first child that fails (a negative status) cancels the others, and rota_scope_close returns its status. A scope
 * that is cancelled, by a failure, by rota_scope_cancel or by its timeout, ends every wait inside of it, the opener's
 * and the children's: with -ETIMEDOUT when the time was over, else with -ECANCELED; sticky, until it is closed. A
 * scope ends in the same way when its opener is cancelled, or a scope around it. A shield holds against all of that, save
 * against a scope that was opened behind it: so cleanup may be given a time of its own.
 *
 * A child that has ended costs memory until rota_scope_next has told its status, or the scope is closed. A server whose
 * scope stays open for long takes ROTA_SCOPE_FORGET.
 *
 * A fiber that returns with a scope open would leave its children with a dead stack: that is reported and aborts.
 */
#ifndef ROTA_RUNTIME_SCOPE_H
#define ROTA_RUNTIME_SCOPE_H

#include "task.h"
#include "time.h"
#include "waitlist.h"

ROTA_BEGIN_DECLS

struct rota_fork_base;

enum rota_scope_flags {
	ROTA_SCOPE_INDEPENDENT = 1, /* a child that fails cancels nobody */
	ROTA_SCOPE_FORGET = 2,      /* no status is kept for rota_scope_next, which then waits for all */
};

/* All zero means: none. */
struct rota_scope_attr {
	uint64_t timeout_ns; /* from now; one of a second or more may last 20 ms longer */
	unsigned limit;      /* children that may run at once: rota_scope_spawn waits for one to end */
	unsigned flags;      /* enum rota_scope_flags */
};

struct rota_scope {
	struct rota_waitlist opener_waits_; /* its lock guards the whole scope */
	struct rota_waitlist places_;       /* who waits to spawn */
	rota_task *opener_;
	struct rota_scope *outer_;
	rota_task *first_, *last_;             /* children that are listed; those that were told to stop last */
	rota_task *ended_first_, *ended_last_; /* in order of their ends */
	int children_;                         /* that have not ended; without those in spawned_ */
	unsigned spawned_;                     /* by the opener since it looked last: its own, without the lock */
	unsigned running_, limit_, flags_;
	int failure_;
	struct rota_atomic_u32 reason_;  /* the errno that waits inside end with; 0: not cancelled */
	struct rota_atomic_u32 closing_; /* the opener waits for all, or is about to */
	bool shared_, timed_, unfiled_;
	uint16_t shields_;              /* of the opener's, those around the scope */
	struct rota_fork_base *forked_; /* the opener's latest fork outside */
	uint64_t opened_at_;            /* with a timeout */
	struct rota_timer timer_;
};

/*
 * Opens a scope around what the calling fiber does next. timeout_ns as in the attributes, 0: none; attr NULL: none. Never
 * waits. -ENXIO: not in a fiber; -ENOMEM; -EINVAL: an unknown flag. On failure nothing is open.
 */
ROTA_API int rota_scope_open(struct rota_scope *scope, uint64_t timeout_ns) ROTA_MUST_USE;
ROTA_API int rota_scope_open_with(struct rota_scope *scope, const struct rota_scope_attr *attr) ROTA_MUST_USE;

/*
 * As rota_spawn, rota_spawn_with, rota_spawn_future, rota_spawn_blocking, into the scope: by its opener, and by tasks
 * inside of it. ret_task NULL: the scope alone knows the task; else the handle is the caller's, to cancel, join or
 * detach, as ever. -ECANCELED, -ETIMEDOUT: the scope was cancelled and nothing was spawned; with a limit this may wait,
 * and the caller's own cancel ends that too. Other errors as those calls.
 */
ROTA_API int rota_scope_spawn(struct rota_scope *scope, rota_task **ret_task, rota_fn *fn, void *arg) ROTA_MUST_USE;
ROTA_API int rota_scope_spawn_with(struct rota_scope *scope, rota_task **ret_task, const struct rota_task_attr *attr,
				   rota_fn *fn, void *arg) ROTA_MUST_USE;
ROTA_API int rota_scope_spawn_future(struct rota_scope *scope, rota_task **ret_task,
				     struct rota_future *future) ROTA_MUST_USE;
ROTA_API int rota_scope_spawn_blocking(struct rota_scope *scope, rota_task **ret_task, rota_fn *fn,
				       void *arg) ROTA_MUST_USE;

/*
 * Waits for the next child to end, in order of their ends. 0: *ret_status (may be NULL) is its status, which
 * rota_scope_close then still counts. -ENOENT: none is left (with ROTA_SCOPE_FORGET: all have ended). -ECANCELED,
 * -ETIMEDOUT: the opener was cancelled, or a scope around this one; when this one was, the children's statuses come as
 * ever. By the opener.
 */
ROTA_API int rota_scope_next(struct rota_scope *scope, int *ret_status) ROTA_MUST_USE;

/* The same as a future; `child_status` when its status is 0. */
struct rota_scope_next_op {
	struct rota_future future;
	int child_status;
	/* private */
	struct rota_scope *scope_;
	struct rota_waiter waiter_;
	bool cancelled_;
};
ROTA_API void rota_scope_next_init(struct rota_scope_next_op *op, struct rota_scope *scope);

/* Cancels everything inside: every wait of the opener and of the children ends with -ECANCELED. Any thread, while the
 * scope is open; never waits; more than once is once. */
ROTA_API void rota_scope_cancel(struct rota_scope *scope);

/*
 * Waits until all children have ended, whatever happens meanwhile; a cancel of the opener is passed on to them. Returns
 * the first failure: the status of the first child that ended with a negative one; else, or when that is -ECANCELED,
 * -ETIMEDOUT if the scope was timed out; else 0. By the opener, innermost scope first: -EINVAL otherwise, with a
 * message (debug builds abort).
 */
ROTA_API int rota_scope_close(struct rota_scope *scope);

ROTA_END_DECLS

#endif
