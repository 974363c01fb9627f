/* SPDX-License-Identifier: MIT */
/*
 * A worker's loop: take a task, run it, and between tasks poll the ring, the timers and the mail.
 *
 * Order of sources: the next slot (a few times in a row), pinned tasks, the run queue (worker_queue.c); when they are
 * empty what the ring has at once when it is handed what waits for it, a few times in a row; the injection queue, then others'
 * run queues (worker_search.c); then park in the ring (worker_park.c). After 61
 * tasks, or as many as take about 100 us of late (`poll_at`), the ring and the injection queue are looked at anyway; and
 * after as many as take 10 us (`look_at`) the words that tell whether somebody has left tasks, for which the kernel is not
 * asked.
 */
#define _GNU_SOURCE
#include "worker_parts_internal.h"

#include <errno.h>

#include "alloc_internal.h"
#include "bias_internal.h"
#include "cost_internal.h"
#include "future_internal.h"
#include "opaque_internal.h"
#include "runtime_internal.h"
#include "scope_internal.h"
#include "sys_internal.h"
#include "turns_internal.h"
#include "valgrind_internal.h"

#define SUBMITS_MAX 128u

/* Assembly reads them: without `used` link-time optimisation would drop them. They are here and nowhere else since a
 * linker that looks for this file in an archive does so for other reasons: what assembly names it learns too late. */
__attribute__((used)) _Thread_local struct rota__worker *rota__worker_tls;
__attribute__((used)) _Thread_local rota_task *rota__in_place_task;
__attribute__((used)) _Thread_local uint64_t rota__bias_tls = ROTA__UNASKED;

void rota__worker_init(struct rota__worker *worker, rota_runtime *rt, unsigned index)
{
	worker->rt = rt;
	worker->index = index;
	worker->spare = index >= rt->worker_count;
	worker->random = (rt->config.seed + index + 1) * 0x9e3779b97f4a7c15u;
	worker->shares_next = ROTA__NEXT_SHARED;
	rota__store(&worker->fresh_mean, ROTA__MEAN_START_NS, RELAXED);
	rota__store(&worker->mean, ROTA__MEAN_START_NS, RELAXED);
	worker->poll_at = 1; /* which tells how long tasks take */
	worker->look_at = 1;
	worker->look_every = 1;
	rota__store(&worker->asleep, 1, RELAXED);
	rota__store(&worker->stalled_at, UINT64_MAX, RELAXED);
	rota__wheel_init(&worker->wheel, rota__sys_clock());
}

void rota__worker_deinit(struct rota__worker *worker)
{
	rota__deque_trim(&worker->deque);
	rota__task_cache_flush(&worker->rt->tasks, &worker->tasks);
	rota__stack_cache_flush(&worker->rt->stacks, &worker->stacks);
	rota__alloc_worker_end(worker);
}

ROTA__OPAQUE void rota__worker_enter(struct rota__worker *worker)
{
	rota__fiber_host_init(&worker->host);
	worker->valgrind_stack = rota__valgrind_thread_start();
	rota__overflow_thread_start();
	rota__stall_thread_start(worker->rt);
	worker->polled_at = rota__sys_clock();
	rota__worker_tls = worker;
	worker->has_sequences = (rota__bias_asked() & ROTA__BIASED) != 0;
	rota__deque_enter(&worker->deque, worker->has_sequences);
	if (!worker->has_sequences)
		worker->shares_next = ROTA__NEXT_SHARED; /* whatever it was for another thread */
	worker->self = pthread_self();
	rota__store(&worker->asleep, 0, SEQ_CST);
	rota__monitor_rouse(worker->rt);
}

ROTA__OPAQUE void rota__worker_leave(struct rota__worker *worker)
{
	rota__store(&worker->asleep, 1, SEQ_CST);
	rota__worker_tls = NULL;
	rota__valgrind_thread_stop(worker->valgrind_stack);
}

ROTA__OPAQUE void rota__worker_forked(void)
{
	rota__worker_tls = NULL;
	rota__in_place_task = NULL;
}

/* --- running ------------------------------------------------------------------------------------------------ */

/*
 * Inlined into the loops: between the switch to a fiber and the one back, calls and returns do not pair, and each return
 * of a function that the switch happens in is mispredicted (a yield took 44 ns instead of 21 when `run` was a call). Who
 * comes back may be another fiber: each may have given way to the next.
 */
static inline __attribute__((always_inline)) void run_fiber(struct rota__worker *worker, rota_task *task)
{
	if (task->sp == NULL)
		rota__worker_give_stack(worker, task);
	rota__fiber_resume(&worker->host, task);
	rota__worker_end(worker);
	if (rota__load(&worker->forks, RELAXED) != NULL)
		rota__forks_rest(worker);
	rota__worker_settle(worker);
}

/* A task that a scope has cancelled ends with the scope's reason. */
static int future_status(const rota_task *task)
{
	int status = task->future->status;
	bool told = status == -ECANCELED && task->flags & ROTA__TASK_CANCEL_TOLD;

	return told ? rota__task_reason(task, 0) : status;
}

