/* SPDX-License-Identifier: MIT */
/* The injection queue on one thread: lists in, lists out, order, length. stress/inject.c has the threads. */
#define _GNU_SOURCE
#include "../../runtime/inject_internal.h"

#include "../../runtime/task_internal.h"
#include "unit.h"

#define TASKS 100

static rota_task tasks[TASKS];
static struct rota__inject inject;

/* Pushes tasks[first..first+n) as one list. */
static void push(unsigned first, unsigned n)
{
	for (unsigned i = first; i + 1 < first + n; i++)
		tasks[i].queue_next = &tasks[i + 1];
	/* What the last one was linked to before means nothing. */
	tasks[first + n - 1].queue_next = &tasks[0];
	rota__inject_push(&inject, &tasks[first], &tasks[first + n - 1], n);
}

/* Takes up to `most` and expects tasks[first..first+n). */
static void expect_pop(unsigned most, unsigned first, unsigned n)
{
	rota_task *task = rota__inject_pop(&inject, most);

	for (unsigned i = 0; i < n; i++, task = task->queue_next) {
		expect_pointer(task, !=, NULL);
		expect(task - tasks, ==, first + i);
	}
	expect_pointer(task, ==, NULL);
}

UNIT_TEST(inject, is_first_in_first_out)
{
	expect_pop(1, 0, 0);
	push(0, 1);
	push(1, 1);
	push(2, 1);
	expect(rota__inject_length(&inject), ==, 3);
	expect_pop(1, 0, 1);
	push(3, 1);
	expect_pop(1, 1, 1);
	expect_pop(1, 2, 1);
	expect_pop(1, 3, 1);
	expect_pop(1, 0, 0);
	expect(rota__inject_length(&inject), ==, 0);
}

UNIT_TEST(inject, takes_and_gives_lists)
{
	push(0, 40);
	push(40, 1);
	push(41, 59);
	expect(rota__inject_length(&inject), ==, TASKS);
	expect_pop(7, 0, 7);
	expect(rota__inject_length(&inject), ==, TASKS - 7);
	expect_pop(34, 7, 34); /* across the seams of what was pushed */
	expect_pop(TASKS, 41, 59);
	expect(rota__inject_length(&inject), ==, 0);
	push(0, 2); /* an emptied queue works as a new one */
	expect_pop(2, 0, 2);
}

UNIT_TEST(inject, gives_nothing_to_who_wants_none)
{
	push(0, 3);
	expect_pop(0, 0, 0);
	expect(rota__inject_length(&inject), ==, 3);
	expect_pop(3, 0, 3);
}
