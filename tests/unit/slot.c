/* SPDX-License-Identifier: MIT */
/*
 * The wake slot on one thread: register, fire and disarm in each order; a foreign waker is cloned once for each time it
 * is kept and given back as often. stress/slot.c has the threads.
 */
#define _GNU_SOURCE
#include "../../runtime/slot_internal.h"

#include "unit.h"

struct executor {
	int clones, wakes, drops;
};

static void *executor_clone(void *data)
{
	((struct executor *)data)->clones++;
	return data;
}

static void executor_wake(void *data)
{
	((struct executor *)data)->wakes++;
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

static struct rota_atomic_u32 slot;
static struct rota_waker held;
static struct executor executor, other;

static rota_poll enter(struct executor *e)
{
	const struct rota_waker waker = { &executor_ops, e };

	return rota__slot_register(&slot, &held, &waker);
}

static void fire(void)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__slot_fire(&slot, &held, &batch);
	expect(rota__slot_fired(&slot), ==, true);
	rota__wake_batch_submit(&batch);
}

UNIT_TEST(slot, an_event_that_came_first_is_there_at_once)
{
	expect(rota__slot_fired(&slot), ==, false);
	fire();
	expect(enter(&executor), ==, ROTA_READY);
	expect(rota__slot_disarm(&slot, &held), ==, ROTA_READY);
	expect(executor.clones, ==, 0);
}

UNIT_TEST(slot, an_event_wakes_who_waits)
{
	expect(enter(&executor), ==, ROTA_PENDING);
	expect(rota__slot_fired(&slot), ==, false);
	fire();
	expect(executor.clones, ==, 1);
	expect(executor.wakes, ==, 1);
	expect(executor.drops, ==, 0);
	expect(enter(&executor), ==, ROTA_READY);
}

UNIT_TEST(slot, the_latest_waker_counts)
{
	expect(enter(&executor), ==, ROTA_PENDING);
	expect(enter(&other), ==, ROTA_PENDING);
	expect(executor.drops, ==, 1);
	fire();
	expect(executor.wakes, ==, 0);
	expect(other.wakes, ==, 1);
}

UNIT_TEST(slot, who_disarms_is_not_woken)
{
	expect(rota__slot_disarm(&slot, &held), ==, ROTA_PENDING); /* nobody there: harmless */
	expect(enter(&executor), ==, ROTA_PENDING);
	expect(rota__slot_disarm(&slot, &held), ==, ROTA_PENDING);
	expect(executor.drops, ==, 1);
	fire();
	expect(executor.wakes, ==, 0);
	expect(rota__slot_disarm(&slot, &held), ==, ROTA_READY);
}

UNIT_TEST(slot, who_disarmed_may_come_again)
{
	expect(enter(&executor), ==, ROTA_PENDING);
	expect(rota__slot_disarm(&slot, &held), ==, ROTA_PENDING);
	expect(enter(&other), ==, ROTA_PENDING);
	fire();
	expect(executor.wakes, ==, 0);
	expect(other.wakes, ==, 1);
	expect(other.clones, ==, 1);
	expect(other.drops, ==, 0);
}
