/* SPDX-License-Identifier: MIT */
/*
 * The end of a runtime: it drains, reports what does not end, may be repeated, waits for threads that block; and where
 * it is refused. stress/shutdown.c has the races.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "../../runtime/runtime_internal.h"
#include <sys/socket.h>

#include "../../io/file.h"
#include "unit.h"

static int give(void *arg)
{
	return (int)(intptr_t)arg;
}

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_NEVER);
}

static int leave_sleepers(void *tasks)
{
	for (int i = 0; i < 1000; i++)
		((rota_task **)tasks)[i] = unit_spawn(sleep_for_ever, NULL);
	return 0;
}

RUNTIME_TEST(shutdown, a_shutdown_cancels_and_drains)
{
	rota_task *tasks[1000];

	expect(rota_block_on(rt, leave_sleepers, tasks), ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect(rota__runtime_alive(rt), ==, 0);
	for (int i = 0; i < 1000; i++)
		unit_expect_join(tasks[i], -ECANCELED);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect(rota_runtime_shutdown(rt, 0), ==, 0);
}

RUNTIME_TEST(shutdown, a_shutdown_of_nothing_needs_no_time)
{
	expect(rota_block_on(rt, give, NULL), ==, 0);
	expect(rota_runtime_shutdown(rt, 0), ==, 0);
}

static void *count_it_off(void *arg)
{
	rota_runtime *rt = arg;

	expect_eventually(rota__load(&rt->closing, SEQ_CST) != 0);
	usleep(20000);
	rota__runtime_dismiss(rt);
	return NULL;
}

/* One that has ended, whose thread is scheduled only now, is nobody to tell of. */
RUNTIME_TEST(shutdown, who_has_only_to_be_counted_off_is_waited_for)
{
	pthread_t thread;

	expect(rota__runtime_admit(rt, NULL), ==, 0);
	expect(pthread_create(&thread, NULL, count_it_off, rt), ==, 0);
	expect(rota_runtime_shutdown(rt, 0), ==, 0);
	pthread_join(thread, NULL);
}

static void *end_trim(void *arg)
{
	rota_runtime *rt = arg;

	expect_eventually(rota__load(&rt->closing, SEQ_CST) != 0);
	usleep(20000);
	rota__runtime_vacate(rt);
	return NULL;
}

static void trim_slowly(rota_runtime *rt)
{
	pthread_t thread;

	expect(rota__runtime_occupy_to_trim(rt), ==, true);
	expect(pthread_create(&thread, NULL, end_trim, rt), ==, 0);
	expect(rota_runtime_shutdown(rt, 0), ==, 0);
	pthread_join(thread, NULL);
}

/* Who trims holds the current-thread flavour for a moment. */
UNIT_TEST(shutdown, who_trims_is_waited_for)
{
	unit_with_runtime(ROTA_FLAVOR_CURRENT_THREAD, trim_slowly);
}

UNIT_TEST(shutdown, free_takes_null_and_shuts_down_by_itself)
{
	rota_task *tasks[1000];

	rota_runtime_free(NULL);
	expect(rota_runtime_shutdown(NULL, 0), ==, -EINVAL);
	for (int flavor = 0; flavor < 2; flavor++) {
		rota_runtime *rt = unit_runtime((enum rota_flavor)flavor);

		expect(rota_block_on(rt, leave_sleepers, tasks), ==, 0);
		for (int i = 0; i < 1000; i++)
			rota_detach(tasks[i]);
		rota_runtime_free(rt);
	}
}

static struct rota_atomic_u32 be_reasonable;

static int ignore_cancellation(void *arg)
{
	rota_shield_enter();
	while (rota__load(&be_reasonable, SEQ_CST) == 0)
		expect(rota_sleep(ROTA_US(100)), ==, 0);
	rota_shield_leave();
	return (int)(intptr_t)arg;
}

static int leave_stubborn(void *arg)
{
	const struct rota_task_attr attr = { .name = "stubborn" };

	for (unsigned i = 0; i < *(unsigned *)arg; i++)
		expect(rota_spawn_with(NULL, &attr, ignore_cancellation, NULL), ==, 0);
	return 0;
}

