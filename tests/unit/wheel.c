/* SPDX-License-Identifier: MIT */
/*
 * The timer wheel on one thread, with a clock of the test's own: every level and the seams between them, far beyond the
 * last one, cancels, wakers, what a waker may do while timers expire. stress/wheel.c compares with a sorted list.
 */
#define _GNU_SOURCE
#include "../../runtime/wheel_internal.h"

#include "unit.h"

#define TICK ((uint64_t)1 << ROTA__WHEEL_TICK_SHIFT)
#define YEAR (ROTA_SECONDS(3600) * 24 * 365)

/* A foreign executor that counts. */
struct executor {
	int clones, wakes, drops;
	void (*on_wake)(void);
};

static void *executor_clone(void *data)
{
	((struct executor *)data)->clones++;
	return data;
}

static void executor_wake(void *data)
{
	struct executor *executor = data;

	executor->wakes++;
	if (executor->on_wake != NULL)
		executor->on_wake();
}

static void executor_drop(void *data)
{
	((struct executor *)data)->drops++;
}

static const struct rota_waker_ops executor_ops = {
	.clone = executor_clone,
	.wake = executor_wake,
	.wake_by_ref = executor_wake,
	.drop = executor_drop,
};

static struct rota__wheel wheel;
static struct executor executor;

static rota_poll poll_with(struct rota_timer *timer, struct executor *e)
{
	const struct rota_waker waker = { &executor_ops, e };

	return rota__wheel_poll(&wheel, timer, &waker, NULL);
}

static void start(struct rota_timer *timer, uint64_t deadline)
{
	rota_timer_init(timer, deadline);
	expect(poll_with(timer, &executor), ==, ROTA_PENDING);
}

/* When a timer must have fired at a look: at the first tick that is not before its deadline. */
static uint64_t due_at(uint64_t deadline)
{
	return (deadline + TICK - 1) / TICK * TICK;
}

/* --- never early, never late -------------------------------------------------------------------------------------- */

/* Bases: where the wheel stands. The later ones are just before the bits of each level, and of all, turn over. */
static const uint64_t bases[] = {
	0,
	TICK / 2,
	123456789012345,
	((uint64_t)1 << (6 + 16)) - TICK,
	((uint64_t)1 << (12 + 16)) - 3,
	((uint64_t)1 << (24 + 16)) - 1,
	((uint64_t)1 << (36 + 16)) - 5 * TICK,
	((uint64_t)1 << (42 + 16)) - 2 * TICK,
	((uint64_t)1 << (42 + 16)) - YEAR,
	((uint64_t)3 << (42 + 16)) - 1,
};

static void look_twice(uint64_t base, uint64_t after)
{
	const uint64_t deadline = base + after;
	struct rota_timer timer;

	/* By one look that comes from afar, just before and just at its time. */
	rota__wheel_init(&wheel, base);
	start(&timer, deadline);
	expect(rota__wheel_next(&wheel), <=, due_at(deadline) > base ? due_at(deadline) : base + TICK);
	if (deadline / TICK > base / TICK) {
		expect(rota__wheel_expire(&wheel, deadline - 1 - (deadline - 1) % TICK), ==, 0);
		expect(poll_with(&timer, &executor), ==, ROTA_PENDING);
	}
	expect(rota__wheel_expire(&wheel, due_at(deadline) > base + TICK ? due_at(deadline) : base + TICK), ==, 1);
	expect(poll_with(&timer, &executor), ==, ROTA_READY);
	expect(rota__wheel_next(&wheel), ==, ROTA_NEVER);
}

static void follow_next(uint64_t base, uint64_t after)
{
	const uint64_t deadline = base + after;
	struct rota_timer timer;
	uint64_t now = base;
	unsigned looks = 0;

	/* By looking whenever the wheel says so. */
	rota__wheel_init(&wheel, base);
	start(&timer, deadline);
	while (poll_with(&timer, &executor) == ROTA_PENDING) {
		expect(rota__wheel_next(&wheel), >, now);
		now = rota__wheel_next(&wheel);
		rota__wheel_expire(&wheel, now);
		expect(++looks, <=, ROTA__WHEEL_LEVELS + 2);
	}
	expect(now, >=, deadline);
	expect(now, <=, deadline + TICK > base + 2 * TICK ? deadline + TICK : base + 2 * TICK);
}

