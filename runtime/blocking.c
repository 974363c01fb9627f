/* SPDX-License-Identifier: MIT */
#include "blocking.h"

#include <errno.h>
#include <pthread.h>

#include "blocking_internal.h"
#include "log_internal.h"
#include "runtime_internal.h"
#include "sys_internal.h"

enum { SET, CALLED, OVER }; /* an interrupter's state */

/* The job that the calling thread runs. */
static _Thread_local rota_task *running_job;

/* Whether the calling thread is one of a pool: it must not wait for a place that only such threads can free. */
static _Thread_local bool pool_thread;

void rota__blocking_init(struct rota__blocking *pool, unsigned threads_max, unsigned queue_max, uint64_t idle_ns)
{
	*pool = (struct rota__blocking){
		.threads_max = threads_max,
		.queue_max = queue_max,
		.idle_ns = idle_ns,
	};
}

static void lock(struct rota__blocking *pool)
{
	rota__waitlist_lock(&pool->submitters);
}

static void unlock(struct rota__blocking *pool)
{
	rota__waitlist_unlock(&pool->submitters);
}

/* --- the queue; with the lock held ---------------------------------------------------------------------------- */

static void enqueue(struct rota__blocking *pool, rota_task *job)
{
	job->queue_next = NULL;
	job->queue_prev = pool->last;
	if (pool->last != NULL)
		pool->last->queue_next = job;
	else
		pool->first = job;
	pool->last = job;
	pool->queued++;
}

/* A place has become free: the longest waiting submitter gets it. */
static void free_place(struct rota__blocking *pool, struct rota__wake_batch *batch)
{
	if (rota__waitlist_empty(&pool->submitters) || pool->queued + pool->promised >= pool->queue_max)
		return;
	pool->promised++;
	rota__waitlist_grant(&pool->submitters, 0, batch);
}

static void dequeue(struct rota__blocking *pool, rota_task *job, struct rota__wake_batch *batch)
{
	if (job->queue_prev != NULL)
		job->queue_prev->queue_next = job->queue_next;
	else
		pool->first = job->queue_next;
	if (job->queue_next != NULL)
		job->queue_next->queue_prev = job->queue_prev;
	else
		pool->last = job->queue_prev;
	pool->queued--;
	free_place(pool, batch);
}

static bool is_queued(const struct rota__blocking *pool, const rota_task *job)
{
	return job->queue_prev != NULL || pool->first == job;
}

/* --- threads -------------------------------------------------------------------------------------------------- */

/* Waits for something to do with the lock held, dropping it meanwhile; false: the thread should leave. */
static bool wait_for_work(struct rota__blocking *pool)
{
	uint64_t until = rota__sys_clock() + pool->idle_ns;

	while (pool->first == NULL && pool->errands == 0) {
		uint32_t bell = rota__load(&pool->bell, RELAXED); /* rung under the lock */
		uint64_t now = rota__sys_clock();

		if (pool->stopping || now >= until)
			return false;
		pool->idle++;
		unlock(pool);
		rota__sys_futex_wait(&pool->bell, bell, until - now);
		lock(pool);
		pool->idle--;
		if (pool->notified > 0)
			pool->notified--;
	}
	return true;
}

static int run(rota_task *job)
{
	int status;

	if (rota__state_asked(&job->state))
		return -ECANCELED; /* after it was queued and before a cancel could find it, or before it was queued */
	running_job = job;
	status = job->fn(job->arg);
	if (job->interrupter != NULL) {
		rota__misuse("job %llu has returned without rota_interrupter_leave", (unsigned long long)job->id);
		lock(&job->rt->blocking);
		job->interrupter = NULL;
		unlock(&job->rt->blocking);
	}
	running_job = NULL;
	return status;
}

/* Takes a job from the queue, and drops the lock meanwhile. */
static void run_job(struct rota__blocking *pool)
{
	struct rota__wake_batch batch;
	rota_task *job = pool->first;

	rota__wake_batch_init(&batch);
	dequeue(pool, job, &batch);
	job->queue_prev = NULL;
	pool->running++;
	unlock(pool);
	rota__wake_batch_submit(&batch);
	rota__task_finish(job, run(job));
	lock(pool);
	pool->running--;
}

