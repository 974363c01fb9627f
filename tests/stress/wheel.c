/* SPDX-License-Identifier: MIT */
/*
 * The timer wheel against a list, with a clock of the program's own: random deadlines from now to the end of time,
 * cancels, starts anew, steps of every length. After each look exactly those fired whose tick has come, and the wheel
 * never says "later" than the earliest. Then by the real clock, with threads: two expire, others start, poll and cancel;
 * each timer is fired or cancelled, once, and its memory is its owner's afterwards.
 */
#define _GNU_SOURCE
#include "../../runtime/wheel_internal.h"

#include "../../runtime/spin_internal.h"
#include "stress.h"

#define TICK ((uint64_t)1 << ROTA__WHEEL_TICK_SHIFT)

/* --- against a list --------------------------------------------------------------------------------------------------- */

#define TIMERS 400u
#define STEPS 10000u
#define WORLDS 6

/* One timer and what the list knows of it. */
struct entry {
	struct rota_timer timer;
	bool queued;
	uint64_t due;  /* the tick from which on it may fire */
	uint64_t late; /* the tick at which it must have fired */
	unsigned wakes;
};

static struct rota__wheel wheel;
static struct entry entries[TIMERS];
static uint64_t model_fired, model_cancelled;

static void *entry_clone(void *data)
{
	return data;
}

static void entry_wake(void *data)
{
	((struct entry *)data)->wakes++;
}

static void entry_drop(void *data)
{
	(void)data;
}

static const struct rota_waker_ops entry_ops = {
	.clone = entry_clone,
	.wake = entry_wake,
	.wake_by_ref = entry_wake,
	.drop = entry_drop,
};

/* A distance whose magnitude is random: near and far ones are as frequent. */
static uint64_t any_distance(struct stress_random *random, unsigned most_bits)
{
	return stress_next(random) >> (64 - 1 - stress_below(random, most_bits)) >> 1;
}

static void start(struct stress_random *random, struct entry *entry, uint64_t now)
{
	const struct rota_waker waker = { &entry_ops, entry };
	uint64_t deadline = now + any_distance(random, 60);

	if (stress_one_in(random, 50))
		deadline = ROTA_NEVER;
	else if (stress_one_in(random, 20))
		deadline = stress_next(random) % (now + 1);
	rota_timer_init(&entry->timer, deadline);
	expect(rota__wheel_poll(&wheel, &entry->timer, &waker, NULL), ==, ROTA_PENDING);
	entry->queued = true;
	entry->wakes = 0;
	/* The first tick that is not before the deadline; the next one when that is over. */
	entry->due = deadline / TICK + (deadline % TICK != 0);
	entry->late = entry->due > now / TICK ? entry->due : now / TICK + 1;
}

static void cancel(struct entry *entry)
{
	expect(rota__wheel_cancel(&wheel, &entry->timer), ==, true);
	expect(rota__wheel_cancel(&wheel, &entry->timer), ==, false);
	entry->queued = false;
	model_cancelled++;
}

/* What must have fired has fired, once, and nothing else. */
static void compare(uint64_t now, unsigned fired)
{
	uint64_t earliest = UINT64_MAX >> ROTA__WHEEL_TICK_SHIFT;
	unsigned expected = 0;

	for (unsigned i = 0; i < TIMERS; i++) {
		struct entry *entry = &entries[i];

		if (!entry->queued)
			continue;
		expect(entry->wakes, <=, entry->due <= now / TICK);
		expect(entry->wakes, >=, entry->late <= now / TICK);
		if (entry->wakes > 0) {
			expect(rota__load(&entry->timer.state_, ACQUIRE), ==, ROTA__TIMER_FIRED);
			entry->queued = false;
			expected++;
		} else if (entry->late < earliest) {
			earliest = entry->late;
		}
	}
	expect(fired, ==, expected);
	model_fired += fired;
	if (earliest < UINT64_MAX >> ROTA__WHEEL_TICK_SHIFT)
		expect(rota__wheel_next(&wheel), <=, earliest * TICK);
	expect(rota__wheel_next(&wheel), >, now);
}

static void world(struct stress_random *random)
{
	uint64_t now = any_distance(random, 61);

	rota__wheel_init(&wheel, now);
	memset(entries, 0, sizeof(entries));
	for (unsigned step = 0; step < STEPS; step++) {
		for (unsigned n = stress_below(random, 4); n > 0; n--) {
			struct entry *entry = &entries[stress_below(random, TIMERS)];

			if (!entry->queued)
				start(random, entry, now);
			else if (stress_one_in(random, 3))
				cancel(entry);
		}
		if (stress_one_in(random, 3)) {
			const uint64_t next = rota__wheel_next(&wheel);

			/* Just when it says, or just before. */
			now = next < UINT64_MAX / 2 ? next - stress_below(random, 2) : now;
		} else {
			now += any_distance(random, 44);
		}
		compare(now, rota__wheel_expire(&wheel, now));
		if (now > UINT64_MAX / 2)
			break;
	}
	stress_moved();
}