static void try_distances(uint64_t base)
{
	static const uint64_t around[] = { 0, 1, TICK - 1, TICK, TICK + 1, 7 * TICK };

	for (unsigned level = 0; level <= ROTA__WHEEL_LEVELS; level++) {
		const uint64_t span = level > 0 ? TICK << (6 * level) : 0;

		for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
			look_twice(base, span + around[i]);
			follow_next(base, span + around[i]);
			if (span > around[i]) {
				look_twice(base, span - around[i]);
				follow_next(base, span - around[i]);
			}
			if (level > 0 && level < ROTA__WHEEL_LEVELS) {
				look_twice(base, 63 * span + around[i]);
				follow_next(base, 63 * span + around[i]);
			}
		}
	}
}

UNIT_TEST(wheel, fires_at_the_tick_of_the_deadline_from_every_level)
{
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		try_distances(bases[i]);
	expect(executor.clones, ==, executor.wakes + executor.drops);
}

UNIT_TEST(wheel, a_deadline_in_the_past_fires_at_the_next_tick)
{
	struct rota_timer timer;

	rota__wheel_init(&wheel, 1000 * TICK);
	start(&timer, 5);
	expect(rota__wheel_next(&wheel), ==, 1001 * TICK);
	expect(rota__wheel_expire(&wheel, 1001 * TICK), ==, 1);
}

UNIT_TEST(wheel, stands_still_while_it_is_empty_and_catches_up)
{
	struct rota_timer timer;

	rota__wheel_init(&wheel, 0);
	expect(rota__wheel_next(&wheel), ==, ROTA_NEVER);
	expect(rota__wheel_expire(&wheel, YEAR), ==, 0);
	/* It was not told how late it is. */
	start(&timer, YEAR + ROTA_MS(1));
	expect(rota__wheel_next(&wheel), <=, due_at(YEAR + ROTA_MS(1)));
	expect(rota__wheel_expire(&wheel, YEAR + ROTA_MS(1) - TICK), ==, 0);
	expect(rota__wheel_next(&wheel), >, YEAR + ROTA_MS(1) - TICK);
	expect(rota__wheel_expire(&wheel, due_at(YEAR + ROTA_MS(1))), ==, 1);
}

UNIT_TEST(wheel, beyond_the_last_level_waits_and_is_filed_again)
{
	struct rota_timer far, never;
	uint64_t now = 0;
	unsigned looks = 0;

	rota__wheel_init(&wheel, now);
	start(&far, 100 * YEAR);
	start(&never, ROTA_NEVER);
	while (poll_with(&far, &executor) == ROTA_PENDING) {
		expect(rota__wheel_next(&wheel), >, now);
		now = rota__wheel_next(&wheel);
		rota__wheel_expire(&wheel, now);
		expect(++looks, <=, 1000);
	}
	expect(now, >=, 100 * YEAR);
	expect(now, <=, 100 * YEAR + TICK);
	expect(rota__wheel_expire(&wheel, 500 * YEAR), ==, 0);
	expect(poll_with(&never, &executor), ==, ROTA_PENDING);
	expect(rota__wheel_cancel(&wheel, &never), ==, true);
}

/* In a coarse slot. When all of them were moved to finer ones at once, their worker would do nothing else meanwhile. */
UNIT_TEST(wheel, moves_a_crowd_bit_by_bit_before_its_slot_begins)
{
	static struct rota_timer crowd[1000];
	const unsigned n = sizeof(crowd) / sizeof(crowd[0]);
	uint64_t now = 0;
	unsigned looks = 0;

	rota__wheel_init(&wheel, now);
	for (unsigned i = 0; i < n; i++)
		start(&crowd[i], 300 * TICK);
	while (rota__wheel_next(&wheel) < 256 * TICK) {
		expect(rota__wheel_next(&wheel), >, now);
		now = rota__wheel_next(&wheel);
		expect(rota__wheel_expire(&wheel, now), ==, 0);
		looks++;
	}
	expect(looks, >, 1);
	expect(rota__wheel_next(&wheel), ==, 300 * TICK);
	expect(rota__wheel_expire(&wheel, 300 * TICK), ==, n);
}

/* Nobody looked while there was time for that. */
UNIT_TEST(wheel, fires_a_crowd_that_was_not_moved)
{
	static struct rota_timer crowd[1000];
	const unsigned n = sizeof(crowd) / sizeof(crowd[0]);

	rota__wheel_init(&wheel, 0);
	for (unsigned i = 0; i < n; i++)
		start(&crowd[i], (256 + i % 64) * TICK);
	expect(rota__wheel_expire(&wheel, 191 * TICK), ==, 0);
	expect(rota__wheel_expire(&wheel, 287 * TICK), ==, 512);
	expect(rota__wheel_next(&wheel), ==, 288 * TICK);
	expect(rota__wheel_expire(&wheel, 319 * TICK), ==, n - 512);
}

