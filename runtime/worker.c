/* SPDX-License-Identifier: MIT */
/*
 * A worker's loop: take a task, run it, and between tasks poll the ring, the timers and the mail.
 *
 * Order of sources: the next slot (a few times in a row), pinned tasks, the run queue; when they are empty the
 * injection queue, then others' run queues; then park in the ring. After POLL_INTERVAL tasks the ring and the
 * injection queue are looked at anyway.
 */
#include "worker_internal.h"

#include <errno.h>

#include "cost_internal.h"
#include "future_internal.h"
#include "runtime_internal.h"
#include "scope_internal.h"
#include "sys_internal.h"

#define POLL_INTERVAL 61u
#define BUDGET 128u
#define NEXT_STREAK_MAX 3u
#define STEAL_COST_NS 2000u /* and before one that is awake takes them */
#define MOVE_COST_NS 200u   /* a new task that is shorter runs sooner where it is than it gets elsewhere */
#define SPARSE_WAKES 16u    /* so many wakes in a row for next to nothing: two such workers become one */
#define ID_BLOCK 4096u

/* Only assembly reads it: without `used` link-time optimisation would drop it. */
__attribute__((used)) _Thread_local struct rota__worker *rota__worker_tls;

void rota__worker_init(struct rota__worker *worker, rota_runtime *rt, unsigned index)
{
	worker->rt = rt;
	worker->index = index;
	worker->random = (rt->config.seed + index + 1) * 0x9e3779b97f4a7c15u;
	rota__store(&worker->fresh_mean, ROTA__MEAN_START_NS, RELAXED);
	rota__store(&worker->mean, ROTA__MEAN_START_NS, RELAXED);
	rota__store(&worker->asleep, 1, RELAXED);
	rota__store(&worker->stalled_at, UINT64_MAX, RELAXED);
	rota__wheel_init(&worker->wheel, rota__sys_clock());
}

void rota__worker_deinit(struct rota__worker *worker)
{
	rota__task_cache_flush(&worker->rt->tasks, &worker->tasks);
	rota__stack_cache_flush(&worker->rt->stacks, &worker->stacks);
}

void rota__worker_enter(struct rota__worker *worker)
{
	rota__fiber_host_init(&worker->host);
	worker->signal_stack = rota__overflow_thread_start();
	rota__stall_thread_start(worker->rt);
	worker->polled_at = rota__sys_clock();
	rota__worker_tls = worker;
	worker->self = pthread_self();
	rota__store(&worker->asleep, 0, SEQ_CST);
	rota__monitor_rouse(worker->rt);
}

void rota__worker_leave(struct rota__worker *worker)
{
	rota__store(&worker->asleep, 1, SEQ_CST);
	rota__worker_tls = NULL;
	rota__overflow_thread_stop(worker->signal_stack);
}

/* --- queues ------------------------------------------------------------------------------------------------- */

/* Whether the run queue is full of new tasks that are not worth the way to another worker. One that turns out to be
 * long is found by the monitor. Any thread; a hint. */
static bool stays_here(const struct rota__worker *worker)
{
	return rota__load(&worker->fresh, RELAXED) > 0 && rota__load(&worker->fresh_mean, RELAXED) < MOVE_COST_NS;
}

static void push_back(struct rota__worker *worker, rota_task *task)
{
	rota_task *first, *last;
	unsigned n;

	while (!rota__deque_push(&worker->deque, task)) {
		n = rota__deque_overflow(&worker->deque, &first, &last);
		if (n == 0) { /* a thief is at work: nobody knows for how long */
			rota__inject_push(&worker->rt->inject, task, task, 1);
			return;
		}
		rota__inject_push(&worker->rt->inject, first, last, n);
		if (!stays_here(worker))
			rota__idle_wake_one(worker->rt);
	}
}

