/* SPDX-License-Identifier: MIT */
/*
 * Scopes: children end before close returns, in which order, what failures and timeouts do, limits, nesting, cancels
 * from everywhere, wrong use.
 */
#define _GNU_SOURCE
#include "../../runtime/alloc_internal.h"
#include "countdown.h"
#include "unit.h"

/* --- children ----------------------------------------------------------------------------------------------------------- */

static int add_one(void *arg)
{
	rota__fetch_add((struct rota_atomic_u32 *)arg, 1, SEQ_CST);
	return 0;
}

static int sleep_and_add_one(void *arg)
{
	int rc = rota_sleep(ROTA_MS(2));

	return rc < 0 ? rc : add_one(arg);
}

TASK_TEST(scope, close_waits_for_all)
{
	for (unsigned n = 0; n < 50; n++) {
		struct rota_atomic_u32 count = { 0 };
		struct rota_scope scope;

		expect(rota_scope_open(&scope, 0), ==, 0);
		for (unsigned i = 0; i < n; i++)
			expect(rota_scope_spawn(&scope, NULL, i % 3 ? add_one : sleep_and_add_one, &count), ==, 0);
		expect(rota_scope_close(&scope), ==, 0);
		expect(count.value, ==, n);
	}
}

static int yield_until_set(void *arg)
{
	while (rota__load((struct rota_atomic_u32 *)arg, SEQ_CST) == 0)
		expect(rota_yield(), ==, 0);
	return 0;
}

/* Who runs after the children, on the same worker, neither waits nor ends. */
TASK_TEST(scope, close_does_not_wait_for_strangers)
{
	for (int i = 0; i < 20; i++) {
		struct rota_atomic_u32 count = { 0 }, closed = { 0 };
		struct rota_scope scope;
		rota_task *stranger;

		expect(rota_scope_open(&scope, 0), ==, 0);
		for (int k = 0; k < 3; k++)
			expect(rota_scope_spawn(&scope, NULL, add_one, &count), ==, 0);
		stranger = unit_spawn(yield_until_set, &closed);
		expect(rota_scope_close(&scope), ==, 0);
		rota__store(&closed, 1, SEQ_CST);
		expect(count.value, ==, 3);
		unit_expect_join(stranger, 0);
	}
}

static int open_and_close(void *arg)
{
	(void)arg;
	for (unsigned n = 0; n < 100; n++) {
		struct rota_atomic_u32 count = { 0 };
		struct rota_scope scope;

		expect(rota_scope_open(&scope, 0), ==, 0);
		for (unsigned i = 0; i < n % 10; i++)
			expect(rota_scope_spawn(&scope, NULL, add_one, &count), ==, 0);
		expect(rota_scope_close(&scope), ==, 0);
		expect(count.value, ==, n % 10);
	}
	return 0;
}

/* Their children take turns on the same workers. */
TASK_TEST(scope, many_close_at_once)
{
	rota_task *tasks[10];

	for (int i = 0; i < 10; i++)
		tasks[i] = unit_spawn(open_and_close, NULL);
	for (int i = 0; i < 10; i++)
		unit_expect_join(tasks[i], 0);
}

TASK_TEST(scope, takes_every_kind_of_task)
{
	struct rota_atomic_u32 count = { 0 };
	struct countdown future = countdown(5, 7, true);
	const struct rota_task_attr attr = { .name = "child", .stack_size = 32768 };
	struct rota_scope scope;
	rota_task *task;

	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, add_one, &count), ==, 0);
	expect(rota_scope_spawn_with(&scope, NULL, &attr, sleep_and_add_one, &count), ==, 0);
	expect(rota_scope_spawn_blocking(&scope, NULL, add_one, &count), ==, 0);
	expect(rota_scope_spawn_future(&scope, &task, &future.future), ==, 0);
	unit_expect_join(task, 7); /* a handle is an ordinary one */
	expect(rota_scope_spawn(&scope, &task, add_one, &count), ==, 0);
	rota_detach(task);
	expect(rota_scope_close(&scope), ==, 0);
	expect(count.value, ==, 4);
	expect(future.polls, ==, 5);
}

static int use_the_openers_stack(void *arg)
{
	int *cell = arg;

	for (int i = 0; i < 10; i++) {
		rota_yield();
		++*cell;
	}
	return 0;
}

TASK_TEST(scope, children_use_the_openers_stack)
{
	int cells[16] = { 0 };
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, 0);
	for (int i = 0; i < 16; i++)
		expect(rota_scope_spawn(&scope, NULL, use_the_openers_stack, &cells[i]), ==, 0);
	expect(rota_scope_close(&scope), ==, 0);
	for (int i = 0; i < 16; i++)
		expect(cells[i], ==, 10);
}

