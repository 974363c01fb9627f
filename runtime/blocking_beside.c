/* SPDX-License-Identifier: MIT */
/*
 * Threads beside the blocking pool, for calls that may wait for ever: each begins at once, whatever jobs keep the pool, and
 * keeps no thread from what does not wait so long.
 *
 * Whoever asks takes the thread that became free last, or has one made: so there is one for each call, and each call is one
 * call of the driver's `errand_beside`. Within that, and before anybody is told of its end, the thread becomes free again
 * (rota__blocking_beside_free): it is there when whoever was told asks for one at once. Then it waits for the next call as long
 * as those of the pool do (idlers_internal.h).
 */
#include "idlers_internal.h"
#include "opaque_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"

struct rota__beside_thread {
	struct rota__idler idler; /* in the list from when the thread is free to when it is called */
	bool leaves;              /* it became free too late to be there */
};

void rota__blocking_beside_free(rota_runtime *rt, struct rota__beside_thread *thread)
{
	struct rota__blocking *pool = &rt->blocking;

	rota__blocking_lock(pool);
	thread->leaves = pool->stopping;
	if (!thread->leaves)
		rota__idler_put(&pool->beside_idlers, &thread->idler);
	rota__blocking_unlock(pool);
}

/* false: the thread should leave, and is not in the list. */
static bool wait_for_call(struct rota__blocking *pool, struct rota__beside_thread *self)
{
	const uint64_t until = rota__idler_until(pool);
	uint64_t now;
	bool called;

	if (self->leaves)
		return false;
	while (!rota__load(&self->idler.called, RELAXED) && (now = rota__sys_clock()) < until)
		rota__idler_sleep(&self->idler, until, now);
	rota__blocking_lock(pool);
	called = rota__load(&self->idler.called, RELAXED); /* set under the lock */
	if (!called)
		rota__idler_take(&pool->beside_idlers, &self->idler);
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
	wake = rota__idler_call(&pool->beside_idlers);
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
		wake = rota__idler_call(&pool->beside_idlers);
		rota__blocking_unlock(pool);
		if (wake != NULL)
			rota__sys_futex_wake(wake, 1);
	} while (wake != NULL);
}
