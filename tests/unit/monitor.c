/* SPDX-License-Identifier: MIT */
/*
 * The monitor, with workers that only pretend and a driver that notes what it is asked: whom it helps and whom it leaves
 * alone, when it wants to look again, when it goes dormant and what rouses it.
 */
#define _GNU_SOURCE
#include "../../runtime/monitor_internal.h"

#include "../../runtime/runtime_internal.h"
#include "unit.h"

#define WORKERS 3u
#define STALL ROTA_MS(1)

static struct rota__worker workers[2 * WORKERS]; /* spares behind */
static unsigned rescued[2 * WORKERS], woken[2 * WORKERS], reactor_woken;
static unsigned completions[2 * WORKERS]; /* that a rescue finds */

static bool rescue(struct rota__worker *worker)
{
	const unsigned n = completions[worker - workers];

	rescued[worker - workers]++;
	completions[worker - workers] = 0;
	return n > 0;
}

static void wake(struct rota__worker *worker)
{
	woken[worker - workers]++;
}

static void wake_reactor(rota_runtime *rt)
{
	(void)rt;
	reactor_woken++;
}

static const struct rota__driver driver = { .rescue = rescue, .wake = wake, .wake_reactor = wake_reactor };
static struct rota_runtime runtime = {
	.driver = &driver,
	.worker_count = WORKERS,
	.worker_places = 2 * WORKERS,
	.workers = workers,
	.config = { .stall_ns = STALL, .seed = 1 },
};

/* The clock of these tests. */
static uint64_t now;

static uint64_t look(void)
{
	now += STALL;
	return rota__monitor_look(&runtime, now);
}

/* Begins the next task, in which the worker then is. */
static void run_one(unsigned i)
{
	static rota_task task;

	rota__count(&workers[i].runs, 1);
	rota__store(&workers[i].running, &task, RELAXED);
}

/* The same of a task that is over already. */
static void have_run_one(unsigned i)
{
	run_one(i);
	rota__store(&workers[i].running, NULL, RELAXED);
}

static void wake_up(unsigned i)
{
	rota__store(&workers[i].asleep, 0, SEQ_CST);
	rota__monitor_rouse(&runtime);
}

static void fall_asleep(unsigned i)
{
	rota__store(&workers[i].running, NULL, RELAXED);
	rota__store(&workers[i].asleep, 1, SEQ_CST);
}

/* Worker 0 is awake and has run a task; the others sleep, one of them where it can be woken. */
static void init(void)
{
	now = rota_now();
	expect(rota__monitor_init(&runtime), ==, 0);
	expect(rota__idle_init(&runtime.idle, 2 * WORKERS), ==, 0);
	for (unsigned i = 0; i < 2 * WORKERS; i++)
		rota__worker_init(&workers[i], &runtime, i);
	rota__idle_sleep(&runtime.idle, 2);
	wake_up(0);
	run_one(0);
	expect(look(), ==, now + STALL);
	expect(rescued[0], ==, 0);
}

static void deinit(void)
{
	rota__idle_deinit(&runtime.idle, 2 * WORKERS);
	rota__monitor_deinit(&runtime);
	rota__monitor_deinit(&runtime);
}

TestSuite(monitor, .init = init, .fini = deinit);

UNIT_TEST(monitor, leaves_alone_who_moves)
{
	static rota_task task;

	expect(rota__deque_push(&workers[0].deque, &task), ==, true);
	for (int i = 0; i < 10; i++) {
		run_one(0);
		expect(look(), ==, now + STALL);
	}
	expect(rescued[0], ==, 0);
	expect(woken[2], ==, 0);
}

UNIT_TEST(monitor, leaves_alone_who_sleeps)
{
	fall_asleep(0);
	look();
	expect(rescued[0] + rescued[1] + rescued[2], ==, 0);
}

UNIT_TEST(monitor, rescues_who_is_stuck_again_and_again)
{
	for (unsigned i = 1; i < 5; i++) {
		expect(look(), ==, now + STALL);
		expect(rescued[0], ==, i);
	}
	expect(rescued[1] + rescued[2], ==, 0);
	expect(woken[2], ==, 0); /* for nothing nobody is woken */
	run_one(0);
	look();
	expect(rescued[0], ==, 4);
}

