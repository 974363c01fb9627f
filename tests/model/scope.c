/* SPDX-License-Identifier: MIT */
/*
 * The scope: no child that waits misses a cancel, whether it is in the list yet or not; the opener leaves when all are gone,
 * and then nobody touches the scope, which lives on its stack.
 */
#include "../../runtime/scope_wait.c" /* for close_ops */

#include <string.h>

#include "../../runtime/fork_internal.h"
#include "seams.h"

static struct rota_scope scope;
static struct rota__worker here; /* on which children end one after the other */
static struct rota__worker host; /* of the opener, in setup: a scope is opened, and spawned into, by the task that runs */
static struct rota__extra opener_extra;
static struct model_task opener, children[3];
static unsigned results[3]; /* plain: to read one before the child has ended is a data race */

struct rota_fork_base *rota__fork_latest(void)
{
	return NULL;
}

static void enter(unsigned child)
{
	model_task_init(&children[child], false);
	children[child].task.state.value = 0;
	rota__state_init_asked(&children[child].task.state, 2); /* the runtime's, the scope's */
	results[child] = 0;
	model_check(rota__scope_enter(&scope, &children[child].task) == 0);
}

static void open_for(unsigned n)
{
	model_task_init(&opener, false);
	opener.task.kind = ROTA__TASK_FIBER;
	memset(&opener_extra, 0, sizeof(opener_extra));
	rota__store(&opener.task.more, (unsigned char *)&opener_extra + ROTA__MORE_EXTRA, RELAXED);
	memset(&here, 0, sizeof(here));
	here.rt = (rota_runtime *)(void *)&here; /* not the tasks', whose memory does not go to the worker's cache */
	memset(&host, 0, sizeof(host));
	host.current = &opener.task;
	rota__worker_tls = &host;
	model_check(rota_scope_open(&scope, 0) == 0);
	for (unsigned i = 0; i < n; i++)
		enter(i);
	rota__worker_tls = NULL;
}

static void setup_one(void)
{
	open_for(1);
}

static void setup_two(void)
{
	open_for(2);
}

static void setup_three(void)
{
	open_for(3);
}

/* --- children ---------------------------------------------------------------------------------------------------------- */

/* Waits for what never comes: only a cancel ends it, and would end the next wait, too. */
static rota_poll waits_poll(struct rota_future *self, struct rota_context *cx)
{
	if (self->status != -ECANCELED)
		return ROTA_PENDING;
	model_check(rota__task_cancelled(cx->waker->data));
	return ROTA_READY;
}

static void waits_cancel(struct rota_future *self)
{
	self->status = -ECANCELED;
}

static const struct rota_future_ops waits_ops = { waits_poll, waits_cancel, "waits" };

static void run(unsigned child, const struct rota_future_ops *ops)
{
	struct rota_future body = { ops, 0 };

	results[child] = 1;
	model_task_run(&children[child], &body);
}

static void waits_0(void)
{
	run(0, &waits_ops);
}

static void waits_1(void)
{
	run(1, &waits_ops);
}

static rota_poll cancels_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)self;
	(void)cx;
	rota_scope_cancel(&scope);
	return ROTA_READY;
}

static const struct rota_future_ops cancels_ops = { cancels_poll, NULL, "cancels" };

static void cancels_1(void)
{
	run(1, &cancels_ops);
}

/* Is over at its first poll, before which it has looked for a reason to stop. */
static rota_poll looks_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)self;
	(void)cx;
	return ROTA_READY;
}

static void looks_cancel(struct rota_future *self)
{
	(void)self;
}

static const struct rota_future_ops looks_ops = { looks_poll, looks_cancel, "looks" };

static void looks_0(void)
{
	run(0, &looks_ops);
}

static void ends_0(void)
{
	results[0] = 1;
	rota__task_finish(&children[0].task, 0);
}

static void ends_1(void)
{
	results[1] = 1;
	rota__task_finish(&children[1].task, 0);
}

static void ends_2(void)
{
	results[2] = 1;
	rota__task_finish(&children[2].task, 0);
}

static void fails_1(void)
{
	results[1] = 1;
	rota__task_finish(&children[1].task, -EIO);
}

/* On one worker, which may count them together, and then has nothing more to run. */
static void leave_here(void)
{
	if (here.ended_in != NULL)
		rota__scope_count_ended(&here);
	rota__worker_tls = NULL;
}

static void end_here(void)
{
	rota__worker_tls = &here;
	ends_0();
	ends_1();
	leave_here();
}