static void run_errand(rota_runtime *rt)
{
	rt->blocking.errands--;
	unlock(&rt->blocking);
	rt->driver->errand(rt);
	lock(&rt->blocking);
}

static void *thread_main(void *arg)
{
	rota_runtime *rt = arg;
	struct rota__blocking *pool = &rt->blocking;

	pool_thread = true;
	rota__runtime_enter(rt);
	lock(pool);
	while (wait_for_work(pool)) {
		pool->errand_before = pool->errands > 0 && (pool->first == NULL || !pool->errand_before);
		if (pool->errand_before)
			run_errand(rt);
		else
			run_job(pool);
	}
	pool->threads--;
	/* The last touch of the runtime by this thread is the wake below, of an address only. */
	rota__fetch_add(&pool->finished, 1, SEQ_CST);
	unlock(pool);
	rota__sys_futex_wake(&pool->finished, INT32_MAX);
	return NULL;
}

/* With the lock held: makes sure that somebody will take the job just queued. Returns whether to ring the bell, or a
 * negative errno when there is no thread at all. */
static int call_thread(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;
	pthread_t thread;
	int rc;

	if (pool->idle > pool->notified) {
		pool->notified++;
		rota__fetch_add(&pool->bell, 1, SEQ_CST);
		return 1;
	}
	if (pool->threads == pool->threads_max)
		return 0;
	rc = rota__sys_thread(&thread, "rota-blocking", thread_main, rt);
	if (rc < 0)
		return pool->threads > 0 ? 0 : rc;
	pthread_detach(thread);
	pool->threads++;
	return 0;
}

/* --- submitting ----------------------------------------------------------------------------------------------- */

rota_poll rota__blocking_poll_place(struct rota__blocking *pool, struct rota_waiter *waiter,
				    const struct rota_waker *waker, bool cancelled, int *ret_status)
{
	rota_poll ready = ROTA_READY;

	lock(pool);
	if (rota__waiter_granted(waiter)) {
		*ret_status = 0;
	} else if (cancelled) {
		*ret_status = -ECANCELED;
		if (rota__waiter_queued(waiter))
			rota__waitlist_remove(&pool->submitters, waiter);
	} else if (!rota__waiter_queued(waiter) && pool->queued + pool->promised < pool->queue_max) {
		pool->promised++;
		*ret_status = 0;
	} else {
		rota__waitlist_wait(&pool->submitters, waiter, waker, false);
		ready = ROTA_PENDING;
	}
	unlock(pool);
	return ready;
}

int rota__blocking_submit_placed(rota_runtime *rt, rota_task *job, rota_task **ret_task)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota__wake_batch batch;
	int rc;

	rota__wake_batch_init(&batch);
	lock(pool);
	pool->promised--;
	rc = call_thread(rt);
	if (rc >= 0) {
		if (ret_task != NULL)
			*ret_task = job;
		enqueue(pool, job);
	} else {
		free_place(pool, &batch);
	}
	unlock(pool);
	if (rc > 0)
		rota__sys_futex_wake(&pool->bell, 1);
	rota__wake_batch_submit(&batch);
	return rc < 0 ? rc : 0;
}

void rota__blocking_return_place(struct rota__blocking *pool)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	lock(pool);
	pool->promised--;
	free_place(pool, &batch);
	unlock(pool);
	rota__wake_batch_submit(&batch);
}

struct place_op {
	struct rota_future future;
	struct rota__blocking *pool;
	struct rota_waiter waiter;
	bool cancelled;
};

static rota_poll place_poll(struct rota_future *self, struct rota_context *cx)
{
	struct place_op *op = (struct place_op *)(void *)self;

	return rota__blocking_poll_place(op->pool, &op->waiter, cx->waker, op->cancelled, &self->status);
}

static void place_cancel(struct rota_future *self)
{
	((struct place_op *)(void *)self)->cancelled = true;
}

static const struct rota_future_ops place_ops = { place_poll, place_cancel, "blocking pool place" };