struct family {
	struct rota_scope scope;
	struct rota_atomic_u32 count;
};

static int have_a_sibling(void *arg)
{
	struct family *family = arg;

	rota__fetch_add(&family->count, 1, SEQ_CST);
	return rota_scope_spawn(&family->scope, NULL, add_one, &family->count);
}

TASK_TEST(scope, children_spawn_siblings)
{
	struct family family = { .count = { 0 } };

	expect(rota_scope_open(&family.scope, 0), ==, 0);
	for (int i = 0; i < 20; i++)
		expect(rota_scope_spawn(&family.scope, NULL, have_a_sibling, &family), ==, 0);
	expect(rota_scope_close(&family.scope), ==, 0);
	expect(family.count.value, ==, 40);
}

/* --- as a join set ------------------------------------------------------------------------------------------------------ */

static int end_with(void *status)
{
	return (int)(intptr_t)status;
}

struct ordered {
	struct unit_event event;
	int number;
};

static int end_when_told(void *arg)
{
	struct ordered *child = arg;
	int rc = unit_event_wait(&child->event);

	return rc < 0 ? rc : child->number;
}

TASK_TEST(scope, next_comes_in_order_of_ends)
{
	static const int order[] = { 1, 2, 0 };
	struct ordered children[3] = { { .number = 0 }, { .number = 1 }, { .number = 2 } };
	struct rota_scope scope;
	int status = 0;

	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_next(&scope, &status), ==, -ENOENT);
	for (int i = 0; i < 3; i++)
		expect(rota_scope_spawn(&scope, NULL, end_when_told, &children[i]), ==, 0);
	for (int i = 0; i < 3; i++) {
		unit_event_set(&children[order[i]].event);
		expect(rota_scope_next(&scope, i < 2 ? &status : NULL), ==, 0);
		expect(status, ==, i < 2 ? order[i] : order[1]);
	}
	expect(rota_scope_next(&scope, &status), ==, -ENOENT);
	expect(rota_scope_spawn(&scope, NULL, end_with, (void *)7), ==, 0);
	expect(rota_scope_next(&scope, &status), ==, 0);
	expect(status, ==, 7);
	expect(rota_scope_close(&scope), ==, 0);
}

TASK_TEST(scope, next_comes_in_order_of_ends_that_were_long_ago)
{
	static const int order[] = { 2, 0, 3, 1 };
	struct ordered children[4] = { { .number = 0 }, { .number = 1 }, { .number = 2 }, { .number = 3 } };
	struct rota_scope scope;
	int status = 0;

	expect(rota_scope_open(&scope, 0), ==, 0);
	for (int i = 0; i < 4; i++)
		expect(rota_scope_spawn(&scope, NULL, end_when_told, &children[i]), ==, 0);
	for (unsigned i = 0; i < 4; i++) {
		unit_event_set(&children[order[i]].event);
		unit_until_alive(rota_runtime_current(), 4 - i); /* the others, and this one */
	}
	for (int i = 0; i < 4; i++) {
		expect(rota_scope_next(&scope, &status), ==, 0);
		expect(status, ==, order[i]);
	}
	expect(rota_scope_next(&scope, &status), ==, -ENOENT);
	expect(rota_scope_close(&scope), ==, 0);
}

TASK_TEST(scope, next_is_a_future)
{
	struct ordered child = { .number = 30 };
	struct rota_scope_next_op next;
	struct rota_timer timer;
	struct rota_scope scope;
	size_t which;

	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, end_when_told, &child), ==, 0);
	rota_scope_next_init(&next, &scope);
	rota_timer_init(&timer, rota_now() + ROTA_MS(1));
	expect(ROTA_AWAIT_ANY(&which, &next.future, &timer.future), ==, 0);
	expect(which, ==, 1);
	expect(next.future.status, ==, -ECANCELED);
	unit_event_set(&child.event);
	rota_scope_next_init(&next, &scope);
	rota_timer_init(&timer, ROTA_NEVER);
	expect(ROTA_AWAIT_ANY(&which, &next.future, &timer.future), ==, 0);
	expect(which, ==, 0);
	expect(next.child_status, ==, 30);
	expect(rota_scope_close(&scope), ==, 0);
}

/* --- failures ----------------------------------------------------------------------------------------------------------- */

static int fail_soon(void *arg)
{
	int rc = rota_sleep(ROTA_MS(1));

	return rc < 0 ? rc : (int)(intptr_t)arg;
}

static int wait_for_ever(void *arg)
{
	int rc = rota_sleep_until(ROTA_NEVER);

	if (arg != NULL)
		*(int *)arg = rc;
	return rc;
}

