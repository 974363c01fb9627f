/* SPDX-License-Identifier: MIT */
/*
 * The protocol. `state_` is a busy word (busy_internal.h) of LOCKED and WAKING. Uncontended, lock and unlock are one change of
 * it each; whatever concerns the list of waiters happens while BUSY is held. The change, or the store that gives BUSY back, is
 * the last touch of an unlock, so the next owner may free the mutex.
 *
 * Normally a waiter is only woken to try again (RETRY): whoever runs now may take the mutex first, which saves a switch
 * per hand-over. A waiter that tried again in vain goes to the front as STARVED, and is given the mutex itself (OWNED)
 * by the next unlock, so it loses at most once.
 *
 * A plain thread takes long to come, and to wake it costs a system call: until the one that was woken has tried, WAKING is
 * set, and no unlock wakes another. So lock and unlock are a swap of LOCKED, past the list. A task that was woken runs as soon
 * as this one waits or ends, and where it does; so of these each unlock wakes one. Only threads that have not lost are held
 * back: as soon as somebody else is the first of the list, WAKING is cleared.
 *
 * A waiter that was told to retry and is cancelled tries all the same: if it gets the mutex, that is its result; if
 * not, somebody holds it, whose unlock will wake the next. So the wake-up is never swallowed.
 *
 * `owner_` (owner_internal.h) is for reports only.
 */
#include "mutex.h"

#include <errno.h>
#include <sched.h>

#include "../runtime/await_internal.h"
#include "busy_internal.h"
#include "misuse_internal.h"
#include "mutex_internal.h"
#include "owner_internal.h"
#include "until_internal.h"

#define LOCKED ((uint64_t)1 << ROTA__BUSY_BITS)
#define WAKING (LOCKED << 1) /* a thread was told to try again, and has not done so yet */

enum { TAG_NONE, TAG_RETRY, TAG_WAKING, TAG_OWNED, TAG_STARVED };

void rota_mutex_init(struct rota_mutex *m)
{
	*m = (struct rota_mutex)ROTA_MUTEX_INIT;
}

int rota_mutex_deinit(struct rota_mutex *m)
{
	if (rota__word_own(rota__load(&m->state_, RELAXED)) != 0) /* who ends it is alone with it */
		return rota__sync_misuse("rota_mutex_deinit of a mutex that is locked", -EBUSY);
	return 0;
}

/* Whether the waiter can be left alone while a thread is WAKING. */
static bool may_be_held_back(const struct rota_waiter *waiter)
{
	return waiter->waker_.ops == &rota__thread_waker_ops && waiter->tag_ != TAG_STARVED;
}

/* Gives BUSY back: the mutex is LOCKED or not, a thread is WAKING or not, its list is what it is. */
static void give_busy(struct rota_mutex *m, uint64_t state)
{
	const struct rota_waiter *first = m->waiters_.first_;

	if (first != NULL && !may_be_held_back(first))
		state &= ~WAKING;
	rota__busy_give(&m->state_, state, &m->waiters_);
}

static __attribute__((noinline)) int trylock_carefully(struct rota_mutex *m, uint64_t state)
{
	while (!(state & (LOCKED | ROTA__BUSY))) {
		/* ACQUIRE, partner: the RELEASE of unlock. */
		if (rota__word_cas(&m->state_, &state, state | LOCKED, ACQUIRE))
			return 0;
	}
	if (state & LOCKED)
		return -EBUSY;
	state = rota__busy_take(&m->state_); /* somebody is about to change the list */
	give_busy(m, state | LOCKED);
	return state & LOCKED ? -EBUSY : 0;
}

/* As most find it. false: *ret_state is what it was. */
static inline bool try_free(struct rota_mutex *m, uint64_t *ret_state)
{
	*ret_state = rota__word_guess(&m->state_, &m->waiters_.mode_, 0);
	return rota__word_try(&m->state_, ret_state, 0, LOCKED, ACQUIRE); /* partner: the RELEASE of unlock */
}

int rota_mutex_trylock(struct rota_mutex *m)
{
	uint64_t state;
	int rc = try_free(m, &state) ? 0 : trylock_carefully(m, state);

	if (rc == 0)
		rota__owner_set(&m->owner_);
	return rc;
}

static struct rota_mutex_lock_op *op_of(struct rota_future *future)
{
	return (struct rota_mutex_lock_op *)(void *)future;
}

