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
#include "../../runtime/worker_parts_internal.h"
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

/* --- what has been stolen for nothing ------------------------------------------------------------------------------------ */

#define LOOT 1000000000u /* tasks: so short are they only if the thief takes half an hour for them at most */

/* Worker 0 has tasks that take `mean` of late. */
static void fill(uint64_t mean)
{
	static rota_task tasks[128];

	rota__worker_init(&workers[0], &runtime, 0);
	rota__worker_init(&workers[1], &runtime, 1);
	for (unsigned i = 0; i < 128; i++)
		expect(rota__deque_push(&workers[0].deque, &tasks[i]), ==, true);
	rota__store(&workers[0].mean, mean, RELAXED);
	expect(rota__worker_worth(&workers[0], 1), ==, true);
}

/* Worker 1 has had LOOT of them, since `at`, has run `ran` tasks, and looks for more where there is none. */
static void look_for_more(uint64_t ran, uint64_t at)
{
	workers[1].loot = (struct rota__loot){ .from = &workers[0], .tasks = LOOT, .at = at };
	rota__store(&workers[1].runs, ran, RELAXED);
	rota__store(&workers[0].mean, 0, RELAXED);
	expect_pointer(rota__worker_search(&workers[1]), ==, NULL);
	expect_pointer(workers[1].loot.from, ==, NULL);
	expect(workers[1].searching, ==, true);
	workers[1].searching = false;
	rota__idle_stop_search(idle);
}

UNIT_TEST(idle, short_tasks_that_have_run_once_where_they_were_brought_stay_for_a_while)
{
	fill(100);
	look_for_more(LOOT, rota_now());
	rota__store(&workers[0].mean, 100, RELAXED);
	expect(rota__worker_worth(&workers[0], 1), ==, false);
	rota__store(&workers[0].mean, ROTA_US(10), RELAXED); /* they were short */
	expect(rota__worker_worth(&workers[0], 1), ==, true);
	rota__store(&workers[0].mean, 100, RELAXED);
	rota__store(&workers[0].stalled_at, 0, RELAXED); /* nobody else runs them */
	expect(rota__worker_worth(&workers[0], 1), ==, true);
	rota__store(&workers[0].stalled_at, UINT64_MAX, RELAXED);
	expect(rota__worker_worth(&workers[0], 1), ==, false);
	rota__store(&workers[0].runs, 1000ull * LOOT, RELAXED);
	expect(rota__worker_worth(&workers[0], 1), ==, true);
}

UNIT_TEST(idle, tasks_that_have_run_often_where_they_were_brought_may_be_stolen_again)
{
	fill(100);
	look_for_more(10ull * LOOT, rota_now());
	rota__store(&workers[0].mean, 100, RELAXED);
	expect(rota__worker_worth(&workers[0], 1), ==, true);
}

UNIT_TEST(idle, tasks_that_have_taken_long_may_be_stolen_again)
{
	fill(100);
	look_for_more(10, rota_now() - ROTA_SECONDS(1)); /* those ten */
	rota__store(&workers[0].mean, 100, RELAXED);
	expect(rota__worker_worth(&workers[0], 1), ==, true);
}

UNIT_TEST(idle, who_steals_remembers_from_whom)
{
	fill(ROTA_MS(1));
	expect_pointer(rota__worker_search(&workers[1]), !=, NULL);
	expect_pointer(workers[1].loot.from, ==, &workers[0]);
	expect(workers[1].loot.tasks, ==, 64);
}
