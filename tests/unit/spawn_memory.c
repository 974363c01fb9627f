/* SPDX-License-Identifier: MIT */
/*
 * A spawn without memory, at each of its allocations, mappings and guards: it returns -ENOMEM, leaves everything as it
 * was, and a later one works.
 */
#define _GNU_SOURCE
#include "../../runtime/sys_internal.h"
#include "unit.h"

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_NEVER);
}

typedef int spawn_fn(rota_task **ret_task);

static int spawn_fiber(rota_task **ret_task)
{
	return rota_spawn(ret_task, sleep_for_ever, NULL);
}

static int spawn_fiber_on(rota_runtime *rt, rota_task **ret_task)
{
	return rota_spawn_on(rt, ret_task, sleep_for_ever, NULL);
}

static int spawn_with_own_stack(rota_task **ret_task)
{
	const struct rota_task_attr attr = { .stack_size = 20000 };

	return rota_spawn_with(ret_task, &attr, sleep_for_ever, NULL);
}

struct lack {
	enum rota__fault_kind kind;
	uint32_t nth;
	spawn_fn *spawn;
	rota_runtime *rt; /* spawn NULL: from outside, on this one */
};

static int try_spawn(const struct lack *lack, rota_task **ret_task)
{
	return lack->spawn != NULL ? lack->spawn(ret_task) : spawn_fiber_on(lack->rt, ret_task);
}

#define LACK_MOST 1000

/* Spawns until memory is needed and not there. A one-off fault may be got round with what is left, hence the loop. */
static unsigned spawn_until_it_lacks(const struct lack *lack, rota_task **tasks)
{
	rota_runtime *rt = lack->rt;
	struct rota_metrics before, after;
	unsigned n;

	for (n = 0; n < LACK_MOST; n++) {
		int rc;

		tasks[n] = NULL;
		rota_runtime_metrics(rt, &before);
		rota__fault_arm(lack->kind, lack->nth, -ENOMEM);
		rc = try_spawn(lack, &tasks[n]);
		rota__fault_arm(lack->kind, 0, 0);
		rota_runtime_metrics(rt, &after);
		if (rc < 0) {
			expect(rc, ==, -ENOMEM);
			expect_pointer(tasks[n], ==, NULL);
			expect(after.tasks_alive, ==, before.tasks_alive);
			expect(after.tasks_spawned, ==, before.tasks_spawned);
			expect(after.stack_bytes, ==, before.stack_bytes);
			break;
		}
		expect(after.tasks_spawned, ==, before.tasks_spawned + 1);
	}
	return n;
}

static int run_out(void *arg)
{
	const struct lack *lack = arg;
	rota_task *tasks[LACK_MOST + 1];
	unsigned n = spawn_until_it_lacks(lack, tasks);

	expect(n, <, LACK_MOST);
	/* A later spawn works. */
	expect(try_spawn(lack, &tasks[n++]), ==, 0);
	for (unsigned i = 0; i < n; i++)
		rota_cancel(tasks[i]);
	for (unsigned i = 0; i < n; i++)
		unit_expect_join(tasks[i], -ECANCELED);
	return 0;
}

static void lack_memory(spawn_fn *spawn, enum rota__fault_kind kind, uint32_t nth)
{
	const struct rota_config config = { .workers = 1 };
	struct lack lack = { kind, nth, spawn, NULL };

	expect(rota_runtime_new(&lack.rt, &config), ==, 0);
	unit_no_more_spares(lack.rt);
	if (spawn != NULL)
		expect(rota_block_on(lack.rt, run_out, &lack), ==, 0);
	else
		expect(run_out(&lack), ==, 0);
	rota_runtime_free(lack.rt);
}

static void lack_each_memory(spawn_fn *spawn)
{
	/* The description of a slab of stacks; its mapping; its guards. */
	lack_memory(spawn, ROTA__FAULT_ALLOC, 1);
	lack_memory(spawn, ROTA__FAULT_MAP, 1);
	for (uint32_t nth = 1; nth <= 64; nth += 9)
		lack_memory(spawn, ROTA__FAULT_GUARD, nth);
}

UNIT_TEST(spawn_memory, a_spawn_without_memory_changes_nothing)
{
	lack_each_memory(spawn_fiber);
}

UNIT_TEST(spawn_memory, a_spawn_from_outside_without_memory_changes_nothing)
{
	lack_each_memory(NULL);
}

UNIT_TEST(spawn_memory, a_spawn_with_a_stack_of_its_own_without_memory_changes_nothing)
{
	lack_memory(spawn_with_own_stack, ROTA__FAULT_ALLOC, 1);
	lack_memory(spawn_with_own_stack, ROTA__FAULT_MAP, 1);
	lack_memory(spawn_with_own_stack, ROTA__FAULT_GUARD, 1);
}

static int fail_often(void *arg)
{
	rota_runtime *rt = arg;
	struct rota_metrics before, after;
	rota_task *task = NULL;

	for (int i = 0; i < 2000; i++) {
		if (i == 10)
			rota_runtime_metrics(rt, &before);
		rota__fault_arm(ROTA__FAULT_MAP, 1, -ENOMEM);
		expect(spawn_with_own_stack(&task), ==, -ENOMEM);
	}
	rota_runtime_metrics(rt, &after);
	expect(after.memory_bytes, ==, before.memory_bytes);
	expect(after.stack_bytes, ==, before.stack_bytes);
	return 0;
}

UNIT_TEST(spawn_memory, failing_again_and_again_leaks_nothing)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_MULTI_THREAD);

	unit_no_more_spares(rt);
	rota_thread_waker(); /* this thread's parker, which is allocated once, is not to be counted */
	expect(rota_block_on(rt, fail_often, rt), ==, 0);
	rota_runtime_free(rt);
}
