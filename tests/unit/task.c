/* SPDX-License-Identifier: MIT */
/*
 * Tasks: what a handle can do and what it refuses, where a spawn may come from, numbers and names, tasks that stay on
 * their thread. cancel.c has cancellation, spawn_memory.c spawning without memory, worker.c the order in which tasks
 * run; stress/spawn.c and stress/join_cancel.c have the races.
 */
#define _GNU_SOURCE
#include "../../runtime/task_internal.h"

#include <sys/syscall.h>

#include "../../runtime/runtime_internal.h"
#include "../../runtime/sys_internal.h"
#include "unit.h"

static int give(void *arg)
{
	return (int)(intptr_t)arg;
}

static int wait_for(void *event)
{
	return unit_event_wait(event);
}

/* --- status, join, detach ------------------------------------------------------------------------------------------- */

TASK_TEST(task, its_status_is_what_it_returns)
{
	static const int statuses[] = { 0, 1, 42, INT32_MAX, -1, -EIO, -ECANCELED, INT32_MIN };

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		unit_expect_join(unit_spawn(give, (void *)(intptr_t)statuses[i]), statuses[i]);
}

TASK_TEST(task, a_join_needs_no_status)
{
	expect(rota_join(unit_spawn(give, NULL), NULL), ==, 0);
}

TASK_TEST(task, a_join_comes_before_or_after_the_end)
{
	struct unit_event event = { 0 };
	rota_task *task = unit_spawn(wait_for, &event), *setter;

	unit_until_resting(task);
	unit_event_set(&event);
	unit_expect_join(task, 0);
	setter = unit_spawn(give, (void *)7);
	unit_until_alive(rota_runtime_current(), 1);
	unit_expect_join(setter, 7);
}

/* More tasks than a fiber may find ended before it has to let others run. */
#define ENDED 200u

static int say_so(void *said)
{
	rota__store((struct rota_atomic_u32 *)said, 1, SEQ_CST);
	return 0;
}

TASK_TEST(task, joins_of_what_has_ended_let_others_run)
{
	rota_task *ended[ENDED], *other;
	struct rota_atomic_u32 said = { 0 };

	for (unsigned i = 0; i < ENDED; i++)
		ended[i] = unit_spawn(give, NULL);
	unit_until_alive(rota_runtime_current(), 1);
	other = unit_spawn(say_so, &said);
	for (unsigned i = 0; i < ENDED; i++)
		unit_expect_join(ended[i], 0);
	if (unit_flavor == ROTA_FLAVOR_CURRENT_THREAD) /* elsewhere it may be on another thread, and not get on there */
		expect(rota__load(&said, SEQ_CST), ==, 1);
	unit_expect_join(other, 0);
}

TASK_TEST(task, what_is_no_task_is_refused)
{
	struct rota_join_op op;
	int status = 5;

	expect(rota_join(NULL, &status), ==, -EINVAL);
	expect(status, ==, 5);
	expect(rota_cancel(NULL), ==, -EINVAL);
	rota_join_init(&op, NULL);
	expect(rota_await(&op.future), ==, -EINVAL);
	rota_detach(NULL);
}

static struct {
	rota_task *self;
	struct unit_event told;
} narcissus;

static int join_self(void *arg)
{
	struct rota_join_op op;
	int status = 5;

	(void)arg;
	expect(unit_event_wait(&narcissus.told), ==, 0);
	expect(rota_join(narcissus.self, &status), ==, -EDEADLK);
	expect(status, ==, 5);
	rota_join_init(&op, narcissus.self);
	expect(rota_await(&op.future), ==, -EDEADLK);
	return 8;
}

TASK_TEST(task, a_task_that_joins_itself_is_refused)
{
	narcissus.self = unit_spawn(join_self, NULL);
	unit_event_set(&narcissus.told);
	unit_expect_join(narcissus.self, 8);
}

static int join_it(void *task)
{
	int status;
	int rc = rota_join(task, &status);

	return rc < 0 ? rc : status;
}

TASK_TEST(task, a_second_waiter_is_refused)
{
	struct unit_event event = { 0 };
	rota_task *task = unit_spawn(wait_for, &event);
	rota_task *first = unit_spawn(join_it, task);
	int status = 5;

	unit_until_resting(task);
	unit_until_resting(first);
	expect(rota_join(task, &status), ==, -EBUSY);
	expect(status, ==, 5);
	unit_event_set(&event);
	unit_expect_join(first, 0);
}