/* Asks the root to stop, once. */
static inline void tell_cancelled(rota_task *task)
{
	if (rota__task_cancelled(task) && !(task->flags & ROTA__TASK_CANCEL_TOLD)) {
		task->flags |= ROTA__TASK_CANCEL_TOLD;
		rota_future_cancel(task->future);
	}
}

static void end_future(struct rota__worker *worker, rota_task *task)
{
	rota__worker_leave_extra(task);
	rota__worker_end(worker);
	if (rota__load(&worker->forks, RELAXED) != NULL)
		rota__forks_end(worker, task);
	rota__task_finish(task, future_status(task));
}

static void run_future(struct rota__worker *worker, rota_task *task)
{
	struct rota_waker waker = { &rota__task_waker_ops, task };
	struct rota_context cx = { &waker };

	do {
		worker->again = false;
		tell_cancelled(task);
		if (rota__future_poll(task->future, &cx) == ROTA_READY) {
			end_future(worker, task);
			return;
		}
	} while (worker->again && rota__worker_goes_on(worker));
	rota__worker_end(worker);
	if (rota__load(&worker->forks, RELAXED) != NULL)
		rota__forks_end(worker, task);
	if (!worker->again)
		rota__store(&task->waits_for, rota__future_code(task->future), RELAXED);
	worker->left = task;
	worker->verdict = worker->again ? ROTA__VERDICT_YIELD : ROTA__VERDICT_WAIT;
	rota__worker_settle_left(worker);
}

static inline __attribute__((always_inline)) void run(struct rota__worker *worker, rota_task *task)
{
	rota__worker_begin(worker, task);
	if (task->flags & ROTA__TASK_FORKED)
		rota__forks_resume(worker, task);
	if (task->kind == ROTA__TASK_FIBER)
		run_fiber(worker, task);
	else
		run_future(worker, task);
}

/* --- the loop ------------------------------------------------------------------------------------------------- */

static void poll(struct rota__worker *worker)
{
	uint64_t now = rota__turns_give_way(worker, rota__sys_clock());

	rota__worker_account(worker, now);
	if (worker->loot.from != NULL)
		rota__worker_weigh_loot(worker, now);
	rota__count(&worker->operations, worker->rt->driver->turn(worker, 0));
	rota__worker_take_mail(worker);
	rota__wheel_expire(&worker->wheel, now);
}

/* Whether there is something to do besides the task that runs. */
static bool is_wanted(const struct rota__worker *worker, uint64_t now)
{
	return !rota__worker_alone(worker) || rota__worker_has_guests(worker) ||
	       rota__wheel_next(&worker->wheel) <= now || worker->rt->driver->has_news(worker) ||
	       !rota__spare_serves(worker);
}

bool rota__worker_is_wanted(struct rota__worker *worker, uint64_t now)
{
	if (!is_wanted(worker, now))
		return false;
	poll(worker);
	if (!is_wanted(worker, now))
		return false;
	if (rota__worker_has_guests(worker))
		worker->look_at = 0; /* the loop, which has just polled, would not look for them */
	return true;
}

/* The run queue is empty. */
static rota_task *take_last(struct rota__worker *worker)
{
	rota_task *task = rota__worker_pop_pinned(worker);

	if (task != NULL || worker->ended_in == NULL)
		return task;
	rota__scope_count_ended(worker); /* which may wake its opener */
	return rota__worker_take_local(worker);
}

rota_task *rota__worker_take_queued(struct rota__worker *worker)
{
	rota_task *task;

	worker->next_streak = 0;
	/* In turn, so that neither starves the other. */
	if (worker->pinned_first != NULL) {
		worker->pinned_turn = !worker->pinned_turn;
		if (worker->pinned_turn)
			return rota__worker_pop_pinned(worker);
	}
	task = rota__deque_pop(&worker->deque);
	if (task == NULL)
		return take_last(worker);
	worker->ahead -= worker->ahead > 0;
	if (rota__idle_wakeable(&worker->rt->idle) && rota__worker_worth(worker, ROTA__PEER_COST_NS))
		rota__idle_wake_one(worker->rt);
	return task;
}

/* Operations are submitted in batches, when the run queue is empty or when a poll is due (`poll_at`); sooner before a task
 * of which nobody knows how long it takes, or when tasks take long of late. Those on files go in smaller ones. */
static bool may_be_long(const struct rota__worker *worker, const rota_task *task)
{
	return task->flags & (ROTA__TASK_FRESH | ROTA__TASK_FORKED) ||
	       rota__load(&worker->mean, RELAXED) >= ROTA__WAKE_COST_NS;
}

static void look_after(struct rota__worker *worker, unsigned tasks)
{
	rota__worker_look_after(worker, rota__load(&worker->runs, RELAXED), tasks);
}

