/* SPDX-License-Identifier: MIT */
/*
 * The blocking pool: a queue of jobs under a lock (blocking.c), and threads that come on demand and leave when idle
 * (blocking_threads.c, which says when one is called).
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
 *
 * What is to be done whatever jobs do is no errand of the pool: all of its threads may be kept by jobs, which may themselves
 * wait for it. Threads `beside` the pool do it (blocking_beside.c).
 */
#ifndef ROTA_RUNTIME_BLOCKING_INTERNAL_H
#define ROTA_RUNTIME_BLOCKING_INTERNAL_H

#include "cost_internal.h"
#include "task_internal.h"
#include "waitlist_internal.h"

struct rota__idler;
struct rota__beside_thread;

struct rota__blocking {
	struct rota_waitlist submitters; /* its lock guards all below */
	rota_task *first, *last;
	unsigned queued, promised, queue_max;
	unsigned threads, threads_max;
	unsigned making;    /* of `threads`: counted, and perhaps not there */
	unsigned aside;     /* of `threads`: in a call that may wait for ever; `threads_max` is of the others */
	unsigned arriving;  /* threads called or started, and not yet there */
	unsigned running;   /* jobs and errands in progress */
	unsigned errands;   /* calls of the driver's errand that nobody has begun */
	unsigned beside;    /* threads of rota__blocking_errand_beside */
	bool errand_before; /* what a thread took last */
	bool stopping;
	struct rota__idler *idlers;        /* threads of the pool that wait for something to do */
	struct rota__idler *beside_idlers; /* of the threads beside the pool */
	uint64_t idle_ns;
	uint64_t mean;                   /* recent run time of a job or errand, ns */
	uint64_t taken, seen;            /* jobs and errands begun; the same when the monitor looked last */
	struct rota_atomic_u32 left;     /* something was left to threads at work: the monitor should look */
	struct rota_atomic_u32 finished; /* futex of shutdown: changes when a thread has left */
};

static inline void rota__blocking_lock(struct rota__blocking *pool)
{
	rota__waitlist_lock(&pool->submitters);
}

static inline void rota__blocking_unlock(struct rota__blocking *pool)
{
	rota__waitlist_unlock(&pool->submitters);
}

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

/* With the lock held: takes a queued job out, and gives its place to the first who waits for one. */
void rota__blocking_dequeue(struct rota__blocking *pool, rota_task *job, struct rota__wake_batch *batch);

/* What is still to be done about a call when the lock has been dropped. */
struct rota__blocking_call {
	struct rota_atomic_u32 *wake; /* a thread's word, or NULL */
	bool make;                    /* a thread that was counted */
	bool watch;                   /* the monitor must know */
};

/* With the lock held, after something was queued or taken: sees to it that there will be somebody for what waits. 0, or a
 * negative errno: there is no thread at all, and nothing to carry out. */
int rota__blocking_call(rota_runtime *rt, struct rota__blocking_call *ret_call);
void rota__blocking_carry_out(rota_runtime *rt, const struct rota__blocking_call *call);

/* The monitor's look: calls a thread when nothing was taken since the last one. Returns whether to look again. */
bool rota__blocking_look(rota_runtime *rt);

/* Takes the job out if it is still queued, and completes it with -ECANCELED; interrupts it if it runs and has said how. */
void rota__blocking_cancel(rota_runtime *rt, rota_task *job);

/* Has the driver's errand called once by a pool thread, soon. Any thread. 0, or a negative errno: there is no thread. */
int rota__blocking_errand(rota_runtime *rt);

/* Has the driver's errand_beside called once by a thread that does nothing else meanwhile. The same. */
int rota__blocking_errand_beside(rota_runtime *rt);

/* From within that call, once, before it tells anybody of its end: then the thread is there for whoever was told. */
void rota__blocking_beside_free(rota_runtime *rt, struct rota__beside_thread *thread);

/* A thread of the pool, around a call within an errand that may wait for ever: meanwhile it takes nobody's place. */
void rota__blocking_step_aside(rota_runtime *rt);
void rota__blocking_step_back(rota_runtime *rt);

/* The job that the calling thread runs, or NULL. */
rota_task *rota__blocking_job(void);

/* Whether the calling thread is one of a pool: it must not wait for a place that only such threads can free. */
bool rota__blocking_thread(void);

/* Whether the calling thread runs a job that was cancelled. */
bool rota__blocking_cancelled(void);

/* With the lock held, which it drops: one thread less of those that `count` counts. The pool may be gone then. */
void rota__blocking_gone_unlock(struct rota__blocking *pool, unsigned *count);

/* All jobs have ended: the threads leave. Waits for them. */
void rota__blocking_stop(rota_runtime *rt);

/* Those beside the pool, which is `stopping`, are told to leave. */
void rota__blocking_stop_beside(struct rota__blocking *pool);

/* With those beside it. */
unsigned rota__blocking_threads(rota_runtime *rt);

#endif