TASK_TEST(task, a_cancelled_joiner_leaves_the_handle)
{
	struct unit_event event = { 0 };
	rota_task *task = unit_spawn(wait_for, &event);
	rota_task *joiner = unit_spawn(join_it, task);

	unit_until_resting(joiner);
	rota_cancel(joiner);
	unit_expect_join(joiner, -ECANCELED);
	/* The place of the waiter is free again. */
	joiner = unit_spawn(join_it, task);
	unit_until_resting(joiner);
	unit_event_set(&event);
	unit_expect_join(joiner, 0);
}

TASK_TEST(task, a_join_op_does_not_free_the_handle)
{
	struct unit_event event = { 0 };
	rota_task *task = unit_spawn(wait_for, &event);
	struct rota_join_op op;

	unit_until_resting(task);
	unit_event_set(&event);
	rota_join_init(&op, task);
	expect(rota_await(&op.future), ==, 0);
	rota_join_init(&op, task);
	expect(rota_await(&op.future), ==, 0);
	unit_expect_join(task, 0);
}

TASK_TEST(task, a_cancelled_join_op_lets_another_wait)
{
	struct unit_event event = { 0 };
	rota_task *task = unit_spawn(wait_for, &event);
	struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };
	struct rota_join_op op;

	/* Cancelled before its first poll, and after it. */
	for (int polls = 0; polls < 2; polls++) {
		rota_join_init(&op, task);
		if (polls > 0)
			expect(rota_future_poll(&op.future, &cx), ==, ROTA_PENDING);
		rota_future_cancel(&op.future);
		rota_future_cancel(&op.future);
		expect(rota_future_poll(&op.future, &cx), ==, ROTA_READY);
		expect(op.future.status, ==, -ECANCELED);
	}
	unit_event_set(&event);
	unit_expect_join(task, 0);
}

static rota_runtime *current;
static struct rota_atomic_u32 counted;

static int count(void *arg)
{
	rota__fetch_add(&counted, 1, SEQ_CST);
	return arg != NULL ? unit_event_wait(arg) : 0;
}

TASK_TEST(task, a_detached_task_goes_on)
{
	struct unit_event event = { 0 };
	rota_task *task;

	current = rota_runtime_current();
	/* Before it starts, while it waits, after its end, and from the beginning. */
	rota_detach(unit_spawn(count, NULL));
	task = unit_spawn(count, &event);
	unit_until_resting(task);
	rota_detach(task);
	unit_event_set(&event);
	unit_until_alive(current, 1);
	task = unit_spawn(count, NULL);
	unit_until_alive(current, 1);
	rota_detach(task);
	expect(rota_spawn(NULL, count, NULL), ==, 0);
	expect(rota_spawn_local(NULL, count, NULL), ==, 0);
	expect(rota_spawn_with(NULL, NULL, count, NULL), ==, 0);
	expect(rota_spawn_on(current, NULL, count, NULL), ==, 0);
	expect(rota_spawn_blocking(NULL, count, NULL), ==, 0);
	unit_until_alive(current, 1);
	expect(rota__load(&counted, SEQ_CST), ==, 8);
}

static int spawn_and_join_many(void *arg)
{
	const unsigned n = (unsigned)(uintptr_t)arg;
	rota_task *tasks[1000];

	for (unsigned done = 0; done < n; done += 1000) {
		for (intptr_t i = 0; i < 1000; i++)
			tasks[i] = unit_spawn(give, (void *)i);
		for (int i = 0; i < 1000; i++)
			unit_expect_join(tasks[i], i);
	}
	return 0;
}

TASK_TEST(task, many_are_spawned_and_joined)
{
	rota_task *spawners[4];

	for (int i = 0; i < 4; i++)
		spawners[i] = unit_spawn(spawn_and_join_many, (void *)20000);
	for (int i = 0; i < 4; i++)
		unit_expect_join(spawners[i], 0);
	unit_until_alive(rota_runtime_current(), 1);
}

static int chain(void *arg)
{
	const intptr_t left = (intptr_t)arg;

	if (left == 0)
		return 99;
	return join_it(unit_spawn(chain, (void *)(left - 1)));
}

TASK_TEST(task, a_long_chain_of_joins_ends)
{
	unit_expect_join(unit_spawn(chain, (void *)2000), 99);
}

/* --- from outside ------------------------------------------------------------------------------------------------------ */

static void expect_spawns(int rc)
{
	rota_task *task = NULL;

	expect(rota_spawn(&task, give, NULL), ==, rc);
	expect(rota_spawn_local(&task, give, NULL), ==, rc);
	expect(rota_spawn_with(&task, NULL, give, NULL), ==, rc);
	expect(rota_spawn_blocking(&task, give, NULL), ==, rc);
	expect_pointer(task, ==, NULL);
}