UNIT_TEST(monitor, wakes_a_peer_for_queued_tasks)
{
	static rota_task task;

	expect(rota__deque_push(&workers[0].deque, &task), ==, true);
	expect(rota__worker_worth(&workers[0], UINT64_MAX), ==, false);
	look();
	expect(woken[2], ==, 1);
	expect(rota__worker_worth(&workers[0], UINT64_MAX), ==, true); /* now it may be stolen at any price */
	run_one(0);
	expect(rota__worker_worth(&workers[0], UINT64_MAX), ==, false);
}

UNIT_TEST(monitor, wakes_a_peer_for_the_next_task)
{
	static rota_task task;

	rota__next_fill(&workers[0].next, &task, ROTA__NEXT_SHARED);
	look();
	expect(woken[2], ==, 1);
}

UNIT_TEST(monitor, wakes_a_peer_for_completions)
{
	completions[0] = 2;
	look();
	expect(rescued[0], ==, 1);
	expect(woken[2], ==, 1);
}

UNIT_TEST(monitor, forwards_mail_save_to_those_who_must_stay)
{
	static rota_task free_task, pinned_task = { .flags = ROTA__TASK_PINNED };

	free_task.rt = pinned_task.rt = &runtime;
	free_task.queue_next = &pinned_task;
	rota__store(&workers[0].mail, &free_task, RELEASE);
	look();
	expect(woken[2], ==, 1);
	expect_pointer(rota__inject_pop(&runtime.inject, 10), ==, &free_task);
	expect_pointer(free_task.queue_next, ==, NULL);
	expect_pointer(rota__load(&workers[0].mail, ACQUIRE), ==, &pinned_task);
	expect_pointer(pinned_task.queue_next, ==, NULL);
}

static struct rota_atomic_u32 fired;

static void *same(void *data)
{
	return data;
}

static void count(void *data)
{
	rota__fetch_add((struct rota_atomic_u32 *)data, 1, SEQ_CST);
}

static void ignore(void *data)
{
	(void)data;
}

UNIT_TEST(monitor, fires_timers_of_who_is_stuck)
{
	static const struct rota_waker_ops ops = { .clone = same, .wake = count, .wake_by_ref = count, .drop = ignore };
	const struct rota_waker waker = { &ops, &fired };
	struct rota_timer due, later;

	rota_timer_init(&due, now + STALL);
	rota_timer_init(&later, now + ROTA_SECONDS(1000));
	expect(rota__wheel_poll(&workers[0].wheel, &due, &waker, NULL), ==, ROTA_PENDING);
	expect(rota__wheel_poll(&workers[0].wheel, &later, &waker, NULL), ==, ROTA_PENDING);
	/* The wheel was set by the real clock. */
	for (int i = 0; i < 1000 && rota__load(&fired, SEQ_CST) == 0; i++)
		look();
	expect(rota__load(&fired, SEQ_CST), ==, 1);
	expect(woken[2], ==, 1);
	expect(rota__wheel_cancel(&workers[0].wheel, &later), ==, true);
}

UNIT_TEST(monitor, does_not_look_too_often)
{
	const uint64_t looked_at = now;

	expect(rota__monitor_look(&runtime, looked_at + STALL - 1), ==, looked_at + STALL);
	expect(rescued[0], ==, 0);
	expect(rota__monitor_look(&runtime, looked_at + STALL), ==, looked_at + 2 * STALL);
	expect(rescued[0], ==, 1);
}

static uint64_t reported(void)
{
	return rota__load(&runtime.monitor.stall_reports, RELAXED);
}

/* A process that is stopped and goes on, for instance. */
UNIT_TEST(monitor, blames_no_task_for_the_time_in_which_it_did_not_look)
{
	static rota_task task, other;

	runtime.config.stall_report = ROTA_STALL_REPORT_BRIEF;
	runtime.config.stall_report_ns = ROTA_MS(100);
	runtime.spares.closed = true; /* these threads are not asked what they do */
	rota__state_init(&task.state, 1);
	expect(rota__deque_push(&workers[0].deque, &other), ==, true);
	rota__count(&workers[0].runs, 1);
	rota__store(&workers[0].running, &task, RELAXED);
	look();
	now += ROTA_SECONDS(1);
	for (int i = 0; i < 100; i++) {
		look();
		expect(reported(), ==, 0);
	}
	look();
	expect(reported(), ==, 1);
}

