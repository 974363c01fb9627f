/* SPDX-License-Identifier: MIT */
/*
 * Start and block_on: what they return, who may call them, that a runtime leaves nothing behind, nor does a start that
 * fails; what it says of itself. shutdown.c has its end.
 */
#define _GNU_SOURCE
#include "../../runtime/runtime_internal.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../io/fd.h"
#include "../../runtime/alloc_internal.h"
#include "../../runtime/sys_internal.h"
#include "unit.h"

static int give(void *arg)
{
	return (int)(intptr_t)arg;
}

/* --- block_on ------------------------------------------------------------------------------------------------------------- */

RUNTIME_TEST(runtime, block_on_returns_the_status)
{
	static const int statuses[] = { 0, 1, -1, -EIO, INT32_MAX, INT32_MIN };

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		expect(rota_block_on(rt, give, (void *)(intptr_t)statuses[i]), ==, statuses[i]);
	expect(rota_block_on(rt, NULL, NULL), ==, -EINVAL);
	expect(rota_block_on(NULL, give, NULL), ==, -EINVAL);
}

static int where_am_i(void *rt)
{
	expect_pointer(rota_runtime_current(), ==, rt);
	expect(rota_task_id(), !=, 0);
	return syscall(SYS_gettid) == getpid();
}

RUNTIME_TEST(runtime, block_on_runs_a_task_of_the_runtime)
{
	expect_pointer(rota_runtime_current(), ==, NULL);
	expect(rota_block_on(rt, where_am_i, rt), ==, unit_flavor == ROTA_FLAVOR_CURRENT_THREAD);
	expect_pointer(rota_runtime_current(), ==, NULL);
}

struct caller {
	pthread_t thread;
	rota_runtime *rt;
	int rc;
};

static int spawn_some(void *arg)
{
	rota_task *tasks[10];

	for (intptr_t i = 0; i < 10; i++)
		tasks[i] = unit_spawn(give, (void *)i);
	for (int i = 0; i < 10; i++)
		unit_expect_join(tasks[i], i);
	return (int)(intptr_t)arg;
}

static void *block_often(void *arg)
{
	struct caller *caller = arg;

	for (intptr_t i = 0; i < 200; i++)
		expect(rota_block_on(caller->rt, spawn_some, (void *)i), ==, i);
	return NULL;
}

UNIT_TEST(runtime, many_threads_block_at_once)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_MULTI_THREAD);
	struct caller callers[6];

	for (int i = 0; i < 6; i++) {
		callers[i].rt = rt;
		expect(pthread_create(&callers[i].thread, NULL, block_often, &callers[i]), ==, 0);
	}
	for (int i = 0; i < 6; i++)
		pthread_join(callers[i].thread, NULL);
	rota_runtime_free(rt);
}

static int block_on_inside(void *arg)
{
	expect(rota_block_on(arg, give, NULL), ==, -EDEADLK);
	return 4;
}

RUNTIME_TEST(runtime, block_on_inside_a_task_is_refused, .signal = UNIT_MISUSE_SIGNAL)
{
	rota_runtime *other = unit_runtime(ROTA_FLAVOR_MULTI_THREAD);
	struct unit_capture capture;

	/* Of the same runtime, or of another. */
	unit_capture_begin(&capture);
	expect(rota_block_on(rt, block_on_inside, rt), ==, 4);
	expect(rota_block_on(rt, block_on_inside, other), ==, 4);
	expect(unit_lines(unit_capture_end(&capture)), ==, 2);
	expect_contains(capture.text, "rota_block_on inside task");
	rota_runtime_free(other);
}

/* --- the current-thread flavor ---------------------------------------------------------------------------------------------- */

static void *block_on_busy(void *arg)
{
	struct caller *caller = arg;

	caller->rc = rota_block_on(caller->rt, give, (void *)1);
	return NULL;
}

static int let_another_try(void *arg)
{
	struct caller *caller = arg;

	expect(pthread_create(&caller->thread, NULL, block_on_busy, caller), ==, 0);
	pthread_join(caller->thread, NULL);
	return 0;
}

UNIT_TEST(runtime, a_second_thread_finds_it_busy)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);
	struct caller caller = { .rt = rt };

	expect(rota_block_on(rt, let_another_try, &caller), ==, 0);
	expect(caller.rc, ==, -EBUSY);
	expect(let_another_try(&caller), ==, 0); /* now it is free */
	expect(caller.rc, ==, 1);
	rota_runtime_free(rt);
}

