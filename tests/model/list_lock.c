/* SPDX-License-Identifier: MIT */
/* The lock of a waiter queue, in each of its modes and from one to the next: one at a time is inside, who comes sees what the one
 * before has done, and the lock ends free. */
#include "seams.h"

#include <string.h>

#include "../../runtime/waitlist_internal.h"

static struct rota_waitlist list;
static unsigned inside, turns;

static void begin(uint64_t word, uint32_t mode)
{
	memset(&list, 0, sizeof(list));
	list.lock_.value = word;
	list.mode_.value = mode;
	inside = turns = 0;
	model_owners = 1u << 1 | 1u << 2;
}

static void setup_young(void)
{
	begin(0, 0);
}

/* The next lock by thread 1 makes it biased. */
static void setup_grown(void)
{
	begin(0, (uint32_t)((ROTA__OWNER(1) + (ROTA__STREAK - 1) * ROTA__COUNT) >> ROTA__MODE_SHIFT));
}

static void setup_biased(void)
{
	begin(ROTA__BIASED | ROTA__OWNER(1), (uint32_t)((ROTA__BIASED | ROTA__OWNER(1)) >> ROTA__MODE_SHIFT));
}

static void setup_shared(void)
{
	begin(0, ROTA_WAITLIST_SHARED_);
}

static void critical(void)
{
	model_check(inside++ == 0);
	turns++;
	inside--;
}

static void lock(void)
{
	rota__waitlist_lock(&list);
	critical();
	rota__waitlist_unlock(&list);
}

static void lock_twice(void)
{
	lock();
	lock();
}

/* The lock may be taken away after it was had, and before what it guards is touched: a step lies between. */
static void lock_and_look(void)
{
	rota__waitlist_lock(&list);
	(void)rota__load(&list.lock_, RELAXED);
	critical();
	rota__waitlist_unlock(&list);
}

static void lock_shared(void)
{
	rota__waitlist_lock_shared(&list);
	critical();
	rota__waitlist_unlock_shared(&list);
}

/* Sees what was done under the lock, if that is over. */
static void outlast(void)
{
	rota__waitlist_outlast(&list);
}

static void outcome(void)
{
	model_check(!(list.lock_.value & ROTA__LIST_LOCKED));
	model_outcome(list.lock_.value & ROTA__BIASED ? 0 : list.lock_.value & ROTA__SHARED ? 1 : 2);
}

static void finish_1(void)
{
	outcome();
	model_check(turns == 1);
}

static void finish_2(void)
{
	outcome();
	model_check(turns == 2);
}

static void finish_3(void)
{
	outcome();
	model_check(turns == 3);
}

#define OUTCOME(n) ((uint64_t)1 << (n))

const struct model_scenario model_scenarios[] = {
	{ "a young one alone", setup_young, { lock_twice }, finish_2, OUTCOME(2), 0, 0 },
	{ "a young one of two", setup_young, { lock_twice, lock }, finish_3, OUTCOME(1), 0, 0 },
	{ "a young one of three", setup_young, { lock, lock, lock }, finish_3, OUTCOME(1), 0, 1 },
	{ "an owner is made", setup_grown, { lock_twice }, finish_2, OUTCOME(0), 0, 0 },
	{ "an owner is made beside another", setup_grown, { lock_twice, lock }, finish_3, OUTCOME(1), 0, 0 },
	{ "an owner is made beside two others", setup_grown, { lock, lock, lock }, finish_3, OUTCOME(1), 0, 1 },
	{ "the owner alone", setup_biased, { lock_twice }, finish_2, OUTCOME(0), 0, 0 },
	{ "the owner and another", setup_biased, { lock_twice, lock }, finish_3, OUTCOME(1), 0, 0 },
	{ "the owner is inside while another comes", setup_biased, { lock_and_look, lock }, finish_2, OUTCOME(1), 0, 0 },
	{ "shared from the beginning", setup_shared, { lock, lock_shared }, finish_2, OUTCOME(1), 0, 0 },
	{ "shared from the beginning, of three",
	  setup_shared,
	  { lock, lock_shared, lock_shared },
	  finish_3,
	  OUTCOME(1),
	  0,
	  2 },
	{ "somebody waits for the end", setup_young, { lock, outlast }, finish_1, OUTCOME(2), 0, 0 },
	{ .name = NULL },
};
