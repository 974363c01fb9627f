/* SPDX-License-Identifier: MIT */
/*
 * Register, fire and disarm of one wake slot, all at once. A waiter that registered is woken, or sees the event, or has
 * taken its waker back; the result is there when it sees the event; and once it has seen it the slot may be used for
 * something else, which the waiter does at once.
 */
#define _GNU_SOURCE
#include "../../runtime/slot_internal.h"

#include "../../runtime/park_internal.h"
#include "stress.h"

#define PAIRS 2u
#define EVENTS 20000u

/* A foreign executor's waker: a parker, and a count of what is out. */
struct executor {
	struct rota__parker parker;
	struct rota_atomic_u32 out;
};

static void *executor_clone(void *data)
{
	rota__fetch_add(&((struct executor *)data)->out, 1, SEQ_CST);
	return data;
}

static void executor_wake_by_ref(void *data)
{
	struct executor *executor = data;

	if (rota__parker_claim(&executor->parker))
		rota__parker_unpark(&executor->parker);
}

static void executor_drop(void *data)
{
	rota__fetch_sub(&((struct executor *)data)->out, 1, SEQ_CST);
}

static void executor_wake(void *data)
{
	executor_wake_by_ref(data);
	executor_drop(data);
}

static const struct rota_waker_ops executor_ops = {
	.clone = executor_clone,
	.wake = executor_wake,
	.wake_by_ref = executor_wake_by_ref,
	.drop = executor_drop,
};

/* A slot, a waiter, and two threads that fire in turn. `turn` is the number of the event to fire next. */
struct pair {
	struct rota_atomic_u32 slot;
	struct rota_waker held;
	uint32_t result; /* written before the event is fired, read after it was seen */
	struct rota_atomic_u32 turn;
	struct executor executors[2];
	struct stress_random random, random_fire;
	uint32_t parks, disarms;
};

static void *fire(void *arg)
{
	struct pair *pair = arg;
	struct rota__wake_batch batch;

	for (uint32_t i = 1; i <= EVENTS * stress_scale; i++) {
		unsigned spins = 0;

		while (rota__load(&pair->turn, ACQUIRE) != i)
			rota__spin_pause(&spins);
		stress_pause(&pair->random_fire);
		rota__wake_batch_init(&batch);
		pair->result = i;
		rota__slot_fire(&pair->slot, &pair->held, &batch);
		rota__wake_batch_submit(&batch);
	}
	return NULL;
}

/* Waits with one waker or another, changes its mind now and then. */
static void wait_for_event(struct pair *pair)
{
	for (;;) {
		struct executor *executor = &pair->executors[stress_below(&pair->random, 2)];
		const struct rota_waker foreign = { &executor_ops, executor };
		const struct rota_waker own = rota_thread_waker();
		const bool with_own = stress_one_in(&pair->random, 2);

		if (rota__slot_register(&pair->slot, &pair->held, with_own ? &own : &foreign) == ROTA_READY)
			return;
		stress_pause(&pair->random);
		if (stress_one_in(&pair->random, 3)) {
			pair->disarms++;
			if (rota__slot_disarm(&pair->slot, &pair->held) == ROTA_READY)
				return;
		} else if (stress_one_in(&pair->random, 3)) {
			continue; /* registers again, perhaps with the other waker */
		} else {
			pair->parks++;
			rota__parker_park(with_own ? own.data : &executor->parker, UINT64_MAX);
			if (rota__slot_fired(&pair->slot))
				return;
		}
	}
}

static void *wait(void *arg)
{
	struct pair *pair = arg;

	for (uint32_t i = 1; i <= EVENTS * stress_scale; i++) {
		rota__store(&pair->turn, i, RELEASE);
		stress_pause(&pair->random);
		wait_for_event(pair);
		expect(pair->result, ==, i);
		/* The slot is the waiter's again. */
		expect(rota__slot_disarm(&pair->slot, &pair->held), ==, ROTA_READY);
		pair->result = 0;
		rota__store(&pair->slot, ROTA__SLOT_EMPTY, RELAXED);
		stress_moved();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct pair pairs[PAIRS];
	struct stress_threads threads = { .n = 0 };

	stress_start(argc, argv, NULL);
	for (uint64_t i = 0; i < PAIRS; i++) {
		pairs[i].random = stress_random_new(2 * i);
		pairs[i].random_fire = stress_random_new(2 * i + 1);
		stress_thread(&threads, wait, &pairs[i]);
		stress_thread(&threads, fire, &pairs[i]);
	}
	stress_join(&threads);
	for (unsigned i = 0; i < PAIRS; i++) {
		for (unsigned e = 0; e < 2; e++)
			expect(rota__load(&pairs[i].executors[e].out, SEQ_CST), ==, 0);
		printf("%u events, %u parks, %u disarms\n", EVENTS * stress_scale, pairs[i].parks, pairs[i].disarms);
	}
	return 0;
}