/* The owner is the only one who fills the slot; thieves only empty it. */
static void push_next(struct rota__worker *worker, rota_task *task)
{
	rota_task *old;

	if (worker->next_streak >= NEXT_STREAK_MAX) {
		push_back(worker, task);
		return;
	}
	if (rota__load(&worker->next, RELAXED) == NULL) {
		rota__store(&worker->next, task, RELEASE); /* partner: the thief's swap */
		return;
	}
	old = rota__swap(&worker->next, task, ACQ_REL);
	if (old != NULL)
		push_back(worker, old);
}

static rota_task *take_next(struct rota__worker *worker)
{
	if (rota__load(&worker->next, RELAXED) == NULL)
		return NULL;
	return rota__swap(&worker->next, NULL, ACQUIRE); /* partner: the RELEASE in push_next */
}

static void push_pinned(struct rota__worker *worker, rota_task *task)
{
	task->queue_next = NULL;
	if (worker->pinned_last != NULL)
		worker->pinned_last->queue_next = task;
	else
		worker->pinned_first = task;
	worker->pinned_last = task;
}

static rota_task *pop_pinned(struct rota__worker *worker)
{
	rota_task *task = worker->pinned_first;

	if (task != NULL) {
		worker->pinned_first = task->queue_next;
		if (worker->pinned_first == NULL)
			worker->pinned_last = NULL;
	}
	return task;
}

/* Queues a task that runs here, behind all others. */
static void requeue(struct rota__worker *worker, rota_task *task)
{
	if (task->flags & ROTA__TASK_PINNED)
		push_pinned(worker, task);
	else
		push_back(worker, task);
}

/* Whether no other task waits here: then a task that yields goes on. The owner's view. */
static bool alone(const struct rota__worker *worker)
{
	return rota__deque_length(&worker->deque) == 0 && rota__load(&worker->next, RELAXED) == NULL &&
	       worker->pinned_first == NULL;
}

static void send_mail(struct rota__worker *to, rota_task *task)
{
	void *head = rota__load(&to->mail, RELAXED);

	do {
		task->queue_next = head;
	} while (!rota__cas(&to->mail, &head, task, RELEASE)); /* partner: the swap in take_mail */
	rota__fence(SEQ_CST);                                  /* partner: the one before a park's last look */
	if (rota__load(&to->asleep, RELAXED))
		to->rt->driver->wake(to);
}

/* Empties the mail: a list, the oldest first. */
static rota_task *open_mail(struct rota__worker *worker)
{
	rota_task *in_order = NULL;
	rota_task *task;

	if (rota__load(&worker->mail, RELAXED) == NULL)
		return NULL;
	task = rota__swap(&worker->mail, NULL, ACQUIRE); /* partner: send_mail */
	while (task != NULL) {                           /* the stack has the latest first */
		rota_task *next = task->queue_next;

		task->queue_next = in_order;
		in_order = task;
		task = next;
	}
	return in_order;
}

static void take_mail(struct rota__worker *worker)
{
	rota_task *task = open_mail(worker);

	while (task != NULL) {
		rota_task *next = task->queue_next;

		requeue(worker, task);
		task = next;
	}
}

bool rota__worker_forward_mail(struct rota__worker *worker)
{
	rota_task *task = open_mail(worker);
	bool any = false;

	while (task != NULL) {
		rota_task *next = task->queue_next;

		if (task->flags & ROTA__TASK_PINNED) {
			send_mail(worker, task);
		} else {
			rota__inject_push(&worker->rt->inject, task, task, 1);
			any = true;
		}
		task = next;
	}
	return any;
}

void rota__task_submit(rota_task *task)
{
	struct rota__worker *worker = rota__worker_self();
	rota_runtime *rt = task->rt;

	if (task->flags & ROTA__TASK_PINNED) {
		struct rota__worker *home = &rt->workers[task->home];

		if (home == worker)
			push_pinned(worker, task);
		else
			send_mail(home, task);
	} else if (worker != NULL && worker->rt == rt) {
		/* A task that wakes another is about to wait for it; what I/O and timers wake queues up. */
		if (worker->current != NULL)
			push_next(worker, task);
		else
			push_back(worker, task);
	} else {
		rota__inject_push(&rt->inject, task, task, 1);
		rota__idle_wake_one(rt);
	}
}

