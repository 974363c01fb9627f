/* SPDX-License-Identifier: MIT */
/* The next slot of a worker: each task that is put there is had once, by the owner or by a thief, however it may be taken. */
#include "seams.h"

#include <string.h>

#include "../../runtime/next_internal.h"
#include "../../runtime/task_internal.h"

static struct rota__next slot;
static struct rota_atomic_u32 marking;
static struct rota_task tasks[2];
static unsigned put, had, stolen[2];
static uint64_t shared[2]; /* how each of the tasks is put there */

static void begin(uint64_t first, uint64_t second)
{
	memset(&slot, 0, sizeof(slot));
	marking.value = 0;
	memset(tasks, 0, sizeof(tasks));
	put = had = stolen[0] = stolen[1] = 0;
	shared[0] = first;
	shared[1] = second;
}

static void setup_own(void)
{
	begin(0, 0);
}

static void setup_shared(void)
{
	begin(ROTA__NEXT_SHARED, ROTA__NEXT_SHARED);
}

static void setup_own_then_shared(void)
{
	begin(0, ROTA__NEXT_SHARED);
}

static void setup_shared_then_own(void)
{
	begin(ROTA__NEXT_SHARED, 0);
}

/* What the owner does with a task before it puts it there, and who has it then: a race if two have it. */
static void touch(rota_task *task)
{
	task->home++;
}

static bool run(rota_task *task)
{
	if (task != NULL)
		touch(task);
	return task != NULL;
}

/* The task is awake. false: it went elsewhere, as what came before it does. */
static void wake(unsigned i)
{
	rota_task *old;

	touch(&tasks[i]);
	put++;
	old = rota__next_push(&slot, &tasks[i], shared[i]);
	had += run(old);
}

static void owner_puts_two(void)
{
	wake(0);
	wake(1);
	had += run(rota__next_take(&slot));
}

/* The second time when it has run: whoever has marked it before must not have it now. */
static void owner_puts_one_twice(void)
{
	wake(0);
	if (run(rota__next_take(&slot))) {
		had++;
		wake(0);
	}
}

static void owner_puts_one(void)
{
	wake(0);
	had += run(rota__next_take(&slot));
}

static void thief(void)
{
	stolen[0] += run(rota__next_steal(&slot, &marking));
}

static void other_thief(void)
{
	stolen[1] += run(rota__next_steal(&slot, &marking));
}

static void thief_twice(void)
{
	thief();
	thief();
}

static void each_was_had(void)
{
	had += run(rota__next_take(&slot));
	model_check(put == had + stolen[0] + stolen[1]);
	model_check(!rota__next_waits(&slot));
	model_check(rota__load(&marking, RELAXED) == 0);
	model_check(tasks[0].home + tasks[1].home == 2 * put);
	model_outcome(stolen[0] + stolen[1]);
}

const struct model_scenario model_scenarios[] = {
	{ "next: own, thief", setup_own, { owner_puts_one, thief }, each_was_had, 0x3, 0, 0 },
	{ "next: own, put over, thief", setup_own, { owner_puts_two, thief_twice }, each_was_had, 0x7, 0, 0 },
	{ "next: own, again, two thieves",
	  setup_own,
	  { owner_puts_one_twice, thief, other_thief },
	  each_was_had,
	  0x3,
	  0,
	  0 },
	{ "next: shared, put over, thief", setup_shared, { owner_puts_two, thief_twice }, each_was_had, 0x7, 0, 0 },
	{ "next: shared, two thieves", setup_shared, { owner_puts_one_twice, thief, other_thief }, each_was_had, 0x3, 0, 0 },
	{ "next: own, then shared", setup_own_then_shared, { owner_puts_two, thief_twice }, each_was_had, 0x7, 0, 0 },
	{ "next: shared, then own", setup_shared_then_own, { owner_puts_two, thief_twice }, each_was_had, 0x7, 0, 0 },
	{ .name = NULL },
};
