/* SPDX-License-Identifier: MIT */
/*
 * Tasks: spawn, join, detach, cancel, yield.
 *
 * A handle (rota_task *) belongs to whoever spawned: it ends in rota_join or rota_detach, exactly once. A task that
 * was spawned with ret_task NULL is detached from the start.
 */
#ifndef ROTA_RUNTIME_TASK_H
#define ROTA_RUNTIME_TASK_H

#include "future.h"
#include "types.h"

ROTA_BEGIN_DECLS

#define ROTA_TASK_NAME_MAX 15 /* characters that are kept of a name */

enum rota_task_flags {
	ROTA_TASK_LOCAL = 1, /* never leaves the worker that spawns it; only from a task */
};

/* All zero means: the defaults. */
struct rota_task_attr {
	const char *name;  /* copied, cut to ROTA_TASK_NAME_MAX; shown in reports. NULL: none */
	size_t stack_size; /* bytes; 0: the runtime's */
	unsigned flags;    /* enum rota_task_flags */
};

/*
 * Spawns fn(arg) as a fiber on the calling runtime: from a task, a blocking job, or inside rota_block_on_future;
 * elsewhere -ENXIO. Never waits. The task may start before this returns. -EINVAL: fn NULL. -ENOMEM: nothing has
 * changed. -ESHUTDOWN: the runtime is shutting down. A spawned fiber always runs, even when it is cancelled before
 * it started: then its first wait says so.
 */
ROTA_API int rota_spawn(rota_task **ret_task, rota_fn *fn, void *arg) ROTA_MUST_USE;

/* The same, on a runtime named by the caller, from any thread. */
ROTA_API int rota_spawn_on(rota_runtime *rt, rota_task **ret_task, rota_fn *fn, void *arg) ROTA_MUST_USE;

/* A fiber that never leaves the worker thread that spawns it. From a task only, else -ENXIO. */
ROTA_API int rota_spawn_local(rota_task **ret_task, rota_fn *fn, void *arg) ROTA_MUST_USE;

/* A fiber with attributes; attr NULL: as rota_spawn. -EINVAL: a stack below ROTA_MIN_STACK_SIZE or above
 * ROTA_MAX_STACK_SIZE, an unknown flag. */
ROTA_API int rota_spawn_with(rota_task **ret_task, const struct rota_task_attr *attr, rota_fn *fn,
			     void *arg) ROTA_MUST_USE;

/*
 * Runs fn(arg) on a thread of the blocking pool, where it may block. The handle is an ordinary one. Waits while the
 * pool's queue is full (then a cancelled caller gets -ECANCELED and nothing was spawned). A job that is cancelled
 * while queued never runs: its status is -ECANCELED; one that runs sees it in rota_cancelled, and is interrupted if it
 * has said how (rota_interrupter_enter, blocking.h). A job is no place to wait as a task: there rota_task_id is 0, and
 * rota_block_on is allowed. Errors as rota_spawn; -EAGAIN when the pool has no thread and none can be created, and when
 * the queue is full and the caller may not wait for it: inside the poll of a stackless task, or in a job of the pool
 * itself.
 */
ROTA_API int rota_spawn_blocking(rota_task **ret_task, rota_fn *fn, void *arg) ROTA_MUST_USE;

/*
 * Waits until the task has ended; by whoever has the handle, in a task or on a plain thread. 0: *ret_status (may be
 * NULL) is its status and the handle is gone. -ECANCELED, -ETIMEDOUT: the caller was cancelled, or a scope that it is in,
 * and the handle is still the caller's. One waiter at a time: -EBUSY for a second. -EDEADLK for a task that joins itself;
 * -EINVAL: task NULL.
 */
ROTA_API int rota_join(rota_task *task, int *ret_status);

/* A join as a future: status 0 when the task has ended (rota_join then returns at once). It does not free the
 * handle. One waiter at a time: -EBUSY for a second; -ECANCELED, -EDEADLK, -EINVAL as of rota_join. */
struct rota_join_op {
	struct rota_future future;
	rota_task *task;
	uint8_t armed_, cancelled_;
};
ROTA_API void rota_join_init(struct rota_join_op *op, rota_task *task);

/* Gives the handle up; the task goes on. Any thread; never waits. NULL does nothing. */
ROTA_API void rota_detach(rota_task *task);

/*
 * Asks the task to stop: its waits, the present one and all later ones, return -ECANCELED (save inside
 * rota_shield_enter/leave). A request: returns at once with 0, also when the task has ended; rota_join tells when it
 * is over. Any thread that holds the handle. For a task of the parent, in a child of fork(2), it does nothing. -EINVAL: task
 * NULL.
 */
ROTA_API int rota_cancel(rota_task *task);

/* Whether the calling task was asked to stop, or a scope that it is in was cancelled (a shield hides what is outside of it), or
 * the calling blocking job was asked. false elsewhere. Never waits. */
ROTA_API bool rota_cancelled(void);

/* Between the two, waits of the calling fiber ignore cancellation, and what the scopes around them come to, so that cleanup may
 * wait. A scope that is opened in between has its time limit, and can be cancelled: so cleanup need not wait for ever. They nest.
 * Leaving one that was not entered is reported (debug builds abort). Outside of tasks they do nothing. Never wait. */
ROTA_API void rota_shield_enter(void);
ROTA_API void rota_shield_leave(void);

/* Lets others run. 0, or (without yielding) why waits of the task end: -ECANCELED, in a scope also -ETIMEDOUT. On a
 * plain thread: sched_yield. Inside the poll of a stackless task: -EDEADLK. */
ROTA_API int rota_yield(void);

/* The same as a future: ready at its second poll, which comes after others had their turn. */
struct rota_yield_op {
	struct rota_future future;
	bool done_;
};
ROTA_API void rota_yield_init(struct rota_yield_op *op);

/* The number of the calling task, unique in the process; 0 outside of tasks. */
ROTA_API uint64_t rota_task_id(void);

/* The name of the calling task, "" without one. Valid while the task runs. */
ROTA_API const char *rota_task_name(void);

ROTA_END_DECLS

#endif
