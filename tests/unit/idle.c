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
	expect(workers[1].loot.from_mean, ==, ROTA_MS(1));
	expect(workers[1].loot.weighed, ==, false);
	expect(workers[1].poll_at, <=, 8); /* soon it is seen whether that pays */
	expect(workers[1].look_at, <=, 8);
}

/* --- what takes longer where it is shared -------------------------------------------------------------------------------- */

#define WAY ROTA_US(2) /* of two tasks to another worker */

/* Worker 1 has had 2 tasks of worker 0, which took `mean` before, and has 3. Since then, `elapsed` ago, both have run `ran`,
 * and it looks whether that pays. */
static void weigh(uint64_t mean, uint64_t elapsed, uint64_t ran, uint64_t from_ran)
{
	static rota_task tasks[3];

	workers[0] = workers[1] = (struct rota__worker){ .rt = NULL };
	fill(ROTA_US(6)); /* it takes some of what they take now for what they took */
	rota__store(&workers[0].asleep, 0, RELAXED);
	for (unsigned i = 0; i < 3; i++)
		expect(rota__deque_push(&workers[1].deque, &tasks[i]), ==, true);
	workers[1].loot = (struct rota__loot){ .from = &workers[0], .tasks = 2, .at = 1000, .from_mean = mean };
	rota__store(&workers[1].runs, ran, RELAXED);
	rota__store(&workers[0].runs, from_ran, RELAXED);
	rota__worker_weigh_loot(&workers[1], 1000 + elapsed + WAY);
}

static void expect_given_back(void)
{
	expect(rota__deque_length(&workers[1].deque), ==, 1);
	expect_pointer(rota__load(&workers[0].mail, RELAXED), !=, NULL);
	expect_pointer(workers[1].loot.from, ==, NULL);
}

static void expect_kept(void)
{
	expect(rota__deque_length(&workers[1].deque), ==, 3);
	expect_pointer(rota__load(&workers[0].mail, RELAXED), ==, NULL);
	expect_pointer(workers[1].loot.from, ==, &workers[0]);
	expect(rota__worker_worth(&workers[0], 1), ==, true);
}

UNIT_TEST(idle, tasks_that_hinder_each_other_on_two_workers_go_back_to_one_for_a_while)
{
	weigh(ROTA_US(1), ROTA_US(100), 10, 12); /* one worker would have run 100 */
	expect_given_back();
	expect(rota__worker_worth(&workers[0], 1), ==, false);
	rota__store(&workers[0].stalled_at, 12, RELAXED); /* nobody else runs them */
	expect(rota__worker_worth(&workers[0], 1), ==, true);
	rota__store(&workers[0].stalled_at, UINT64_MAX, RELAXED);
	rota__store(&workers[0].runs, ROTA_MS(20) / ROTA_US(1), RELAXED);
	expect(rota__worker_worth(&workers[0], 1), ==, true);
}

UNIT_TEST(idle, tasks_that_take_as_long_when_they_are_alone_may_be_stolen_again)
{
	weigh(ROTA_US(1), ROTA_US(100), 10, 10);
	expect_given_back();
	expect(rota__load(&workers[0].mean, RELAXED), ==, ROTA_US(1)); /* what it was with the thief is of no account */
	rota__store(&workers[0].mean, ROTA_US(4), RELAXED);
	expect(rota__worker_worth(&workers[0], 1), ==, false);
	rota__store(&workers[0].mean, ROTA_US(5), RELAXED); /* a task of the two workers' together took as long */
	expect(rota__worker_worth(&workers[0], 1), ==, true);
}

/* Worker 0 has run 8 more, each of which took so long. */
static void run_more(uint64_t each)
{
	const uint64_t runs = rota__load(&workers[0].runs, RELAXED) + 8;

	rota__store(&workers[0].runs, runs, RELAXED);
	rota__worker_account(&workers[0], workers[0].polled_at + 8 * each);
}