void rota__worker_spawned(struct rota__worker *worker, rota_task *task)
{
	if (task->flags & ROTA__TASK_PINNED) {
		push_pinned(worker, task);
		return;
	}
	push_back(worker, task);
	rota__count(&worker->fresh, 1);
	if (rota__idle_wakeable(&worker->rt->idle) && !stays_here(worker) &&
	    rota__load(&worker->fresh, RELAXED) * rota__load(&worker->fresh_mean, RELAXED) >= ROTA__WAKE_COST_NS)
		rota__idle_wake_one(worker->rt);
}

bool rota__worker_worth(const struct rota__worker *worker, uint64_t cost)
{
	uint64_t waiting = rota__deque_length(&worker->deque) + (rota__load(&worker->next, RELAXED) != NULL);

	if (waiting == 0)
		return false;
	if (rota__load(&worker->stalled_at, RELAXED) == rota__load(&worker->runs, RELAXED))
		return true;
	return !stays_here(worker) && waiting * rota__load(&worker->mean, RELAXED) >= cost;
}

/* --- running ------------------------------------------------------------------------------------------------ */

/* Whether the monitor has found the worker stuck in the task that it ran last: then the ring and the mail have waited. */
static bool has_stalled(const struct rota__worker *worker)
{
	return rota__load(&worker->stalled_at, RELAXED) == rota__load(&worker->runs, RELAXED); /* a hint */
}

void rota__worker_yield(struct rota__worker *worker)
{
	const bool due = worker->ticks + 1 >= POLL_INTERVAL || worker->unsubmitted || has_stalled(worker);

	if (due || !alone(worker) || rota__load(&worker->forks, RELAXED) != NULL) {
		rota__worker_suspend(worker, ROTA__VERDICT_YIELD);
		return;
	}
	/* Its next run begins here. */
	rota__count(&worker->runs, 1);
	worker->ticks++;
	worker->next_streak = 0;
	worker->budget = BUDGET;
}

void rota__worker_spend(void)
{
	struct rota__worker *worker = rota__worker_self();

	if (worker == NULL || worker->current == NULL || worker->current->kind != ROTA__TASK_FIBER)
		return;
	if (--worker->budget == 0)
		rota__worker_yield(worker);
}

/* `running` is `current` for other threads, who look at it under the lock of the pool of tasks (rota__task_pool_ref). */
static void enter_task(struct rota__worker *worker, rota_task *task)
{
	worker->current = task;
	rota__store(&worker->running, task, RELAXED);
}

static void leave_task(struct rota__worker *worker)
{
	worker->current = NULL;
	rota__store(&worker->running, NULL, RELAXED);
}

/* The body has returned: what it had besides its stack goes, while the task still is the current one. */
static void leave_extra(rota_task *task)
{
	if (task->extra->opened != NULL)
		rota__scope_left_open(task);
	rota__locals_clear(task->extra);
}

static void fiber_body(void *arg)
{
	rota_task *task = arg;
	struct rota__worker *worker;

	rota__fiber_arrived(task);
	int status = task->fn(task->arg);
	if (task->extra != NULL)
		leave_extra(task);
	worker = rota__worker_self();
	worker->exit_status = status;
	worker->verdict = ROTA__VERDICT_EXIT;
	rota__fiber_exit(&worker->host, task);
}

static void fiber_end(struct rota__worker *worker, rota_task *task)
{
	struct rota__stack *stack = task->stack;
	int status = worker->exit_status;

	rota__fiber_ended(task);
	task->stack = NULL;
	if (task->flags & ROTA__TASK_OWN_STACK)
		rota__stack_free(&worker->rt->stacks, stack);
	else
		rota__stack_release(&worker->rt->stacks, &worker->stacks, stack);
	rota__task_finish(task, status);
}