RUNTIME_TEST(task, a_plain_thread_has_no_runtime_to_spawn_on)
{
	expect_pointer(rota_runtime_current(), ==, NULL);
	expect_spawns(-ENXIO);
}

RUNTIME_TEST(task, a_plain_thread_names_the_runtime)
{
	rota_task *task = NULL;

	expect(rota_spawn_on(NULL, &task, give, NULL), ==, -EINVAL);
	expect_pointer(task, ==, NULL);
	expect(rota_spawn_on(rt, &task, give, (void *)6), ==, 0);
	if (unit_flavor == ROTA_FLAVOR_CURRENT_THREAD)
		expect(rota_block_on(rt, join_it, task), ==, 6);
	else
		unit_expect_join(task, 6);
}

TASK_TEST(task, a_null_function_is_refused)
{
	rota_task *task = NULL;

	expect(rota_spawn(&task, NULL, NULL), ==, -EINVAL);
	expect(rota_spawn_local(&task, NULL, NULL), ==, -EINVAL);
	expect(rota_spawn_with(&task, NULL, NULL, NULL), ==, -EINVAL);
	expect(rota_spawn_on(rota_runtime_current(), &task, NULL, NULL), ==, -EINVAL);
	expect(rota_spawn_blocking(&task, NULL, NULL), ==, -EINVAL);
	expect_pointer(task, ==, NULL);
}

TASK_TEST(task, an_unknown_flag_is_refused)
{
	const struct rota_task_attr attr = { .flags = 2 };
	rota_task *task = NULL;

	expect(rota_spawn_with(&task, &attr, give, NULL), ==, -EINVAL);
	expect_pointer(task, ==, NULL);
}

RUNTIME_TEST(task, nothing_is_spawned_after_a_shutdown)
{
	rota_task *task = NULL;

	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect(rota_spawn_on(rt, &task, give, NULL), ==, -ESHUTDOWN);
	expect(rota_block_on(rt, give, NULL), ==, -ESHUTDOWN);
	expect_pointer(task, ==, NULL);
}

static struct unit_event closing_begins;

static int spawn_while_closing(void *arg)
{
	expect(unit_event_wait(&closing_begins), ==, -ECANCELED);
	expect_spawns(-ESHUTDOWN);
	return (int)(intptr_t)arg;
}

