/* SPDX-License-Identifier: MIT */
/*
 * Memory of task headers: each is handed out once, free ones have a zero state, caches trade with the pool, walkers
 * meet exactly those alive while others come and go, and memory comes back.
 */
#define _GNU_SOURCE
#include "../../runtime/task_pool_internal.h"

#include <pthread.h>

#include "../../runtime/alloc_internal.h"
#include "../../runtime/sys_internal.h"
#include "unit.h"

#define MANY 5000

static struct rota__task_pool pool;
static rota_task *tasks[MANY];

static rota_task *get(struct rota__task_cache *cache)
{
	rota_task *task = rota__task_pool_get(&pool, cache);

	expect_pointer(task, !=, NULL);
	expect((uintptr_t)task % ROTA__CACHE_LINE, ==, 0);
	expect(rota__load(&task->state, RELAXED), ==, 0);
	rota__state_init(&task->state, 1);
	return task;
}

static void put(struct rota__task_cache *cache, rota_task *task)
{
	rota__task_pool_put(&pool, cache, task);
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (rota_task *const *)a, y = (uintptr_t) * (rota_task *const *)b;

	return x < y ? -1 : x > y;
}

static void expect_distinct(unsigned n)
{
	qsort(tasks, n, sizeof(tasks[0]), by_address);
	for (unsigned i = 1; i < n; i++)
		expect((uintptr_t)tasks[i], >=, (uintptr_t)tasks[i - 1] + sizeof(rota_task));
}

static void get_and_put(struct rota__task_cache *cache)
{
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < MANY; i++) {
			tasks[i] = get(cache);
			memset(&tasks[i]->id, 'x', sizeof(tasks[i]->id));
		}
		expect_distinct(MANY);
		for (unsigned i = 0; i < MANY; i++)
			put(cache, tasks[(i * 7) % MANY]);
	}
}

UNIT_TEST(task_pool, hands_each_header_out_once)
{
	const size_t before = rota__alloc_bytes();
	struct rota__task_cache cache = { 0 };

	get_and_put(NULL);
	get_and_put(&cache);
	rota__task_cache_flush(&pool, &cache);
	expect(cache.count, ==, 0);
	expect_pointer(cache.first, ==, NULL);
	rota__task_pool_trim(&pool);
	expect(rota__alloc_bytes(), ==, before);
	rota__task_pool_deinit(&pool);
}

UNIT_TEST(task_pool, what_one_cache_frees_another_may_use)
{
	const size_t before = rota__alloc_bytes();
	struct rota__task_cache maker = { 0 }, freer = { 0 };
	size_t most = 0;

	/* As with a producer on one worker and a consumer on another: nothing may pile up. */
	for (int round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 300; i++)
			tasks[i] = get(&maker);
		for (unsigned i = 0; i < 300; i++)
			put(&freer, tasks[i]);
		if (round == 20)
			most = rota__alloc_bytes();
	}
	expect(rota__alloc_bytes(), <=, most);
	rota__task_cache_flush(&pool, &maker);
	rota__task_cache_flush(&pool, &freer);
	rota__task_pool_trim(&pool);
	expect(rota__alloc_bytes(), ==, before);
}

UNIT_TEST(task_pool, memory_comes_back_after_a_burst)
{
	static rota_task *burst[200 * 1000];
	const size_t n = sizeof(burst) / sizeof(burst[0]);
	const size_t before = rota__alloc_bytes();
	struct rota__task_cache cache = { 0 };
	size_t peak;

	for (size_t i = 0; i < n; i++)
		burst[i] = get(&cache);
	peak = rota__alloc_bytes() - before;
	expect(peak, >=, n * sizeof(rota_task));
	for (size_t i = 0; i < n; i++)
		put(&cache, burst[i]);
	/* By itself, without a trim. */
	expect(rota__alloc_bytes() - before, <, peak / 4);
	rota__task_cache_flush(&pool, &cache);
	rota__task_pool_deinit(&pool);
	expect(rota__alloc_bytes(), ==, before);
}

