/* SPDX-License-Identifier: MIT */
/*
 * The threads of the blocking pool: when one more is called, how they wait, what they take, when they leave.
 *
 * A job that blocks wants a thread of its own, and at once. A job that is over in a microsecond is better off behind
 * others, since to wake a thread costs more than all of them. Nobody can tell the two apart beforehand, so the pool learns
 * how long jobs took of late (`mean`). While what is queued is worth less than a wake, it is left to the threads that are
 * at work; otherwise there is a thread on its way (`arriving`) for each thing that waits. When the guess was wrong, the
 * monitor sees a queue of which nothing was taken between two looks, and calls threads as for long jobs. In the
 * current-thread flavour every job counts as long, and the monitor is there for threads that could not be made.
 *
 * To make a thread takes tens of microseconds, for which nobody should spin: it is counted under the lock (`making`), and
 * made after the lock was dropped. Only when no thread is there that was made already is one made with the lock held, so
 * that whoever queues something learns when there is none to do it. A thread leaves only when nothing waits, so what was
 * queued while one was there is done even if all that were counted fail. But the one may be at a job that lasts for ever, or
 * waits for what is queued: so the monitor tries again.
 *
 * A thread that makes a call which may wait for ever steps aside for it: so long the pool may have one more, and this one does
 * not count as being there. If then none can be made for what waits, the monitor tries again. When it is back there may be one
 * too many, and the first that comes by leaves, whatever waits, to as many as there may be; if it was on its way for what
 * waits, an idle one goes instead.
 *
 * A thread with nothing to do lies on the list of idlers (idlers_internal.h). Whoever calls it counts it as arriving.
 */
#include <errno.h>
#include <pthread.h>

#include "blocking.h"
#include "idlers_internal.h"
#include "log_internal.h"
#include "opaque_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"

static _Thread_local rota_task *job_here;
static _Thread_local bool pool_thread;

ROTA__OPAQUE rota_task *rota__blocking_job(void)
{
	return job_here;
}

ROTA__OPAQUE bool rota__blocking_thread(void)
{
	return pool_thread;
}

ROTA__OPAQUE void rota__blocking_forked(void)
{
	job_here = NULL;
	pool_thread = false;
}

/* --- calling; with the lock held ----------------------------------------------------------------------------- */

/* Threads that are not only counted, and have not stepped aside. */
static unsigned there(const struct rota__blocking *pool)
{
	return pool->threads - pool->making - pool->aside;
}

/* NULL: nobody is idle. */
static struct rota_atomic_u32 *call_idler(struct rota__blocking *pool)
{
	struct rota_atomic_u32 *word = rota__idler_call(&pool->idlers);

	pool->arriving += word != NULL;
	return word;
}

static unsigned waiting(const struct rota__blocking *pool)
{
	return pool->queued + pool->errands;
}

/* Has the monitor look after what waits; true: it is to be roused. */
static bool leave_to_monitor(struct rota__blocking *pool)
{
	const bool first = !rota__load(&pool->left, RELAXED);

	rota__store(&pool->left, 1, RELAXED); /* rota__blocking_look */
	return first;
}

/* Whether those who are at work will soon have taken what waits, as far as one can tell. */
static bool soon_taken(const rota_runtime *rt)
{
	const struct rota__blocking *pool = &rt->blocking;
	const unsigned at_work = pool->running + pool->arriving;

	if (pool->running == 0 || pool->mean >= ROTA__WAKE_COST_NS || rt->config.flavor == ROTA_FLAVOR_CURRENT_THREAD)
		return false;
	/* Jobs as short as these compute: more threads than CPUs would only get into each other's way. */
	return at_work >= rt->worker_count || waiting(pool) * pool->mean < ROTA__WAKE_COST_NS * at_work;
}

static ROTA__OPAQUE void *thread_main(void *arg);

/* Of a thread that is only counted so far. */
static void *made_thread_main(void *arg)
{
	rota_runtime *rt = arg;

	rota__blocking_lock(&rt->blocking);
	rt->blocking.making--;
	rota__blocking_unlock(&rt->blocking);
	return thread_main(arg);
}

