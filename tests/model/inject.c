/* SPDX-License-Identifier: MIT */
/* The injection queue: pushes of one and of two against pops. Each task is had once, and in its pusher's order. */
#include "../../runtime/inject_internal.h"

#include "../../runtime/task_internal.h"
#include "model.h"

static struct rota__inject inject;
static struct rota_task tasks[3];

static void setup(void)
{
	inject = (struct rota__inject){ .first = NULL };
	for (unsigned i = 0; i < 3; i++)
		tasks[i] = (struct rota_task){ .home = 0 };
}

static void push_two(void)
{
	tasks[0].arg = &tasks[0];
	tasks[1].arg = &tasks[1];
	tasks[0].queue_next = &tasks[1];
	rota__inject_push(&inject, &tasks[0], &tasks[1], 2);
}

static void push_one(void)
{
	tasks[2].arg = &tasks[2];
	rota__inject_push(&inject, &tasks[2], &tasks[2], 1);
}

static unsigned pop(unsigned most)
{
	rota_task *task = rota__inject_pop(&inject, most);
	unsigned n = 0;

	for (; task != NULL; task = task->queue_next, n++) {
		model_check(task->arg == task);
		/* It was pushed first of the two. */
		model_check(task != &tasks[1] || task->queue_next != &tasks[0]);
		task->home++;
	}
	model_check(n <= most);
	return n;
}

static void pop_one(void)
{
	pop(1);
}

static void pop_all(void)
{
	pop(3);
}

static void finish(void)
{
	uint32_t length = rota__inject_length(&inject);

	model_outcome(length);
	model_check(pop(3) == length);
	model_check(rota__inject_length(&inject) == 0);
}

static void finish_all(void)
{
	finish();
	for (unsigned i = 0; i < 3; i++)
		model_check(tasks[i].home == 1);
}

const struct model_scenario model_scenarios[] = {
	{ "inject: push, pop", setup, { push_two, pop_one }, finish, 0x6, 0, 0 },
	{ "inject: two pushers", setup, { push_two, push_one }, finish_all, 0x8, 0, 0 },
	{ "inject: two pushers, pop", setup, { push_two, push_one, pop_all }, finish_all, 0xf, 0, 1 },
	{ "inject: push, two poppers", setup, { push_two, pop_one, pop_all }, finish, 0x7, 0, 1 },
	{ .name = NULL },
};