UNIT_TEST(monitor, looks_less_often_while_nobody_is_inside_a_task)
{
	static const unsigned pauses[] = { 2, 4, 4, 4 };

	for (unsigned i = 0; i < 4; i++) {
		have_run_one(0);
		expect(look(), ==, now + pauses[i] * STALL);
		now += (pauses[i] - 1) * STALL;
	}
	expect(rescued[0], ==, 0);
	run_one(0);
	expect(look(), ==, now + STALL); /* it may be long, or not */
	expect(rescued[0], ==, 0);
	expect(look(), ==, now + STALL);
	expect(rescued[0], ==, 1);
	have_run_one(0);
	expect(look(), ==, now + 2 * STALL);
}

UNIT_TEST(monitor, looks_often_while_spares_are_on_duty)
{
	rota__store(&runtime.spares.on_duty, 1, RELAXED);
	for (int i = 0; i < 5; i++) {
		have_run_one(0);
		expect(look(), ==, now + STALL);
	}
	rota__store(&runtime.spares.on_duty, 0, RELAXED);
}

/* Two spares have been started, and the first one is on duty. All configured workers are stuck, and something waits. */
static void serve_with_one_spare(void)
{
	runtime.spares.launched = 2;
	rota__store(&runtime.spares.ready, 2, RELAXED);
	rota__store(&runtime.spares.on_duty, 1, RELAXED);
	rota__store(&workers[WORKERS].on_duty, 1, RELAXED);
	workers[WORKERS].self = pthread_self();
	for (unsigned i = 0; i <= WORKERS; i++) {
		wake_up(i);
		run_one(i);
	}
	look();
	completions[0] = 1;
}

UNIT_TEST(monitor, calls_another_spare_while_those_on_duty_are_busy)
{
	serve_with_one_spare();
	run_one(WORKERS);
	look();
	expect(rota__load(&runtime.spares.on_duty, RELAXED), ==, 2);
	expect(woken[WORKERS + 1], ==, 1);
}

UNIT_TEST(monitor, calls_no_other_spare_while_one_sleeps)
{
	serve_with_one_spare();
	fall_asleep(WORKERS);
	look();
	expect(rota__load(&runtime.spares.on_duty, RELAXED), ==, 1);
	expect(woken[WORKERS + 1], ==, 0);
}

UNIT_TEST(monitor, looks_at_once_when_it_is_roused)
{
	for (int i = 0; i < 4; i++) {
		have_run_one(0);
		look();
		now += 3 * STALL;
	}
	fall_asleep(0);
	expect(look(), ==, ROTA_NEVER);
	wake_up(0);
	run_one(0);
	expect(look(), ==, now + STALL);
	expect(look(), ==, now + STALL);
	expect(rescued[0], ==, 1);
}

UNIT_TEST(monitor, goes_dormant_when_all_sleep_and_is_roused_by_the_first)
{
	run_one(0);
	fall_asleep(0);
	expect(look(), ==, now + 2 * STALL); /* somebody has moved since */
	expect(look(), ==, now + STALL);     /* too early */
	expect(look(), ==, ROTA_NEVER);
	expect(look(), ==, ROTA_NEVER);
	expect(reactor_woken, ==, 1);
	wake_up(1);
	wake_up(0);
	expect(reactor_woken, ==, 2);
	expect(look(), !=, ROTA_NEVER);
}

UNIT_TEST(monitor, does_not_go_dormant_while_one_is_awake)
{
	for (int i = 0; i < 10; i++)
		expect(look(), ==, now + STALL);
}

UNIT_TEST(monitor, has_nothing_to_do_where_nobody_else_may_run_tasks)
{
	runtime.config.flavor = ROTA_FLAVOR_CURRENT_THREAD;
	expect(look(), ==, ROTA_NEVER);
	expect(rescued[0], ==, 0);
	runtime.config.flavor = ROTA_FLAVOR_MULTI_THREAD;
}