static int make_thread(rota_runtime *rt, void *(*entry)(void *arg))
{
	pthread_t thread;
	int rc = rota__sys_thread(&thread, "rota-blocking", entry, rt);

	if (rc == 0)
		pthread_detach(thread);
	return rc;
}

void rota__blocking_gone_unlock(struct rota__blocking *pool, unsigned *count)
{
	(*count)--;
	/* The last touch of the runtime by this thread is the wake below, of an address only. */
	rota__fetch_add(&pool->finished, 1, SEQ_CST);
	rota__blocking_unlock(pool);
	rota__sys_futex_wake(&pool->finished, INT32_MAX);
}

/* Without the lock. */
static void make_counted_thread(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota__blocking_call call = { .wake = NULL };

	if (make_thread(rt, made_thread_main) == 0)
		return;
	rota__blocking_lock(pool);
	pool->arriving--;
	call.watch = waiting(pool) > 0 && leave_to_monitor(pool);
	rota__blocking_unlock(pool);
	rota__blocking_carry_out(rt, &call);
	rota__blocking_lock(pool);
	pool->making--; /* so long the pool stays */
	rota__blocking_gone_unlock(pool, &pool->threads);
}

int rota__blocking_call(rota_runtime *rt, struct rota__blocking_call *ret_call)
{
	struct rota__blocking *pool = &rt->blocking;
	const bool nobody = there(pool) == 0;
	int rc;

	*ret_call = (struct rota__blocking_call){ .wake = NULL };
	if (pool->arriving >= waiting(pool) && !nobody)
		return 0;
	if (soon_taken(rt)) {
		ret_call->watch = leave_to_monitor(pool);
		return 0;
	}
	ret_call->wake = call_idler(pool);
	/* Whoever was counted while somebody was there left room: without anybody there are fewer than the most. */
	if (ret_call->wake != NULL || pool->threads - pool->aside >= pool->threads_max)
		return 0;
	rc = nobody ? make_thread(rt, thread_main) : 0;
	if (rc < 0)
		return rc;
	ret_call->make = !nobody;
	pool->making += !nobody;
	pool->threads++;
	pool->arriving++;
	return 0;
}

void rota__blocking_carry_out(rota_runtime *rt, const struct rota__blocking_call *call)
{
	if (call->wake != NULL)
		rota__sys_futex_wake(call->wake, 1);
	if (call->make)
		make_counted_thread(rt);
	if (call->watch)
		rota__monitor_mind_pool(rt);
}

/* --- the threads ------------------------------------------------------------------------------------------------ */

/* Whether there are more than there may be, since one has come back from aside: those that are only counted do not do its work. */
static bool too_many(const struct rota__blocking *pool)
{
	return there(pool) > pool->threads_max;
}

/* Waits for something to do with the lock held, dropping it meanwhile; false: the thread should leave. */
static bool wait_for_work(struct rota__blocking *pool)
{
	const uint64_t until = rota__idler_until(pool);
	struct rota__idler self;

	while (too_many(pool) || waiting(pool) == 0) {
		uint64_t now = rota__sys_clock();

		if (too_many(pool) || pool->stopping || now >= until)
			return false;
		rota__idler_put(&pool->idlers, &self);
		rota__blocking_unlock(pool);
		rota__idler_sleep(&self, until, now);
		rota__blocking_lock(pool);
		if (rota__load(&self.called, RELAXED)) /* set under the lock */
			pool->arriving--;
		else
			rota__idler_take(&pool->idlers, &self);
	}
	return true;
}

static ROTA__OPAQUE int run(rota_task *job)
{
	int status;

	if (rota__state_asked(&job->state))
		return -ECANCELED; /* after it was queued and before a cancel could find it, or before it was queued */
	job_here = job;
	status = job->fn(job->arg);
	if (job->interrupter != NULL) {
		rota__misuse("job %llu has returned without rota_interrupter_leave", (unsigned long long)job->id);
		rota__blocking_lock(&job->rt->blocking);
		job->interrupter = NULL;
		rota__blocking_unlock(&job->rt->blocking);
	}
	job_here = NULL;
	return status;
}