UNIT_TEST(task_pool, says_when_there_is_no_memory_and_recovers)
{
	struct rota__task_cache cache = { 0 };

	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect_pointer(rota__task_pool_get(&pool, NULL), ==, NULL);
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect_pointer(rota__task_pool_get(&pool, &cache), ==, NULL);
	expect(cache.count, ==, 0);
	put(&cache, get(&cache));
	/* A batch that is only half there is no failure. */
	rota__task_cache_flush(&pool, &cache);
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	for (unsigned i = 0; i < 200; i++)
		tasks[i] = get(&cache);
	rota__fault_arm(ROTA__FAULT_ALLOC, 0, 0);
	for (unsigned i = 0; i < 200; i++)
		put(&cache, tasks[i]);
	rota__task_cache_flush(&pool, &cache);
	rota__task_pool_deinit(&pool);
}

struct visit {
	unsigned met;
};

/* The number counts the visits. */
static void visit(rota_task *task, void *arg)
{
	struct visit *v = arg;

	v->met++;
	task->id++;
	/* It came with a reference. */
	expect(rota__load(&task->state, RELAXED) & ROTA__REF_MASK, ==, 2 * ROTA__REF);
	expect(rota__state_unref(&task->state), ==, ROTA__DROP_KEEP);
}

UNIT_TEST(task_pool, a_walk_meets_all_that_live_once)
{
	struct visit v = { 0 };

	rota__task_pool_each(&pool, visit, &v);
	expect(v.met, ==, 0);
	for (unsigned i = 0; i < MANY; i++) {
		tasks[i] = get(NULL);
		tasks[i]->id = 0;
	}
	for (unsigned i = 0; i < MANY; i += 2)
		put(NULL, tasks[i]);
	/* One that has ended and is still referred to is not alive. */
	expect(rota__state_finish(&tasks[1]->state), ==, ROTA__DROP_FREE);
	rota__state_ref(&tasks[1]->state);
	rota__task_pool_each(&pool, visit, &v);
	expect(v.met, ==, MANY / 2 - 1);
	for (unsigned i = 3; i < MANY; i += 2)
		expect(tasks[i]->id, ==, 1);
	rota__task_pool_deinit(&pool);
}

/* --- walkers beside others ------------------------------------------------------------------------------------- */

static struct rota_atomic_u32 over;

static void touch(rota_task *task, void *arg)
{
	(void)arg;
	/* With a reference the header must stay: the owner below frees only what nobody refers to. */
	for (int i = 0; i < 20; i++) {
		expect(rota__load(&task->state, RELAXED) & ROTA__REF_MASK, >=, ROTA__REF);
		rota__cpu_relax();
	}
	if (rota__state_unref(&task->state) == ROTA__DROP_FREE)
		put(NULL, task);
}

static void *walk(void *arg)
{
	while (rota__load(&over, RELAXED) == 0)
		rota__task_pool_each(&pool, touch, NULL);
	return arg;
}

static void *come_and_go(void *arg)
{
	struct rota__task_cache cache = { 0 };
	rota_task *mine[600];

	for (int round = 0; round < 300; round++) {
		const unsigned n = 1 + (unsigned)(round * 37) % 600;

		for (unsigned i = 0; i < n; i++)
			mine[i] = get(&cache);
		for (unsigned i = 0; i < n; i++) {
			if (rota__state_finish(&mine[i]->state) == ROTA__DROP_FREE)
				put(round % 2 ? &cache : NULL, mine[i]);
		}
		if (round % 10 == 0)
			rota__task_cache_flush(&pool, &cache);
		if (round % 50 == 0)
			rota__task_pool_trim(&pool);
	}
	rota__task_cache_flush(&pool, &cache);
	return arg;
}

UNIT_TEST(task_pool, walkers_do_not_disturb_and_are_not_disturbed)
{
	const size_t before = rota__alloc_bytes();
	pthread_t walkers[2], others[3];

	for (int i = 0; i < 2; i++)
		expect(pthread_create(&walkers[i], NULL, walk, NULL), ==, 0);
	for (int i = 0; i < 3; i++)
		expect(pthread_create(&others[i], NULL, come_and_go, NULL), ==, 0);
	for (int i = 0; i < 3; i++)
		pthread_join(others[i], NULL);
	rota__store(&over, 1, RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(walkers[i], NULL);
	rota__task_pool_trim(&pool);
	expect(rota__alloc_bytes(), ==, before);
}