static int write_to_nobody(void *pipe)
{
	return (int)rota_write(((int *)pipe)[1], "x", 1);
}

UNIT_TEST(runtime, who_plays_the_worker_gets_no_sigpipe)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);
	sigset_t before, after;
	int ends[2];

	expect(pipe(ends), ==, 0);
	close(ends[0]);
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	expect(sigismember(&before, SIGPIPE), ==, 0);
	for (int i = 0; i < 3; i++) { /* its default action would end the test */
		expect(rota_block_on(rt, give, (void *)1), ==, 1);
		expect(rota_block_on(rt, write_to_nobody, ends), ==, -EPIPE);
		pthread_sigmask(SIG_BLOCK, NULL, &after);
		expect(sigismember(&after, SIGPIPE), ==, 0);
	}
	close(ends[1]);
	rota_runtime_free(rt);
}

static struct rota_atomic_u32 steps;

static int make_steps(void *arg)
{
	for (uintptr_t i = 0; i < (uintptr_t)arg; i++) {
		rota__fetch_add(&steps, 1, SEQ_CST);
		rota_yield();
	}
	return 0;
}

static int until_all_steps(void *arg)
{
	while (rota__load(&steps, SEQ_CST) < (uintptr_t)arg)
		rota_yield();
	return 0;
}

static void *until_all_steps_elsewhere(void *rt)
{
	expect(rota_block_on(rt, until_all_steps, (void *)1000), ==, 0);
	return NULL;
}

UNIT_TEST(runtime, without_workers_tasks_run_while_somebody_blocks)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);
	pthread_t thread;

	expect(rota_spawn_on(rt, NULL, make_steps, (void *)1000), ==, 0);
	usleep(10000);
	expect(rota__load(&steps, SEQ_CST), ==, 0);
	expect(rota_block_on(rt, until_all_steps, (void *)10), ==, 0);
	expect(rota__load(&steps, SEQ_CST), <, 1000); /* what is left goes on when somebody blocks again */
	expect(pthread_create(&thread, NULL, until_all_steps_elsewhere, rt), ==, 0);
	pthread_join(thread, NULL);
	rota_runtime_free(rt);
}

static int sleep_a_little(void *arg)
{
	expect(rota_sleep((uintptr_t)arg), ==, 0);
	rota__fetch_add(&steps, 1, SEQ_CST);
	return 0;
}

static int start_sleepers(void *arg)
{
	for (uintptr_t i = 0; i < 20; i++)
		rota_detach(unit_spawn(sleep_a_little, (void *)(i * ROTA_US(200))));
	rota_yield(); /* so that they sleep, with this thread's help */
	return (int)(intptr_t)arg;
}

static void *start_sleepers_elsewhere(void *rt)
{
	expect(rota_block_on(rt, start_sleepers, NULL), ==, 0);
	return NULL;
}

UNIT_TEST(runtime, timers_of_a_thread_that_has_left_go_on_with_the_next)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);
	pthread_t thread;

	for (unsigned round = 1; round <= 5; round++) {
		expect(pthread_create(&thread, NULL, start_sleepers_elsewhere, rt), ==, 0);
		pthread_join(thread, NULL);
		expect(rota_block_on(rt, until_all_steps, (void *)(uintptr_t)(20 * round)), ==, 0);
	}
	rota_runtime_free(rt);
}

/* --- start ------------------------------------------------------------------------------------------------------------------------ */

UNIT_TEST(runtime, needs_somewhere_to_put_it)
{
	expect(rota_runtime_new(NULL, NULL), ==, -EINVAL);
}

UNIT_TEST(runtime, starts_with_no_configuration_at_all)
{
	rota_runtime *rt = NULL;

	expect(rota_runtime_new(&rt, NULL), ==, 0);
	expect(rota_block_on(rt, give, (void *)5), ==, 5);
	expect(rota_runtime_backend(rt), ==, unit_on_epoll() ? ROTA_BACKEND_EPOLL : ROTA_BACKEND_IO_URING);
	rota_runtime_free(rt);
}

static unsigned counts_before[2];
static size_t bytes_before;

static void count_before(void)
{
	rota_thread_waker(); /* this thread's parker stays */
	counts_before[0] = unit_descriptors();
	counts_before[1] = unit_threads();
	bytes_before = rota__alloc_bytes();
}

static void expect_as_before(void)
{
	expect(unit_descriptors(), ==, counts_before[0]);
	expect_eventually(unit_threads() == counts_before[1]); /* detached threads end a moment later */
	expect(rota__alloc_bytes(), ==, bytes_before);
}