/* The task has yielded: returns it when it is to run again at once. A queue that nobody else is in costs a push, and a pop
 * that must be proof against thieves. */
static rota_task *run_again(struct rota__worker *worker, rota_task *task)
{
	if (alone(worker))
		return task;
	requeue(worker, task);
	return NULL;
}

/* The task waits, unless it was woken meanwhile. */
static rota_task *rest(struct rota__worker *worker, rota_task *task)
{
	if (worker->again || rota__state_rest(&task->state) == ROTA__REST_AGAIN)
		return run_again(worker, task);
	return NULL;
}

/*
 * Inlined into the loops: between the switch to a fiber and the one back, calls and returns do not pair, and each return
 * of a function that the switch happens in is mispredicted (a yield took 44 ns instead of 21 when `run` was a call).
 */
static inline __attribute__((always_inline)) rota_task *run_fiber(struct rota__worker *worker, rota_task *task)
{
	if (task->sp == NULL) {
		if (!(task->flags & ROTA__TASK_OWN_STACK))
			task->stack = rota__stack_acquire(&worker->rt->stacks, &worker->stacks);
		rota__fiber_start(task, fiber_body);
	}
	rota__fiber_resume(&worker->host, task);
	leave_task(worker);
	if (rota__load(&worker->forks, RELAXED) != NULL)
		rota__forks_rest(worker, task);
	switch (worker->verdict) {
	case ROTA__VERDICT_WAIT:
		return rest(worker, task);
	case ROTA__VERDICT_YIELD:
		return run_again(worker, task);
	case ROTA__VERDICT_EXIT:
		fiber_end(worker, task);
		break;
	}
	return NULL;
}

/* A task that a scope has cancelled ends with the scope's reason. */
static int future_status(const rota_task *task)
{
	int status = task->future->status;
	bool told = status == -ECANCELED && task->flags & ROTA__TASK_CANCEL_TOLD;

	return told ? rota__task_reason(task) : status;
}

static rota_task *run_future(struct rota__worker *worker, rota_task *task)
{
	struct rota_waker waker = { &rota__task_waker_ops, task };
	struct rota_context cx = { &waker };
	rota_poll polled;

	if (!(task->flags & ROTA__TASK_CANCEL_TOLD) && rota__task_cancelled(task)) {
		task->flags |= ROTA__TASK_CANCEL_TOLD;
		rota_future_cancel(task->future);
	}
	polled = rota__future_poll(task->future, &cx);
	if (polled == ROTA_READY && task->extra != NULL)
		leave_extra(task);
	leave_task(worker);
	if (rota__load(&worker->forks, RELAXED) != NULL)
		rota__forks_rest(worker, task);
	if (polled == ROTA_READY) {
		rota__task_finish(task, future_status(task));
		return NULL;
	}
	if (!worker->again)
		rota__store(&task->waits_for, rota__future_code(task->future), RELAXED);
	return rest(worker, task);
}

/* Returns the task when it is to run again before any other. */
static inline __attribute__((always_inline)) rota_task *run(struct rota__worker *worker, rota_task *task)
{
	rota__count(&worker->runs, 1);
	worker->ticks++;
	worker->budget = BUDGET;
	worker->again = false;
	enter_task(worker, task);
	if (task->flags & ROTA__TASK_FRESH) {
		task->flags &= (uint8_t)~ROTA__TASK_FRESH;
		worker->fresh_runs++;
		if (rota__load(&worker->fresh, RELAXED) > 0) /* 0: it was stolen, or came from another thread */
			rota__store(&worker->fresh, rota__load(&worker->fresh, RELAXED) - 1, RELAXED);
	}
	if (task->flags & ROTA__TASK_FORKED)
		rota__forks_resume(worker, task);
	return task->kind == ROTA__TASK_FIBER ? run_fiber(worker, task) : run_future(worker, task);
}

/* --- looking for work ---------------------------------------------------------------------------------------- */

