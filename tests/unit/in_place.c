/* SPDX-License-Identifier: MIT */
/*
 * rota_block_in_place: what waits behind the caller goes on while it blocks, what the function sees of its thread, and
 * that the worker is one again afterwards. A function that blocks here does so until others have got on.
 */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "../../runtime/runtime_internal.h"
#include "unit.h"

static struct rota_atomic_u32 others;

static rota_runtime *new_runtime(unsigned workers)
{
	const struct rota_config config = { .workers = workers };
	rota_runtime *rt = NULL;

	unsetenv("ROTA_FLAVOR");
	rota__store(&others, 0, SEQ_CST);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	return rt;
}

static void free_runtime(rota_runtime *rt)
{
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	rota_runtime_free(rt);
}

static void run_on(unsigned workers, rota_fn *fn)
{
	rota_runtime *rt = new_runtime(workers);

	expect(rota_block_on(rt, fn, NULL), ==, 0);
	free_runtime(rt);
}

static int get_on(void *arg)
{
	(void)arg;
	rota__fetch_add(&others, 1, SEQ_CST);
	return 0;
}

static int block_until(void *arg)
{
	const uint32_t n = (uint32_t)(uintptr_t)arg;
	const time_t start = expect_seconds_();

	while (rota__load(&others, SEQ_CST) < n) {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		usleep(100);
	}
	return 7;
}

static void *number(unsigned n)
{
	return (void *)(uintptr_t)n;
}

static int queue_and_block(void *arg)
{
	rota_task *tasks[20];

	(void)arg;
	for (unsigned i = 0; i < 20; i++)
		tasks[i] = unit_spawn(get_on, NULL);
	expect(rota_block_in_place(block_until, number(20)), ==, 7);
	for (unsigned i = 0; i < 20; i++)
		unit_expect_join(tasks[i], 0);
	return 0;
}

/* Nothing waits any more for the thread that is about to block, even before the monitor comes: which here comes only
 * when it is told. */
static int nothing_is_left(void *arg)
{
	const struct rota__worker *worker = arg;

	expect(rota__deque_length(&worker->deque), ==, 0);
	expect(rota__next_waits(&worker->next), ==, false);
	expect(worker->unsubmitted, ==, false);
	expect(rota__load(&worker->blocked, RELAXED), ==, 1);
	return block_until(number(20));
}

/* A stackless task with an operation that is not submitted yet, and tasks that are queued behind it. */
struct full_hands {
	struct rota_future future;
	struct rota_op op;
	rota_task *tasks[20];
	int fd;
	char byte;
	bool begun;
};

static rota_poll full_hands_poll(struct rota_future *self, struct rota_context *cx)
{
	struct full_hands *full = (struct full_hands *)(void *)self;
	struct rota__worker *worker = rota__worker_self();

	if (!full->begun) {
		full->begun = true;
		rota_op_recv(&full->op, full->fd, &full->byte, 1, 0);
		expect(rota_future_poll(&full->op.future, cx), ==, ROTA_PENDING);
		for (unsigned i = 0; i < 20; i++)
			full->tasks[i] = unit_spawn(get_on, NULL);
		expect(rota_block_in_place(nothing_is_left, worker), ==, 7);
		expect(rota__load(&worker->blocked, RELAXED), ==, 0);
	}
	if (rota_future_poll(&full->op.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = full->op.future.status;
	return ROTA_READY;
}

static int leave_nothing(void *arg)
{
	static const struct rota_future_ops ops = { .poll = full_hands_poll };
	struct full_hands full = { .begun = false };
	rota_task *task;
	int pair[2];

	(void)arg;
	expect(rota_socketpair(SOCK_STREAM, pair), ==, 0);
	full.fd = pair[0];
	rota_future_init(&full.future, &ops);
	task = unit_spawn_future(&full.future);
	unit_until_resting(task);
	expect(rota_send(pair[1], "x", 1, 0), ==, 1);
	unit_expect_join(task, 1);
	for (unsigned i = 0; i < 20; i++)
		unit_expect_join(full.tasks[i], 0);
	expect(rota_close(pair[0]), ==, 0);
	expect(rota_close(pair[1]), ==, 0);
	return 0;
}

UNIT_TEST(in_place, leaves_nothing_behind_and_tells_the_monitor)
{
	const struct rota_config config = { .workers = 1, .stall_ns = ROTA_SECONDS(1000) };
	rota_runtime *rt = NULL;

	unsetenv("ROTA_FLAVOR");
	rota__store(&others, 0, SEQ_CST);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, leave_nothing, NULL), ==, 0);
	free_runtime(rt);
}

