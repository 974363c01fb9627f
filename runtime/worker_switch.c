/* SPDX-License-Identifier: MIT */
/*
 * From one fiber to the next, without the worker's loop between them.
 *
 * A fiber that waits, yields or ends takes the next task from the worker's own queues while it still stands on its
 * stack, and when that is a fiber switches to it. What then is left to do for the first one, who must be off its stack
 * before anybody else may get hold of it, is noted in the worker (`verdict`) and done by whoever arrives: the next
 * fiber, where it had left or where it begins, or the loop. A fiber that has ended and takes one that has not begun yet
 * runs its body on the same stack.
 *
 * The loop goes on when there is something to look at before any task may run again (rota__worker_is_due: the ring, the
 * timers, what others left), when it is to stop, when the queues are empty, and for a task that is no fiber or has
 * forks: that one is handed over in `picked`.
 */
#include "worker_parts_internal.h"

#include "scope_internal.h"

void rota__worker_settle_left(struct rota__worker *worker)
{
	rota_task *task = worker->left;
	const enum rota__verdict verdict = worker->verdict;

	worker->verdict = ROTA__VERDICT_NONE;
	if (verdict == ROTA__VERDICT_EXIT) {
		struct rota__stack *stack = worker->left_stack;

		rota__fiber_left(stack);
		if (stack->slab == NULL)
			rota__stack_free(&worker->rt->stacks, stack);
		else
			rota__stack_release(&worker->rt->stacks, &worker->stacks, stack);
	} else if (verdict == ROTA__VERDICT_YIELD || rota__state_rest(&task->state) == ROTA__REST_AGAIN) {
		rota__worker_requeue(worker, task);
	}
}

/* The next task, which has begun, and may have no stack yet. NULL: the loop is to go on. */
static inline rota_task *pick(struct rota__worker *worker)
{
	rota_task *task;

	if (!worker->switches || rota__worker_is_due(worker) || rota__load(&worker->forks, RELAXED) != NULL)
		return NULL;
	task = rota__worker_take_local(worker);
	if (task == NULL)
		return NULL;
	if (task->kind != ROTA__TASK_FIBER || task->flags & ROTA__TASK_FORKED) {
		worker->picked = task;
		return NULL;
	}
	rota__fiber_fetch(task);
	rota__worker_begin(worker, task);
	return task;
}

rota_task *rota__worker_next(struct rota__worker *worker)
{
	rota_task *task = pick(worker);

	if (task != NULL && task->sp == NULL)
		rota__worker_give_stack(worker, task);
	return task;
}

/* --- a fiber from its beginning to its end -------------------------------------------------------------------------- */

void rota__worker_leave_extra(rota_task *task)
{
	struct rota__extra *extra = rota__task_extra(task);

	if (__builtin_expect(extra == NULL, 1))
		return;
	if (extra->opened != NULL)
		rota__scope_left_open(task);
	rota__locals_clear(extra);
}

/* The body has returned. What is left is the stack, on which this runs. */
static inline void end(struct rota__worker *worker, rota_task *task, int status)
{
	if (rota__load(&worker->forks, RELAXED) != NULL)
		rota__forks_end(worker, task);
	task->stack = NULL;
	rota__worker_end(worker);
	rota__task_finish(task, status);
}

/* Gives the stack of a fiber that has ended to one that has not begun, which has one reserved of its own. */
static inline bool adopt(struct rota__worker *worker, rota_task *task, struct rota__stack *stack)
{
	if (task->sp != NULL || task->flags & ROTA__TASK_OWN_STACK || stack->slab == NULL)
		return false;
	task->stack = stack;
	rota__stack_unreserve(&worker->rt->stacks, &worker->stacks);
	return true;
}

/* Apart: a local of it has its address taken, which the address sanitizer would mark for ever in a frame that is never left. */
static __attribute__((noinline)) void settle_apart(struct rota__worker *worker)
{
	rota__worker_settle(worker);
}

static void fiber_body(void *arg)
{
	rota_task *task = arg;
	struct rota__stack *const stack = task->stack;
	struct rota__worker *worker = rota__worker_self();

	rota__fiber_arrived(task);
	if (worker->verdict != ROTA__VERDICT_NONE)
		settle_apart(worker);
	do {
		const int status = task->fn(task->arg);
		bool last;

		rota__worker_leave_extra(task);
		worker = rota__worker_self();
		last = task == worker->until;
		end(worker, task, status);
		task = last ? NULL : pick(worker);
	} while (task != NULL && adopt(worker, task, stack));
	if (task != NULL && task->sp == NULL)
		rota__worker_give_stack(worker, task);
	worker->left_stack = stack;
	worker->verdict = ROTA__VERDICT_EXIT;
	rota__fiber_exit(&worker->host, task);
}

void rota__worker_give_stack(struct rota__worker *worker, rota_task *task)
{
	if (!(task->flags & ROTA__TASK_OWN_STACK))
		task->stack = rota__stack_acquire(&worker->rt->stacks, &worker->stacks);
	rota__fiber_start(task, fiber_body);
}

/* --- waiting and yielding --------------------------------------------------------------------------------------------- */

ROTA__OPAQUE void rota__worker_wait(struct rota__worker *worker)
{
	rota__worker_suspend(worker, ROTA__VERDICT_WAIT);
}

/* A queue that nobody else is in would cost a push, and a pop that must be proof against thieves. */
bool rota__worker_looks_on(struct rota__worker *worker)
{
	if (!rota__worker_alone(worker) || rota__worker_is_due(worker) || rota__load(&worker->forks, RELAXED) != NULL)
		return false;
	rota__worker_count_run(worker);
	worker->next_streak = 0;
	worker->free_until = worker->look_at;
	return true;
}

void rota__worker_yield(struct rota__worker *worker)
{
	if (!rota__worker_goes_on(worker))
		rota__worker_suspend(worker, ROTA__VERDICT_YIELD);
}

void rota__worker_spend(void)
{
	struct rota__worker *worker = rota__worker_self();

	if (worker == NULL || worker->current == NULL || !rota__task_may_wait(worker->current))
		return;
	if (--worker->budget == 0)
		rota__worker_yield(worker);
}
