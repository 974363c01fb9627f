/* SPDX-License-Identifier: MIT */
/*
 * The protocol. `state_` is a busy word (busy_internal.h): CLOSED, and the permits that nobody has. Without waiters, to
 * acquire and to release is one change of it. While WAITERS is set nobody takes permits past the list: releasing
 * leaves them in the word and then serves the list from its front, as far as they go, so the first waiter collects what it
 * needs there.
 *
 * A waiter is granted when its permits were taken for it: cancelled after that it reports 0 and has them. One that is
 * cancelled before goes, and since the one behind it may want fewer permits, the list is served again.
 */
#include "semaphore.h"

#include <errno.h>

#include "../runtime/await_internal.h"
#include "../runtime/direct_internal.h"
#include "busy_internal.h"
#include "misuse_internal.h"
#include "until_internal.h"

#define CLOSED ((uint64_t)1 << ROTA__BUSY_BITS)
#define SHIFT (ROTA__BUSY_BITS + 1)

_Static_assert(ROTA_SEMAPHORE_MAX == ROTA__OWN >> SHIFT, "permits fill the word's content");

enum { TAG_DONE, TAG_CLOSED };

void rota_semaphore_init(struct rota_semaphore *s, uint64_t permits)
{
	if (permits > ROTA_SEMAPHORE_MAX) {
		rota__sync_misuse("rota_semaphore_init: more permits than ROTA_SEMAPHORE_MAX", -EOVERFLOW);
		permits = ROTA_SEMAPHORE_MAX;
	}
	*s = (struct rota_semaphore)ROTA_SEMAPHORE_INIT(permits);
}

int rota_semaphore_deinit(struct rota_semaphore *s)
{
	rota__busy_end(&s->state_, &s->waiters_);
	if (rota__load(&s->state_, RELAXED) & ROTA__WAITERS) /* who ends it is alone with it */
		return rota__sync_misuse("rota_semaphore_deinit while somebody waits", -EBUSY);
	return 0;
}

static struct rota_semaphore_op *op_of(struct rota_future *future)
{
	return (struct rota_semaphore_op *)(void *)future;
}

static struct rota_semaphore_op *op_of_waiter(struct rota_waiter *waiter)
{
	return (struct rota_semaphore_op *)(void *)((unsigned char *)waiter -
						    offsetof(struct rota_semaphore_op, waiter_));
}

/* With BUSY. Whether the permits go as far as the first waiter. */
static inline bool enough(const struct rota_semaphore *s, uint64_t state)
{
	return state & CLOSED || rota__word_own(state) >> SHIFT >= op_of_waiter(s->waiters_.first_)->permits_;
}

/* With BUSY. Serves the list from its front; true: the batch is full, and there may be more to do. */
static bool serve(struct rota_semaphore *s, uint64_t *state, struct rota__wake_batch *batch)
{
	struct rota_waitlist *list = &s->waiters_;

	while (!rota__waitlist_empty(list) && enough(s, *state)) {
		if (rota__wake_batch_full(batch))
			return true;
		if (!(*state & CLOSED))
			*state -= op_of_waiter(list->first_)->permits_ << SHIFT;
		rota__waitlist_grant(list, *state & CLOSED ? TAG_CLOSED : TAG_DONE, batch);
	}
	return false;
}

/* Holds BUSY since `state` was read; gives it back when all are served that can be. */
static void serve_and_give(struct rota_semaphore *s, uint64_t state)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	while (serve(s, &state, &batch))
		state = rota__busy_wake(&s->state_, state, &s->waiters_, &batch);
	rota__busy_give(&s->state_, state, &s->waiters_);
	rota__wake_batch_submit(&batch);
}

/* What `state` allows: 0, -EPIPE, -EAGAIN; -EBUSY: look again, it was not so any more, or somebody is at work. */
static inline int try_once(struct rota_semaphore *s, uint64_t *state, uint64_t n)
{
	if (*state & ROTA__BUSY)
		return -EBUSY;
	if (*state & CLOSED)
		return -EPIPE;
	if (*state & ROTA__WAITERS || rota__word_own(*state) >> SHIFT < n)
		return -EAGAIN;
	/* ACQUIRE, partner: release. */
	return rota__word_cas(&s->state_, state, *state - (n << SHIFT), ACQUIRE) ? 0 : -EBUSY;
}

int rota_semaphore_try_acquire(struct rota_semaphore *s, uint64_t n)
{
	uint64_t state = rota__load(&s->state_, RELAXED);
	unsigned spins = 0;
	int rc;

	while ((rc = try_once(s, &state, n)) == -EBUSY) {
		if (state & ROTA__BUSY)
			rota__spin_pause(&spins);
		state = rota__load(&s->state_, RELAXED);
	}
	return rc;
}

