/* SPDX-License-Identifier: MIT */
/* What the parts of a worker (worker.c: the loop, worker_switch.c, worker_queue.c, worker_search.c, worker_park.c) share.
 * On its own thread. */
#ifndef ROTA_RUNTIME_WORKER_PARTS_INTERNAL_H
#define ROTA_RUNTIME_WORKER_PARTS_INTERNAL_H

#include "runtime_internal.h"
#include "worker_internal.h"

/* Tasks between two polls, at most; a prime, so that it beats with no pattern of theirs. */
#define ROTA__POLL_INTERVAL 61u

/* --- queues ------------------------------------------------------------------------------------------------------ */

/* The run queue is full. */
void rota__worker_push_full(struct rota__worker *worker, rota_task *task);

static inline void rota__worker_push_back(struct rota__worker *worker, rota_task *task)
{
	rota__worker_disturb(worker);
	if (__builtin_expect(!rota__deque_push(&worker->deque, task), 0))
		rota__worker_push_full(worker, task);
}

/* Each of a list. */
void rota__worker_push_list(struct rota__worker *worker, rota_task *first);

static inline rota_task *rota__worker_take_next(struct rota__worker *worker)
{
	return rota__next_take(&worker->next);
}

static inline rota_task *rota__worker_pop_pinned(struct rota__worker *worker)
{
	return rota__tasks_take(&worker->pinned_first, &worker->pinned_last);
}

/* Whether no other task waits here: then a task that yields goes on. The owner's view. */
static inline bool rota__worker_alone(const struct rota__worker *worker)
{
	return rota__deque_length(&worker->deque) == 0 && !rota__next_waits(&worker->next) &&
	       worker->pinned_first == NULL;
}

/* A task from the queues behind the next slot. */
rota_task *rota__worker_take_queued(struct rota__worker *worker);

/* A task from the worker's own queues. */
static inline rota_task *rota__worker_take_local(struct rota__worker *worker)
{
	rota_task *task = rota__worker_take_next(worker);

	if (task == NULL)
		return rota__worker_take_queued(worker);
	worker->next_streak++;
	return task;
}

/* Queues a task that runs here, behind all others. */
void rota__worker_requeue(struct rota__worker *worker, rota_task *task);

/* Any thread. */
void rota__worker_send_mail(struct rota__worker *to, rota_task *task);
void rota__worker_take_mail(struct rota__worker *worker);

/* --- running ----------------------------------------------------------------------------------------------------- */

/* Operations that a task may find ready before it yields. */
#define ROTA__BUDGET 128u

/* Whether the monitor has found the worker stuck in the task that it ran last: then the ring and the mail have waited. */
static inline bool rota__worker_stalled(const struct rota__worker *worker)
{
	return rota__load(&worker->stalled_at, RELAXED) == rota__load(&worker->runs, RELAXED); /* a hint */
}

/* Whether others have left tasks for this worker, or for whoever comes first. A hint: who parks looks again. */
static inline bool rota__worker_has_guests(const struct rota__worker *worker)
{
	return rota__inject_length(&worker->rt->inject) > 0 || rota__load(&worker->mail, RELAXED) != NULL;
}

/* The next look is after so many tasks, when `runs` have run, or with the next poll. */
static inline void rota__worker_look_after(struct rota__worker *worker, uint64_t runs, unsigned tasks)
{
	const uint64_t look_at = runs + tasks;

	worker->look_at = look_at < worker->poll_at ? look_at : worker->poll_at;
}

/* The next poll is after so many tasks, if it is not sooner. */
static inline void rota__worker_poll_after(struct rota__worker *worker, uint64_t runs, unsigned tasks)
{
	if (runs + tasks < worker->poll_at)
		worker->poll_at = runs + tasks;
	if (worker->poll_at < worker->look_at)
		worker->look_at = worker->poll_at;
	rota__worker_disturb(worker);
}

