/* SPDX-License-Identifier: MIT */
/*
 * The one waiter queue of rota: first in, first out, under its own lock, which also guards the primitive around it.
 *
 * A waiter lives in the future of whoever waits. It goes IDLE -> QUEUED (the future's first poll, under the lock),
 * then either GRANTED (somebody took it off and gave it what it waited for) or back to IDLE (cancelled). A grant is
 * made under the lock: claim the waker, store GRANTED; the wake is carried out after the lock was dropped. From
 * GRANTED on the waiter is its future's again. A future that was granted and cancelled at once must pass the grant
 * on, or keep it: each primitive says which.
 */
#ifndef ROTA_RUNTIME_WAITLIST_INTERNAL_H
#define ROTA_RUNTIME_WAITLIST_INTERNAL_H

#include "task_internal.h"
#include "waitlist_lock_internal.h"
#include "waker_internal.h"

enum rota__waiter_state { ROTA__WAITER_IDLE, ROTA__WAITER_QUEUED, ROTA__WAITER_GRANTED };

static inline bool rota__waitlist_empty(const struct rota_waitlist *list)
{
	return list->first_ == NULL;
}

static inline void rota__waiter_init(struct rota_waiter *waiter)
{
	*waiter = (struct rota_waiter){ .tag_ = 0 };
}

/* Waits until nobody has the lock, and sees what was done under it: for who is alone with the list, but for those that
 * are about to drop it. */
static inline void rota__waitlist_outlast(const struct rota_waitlist *list)
{
	if (__builtin_expect(rota__load(&list->lock_, ACQUIRE) & ROTA__LIST_LOCKED, 0)) /* partner: unlock */
		rota__waitlist_outlast_slow(list);
}

/* Whether what the waiter waited for was given to it. Without the lock. */
static inline bool rota__waiter_granted(const struct rota_waiter *waiter)
{
	return rota__load(&waiter->state_, ACQUIRE) == ROTA__WAITER_GRANTED; /* partner: rota__waitlist_grant */
}

/* The same, and whoever granted it has dropped the lock, so it touches neither the waiter any more nor what the list is part
 * of: both may end. Without the lock. */
static inline bool rota__waiter_served(const struct rota_waitlist *list, const struct rota_waiter *waiter)
{
	if (!rota__waiter_granted(waiter))
		return false;
	rota__waitlist_outlast(list);
	return true;
}

/* Whether nobody else touches the waiter: it is in no list, and whoever granted it is done with it. Without the lock. */
static inline bool rota__waiter_mine(const struct rota_waiter *waiter)
{
	return rota__load(&waiter->state_, ACQUIRE) != ROTA__WAITER_QUEUED; /* partner: rota__waitlist_grant_to */
}

/* Under the lock; without it the answer may be old, and orders nothing. */
static inline bool rota__waiter_queued(const struct rota_waiter *waiter)
{
	return rota__load(&waiter->state_, RELAXED) == ROTA__WAITER_QUEUED;
}

/* All below: with the lock held. */

/* Before the lock, or the word in its place, is dropped by a call that comes back to the list after a batch of wakes, and when
 * it has it again: those that are left may all leave meanwhile, but the list is not over. */
static inline void rota__waitlist_away(struct rota_waitlist *list)
{
	list->count_++;
}

static inline void rota__waitlist_back(struct rota_waitlist *list)
{
	list->count_--;
}

/* Whether nobody waits, nor is away. For who ends the primitive. */
static inline bool rota__waitlist_over(const struct rota_waitlist *list)
{
	return list->count_ == 0;
}

void rota__waitlist_wait_slow(struct rota_waitlist *list, struct rota_waiter *waiter, const struct rota_waker *waker,
			      bool front);

/* Queues the waiter (at the end, or in front of all), or leaves another waker with one that is queued. */
static inline void rota__waitlist_wait(struct rota_waitlist *list, struct rota_waiter *waiter,
				       const struct rota_waker *waker, bool front)
{
	struct rota_waiter *const last = list->last_;

	if (__builtin_expect(front || rota__waiter_queued(waiter) || waker->ops != &rota__task_waker_ops, 0)) {
		rota__waitlist_wait_slow(list, waiter, waker, front);
		return;
	}
	waiter->prev_ = last;
	waiter->next_ = NULL;
	list->last_ = waiter;
	*(last != NULL ? &last->next_ : &list->first_) = waiter;
	list->count_++;
	waiter->waker_ = *waker;
	rota__store(&waiter->state_, ROTA__WAITER_QUEUED, RELAXED); /* others look under the lock */
}

/* Takes a queued waiter off, without granting. */
void rota__waitlist_remove(struct rota_waitlist *list, struct rota_waiter *waiter);

static inline void rota__waitlist_unlink(struct rota_waitlist *list, struct rota_waiter *waiter)
{
	if (waiter->prev_ != NULL)
		waiter->prev_->next_ = waiter->next_;
	else
		list->first_ = waiter->next_;
	if (waiter->next_ != NULL)
		waiter->next_->prev_ = waiter->prev_;
	else
		list->last_ = waiter->prev_;
	list->count_--;
}

/* Takes a queued waiter off and grants. Returns what is to be woken (rota__wake_claimed), once the lock was dropped; `tag` is
 * handed over in waiter->tag_. The waiter may not be touched any more. */
static inline struct rota_waker rota__waitlist_grant_one(struct rota_waitlist *list, struct rota_waiter *waiter,
							 uint32_t tag)
{
	struct rota_waker claimed;

	rota__waitlist_unlink(list, waiter);
	waiter->tag_ = tag;
	claimed = rota__wake_claim(waiter->waker_);
	rota__store(&waiter->state_, ROTA__WAITER_GRANTED, RELEASE); /* partner: rota__waiter_granted */
	return claimed;
}

/* Takes a queued waiter off and grants; the batch must not be full. `tag` is handed over in waiter->tag_. The waiter may
 * not be touched any more. */
void rota__waitlist_grant_to(struct rota_waitlist *list, struct rota_waiter *waiter, uint32_t tag,
			     struct rota__wake_batch *batch);

/* The same with the first waiter; the list must not be empty. */
static inline void rota__waitlist_grant(struct rota_waitlist *list, uint32_t tag, struct rota__wake_batch *batch)
{
	rota__waitlist_grant_to(list, list->first_, tag, batch);
}

/*
 * Grants all that wait now, with the lock, which it drops between full batches, not after the last grant: whoever is
 * woken may end the primitive once the caller has dropped the lock. Later comers queue behind; those that leave while
 * it is dropped make room for one of them, which is woken for nothing.
 */
void rota__waitlist_grant_all_slow(struct rota_waitlist *list, uint32_t tag, struct rota__wake_batch *batch);

static inline void rota__waitlist_grant_all(struct rota_waitlist *list, uint32_t tag, struct rota__wake_batch *batch)
{
	if (!rota__waitlist_empty(list))
		rota__waitlist_grant_all_slow(list, tag, batch);
}

/* Drops the lock while the batch is woken, which is full, and takes it again for those that are left. */
void rota__waitlist_wake(struct rota_waitlist *list, struct rota__wake_batch *batch);

/*
 * Grants those that queued before `generation` began, where whoever queues first stores the generation in waiter->tag_.
 * true: the batch is full and some are left, so the lock must be dropped, the batch submitted, and this called again.
 * Meanwhile those that are left stay queued whatever happens to them, so that who grants finds the primitive in place.
 */
bool rota__waitlist_grant_older(struct rota_waitlist *list, uint32_t generation, struct rota__wake_batch *batch);

#endif