RUNTIME_TEST(shutdown, a_task_that_ignores_cancellation_is_reported)
{
	struct unit_capture capture;
	unsigned n = 1;

	expect(rota_block_on(rt, leave_stubborn, &n), ==, 0);
	/* As often as one likes. */
	for (int i = 0; i < 3; i++) {
		unit_capture_begin(&capture);
		expect(rota_runtime_shutdown(rt, i * ROTA_MS(2)), ==, -ETIMEDOUT);
		expect(unit_lines(unit_capture_end(&capture)), ==, 1);
		expect_contains(capture.text, "rota: ");
		expect_contains(capture.text, "\"stubborn\"");
		expect_contains(capture.text, "fiber");
	}
	rota__store(&be_reasonable, 1, SEQ_CST);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
}

/* --- what those that are left wait for ---------------------------------------------------------------------------- */

enum { WAITS = 4 };

struct stubborn_waits {
	struct rota_channel channel;
	struct rota_signal usr1;
	rota_task *tasks[WAITS];
	int fds[2];
};

static int receive_shielded(void *arg)
{
	struct stubborn_waits *waits = arg;
	int value;

	rota_shield_enter();
	expect(rota_channel_recv(&waits->channel, &value), ==, -EPIPE);
	rota_shield_leave();
	return 0;
}

static int read_shielded(void *arg)
{
	struct stubborn_waits *waits = arg;
	char byte;

	rota_shield_enter();
	expect(rota_recv(waits->fds[0], &byte, 1, 0), ==, 0);
	rota_shield_leave();
	return 0;
}

static int sleep_shielded(void *arg)
{
	(void)arg;
	rota_shield_enter();
	while (rota__load(&be_reasonable, SEQ_CST) == 0)
		rota_sleep(ROTA_MS(300));
	rota_shield_leave();
	return 0;
}

static int signal_shielded(void *arg)
{
	struct stubborn_waits *waits = arg;

	rota_shield_enter();
	expect(rota_signal_wait(&waits->usr1), ==, -ECANCELED);
	rota_shield_leave();
	return 0;
}

static int leave_waits(void *arg)
{
	static rota_fn *const fns[WAITS] = { receive_shielded, read_shielded, sleep_shielded, signal_shielded };
	struct stubborn_waits *waits = arg;

	for (int i = 0; i < WAITS; i++) {
		expect(rota_spawn(&waits->tasks[i], fns[i], waits), ==, 0);
		unit_until_resting(waits->tasks[i]);
	}
	return 0;
}

RUNTIME_TEST(shutdown, what_is_left_is_reported_with_what_it_waits_for)
{
	struct unit_capture capture;
	struct stubborn_waits waits;

	expect(rota_channel_init(&waits.channel, sizeof(int), 1), ==, 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, waits.fds), ==, 0);
	expect(rota_signal_open(&waits.usr1, SIGUSR1), ==, 0);
	expect(rota_block_on(rt, leave_waits, &waits), ==, 0);
	do {
		unit_capture_begin(&capture);
		expect(rota_runtime_shutdown(rt, ROTA_MS(20)), ==, -ETIMEDOUT);
		unit_capture_end(&capture);
	} while (strstr(capture.text, "about to") != NULL); /* who runs them had no CPU: they have not looked */
	expect_contains(capture.text, "it waits in recv");
	expect_contains(capture.text, "it waits in channel receive");
	expect_contains(capture.text, "it waits in timer");
	expect_contains(capture.text, "it waits in signal");
	for (int i = 0; i < WAITS; i++)
		rota_detach(waits.tasks[i]);
	rota_channel_close(&waits.channel);
	rota_signal_close(&waits.usr1);
	close(waits.fds[1]);
	rota__store(&be_reasonable, 1, SEQ_CST);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	close(waits.fds[0]);
	rota_channel_deinit(&waits.channel);
}