/* Learns from the tasks since the last look how long one takes. */
static void account(struct rota__worker *worker, uint64_t now)
{
	if (worker->ticks > 0) {
		uint64_t sample = (now - worker->polled_at) / worker->ticks;

		rota__store(&worker->mean, rota__moving_mean(rota__load(&worker->mean, RELAXED), sample), RELAXED);
		if (worker->fresh_runs > 0)
			rota__store(&worker->fresh_mean,
				    rota__moving_mean(rota__load(&worker->fresh_mean, RELAXED), sample), RELAXED);
		if (rota__deque_length(&worker->deque) == 0)
			rota__store(&worker->fresh, 0, RELAXED); /* what was stolen is gone, too */
	}
	worker->ticks = 0;
	worker->fresh_runs = 0;
	worker->polled_at = now;
}

static void poll(struct rota__worker *worker)
{
	uint64_t now = rota__sys_clock();

	account(worker, now);
	rota__count(&worker->operations, worker->rt->driver->poll(worker));
	take_mail(worker);
	rota__wheel_expire(&worker->wheel, now);
}

static rota_task *take_injected(struct rota__worker *worker)
{
	struct rota__inject *inject = &worker->rt->inject;
	unsigned share = rota__inject_length(inject) / worker->rt->worker_count + 1;
	unsigned room = ROTA__DEQUE_CAPACITY - rota__deque_length(&worker->deque);
	rota_task *task, *rest;

	if (share > ROTA__DEQUE_CAPACITY / 2)
		share = ROTA__DEQUE_CAPACITY / 2;
	/* One more than there is room for: it runs at once. */
	task = rota__inject_pop(inject, share < room + 1 ? share : room + 1);
	if (task == NULL)
		return NULL;
	rest = task->queue_next;
	while (rest != NULL) {
		rota_task *next = rest->queue_next;

		push_back(worker, rest);
		rest = next;
	}
	return task;
}

/* A task from the worker's own queues. */
static rota_task *take_local(struct rota__worker *worker)
{
	rota_task *task = take_next(worker);

	if (task != NULL) {
		worker->next_streak++;
		return task;
	}
	worker->next_streak = 0;
	/* In turn, so that neither starves the other. */
	if (worker->pinned_first != NULL && (worker->ticks & 1))
		return pop_pinned(worker);
	task = rota__deque_pop(&worker->deque);
	if (task == NULL)
		return pop_pinned(worker);
	if (rota__idle_wakeable(&worker->rt->idle) && rota__worker_worth(worker, ROTA__WAKE_COST_NS))
		rota__idle_wake_one(worker->rt);
	return task;
}

static rota_task *steal_from(struct rota__worker *worker, struct rota__worker *victim)
{
	unsigned moved = 1;
	rota_task *task;

	if (!rota__worker_worth(victim, STEAL_COST_NS))
		return NULL;
	task = rota__deque_steal(&victim->deque, &worker->deque, &moved);
	if (task == NULL)
		task = take_next(victim);
	if (task != NULL)
		rota__count(&worker->steals, moved);
	return task;
}

static uint64_t next_random(struct rota__worker *worker)
{
	worker->random ^= worker->random << 13; /* xorshift */
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return worker->random;
}

static rota_task *steal(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	unsigned total = rota__worker_total(rt);
	unsigned start = (unsigned)(next_random(worker) % total);

	for (unsigned i = 0; i < total; i++) {
		struct rota__worker *victim = &rt->workers[(start + i) % total];
		rota_task *task = victim != worker ? steal_from(worker, victim) : NULL;

		if (task != NULL)
			return task;
	}
	return NULL;
}

/* Whether something waits that the calling worker should not sleep over. */
static bool work_visible(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	unsigned total = rota__worker_total(rt);

	if (rota__inject_length(&rt->inject) > 0 || rota__load(&worker->mail, RELAXED) != NULL)
		return true;
	for (unsigned i = 0; i < total; i++) {
		if (&rt->workers[i] != worker && rota__worker_worth(&rt->workers[i], ROTA__WAKE_COST_NS))
			return true;
	}
	return rota__fork_visible(worker);
}

