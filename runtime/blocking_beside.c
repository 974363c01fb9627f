/* SPDX-License-Identifier: MIT */
/*
 * Threads beside the blocking pool, for calls that may wait for ever: each begins at once, whatever jobs keep the pool, and
 * keeps no thread from what does not wait so long.
 *
 * Whoever asks takes the thread that became free last, or has one made: so there is one for each call, and each call is one
 * call of the driver's `errand_beside`. Within that, and before anybody is told of its end, the thread becomes free again
 * (rota__blocking_beside_free): it is there when whoever was told asks for one at once. Then it waits for the next call as long
 * as those of the pool do, and takes itself off the list when its time is over. All of that under the pool's lock, save that the
 * thread sleeps on `called`: it may be up and gone before it is woken, and a wake of a word that is no longer there does nothing.
 */
#include "blocking_internal.h"
#include "opaque_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"

/* On the thread's stack. In the list from when it is free to when it is called. */
struct rota__beside_thread {
	struct rota__beside_thread *next, *prev;
	struct rota_atomic_u32 called; /* futex */
	bool leaves;                   /* it became free too late to be in the list */
};

static void unlink_idler(struct rota__blocking *pool, struct rota__beside_thread *idler)
{
	if (idler->prev != NULL)
		idler->prev->next = idler->next;
	else
		pool->beside_idlers = idler->next;
	if (idler->next != NULL)
		idler->next->prev = idler->prev;
}

/* With the lock held. NULL: nobody is free. */
static struct rota_atomic_u32 *call_idler(struct rota__blocking *pool)
{
	struct rota__beside_thread *idler = pool->beside_idlers;

	if (idler == NULL)
		return NULL;
	unlink_idler(pool, idler);
	rota__store(&idler->called, 1, SEQ_CST); /* from here on, once the lock is dropped, it may be gone */
	return &idler->called;
}

void rota__blocking_beside_free(rota_runtime *rt, struct rota__beside_thread *thread)
{
	struct rota__blocking *pool = &rt->blocking;

	rota__blocking_lock(pool);
	rota__store(&thread->called, 0, RELAXED); /* under the lock */
	thread->leaves = pool->stopping;
	if (!thread->leaves) {
		thread->prev = NULL;
		thread->next = pool->beside_idlers;
		if (thread->next != NULL)
			thread->next->prev = thread;
		pool->beside_idlers = thread;
	}
	rota__blocking_unlock(pool);
}

/* false: the thread should leave, and is not in the list. */
static bool wait_for_call(struct rota__blocking *pool, struct rota__beside_thread *self)
{
	const uint64_t start = rota__sys_clock();
	const uint64_t until = pool->idle_ns < ROTA_NEVER - start ? start + pool->idle_ns : ROTA_NEVER;
	uint64_t now = start;
	bool called;

	if (self->leaves)
		return false;
	while (!rota__load(&self->called, RELAXED) && now < until) {
		rota__sys_futex_wait(&self->called, 0, until != ROTA_NEVER ? until - now : ROTA_NEVER);
		now = rota__sys_clock();
	}
	rota__blocking_lock(pool);
	called = rota__load(&self->called, RELAXED); /* set under the lock */
	if (!called)
		unlink_idler(pool, self);
	rota__blocking_unlock(pool);
	return called;
}

static ROTA__OPAQUE void *beside_main(void *arg)
{
	rota_runtime *rt = arg;
	struct rota__blocking *pool = &rt->blocking;
	struct rota__beside_thread self;

	rota__runtime_enter(rt);
	do
		rt->driver->errand_beside(rt, &self); /* nothing, where the call only says that all is over */
	while (wait_for_call(pool, &self));
	rota__blocking_lock(pool);
	rota__blocking_gone_unlock(pool, &pool->beside);
	return NULL;
}

int rota__blocking_errand_beside(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota_atomic_u32 *wake;
	pthread_t thread;
	int rc;

	rota__blocking_lock(pool);
	wake = call_idler(pool);
	pool->beside += wake == NULL;
	rota__blocking_unlock(pool);
	if (wake != NULL) {
		rota__sys_futex_wake(wake, 1);
		return 0;
	}
	rc = rota__sys_thread(&thread, "rota-call", beside_main, rt);
	if (rc == 0) {
		pthread_detach(thread);
		return 0;
	}
	rota__blocking_lock(pool);
	rota__blocking_gone_unlock(pool, &pool->beside);
	return rc;
}

void rota__blocking_stop_beside(struct rota__blocking *pool)
{
	struct rota_atomic_u32 *wake;

	do {
		rota__blocking_lock(pool);
		wake = call_idler(pool);
		rota__blocking_unlock(pool);
		if (wake != NULL)
			rota__sys_futex_wake(wake, 1);
	} while (wake != NULL);
}