static void expect_no_traces(const struct rota_config *config)
{
	rota_runtime *rt = NULL;

	/* The first one makes what stays: the arena, the parker of this thread. */
	for (int round = 0; round < 30; round++) {
		expect(rota_runtime_new(&rt, config), ==, 0);
		expect(rota_block_on(rt, spawn_some, (void *)6), ==, 6);
		expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
		rota_runtime_free(rt);
		if (round == 0)
			count_before();
		expect_as_before();
	}
}

UNIT_TEST(runtime, leaves_no_traces)
{
	expect_no_traces(&(struct rota_config){ .workers = 1 });
	expect_no_traces(&(struct rota_config){ .workers = 4 });
	expect_no_traces(&(struct rota_config){ .flavor = ROTA_FLAVOR_CURRENT_THREAD });
}

/* How often the n-th call of a kind failed a start before one got through. */
static unsigned fail_to_start(enum rota__fault_kind kind, int error, const struct rota_config *config)
{
	struct unit_capture capture;
	rota_runtime *rt;
	uint32_t nth;
	int rc = -1;

	for (nth = 1; rc < 0; nth++) {
		rt = NULL;
		rota__fault_arm(kind, nth, error);
		unit_capture_begin(&capture); /* some failures are explained */
		rc = rota_runtime_new(&rt, config);
		unit_capture_end(&capture);
		rota__fault_arm(kind, 0, 0);
		if (rc < 0) {
			expect_pointer(rt, ==, NULL);
			expect((rc == error) + (rc == -ENOTSUP), ==, 1);
			expect(unit_lines(capture.text), <=, 1);
			expect_as_before();
		}
	}
	expect(rota_block_on(rt, spawn_some, (void *)6), ==, 6);
	rota_runtime_free(rt);
	return nth - 2;
}

static void fail_at_each_step(const struct rota_config *config, unsigned threads)
{
	rota_runtime *rt = NULL;

	expect(rota_runtime_new(&rt, config), ==, 0);
	expect(rota_block_on(rt, spawn_some, (void *)6), ==, 6);
	rota_runtime_free(rt);
	count_before();
	expect(fail_to_start(ROTA__FAULT_ALLOC, -ENOMEM, config), >=, 4);
	expect(fail_to_start(ROTA__FAULT_THREAD, -EAGAIN, config), ==, threads);
	if (unit_on_epoll()) {
		expect(fail_to_start(ROTA__FAULT_EVENTFD, -EMFILE, config), >=, 2);
		expect(fail_to_start(ROTA__FAULT_EPOLL, -EMFILE, config), >=, 2);
	} else {
		expect(fail_to_start(ROTA__FAULT_EVENTFD, -EMFILE, config), >=, 2);
		expect(fail_to_start(ROTA__FAULT_RING, -ENOMEM, config), >=, 2);
	}
	/* Stacks come with the first task. */
	fail_to_start(ROTA__FAULT_MAP, -ENOMEM, config);
	fail_to_start(ROTA__FAULT_GUARD, -ENOMEM, config);
}

UNIT_TEST(runtime, a_start_that_fails_leaves_no_traces)
{
	fail_at_each_step(&(struct rota_config){ .workers = 3 }, 4);
	fail_at_each_step(&(struct rota_config){ .flavor = ROTA_FLAVOR_CURRENT_THREAD }, 1);
}

static int look_at_standard_streams(void *arg)
{
	rota_yield();
	for (int fd = 0; fd < 3; fd++)
		*(bool *)arg &= fcntl(fd, F_GETFD) < 0;
	return 0;
}

/* The child has no standard streams: what it writes to one is lost, and does not go to a ring or a bell of rota's. */
static void without_standard_streams(void *arg)
{
	rota_runtime *rt;
	bool closed = true;

	(void)arg;
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	if (rota_runtime_new(&rt, NULL) < 0 || rota_block_on(rt, look_at_standard_streams, &closed) != 0 || !closed)
		_exit(1);
	if (rota_runtime_shutdown(rt, ROTA_NEVER) < 0)
		_exit(2);
	rota_runtime_free(rt);
}

UNIT_TEST(runtime, takes_no_number_of_a_standard_stream)
{
	struct unit_child child;

	unit_child_run(&child, without_standard_streams, NULL);
	expect(child.status, ==, 0);
}

