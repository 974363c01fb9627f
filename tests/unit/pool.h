/* SPDX-License-Identifier: MIT */
/* A small blocking pool for tests: two threads, room for three in the queue, a gate that holds jobs back. */
#ifndef TESTS_UNIT_POOL_H
#define TESTS_UNIT_POOL_H

#include <semaphore.h>

#include "../../runtime/runtime_internal.h"
#include "unit.h"

static rota_runtime *rt; /* of the test */

static struct rota_config pool_config = {
	.workers = 2,
	.max_blocking_threads = 2,
	.max_blocking_queue = 3,
};

static inline void start_runtime(void)
{
	unsetenv("ROTA_FLAVOR");
	expect(rota_runtime_new(&rt, &pool_config), ==, 0);
}

static inline void stop_runtime(void)
{
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	rota_runtime_free(rt);
}

/* POOL_TEST(suite, name) { ... }: the body of a fiber beside a pool of two threads and a queue of three, in both flavors. */
#define POOL_TEST(suite, name) \
	static void name(void); \
	static int name##_fn(void *arg) \
	{ \
		(void)arg; \
		name(); \
		return 0; \
	} \
	UNIT_TEST(suite, name##_on_workers) \
	{ \
		start_runtime(); \
		expect(rota_block_on(rt, name##_fn, NULL), ==, 0); \
		stop_runtime(); \
	} \
	UNIT_TEST(suite, name##_on_caller) \
	{ \
		pool_config.flavor = ROTA_FLAVOR_CURRENT_THREAD; \
		start_runtime(); \
		expect(rota_block_on(rt, name##_fn, NULL), ==, 0); \
		stop_runtime(); \
	} \
	static void name(void)

static inline rota_task *spawn_job(rota_fn *fn, void *arg)
{
	rota_task *job = NULL;

	expect(rota_spawn_blocking(&job, fn, arg), ==, 0);
	expect_pointer(job, !=, NULL);
	return job;
}

static inline unsigned queued(void)
{
	unsigned n;

	rota__waitlist_lock(&rt->blocking.submitters);
	n = rt->blocking.queued;
	rota__waitlist_unlock(&rt->blocking.submitters);
	return n;
}

static inline unsigned running(void)
{
	unsigned n;

	rota__waitlist_lock(&rt->blocking.submitters);
	n = rt->blocking.running;
	rota__waitlist_unlock(&rt->blocking.submitters);
	return n;
}

static inline void until(unsigned (*count)(void), unsigned n)
{
	const time_t start = expect_seconds_();

	while (count() != n) {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		rota_yield();
	}
}

static sem_t gate; /* holds jobs until it is posted */

static inline int wait_at_gate(void *arg)
{
	while (sem_wait(&gate) < 0) {
	}
	return (int)(intptr_t)arg;
}

/* Both threads of the pool are in a job, and `n` more jobs are queued. */
static inline void occupy_pool(rota_task **jobs, unsigned n)
{
	sem_init(&gate, 0, 0);
	for (intptr_t i = 0; i < 2; i++)
		jobs[i] = spawn_job(wait_at_gate, (void *)i);
	until(queued, 0);
	for (intptr_t i = 2; i < 2 + (intptr_t)n; i++)
		jobs[i] = spawn_job(wait_at_gate, (void *)i);
	expect(queued(), ==, n);
}

static inline void open_gate(unsigned n)
{
	while (n-- > 0)
		sem_post(&gate);
}

static struct rota_atomic_u32 ran;

static inline int note(void *arg)
{
	rota__fetch_add(&ran, 1, SEQ_CST);
	return (int)(intptr_t)arg;
}

#endif
