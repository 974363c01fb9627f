/* SPDX-License-Identifier: MIT */
/*
 * The state word of a task, with the real task.c around it: wakes and a cancel against rest, the end against joiners,
 * detaching, wakers that were cloned and a walker of all tasks. No wake is lost (all would be blocked), the last
 * reference frees once (the second time would touch freed memory), and the end is seen with the status.
 */
#include "seams.h"

#include <errno.h>

static struct model_task task;
static struct rota_atomic_u32 news[2];
static struct rota_future future;
static unsigned wanted;
static unsigned ended[2]; /* who joined, and how */

/* --- wakes and rest -------------------------------------------------------------------------------------------------- */

static rota_poll news_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	if (self->status != -ECANCELED)
		self->status = 42;
	else if (wanted > 2)
		return ROTA_READY;
	return rota__load(&news[0], RELAXED) + rota__load(&news[1], RELAXED) >= wanted ? ROTA_READY : ROTA_PENDING;
}

static void news_cancel(struct rota_future *self)
{
	self->status = -ECANCELED;
}

static const struct rota_future_ops news_ops = { .poll = news_poll, .cancel = news_cancel };

static void setup_for(unsigned news_wanted)
{
	news[0].value = news[1].value = 0;
	ended[0] = ended[1] = 0;
	wanted = news_wanted;
	rota_future_init(&future, &news_ops);
	model_task_init(&task, true);
}

static void setup_one(void)
{
	setup_for(1);
}

static void setup_two(void)
{
	setup_for(2);
}

static void setup_never(void)
{
	setup_for(3);
}

static void setup_ready(void)
{
	setup_for(0);
}

static void worker(void)
{
	model_task_run(&task, &future);
}

static void wake(unsigned i)
{
	struct rota_waker waker = { &rota__task_waker_ops, &task.task };

	rota__store(&news[i], 1, RELAXED); /* ordered by the wake alone */
	rota_wake_by_ref(&waker);
}

static void waker_0(void)
{
	wake(0);
}

static void waker_1(void)
{
	wake(1);
}

/* With the handle, which it keeps. */
static void canceller(void)
{
	rota_cancel(&task.task);
}

static void still_there(void)
{
	model_check(task.freed == 0);
	model_check(rota__state_ended(&task.task.state));
}

static void was_cancelled(void)
{
	still_there();
	model_check(task.task.status == -ECANCELED);
}

/* --- a task that rests on one worker and runs on another -------------------------------------------------------------- */

static unsigned runs; /* plain: one run happens before the next */
static bool over;

static void setup_moving(void)
{
	setup_for(1);
	runs = 0;
	over = false;
}

/* As long as it is told to look again; whether the news were seen. */
static bool run_here(void)
{
	do {
		runs++;
		if (rota__load(&news[0], RELAXED) != 0)
			return true;
	} while (rota__state_rest(&task.task.state) == ROTA__REST_AGAIN);
	return false;
}

static void first_worker(void)
{
	if (!run_here())
		return;
	over = true;
	rota__task_submit(&task.task); /* for the other one to leave */
}