TASK_TEST(scope, the_first_failure_cancels_the_rest)
{
	int seen[5] = { 0 };
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, 0);
	for (int i = 0; i < 5; i++)
		expect(rota_scope_spawn(&scope, NULL, wait_for_ever, &seen[i]), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, fail_soon, (void *)-EPROTO), ==, 0);
	/* The opener's own waits end, too. */
	expect(rota_sleep_until(ROTA_NEVER), ==, -ECANCELED);
	expect(rota_scope_spawn(&scope, NULL, wait_for_ever, NULL), ==, -ECANCELED);
	expect(rota_cancelled(), ==, true);
	expect(rota_scope_close(&scope), ==, -EPROTO);
	expect(rota_cancelled(), ==, false);
	expect(rota_sleep(ROTA_US(100)), ==, 0);
	for (int i = 0; i < 5; i++)
		expect(seen[i], ==, -ECANCELED);
}

TASK_TEST(scope, next_tells_of_a_failure_and_of_the_cancelled)
{
	struct rota_scope scope;
	int status = 0;

	expect(rota_scope_open(&scope, 0), ==, 0);
	for (int i = 0; i < 3; i++)
		expect(rota_scope_spawn(&scope, NULL, wait_for_ever, NULL), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, fail_soon, (void *)-EPROTO), ==, 0);
	expect(rota_scope_next(&scope, &status), ==, 0);
	expect(status, ==, -EPROTO);
	for (int i = 0; i < 3; i++) {
		expect(rota_scope_next(&scope, &status), ==, 0);
		expect(status, ==, -ECANCELED);
	}
	expect(rota_scope_next(&scope, &status), ==, -ENOENT);
	expect(rota_scope_close(&scope), ==, -EPROTO);
}

TASK_TEST(scope, independent_children_do_not_cancel)
{
	const struct rota_scope_attr attr = { .flags = ROTA_SCOPE_INDEPENDENT };
	struct rota_atomic_u32 count = { 0 };
	struct rota_scope scope;

	expect(rota_scope_open_with(&scope, &attr), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, fail_soon, (void *)-EPROTO), ==, 0);
	expect(rota_sleep(ROTA_MS(3)), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, sleep_and_add_one, &count), ==, 0);
	expect(rota_scope_close(&scope), ==, -EPROTO);
	expect(count.value, ==, 1);
}

/* Headers of 100,000 children would be 25 MB. */
TASK_TEST(scope, a_scope_that_forgets_keeps_no_memory_of_children_that_have_ended)
{
	const struct rota_scope_attr attr = { .limit = 8, .flags = ROTA_SCOPE_INDEPENDENT | ROTA_SCOPE_FORGET };
	struct rota_scope scope;
	size_t before;
	int status = 0;

	expect(rota_scope_open_with(&scope, &attr), ==, 0);
	for (int i = 0; i < 1000; i++)
		expect(rota_scope_spawn(&scope, NULL, end_with, NULL), ==, 0);
	before = rota__alloc_bytes();
	for (int i = 0; i < 100000; i++)
		expect(rota_scope_spawn(&scope, NULL, end_with, NULL), ==, 0);
	expect(rota__alloc_bytes(), <=, before + (1 << 20));
	expect(rota_scope_spawn(&scope, NULL, end_with, (void *)-EPROTO), ==, 0);
	expect(rota_scope_next(&scope, &status), ==, -ENOENT);
	expect(rota_scope_close(&scope), ==, -EPROTO);
}

/* --- cancels and timeouts ------------------------------------------------------------------------------------------------ */

TASK_TEST(scope, cancel_ends_all_waits_inside)
{
	int seen = 0;
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, wait_for_ever, &seen), ==, 0);
	rota_scope_cancel(&scope);
	rota_scope_cancel(&scope);
	expect(rota_sleep(ROTA_MS(1)), ==, -ECANCELED);
	expect(rota_yield(), ==, -ECANCELED);
	expect(rota_scope_close(&scope), ==, -ECANCELED);
	expect(seen, ==, -ECANCELED);
	expect(rota_yield(), ==, 0);
}

TASK_TEST(scope, cancel_without_children_is_no_failure)
{
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, 0);
	rota_scope_cancel(&scope);
	expect(rota_scope_close(&scope), ==, 0);
}

