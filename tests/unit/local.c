/* SPDX-License-Identifier: MIT */
/* Task-local values: set, got, inherited by choice, dropped once; in fibers and in stackless tasks. */
#define _GNU_SOURCE
#include "../../runtime/sys_internal.h"
#include "unit.h"

static struct rota_atomic_u32 dropped;

static void count_drop(void *value)
{
	rota__fetch_add(&dropped, (uint32_t)(uintptr_t)value, SEQ_CST);
}

static void *one_more(void *value)
{
	return (void *)((uintptr_t)value + 1);
}

static void *refuse(void *value)
{
	(void)value;
	return NULL;
}

static const struct rota_local_key own_key = { NULL, count_drop };
static const struct rota_local_key same_key = { rota_local_same, NULL };
static const struct rota_local_key more_key = { one_more, count_drop };
static const struct rota_local_key refused_key = { refuse, count_drop };

static void *number(uintptr_t n)
{
	return (void *)n;
}

static int child(void *arg)
{
	expect_pointer(rota_local_get(&own_key), ==, NULL);
	expect_pointer(rota_local_get(&refused_key), ==, NULL);
	expect_pointer(rota_local_get(&same_key), ==, number(20));
	expect_pointer(rota_local_get(&more_key), ==, number(31));
	rota_yield();
	expect(rota_local_set(&same_key, number(21)), ==, 0);
	expect_pointer(rota_local_get(&same_key), ==, number(21));
	(void)arg;
	return 0;
}

TASK_TEST(local, values_belong_to_tasks)
{
	expect_pointer(rota_local_get(&own_key), ==, NULL);
	expect(rota_local_set(&own_key, NULL), ==, 0);
	expect(rota_local_set(&own_key, number(1)), ==, 0);
	expect(rota_local_set(&same_key, number(20)), ==, 0);
	expect(rota_local_set(&more_key, number(30)), ==, 0);
	expect(rota_local_set(&refused_key, number(7)), ==, 0);
	for (int i = 0; i < 50; i++)
		unit_expect_join(unit_spawn(child, NULL), 0);
	expect_pointer(rota_local_get(&own_key), ==, number(1));
	expect_pointer(rota_local_get(&same_key), ==, number(20));
	expect_pointer(rota_local_get(&more_key), ==, number(30));
}

static const struct rota_local_key busy_key;
static int told_while_inherited;

/* Would take itself out of the list that the spawn goes through, and put another one in. */
static void *set_values(void *value)
{
	told_while_inherited = rota_local_set(&busy_key, NULL);
	expect(rota_local_set(&own_key, number(2)), ==, told_while_inherited);
	expect_pointer(rota_local_get(&busy_key), ==, value);
	return value;
}

static const struct rota_local_key busy_key = { set_values, NULL };

static int begins_with_both(void *arg)
{
	expect_pointer(rota_local_get(&busy_key), ==, number(4));
	expect_pointer(rota_local_get(&same_key), ==, number(20));
	(void)arg;
	return 0;
}

TASK_TEST(local, none_is_set_while_a_task_inherits)
{
	expect(rota_local_set(&same_key, number(20)), ==, 0);
	expect(rota_local_set(&busy_key, number(4)), ==, 0);
	unit_expect_join(unit_spawn(begins_with_both, NULL), 0);
	expect(told_while_inherited, ==, -EBUSY);
	expect_pointer(rota_local_get(&busy_key), ==, number(4));
	expect_pointer(rota_local_get(&own_key), ==, NULL);
	expect(rota_local_set(&busy_key, NULL), ==, 0); /* when it is over */
	expect_pointer(rota_local_get(&busy_key), ==, NULL);
}

static int set_and_end(void *arg)
{
	(void)arg;
	expect(rota_local_set(&own_key, number(1)), ==, 0);
	expect(rota_local_set(&own_key, number(10)), ==, 0); /* drops the 1 */
	expect(rota_local_set(&more_key, number(100)), ==, 0);
	expect(rota_local_set(&more_key, NULL), ==, 0); /* drops the 100 */
	expect(rota_local_set(&refused_key, number(1000)), ==, 0);
	return 0;
}

TASK_TEST(local, each_value_is_dropped_once)
{
	rota__store(&dropped, 0, SEQ_CST);
	for (uint32_t i = 1; i <= 20; i++) {
		unit_expect_join(unit_spawn(set_and_end, NULL), 0);
		expect(dropped.value, ==, i * 1111);
	}
}

struct stackless {
	struct rota_async async;
	struct rota_yield_op yield;
};