UNIT_TEST(runtime, many_live_side_by_side)
{
	rota_runtime *rts[20];

	for (int i = 0; i < 20; i++)
		rts[i] = unit_runtime(i % 2 ? ROTA_FLAVOR_MULTI_THREAD : ROTA_FLAVOR_CURRENT_THREAD);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 20; i++)
			expect(rota_block_on(rts[i], spawn_some, (void *)3), ==, 3);
	}
	for (int i = 0; i < 20; i++)
		rota_runtime_free(rts[i]);
}

static int start_one_inside(void *arg)
{
	rota_runtime *rt = NULL;
	rota_task *task = NULL;

	(void)arg;
	expect(rota_runtime_new(&rt, &(struct rota_config){ .workers = 1, .flavor = ROTA_FLAVOR_MULTI_THREAD }), ==, 0);
	expect(rota_spawn_on(rt, &task, give, (void *)7), ==, 0);
	unit_expect_join(task, 7);
	*(rota_runtime **)arg = rt;
	return 0;
}

RUNTIME_TEST(runtime, may_be_started_inside_a_task)
{
	rota_runtime *inner = NULL;

	expect(rota_block_on(rt, start_one_inside, &inner), ==, 0);
	rota_runtime_free(inner);
}

/* --- rota_run ---------------------------------------------------------------------------------------------------------------------- */

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_NEVER);
}

static int main_of_run(int argc, char **argv)
{
	expect(argc, ==, 2);
	expect_text(argv[1], "one");
	expect(rota_task_id(), !=, 0);
	for (int i = 0; i < 100; i++)
		rota_detach(unit_spawn(sleep_for_ever, NULL));
	return 33;
}

UNIT_TEST(runtime, run_runs_a_main_and_cleans_up)
{
	char zero[] = "zero", one[] = "one";
	char *argv[] = { zero, one, NULL };

	unsetenv("ROTA_FLAVOR");
	expect(rota_run(main_of_run, 2, argv), ==, 33);
	count_before();
	expect(rota_run(main_of_run, 2, argv), ==, 33);
	setenv("ROTA_FLAVOR", "current_thread", 1);
	expect(rota_run(main_of_run, 2, argv), ==, 33);
	expect_as_before();
	expect(rota_run(NULL, 0, argv), ==, -EINVAL);
}

UNIT_TEST(runtime, run_says_why_it_does_not)
{
	struct unit_capture capture;
	char *argv[] = { NULL };

	unsetenv("ROTA_FLAVOR");
	rota__fault_arm(ROTA__FAULT_EPOLL, 1, -EMFILE);
	setenv("ROTA_BACKEND", "epoll", 1);
	unit_capture_begin(&capture);
	expect(rota_run(main_of_run, 2, argv), ==, -EMFILE);
	expect_text(unit_capture_end(&capture), "rota: no runtime: Too many open files\n");
}

/* --- what it says of itself -------------------------------------------------------------------------------------------------------- */

RUNTIME_TEST(runtime, counts_what_happens)
{
	struct rota_metrics metrics;

	rota_runtime_metrics(rt, &metrics);
	expect(metrics.workers, ==, unit_flavor == ROTA_FLAVOR_CURRENT_THREAD ? 1 : UNIT_WORKERS);
	expect(metrics.blocking_threads, ==, 0);
	expect(metrics.tasks_alive, ==, 0);
	expect(metrics.tasks_spawned, ==, 0);
	expect(metrics.polls, ==, 0);
	for (int i = 0; i < 10; i++)
		expect(rota_block_on(rt, spawn_some, (void *)3), ==, 3);
	expect_eventually(rota__runtime_alive(rt) == 0);
	rota_runtime_metrics(rt, &metrics);
	expect(metrics.tasks_spawned, ==, 110);
	expect(metrics.polls, >=, 110);
	expect(metrics.stack_bytes, >=, 64 * 1024);
	expect(metrics.memory_bytes, >, 0);
	expect(metrics.wakeups, >=, metrics.parks);
}

/* As rota_runtime_current is, outside. */
UNIT_TEST(runtime, says_nothing_of_none)
{
	struct rota_metrics metrics;

	memset(&metrics, 1, sizeof(metrics));
	rota_runtime_metrics(rota_runtime_current(), &metrics);
	expect(metrics.workers, ==, 0);
	expect(metrics.tasks_spawned, ==, 0);
	expect(metrics.memory_bytes, ==, 0);
	expect(metrics.stall_reports, ==, 0);
	rota_runtime_trim(NULL);
	expect(rota_runtime_backend(NULL), ==, ROTA_BACKEND_AUTO);
	expect(rota_runtime_shutdown(NULL, 0), ==, -EINVAL);
	rota_runtime_free(NULL);
}