/* --- by the real clock ---------------------------------------------------------------------------------------------------- */

#define OWNERS 3u
#define EXPIRERS 2u
#define ROUNDS 2000u /* of each owner */
#define BATCH 24u    /* more than one batch of wakes */

static struct rota_atomic_u32 over;
static struct rota_atomic_u64 fired, cancelled;

struct owner {
	struct stress_random random;
	struct rota_atomic_u32 woken[BATCH];
	struct rota_timer timers[BATCH];
};

/* A foreign executor: the waker is the address of a counter of an owner's. */
static void *count_clone(void *data)
{
	return data;
}

static void count_wake(void *data)
{
	rota__fetch_add((struct rota_atomic_u32 *)data, 1, RELEASE);
}

static const struct rota_waker_ops count_ops = {
	.clone = count_clone,
	.wake = count_wake,
	.wake_by_ref = count_wake,
	.drop = entry_drop,
};

/* Polls until it is ready or, now and then, cancels. */
static void finish(struct owner *owner, unsigned i)
{
	const struct rota_waker waker = { &count_ops, &owner->woken[i] };
	struct rota_timer *timer = &owner->timers[i];
	const bool impatient = stress_one_in(&owner->random, 2);
	unsigned spins = 0;

	if (impatient)
		stress_pause(&owner->random);
	if (impatient && rota__wheel_cancel(&wheel, timer)) {
		rota__fetch_add(&cancelled, 1, RELAXED);
		expect(rota__load(&owner->woken[i], ACQUIRE), ==, 0);
	} else {
		while (rota__wheel_poll(&wheel, timer, &waker, NULL) == ROTA_PENDING)
			rota__spin_pause(&spins);
		expect(rota_now(), >=, timer->deadline_);
		rota__fetch_add(&fired, 1, RELAXED);
		while (rota__load(&owner->woken[i], ACQUIRE) == 0)
			rota__spin_pause(&spins); /* it is on its way */
		expect(rota__load(&owner->woken[i], ACQUIRE), ==, 1);
	}
	/* Nobody but the owner may touch it now. */
	memset(timer, 0xa5, sizeof(*timer));
}

static void *own(void *arg)
{
	struct owner *owner = arg;

	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		const unsigned n = 1 + stress_below(&owner->random, BATCH);
		const uint64_t now = rota_now();

		for (unsigned i = 0; i < n; i++) {
			const struct rota_waker waker = { &count_ops, &owner->woken[i] };

			rota__store(&owner->woken[i], 0, RELAXED);
			rota_timer_init(&owner->timers[i], now + stress_below(&owner->random, 300000));
			expect(rota__wheel_poll(&wheel, &owner->timers[i], &waker, NULL), ==, ROTA_PENDING);
		}
		for (unsigned i = 0; i < n; i++)
			finish(owner, i);
		stress_moved();
	}
	return NULL;
}

static void *expire(void *arg)
{
	struct stress_random random = stress_random_new(1000 + (uintptr_t)arg);

	while (rota__load(&over, RELAXED) == 0) {
		uint64_t next;

		rota__wheel_expire(&wheel, rota_now());
		next = rota__wheel_next(&wheel);
		/* Sleeping a little longer than it should, so that much is due at once. */
		if (next > rota_now() || stress_one_in(&random, 4))
			usleep(stress_below(&random, 200));
	}
	return NULL;
}

static void report(void)
{
	dprintf(expect_output_, "now %" PRIu64 ", next %" PRIu64 ", %" PRIu64 " fired, %" PRIu64 " cancelled\n",
		rota_now(), rota__wheel_next(&wheel), rota__load(&fired, RELAXED), rota__load(&cancelled, RELAXED));
}

static void with_threads(struct stress_random *random)
{
	static struct owner owners[OWNERS];
	struct stress_threads threads = { .n = 0 }, expirers = { .n = 0 };

	rota__wheel_init(&wheel, rota_now());
	for (uintptr_t i = 0; i < EXPIRERS; i++)
		stress_thread(&expirers, expire, (void *)i);
	for (unsigned i = 0; i < OWNERS; i++) {
		owners[i].random = stress_random_new(stress_next(random));
		stress_thread(&threads, own, &owners[i]);
	}
	stress_join(&threads);
	rota__store(&over, 1, RELAXED);
	stress_join(&expirers);
	for (unsigned level = 0; level < ROTA__WHEEL_LEVELS; level++)
		expect(wheel.occupied[level][0] | wheel.occupied[level][1], ==, 0);
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, report);
	random = stress_random_new(0);
	for (unsigned i = 0; i < WORLDS * stress_scale; i++)
		world(&random);
	with_threads(&random);
	printf("%" PRIu64 " fired and %" PRIu64 " cancelled, %" PRIu64 " and %" PRIu64 " with threads\n", model_fired,
	       model_cancelled, rota__load(&fired, RELAXED), rota__load(&cancelled, RELAXED));
	return 0;
}
