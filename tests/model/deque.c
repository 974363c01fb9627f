/* SPDX-License-Identifier: MIT */
/*
 * The run queue, with a capacity of eight: the owner pushes and pops, and makes it larger, while one or two thieves take
 * halves, over the wrap of the ring and of the indices, also while the head is the owner's. Each task is had exactly once,
 * and who has it may touch it. A ring that was outgrown is freed, and nobody touches it then.
 */
#include "../../runtime/deque_internal.h"

#include "../../runtime/task_internal.h"
#include "model.h"

#define TASKS (2 * ROTA__DEQUE_CAPACITY)

static struct rota__deque victim, mine[2];
static struct rota_task tasks[TASKS];
static unsigned pushed, overflowed;
static unsigned pops, steals; /* of the finish */

static void start_at(uint32_t index)
{
	victim = (struct rota__deque){ .tail = { index } };
	victim.head.value = index;
	for (unsigned i = 0; i < 2; i++)
		mine[i] = (struct rota__deque){ .tail = { 7 }, .head = { 7 } };
	/* A slot is not filled before a thief has read it, nor read before it is filled. */
	model_ordered(victim.first, sizeof(victim.first));
	model_ordered(mine[0].first, sizeof(mine[0].first));
	for (unsigned i = 0; i < TASKS; i++)
		tasks[i] = (struct rota_task){ .home = 0 };
	pushed = overflowed = pops = steals = 0;
}

static bool push(void)
{
	rota_task *task = &tasks[pushed];

	task->arg = task; /* what the release in push must cover */
	if (!rota__deque_push(&victim, task))
		return false;
	pushed++;
	return true;
}

static bool push_ahead(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		tasks[pushed + i].arg = &tasks[pushed + i];
		tasks[pushed + i].queue_next = i + 1 < n ? &tasks[pushed + i + 1] : NULL;
	}
	if (!rota__deque_push_ahead(&victim, &tasks[pushed], n))
		return false;
	pushed += n;
	return true;
}

/* Whoever has a task may write to it: had by two, that is a race, or counted twice. */
static void have(rota_task *task)
{
	model_check(task->arg == task);
	task->home++;
}

static bool pop(void)
{
	rota_task *task = rota__deque_pop(&victim);

	if (task == NULL)
		return false;
	have(task);
	return true;
}

static void steal_into(unsigned thief)
{
	unsigned moved = 0, had = 0;
	rota_task *task = rota__deque_steal(&victim, &mine[thief], &moved);

	for (; task != NULL; task = rota__deque_pop(&mine[thief]), had++)
		have(task);
	model_check(had <= moved); /* others may steal in turn */
}

static void thief_0(void)
{
	steal_into(0);
}

static void thief_1(void)
{
	steal_into(1);
}

static void thief_twice(void)
{
	steal_into(0);
	steal_into(0);
}

/* --- two tasks are there; the owner takes what it can -------------------------------------------------------------- */

static void setup_two(void)
{
	start_at(UINT32_MAX - 1);
	push();
	push();
}

static void owner_pops(void)
{
	while (pop())
		pops++;
}

static void owner_pushes_and_pops(void)
{
	model_check(push());
	if (pop())
		pops++;
}

/* --- the ring is full: a slot that a thief still copies from must not be filled ------------------------------------- */

static void setup_full(void)
{
	start_at(UINT32_MAX - 2);
	for (unsigned i = 0; i < ROTA__DEQUE_CAPACITY; i++)
		push();
}

static void owner_pushes_when_full(void)
{
	rota_task *first, *last;

	if (push())
		return;
	overflowed = rota__deque_overflow(&victim, &first, &last);
	if (overflowed == 0)
		return;
	model_check(last->queue_next == NULL);
	for (; first != NULL; first = first->queue_next)
		have(first);
	model_check(push());
}

static void owner_pops_and_pushes(void)
{
	if (pop())
		pops++;
	push();
}

/* What a thief has claimed in the old ring it finds there, or in the new one. */
static void owner_grows(void)
{
	if (!push()) {
		model_check(rota__deque_grow(&victim));
		model_check(push());
	}
	if (pop())
		pops++;
}

/* What is left at last lies in the new ring only. */
static void setup_almost_empty(void)
{
	setup_full();
	while (pushed - pops > 1 && pop())
		pops++;
}

