/* SPDX-License-Identifier: MIT */
/*
 * Words that are biased to a thread, which changes them without a locked instruction, while others take them away from it in
 * the middle of that: no change is lost, and who has BUSY, or the lock of a list, is alone. Each member has words of its own, one after the other,
 * which it changes often enough to make them its thread's, and now and then the others change the one that it is at.
 */
#define _GNU_SOURCE
#include "crew.h"

#include "../../sync/busy_internal.h"

#define MEMBERS 5u
#define ROUNDS STRESS_FEWER(30u)
#define WORDS 60u
#define CHANGES 900u /* by its member, more than ROTA__STREAK of the word, and of the list's lock */

#define LOCKED ((uint64_t)1 << ROTA__BUSY_BITS)
#define ONE (LOCKED << 1)

struct thing {
	struct rota_atomic_u64 word;
	struct rota_waitlist list;
	unsigned long locked, busy, listed;                /* plain: whoever has LOCKED, BUSY, or the list's lock */
	struct rota_atomic_u64 ones, locks, busies, lists; /* as whoever did them says */
};

struct biased {
	unsigned of_things, of_lists;
};

struct shared {
	struct thing things[MEMBERS][WORDS];
	struct rota_atomic_u32 at[MEMBERS]; /* the word that the member is at */
};

static void add(struct thing *thing)
{
	uint64_t state = rota__load(&thing->word, RELAXED);

	for (;;) {
		if (state & ROTA__BUSY)
			state = rota__load(&thing->word, RELAXED);
		else if (rota__word_cas(&thing->word, &state, state + ONE, RELAXED))
			break;
	}
	rota__fetch_add(&thing->ones, 1, RELAXED);
}

/* Changes what LOCKED guards, and says whether it had it. */
static void lock(struct thing *thing)
{
	uint64_t state = rota__load(&thing->word, RELAXED);

	do {
		if (state & (LOCKED | ROTA__BUSY))
			return;
	} while (!rota__word_cas(&thing->word, &state, state | LOCKED, ACQUIRE));
	thing->locked++;
	state = rota__load(&thing->word, RELAXED);
	for (;;) {
		expect((state & LOCKED) != 0, ==, true);
		if (state & ROTA__BUSY)
			state = rota__load(&thing->word, RELAXED);
		else if (rota__word_cas(&thing->word, &state, state - LOCKED, RELEASE))
			break;
	}
	rota__fetch_add(&thing->locks, 1, RELAXED);
}

static void busy(struct thing *thing)
{
	const uint64_t state = rota__busy_take(&thing->word);

	thing->busy++;
	rota__busy_give(&thing->word, state + ONE, &thing->list);
	rota__fetch_add(&thing->busies, 1, RELAXED);
}

static void lock_list(struct thing *thing)
{
	rota__waitlist_lock(&thing->list);
	thing->listed++;
	rota__waitlist_unlock(&thing->list);
	rota__fetch_add(&thing->lists, 1, RELAXED);
}

static void change(struct member *member, struct thing *thing)
{
	uint32_t dice = stress_below(&member->random, 6);

	if (dice == 0)
		lock(thing);
	else if (dice == 1)
		busy(thing);
	else if (dice <= 3)
		lock_list(thing);
	else
		add(thing);
}

static void work(struct member *member)
{
	struct shared *shared = member->crew->data;

	for (uint32_t i = 0; i < WORDS; i++) {
		rota__store(&shared->at[member->number], i, RELAXED);
		for (unsigned n = 0; n < CHANGES; n++) {
			change(member, &shared->things[member->number][i]);
			if (stress_one_in(&member->random, 400)) {
				const uint32_t whose = stress_below(&member->random, member->crew->n);

				change(member, &shared->things[whose][rota__load(&shared->at[whose], RELAXED)]);
			}
		}
		if (stress_one_in(&member->random, 8) && member->kind == MEMBER_FIBER)
			rota_yield();
		stress_moved();
	}
}

static void look(const struct thing *thing, struct biased *words)
{
	const uint64_t own = rota__word_own(thing->word.value);

	expect(own & (ONE - 1), ==, 0);
	expect(own / ONE, ==, thing->ones.value + thing->busies.value);
	expect(thing->locked, ==, thing->locks.value);
	expect(thing->busy, ==, thing->busies.value);
	expect(thing->listed, ==, thing->lists.value);
	expect(thing->list.lock_.value & ROTA__LIST_LOCKED, ==, 0);
	words->of_things += (thing->word.value & ROTA__BIASED) != 0;
	words->of_lists += (thing->list.lock_.value & ROTA__BIASED) != 0;
}

int main(int argc, char **argv)
{
	static struct shared shared;
	struct stress_random random;
	struct biased biased = { 0, 0 };

	rota__bias_always = true;
	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct crew crew;

		shared = (struct shared){ .at = { { 0 } } };
		crew_init(&crew, 2 + stress_below(&random, MEMBERS - 1), &random);
		crew_work(&crew, work, &shared);
		for (unsigned i = 0; i < MEMBERS; i++) {
			for (unsigned k = 0; k < WORDS; k++)
				look(&shared.things[i][k], &biased);
		}
		crew_free(&crew);
	}
	printf("%u words and %u locks of lists were biased in the end\n", biased.of_things, biased.of_lists);
	expect(biased.of_things > 0, ==, rota__sys_has_sequences());
	expect(biased.of_lists > 0, ==, rota__sys_has_sequences());
	return 0;
}
