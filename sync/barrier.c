/* SPDX-License-Identifier: MIT */
/*
 * The protocol. All under the list's lock. Who comes and is not the last queues, marked with the present generation; a
 * cancelled one takes itself off and `arrived_` back. The last one begins the next generation and grants all of the former.
 * When these are more than one batch of wakes the lock is dropped in between: those that still wait have passed, and stay
 * queued until they are granted (waitlist_internal.h), while those of the next round queue behind them. The last one of
 * that may grant them, too: so the end of the barrier waits for the first to come back.
 */
#include "barrier.h"

#include <errno.h>

#include "../runtime/await_internal.h"
#include "misuse_internal.h"

int rota_barrier_init(struct rota_barrier *b, uint32_t count)
{
	if (count == 0)
		return -EINVAL;
	*b = (struct rota_barrier)ROTA_BARRIER_INIT(count);
	return 0;
}

int rota_barrier_deinit(struct rota_barrier *b)
{
	return rota__sync_deinit(&b->waiters_, "rota_barrier_deinit while somebody waits");
}

static struct rota_barrier_op *op_of(struct rota_future *future)
{
	return (struct rota_barrier_op *)(void *)future;
}

/* With the lock, which it drops. */
static void begin_round(struct rota_barrier *b)
{
	struct rota__wake_batch batch;
	uint32_t generation = ++b->generation_;

	b->arrived_ = 0;
	rota__wake_batch_init(&batch);
	while (rota__waitlist_grant_older(&b->waiters_, generation, &batch))
		rota__waitlist_wake(&b->waiters_, &batch);
	rota__waitlist_unlock(&b->waiters_);
	rota__wake_batch_submit(&batch);
}

static rota_poll wait_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_barrier_op *op = op_of(self);
	struct rota_barrier *b = op->barrier_;
	struct rota_waiter *waiter = &op->waiter_;
	const bool cancelled = rota__future_cancel_noted(self);

	if (rota__waiter_served(&b->waiters_, waiter)) {
		self->status = 0;
		return ROTA_READY;
	}
	if (b->count_ == 0) {
		self->status = rota__sync_misuse("rota_barrier_wait at a barrier for nobody", -EINVAL);
		return ROTA_READY;
	}
	rota__waitlist_lock(&b->waiters_);
	if (rota__waiter_granted(waiter)) { /* between the look and the lock */
		self->status = 0;
	} else if (rota__waiter_queued(waiter) && (!cancelled || waiter->tag_ != b->generation_)) {
		rota__waitlist_wait(&b->waiters_, waiter, cx->waker, false);
		rota__waitlist_unlock(&b->waiters_);
		return ROTA_PENDING;
	} else if (cancelled) {
		if (rota__waiter_queued(waiter)) {
			rota__waitlist_remove(&b->waiters_, waiter);
			b->arrived_--;
		}
	} else if (++b->arrived_ == b->count_) {
		begin_round(b);
		self->status = ROTA_BARRIER_LEADER;
		return ROTA_READY;
	} else {
		waiter->tag_ = b->generation_;
		rota__waitlist_wait(&b->waiters_, waiter, cx->waker, false);
		rota__waitlist_unlock(&b->waiters_);
		return ROTA_PENDING;
	}
	rota__waitlist_unlock(&b->waiters_);
	return ROTA_READY;
}

static const struct rota_future_ops wait_ops = { wait_poll, rota__future_note_cancel, "barrier" };

void rota_barrier_wait_init(struct rota_barrier_op *op, struct rota_barrier *b)
{
	rota_future_init(&op->future, &wait_ops);
	op->barrier_ = b;
	rota__waiter_init(&op->waiter_);
}

int rota_barrier_wait(struct rota_barrier *b)
{
	struct rota_barrier_op op;

	rota_barrier_wait_init(&op, b);
	return rota__await_own(&op.future, &wait_ops);
}