static void owner_grows_and_pops(void)
{
	model_check(rota__deque_grow(&victim));
	model_check(push());
	if (pop())
		pops++;
}

/* The first of the rings that are allocated is freed when nobody copies from it. */
static void setup_grown(void)
{
	start_at(UINT32_MAX - 1);
	model_check(rota__deque_grow(&victim));
	for (unsigned i = 0; i < 3; i++)
		push();
}

static void owner_grows_again(void)
{
	model_check(rota__deque_grow(&victim));
	if (pop())
		pops++;
}

static void owner_pops_all_and_trims(void)
{
	while (pop())
		pops++;
	rota__deque_trim(&victim);
	push();
	if (pop())
		pops++;
}

static void owner_trims_and_puts_ahead(void)
{
	while (pop())
		pops++;
	rota__deque_trim(&victim);
	push_ahead(2);
}

/* --- tasks are put ahead: over slots that a thief may just have copied, and at an index that head has been at before ------- */

static void owner_puts_ahead(void)
{
	push_ahead(2);
	if (pop())
		pops++;
}

static void owner_comes_back(void)
{
	if (pop())
		pops++;
	push_ahead(1);
	push();
}

static void owner_pops_one_and_fills(void)
{
	if (pop())
		pops++;
	push_ahead(ROTA__DEQUE_CAPACITY - 1);
}

/* A second thief into what the first one has put in its own queue. */
static void thief_of_thief(void)
{
	unsigned moved;
	rota_task *task = rota__deque_steal(&mine[0], &mine[1], &moved);

	if (task == NULL)
		return;
	have(task);
	while ((task = rota__deque_pop(&mine[1])) != NULL)
		have(task);
}

/* --- the thief's own queue is full, of tasks that another thief takes ------------------------------------------ */

static void setup_full_thief(void)
{
	setup_two();
	push();
	push();
	for (unsigned i = 0; i < ROTA__DEQUE_CAPACITY; i++, pushed++) {
		tasks[pushed].arg = &tasks[pushed];
		model_check(rota__deque_push(&mine[0], &tasks[pushed]));
	}
}

/* Keeps what it has stolen. */
static void thief_into_full(void)
{
	unsigned moved;
	rota_task *task = rota__deque_steal(&victim, &mine[0], &moved);

	if (task != NULL)
		have(task);
}

static void finish_full_thief(void)
{
	rota_task *task;

	while (pop()) {
	}
	while ((task = rota__deque_pop(&mine[0])) != NULL)
		have(task);
	while (steals < pushed)
		model_check(tasks[steals++].home == 1);
}

/* --- the head is the owner's, or becomes so (after two pops: meson.build) -------------------------------------------- */

static void own_head(struct rota__deque *deque)
{
	rota__deque_enter(deque, true);
	deque->head.value |= ROTA__DEQUE_OWNED;
}

static void setup_own_two(void)
{
	setup_two();
	own_head(&victim);
}

static void setup_own_full(void)
{
	setup_full();
	own_head(&victim);
}

static void setup_own_grown(void)
{
	setup_grown();
	own_head(&victim);
}

static void setup_may_own(void)
{
	setup_full();
	rota__deque_enter(&victim, true);
}

static void owner_pops_thrice(void)
{
	for (unsigned i = 0; i < 3; i++)
		pops += pop();
}

static void finish(void)
{
	unsigned had = 0;

	for (unsigned i = 0; i < pushed; i++)
		had += tasks[i].home;
	model_outcome(had == pushed ? 0 : 1);
	model_check((victim.head.value & ~ROTA__DEQUE_OWNED) <= UINT32_MAX); /* no thief counts as at work */
	while (pop()) {
	}
	while (steals < pushed)
		model_check(tasks[steals++].home == 1);
}