TASK_TEST(scope, timeout_ends_the_openers_waits)
{
	struct rota_notify never = ROTA_NOTIFY_INIT;
	uint64_t start = rota_now();
	struct rota_scope scope;

	expect(rota_scope_open(&scope, ROTA_MS(5)), ==, 0);
	expect(rota_notify_wait(&never), ==, -ETIMEDOUT);
	expect(rota_now() - start, >=, ROTA_MS(5));
	expect(rota_sleep(ROTA_MS(1)), ==, -ETIMEDOUT); /* sticky */
	expect(rota_yield(), ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	expect(rota_sleep(ROTA_US(10)), ==, 0);
}

/* A scope whose time is not over before it has its children, however long this thread is not scheduled. */
static void open_with_children(struct rota_scope *scope, rota_fn *fn, int seen[], int n)
{
	for (uint64_t timeout = ROTA_MS(4);; timeout *= 2) {
		int rc = rota_scope_open(scope, timeout);

		expect(rc, ==, 0);
		for (int i = 0; i < n && rc == 0; i++)
			rc = rota_scope_spawn(scope, NULL, fn, &seen[i]);
		if (rc == 0)
			return;
		expect(rc, ==, -ETIMEDOUT);
		expect(rota_scope_close(scope), ==, -ETIMEDOUT);
	}
}

TASK_TEST(scope, timeout_ends_the_childrens_waits)
{
	int seen[3] = { 0 };
	struct countdown future = countdown(1000, 0, false);
	struct rota_scope scope;
	rota_task *task;
	int status, rc;

	future.obeys = true;
	open_with_children(&scope, wait_for_ever, seen, 3);
	rc = rota_scope_spawn_future(&scope, &task, &future.future);
	/* Children's statuses come as ever. */
	expect(rota_scope_next(&scope, &status), ==, 0);
	expect(status, ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		expect(seen[i], ==, -ETIMEDOUT);
	if (rc == 0)
		unit_expect_join(task, -ETIMEDOUT);
	else
		expect(rc, ==, -ETIMEDOUT); /* the time is over by now */
	rota_waker_drop(&future.waker);
}

TASK_TEST(scope, what_ends_in_time_is_not_timed_out)
{
	for (int i = 0; i < 300; i++) {
		struct rota_atomic_u32 count = { 0 };
		struct rota_scope scope;

		expect(rota_scope_open(&scope, ROTA_SECONDS(100)), ==, 0);
		expect(rota_scope_spawn(&scope, NULL, add_one, &count), ==, 0);
		expect(rota_scope_close(&scope), ==, 0);
		expect(count.value, ==, 1);
	}
}

/* Firing and closing at once. */
TASK_TEST(scope, timeout_races_with_close)
{
	unsigned timed_out = 0;

	for (unsigned i = 0; i < 400; i++) {
		struct rota_scope scope;
		int rc, sleep;

		expect(rota_scope_open(&scope, ROTA_US(100)), ==, 0);
		expect(rota_scope_spawn(&scope, NULL, fail_soon, NULL), ==, 0);
		sleep = rota_sleep(ROTA_US(60 + i));
		expect(sleep == 0 || sleep == -ETIMEDOUT, ==, true);
		rc = rota_scope_close(&scope);
		expect(rc == 0 || rc == -ETIMEDOUT, ==, true);
		timed_out += rc == -ETIMEDOUT;
	}
	expect(timed_out, >, 0);
}

TASK_TEST(scope, a_timeout_of_a_nanosecond)
{
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 1), ==, 0);
	expect(rota_sleep(ROTA_SECONDS(100)), ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
}

TASK_TEST(scope, a_timeout_without_end)
{
	struct rota_scope scope;

	expect(rota_scope_open(&scope, ROTA_NEVER), ==, 0);
	expect(rota_sleep(ROTA_US(100)), ==, 0);
	expect(rota_scope_close(&scope), ==, 0);
}

/* A long one begins at the kernel's last tick, and is put right when somebody waits: also long after that. */
TASK_TEST(scope, a_timeout_of_a_second_counts_from_the_opening)
{
	for (int computes = 0; computes < 2; computes++) {
		const uint64_t opened = rota_now();
		struct rota_scope scope;

		expect(rota_scope_open(&scope, ROTA_SECONDS(1)), ==, 0);
		while (computes && rota_now() - opened < ROTA_MS(50)) {
		}
		expect(rota_sleep(ROTA_SECONDS(100)), ==, -ETIMEDOUT);
		expect(rota_now() - opened, >=, ROTA_MS(500)); /* far from the truth, as is a kernel that is late */
		expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	}
}

/* Children are told when the time is over, even while the opener computes. */
static int tell(void *arg)
{
	int rc = rota_sleep_until(ROTA_NEVER);

	rota__store((struct rota_atomic_u32 *)arg, (uint32_t)-rc, SEQ_CST);
	return rc;
}

static int compute(void *arg)
{
	const time_t start = expect_seconds_();
	struct rota_atomic_u32 seen = { 0 };
	struct rota_scope scope;

	(void)arg;
	expect(rota_scope_open(&scope, ROTA_MS(2)), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, tell, &seen), ==, 0);
	while (rota__load(&seen, SEQ_CST) == 0)
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
	expect(seen.value, ==, ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	return 0;
}

UNIT_TEST(scope, timeout_while_the_opener_computes)
{
	rota_runtime *rt;

	unsetenv("ROTA_FLAVOR");
	rt = unit_runtime(ROTA_FLAVOR_MULTI_THREAD);
	expect(rota_block_on(rt, compute, NULL), ==, 0);
	rota_runtime_free(rt);
}

/* --- nesting ------------------------------------------------------------------------------------------------------------ */

TASK_TEST(scope, an_inner_timeout_leaves_the_outer_scope_alone)
{
	struct rota_scope outer, inner;

	expect(rota_scope_open(&outer, ROTA_SECONDS(100)), ==, 0);
	expect(rota_scope_open(&inner, ROTA_MS(1)), ==, 0);
	expect(rota_sleep(ROTA_SECONDS(100)), ==, -ETIMEDOUT);
	expect(rota_scope_close(&inner), ==, -ETIMEDOUT);
	expect(rota_sleep(ROTA_US(10)), ==, 0);
	expect(rota_scope_close(&outer), ==, 0);
}

TASK_TEST(scope, an_outer_timeout_ends_the_inner_scope)
{
	int seen = 0;
	struct rota_scope outer, inner;

	expect(rota_scope_open(&outer, ROTA_MS(3)), ==, 0);
	expect(rota_scope_open(&inner, ROTA_SECONDS(100)), ==, 0);
	expect(rota_scope_spawn(&inner, NULL, wait_for_ever, &seen), ==, 0);
	expect(rota_scope_close(&inner), ==, -ETIMEDOUT);
	expect(seen, ==, -ETIMEDOUT);
	expect(rota_sleep(ROTA_US(10)), ==, -ETIMEDOUT);
	expect(rota_scope_close(&outer), ==, -ETIMEDOUT);
	expect(rota_sleep(ROTA_US(10)), ==, 0);
}

static int open_a_scope(void *arg)
{
	int *seen = arg;
	struct rota_scope scope;
	int rc;

	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, wait_for_ever, seen), ==, 0);
	rc = rota_scope_next(&scope, NULL);
	expect(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED, ==, true);
	return rota_scope_close(&scope);
}