static rota_poll stackless_poll(struct rota_future *self, struct rota_context *cx)
{
	struct stackless *s = (struct stackless *)(void *)self;

	ROTA_ASYNC_BEGIN(s);
	if (rota_local_get(&more_key) != number(31))
		ROTA_ASYNC_RETURN(s, -EPROTO);
	if (rota_local_set(&own_key, number(5)) < 0)
		ROTA_ASYNC_RETURN(s, -ENOMEM);
	rota_yield_init(&s->yield);
	ROTA_AWAIT(s, cx, &s->yield.future);
	ROTA_ASYNC_RETURN(s, (int)(uintptr_t)rota_local_get(&own_key));
	ROTA_ASYNC_END(s);
}

static const struct rota_future_ops stackless_ops = ROTA_ASYNC_OPS(stackless_poll, "stackless");

TASK_TEST(local, stackless_tasks_have_them_too)
{
	struct stackless s;
	rota_task *task;

	rota__store(&dropped, 0, SEQ_CST);
	expect(rota_local_set(&more_key, number(30)), ==, 0);
	rota_async_init(&s.async, &stackless_ops);
	expect(rota_spawn_future(&task, &s.async.future), ==, 0);
	unit_expect_join(task, 5);
	expect(dropped.value, ==, 36);
	expect(rota_local_set(&more_key, NULL), ==, 0);
}

/* Where a value is dropped: in its task, which has the next one already. */
static struct rota_atomic_u64 drop_task, drop_sees;
static void note_drop(void *value);
static const struct rota_local_key noted_key = { NULL, note_drop };

static void note_drop(void *value)
{
	(void)value;
	rota__store(&drop_task, rota_task_id(), SEQ_CST);
	rota__store(&drop_sees, (uint64_t)(uintptr_t)rota_local_get(&noted_key), SEQ_CST);
}

static void expect_drop(uint64_t task, uint64_t sees)
{
	expect(rota__load(&drop_task, SEQ_CST), ==, task);
	expect(rota__load(&drop_sees, SEQ_CST), ==, sees);
}

static int replace_and_end(void *arg)
{
	*(uint64_t *)arg = rota_task_id();
	expect(rota_local_set(&noted_key, number(1)), ==, 0);
	expect(rota_local_set(&noted_key, number(2)), ==, 0);
	expect_drop(rota_task_id(), 2);
	expect(rota_local_set(&noted_key, NULL), ==, 0);
	expect_drop(rota_task_id(), 0);
	expect(rota_local_set(&noted_key, number(3)), ==, 0);
	rota__store(&drop_task, 0, SEQ_CST);
	return 0;
}

TASK_TEST(local, a_value_is_dropped_in_its_task_when_it_is_gone)
{
	uint64_t id = 0;

	unit_expect_join(unit_spawn(replace_and_end, &id), 0);
	expect_drop(id, 0);
}

static rota_poll setter_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	self->status = rota_local_set(&noted_key, number(4));
	rota__store(&drop_task, 0, SEQ_CST);
	return ROTA_READY;
}

TASK_TEST(local, a_stackless_task_drops_its_values_itself_too)
{
	static const struct rota_future_ops ops = { .poll = setter_poll };
	struct rota_future future;
	rota_task *task;
	uint64_t id;

	rota_future_init(&future, &ops);
	task = unit_spawn_future(&future);
	id = task->id; /* the handle keeps it */
	unit_expect_join(task, 0);
	expect_drop(id, 0);
}

/* What a task would have begun with goes, when there is no memory for it, or none for the task's stack. */
TASK_TEST(local, a_spawn_that_fails_drops_what_was_inherited)
{
	static const enum rota__fault_kind lacks[] = { ROTA__FAULT_ALLOC, ROTA__FAULT_MAP };
	const struct rota_task_attr attr = { .stack_size = 20000 };

	unit_no_more_spares(rota_runtime_current());
	expect(rota_local_set(&more_key, number(30)), ==, 0);
	for (int i = 0; i < 2; i++) {
		rota__store(&dropped, 0, SEQ_CST);
		rota__fault_arm(lacks[i], 1, -ENOMEM);
		expect(rota_spawn_with(NULL, &attr, set_and_end, NULL), ==, -ENOMEM);
		rota__fault_arm(lacks[i], 0, 0);
		expect(dropped.value, ==, 31);
	}
	expect(rota_local_set(&more_key, NULL), ==, 0);
}

static int job(void *arg)
{
	(void)arg;
	expect_pointer(rota_local_get(&more_key), ==, NULL);
	return rota_local_set(&more_key, number(1));
}

TASK_TEST(local, jobs_and_plain_threads_have_none)
{
	rota_task *task;

	expect(rota_local_set(&more_key, number(30)), ==, 0);
	expect(rota_spawn_blocking(&task, job, NULL), ==, 0);
	unit_expect_join(task, -ENXIO);
}

UNIT_TEST(local, outside_of_everything)
{
	expect_pointer(rota_local_get(&more_key), ==, NULL);
	expect(rota_local_set(&more_key, number(1)), ==, -ENXIO);
}