static void second_worker(void)
{
	do {
		model_task_take(&task);
	} while (!over && !run_here());
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

static void joiner(void)
{
	int status = 0;

	model_check(rota_join(&task.task, &status) == 0);
	model_check(status == 42);
}

static void detacher(void)
{
	rota_detach(&task.task);
}

/* Joins with the waker of a task of its own, gives up, then joins again as a thread. */
static void joiner_who_cancels(void)
{
	struct rota__parker *parker = rota__parker_self();
	const struct rota_waker waker = { &rota__thread_waker_ops, parker };
	struct rota_context cx = { &waker };
	struct rota_join_op op;

	rota_join_init(&op, &task.task);
	if (rota_future_poll(&op.future, &cx) == ROTA_PENDING) {
		rota_future_cancel(&op.future);
		model_check(rota_future_poll(&op.future, &cx) == ROTA_READY);
		model_outcome(op.future.status == 0 ? 1 : 2);
	} else {
		model_outcome(0);
	}
	joiner();
}

/* Polls again with another waker, as a future does that moves between tasks; the first one stays with nobody. */
static void joiner_with_two_wakers(void)
{
	static struct rota__parker other;
	const struct rota_waker first = { &rota__thread_waker_ops, &other };
	const struct rota_waker second = rota_thread_waker();
	struct rota_context cx = { &first };
	struct rota_join_op op;

	other = (struct rota__parker){ .next_free = NULL };
	rota_join_init(&op, &task.task);
	if (rota_future_poll(&op.future, &cx) == ROTA_PENDING) {
		cx.waker = &second;
		while (rota_future_poll(&op.future, &cx) == ROTA_PENDING)
			rota_thread_park();
	}
	model_check(op.future.status == 0 && task.task.status == 42);
	rota_detach(&task.task);
}

/* A waker that was cloned before the end, and is dropped or used after it. */
static struct rota_waker cloned;

static void setup_cloned(void)
{
	const struct rota_waker waker = { &rota__task_waker_ops, &task.task };

	setup_for(0);
	cloned = rota_waker_clone(&waker);
}

static void cloned_dropper(void)
{
	rota_waker_drop(&cloned);
}

static void cloned_waker(void)
{
	rota_wake(&cloned);
}

static void setup_walked(void)
{
	setup_for(0);
	task.stays = true;
}

/* The slab that the walker looks into holds the task only after a while. */
static void setup_unborn(void)
{
	setup_walked();
	task.task.state.value = 0;
}

static void spawner(void)
{
	task.task.queue_next = NULL;
	task.task.kind = ROTA__TASK_FUTURE;
	rota__state_init(&task.task.state, 2);
	worker();
	detacher();
}

static void walker(void)
{
	if (!rota__state_try_ref(&task.task.state))
		return;
	model_check(task.task.kind == ROTA__TASK_FUTURE);
	rota__task_unref(&task.task);
}

static void freed_once(void)
{
	model_check(task.freed == 1);
}

const struct model_scenario model_scenarios[] = {
	{ "task: wake, rest", setup_one, { worker, waker_0 }, still_there, 0, 1, 0 },
	{ "task: two wakes, rest", setup_two, { worker, waker_0, waker_1 }, still_there, 0, 0, 0 },
	{ "task: cancel, rest", setup_never, { worker, canceller }, was_cancelled, 0, 1, 0 },
	{ "task: cancel, wake, rest", setup_never, { worker, canceller, waker_0 }, was_cancelled, 0, 0, 0 },
	{ "task: rest, wake, run elsewhere",
	  setup_moving,
	  { first_worker, second_worker, waker_0, waker_1 },
	  NULL,
	  0,
	  0,
	  3 },
	{ "task: end, join", setup_ready, { worker, joiner }, freed_once, 0, 1, 0 },
	{ "task: end, join given up", setup_ready, { worker, joiner_who_cancels }, freed_once, 0x7, 0, 0 },
	{ "task: end, join by two wakers", setup_ready, { worker, joiner_with_two_wakers }, freed_once, 0, 0, 0 },
	{ "task: end, detach", setup_ready, { worker, detacher }, freed_once, 0, 1, 0 },
	{ "task: end, detach, clone dropped", setup_cloned, { worker, detacher, cloned_dropper }, freed_once, 0, 0, 0 },
	{ "task: end, join, clone wakes", setup_cloned, { worker, joiner, cloned_waker }, freed_once, 0, 0, 0 },
	{ "task: end, detach, walker", setup_walked, { worker, detacher, walker }, freed_once, 0, 0, 0 },
	{ "task: spawn, walker", setup_unborn, { spawner, walker }, freed_once, 0, 1, 0 },
	{ .name = NULL },
};
