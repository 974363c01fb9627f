/* SPDX-License-Identifier: MIT */
/*
 * The blocking pool: a queue of jobs under a lock, and threads that come on demand and leave when idle.
 *
 * A job is a task of kind JOB: it has the same handle, state and join as any other. It is in the queue, or being run,
 * or complete. A cancel takes a queued job out and completes it with -ECANCELED; one that runs is interrupted, if it has
 * left word how (struct rota_interrupter: SET, then CALLED by the one who takes it under the lock, then OVER, from when on
 * it is the job's again), and left alone otherwise.
 * A full queue makes the submitter wait in `submitters`, whose lock is the pool's lock; each job that leaves the queue
 * grants the first of them its place (`promised` counts places granted and not yet used).
 *
 * An errand is a call of the driver's `errand` on a pool thread: what it does is the driver's, and needs no memory here. It
 * is one more thing to do, counted in `errands`; threads take jobs and errands in turn.
 */
#ifndef ROTA_RUNTIME_BLOCKING_INTERNAL_H
#define ROTA_RUNTIME_BLOCKING_INTERNAL_H

#include "task_internal.h"
#include "waitlist_internal.h"

struct rota__blocking {
	struct rota_waitlist submitters; /* its lock guards all below */
	rota_task *first, *last;
	unsigned queued, promised, queue_max;
	unsigned threads, threads_max;
	unsigned idle;      /* threads waiting for a job */
	unsigned notified;  /* of them, woken and not yet arrived */
	unsigned running;   /* jobs in progress */
	unsigned errands;   /* calls of the driver's errand that nobody has begun */
	bool errand_before; /* what a thread took last */
	bool stopping;
	uint64_t idle_ns;
	struct rota_atomic_u32 bell;     /* futex of idle threads: a sequence number */
	struct rota_atomic_u32 finished; /* futex of shutdown: changes when a thread has left */
};

void rota__blocking_init(struct rota__blocking *pool, unsigned threads_max, unsigned queue_max, uint64_t idle_ns);

/* Queues a job; the caller waits while the queue is full, as whatever it is (-EAGAIN where it may not wait). 0: *ret_task
 * (may be NULL) was set before the job could run. -ECANCELED, -EAGAIN, -ESHUTDOWN: the job is untouched. */
int rota__blocking_submit(rota_runtime *rt, rota_task *job, rota_task **ret_task);

/* The same in two steps. First a place in the queue: READY with 0 in *ret_status when the caller has one promised, or with
 * -ECANCELED. Then the place is used, or given back. */
rota_poll rota__blocking_poll_place(struct rota__blocking *pool, struct rota_waiter *waiter,
				    const struct rota_waker *waker, bool cancelled, int *ret_status);
int rota__blocking_submit_placed(rota_runtime *rt, rota_task *job, rota_task **ret_task);
void rota__blocking_return_place(struct rota__blocking *pool);

/* Takes the job out if it is still queued, and completes it with -ECANCELED; interrupts it if it runs and has said how. */
void rota__blocking_cancel(rota_runtime *rt, rota_task *job);

/* Has the driver's errand called once by a pool thread, soon. Any thread. 0, or a negative errno: there is no thread. */
int rota__blocking_errand(rota_runtime *rt);

/* Whether the calling thread runs a job that was cancelled. */
bool rota__blocking_cancelled(void);

/* All jobs have ended: the threads leave. Waits for them. */
void rota__blocking_stop(rota_runtime *rt);

unsigned rota__blocking_threads(rota_runtime *rt);

#endif
