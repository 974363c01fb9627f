/* SPDX-License-Identifier: MIT */
/* Words that are biased to a thread: no change is lost, whoever else wants the word, also when several do at once. */
#include "seams.h"

#include <string.h>

#include "../../sync/busy_internal.h"

#define LOCKED ((uint64_t)1 << ROTA__BUSY_BITS)
#define ONE (LOCKED << 1)

static struct rota_atomic_u64 word;
static struct rota_waitlist list;
static unsigned inside, turns;

static void begin(uint64_t state)
{
	word.value = state;
	memset(&list, 0, sizeof(list));
	inside = turns = 0;
	model_owners = 1u << 1 | 1u << 2;
}

static void setup_biased(void)
{
	begin(ROTA__BIASED | ROTA__OWNER(1));
}

/* The next change by thread 1 makes it biased. */
static void setup_grown(void)
{
	begin(ROTA__OWNER(1) + (ROTA__STREAK - 1) * ROTA__COUNT);
}

static void setup_young(void)
{
	begin(0);
}

static void critical(void)
{
	model_check(inside++ == 0);
	turns++;
	inside--;
}

static void add(void)
{
	uint64_t state = rota__load(&word, RELAXED);

	while (!rota__word_cas(&word, &state, state + ONE, RELAXED))
		;
}

static void add_twice(void)
{
	add();
	add();
}

static void lock(void)
{
	uint64_t state = rota__load(&word, RELAXED);

	while (state & LOCKED || !rota__word_cas(&word, &state, state | LOCKED, ACQUIRE)) {
		if (state & LOCKED) {
			model_spin();
			state = rota__load(&word, RELAXED);
		}
	}
}

static void unlock(void)
{
	uint64_t state = rota__load(&word, RELAXED);

	model_check(state & LOCKED);
	while (!rota__word_cas(&word, &state, state - LOCKED, RELEASE))
		;
}

static void locker(void)
{
	lock();
	critical();
	unlock();
}

static void locker_twice(void)
{
	locker();
	locker();
}

static void busy(void)
{
	uint64_t state = rota__busy_take(&word);

	critical();
	rota__busy_give(&word, state + ONE, &list);
}

static void busy_twice(void)
{
	busy();
	busy();
}

static uint64_t counted(void)
{
	const uint64_t own = rota__word_own(word.value);

	model_check((own & (ONE - 1)) == 0);
	model_outcome(word.value & ROTA__BIASED ? 0 : word.value & ROTA__SHARED ? 1 : 2);
	return own / ONE;
}

static void finish_2(void)
{
	model_check(counted() == 2);
}

static void finish_3(void)
{
	model_check(counted() == 3);
}

static void finish_turns_3(void)
{
	model_check(counted() == 0 && turns == 3);
}

static void finish_busy_3(void)
{
	model_check(counted() == 3 && turns == 3);
}

#define OUTCOME(n) ((uint64_t)1 << (n))

const struct model_scenario model_scenarios[] = {
	{ "the owner alone", setup_biased, { add_twice }, finish_2, OUTCOME(0), 0, 0 },
	{ "an owner is made", setup_grown, { add_twice }, finish_2, OUTCOME(0), 0, 0 },
	{ "a young word alone", setup_young, { add_twice }, finish_2, OUTCOME(2), 0, 0 },
	{ "a young word of two", setup_young, { add_twice, add }, finish_3, OUTCOME(1), 0, 0 },
	{ "the owner and another", setup_biased, { add_twice, add }, finish_3, OUTCOME(1), 0, 0 },
	{ "the owner and two others", setup_biased, { add, add, add }, finish_3, OUTCOME(1), 0, 3 },
	{ "an owner is made beside another", setup_grown, { add_twice, add }, finish_3, OUTCOME(1), 0, 0 },
	{ "a lock bit", setup_biased, { locker_twice, locker }, finish_turns_3, OUTCOME(1), 0, 0 },
	{ "a lock bit of three", setup_biased, { locker, locker, locker }, finish_turns_3, OUTCOME(1), 0, 1 },
	{ "BUSY", setup_biased, { busy_twice, busy }, finish_busy_3, OUTCOME(1), 0, 0 },
	{ "BUSY, an owner is made", setup_grown, { busy_twice, busy }, finish_busy_3, OUTCOME(1), 0, 0 },
	{ .name = NULL },
};