UNIT_TEST(in_place, gives_the_queue_away)
{
	run_on(2, queue_and_block);
}

UNIT_TEST(in_place, calls_a_spare_when_no_other_worker_is_free)
{
	run_on(1, queue_and_block);
}

/*
 * Stacks that spares keep for themselves are no others' reserve. Each level runs on a spare of its own and leaves it blocked,
 * with as many free stacks as a cache may hold, and without a reservation that would make up for them: what it has
 * reserved is used by fibers that start on the next spare, and wait.
 */
#define LEVELS 6u

static struct rota_semaphore gate;

static int yield_once(void *arg)
{
	(void)arg;
	return rota_yield();
}

static void fill_cache(void)
{
	rota_task *tasks[ROTA__STACK_CACHE_MAX - 1];

	for (unsigned i = 0; i < ROTA__STACK_CACHE_MAX - 1; i++)
		tasks[i] = unit_spawn(yield_once, NULL);
	for (unsigned i = 0; i < ROTA__STACK_CACHE_MAX - 1; i++)
		unit_expect_join(tasks[i], 0);
}

static int wait_at_gate(void *arg)
{
	(void)arg;
	return rota_semaphore_acquire(&gate, 1);
}

static int level(void *arg)
{
	const unsigned depth = (unsigned)(uintptr_t)arg;
	const struct rota__stack_cache *cache;

	if (depth == LEVELS) {
		expect(rota_semaphore_release(&gate, LEVELS * ROTA__STACK_CREDIT_MAX), ==, 0);
		rota__store(&others, 1, SEQ_CST);
		return 0;
	}
	fill_cache();
	cache = &rota__worker_self()->stacks;
	while (cache->credit != 1)
		expect(rota_spawn(NULL, wait_at_gate, NULL), ==, 0);
	expect(rota_spawn(NULL, level, number(depth + 1)), ==, 0);
	expect(cache->credit, ==, 0);
	expect(rota_block_in_place(block_until, number(1)), ==, 7);
	return 0;
}

UNIT_TEST(in_place, stacks_that_blocked_spares_keep_are_missed_by_nobody)
{
	rota_runtime *rt = new_runtime(1);

	rota_semaphore_init(&gate, 0);
	expect(rota_block_on(rt, level, NULL), ==, 0);
	while (rota__runtime_alive(rt) > 0)
		usleep(1000);
	free_runtime(rt);
}

static int block_twice(void *arg)
{
	for (int i = 0; i < 20; i++) {
		rota__store(&others, 0, SEQ_CST);
		expect(queue_and_block(arg), ==, 0);
	}
	return 0;
}

UNIT_TEST(in_place, may_be_done_again_and_again)
{
	run_on(1, block_twice);
}

static int in_place_until(void *arg)
{
	rota__fetch_add(&others, 1, SEQ_CST);
	expect(rota_block_in_place(block_until, arg), ==, 7);
	return 0;
}

/* Tasks that wait for each other, more than workers and spares for those who compute. */
#define BLOCKERS 20u
static int all_block(void *arg)
{
	rota_task *tasks[BLOCKERS];

	(void)arg;
	for (unsigned i = 0; i < BLOCKERS; i++)
		tasks[i] = unit_spawn(in_place_until, number(BLOCKERS));
	for (unsigned i = 0; i < BLOCKERS; i++)
		unit_expect_join(tasks[i], 0);
	return 0;
}

UNIT_TEST(in_place, replaces_every_worker)
{
	run_on(2, all_block);
}

static int sleep_and_get_on(void *arg)
{
	expect(rota_sleep(ROTA_MS(5)), ==, 0);
	return get_on(arg);
}