RUNTIME_TEST(shutdown, a_report_of_very_many_is_short)
{
	struct unit_capture capture;
	unsigned n = 100;

	expect(rota_block_on(rt, leave_stubborn, &n), ==, 0);
	unit_capture_begin(&capture);
	expect(rota_runtime_shutdown(rt, ROTA_MS(1)), ==, -ETIMEDOUT);
	expect(unit_lines(unit_capture_end(&capture)), <=, 20);
	expect_contains(capture.text, "more");
	rota__store(&be_reasonable, 1, SEQ_CST);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
}

static int shut_down_inside(void *rt)
{
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, -EDEADLK);
	rota_runtime_free(rt);
	/* Nothing has happened. */
	unit_expect_join(unit_spawn(give, (void *)3), 3);
	return 5;
}

static void expect_refused(rota_runtime *rt, rota_fn *inside, int status, unsigned lines, const char *text)
{
	struct unit_capture capture;

	unit_capture_begin(&capture);
	expect(rota_block_on(rt, inside, rt), ==, status);
	expect(unit_lines(unit_capture_end(&capture)), ==, lines);
	expect_contains(capture.text, text);
}

RUNTIME_TEST(shutdown, a_shutdown_inside_a_task_is_refused, .signal = UNIT_MISUSE_SIGNAL)
{
	expect_refused(rt, shut_down_inside, 5, 2, "rota_runtime_shutdown inside task");
}

static int shut_down_in_job(void *rt)
{
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, -EDEADLK);
	return 5;
}

static int spawn_job_that_shuts_down(void *rt)
{
	rota_task *job = NULL;

	expect(rota_spawn_blocking(&job, shut_down_in_job, rt), ==, 0);
	unit_expect_join(job, 5);
	return 0;
}

RUNTIME_TEST(shutdown, a_shutdown_inside_a_job_is_refused, .signal = UNIT_MISUSE_SIGNAL)
{
	expect_refused(rt, spawn_job_that_shuts_down, 0, 1, "rota_runtime_shutdown in a blocking job");
}

/* As rota_block_on, by somebody who comes no further than this before the shutdown. */
static void be_slow_to_enter(rota_runtime *rt)
{
	expect(rota__runtime_occupy(rt), ==, true);
	expect(rota_runtime_shutdown(rt, ROTA_MS(1)), ==, -ETIMEDOUT);
	rota__runtime_vacate(rt);
	expect(rota_block_on(rt, give, NULL), ==, -ESHUTDOWN);
}

UNIT_TEST(shutdown, a_shutdown_waits_for_who_is_about_to_play_the_worker)
{
	unit_with_runtime(ROTA_FLAVOR_CURRENT_THREAD, be_slow_to_enter);
}

struct blocker {
	pthread_t thread;
	rota_runtime *rt;
	struct unit_event event;
	int rc;
};

static void *block_on_event(void *arg)
{
	struct blocker *blocker = arg;

	rota_future_init(&blocker->event.future, &unit_event_ops);
	blocker->rc = rota_block_on_future(blocker->rt, &blocker->event.future);
	return NULL;
}

RUNTIME_TEST(shutdown, a_shutdown_waits_for_threads_that_block)
{
	struct blocker blocker = { .rt = rt };
	struct unit_capture capture;

	expect(pthread_create(&blocker.thread, NULL, block_on_event, &blocker), ==, 0);
	expect_eventually(rota__load(&blocker.event.slot, ACQUIRE) == ROTA__SLOT_ARMED);
	unit_capture_begin(&capture);
	expect(rota_runtime_shutdown(rt, ROTA_MS(1)), ==, -ETIMEDOUT);
	expect_contains(unit_capture_end(&capture), "rota_block_on_future");
	expect(unit_lines(capture.text), ==, 1);
	unit_event_set(&blocker.event);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	pthread_join(blocker.thread, NULL);
	expect(blocker.rc, ==, 0);
}

static int seven(void *arg)
{
	(void)arg;
	return 7;
}

static int offload_seven(void *arg)
{
	return rota_offload(seven, arg);
}

UNIT_TEST(shutdown, no_thread_of_the_pool_is_left)
{
	const struct rota_config config = { .blocking_idle_ns = ROTA_SECONDS(1000) }; /* none would go by itself */
	const unsigned before = unit_threads();
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, offload_seven, NULL), ==, 7);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect_eventually(unit_threads() == before); /* a thread that was joined is listed for a moment */
	rota_runtime_free(rt);
}