/* Whether something must be looked at before any task may run again: the ring, the timers, what others left. */
static inline bool rota__worker_is_due(struct rota__worker *worker)
{
	const uint64_t runs = rota__load(&worker->runs, RELAXED);

	if (runs >= worker->look_at) { /* as the loop has it, which must agree */
		if (runs >= worker->poll_at || rota__worker_has_guests(worker))
			return true;
		rota__worker_look_after(worker, runs, worker->look_every);
	}
	return worker->unsubmitted || rota__worker_stalled(worker);
}

static inline void rota__worker_count_run(struct rota__worker *worker)
{
	rota__count(&worker->runs, 1);
	worker->budget = ROTA__BUDGET;
}

/* The task runs from now on. `running` is `current` for other threads, who look at it under the lock of the pool of tasks
 * (rota__task_pool_ref). */
static inline void rota__worker_begin(struct rota__worker *worker, rota_task *task)
{
	if (worker->ended_in != NULL && rota__load(&task->more, RELAXED) != worker->ended_in)
		rota__scope_count_ended(worker); /* sooner than need be, for a child with an extra */
	rota__worker_count_run(worker);
	worker->again = false;
	worker->current = task;
	rota__worker_disturb(worker);
	rota__store(&worker->running, task, RELAXED);
	if (!(task->flags & ROTA__TASK_FRESH))
		return;
	task->flags &= (uint8_t)~ROTA__TASK_FRESH;
	worker->fresh_runs++;
	if (rota__load(&worker->fresh, RELAXED) > 0) /* 0: it was stolen, or came from another thread */
		rota__store(&worker->fresh, rota__load(&worker->fresh, RELAXED) - 1, RELAXED);
}

/* The task runs no more. */
static inline void rota__worker_end(struct rota__worker *worker)
{
	worker->current = NULL;
	rota__store(&worker->running, NULL, RELAXED);
}

/* rota__worker_goes_on by all there is to look at. */
bool rota__worker_looks_on(struct rota__worker *worker);

/*
 * Whether the task that runs, and has asked for another run, may go on: nobody else waits for the worker. Then its next run
 * has begun.
 *
 * What a look has found holds until somebody changes it, and most of it is the worker's own: what stands in its queues, what
 * is not submitted, forks of the task that runs. Who changes these clears `free_until` (rota__worker_disturb), and so does
 * the beginning of a task. Of what others change, the queues only lose tasks, which nobody need hear of; guests wait for
 * `look_at`, as ever, which `free_until` does not go beyond. There remains what the monitor says, which is looked at each time.
 */
static inline bool rota__worker_goes_on(struct rota__worker *worker)
{
	const uint64_t runs = rota__load(&worker->runs, RELAXED);

	if (runs >= worker->free_until || rota__load(&worker->stalled_at, RELAXED) == runs)
		return rota__worker_looks_on(worker);
	rota__store(&worker->runs, runs + 1, RELAXED);
	worker->budget = ROTA__BUDGET;
	return true;
}

/* The body of the task, the one that runs, has returned: what it had besides its stack goes. */
void rota__worker_leave_extra(rota_task *task);

/* Gives a fiber that has not run yet its stack. */
void rota__worker_give_stack(struct rota__worker *worker, rota_task *task);

/* --- searching --------------------------------------------------------------------------------------------------- */

/* Its share of the injection queue: one to run, the rest into its run queue. NULL: there is none. */
rota_task *rota__worker_take_injected(struct rota__worker *worker);

/* A task that is somebody else's yet. NULL: none is worth the way. */
rota_task *rota__worker_search(struct rota__worker *worker);

/* When there is loot: sees at `now` whether it pays to share it, and gives it back if not. */
void rota__worker_weigh_loot(struct rota__worker *worker, uint64_t now);

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

/* Hands what waits for it to the ring, and takes what that has: as a park, without sleep. */
void rota__worker_submit(struct rota__worker *worker);

/* Sleeps, at most until the deadline, unless there is something to do after all. */
void rota__worker_park(struct rota__worker *worker, uint64_t deadline);

/* The same, and is no sleeper: nobody who looks for help comes here. */
void rota__worker_park_aside(struct rota__worker *worker);

#endif