static int block_before_timers(void *arg)
{
	rota_task *task = unit_spawn(sleep_and_get_on, NULL);

	(void)arg;
	unit_until_resting(task);
	expect(rota_block_in_place(block_until, number(1)), ==, 7);
	unit_expect_join(task, 0);
	return 0;
}

UNIT_TEST(in_place, keeps_timers_going)
{
	run_on(1, block_before_timers);
}

static int answer(void *arg)
{
	const int *ends = arg;
	char byte = 0;

	expect(rota_recv(ends[0], &byte, 1, 0), ==, 1);
	expect(rota_send(ends[0], &byte, 1, 0), ==, 1);
	return 0;
}

static int ask(void *arg)
{
	const int *ends = arg;
	char byte = 'x';

	expect(write(ends[1], &byte, 1), ==, 1);
	expect(read(ends[1], &byte, 1), ==, 1);
	return byte;
}

static int block_before_operations(void *arg)
{
	rota_task *task;
	int ends[2];

	(void)arg;
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
	for (unsigned i = 0; i < 20000; i++) /* tasks are short here: operations are submitted late */
		expect(rota_yield(), ==, 0);
	task = unit_spawn(answer, ends);
	unit_until_resting(task);
	expect(rota_block_in_place(ask, ends), ==, 'x');
	unit_expect_join(task, 0);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

UNIT_TEST(in_place, submits_what_is_not_submitted_and_keeps_operations_going)
{
	run_on(1, block_before_operations);
}

/* Waits on a descriptor that says "not now": the operation is made again by whoever sees that. */
static int block_before_nonblocking(void *arg)
{
	rota_task *task;
	int ends[2];

	(void)arg;
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), ==, 0);
	expect(fcntl(ends[1], F_SETFL, 0), ==, 0);
	for (unsigned i = 0; i < 20000; i++)
		expect(rota_yield(), ==, 0);
	task = unit_spawn(answer, ends);
	unit_until_resting(task);
	expect(rota_block_in_place(ask, ends), ==, 'x');
	unit_expect_join(task, 0);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

UNIT_TEST(in_place, keeps_operations_going_that_must_be_made_again)
{
	run_on(1, block_before_nonblocking);
}

static int wait_in_vain(void *arg)
{
	char byte;

	return (int)rota_recv(*(const int *)arg, &byte, 1, 0);
}

static int cancel_and_join(void *arg)
{
	int status = 0;

	expect(rota_cancel(arg), ==, 0);
	expect(rota_join(arg, &status), ==, 0);
	return status;
}

/* The operation is in the ring of the very worker that waits for it to be cancelled. */
static int cancel_in_place(void *arg)
{
	rota_task *task;
	int ends[2];

	(void)arg;
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
	for (unsigned i = 0; i < 200; i++) {
		task = unit_spawn(wait_in_vain, ends);
		unit_until_resting(task);
		if (i % 2 == 1)
			expect(rota_sleep(1), ==, 0); /* it has been submitted */
		expect(rota_block_in_place(cancel_and_join, task), ==, -ECANCELED);
	}
	close(ends[0]);
	close(ends[1]);
	return 0;
}

UNIT_TEST(in_place, lets_others_be_cancelled)
{
	run_on(1, cancel_in_place);
	run_on(2, cancel_in_place);
}

static int close_it(void *arg)
{
	return rota_close(*(const int *)arg);
}

/* A close waits for what others have under way on the descriptor, here in the ring of the worker that waits. */
static int close_in_place(void *arg)
{
	rota_task *task;
	int ends[2];

	(void)arg;
	for (unsigned i = 0; i < 50; i++) {
		expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
		task = unit_spawn(wait_in_vain, ends);
		unit_until_resting(task);
		if (i % 2 == 1)
			expect(rota_sleep(1), ==, 0);
		expect(rota_block_in_place(close_it, ends), ==, 0);
		unit_expect_join(task, -ECANCELED);
		close(ends[1]);
	}
	return 0;
}

UNIT_TEST(in_place, lets_descriptors_be_closed)
{
	run_on(1, close_in_place);
	run_on(2, close_in_place);
}

/* --- what the function sees ------------------------------------------------------------------------------------- */