const struct model_scenario model_scenarios[] = {
	{ "deque: pop, thief", setup_two, { owner_pops, thief_0 }, finish, 0x1, 1, 0 },
	{ "deque: push, pop, thief", setup_two, { owner_pushes_and_pops, thief_0 }, finish, 0x3, 1, 0 },
	{ "deque: push, pop, two thieves", setup_two, { owner_pushes_and_pops, thief_0, thief_1 }, finish, 0x3, 0, 2 },
	{ "deque: pop, thief twice", setup_full, { owner_pops_and_pushes, thief_twice }, finish, 0x2, 0, 0 },
	{ "deque: full, thief", setup_full, { owner_pushes_when_full, thief_0 }, finish, 0x2, 1, 0 },
	{ "deque: full, two thieves", setup_full, { owner_pushes_when_full, thief_0, thief_1 }, finish, 0x2, 0, 2 },
	{ "deque: grows, thief", setup_full, { owner_grows, thief_0 }, finish, 0x2, 1, 0 },
	{ "deque: grows, pops, thief", setup_almost_empty, { owner_grows_and_pops, thief_0 }, finish, 0x3, 0, 0 },
	{ "deque: grows, thief twice", setup_full, { owner_grows, thief_twice }, finish, 0x2, 0, 0 },
	{ "deque: grows, two thieves", setup_full, { owner_grows, thief_0, thief_1 }, finish, 0x2, 0, 2 },
	{ "deque: grows again, thief", setup_grown, { owner_grows_again, thief_0 }, finish, 0x3, 1, 0 },
	{ "deque: grows again, thief twice", setup_grown, { owner_grows_again, thief_twice }, finish, 0x1, 0, 0 },
	{ "deque: trim, thief", setup_grown, { owner_pops_all_and_trims, thief_0 }, finish, 0x1, 0, 0 },
	{ "deque: trim, ahead, thief", setup_grown, { owner_trims_and_puts_ahead, thief_0 }, finish, 0x3, 0, 0 },
	{ "deque: own, grows again, thief", setup_own_grown, { owner_grows_again, thief_0 }, finish, 0x3, 1, 0 },
	{ "deque: own, trim, thief", setup_own_grown, { owner_pops_all_and_trims, thief_0 }, finish, 0x1, 0, 2 },
	{ "deque: ahead, pop, thief", setup_two, { owner_puts_ahead, thief_0 }, finish, 0x3, 1, 0 },
	{ "deque: ahead, pop, two thieves", setup_two, { owner_puts_ahead, thief_0, thief_1 }, finish, 0x3, 0, 2 },
	{ "deque: pop, ahead, thief", setup_two, { owner_comes_back, thief_0 }, finish, 0x2, 1, 0 },
	{ "deque: pop, ahead, thief twice", setup_two, { owner_comes_back, thief_twice }, finish, 0x3, 0, 0 },
	{ "deque: ahead until full, thief", setup_two, { owner_pops_one_and_fills, thief_0 }, finish, 0x3, 1, 0 },
	{ "deque: thief of a thief", setup_full, { owner_pops_and_pushes, thief_0, thief_of_thief }, finish, 0x2, 0, 2 },
	{ "deque: own, pop, thief", setup_own_two, { owner_pops, thief_0 }, finish, 0x1, 1, 0 },
	{ "deque: own, push, pop, thief", setup_own_two, { owner_pushes_and_pops, thief_0 }, finish, 0x3, 1, 0 },
	{ "deque: own, push, pop, two thieves",
	  setup_own_two,
	  { owner_pushes_and_pops, thief_0, thief_1 },
	  finish,
	  0x3,
	  0,
	  2 },
	{ "deque: own, pop, thief twice", setup_own_full, { owner_pops_and_pushes, thief_twice }, finish, 0x2, 0, 0 },
	{ "deque: own, full, thief", setup_own_full, { owner_pushes_when_full, thief_0 }, finish, 0x2, 1, 0 },
	{ "deque: own, ahead, pop, thief", setup_own_two, { owner_puts_ahead, thief_0 }, finish, 0x3, 1, 0 },
	{ "deque: own, pop, ahead, thief twice", setup_own_two, { owner_comes_back, thief_twice }, finish, 0x3, 0, 0 },
	{ "deque: becomes own, thief", setup_may_own, { owner_pops_thrice, thief_0 }, finish, 0x2, 1, 0 },
	{ "deque: becomes own, thief twice", setup_may_own, { owner_pops_thrice, thief_twice }, finish, 0x3, 0, 0 },
	{ "deque: becomes own, two thieves", setup_may_own, { owner_pops_thrice, thief_0, thief_1 }, finish, 0x3, 0, 2 },
	{ "deque: into a full one, thief",
	  setup_full_thief,
	  { thief_into_full, thief_of_thief },
	  finish_full_thief,
	  0,
	  1,
	  0 },
	{ .name = NULL },
};