RUNTIME_TEST(task, nothing_is_spawned_during_a_shutdown)
{
	expect(rota_spawn_on(rt, NULL, spawn_while_closing, NULL), ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
}

static int job_spawns(void *arg)
{
	rota_task *task = NULL;

	(void)arg;
	expect(rota_task_id(), ==, 0); /* a pool thread runs a function, not a task that could suspend */
	expect(rota_spawn_local(&task, give, NULL), ==, -ENXIO);
	expect(rota_spawn(&task, give, (void *)3), ==, 0);
	unit_expect_join(task, 3);
	expect(rota_spawn_blocking(&task, give, (void *)4), ==, 0);
	unit_expect_join(task, 4);
	return 5;
}

TASK_TEST(task, a_blocking_job_spawns_and_joins)
{
	rota_task *task;

	expect(rota_spawn_blocking(&task, job_spawns, NULL), ==, 0);
	unit_expect_join(task, 5);
}

static int spawn_on_the_other(void *arg)
{
	rota_task *task = NULL;

	expect(rota_spawn_on(arg, &task, spawn_and_join_many, (void *)3000), ==, 0);
	unit_expect_join(task, 0);
	return 0;
}

RUNTIME_TEST(task, tasks_of_two_runtimes_join_each_other)
{
	const struct rota_config config = { .workers = 2 };
	rota_runtime *other = NULL;

	expect(rota_runtime_new(&other, &config), ==, 0);
	expect(rota_block_on(rt, spawn_on_the_other, other), ==, 0);
	if (unit_flavor == ROTA_FLAVOR_MULTI_THREAD)
		expect(rota_block_on(other, spawn_on_the_other, rt), ==, 0);
	rota_runtime_free(other);
}

/* --- numbers and names -------------------------------------------------------------------------------------------------------- */

#define IDS 30000

static uint64_t ids[IDS];
static struct rota_atomic_u32 id_count;

static int note_id(void *arg)
{
	const uint64_t id = rota_task_id();

	(void)arg;
	ids[rota__fetch_add(&id_count, 1, SEQ_CST)] = id;
	rota_yield();
	expect(rota_task_id(), ==, id);
	return 0;
}

static int spawn_noting(void *arg)
{
	for (uintptr_t i = 0; i < (uintptr_t)arg; i++)
		expect(rota_join(unit_spawn(note_id, NULL), NULL), ==, 0);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

RUNTIME_TEST(task, numbers_are_unique_in_the_process)
{
	rota_runtime *other = unit_runtime(ROTA_FLAVOR_MULTI_THREAD);
	rota_task *tasks[4];

	for (int i = 0; i < 4; i++)
		expect(rota_spawn_on(other, &tasks[i], spawn_noting, (void *)(IDS / 10)), ==, 0);
	expect(rota_block_on(rt, spawn_noting, (void *)(IDS / 10)), ==, 0);
	for (int i = 0; i < 4; i++)
		expect(rota_join(tasks[i], NULL), ==, 0);
	/* From outside each has a number as well. */
	for (int i = 0; i < 100; i++)
		expect(rota_block_on(other, note_id, NULL), ==, 0);
	rota_runtime_free(other);
	qsort(ids, id_count.value, sizeof(ids[0]), by_value);
	expect(ids[0], !=, 0);
	for (unsigned i = 1; i < id_count.value; i++)
		expect(ids[i], >, ids[i - 1]);
	expect(rota_task_id(), ==, 0);
}

static int expect_name(void *arg)
{
	expect_text(rota_task_name(), arg);
	rota_yield();
	expect_text(rota_task_name(), arg);
	return 0;
}

TASK_TEST(task, names_are_kept_up_to_15_characters)
{
	static const char *const names[][2] = {
		{ NULL, "" },
		{ "", "" },
		{ "a", "a" },
		{ "exactly 15 long", "exactly 15 long" },
		{ "this is 16 long.", "this is 16 long" },
		{ "a name that is by far too long to be kept", "a name that is " },
	};

	/* Twice, so that headers that had a name are used again. */
	for (size_t i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++) {
		const char *const *name = names[i % (sizeof(names) / sizeof(names[0]))];
		char copy[64] = "";
		struct rota_task_attr attr = { .name = name[0] != NULL ? strcpy(copy, name[0]) : NULL };
		rota_task *task = NULL;

		expect(rota_spawn_with(&task, &attr, expect_name, (void *)(uintptr_t)name[1]), ==, 0);
		memset(copy, 'x', sizeof(copy)); /* it was copied */
		unit_expect_join(task, 0);
	}
	unit_expect_join(unit_spawn(expect_name, ""), 0);
}

RUNTIME_TEST(task, a_plain_thread_has_neither)
{
	expect(rota_task_id(), ==, 0);
	expect_text(rota_task_name(), "");
}

/* --- local tasks ---------------------------------------------------------------------------------------------------------------- */

static int stay(void *arg)
{
	const long here = syscall(SYS_gettid);

	for (int i = 0; i < 50; i++) {
		rota_yield();
		expect(syscall(SYS_gettid), ==, here);
		expect(rota_sleep(1), ==, 0);
		expect(syscall(SYS_gettid), ==, here);
		/* Woken by another thread: by a task of the pool, which may be anywhere, and by a blocking job. */
		unit_expect_join(unit_spawn(give, NULL), 0);
		expect(syscall(SYS_gettid), ==, here);
		expect(rota_offload(give, arg), ==, (int)(intptr_t)arg);
		expect(syscall(SYS_gettid), ==, here);
	}
	return (int)here;
}

static int spawn_locals(void *arg)
{
	/* Read before the first wait: afterwards this task may be elsewhere. */
	const struct rota_task_attr attr = { .flags = ROTA_TASK_LOCAL, .name = "local" };
	rota_task *tasks[4];
	const long here = syscall(SYS_gettid);

	for (int i = 0; i < 4; i++) {
		if (i % 2)
			expect(rota_spawn_local(&tasks[i], stay, arg), ==, 0);
		else
			expect(rota_spawn_with(&tasks[i], &attr, stay, arg), ==, 0);
	}
	for (int i = 0; i < 4; i++)
		unit_expect_join(tasks[i], (int)here);
	return 0;
}

TASK_TEST(task, a_local_task_stays_on_the_thread_that_spawned_it)
{
	rota_task *spawners[4];

	for (intptr_t i = 0; i < 4; i++)
		spawners[i] = unit_spawn(spawn_locals, (void *)i);
	for (int i = 0; i < 4; i++)
		unit_expect_join(spawners[i], 0);
}