/* --- beside it, and behind ---------------------------------------------------------------------------------------- */

RUNTIME_TEST(shutdown, what_is_over_may_still_be_asked)
{
	const enum rota_backend backend = rota_runtime_backend(rt);
	struct rota_metrics metrics;
	static char memory[4096];
	rota_task *task;

	expect(rota_block_on(rt, give, NULL), ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	rota_runtime_trim(rt);
	rota_runtime_metrics(rt, &metrics);
	expect(metrics.tasks_alive, ==, 0);
	expect(metrics.tasks_spawned, ==, 1);
	expect(rota_runtime_backend(rt), ==, backend);
	expect(rota_spawn_on(rt, &task, give, NULL), ==, -ESHUTDOWN);
	expect(rota_register_memory(rt, memory, sizeof(memory)), ==, -ESHUTDOWN);
}

struct stopper {
	pthread_t thread;
	rota_runtime *rt;
	pthread_barrier_t *together;
};

static void *stop_together(void *arg)
{
	struct stopper *stopper = arg;

	pthread_barrier_wait(stopper->together);
	expect(rota_runtime_shutdown(stopper->rt, ROTA_NEVER), ==, 0);
	expect(rota__load(&stopper->rt->stopping, SEQ_CST), ==, 1);
	for (unsigned i = 0; i < stopper->rt->worker_count; i++)
		expect(stopper->rt->workers[i].has_thread, ==, false); /* whoever has stopped them */
	return NULL;
}

static void shut_down_together(enum rota_flavor flavor)
{
	rota_runtime *rt = unit_runtime(flavor);
	struct stopper stoppers[3];
	pthread_barrier_t together;

	expect(pthread_barrier_init(&together, NULL, 3), ==, 0);
	for (int i = 0; i < 3; i++)
		expect(rota_spawn_on(rt, NULL, sleep_for_ever, NULL), ==, 0);
	for (int i = 0; i < 3; i++) {
		stoppers[i] = (struct stopper){ .rt = rt, .together = &together };
		expect(pthread_create(&stoppers[i].thread, NULL, stop_together, &stoppers[i]), ==, 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(stoppers[i].thread, NULL);
	pthread_barrier_destroy(&together);
	rota_runtime_free(rt);
}

UNIT_TEST(shutdown, may_be_asked_for_by_several_at_once)
{
	for (int i = 0; i < 50; i++) {
		shut_down_together(ROTA_FLAVOR_MULTI_THREAD);
		shut_down_together(ROTA_FLAVOR_CURRENT_THREAD);
	}
}

struct trimmer {
	pthread_t thread;
	rota_runtime *rt;
	struct rota_atomic_u32 trims, over;
};

static void *trim_on_and_on(void *arg)
{
	struct trimmer *trimmer = arg;

	while (rota__load(&trimmer->over, SEQ_CST) == 0) {
		rota_runtime_trim(trimmer->rt);
		rota__fetch_add(&trimmer->trims, 1, SEQ_CST);
	}
	return NULL;
}

static void shut_down_beside_a_trimmer(enum rota_flavor flavor)
{
	struct trimmer trimmer = { .rt = unit_runtime(flavor) };

	expect(rota_block_on(trimmer.rt, give, NULL), ==, 0);
	expect(pthread_create(&trimmer.thread, NULL, trim_on_and_on, &trimmer), ==, 0);
	expect_eventually(rota__load(&trimmer.trims, SEQ_CST) > 0);
	expect(rota_runtime_shutdown(trimmer.rt, ROTA_NEVER), ==, 0);
	rota__store(&trimmer.over, 1, SEQ_CST);
	pthread_join(trimmer.thread, NULL);
	rota_runtime_free(trimmer.rt);
}

UNIT_TEST(shutdown, may_come_while_others_trim)
{
	for (int i = 0; i < 20; i++) {
		shut_down_beside_a_trimmer(ROTA_FLAVOR_MULTI_THREAD);
		shut_down_beside_a_trimmer(ROTA_FLAVOR_CURRENT_THREAD);
	}
}
