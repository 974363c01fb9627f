/* SPDX-License-Identifier: MIT */
/* What the parts of a worker (worker.c: the loop, worker_queue.c, worker_search.c, worker_park.c) share. On its own
 * thread. */
#ifndef ROTA_RUNTIME_WORKER_PARTS_INTERNAL_H
#define ROTA_RUNTIME_WORKER_PARTS_INTERNAL_H

#include "worker_internal.h"

/* Tasks between two polls, at most; a prime, so that it beats with no pattern of theirs. */
#define ROTA__POLL_INTERVAL 61u

/* --- queues ------------------------------------------------------------------------------------------------------ */

/* The run queue is full. */
void rota__worker_push_full(struct rota__worker *worker, rota_task *task);

static inline void rota__worker_push_back(struct rota__worker *worker, rota_task *task)
{
	if (__builtin_expect(!rota__deque_push(&worker->deque, task), 0))
		rota__worker_push_full(worker, task);
}

static inline rota_task *rota__worker_take_next(struct rota__worker *worker)
{
	if (rota__load(&worker->next, RELAXED) == NULL)
		return NULL;
	return rota__swap(&worker->next, NULL, ACQUIRE); /* partner: the RELEASE in push_next */
}

static inline rota_task *rota__worker_pop_pinned(struct rota__worker *worker)
{
	rota_task *task = worker->pinned_first;

	if (task != NULL) {
		worker->pinned_first = task->queue_next;
		if (worker->pinned_first == NULL)
			worker->pinned_last = NULL;
	}
	return task;
}

/* Whether no other task waits here: then a task that yields goes on. The owner's view. */
static inline bool rota__worker_alone(const struct rota__worker *worker)
{
	return rota__deque_length(&worker->deque) == 0 && rota__load(&worker->next, RELAXED) == NULL &&
	       worker->pinned_first == NULL;
}

/* Queues a task that runs here, behind all others. */
void rota__worker_requeue(struct rota__worker *worker, rota_task *task);

/* Any thread. */
void rota__worker_send_mail(struct rota__worker *to, rota_task *task);
void rota__worker_take_mail(struct rota__worker *worker);

/* --- searching --------------------------------------------------------------------------------------------------- */

/* Its share of the injection queue: one to run, the rest into its run queue. NULL: there is none. */
rota_task *rota__worker_take_injected(struct rota__worker *worker);

/* A task that is somebody else's yet. NULL: none is worth the way. */
rota_task *rota__worker_search(struct rota__worker *worker);

/* The worker has something to run. If it was the last one that searched, somebody may have relied on it for more. */
void rota__worker_found(struct rota__worker *worker);

/* Whether something waits that the worker should not sleep over. */
bool rota__worker_work_visible(struct rota__worker *worker);

/* --- polling ----------------------------------------------------------------------------------------------------- */

/* Polls, inside a fiber, if that would bring something; whether there is something to do besides that fiber, which is then
 * to yield. */
bool rota__worker_is_wanted(struct rota__worker *worker, uint64_t now);

/* --- parking ----------------------------------------------------------------------------------------------------- */

/* Learns from the tasks since the last look how long one takes. */
void rota__worker_account(struct rota__worker *worker, uint64_t now);

/* Sleeps, at most until the deadline, unless there is something to do after all. */
void rota__worker_park(struct rota__worker *worker, uint64_t deadline);

/* The same, and is no sleeper: nobody who looks for help comes here. */
void rota__worker_park_aside(struct rota__worker *worker);

#endif
