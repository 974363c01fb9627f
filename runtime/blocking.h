/* SPDX-License-Identifier: MIT */
/* Calls of the blocking pool beyond rota_spawn_blocking, which stands in task.h. */
#ifndef ROTA_RUNTIME_BLOCKING_H
#define ROTA_RUNTIME_BLOCKING_H

#include "future.h"
#include "task.h"
#include "types.h"
#include "waitlist.h"

ROTA_BEGIN_DECLS

/*
 * Runs fn(arg) on a pool thread and waits for it: spawn_blocking and join in one, for code that must block inside a
 * fiber. Returns fn's status. When the caller is cancelled while the job is queued it never runs and -ECANCELED is
 * returned; a job that has started is waited for, since it may use the caller's stack. On a plain thread fn runs in
 * place. -EINVAL: no fn; other errors as rota_spawn_blocking.
 */
ROTA_API int rota_offload(rota_fn *fn, void *arg);

/*
 * The same as a future: its status is fn's, or -ECANCELED when it was cancelled before fn started, or an error of
 * rota_spawn_blocking. fn and what arg points to must stay in place until it is ready.
 */
struct rota_offload_op {
	struct rota_future future;
	/* private */
	rota_fn *fn_;
	void *arg_;
	rota_runtime *rt_;
	rota_task *job_;
	struct rota_waiter waiter_;
	struct rota_join_op join_;
	bool cancelled_;
};
ROTA_API void rota_offload_init(struct rota_offload_op *op, rota_fn *fn, void *arg);

/*
 * Runs fn(arg) on the calling thread, for code that blocks or computes for long and had better not change threads; returns
 * fn's status. On a worker, what is queued there is given to others first, its completions and timers are taken over
 * meanwhile, and a spare thread is started when no other worker is free (64 of them at
 * most: beyond that, others wait). Tasks of rota_spawn_local of this worker wait.
 *
 * Inside fn the thread is as one of the blocking pool: the direct calls of rota block it, rota_task_id is 0, the task's
 * cancellation is not seen; rota_spawn works, rota_block_on too, nested calls just call.
 *
 * From a fiber, from the poll of a stackless task, from blocking jobs and plain threads, where it just calls fn. In a task
 * of the current-thread flavour, which has nobody to give anything to: -ENOTSUP, and fn is not called. -EINVAL: no fn.
 * Does not switch: locks that belong to the thread may be held.
 */
ROTA_API int rota_block_in_place(rota_fn *fn, void *arg);

/*
 * How to stop a job that runs: between the two calls a cancel of the job, by rota_cancel, by its scope or by a
 * shutdown, calls interrupt(arg) once, on the thread that cancels: it makes whatever the job is blocked in return, for
 * instance by shutdown(2) of a socket or by pthread_kill, and may neither wait nor call rota. rota_interrupter_leave
 * waits until an interrupt that is under way is over. By a job only, on its own thread; one at a time.
 * 0; -ECANCELED: the job was cancelled before, and nothing was entered; -EBUSY: there is one; -ENXIO: not in a job;
 * -EINVAL: interrupt NULL.
 */
struct rota_interrupter {
	void (*interrupt_)(void *arg);
	void *arg_;
	struct rota_atomic_u32 state_;
};
ROTA_API int rota_interrupter_enter(struct rota_interrupter *interrupter, void (*interrupt)(void *arg),
				    void *arg) ROTA_MUST_USE;
ROTA_API void rota_interrupter_leave(struct rota_interrupter *interrupter);

ROTA_END_DECLS

#endif