/* Takes a job or an errand, calls somebody for what is left, and drops the lock meanwhile. Returns the clock at the end. */
static uint64_t work(rota_runtime *rt, uint64_t start)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota__blocking_call call;
	struct rota__wake_batch batch;
	rota_task *job = NULL;
	uint64_t now;

	rota__wake_batch_init(&batch);
	pool->errand_before = pool->errands > 0 && (pool->first == NULL || !pool->errand_before);
	if (pool->errand_before) {
		pool->errands--;
	} else {
		job = pool->first;
		rota__blocking_dequeue(pool, job, &batch);
	}
	pool->running++;
	pool->taken++;
	rota__blocking_call(rt, &call); /* no thread: there is this one */
	rota__blocking_unlock(pool);
	rota__blocking_carry_out(rt, &call);
	rota__wake_batch_submit(&batch);
	if (job != NULL)
		rota__task_finish(job, run(job));
	else
		rt->driver->errand(rt);
	now = rota__sys_clock();
	rota__blocking_lock(pool);
	pool->running--;
	pool->mean = rota__moving_mean(pool->mean, now - start);
	return now;
}

static ROTA__OPAQUE void *thread_main(void *arg)
{
	rota_runtime *rt = arg;
	struct rota__blocking *pool = &rt->blocking;
	struct rota_atomic_u32 *wake = NULL;

	pool_thread = true;
	rota__runtime_enter(rt);
	rota__blocking_lock(pool);
	pool->arriving--;
	while (wait_for_work(pool)) {
		uint64_t now = rota__sys_clock();

		while (waiting(pool) > 0 && !too_many(pool))
			now = work(rt, now);
	}
	if (waiting(pool) > pool->arriving)
		wake = call_idler(pool);
	rota__blocking_gone_unlock(pool, &pool->threads);
	if (wake != NULL)
		rota__sys_futex_wake(wake, 1);
	return NULL;
}

void rota__blocking_step_aside(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota__blocking_call call = { .wake = NULL };

	rota__blocking_lock(pool);
	pool->running--;
	pool->aside++;
	if (waiting(pool) > 0 && rota__blocking_call(rt, &call) < 0)
		call.watch = leave_to_monitor(pool);
	rota__blocking_unlock(pool);
	rota__blocking_carry_out(rt, &call);
}

void rota__blocking_step_back(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;

	rota__blocking_lock(pool);
	pool->running++;
	pool->aside--;
	rota__blocking_unlock(pool);
}

/* --- from outside -------------------------------------------------------------------------------------------------- */

bool rota__blocking_look(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota__blocking_call call = { .wake = NULL };
	bool left;

	if (!rota__load(&pool->left, RELAXED))
		return false;
	rota__blocking_lock(pool);
	left = waiting(pool) > 0;
	rota__store(&pool->left, left, RELAXED);
	if (left && pool->taken == pool->seen) {
		pool->mean = ROTA__MEAN_START_NS; /* from here on they are called as for long jobs */
		rota__blocking_call(rt, &call);
	}
	pool->seen = pool->taken;
	rota__blocking_unlock(pool);
	rota__blocking_carry_out(rt, &call);
	return left;
}

void rota__blocking_stop(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota_atomic_u32 *wake;

	do {
		rota__blocking_lock(pool);
		pool->stopping = true;
		wake = call_idler(pool);
		rota__blocking_unlock(pool);
		if (wake != NULL)
			rota__sys_futex_wake(wake, 1);
	} while (wake != NULL);
	rota__blocking_stop_beside(pool);
	for (;;) {
		uint32_t finished = rota__load(&pool->finished, SEQ_CST);

		if (rota__blocking_threads(rt) == 0)
			return;
		rota__sys_futex_wait(&pool->finished, finished, UINT64_MAX);
	}
}

unsigned rota__blocking_threads(rota_runtime *rt)
{
	unsigned threads;

	rota__blocking_lock(&rt->blocking);
	threads = rt->blocking.threads + rt->blocking.beside;
	rota__blocking_unlock(&rt->blocking);
	return threads;
}