UNIT_TEST(wheel, a_clock_that_seems_to_go_back_does_no_harm)
{
	struct rota_timer timer;

	rota__wheel_init(&wheel, 100 * TICK);
	start(&timer, 110 * TICK);
	/* The reactor and the owner each read the clock before they take the lock. */
	expect(rota__wheel_expire(&wheel, 105 * TICK), ==, 0);
	expect(rota__wheel_expire(&wheel, 104 * TICK), ==, 0);
	expect(rota__wheel_expire(&wheel, 110 * TICK), ==, 1);
}

static bool makes_earlier(struct rota_timer *timer, uint64_t deadline)
{
	const struct rota_waker waker = { &executor_ops, &executor };
	const uint64_t before = rota__wheel_next(&wheel);
	bool earlier;

	rota_timer_init(timer, deadline);
	expect(rota__wheel_poll(&wheel, timer, &waker, &earlier), ==, ROTA_PENDING);
	expect(earlier, ==, rota__wheel_next(&wheel) < before);
	return earlier;
}

UNIT_TEST(wheel, says_when_it_must_be_looked_at_earlier)
{
	struct rota_timer timers[5];

	rota__wheel_init(&wheel, 0);
	expect(makes_earlier(&timers[0], 50 * TICK), ==, true);
	expect(makes_earlier(&timers[1], 51 * TICK), ==, false);
	expect(makes_earlier(&timers[2], 10 * TICK), ==, true);
	expect(makes_earlier(&timers[3], 10 * TICK), ==, false);
	expect(rota__wheel_expire(&wheel, 49 * TICK), ==, 2);
	expect(makes_earlier(&timers[4], 50 * TICK), ==, false);
}

/* --- cancel -------------------------------------------------------------------------------------------------------- */

UNIT_TEST(wheel, a_cancelled_timer_does_not_fire)
{
	struct rota_timer timers[5];

	/* First, last, middle of one slot, and the only one of its slot. */
	for (unsigned order = 0; order < 4; order++) {
		rota__wheel_init(&wheel, 0);
		executor = (struct executor){ 0 };
		for (unsigned i = 0; i < 4; i++)
			start(&timers[i], 10 * TICK);
		start(&timers[4], 20 * TICK);
		expect(rota__wheel_cancel(&wheel, &timers[order]), ==, true);
		expect(rota__wheel_cancel(&wheel, &timers[order]), ==, false);
		expect(executor.drops, ==, 1);
		expect(rota__wheel_cancel(&wheel, &timers[4]), ==, true);
		expect(rota__wheel_expire(&wheel, 30 * TICK), ==, 3);
		expect(executor.wakes, ==, 3);
		expect(rota__wheel_next(&wheel), ==, ROTA_NEVER);
	}
}

UNIT_TEST(wheel, a_fired_timer_cannot_be_cancelled)
{
	struct rota_timer timer;

	rota__wheel_init(&wheel, 0);
	start(&timer, TICK);
	expect(rota__wheel_expire(&wheel, TICK), ==, 1);
	expect(rota__wheel_cancel(&wheel, &timer), ==, false);
	expect(poll_with(&timer, &executor), ==, ROTA_READY);
}

UNIT_TEST(wheel, a_timer_that_was_not_started_cannot_be_cancelled)
{
	struct rota_timer timer;

	rota__wheel_init(&wheel, 0);
	rota_timer_init(&timer, TICK);
	expect(rota__wheel_cancel(&wheel, &timer), ==, false);
	expect(rota__wheel_expire(&wheel, 10 * TICK), ==, 0);
}

UNIT_TEST(wheel, may_be_started_again_once_fired_or_cancelled)
{
	struct rota_timer timer;

	rota__wheel_init(&wheel, 0);
	for (uint64_t round = 1; round <= 100; round++) {
		start(&timer, (2 * round - 1) * TICK);
		expect(rota__wheel_expire(&wheel, (2 * round - 1) * TICK), ==, 1);
		start(&timer, 2 * round * TICK);
		expect(rota__wheel_cancel(&wheel, &timer), ==, true);
	}
}

/* --- wakers -------------------------------------------------------------------------------------------------------- */