static rota_poll acquire_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_semaphore_op *op = op_of(self);
	struct rota_semaphore *s = op->semaphore_;
	struct rota_waiter *waiter = &op->waiter_;
	const bool cancelled = rota__future_cancel_noted(self);
	rota_poll ready = ROTA_READY;
	uint64_t state;

	if (!rota__busy_served(&s->state_, waiter)) {
		if (op->permits_ > ROTA_SEMAPHORE_MAX) {
			self->status = rota__sync_misuse("rota_semaphore_acquire: more permits than ROTA_SEMAPHORE_MAX",
							 -EOVERFLOW);
			return ROTA_READY;
		}
		state = rota__busy_take(&s->state_);
		if (rota__waiter_granted(waiter)) {
			/* between the look and the lock */
		} else if (cancelled) {
			if (rota__waiter_queued(waiter))
				rota__waitlist_remove(&s->waiters_, waiter);
			serve_and_give(s, state);
			return ROTA_READY;
		} else if (state & CLOSED && !rota__waiter_queued(waiter)) {
			waiter->tag_ = TAG_CLOSED;
		} else if (rota__waitlist_empty(&s->waiters_) && rota__word_own(state) >> SHIFT >= op->permits_) {
			state -= op->permits_ << SHIFT;
		} else {
			rota__waitlist_wait(&s->waiters_, waiter, cx->waker, false);
			ready = ROTA_PENDING;
		}
		rota__busy_give(&s->state_, state, &s->waiters_);
	}
	if (ready == ROTA_READY)
		self->status = waiter->tag_ == TAG_CLOSED ? -EPIPE : 0;
	return ready;
}

static const struct rota_future_ops acquire_ops = { acquire_poll, rota__future_note_cancel, "semaphore" };

void rota_semaphore_acquire_init(struct rota_semaphore_op *op, struct rota_semaphore *s, uint64_t n)
{
	rota_future_init(&op->future, &acquire_ops);
	op->semaphore_ = s;
	op->permits_ = n;
	rota__waiter_init(&op->waiter_);
}

/* Apart, so that who finds its permits makes no room for the wait. */
static __attribute__((noinline)) int acquire_waiting(struct rota_semaphore *s, uint64_t n, uint64_t deadline)
{
	struct rota_semaphore_op op;

	rota_semaphore_acquire_init(&op, s, n);
	return deadline == ROTA_NEVER ? rota__await_own(&op.future, &acquire_ops)
				      : rota__await_until(&op.future, deadline);
}

static __attribute__((noinline)) int acquire_carefully(struct rota_semaphore *s, uint64_t n, uint64_t deadline)
{
	return rota__direct_may_hold() && rota_semaphore_try_acquire(s, n) == 0
		       ? 0
		       : ROTA__COME_BACK3(acquire_waiting, s, n, deadline);
}

static inline int acquire(struct rota_semaphore *s, uint64_t n, uint64_t deadline)
{
	struct rota__worker *worker = rota__worker_self();
	uint64_t state = rota__load(&s->state_, RELAXED);

	if (!rota__direct_at_once(worker) || try_once(s, &state, n) < 0)
		return acquire_carefully(s, n, deadline);
	rota__direct_charge(worker);
	return 0;
}

int rota_semaphore_acquire_until(struct rota_semaphore *s, uint64_t n, uint64_t deadline)
{
	return acquire(s, n, deadline);
}

int rota_semaphore_acquire(struct rota_semaphore *s, uint64_t n)
{
	return acquire(s, n, ROTA_NEVER);
}

static int overflow(void)
{
	return rota__sync_misuse("rota_semaphore_release: more permits than ROTA_SEMAPHORE_MAX", -EOVERFLOW);
}

/* Apart, as acquire_waiting. */
static __attribute__((noinline)) int release_and_serve(struct rota_semaphore *s, uint64_t n)
{
	uint64_t state = rota__busy_take(&s->state_);

	if ((rota__word_own(state) >> SHIFT) + n > ROTA_SEMAPHORE_MAX) {
		rota__busy_give(&s->state_, state, &s->waiters_);
		return overflow();
	}
	state += n << SHIFT;
	if (rota__waitlist_empty(&s->waiters_) || !enough(s, state)) /* more are to come before somebody is served */
		rota__busy_give(&s->state_, state, &s->waiters_);
	else
		serve_and_give(s, state);
	return 0;
}

int rota_semaphore_release(struct rota_semaphore *s, uint64_t n)
{
	uint64_t state = rota__load(&s->state_, RELAXED);

	if (n > ROTA_SEMAPHORE_MAX)
		return overflow();
	while (!(state & (ROTA__BUSY | ROTA__WAITERS))) {
		if ((rota__word_own(state) >> SHIFT) + n > ROTA_SEMAPHORE_MAX)
			return overflow();
		/* RELEASE, partner: acquire, busy_take. */
		if (rota__word_cas(&s->state_, &state, state + (n << SHIFT), RELEASE))
			return 0;
	}
	return release_and_serve(s, n);
}

void rota_semaphore_close(struct rota_semaphore *s)
{
	serve_and_give(s, rota__busy_take(&s->state_) | CLOSED);
}

uint64_t rota_semaphore_available(struct rota_semaphore *s)
{
	return rota__word_own(rota__load(&s->state_, RELAXED)) >> SHIFT; /* a number that may be old when it is read */
}