/* It is time: `task`, if it is not NULL, was to run next. Returns what is, NULL: from the worker's own queues. */
static rota_task *look_up(struct rota__worker *worker, rota_task *task)
{
	const bool due = rota__load(&worker->runs, RELAXED) >= worker->poll_at || rota__worker_stalled(worker) ||
			 rota__load(&worker->keeps_until, RELAXED) != worker->keeps_seen; /* a trial begins */
	rota_task *guest = NULL;

	if (!due && !rota__worker_has_guests(worker)) {
		look_after(worker, worker->look_every);
		return task;
	}
	if (task != NULL)
		rota__worker_requeue(worker, task);
	if (due)
		poll(worker);
	else
		rota__worker_take_mail(worker);
	/* What may stall again must not take what spares are there for. */
	if (rota__load(&worker->rt->spares.on_duty, RELAXED) == 0 || !rota__worker_stalled(worker))
		guest = rota__worker_take_injected(worker);
	look_after(worker, worker->look_every + (guest != NULL)); /* of its own tasks one runs before the next guest */
	return guest;
}

/*
 * The queues are empty, and operations wait to be submitted. Most sends are over as soon as they are, and many receives: then the
 * worker has tasks of its own. To take those of others instead would bring the two ends of a connection to two workers, who
 * share its sockets from then on: with 50 connections in one process a round trip took 6.5 us of CPU in place of 4.8. But two
 * tasks that talk to each other could go on so for ever, while others wait: so not when there is something to do for whoever
 * comes first, and SUBMITS_MAX times in a row at most; nor, save once, when a worker is stuck, but for spares, which are many
 * then, and would take from each other.
 */
static bool submits_first(const struct rota__worker *worker, unsigned submits)
{
	rota_runtime *rt = worker->rt;

	if (!worker->unsubmitted || submits >= SUBMITS_MAX || rota__inject_length(&rt->inject) > 0)
		return false;
	for (unsigned i = 0; i < rt->worker_count && submits > 0 && !worker->spare; i++) {
		if (rota__worker_stalled(&rt->workers[i]))
			return false;
	}
	return true;
}

static rota_task *submit_first(struct rota__worker *worker)
{
	rota__worker_found(worker); /* it does not search meanwhile */
	if (worker->spare)
		poll(worker); /* where it gives way */
	else
		rota__worker_submit(worker);
	return rota__worker_take_local(worker);
}

void rota__worker_run(struct rota__worker *worker, bool (*done)(void *arg), void *arg, uint64_t deadline)
{
	unsigned submits = 0; /* since the last search */

	worker->switches = true;
	while (!done(arg)) {
		rota_task *task = worker->picked;

		worker->picked = NULL;
		if (rota__load(&worker->runs, RELAXED) >= worker->look_at || rota__worker_stalled(worker)) {
			task = look_up(worker, task);
			if (task == NULL && worker->polled_at >= deadline)
				break;
		}
		if (task == NULL)
			task = rota__worker_take_local(worker);
		if (task == NULL && submits_first(worker, submits)) {
			submits++;
			task = submit_first(worker);
		}
		if (task == NULL) {
			submits = 0;
			task = rota__worker_search(worker);
		}
		if (task != NULL) {
			rota__worker_found(worker);
			if (worker->unsubmitted && may_be_long(worker, task))
				poll(worker); /* else the operations would wait behind it */
			run(worker, task);
		} else if (deadline != ROTA_NEVER && rota__sys_clock() >= deadline) {
			break;
		} else if (worker->spare && worker->unsubmitted) {
			rota__worker_found(worker); /* it does not search meanwhile */
			poll(worker);               /* submits while it counts as awake: the monitor lets in who is */
		} else {
			rota__worker_park(worker, deadline);
		}
	}
	worker->switches = false;
	if (worker->ended_in != NULL)
		rota__scope_count_ended(worker);
	if (worker->picked != NULL) {
		rota__worker_requeue(worker, worker->picked);
		worker->picked = NULL;
	}
	if (worker->searching) {
		worker->searching = false;
		rota__idle_stop_search(&worker->rt->idle);
	}
}

/* --- spares ------------------------------------------------------------------------------------------------- */

void rota__worker_hand_over(struct rota__worker *worker)
{
	rota_task *first = NULL, *last = NULL, *task;
	unsigned n = 0;

	while ((task = rota__worker_take_next(worker)) != NULL || (task = rota__deque_pop(&worker->deque)) != NULL) {
		rota__tasks_append(&first, &last, task);
		n++;
	}
	rota__store(&worker->fresh, 0, RELAXED);
	if (n == 0)
		return;
	rota__inject_push(&worker->rt->inject, first, last, n);
	rota__idle_wake_one(worker->rt);
}

void rota__worker_stand_by(struct rota__worker *worker, bool (*done)(void *arg), void *arg)
{
	/* Somebody may have relied on this worker while it searched, or slept. */
	rota__fence(SEQ_CST); /* partner: the one in rota__idle_wake_one */
	if (rota__worker_work_visible(worker))
		rota__idle_wake_one(worker->rt);
	while (!done(arg)) {
		rota_task *task;

		rota__worker_hand_over(worker);
		task = rota__worker_pop_pinned(worker);
		if (task == NULL && worker->ended_in != NULL) {
			rota__scope_count_ended(worker);
			continue;
		}
		if (task == NULL) {
			rota__worker_park_aside(worker);
			continue;
		}
		if (worker->unsubmitted || rota__load(&worker->runs, RELAXED) >= worker->poll_at)
			poll(worker);
		run(worker, task);
	}
}