TASK_TEST(scope, a_timeout_reaches_grandchildren)
{
	int seen[2] = { 0 };
	struct rota_scope scope;

	open_with_children(&scope, open_a_scope, seen, 2);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	expect(seen[0], ==, -ETIMEDOUT);
	expect(seen[1], ==, -ETIMEDOUT);
}

TASK_TEST(scope, a_cancelled_opener_takes_its_children_along)
{
	int seen = 0;
	rota_task *task = unit_spawn(open_a_scope, &seen);

	unit_until_resting(task);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
	expect(seen, ==, -ECANCELED);
}

struct shielded {
	struct unit_event go;
	int inside, after;
};

static int clean_up(void *arg)
{
	struct shielded *s = arg;

	s->after = rota_sleep_until(ROTA_NEVER);
	rota_shield_enter();
	s->inside = rota_sleep(ROTA_MS(1));
	rota_shield_leave();
	return s->after;
}

TASK_TEST(scope, a_shield_holds_against_scopes)
{
	struct shielded s = { .inside = 0 };
	struct rota_scope scope;
	int rc;

	expect(rota_scope_open(&scope, ROTA_MS(2)), ==, 0);
	rc = rota_scope_spawn(&scope, NULL, clean_up, &s);
	rota_shield_enter();
	expect(rota_sleep(ROTA_MS(5)), ==, 0);
	rota_shield_leave();
	expect(rota_sleep(ROTA_MS(5)), ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	expect(s.inside, ==, 0);
	expect(rc == 0 ? s.after : rc, ==, -ETIMEDOUT); /* the time may have been over before the spawn */
}

/* --- a scope that was opened behind a shield ---------------------------------------------------------------------------- */

static int nap(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_MS(1));
}

/* The task is to stop: it says good-bye, for as long as it gives itself. */
static int clean_up_in_time(void *arg)
{
	const int reason = rota_sleep_until(ROTA_NEVER);
	struct rota_scope around, scope;

	(void)arg;
	rota_shield_enter();
	expect(rota_scope_open(&around, 0), ==, 0);
	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, nap, NULL), ==, 0);
	expect(rota_scope_close(&scope), ==, 0); /* what came from outside has not come here */
	expect(rota_scope_open(&scope, ROTA_MS(1)), ==, 0);
	expect(rota_sleep_until(ROTA_NEVER), ==, -ETIMEDOUT);
	expect(rota_cancelled(), ==, true);
	expect(rota_scope_spawn(&scope, NULL, nap, NULL), ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	expect(rota_cancelled(), ==, false);
	expect(rota_sleep(ROTA_MS(1)), ==, 0); /* nor has what is further in come here */
	expect(rota_scope_close(&around), ==, 0);
	rota_shield_leave();
	expect(rota_cancelled(), ==, true);
	expect(rota_yield(), ==, reason);
	return reason;
}

