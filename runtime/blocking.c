/* SPDX-License-Identifier: MIT */
#include "blocking.h"

#include <errno.h>

#include "blocking_internal.h"
#include "future_internal.h"
#include "log_internal.h"
#include "runtime_internal.h"

enum { SET, CALLED, OVER }; /* an interrupter's state */

void rota__blocking_init(struct rota__blocking *pool, unsigned threads_max, unsigned queue_max, uint64_t idle_ns)
{
	*pool = (struct rota__blocking){
		.threads_max = threads_max,
		.queue_max = queue_max,
		.idle_ns = idle_ns,
		.mean = ROTA__MEAN_START_NS,
	};
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

static bool has_room(const struct rota__blocking *pool)
{
	return pool->queued + pool->promised < pool->queue_max;
}

/* A place has become free: the longest waiting submitter gets it. */
static void free_place(struct rota__blocking *pool, struct rota__wake_batch *batch)
{
	if (rota__waitlist_empty(&pool->submitters) || !has_room(pool))
		return;
	pool->promised++;
	rota__waitlist_grant(&pool->submitters, 0, batch);
}

void rota__blocking_dequeue(struct rota__blocking *pool, rota_task *job, struct rota__wake_batch *batch)
{
	if (job->queue_prev != NULL)
		job->queue_prev->queue_next = job->queue_next;
	else
		pool->first = job->queue_next;
	if (job->queue_next != NULL)
		job->queue_next->queue_prev = job->queue_prev;
	else
		pool->last = job->queue_prev;
	job->queue_prev = NULL;
	pool->queued--;
	free_place(pool, batch);
}

static bool is_queued(const struct rota__blocking *pool, const rota_task *job)
{
	return job->queue_prev != NULL || pool->first == job;
}

/* --- submitting ----------------------------------------------------------------------------------------------- */

rota_poll rota__blocking_poll_place(struct rota__blocking *pool, struct rota_waiter *waiter,
				    const struct rota_waker *waker, bool cancelled, int *ret_status)
{
	rota_poll ready = ROTA_READY;

	rota__blocking_lock(pool);
	if (rota__waiter_granted(waiter)) {
		*ret_status = 0;
	} else if (cancelled) {
		*ret_status = -ECANCELED;
		if (rota__waiter_queued(waiter))
			rota__waitlist_remove(&pool->submitters, waiter);
	} else if (!rota__waiter_queued(waiter) && has_room(pool)) {
		pool->promised++;
		*ret_status = 0;
	} else {
		rota__waitlist_wait(&pool->submitters, waiter, waker, false);
		ready = ROTA_PENDING;
	}
	rota__blocking_unlock(pool);
	return ready;
}

int rota__blocking_submit_placed(rota_runtime *rt, rota_task *job, rota_task **ret_task)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota__blocking_call call;
	struct rota__wake_batch batch;
	int rc;

	rota__wake_batch_init(&batch);
	rota__blocking_lock(pool);
	pool->promised--;
	enqueue(pool, job);
	rc = rota__blocking_call(rt, &call);
	if (rc < 0)
		rota__blocking_dequeue(pool, job, &batch);
	else if (ret_task != NULL)
		*ret_task = job; /* before it can be taken */
	rota__blocking_unlock(pool);
	rota__blocking_carry_out(rt, &call);
	rota__wake_batch_submit(&batch);
	return rc;
}

void rota__blocking_return_place(struct rota__blocking *pool)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__blocking_lock(pool);
	pool->promised--;
	free_place(pool, &batch);
	rota__blocking_unlock(pool);
	rota__wake_batch_submit(&batch);
}

struct place_op {
	struct rota_future future;
	struct rota__blocking *pool;
	struct rota_waiter waiter;
};

static rota_poll place_poll(struct rota_future *self, struct rota_context *cx)
{
	struct place_op *op = (struct place_op *)(void *)self;

	return rota__blocking_poll_place(op->pool, &op->waiter, cx->waker, rota__future_cancel_noted(self),
					 &self->status);
}

static const struct rota_future_ops place_ops = { place_poll, rota__future_note_cancel, "blocking pool place" };

int rota__blocking_submit(rota_runtime *rt, rota_task *job, rota_task **ret_task)
{
	struct rota__blocking *pool = &rt->blocking;
	struct place_op op = { .pool = pool };
	const rota_task *caller = rota__task_current();
	bool placed;
	int rc = 0;

	rota__blocking_lock(pool);
	placed = has_room(pool) && rota__waitlist_empty(&pool->submitters);
	if (placed)
		pool->promised++;
	rota__blocking_unlock(pool);
	if (!placed && (rota__blocking_thread() || (caller != NULL && !rota__task_may_wait(caller))))
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
	rota__blocking_lock(pool);
	queued = is_queued(pool, job);
	if (queued)
		rota__blocking_dequeue(pool, job, &batch);
	interrupter = take_interrupter(job);
	rota__blocking_unlock(pool);
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
	const rota_task *job = rota__blocking_job();

	return job != NULL && rota__state_asked(&job->state);
}

int rota_interrupter_enter(struct rota_interrupter *interrupter, void (*interrupt)(void *arg), void *arg)
{
	rota_task *job = rota__blocking_job();
	int rc = 0;

	if (interrupt == NULL)
		return -EINVAL;
	if (job == NULL)
		return -ENXIO;
	interrupter->interrupt_ = interrupt;
	interrupter->arg_ = arg;
	rota__store(&interrupter->state_, SET, RELAXED); /* published by the lock */
	/* A cancel marks the job, then takes the lock: it finds the interrupter, or is found here. */
	rota__blocking_lock(&job->rt->blocking);
	if (rota__state_asked(&job->state))
		rc = -ECANCELED;
	else if (job->interrupter != NULL)
		rc = -EBUSY;
	else
		job->interrupter = interrupter;
	rota__blocking_unlock(&job->rt->blocking);
	return rc;
}

void rota_interrupter_leave(struct rota_interrupter *interrupter)
{
	rota_task *job = rota__blocking_job();
	bool called;
	unsigned spins = 0;

	if (job == NULL || job->interrupter != interrupter) {
		rota__misuse("rota_interrupter_leave without rota_interrupter_enter");
		return;
	}
	rota__blocking_lock(&job->rt->blocking);
	job->interrupter = NULL;
	called = rota__load(&interrupter->state_, RELAXED) != SET;
	rota__blocking_unlock(&job->rt->blocking);
	while (called && rota__load(&interrupter->state_, ACQUIRE) != OVER) /* partner: rota__blocking_cancel */
		rota__spin_pause(&spins);
}

int rota__blocking_errand(rota_runtime *rt)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota__blocking_call call;
	int rc;

	rota__blocking_lock(pool);
	pool->errands++;
	rc = rota__blocking_call(rt, &call);
	if (rc < 0)
		pool->errands--;
	rota__blocking_unlock(pool);
	rota__blocking_carry_out(rt, &call);
	return rc;
}
