/* SPDX-License-Identifier: MIT */
/*
 * The protocol. `state_` is a busy word (busy_internal.h): WRITER, or the number of readers. Without waiters every call is
 * one change of it. While WAITERS is set nobody comes in past the list; whoever leaves serves it from its front: a writer when
 * nobody is inside, or all readers up to the next writer. A grant is the lock itself: a waiter that is cancelled after it has
 * the lock and reports 0; one that is cancelled before may have kept out those behind it, so the list is served again.
 */
#include "rwlock.h"

#include <errno.h>

#include "../runtime/await_internal.h"
#include "../runtime/direct_internal.h"
#include "busy_internal.h"
#include "misuse_internal.h"
#include "owner_internal.h"
#include "until_internal.h"

#define WRITER ((uint64_t)1 << ROTA__BUSY_BITS)
#define READER (WRITER << 1) /* one of them */

void rota_rwlock_init(struct rota_rwlock *l)
{
	*l = (struct rota_rwlock)ROTA_RWLOCK_INIT;
}

int rota_rwlock_deinit(struct rota_rwlock *l)
{
	rota__busy_end(&l->state_, &l->waiters_);
	if (rota__word_own(rota__load(&l->state_, RELAXED)) != 0) /* who ends it is alone with it */
		return rota__sync_misuse("rota_rwlock_deinit of a lock that is locked", -EBUSY);
	return 0;
}

static struct rota_rwlock_op *op_of(struct rota_future *future)
{
	return (struct rota_rwlock_op *)(void *)future;
}

static bool writes(struct rota_waiter *waiter)
{
	return ((struct rota_rwlock_op *)(void *)((unsigned char *)waiter - offsetof(struct rota_rwlock_op, waiter_)))
		->write_;
}

/* Whether one more may come in, as far as those inside are concerned. */
static bool room(uint64_t state, bool write)
{
	return write ? rota__word_own(state) < WRITER : !(state & WRITER);
}

/* With BUSY. Serves the list; true: the batch is full, and there may be more. */
static bool serve(struct rota_rwlock *l, uint64_t *state, struct rota__wake_batch *batch)
{
	while (!rota__waitlist_empty(&l->waiters_)) {
		bool write = writes(l->waiters_.first_);

		if (!room(*state, write))
			return false;
		if (rota__wake_batch_full(batch))
			return true;
		*state += write ? WRITER : READER;
		rota__waitlist_grant(&l->waiters_, 0, batch);
	}
	return false;
}

/* Holds BUSY since `state` was read; gives it back when all are served that can be. */
static void serve_and_give(struct rota_rwlock *l, uint64_t state)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	while (serve(l, &state, &batch))
		state = rota__busy_wake(&l->state_, state, &l->waiters_, &batch);
	rota__busy_give(&l->state_, state, &l->waiters_);
	rota__wake_batch_submit(&batch);
}

/* --- locking -------------------------------------------------------------------------------------------------- */

/* What `state` allows: 0, -EBUSY; -EAGAIN: look again, it was not so any more, or somebody is at work. */
static inline int try_once(struct rota_rwlock *l, uint64_t *state, bool write)
{
	if (*state & ROTA__BUSY)
		return -EAGAIN;
	if (*state & ROTA__WAITERS || !room(*state, write))
		return -EBUSY;
	/* ACQUIRE, partner: the RELEASE of unlock. */
	return rota__word_cas(&l->state_, state, *state + (write ? WRITER : READER), ACQUIRE) ? 0 : -EAGAIN;
}

static int trylock(struct rota_rwlock *l, bool write)
{
	uint64_t state = rota__load(&l->state_, RELAXED);
	unsigned spins = 0;
	int rc;

	while ((rc = try_once(l, &state, write)) == -EAGAIN) {
		if (state & ROTA__BUSY)
			rota__spin_pause(&spins);
		state = rota__load(&l->state_, RELAXED);
	}
	return rc;
}

int rota_rwlock_tryrdlock(struct rota_rwlock *l)
{
	return trylock(l, false);
}

int rota_rwlock_trywrlock(struct rota_rwlock *l)
{
	int rc = trylock(l, true);

	if (rc == 0)
		rota__owner_set(&l->owner_);
	return rc;
}

static rota_poll lock_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_rwlock_op *op = op_of(self);
	struct rota_rwlock *l = op->lock_;
	struct rota_waiter *waiter = &op->waiter_;
	const bool cancelled = rota__future_cancel_noted(self);
	uint64_t state;

	if (rota__busy_served(&l->state_, waiter)) {
		self->status = 0;
		return ROTA_READY;
	}
	state = rota__busy_take(&l->state_);
	if (rota__waiter_granted(waiter)) { /* between the look and the lock */
		self->status = 0;
	} else if (cancelled) {
		if (rota__waiter_queued(waiter))
			rota__waitlist_remove(&l->waiters_, waiter);
		serve_and_give(l, state);
		return ROTA_READY;
	} else if (rota__waitlist_empty(&l->waiters_) && room(state, op->write_)) {
		state += op->write_ ? WRITER : READER;
	} else {
		rota__waitlist_wait(&l->waiters_, waiter, cx->waker, false);
		rota__busy_give(&l->state_, state, &l->waiters_);
		return ROTA_PENDING;
	}
	rota__busy_give(&l->state_, state, &l->waiters_);
	return ROTA_READY;
}

