/* SPDX-License-Identifier: MIT */
/*
 * Each named transition of the task's state word, from each state it can be in: the word after it, and what the caller
 * is told. stress/task_state.c has the threads.
 */
#define _GNU_SOURCE
#include "../../runtime/task_state_internal.h"

#include "unit.h"

#define A ROTA__ACTIVE
#define N ROTA__NOTIFIED
#define C ROTA__CANCELLED
#define F ROTA__COMPLETE
#define J ROTA__JOINER
#define REF ROTA__REF

static struct rota_atomic_u64 word;

static void set(uint64_t state)
{
	rota__store(&word, state, RELAXED);
}

static uint64_t get(void)
{
	return rota__load(&word, RELAXED);
}

/* One row a state: what it is before and after, and what the transition returns. */
struct row {
	uint64_t before, after;
	int told;
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Each row with one reference and with three, with a joiner and without: neither is anybody's business here. */
#define EXPECT_ROWS(table, transition) \
	for (size_t row_ = 0; row_ < 4 * ROWS(table); row_++) { \
		const struct row *r_ = &(table)[row_ / 4]; \
		const uint64_t rest_ = (row_ & 1 ? 3 : 1) * REF | (row_ & 2 ? J : 0); \
\
		set(r_->before | rest_); \
		expect((int)(transition)(&word), ==, r_->told); \
		expect(get(), ==, (r_->after | rest_)); \
	}

UNIT_TEST(task_state, a_new_task_is_active_and_has_its_references)
{
	rota__state_init(&word, 1);
	expect(get(), ==, (A | REF));
	rota__state_init(&word, 2);
	expect(get(), ==, (A | 2 * REF));
	expect(rota__state_cancelled(&word), ==, false);
}

UNIT_TEST(task_state, a_wake_submits_the_idle_and_notifies_the_active)
{
	static const struct row rows[] = {
		{ 0, A, ROTA__WAKE_SUBMIT },
		{ C, A | C, ROTA__WAKE_SUBMIT },
		{ A, A | N, ROTA__WAKE_NOTHING },
		{ A | N, A | N, ROTA__WAKE_NOTHING },
		{ A | C, A | N | C, ROTA__WAKE_NOTHING },
		{ A | N | C, A | N | C, ROTA__WAKE_NOTHING },
		/* Whoever wakes a task that has ended is told to do nothing, however often. */
		{ A | F, A | N | F, ROTA__WAKE_NOTHING },
		{ A | N | F, A | N | F, ROTA__WAKE_NOTHING },
		{ A | C | F, A | N | C | F, ROTA__WAKE_NOTHING },
		{ A | N | C | F, A | N | C | F, ROTA__WAKE_NOTHING },
	};

	EXPECT_ROWS(rows, rota__state_wake);
}

UNIT_TEST(task_state, a_cancel_is_a_wake_that_leaves_a_mark)
{
	static const struct row rows[] = {
		{ 0, A | C, ROTA__WAKE_SUBMIT },
		{ C, A | C, ROTA__WAKE_SUBMIT },
		{ A, A | N | C, ROTA__WAKE_NOTHING },
		{ A | N, A | N | C, ROTA__WAKE_NOTHING },
		{ A | C, A | N | C, ROTA__WAKE_NOTHING },
		{ A | N | C, A | N | C, ROTA__WAKE_NOTHING },
		{ A | F, A | N | C | F, ROTA__WAKE_NOTHING },
		{ A | N | F, A | N | C | F, ROTA__WAKE_NOTHING },
		{ A | C | F, A | N | C | F, ROTA__WAKE_NOTHING },
		{ A | N | C | F, A | N | C | F, ROTA__WAKE_NOTHING },
	};

	EXPECT_ROWS(rows, rota__state_cancel);
}

UNIT_TEST(task_state, a_task_that_was_notified_does_not_rest)
{
	static const struct row rows[] = {
		{ A, 0, ROTA__REST_IDLE },
		{ A | C, C, ROTA__REST_IDLE },
		{ A | N, A, ROTA__REST_AGAIN },
		{ A | N | C, A | C, ROTA__REST_AGAIN },
	};

	EXPECT_ROWS(rows, rota__state_rest);
}

UNIT_TEST(task_state, cancelled_is_seen_in_every_state)
{
	for (uint64_t bits = 0; bits < 16; bits++) {
		set(bits | REF);
		expect(rota__state_cancelled(&word), ==, (bits & C) != 0);
		expect(get(), ==, (bits | REF));
	}
}

UNIT_TEST(task_state, finishing_drops_a_reference_and_the_last_one_frees)
{
	static const uint64_t states[] = { A, A | N, A | C, A | N | C };

	for (size_t i = 0; i < ROWS(states); i++) {
		set(states[i] | REF);
		expect(rota__state_finish(&word), ==, ROTA__DROP_FREE);
		expect(get(), ==, (states[i] | F));
		set(states[i] | 3 * REF);
		expect(rota__state_finish(&word), ==, ROTA__DROP_KEEP);
		expect(get(), ==, (states[i] | F | 2 * REF));
	}
}

/* --- the end and who waits for it ------------------------------------------------------------------------------------ */

static const uint64_t running[] = { A, A | N, A | C, A | N | C };

UNIT_TEST(task_state, finishing_with_nobody_waiting_is_one_step)
{
	enum rota__drop drop;

	for (size_t i = 0; i < ROWS(running); i++) {
		set(running[i] | REF);
		expect(rota__state_finish_unjoined(&word, &drop), ==, true);
		expect(drop, ==, ROTA__DROP_FREE);
		expect(get(), ==, (running[i] | F));
		set(running[i] | 3 * REF);
		expect(rota__state_finish_unjoined(&word, &drop), ==, true);
		expect(drop, ==, ROTA__DROP_KEEP);
		expect(get(), ==, (running[i] | F | 2 * REF));
	}
}

UNIT_TEST(task_state, finishing_with_a_joiner_takes_its_waker_first)
{
	enum rota__drop drop;

	for (size_t i = 0; i < ROWS(running); i++) {
		set(running[i] | 2 * REF);
		expect(rota__state_joined(&word), ==, false);
		expect(rota__state_join(&word), ==, ROTA_PENDING);
		expect(rota__state_joined(&word), ==, true);
		expect(rota__state_finish_unjoined(&word, &drop), ==, false);
		expect(rota__state_ended(&word), ==, false);
		expect(rota__state_joined(&word), ==, true); /* a second joiner is told to go */
		expect(rota__state_finish(&word), ==, ROTA__DROP_KEEP);
		expect(rota__state_ended(&word), ==, true);
		expect(rota__state_ended_or_firing(&word), ==, true);
		expect(rota__state_unjoin(&word), ==, ROTA_READY);
		expect(rota__state_unref(&word), ==, ROTA__DROP_FREE);
	}
}

UNIT_TEST(task_state, a_joiner_may_go_and_come_again)
{
	enum rota__drop drop;

	for (size_t i = 0; i < ROWS(running); i++) {
		set(running[i] | 2 * REF);
		expect(rota__state_unjoin(&word), ==, ROTA_PENDING); /* was not there: harmless */
		expect(rota__state_join(&word), ==, ROTA_PENDING);
		expect(rota__state_unjoin(&word), ==, ROTA_PENDING);
		expect(get(), ==, (running[i] | 2 * REF));
		expect(rota__state_join(&word), ==, ROTA_PENDING);
		expect(rota__state_unjoin(&word), ==, ROTA_PENDING);
		expect(rota__state_finish_unjoined(&word, &drop), ==, true);
		expect(rota__state_unjoin(&word), ==, ROTA_READY);
	}
}

UNIT_TEST(task_state, who_comes_after_the_end_is_told)
{
	enum rota__drop drop;

	set(A | 2 * REF);
	expect(rota__state_ended(&word), ==, false);
	expect(rota__state_ended_or_firing(&word), ==, false);
	expect(rota__state_finish_unjoined(&word, &drop), ==, true);
	expect(rota__state_ended(&word), ==, true);
	expect(rota__state_join(&word), ==, ROTA_READY);
	expect(rota__state_unref(&word), ==, ROTA__DROP_FREE);
}

UNIT_TEST(task_state, the_last_reference_of_what_has_ended_is_dropped_with_the_others)
{
	/* Ended, and the handle's reference is the only one. */
	set(A | F | REF);
	expect(rota__state_unref_ended(&word), ==, ROTA__DROP_FREE);
	/* A waker has another: whoever comes last frees. */
	set(A | F | 2 * REF);
	expect(rota__state_unref_ended(&word), ==, ROTA__DROP_KEEP);
	expect(get(), ==, (A | F | REF));
	expect(rota__state_unref(&word), ==, ROTA__DROP_FREE);
}

/* --- references --------------------------------------------------------------------------------------------------------- */

UNIT_TEST(task_state, references_come_and_go_in_every_state)
{
	for (uint64_t bits = 0; bits < 16; bits++) {
		set(bits | REF);
		rota__state_ref(&word);
		expect(get(), ==, (bits | 2 * REF));
		expect(rota__state_unref(&word), ==, ROTA__DROP_KEEP);
		expect(rota__state_unref(&word), ==, ROTA__DROP_FREE);
		expect(get(), ==, bits);
	}
}

UNIT_TEST(task_state, who_passes_by_gets_no_reference_to_what_has_ended_or_is_free)
{
	for (uint64_t bits = 0; bits < 16; bits++) {
		const bool alive = (bits & F) == 0;

		set(bits | REF);
		expect(rota__state_try_ref(&word), ==, alive);
		expect(get(), ==, (bits | (alive ? 2 : 1) * REF));
		set(bits);
		expect(rota__state_try_ref(&word), ==, false);
		expect(get(), ==, bits);
	}
}

UNIT_TEST(task_state, a_life)
{
	rota__state_init(&word, 2);
	expect(rota__state_rest(&word), ==, ROTA__REST_IDLE);
	expect(rota__state_wake(&word), ==, ROTA__WAKE_SUBMIT);
	expect(rota__state_wake(&word), ==, ROTA__WAKE_NOTHING);
	expect(rota__state_rest(&word), ==, ROTA__REST_AGAIN);
	expect(rota__state_rest(&word), ==, ROTA__REST_IDLE);
	expect(rota__state_cancel(&word), ==, ROTA__WAKE_SUBMIT);
	expect(rota__state_finish(&word), ==, ROTA__DROP_KEEP);
	expect(rota__state_cancel(&word), ==, ROTA__WAKE_NOTHING);
	expect(rota__state_unref(&word), ==, ROTA__DROP_FREE);
}
