/* SPDX-License-Identifier: MIT */
/*
 * Who sleeps and who searches, on one thread, with a driver that only notes whom it should wake. stress/park.c has the
 * races.
 */
#define _GNU_SOURCE
#include "../../runtime/idle_internal.h"

#include "../../runtime/alloc_internal.h"
#include "../../runtime/runtime_internal.h"
#include "../../runtime/sys_internal.h"
#include "unit.h"

#define WORKERS 5u

static struct rota__worker workers[WORKERS];
static unsigned woken[WORKERS];

static void note_wake(struct rota__worker *worker)
{
	woken[worker - workers]++;
}

static const struct rota__driver driver = { .wake = note_wake };
static struct rota_runtime runtime = { .driver = &driver, .worker_count = WORKERS, .workers = workers };
static struct rota__idle *const idle = &runtime.idle;

static void init(void)
{
	expect(rota__idle_init(idle, WORKERS), ==, 0);
}

static void deinit(void)
{
	rota__idle_deinit(idle, WORKERS);
	rota__idle_deinit(idle, WORKERS);
}

TestSuite(idle, .init = init, .fini = deinit);

static unsigned wakes(void)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		sum += woken[i];
	return sum;
}

UNIT_TEST(idle, nobody_sleeps_at_first)
{
	expect(rota__idle_wakeable(idle), ==, false);
	rota__idle_wake_one(&runtime);
	expect(wakes(), ==, 0);
}

UNIT_TEST(idle, the_latest_sleeper_is_woken)
{
	rota__idle_sleep(idle, 2);
	rota__idle_sleep(idle, 4);
	rota__idle_sleep(idle, 1);
	expect(rota__idle_wakeable(idle), ==, true);
	rota__idle_wake_one(&runtime);
	expect(woken[1], ==, 1);
	expect(wakes(), ==, 1);
}

UNIT_TEST(idle, many_producers_wake_one)
{
	rota__idle_sleep(idle, 0);
	rota__idle_sleep(idle, 3);
	for (int i = 0; i < 10; i++)
		rota__idle_wake_one(&runtime);
	/* It counts as searching from the moment on it was chosen. */
	expect(wakes(), ==, 1);
	expect(rota__idle_awake(idle, 3), ==, true);
	for (int i = 0; i < 10; i++)
		rota__idle_wake_one(&runtime);
	expect(wakes(), ==, 1);
	/* Once it has found something, the next one may be woken. */
	expect(rota__idle_stop_search(idle), ==, true);
	rota__idle_wake_one(&runtime);
	expect(woken[0], ==, 1);
	expect(wakes(), ==, 2);
}

UNIT_TEST(idle, who_wakes_by_itself_was_not_chosen)
{
	rota__idle_sleep(idle, 0);
	rota__idle_sleep(idle, 1);
	rota__idle_sleep(idle, 2);
	expect(rota__idle_awake(idle, 1), ==, false); /* from the middle */
	rota__idle_wake_one(&runtime);
	expect(woken[2], ==, 1);
	expect(rota__idle_awake(idle, 2), ==, true);
	expect(rota__idle_awake(idle, 0), ==, false);
	expect(rota__idle_stop_search(idle), ==, true);
	expect(rota__idle_wakeable(idle), ==, false);
	rota__idle_wake_one(&runtime);
	expect(wakes(), ==, 1);
}

UNIT_TEST(idle, while_somebody_searches_nobody_is_woken)
{
	rota__idle_sleep(idle, 0);
	expect(rota__idle_start_search(idle, WORKERS), ==, true);
	expect(rota__idle_wakeable(idle), ==, false);
	rota__idle_wake_one(&runtime);
	expect(wakes(), ==, 0);
	expect(rota__idle_stop_search(idle), ==, true);
	rota__idle_wake_one(&runtime);
	expect(wakes(), ==, 1);
}

UNIT_TEST(idle, about_half_may_search)
{
	for (unsigned n = 1; n <= 9; n++) {
		unsigned searching = 0;

		while (rota__idle_start_search(idle, n))
			searching++;
		expect(searching, >=, 1); /* or nobody ever finds anything */
		expect(searching, <=, (n + 1) / 2);
		for (; searching > 0; searching--)
			expect(rota__idle_stop_search(idle), ==, searching == 1);
	}
}

UNIT_TEST(idle, all_may_sleep_and_all_are_woken_in_turn)
{
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < WORKERS; i++)
			rota__idle_sleep(idle, i);
		for (unsigned i = WORKERS; i-- > 0;) {
			rota__idle_wake_one(&runtime);
			expect(woken[i], ==, round + 1);
			expect(rota__idle_awake(idle, i), ==, true);
			expect(rota__idle_stop_search(idle), ==, true);
		}
	}
}

UNIT_TEST(idle, without_memory_it_says_so)
{
	struct rota__idle other;

	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect(rota__idle_init(&other, WORKERS), ==, -ENOMEM);
	rota__idle_deinit(&other, WORKERS);
}
