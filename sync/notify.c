/* SPDX-License-Identifier: MIT */
/*
 * The protocol. `state_` is a busy word (busy_internal.h) that holds PERMIT, the notification that is kept. Without waiters
 * to notify and to take what was kept is one change of it. A permit and waiters are never there together: who waits has
 * looked for a permit while it held BUSY, and with waiters notify_one grants the first, notify_last the last one. To notify
 * all takes BUSY even when nobody waits, so that it and a waiter that queues come one after the other: who queues later sees
 * what was done before the notification. A grant is final: a waiter that is cancelled after it was granted reports 0, so a
 * notification is never lost.
 */
#include "notify.h"

#include <errno.h>

#include "../runtime/await_internal.h"
#include "../runtime/direct_internal.h"
#include "busy_internal.h"
#include "misuse_internal.h"

#define PERMIT ((uint64_t)1 << ROTA__BUSY_BITS)

void rota_notify_init(struct rota_notify *n)
{
	*n = (struct rota_notify)ROTA_NOTIFY_INIT;
}

int rota_notify_deinit(struct rota_notify *n)
{
	rota__busy_end(&n->state_, &n->waiters_);
	if (rota__load(&n->state_, RELAXED) & ROTA__WAITERS) /* who ends it is alone with it */
		return rota__sync_misuse("rota_notify_deinit while somebody waits", -EBUSY);
	return 0;
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

static struct rota_notify_op *op_of(struct rota_future *future)
{
	return (struct rota_notify_op *)(void *)future;
}

static __attribute__((noinline)) rota_poll wait_busy(struct rota_notify_op *op, const struct rota_waker *waker)
{
	struct rota_notify *n = op->notify_;
	struct rota_waiter *waiter = &op->waiter_;
	uint64_t state = rota__busy_take(&n->state_);
	rota_poll ready = ROTA_READY;

	if (rota__waiter_granted(waiter)) { /* between the look and the lock */
		op->future.status = 0;
	} else if (rota__future_cancel_noted(&op->future)) {
		if (rota__waiter_queued(waiter))
			rota__waitlist_remove(&n->waiters_, waiter);
	} else if (state & PERMIT) {
		state -= PERMIT;
	} else {
		rota__waitlist_wait(&n->waiters_, waiter, waker, false);
		ready = ROTA_PENDING;
	}
	rota__busy_give(&n->state_, state, &n->waiters_);
	return ready;
}

static rota_poll wait_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_notify_op *op = op_of(self);

	if (!rota__busy_served(&op->notify_->state_, &op->waiter_))
		return wait_busy(op, cx->waker);
	self->status = 0;
	return ROTA_READY;
}

static const struct rota_future_ops wait_ops = { wait_poll, rota__future_note_cancel, "notify" };

void rota_notify_wait_init(struct rota_notify_op *op, struct rota_notify *n)
{
	rota_future_init(&op->future, &wait_ops);
	op->notify_ = n;
	rota__waiter_init(&op->waiter_);
}

static bool take_permit(struct rota_notify *n)
{
	uint64_t state = rota__load(&n->state_, RELAXED);

	while (rota__word_own(state) == PERMIT) {
		if (rota__word_cas(&n->state_, &state, state - PERMIT, ACQUIRE)) /* partner: notify */
			return true;
	}
	return false;
}

/* Apart, so that who finds a permit makes no room for the wait. */
static __attribute__((noinline)) int wait_queued(struct rota_notify *n)
{
	struct rota_notify_op op;

	rota_notify_wait_init(&op, n);
	return rota__await_own(&op.future, &wait_ops);
}

static __attribute__((noinline)) int wait_carefully(struct rota_notify *n)
{
	struct rota__worker *worker = rota__worker_self();

	if (!rota__direct_may(worker) || !take_permit(n))
		return ROTA__COME_BACK1(wait_queued, n);
	rota__direct_done(worker);
	return 0;
}

int rota_notify_wait(struct rota_notify *n)
{
	struct rota__worker *worker = rota__worker_self();

	if (!rota__direct_at_once(worker))
		return wait_carefully(n);
	if (!take_permit(n))
		return ROTA__COME_BACK1(wait_queued, n);
	rota__direct_charge(worker);
	return 0;
}

/* --- notifying ------------------------------------------------------------------------------------------------ */

static __attribute__((noinline)) void notify_waiter(struct rota_notify *n, bool last)
{
	struct rota_waitlist *list = &n->waiters_;
	struct rota_waker claimed = { NULL, NULL };
	uint64_t state = rota__busy_take(&n->state_);

	if (rota__waitlist_empty(list))
		state |= PERMIT;
	else
		claimed = rota__waitlist_grant_one(list, last ? list->last_ : list->first_, 0);
	rota__busy_give(&n->state_, state, list);
	rota__wake_claimed(claimed);
}

static inline void notify(struct rota_notify *n, bool last)
{
	uint64_t state = rota__load(&n->state_, RELAXED);

	/* Also when one is kept already: who takes it then sees what this caller has done. RELEASE, partner: take_permit, and
	 * busy_take. */
	while (!(state & (ROTA__BUSY | ROTA__WAITERS))) {
		if (rota__word_cas(&n->state_, &state, state | PERMIT, RELEASE))
			return;
	}
	notify_waiter(n, last);
}

void rota_notify_one(struct rota_notify *n)
{
	notify(n, false);
}

void rota_notify_last(struct rota_notify *n)
{
	notify(n, true);
}

void rota_notify_all(struct rota_notify *n)
{
	struct rota_waitlist *list = &n->waiters_;
	struct rota__wake_batch batch;
	uint64_t state = rota__busy_take(&n->state_);
	uint32_t left = list->count_;

	rota__wake_batch_init(&batch);
	/* Later comers queue behind, also while BUSY was given back. Those that leave meanwhile make room in `left` for a
	 * later comer: it gets a wake-up that it did not miss, which is allowed. */
	for (; left > 0 && !rota__waitlist_empty(list); left--) {
		if (rota__wake_batch_full(&batch)) {
			state = rota__busy_wake(&n->state_, state, list, &batch);
			if (rota__waitlist_empty(list))
				break;
		}
		rota__waitlist_grant(list, 0, &batch);
	}
	rota__busy_give(&n->state_, state, list);
	rota__wake_batch_submit(&batch);
}