static rota_poll lock_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_mutex_lock_op *op = op_of(self);
	struct rota_mutex *m = op->mutex_;
	struct rota_waiter *waiter = &op->waiter_;
	const bool cancelled = rota__future_cancel_noted(self);

	if (cancelled && rota__load(&waiter->state_, RELAXED) == ROTA__WAITER_IDLE) /* its own doing: it never queued */
		return ROTA_READY;
	uint64_t state = rota__busy_take(&m->state_);
	const bool granted = rota__waiter_granted(waiter), locked = state & LOCKED;

	if (granted && waiter->tag_ == TAG_WAKING)
		state &= ~WAKING;
	if (locked && !cancelled && !(granted && waiter->tag_ == TAG_OWNED)) {
		if (granted)
			waiter->tag_ = TAG_STARVED;
		rota__waitlist_wait(&m->waiters_, waiter, cx->waker, granted);
		give_busy(m, state);
		return ROTA_PENDING;
	}
	if (!locked || (granted && waiter->tag_ == TAG_OWNED))
		self->status = 0;
	if (rota__waiter_queued(waiter))
		rota__waitlist_remove(&m->waiters_, waiter);
	give_busy(m, state | LOCKED);
	return ROTA_READY;
}

static const struct rota_future_ops lock_ops = { lock_poll, rota__future_note_cancel, "mutex" };

void rota_mutex_lock_init(struct rota_mutex_lock_op *op, struct rota_mutex *m)
{
	rota_future_init(&op->future, &lock_ops);
	op->mutex_ = m;
	rota__waiter_init(&op->waiter_);
}

/* The mutex was taken a moment ago. */
static __attribute__((noinline)) void lock_contended(struct rota_mutex *m)
{
	struct rota_mutex_lock_op op;
	int rc;

	if (rota__owner_is_self(&m->owner_))
		rota__sync_misuse("rota_mutex_lock of a mutex that the caller has locked", -EDEADLK);
	rota_mutex_lock_init(&op, m);
	rota_shield_enter();
	rc = rota__await_own(&op.future, &lock_ops);
	rota_shield_leave();
	/* Inside the poll of a stackless task the wait is refused; to go on without the mutex would be worse than to block
	 * the worker. */
	while (rc < 0) {
		rc = trylock_carefully(m, rota__load(&m->state_, RELAXED));
		if (rc < 0)
			sched_yield();
	}
}

/* Apart, so that the way of most saves no registers. */
static __attribute__((noinline)) void lock_carefully(struct rota_mutex *m, uint64_t state)
{
	if (trylock_carefully(m, state) < 0)
		lock_contended(m);
	rota__owner_set(&m->owner_);
}

void rota_mutex_lock(struct rota_mutex *m)
{
	uint64_t state;

	if (try_free(m, &state))
		rota__owner_set(&m->owner_);
	else
		lock_carefully(m, state);
}

int rota_mutex_lock_until(struct rota_mutex *m, uint64_t deadline)
{
	struct rota_mutex_lock_op op;
	int rc;

	rota_mutex_lock_init(&op, m);
	rc = rota__await_until(&op.future, deadline);
	if (rc == 0)
		rota__owner_set(&m->owner_);
	return rc;
}

static __attribute__((noinline)) void unlock_contended(struct rota_mutex *m)
{
	struct rota_waitlist *list = &m->waiters_;
	struct rota_waker claimed = { NULL, NULL };
	const uint64_t state = rota__busy_take(&m->state_);

	if (rota__waitlist_empty(list) || state & WAKING) {
		give_busy(m, state & ~LOCKED);
	} else if (list->first_->tag_ == TAG_STARVED) {
		claimed = rota__waitlist_grant_one(list, list->first_, TAG_OWNED);
		give_busy(m, state);
	} else if (list->first_->waker_.ops == &rota__thread_waker_ops) {
		claimed = rota__waitlist_grant_one(list, list->first_, TAG_WAKING);
		give_busy(m, (state & ~LOCKED) | WAKING);
	} else {
		claimed = rota__waitlist_grant_one(list, list->first_, TAG_RETRY);
		give_busy(m, state & ~LOCKED);
	}
	rota__wake_claimed(claimed);
}

static __attribute__((noinline)) void release_carefully(struct rota_mutex *m, uint64_t state)
{
	while (state & LOCKED && !(state & ROTA__BUSY) && (!(state & ROTA__WAITERS) || state & WAKING)) {
		/* RELEASE, partner: the ACQUIRE of the next lock. */
		if (rota__word_cas(&m->state_, &state, state & ~LOCKED, RELEASE))
			return;
	}
	if (state & LOCKED)
		unlock_contended(m);
	else
		rota__sync_misuse("rota_mutex_unlock of a mutex that is not locked", -EPERM);
}

void rota__mutex_release(struct rota_mutex *m)
{
	uint64_t state = rota__word_guess(&m->state_, &m->waiters_.mode_, LOCKED);

	if (!rota__word_try(&m->state_, &state, LOCKED, 0, RELEASE)) /* partner: the ACQUIRE of the next lock */
		release_carefully(m, state);
}

void rota_mutex_unlock(struct rota_mutex *m)
{
	if (rota__owner_clear(&m->owner_))
		rota__mutex_release(m);
	else
		rota__sync_misuse("rota_mutex_unlock of a mutex that another task locked", -EPERM);
}