int rota__blocking_submit(rota_runtime *rt, rota_task *job, rota_task **ret_task)
{
	struct rota__blocking *pool = &rt->blocking;
	struct place_op op = { .pool = pool };
	const rota_task *caller = rota__task_current();
	bool placed, full;
	int rc = 0;

	lock(pool);
	full = pool->queued + pool->promised >= pool->queue_max;
	placed = !full && rota__waitlist_empty(&pool->submitters);
	if (placed)
		pool->promised++;
	unlock(pool);
	if (!placed && (pool_thread || (caller != NULL && !rota__task_may_wait(caller))))
		return -EAGAIN;
	if (!placed) {
		rota_future_init(&op.future, &place_ops);
		rc = rota_await(&op.future);
	}
	return rc < 0 ? rc : rota__blocking_submit_placed(rt, job, ret_task);
}

/* With the lock held: takes the right to interrupt a job that runs. NULL: it has not said how, or it was done. */
static struct rota_interrupter *take_interrupter(rota_task *job)
{
	struct rota_interrupter *interrupter = job->interrupter;

	if (interrupter == NULL || rota__load(&interrupter->state_, RELAXED) != SET)
		return NULL;
	rota__store(&interrupter->state_, CALLED, RELAXED); /* under the lock, as all but OVER */
	return interrupter;
}

void rota__blocking_cancel(rota_runtime *rt, rota_task *job)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota_interrupter *interrupter;
	struct rota__wake_batch batch;
	bool queued;

	rota__wake_batch_init(&batch);
	lock(pool);
	queued = is_queued(pool, job);
	if (queued) {
		dequeue(pool, job, &batch);
		job->queue_prev = NULL;
	}
	interrupter = take_interrupter(job);
	unlock(pool);
	rota__wake_batch_submit(&batch);
	if (queued)
		rota__task_finish(job, -ECANCELED);
	if (interrupter != NULL) {
		interrupter->interrupt_(interrupter->arg_);
		rota__store(&interrupter->state_, OVER, RELEASE); /* partner: rota_interrupter_leave */
	}
}

bool rota__blocking_cancelled(void)
{
	return running_job != NULL && rota__state_asked(&running_job->state);
}

int rota_interrupter_enter(struct rota_interrupter *interrupter, void (*interrupt)(void *arg), void *arg)
{
	rota_task *job = running_job;
	int rc = 0;

	if (job == NULL)
		return -ENXIO;
	interrupter->interrupt_ = interrupt;
	interrupter->arg_ = arg;
	rota__store(&interrupter->state_, SET, RELAXED); /* published by the lock */
	/* A cancel marks the job, then takes the lock: it finds the interrupter, or is found here. */
	lock(&job->rt->blocking);
	if (rota__state_asked(&job->state))
		rc = -ECANCELED;
	else if (job->interrupter != NULL)
		rc = -EBUSY;
	else
		job->interrupter = interrupter;
	unlock(&job->rt->blocking);
	return rc;
}

void rota_interrupter_leave(struct rota_interrupter *interrupter)
{
	rota_task *job = running_job;
	bool called;
	unsigned spins = 0;

	if (job == NULL || job->interrupter != interrupter) {
		rota__misuse("rota_interrupter_leave without rota_interrupter_enter");
		return;
	}
	lock(&job->rt->blocking);
	job->interrupter = NULL;
	called = rota__load(&interrupter->state_, RELAXED) != SET;
	unlock(&job->rt->blocking);
	while (called && rota__load(&interrupter->state_, ACQUIRE) != OVER) /* partner: rota__blocking_cancel */
		rota__spin_pause(&spins);
}

int rota__blocking_errand(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;
	int rc;

	lock(pool);
	rc = call_thread(rt);
	if (rc >= 0)
		pool->errands++;
	unlock(pool);
	if (rc > 0)
		rota__sys_futex_wake(&pool->bell, 1);
	return rc < 0 ? rc : 0;
}

void rota__blocking_stop(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;

	lock(pool);
	pool->stopping = true;
	rota__fetch_add(&pool->bell, 1, SEQ_CST);
	unlock(pool);
	rota__sys_futex_wake(&pool->bell, INT32_MAX);
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

	lock(&rt->blocking);
	threads = rt->blocking.threads;
	unlock(&rt->blocking);
	return threads;
}