UNIT_TEST(idle, a_trial_soon_tells_whether_tasks_take_less_when_they_are_alone)
{
	for (unsigned longer = 0; longer < 2; longer++) {
		weigh(ROTA_US(1), ROTA_US(100), 10, 10);
		expect_given_back();
		workers[0].polled_runs = 10;
		run_more(ROTA_US(5)); /* until it hears of it */
		expect(rota__worker_worth(&workers[0], 1), ==, false);
		expect(workers[0].poll_at, <=, 18 + 8);
		run_more(longer ? ROTA_US(5) : ROTA_US(2));
		expect(rota__worker_worth(&workers[0], 1), ==, longer);
		run_more(ROTA_US(5)); /* one of many */
		expect(rota__worker_worth(&workers[0], 1), ==, longer);
		expect(workers[0].poll_at, >, 34 + 8);
	}
}

UNIT_TEST(idle, new_tasks_that_have_ended_say_nothing_of_whether_it_pays_to_share)
{
	weigh(ROTA_US(1), 1, 0, 0);
	rota__store(&workers[0].runs, 10, RELAXED);
	rota__store(&workers[1].runs, 10, RELAXED);
	rota__store(&workers[1].finished, 6, RELAXED);
	rota__worker_weigh_loot(&workers[1], 1000 + ROTA_US(100) + WAY);
	expect_kept();
}

UNIT_TEST(idle, two_workers_that_run_half_as_many_tasks_or_more_go_on)
{
	weigh(ROTA_US(1), ROTA_US(100), 25, 25);
	expect_kept();
	expect(workers[1].loot.weighed, ==, true);
}

UNIT_TEST(idle, one_worker_that_is_held_up_takes_nothing_from_the_other)
{
	weigh(ROTA_US(1), ROTA_US(200), 8, 120);
	expect_kept();
}

UNIT_TEST(idle, tasks_that_have_become_long_stay_where_they_are)
{
	weigh(ROTA_US(1), ROTA_MS(8), 8, 500);
	expect_kept();
	weigh(ROTA_US(1), ROTA_MS(8), 500, 8);
	expect_kept();
}

UNIT_TEST(idle, whether_it_pays_to_share_is_seen_after_some_runs_of_both)
{
	weigh(ROTA_US(1), ROTA_US(100), 7, 10);
	expect_kept();
	expect(workers[1].loot.weighed, ==, false);
	rota__store(&workers[0].runs, 7, RELAXED);
	rota__store(&workers[1].runs, 10, RELAXED);
	rota__worker_weigh_loot(&workers[1], 1000 + ROTA_US(100) + WAY);
	expect_kept();
	expect(workers[1].loot.weighed, ==, false);
	rota__store(&workers[0].runs, 8, RELAXED);
	rota__worker_weigh_loot(&workers[1], 1000 + ROTA_US(100) + WAY);
	expect_given_back();
}

UNIT_TEST(idle, who_has_slept_says_nothing_of_whether_it_pays_to_share)
{
	for (unsigned i = 0; i < 2; i++) {
		weigh(ROTA_US(1), 1, 0, 0);
		rota__store(&workers[0].runs, 10, RELAXED);
		rota__store(&workers[1].runs, 10, RELAXED);
		rota__count(&workers[i].parks, 1);
		rota__worker_weigh_loot(&workers[1], 1000 + ROTA_US(100) + WAY);
		expect_kept();
	}
}

UNIT_TEST(idle, what_tasks_take_longer_once_since_no_cache_has_them_is_no_hindrance)
{
	weigh(100, ROTA_US(8), 60, 60);
	expect_kept();
	for (unsigned all = 0; all < 2; all++) {
		weigh(ROTA_US(1), 1, 0, 0);
		workers[1].loot.tasks = 60;
		rota__store(&workers[0].runs, 60, RELAXED);
		rota__store(&workers[1].runs, all ? 60 : 59, RELAXED);
		rota__worker_weigh_loot(&workers[1], 1000 + ROTA_US(60) + ROTA_US(200)); /* 120 take twice as long */
		expect_kept();
		expect(workers[1].loot.weighed, ==, all);
	}
}

UNIT_TEST(idle, a_spare_is_given_nothing_back)
{
	weigh(ROTA_US(1), 1, 0, 0);
	workers[0].spare = true;
	rota__store(&workers[0].runs, 10, RELAXED);
	rota__store(&workers[1].runs, 10, RELAXED);
	rota__worker_weigh_loot(&workers[1], 1000 + ROTA_US(100) + WAY);
	expect_kept();
}