UNIT_TEST(wheel, the_latest_waker_is_woken)
{
	struct executor other = { 0 };
	struct rota_timer timer;

	rota__wheel_init(&wheel, 0);
	start(&timer, 3 * TICK);
	expect(poll_with(&timer, &executor), ==, ROTA_PENDING);
	expect(executor.clones, ==, 1); /* the same again: nothing to clone */
	expect(poll_with(&timer, &other), ==, ROTA_PENDING);
	expect(executor.drops, ==, 1);
	expect(rota__wheel_expire(&wheel, 3 * TICK), ==, 1);
	expect(executor.wakes, ==, 0);
	expect(other.wakes, ==, 1);
	expect(other.drops, ==, 0);
}

UNIT_TEST(wheel, wakes_more_than_fit_a_batch)
{
	static struct rota_timer timers[10 * ROTA__WAKE_BATCH];
	const unsigned n = sizeof(timers) / sizeof(timers[0]);

	rota__wheel_init(&wheel, 0);
	for (unsigned i = 0; i < n; i++)
		start(&timers[i], i % 2 ? 5 * TICK : 5000 * TICK);
	expect(rota__wheel_expire(&wheel, 5000 * TICK), ==, n);
	expect(executor.wakes, ==, n);
	expect(executor.drops, ==, 0);
}

/* A waker runs its owner's code. Whatever that does with the wheel, and whatever another thread does at that moment,
 * happens while an expiry is under way. */
static struct rota_timer reentrant[3 * ROTA__WAKE_BATCH];
static unsigned started_anew;

static void start_another(void)
{
	if (started_anew < ROTA__WAKE_BATCH)
		start(&reentrant[2 * ROTA__WAKE_BATCH + started_anew++], 100 * TICK);
}

UNIT_TEST(wheel, a_waker_may_start_timers)
{
	rota__wheel_init(&wheel, 0);
	executor.on_wake = start_another;
	for (unsigned i = 0; i < 2 * ROTA__WAKE_BATCH; i++)
		start(&reentrant[i], 5 * TICK);
	expect(rota__wheel_expire(&wheel, 5 * TICK), ==, 2 * ROTA__WAKE_BATCH);
	expect(started_anew, ==, ROTA__WAKE_BATCH);
	expect(rota__wheel_expire(&wheel, 100 * TICK), ==, ROTA__WAKE_BATCH);
}

/* As when the owner of a wheel was stuck, the reactor expires in its place, and the owner moves on meanwhile. */
static void turn_on(void)
{
	if (started_anew++ == 0)
		rota__wheel_expire(&wheel, 66 * TICK);
}

UNIT_TEST(wheel, another_may_turn_it_on_meanwhile)
{
	struct rota_timer soon, later;

	rota__wheel_init(&wheel, 0);
	executor.on_wake = turn_on;
	for (unsigned i = 0; i < 2 * ROTA__WAKE_BATCH; i++)
		start(&reentrant[i], 5 * TICK);
	start(&soon, 10 * TICK);
	start(&later, 68 * TICK);
	rota__wheel_expire(&wheel, 5 * TICK);
	executor.on_wake = NULL;
	expect(rota__wheel_next(&wheel), <=, 68 * TICK);
	rota__wheel_expire(&wheel, 68 * TICK);
	expect(executor.wakes, ==, 2 * ROTA__WAKE_BATCH + 2);
	expect(poll_with(&later, &executor), ==, ROTA_READY);
}

static void turn_on_and_start_another(void)
{
	if (started_anew++ > 0)
		return;
	rota__wheel_expire(&wheel, 66 * TICK);
	/* Once round level 0: in the very slot that is being emptied. */
	start(&reentrant[2 * ROTA__WAKE_BATCH], (64 + 5) * TICK);
}

UNIT_TEST(wheel, another_may_fill_the_slot_that_is_being_emptied)
{
	struct rota_timer soon;

	rota__wheel_init(&wheel, 0);
	executor.on_wake = turn_on_and_start_another;
	for (unsigned i = 0; i < 2 * ROTA__WAKE_BATCH; i++)
		start(&reentrant[i], 5 * TICK);
	start(&soon, 10 * TICK);
	rota__wheel_expire(&wheel, 5 * TICK); /* hangs when what is filed anew is taken out again */
	executor.on_wake = NULL;
	expect(rota__wheel_next(&wheel), <=, 69 * TICK);
	rota__wheel_expire(&wheel, 69 * TICK);
	expect(executor.wakes, ==, 2 * ROTA__WAKE_BATCH + 2);
}