static uint64_t wakeups(rota_runtime *rt)
{
	struct rota_metrics metrics;

	rota_runtime_metrics(rt, &metrics);
	return metrics.wakeups;
}

RUNTIME_TEST(runtime, idle_is_idle)
{
	uint64_t before;

	expect(rota_block_on(rt, spawn_some, (void *)3), ==, 3);
	/* Whatever follows the last task is over some day. */
	do {
		before = wakeups(rt);
		usleep(50000);
	} while (wakeups(rt) != before);
	usleep(300000);
	expect(wakeups(rt), ==, before);
}

static int yield_for_a_while(void *arg)
{
	const uint64_t until = rota_now() + ROTA_MS(50);

	while (rota_now() < until)
		rota_yield();
	return (int)(intptr_t)arg;
}

UNIT_TEST(runtime, a_stall_limit_of_never_keeps_the_reactor_out)
{
	const struct rota_config config = { .workers = 2, .stall_ns = ROTA_NEVER };
	rota_runtime *rt = NULL;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, yield_for_a_while, NULL), ==, 0);
	expect(rota__load(&rt->reactor_wakeups, RELAXED), <, 20);
	rota_runtime_free(rt);
}

static struct rota_atomic_u32 over;

static void *trim_once(void *rt)
{
	rota_runtime_trim(rt);
	return NULL;
}

static void *trim_often(void *rt)
{
	while (rota__load(&over, SEQ_CST) == 0) {
		struct rota_metrics metrics;

		rota_runtime_trim(rt);
		rota_runtime_metrics(rt, &metrics);
		expect(metrics.tasks_alive, <=, metrics.tasks_spawned);
	}
	return NULL;
}

/* More than a run queue has room for before it grows. */
static int spawn_crowd(void *arg)
{
	rota_task *tasks[2 * ROTA__DEQUE_CAPACITY];

	for (intptr_t i = 0; i < 2 * (int)ROTA__DEQUE_CAPACITY; i++)
		tasks[i] = unit_spawn(give, (void *)i);
	for (int i = 0; i < 2 * (int)ROTA__DEQUE_CAPACITY; i++)
		unit_expect_join(tasks[i], i);
	return (int)(intptr_t)arg;
}

static int make_and_drop(void *arg)
{
	struct rota_channel channel;

	expect(rota_channel_init(&channel, sizeof(int), 16), ==, 0);
	rota_channel_deinit(&channel);
	return spawn_crowd(arg);
}

static bool keeps_nothing(rota_runtime *rt)
{
	bool any = rt->tasks.slabs != NULL;

	for (unsigned i = 0; i < rt->worker_count; i++)
		any = any || rt->workers[i].tasks.count > 0 || rt->workers[i].alloc_cache != 0 ||
		      rota__load(&rt->workers[i].deque.ring, RELAXED) != NULL;
	return !any;
}

RUNTIME_TEST(runtime, keeps_nothing_once_it_was_trimmed)
{
	for (int i = 0; i < 3; i++) {
		expect(rota_block_on(rt, make_and_drop, (void *)100), ==, 100);
		expect(keeps_nothing(rt), ==, false);
		rota_runtime_trim(rt);
		expect_eventually(keeps_nothing(rt)); /* also of workers that sleep */
	}
}

static int be_trimmed_from_outside(void *rt)
{
	pthread_t thread;

	expect(pthread_create(&thread, NULL, trim_once, rt), ==, 0);
	pthread_join(thread, NULL);
	expect(rota_sleep(ROTA_MS(1)), ==, 0); /* nothing to do */
	return 0;
}

UNIT_TEST(runtime, is_trimmed_while_somebody_plays_the_worker)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);

	expect(rota_block_on(rt, make_and_drop, (void *)100), ==, 100);
	expect(rt->workers[0].tasks.count, >, 2);
	expect(rota_block_on(rt, be_trimmed_from_outside, rt), ==, 0);
	expect(rt->workers[0].tasks.count, <=, 2);
	rota_runtime_free(rt);
}

RUNTIME_TEST(runtime, may_be_trimmed_at_any_time)
{
	pthread_t thread;

	expect(pthread_create(&thread, NULL, trim_often, rt), ==, 0);
	for (int i = 0; i < 500; i++)
		expect(rota_block_on(rt, spawn_some, (void *)3), ==, 3);
	rota__store(&over, 1, SEQ_CST);
	pthread_join(thread, NULL);
}