static void looks_here_0(void)
{
	rota__worker_tls = &here;
	looks_0();
	leave_here();
}

/* Spawns a sibling, and waits no longer than that may be cancelled. */
static rota_poll spawns_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)self;
	(void)cx;
	enter(2);
	results[2] = 1;
	rota__task_finish(&children[2].task, 0);
	return ROTA_READY;
}

static const struct rota_future_ops spawns_ops = { spawns_poll, NULL, "spawns" };

static void spawns_1(void)
{
	run(1, &spawns_ops);
}

/* --- the opener ---------------------------------------------------------------------------------------------------------- */

/* As a fiber that awaits, save that its task does not end with it. */
static void await(struct rota_future *future)
{
	const struct rota_waker waker = { &rota__task_waker_ops, &opener.task };
	struct rota_context cx = { &waker };

	while (rota_future_poll(future, &cx) == ROTA_PENDING)
		if (rota__state_rest(&opener.task.state) == ROTA__REST_IDLE)
			model_task_take(&opener);
}

static void close_scope(unsigned n)
{
	struct close_op op = { .scope = &scope };
	rota_task *task;

	rota_future_init(&op.future, &close_ops);
	await(&op.future);
	while ((task = pop_ended(&scope)) != NULL)
		rota__task_unref_ended(task);
	model_free(&scope, sizeof(scope));
	for (unsigned i = 0; i < n; i++)
		model_check(results[i] == 1);
}

static void closes_2(void)
{
	close_scope(2);
}

static void closes_3(void)
{
	close_scope(3);
}

static void cancels_and_closes(void)
{
	rota_scope_cancel(&scope);
	close_scope(1);
}

static void cancels_and_closes_2(void)
{
	rota_scope_cancel(&scope);
	close_scope(2);
}

static void takes_all_and_closes(void)
{
	struct rota_scope_next_op next;
	unsigned taken = 0;

	for (;; taken++) {
		rota_scope_next_init(&next, &scope);
		await(&next.future);
		if (next.future.status != 0)
			break;
	}
	model_check(taken == 2 && next.future.status == -ENOENT);
	close_scope(2);
}

static void one_freed(void)
{
	model_check(children[0].freed == 1);
}

static void two_freed(void)
{
	one_freed();
	model_check(children[1].freed == 1);
}

static void three_freed(void)
{
	two_freed();
	model_check(children[2].freed == 1);
}

const struct model_scenario model_scenarios[] = {
	{ "scope: a child waits, the opener cancels and closes",
	  setup_one,
	  { waits_0, cancels_and_closes },
	  one_freed,
	  0,
	  0,
	  3 },
	{ "scope: a child waits, another cancels", setup_two, { waits_0, cancels_1, closes_2 }, two_freed, 0, 0, 1 },
	{ "scope: a child waits, another fails", setup_two, { waits_0, fails_1, closes_2 }, two_freed, 0, 0, 1 },
	{ "scope: two children end, close", setup_two, { ends_0, ends_1, closes_2 }, two_freed, 0, 0, 1 },
	{ "scope: two children end, next, close", setup_two, { ends_0, ends_1, takes_all_and_closes }, two_freed, 0, 0, 1 },
	{ "scope: two children end on one worker, close", setup_two, { end_here, closes_2 }, two_freed, 0, 0, 3 },
	{ "scope: two children end on one worker, next, close",
	  setup_two,
	  { end_here, takes_all_and_closes },
	  two_freed,
	  0,
	  0,
	  3 },
	{ "scope: two children end on one worker, one elsewhere",
	  setup_three,
	  { end_here, ends_2, closes_3 },
	  three_freed,
	  0,
	  0,
	  1 },
	{ "scope: a child waits, the other does not, one cancel",
	  setup_two,
	  { waits_1, ends_0, cancels_and_closes_2 },
	  two_freed,
	  0,
	  0,
	  1 },
	{ "scope: a child spawns another", setup_two, { ends_0, spawns_1, closes_3 }, three_freed, 0, 0, 1 },
	{ "scope: a child is listed and ends, cancel", setup_two, { looks_0, cancels_1, closes_2 }, two_freed, 0, 0, 1 },
	{ "scope: a child is listed and ends on a worker, cancel",
	  setup_two,
	  { looks_here_0, cancels_1, closes_2 },
	  two_freed,
	  0,
	  0,
	  1 },
	{ .name = NULL },
};