static int nested(void *arg)
{
	expect_pointer(rota__worker_self(), ==, NULL);
	return get_on(arg);
}

static int look_around(void *arg)
{
	rota_runtime *rt = arg;
	rota_task *task = NULL;
	int status = -1;

	expect(rota_task_id(), ==, 0);
	expect_pointer(rota_runtime_current(), ==, rt);
	expect(rota_sleep(ROTA_MS(1)), ==, 0); /* blocks this thread */
	expect(rota_spawn(&task, get_on, NULL), ==, 0);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, 0);
	expect(rota_block_on(rt, get_on, NULL), ==, 0);
	expect(rota_block_in_place(nested, NULL), ==, 0);
	return -EDOM;
}

static int see(void *arg)
{
	const struct rota__worker *worker = rota__worker_self();
	const uint64_t id = rota_task_id();
	const pthread_t thread = pthread_self();

	(void)arg;
	expect(rota_block_in_place(look_around, rota_runtime_current()), ==, -EDOM);
	expect(rota_task_id(), ==, id);
	expect_pointer(rota__worker_self(), ==, worker);
	expect(pthread_equal(pthread_self(), thread), !=, 0);
	expect(rota__load(&others, SEQ_CST), ==, 3);
	expect(rota_yield(), ==, 0); /* and may go on as any task */
	unit_expect_join(unit_spawn(get_on, NULL), 0);
	return 0;
}

UNIT_TEST(in_place, is_as_a_thread_outside)
{
	run_on(1, see);
}

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_NEVER);
}

static int spawn_into(void *scope)
{
	rota_task *task = NULL;
	int status = 0;

	expect(rota_scope_spawn(scope, &task, sleep_for_ever, NULL), ==, 0);
	expect(rota_join(task, &status), ==, 0);
	return status;
}

/* Its first child comes from where no worker is at hand. */
static int spawn_into_a_timed_scope(void *arg)
{
	struct rota_scope scope;

	(void)arg;
	expect(rota_scope_open(&scope, ROTA_MS(20)), ==, 0);
	expect(rota_block_in_place(spawn_into, &scope), ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	return 0;
}

UNIT_TEST(in_place, scopes_have_their_time_limits)
{
	run_on(1, spawn_into_a_timed_scope);
	run_on(2, spawn_into_a_timed_scope);
}

static rota_poll poll_in_place(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	self->status = rota_block_in_place(block_until, number(1));
	return ROTA_READY;
}

static const struct rota_future_ops blocking_ops = { .poll = poll_in_place };

static int poll_and_block(void *arg)
{
	struct rota_future future;
	rota_task *task, *other;

	(void)arg;
	rota_future_init(&future, &blocking_ops);
	task = unit_spawn_future(&future);
	other = unit_spawn(get_on, NULL);
	unit_expect_join(task, 7);
	unit_expect_join(other, 0);
	return 0;
}

UNIT_TEST(in_place, works_inside_the_poll_of_a_stackless_task)
{
	run_on(1, poll_and_block);
}

static int return_nine(void *arg)
{
	*(bool *)arg = true;
	return 9;
}

static int call_it(void *arg)
{
	return rota_block_in_place(return_nine, arg);
}

static int from_a_job(void *arg)
{
	bool called = false;

	(void)arg;
	expect(rota_offload(call_it, &called), ==, 9);
	expect(called, ==, true);
	return 0;
}

UNIT_TEST(in_place, just_calls_where_blocking_is_fine)
{
	bool called = false;

	expect(rota_block_in_place(return_nine, &called), ==, 9);
	expect(called, ==, true);
	run_on(1, from_a_job);
}

static int refuse(void *arg)
{
	bool called = false;

	expect(rota_block_in_place(NULL, arg), ==, -EINVAL);
	expect(rota_block_in_place(return_nine, &called), ==, -ENOTSUP);
	expect(called, ==, false);
	return 0;
}

UNIT_TEST(in_place, is_refused_with_the_current_thread_flavor)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);

	expect(rota_block_on(rt, refuse, NULL), ==, 0);
	free_runtime(rt);
}

UNIT_TEST(in_place, wants_a_function)
{
	expect(rota_block_in_place(NULL, NULL), ==, -EINVAL);
}
