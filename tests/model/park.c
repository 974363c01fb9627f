/* SPDX-License-Identifier: MIT */
/* Parking: a waker's news and its claim against a thread that is about to sleep, does, or has just woken. */
#include "seams.h"

static struct rota__parker *parker;
static struct rota_atomic_u32 news[2];

static void setup(void)
{
	news[0].value = news[1].value = 0;
	parker = rota__parker_self();
}

static void wait_for(unsigned count)
{
	while (rota__load(&news[0], RELAXED) + rota__load(&news[1], RELAXED) < count)
		rota__parker_park(parker, UINT64_MAX);
}

static void sleeper(void)
{
	wait_for(1);
}

static void sleeper_of_two(void)
{
	wait_for(2);
}

/* After the news were seen, a late wake may still come: the next wait bears it. */
static void sleeper_twice(void)
{
	wait_for(1);
	wait_for(2);
}

static void wake(unsigned i)
{
	rota__store(&news[i], 1, RELAXED); /* ordered by the claim alone */
	if (rota__parker_claim(parker))
		rota__parker_unpark(parker);
}

static void waker_0(void)
{
	wake(0);
}

static void waker_1(void)
{
	wake(1);
}

static void waker_of_both(void)
{
	wake(0);
	wake(1);
}

static void no_free_threads(void)
{
	model_check(parker->next_free == NULL);
}

/* A thread that ends leaves its parker to the next. */
static void come_and_go(void)
{
	struct rota__parker *mine = rota__parker_self();

	mine->next_free = NULL; /* plain: two owners at once would be a race */
	model_thread_ends();
}

static void setup_free(void)
{
}

const struct model_scenario model_scenarios[] = {
	{ "park: one waker", setup, { sleeper, waker_0 }, no_free_threads, 0, 1, 0 },
	{ "park: two wakers", setup, { sleeper_of_two, waker_0, waker_1 }, no_free_threads, 0, 1, 0 },
	{ "park: twice", setup, { sleeper_twice, waker_0, waker_1 }, no_free_threads, 0, 0, 0 },
	{ "park: one wakes twice", setup, { sleeper_twice, waker_of_both }, no_free_threads, 0, 1, 0 },
	{ "park: parkers handed on", setup_free, { come_and_go, come_and_go }, NULL, 0, 0, 0 },
	{ "park: parkers handed on, three", setup_free, { come_and_go, come_and_go, come_and_go }, NULL, 0, 0, 2 },
	{ .name = NULL },
};