static const struct rota_future_ops lock_ops = { lock_poll, rota__future_note_cancel, "rwlock" };

static void init_op(struct rota_rwlock_op *op, struct rota_rwlock *l, bool write)
{
	rota_future_init(&op->future, &lock_ops);
	op->lock_ = l;
	op->write_ = write;
	rota__waiter_init(&op->waiter_);
}

void rota_rwlock_rdlock_init(struct rota_rwlock_op *op, struct rota_rwlock *l)
{
	init_op(op, l, false);
}

void rota_rwlock_wrlock_init(struct rota_rwlock_op *op, struct rota_rwlock *l)
{
	init_op(op, l, true);
}

/* Apart, so that who finds the lock free makes no room for the wait. */
static __attribute__((noinline)) int lock_waiting(struct rota_rwlock *l, bool write, uint64_t deadline)
{
	struct rota_rwlock_op op;

	init_op(&op, l, write);
	return deadline == ROTA_NEVER ? rota__await_own(&op.future, &lock_ops) : rota__await_until(&op.future, deadline);
}

static __attribute__((noinline)) int lock_carefully(struct rota_rwlock *l, bool write, uint64_t deadline)
{
	return rota__direct_may_hold() && trylock(l, write) == 0 ? 0
								 : ROTA__COME_BACK3(lock_waiting, l, write, deadline);
}

static inline int lock(struct rota_rwlock *l, bool write, uint64_t deadline)
{
	struct rota__worker *worker = rota__worker_self();
	uint64_t state = rota__load(&l->state_, RELAXED);

	if (!rota__direct_at_once(worker) || try_once(l, &state, write) < 0)
		return lock_carefully(l, write, deadline);
	rota__direct_charge(worker);
	return 0;
}

int rota_rwlock_rdlock_until(struct rota_rwlock *l, uint64_t deadline)
{
	return lock(l, false, deadline);
}

int rota_rwlock_rdlock(struct rota_rwlock *l)
{
	return lock(l, false, ROTA_NEVER);
}

int rota_rwlock_wrlock_until(struct rota_rwlock *l, uint64_t deadline)
{
	int rc = lock(l, true, deadline);

	if (rc == 0)
		rota__owner_set(&l->owner_);
	return rc;
}

int rota_rwlock_wrlock(struct rota_rwlock *l)
{
	return rota_rwlock_wrlock_until(l, ROTA_NEVER);
}

/* --- unlocking ------------------------------------------------------------------------------------------------ */

/* Apart, as lock_waiting. */
static __attribute__((noinline)) void change_and_serve(struct rota_rwlock *l, uint64_t less, uint64_t more)
{
	serve_and_give(l, rota__busy_take(&l->state_) - less + more);
}

/* Takes `less` away and adds `more` for a caller that holds the lock and has seen `state`. */
static inline void change(struct rota_rwlock *l, uint64_t state, uint64_t less, uint64_t more)
{
	/* RELEASE, partner: the ACQUIRE of the next lock, or of busy_take. One reader of several serves nobody. */
	while (!(state & ROTA__BUSY) &&
	       (!(state & ROTA__WAITERS) || (less == READER && rota__word_own(state) >= 2 * READER))) {
		if (rota__word_cas(&l->state_, &state, state - less + more, RELEASE))
			return;
	}
	change_and_serve(l, less, more);
}

int rota_rwlock_unlock(struct rota_rwlock *l)
{
	uint64_t state = rota__load(&l->state_, RELAXED); /* who has the lock sees its own part of it */

	if (rota__word_own(state) < WRITER)
		return rota__sync_misuse("rota_rwlock_unlock of a lock that is not locked", -EPERM);
	if (state & WRITER && !rota__owner_clear(&l->owner_))
		return rota__sync_misuse("rota_rwlock_unlock of a lock that another task locked", -EPERM);
	change(l, state, state & WRITER ? WRITER : READER, 0);
	return 0;
}

int rota_rwlock_downgrade(struct rota_rwlock *l)
{
	uint64_t state = rota__load(&l->state_, RELAXED); /* as above */

	if (!(state & WRITER) || !rota__owner_clear(&l->owner_))
		return rota__sync_misuse("rota_rwlock_downgrade by one who is not the writer", -EPERM);
	change(l, state, WRITER, READER);
	return 0;
}