TASK_TEST(scope, cleanup_may_have_a_time_limit)
{
	rota_task *task = unit_spawn(clean_up_in_time, NULL);
	struct rota_scope scope;

	unit_until_resting(task);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);

	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, &task, clean_up_in_time, NULL), ==, 0);
	unit_until_resting(task);
	rota_scope_cancel(&scope);
	expect(rota_scope_close(&scope), ==, -ECANCELED);
	unit_expect_join(task, -ECANCELED);

	expect(rota_scope_open(&scope, ROTA_MS(1)), ==, 0);
	expect(clean_up_in_time(NULL), ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
}

/* The time of the scope that is opened behind it runs out first, then the other's; the cancel of the task comes in between. */
static int clean_up_at_leisure(void *arg)
{
	struct rota_scope around, within;

	expect(rota_scope_open(&around, 0), ==, 0);
	rota_shield_enter();
	expect(rota_scope_open(&within, ROTA_MS(1)), ==, 0);
	unit_event_set(arg);
	expect(rota_sleep_until(ROTA_NEVER), ==, -ETIMEDOUT);
	rota_scope_cancel(&around);
	expect(rota_sleep_until(ROTA_NEVER), ==, -ETIMEDOUT);
	expect(rota_scope_close(&within), ==, -ETIMEDOUT);
	expect(rota_sleep(ROTA_MS(1)), ==, 0);
	rota_shield_leave();
	expect(rota_yield(), ==, -ECANCELED);
	expect(rota_scope_close(&around), ==, 0);
	return rota_sleep_until(ROTA_NEVER);
}

TASK_TEST(scope, what_is_behind_a_shield_passes_nothing_on)
{
	struct unit_event begun = { .cancelled = false };
	rota_task *task = unit_spawn(clean_up_at_leisure, &begun);

	expect(unit_event_wait(&begun), ==, 0);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
}

TASK_TEST(scope, a_second_shield_holds_against_what_is_behind_the_first)
{
	struct rota_scope outer, inner;

	rota_shield_enter();
	expect(rota_scope_open(&outer, ROTA_MS(1)), ==, 0);
	rota_shield_enter();
	expect(rota_sleep(ROTA_MS(5)), ==, 0);
	expect(rota_scope_open(&inner, 0), ==, 0);
	expect(rota_scope_spawn(&inner, NULL, nap, NULL), ==, 0);
	expect(rota_scope_close(&inner), ==, 0);
	rota_shield_leave();
	expect(rota_scope_open(&inner, 0), ==, 0); /* ends as what is around it */
	expect(rota_sleep_until(ROTA_NEVER), ==, -ETIMEDOUT);
	expect(rota_scope_close(&inner), ==, -ETIMEDOUT);
	expect(rota_scope_close(&outer), ==, -ETIMEDOUT);
	rota_shield_leave();
	expect(rota_sleep(ROTA_MS(1)), ==, 0);
}

/* It is not behind the next one. */
TASK_TEST(scope, a_shield_may_be_left_before_what_was_opened_behind_it)
{
	struct rota_scope scope;

	rota_shield_enter();
	expect(rota_scope_open(&scope, ROTA_MS(1)), ==, 0);
	rota_shield_leave();
	rota_shield_enter();
	expect(rota_sleep(ROTA_MS(5)), ==, 0);
	rota_shield_leave();
	expect(rota_sleep_until(ROTA_NEVER), ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
}

/* Ends behind a shield, which it leaves to who awaits it, once it was told to. */
static rota_poll shielding_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	if (self->status == 0)
		return ROTA_PENDING;
	rota_shield_enter();
	return ROTA_READY;
}

static void shielding_cancel(struct rota_future *self)
{
	self->status = -ECANCELED;
}

TASK_TEST(scope, a_shield_that_is_entered_at_the_end_of_a_wait_hides_no_reason)
{
	static const struct rota_future_ops ops = { shielding_poll, shielding_cancel, "shielding" };
	struct rota_future future;
	struct rota_scope scope;

	for (int limit = 0; limit < 2; limit++) {
		expect(rota_scope_open(&scope, limit ? ROTA_MS(1) : 0), ==, 0);
		if (!limit)
			rota_scope_cancel(&scope);
		rota_future_init(&future, &ops);
		expect(rota_await(&future), ==, limit ? -ETIMEDOUT : -ECANCELED);
		rota_shield_leave();
		expect(rota_scope_close(&scope), ==, limit ? -ETIMEDOUT : 0);
	}
}