/* The searcher has found something. If it was the last one, somebody may have relied on it for something else. */
static void stop_search_found(struct rota__worker *worker)
{
	if (!worker->searching)
		return;
	worker->searching = false;
	if (!rota__idle_stop_search(&worker->rt->idle))
		return;
	rota__fence(SEQ_CST); /* partner: the one in rota__idle_wake_one */
	if (work_visible(worker))
		rota__idle_wake_one(worker->rt);
}

static rota_task *search(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	const unsigned total = rota__worker_total(rt);
	rota_task *task = take_injected(worker);

	if (task == NULL && total > 1) {
		if (!worker->searching)
			worker->searching = rota__idle_start_search(&rt->idle, total);
		if (worker->searching)
			task = steal(worker);
	}
	return task != NULL ? task : rota__fork_steal(worker);
}

/* --- gathering ------------------------------------------------------------------------------------------------ */

/*
 * Two workers that play ping-pong across two CPUs spend their time waking each other: 5 to 35 us for a task of 1 us.
 * Operations complete where they were submitted, so nothing would ever bring the two tasks together. Therefore each
 * worker counts wakes that found less work than the wake costs, and one that has seen many in a row hands what it woke
 * up for to another of the same kind, of lower index, that is asleep. The tasks then submit there. When there is too
 * much work for one, rota__worker_worth spreads it again.
 */
static void count_sparse(struct rota__worker *worker, uint64_t now)
{
	uint32_t sparse = rota__load(&worker->sparse, RELAXED);

	if (rota__load(&worker->runs, RELAXED) == worker->woke_runs)
		return; /* woken for nothing at all */
	if (now - worker->woke_at >= ROTA__WAKE_COST_NS)
		sparse = 0;
	else if (sparse < SPARSE_WAKES)
		sparse++;
	rota__store(&worker->sparse, sparse, RELAXED); /* a hint for the others */
}

static bool is_sparse(const struct rota__worker *worker)
{
	return rota__load(&worker->sparse, RELAXED) >= SPARSE_WAKES;
}

static void gather(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	struct rota__worker *host = NULL;
	rota_task *task;

	for (unsigned i = 0; i < worker->index && i < rt->worker_count && host == NULL; i++) {
		if (is_sparse(&rt->workers[i]) && rota__load(&rt->workers[i].asleep, RELAXED))
			host = &rt->workers[i];
	}
	if (host == NULL)
		return;
	while ((task = rota__deque_pop(&worker->deque)) != NULL)
		send_mail(host, task);
}

/* After a park. */
static void arise(struct rota__worker *worker)
{
	uint64_t now = rota__sys_clock();

	worker->polled_at = now;
	worker->woke_at = now;
	worker->woke_runs = rota__load(&worker->runs, RELAXED);
	rota__wheel_expire(&worker->wheel, now);
}

/* How long the worker may sleep at `now`. */
static uint64_t until_next(const struct rota__worker *worker, uint64_t now, uint64_t deadline)
{
	uint64_t until = rota__wheel_next(&worker->wheel);

	if (deadline < until)
		until = deadline;
	if (until == ROTA_NEVER)
		return ROTA_NEVER;
	return until > now ? until - now : 0;
}

static void park(struct rota__worker *worker, uint64_t deadline)
{
	rota_runtime *rt = worker->rt;
	uint64_t now = rota__sys_clock();
	uint64_t timeout = 0;

	account(worker, now);
	count_sparse(worker, now);
	if (worker->searching) {
		worker->searching = false;
		rota__idle_stop_search(&rt->idle);
	}
	rota__store(&worker->asleep, 1, RELAXED); /* the fence in idle_sleep orders it */
	rota__idle_sleep(&rt->idle, worker->index);
	if (!rota__load(&rt->stopping, RELAXED) && !work_visible(worker)) {
		timeout = until_next(worker, now, deadline);
		rota__count(&worker->parks, 1);
	}
	rota__count(&worker->operations, rt->driver->park(worker, timeout));
	rota__store(&worker->asleep, 0, RELAXED);
	worker->fork_refused = false;
	rota__monitor_rouse(rt);
	if (rota__idle_awake(&rt->idle, worker->index))
		worker->searching = true;
	arise(worker);
	if (is_sparse(worker))
		gather(worker);
	take_mail(worker);
}