static int count(size_t begin, size_t end, void *arg)
{
	rota__fetch_add((struct rota_atomic_u32 *)arg, (uint32_t)(end - begin), RELAXED);
	return 0;
}

/* Loops are given up for the same reasons as waits. */
static int loop_behind_a_shield(void *arg)
{
	struct rota_atomic_u32 counted = { 0 };
	struct rota_scope scope;

	(void)arg;
	expect(rota_sleep_until(ROTA_NEVER), ==, -ECANCELED);
	expect(rota_parallel_for(0, 100, 1, count, &counted), ==, -ECANCELED);
	rota__store(&counted, 0, RELAXED);
	rota_shield_enter();
	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_parallel_for(0, 100, 1, count, &counted), ==, 0);
	expect(rota__load(&counted, RELAXED), ==, 100);
	rota_scope_cancel(&scope);
	expect(rota_parallel_for(0, 100, 1, count, &counted), ==, -ECANCELED);
	expect(rota__load(&counted, RELAXED), <, 200);
	expect(rota_scope_close(&scope), ==, 0);
	rota__store(&counted, 0, RELAXED);
	expect(rota_parallel_for(0, 100, 1, count, &counted), ==, 0);
	expect(rota__load(&counted, RELAXED), ==, 100);
	rota_shield_leave();
	return 0;
}

TASK_TEST(scope, loops_heed_a_scope_behind_a_shield)
{
	struct rota_scope scope;
	rota_task *task = unit_spawn(loop_behind_a_shield, NULL);

	unit_until_resting(task);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, 0);
	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, loop_behind_a_shield, NULL), ==, 0);
	rota_scope_cancel(&scope);
	expect(loop_behind_a_shield(NULL), ==, 0);
	expect(rota_scope_close(&scope), ==, 0);
}

/* --- late waits, and looks ---------------------------------------------------------------------------------------------- */

/* Its first waits are shielded, and a scope of its own comes and goes: none of that makes it miss what comes later. */
static int shielded_at_first(void *arg)
{
	struct rota_scope own;

	rota_shield_enter();
	expect(rota_sleep(ROTA_US(50)), ==, 0);
	expect(rota_scope_open(&own, 0), ==, 0);
	rota_scope_cancel(&own);
	expect(rota_scope_close(&own), ==, 0);
	rota_shield_leave();
	unit_event_set(arg);
	return rota_sleep_until(ROTA_NEVER);
}

TASK_TEST(scope, a_child_that_waits_late_is_cancelled_too)
{
	struct unit_event late = { .cancelled = false };
	struct rota_scope scope;
	rota_task *child;

	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, &child, shielded_at_first, &late), ==, 0);
	expect(unit_event_wait(&late), ==, 0);
	unit_until_resting(child);
	rota_scope_cancel(&scope);
	expect(rota_scope_close(&scope), ==, -ECANCELED);
	unit_expect_join(child, -ECANCELED);
}

static int computes(void *arg)
{
	unit_event_set(arg);
	while (!rota_cancelled())
		;
	return -EINTR;
}

TASK_TEST(scope, a_child_that_only_looks_is_told)
{
	struct unit_event begun = { .cancelled = false };
	struct rota_scope scope;

	if (unit_flavor == ROTA_FLAVOR_CURRENT_THREAD)
		return; /* nobody else would run */
	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, computes, &begun), ==, 0);
	expect(unit_event_wait(&begun), ==, 0);
	rota_scope_cancel(&scope);
	expect(rota_scope_close(&scope), ==, -EINTR);
}

static int looks_until_told(void *arg)
{
	(void)arg;
	while (!rota_cancelled())
		;
	return -EINTR;
}

/* Also where there is nobody but the task itself to look at the clock. */
TASK_TEST(scope, who_only_looks_is_told_that_its_time_is_over)
{
	struct rota_scope scope;

	expect(rota_scope_open(&scope, ROTA_MS(5)), ==, 0);
	expect(looks_until_told(NULL), ==, -EINTR);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
	expect(rota_scope_open(&scope, ROTA_MS(5)), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, looks_until_told, NULL), ==, 0);
	expect(rota_scope_close(&scope), ==, -EINTR);
}

/* --- limits ------------------------------------------------------------------------------------------------------------- */

struct crowd {
	struct rota_atomic_u32 now, most, total;
};

static int visit(void *arg)
{
	struct crowd *crowd = arg;
	uint32_t now = rota__fetch_add(&crowd->now, 1, SEQ_CST) + 1;
	uint32_t most = rota__load(&crowd->most, SEQ_CST);

	while (now > most && !rota__cas(&crowd->most, &most, now, SEQ_CST))
		;
	rota_sleep(ROTA_US(200));
	rota__fetch_add(&crowd->total, 1, SEQ_CST);
	rota__fetch_sub(&crowd->now, 1, SEQ_CST);
	return 0;
}

/* for_each_concurrent */
static int for_each_concurrent(unsigned limit, unsigned n, rota_fn *fn, void *arg)
{
	const struct rota_scope_attr attr = { .limit = limit };
	struct rota_scope scope;
	int rc = rota_scope_open_with(&scope, &attr);

	for (unsigned i = 0; i < n && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, fn, arg);
	return rota_scope_close(&scope);
}

TASK_TEST(scope, at_most_so_many_run_at_once)
{
	for (unsigned limit = 1; limit <= 5; limit++) {
		struct crowd crowd = { .now = { 0 } };

		expect(for_each_concurrent(limit, 60, visit, &crowd), ==, 0);
		expect(crowd.most.value, ==, limit);
		expect(crowd.total.value, ==, 60);
	}
}

TASK_TEST(scope, who_waits_for_a_place_can_be_cancelled)
{
	const struct rota_scope_attr attr = { .limit = 2, .timeout_ns = ROTA_MS(3) };
	struct rota_scope scope;

	expect(rota_scope_open_with(&scope, &attr), ==, 0);
	for (int i = 0; i < 2; i++) {
		int rc = rota_scope_spawn(&scope, NULL, wait_for_ever, NULL);

		expect(rc == 0 || rc == -ETIMEDOUT, ==, 1); /* the time may be over by then */
	}
	expect(rota_scope_spawn(&scope, NULL, wait_for_ever, NULL), ==, -ETIMEDOUT);
	expect(rota_scope_close(&scope), ==, -ETIMEDOUT);
}

/* --- blocking jobs ------------------------------------------------------------------------------------------------------- */

static int block(void *arg)
{
	struct rota_atomic_u32 *go = arg;

	while (rota__load(go, SEQ_CST) == 0)
		usleep(100);
	return 0;
}

static int cancel_queued_jobs(void *arg)
{
	struct rota_atomic_u32 go = { 0 }, ran = { 0 };
	struct rota_scope scope, inner;

	(void)arg;
	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn_blocking(&scope, NULL, block, &go), ==, 0);
	expect(rota_scope_open(&inner, 0), ==, 0);
	for (int i = 0; i < 10; i++)
		expect(rota_scope_spawn_blocking(&inner, NULL, add_one, &ran), ==, 0);
	rota_scope_cancel(&inner);
	expect(rota_scope_close(&inner), ==, -ECANCELED);
	rota__store(&go, 1, SEQ_CST);
	expect(rota_scope_close(&scope), ==, 0);
	expect(ran.value, ==, 0);
	return 0;
}

UNIT_TEST(scope, queued_jobs_are_cancelled)
{
	const struct rota_config config = { .workers = 2, .max_blocking_threads = 1 };
	rota_runtime *rt;

	unsetenv("ROTA_FLAVOR");
	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, cancel_queued_jobs, NULL), ==, 0);
	rota_runtime_free(rt);
}

/* --- wrong use ------------------------------------------------------------------------------------------------------------ */

UNIT_TEST(scope, is_for_fibers)
{
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, -ENXIO);
}

TASK_TEST(scope, unknown_flags_are_refused)
{
	const struct rota_scope_attr attr = { .flags = 64 };
	struct rota_scope scope;

	expect(rota_scope_open_with(&scope, &attr), ==, -EINVAL);
}

TASK_TEST(scope, attributes_may_be_left_out)
{
	struct rota_scope scope;

	expect(rota_scope_open_with(&scope, NULL), ==, 0);
	expect(rota_scope_close(&scope), ==, 0);
}

TASK_TEST(scope, closes_in_reverse, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_scope outer, inner;

	expect(rota_scope_open(&outer, 0), ==, 0);
	expect(rota_scope_open(&inner, 0), ==, 0);
	expect(rota_scope_close(&outer), ==, -EINVAL);
	expect(rota_scope_close(&inner), ==, 0);
	expect(rota_scope_close(&outer), ==, 0);
}

static int leave_open(void *arg)
{
	(void)arg;
	return rota_scope_open(malloc(sizeof(struct rota_scope)), 0);
}

TASK_TEST(scope, left_open_aborts, .signal = SIGABRT)
{
	unit_expect_join(unit_spawn(leave_open, NULL), 0);
}

TASK_TEST(scope, without_memory_nothing_is_open)
{
	struct rota_atomic_u32 count = { 0 };
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, add_one, &count), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, NULL, &count), ==, -EINVAL);
	expect(rota_scope_spawn_future(&scope, NULL, NULL), ==, -EINVAL);
	expect(rota_scope_close(&scope), ==, 0);
	expect(count.value, ==, 1);
}