/* Operations are submitted in batches, when the run queue is empty or after POLL_INTERVAL tasks; sooner before a task
 * of which nobody knows how long it takes, or when tasks take long of late. */
static bool may_be_long(const struct rota__worker *worker, const rota_task *task)
{
	return task->flags & ROTA__TASK_FRESH || rota__load(&worker->mean, RELAXED) >= ROTA__WAKE_COST_NS;
}

void rota__worker_run(struct rota__worker *worker, bool (*done)(void *arg), void *arg, uint64_t deadline)
{
	rota_task *again = NULL; /* never while another one runs: nobody could steal it */

	while (!done(arg)) {
		rota_task *task = again;

		again = NULL;
		if (worker->ticks >= POLL_INTERVAL || has_stalled(worker)) {
			if (task != NULL)
				requeue(worker, task);
			task = NULL;
			poll(worker);
			/* What may stall again must not take what spares are there for. */
			if (rota__load(&worker->rt->spares.on_duty, RELAXED) == 0 || !has_stalled(worker))
				task = take_injected(worker);
			if (task == NULL && worker->polled_at >= deadline)
				break;
		}
		if (task == NULL)
			task = take_local(worker);
		if (task == NULL)
			task = search(worker);
		if (task != NULL) {
			stop_search_found(worker);
			if (worker->unsubmitted && may_be_long(worker, task))
				poll(worker); /* else the operations would wait behind it */
			again = run(worker, task);
		} else if (deadline != ROTA_NEVER && rota__sys_clock() >= deadline) {
			break;
		} else {
			park(worker, deadline);
		}
	}
	if (again != NULL)
		requeue(worker, again);
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

	while ((task = take_next(worker)) != NULL || (task = rota__deque_pop(&worker->deque)) != NULL) {
		if (last != NULL)
			last->queue_next = task;
		else
			first = task;
		last = task;
		n++;
	}
	rota__store(&worker->fresh, 0, RELAXED);
	if (n == 0)
		return;
	rota__inject_push(&worker->rt->inject, first, last, n);
	rota__idle_wake_one(worker->rt);
}

/* Parks, and is no sleeper: nobody who looks for help comes here. */
static void park_aside(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	uint64_t now = rota__sys_clock();
	uint64_t timeout = 0;

	account(worker, now);
	rota__store(&worker->asleep, 1, RELAXED);
	rota__fence(SEQ_CST); /* partner: the one in send_mail */
	if (rota__load(&worker->mail, RELAXED) == NULL) {
		timeout = until_next(worker, now, ROTA_NEVER);
		rota__count(&worker->parks, 1);
	}
	rota__count(&worker->operations, rt->driver->park(worker, timeout));
	rota__store(&worker->asleep, 0, RELAXED);
	rota__monitor_rouse(rt);
	arise(worker);
	take_mail(worker);
}

void rota__worker_stand_by(struct rota__worker *worker, bool (*done)(void *arg), void *arg)
{
	/* Somebody may have relied on this worker while it searched, or slept. */
	rota__fence(SEQ_CST); /* partner: the one in rota__idle_wake_one */
	if (work_visible(worker))
		rota__idle_wake_one(worker->rt);
	while (!done(arg)) {
		rota_task *task;

		rota__worker_hand_over(worker);
		task = pop_pinned(worker);
		if (task == NULL) {
			park_aside(worker);
			continue;
		}
		if (worker->unsubmitted || worker->ticks >= POLL_INTERVAL)
			poll(worker);
		task = run(worker, task);
		if (task != NULL)
			requeue(worker, task);
	}
}
