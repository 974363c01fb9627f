/* SPDX-License-Identifier: MIT */
#include "waitlist_internal.h"

static void link_waiter(struct rota_waitlist *list, struct rota_waiter *waiter, bool front)
{
	waiter->prev_ = front ? NULL : list->last_;
	waiter->next_ = front ? list->first_ : NULL;
	if (waiter->prev_ != NULL)
		waiter->prev_->next_ = waiter;
	else
		list->first_ = waiter;
	if (waiter->next_ != NULL)
		waiter->next_->prev_ = waiter;
	else
		list->last_ = waiter;
	list->count_++;
}

void rota__waitlist_wait_slow(struct rota_waitlist *list, struct rota_waiter *waiter, const struct rota_waker *waker,
			      bool front)
{
	if (rota__waiter_queued(waiter)) {
		if (rota_waker_same(&waiter->waker_, waker))
			return;
		rota__waker_release(&waiter->waker_);
	} else {
		link_waiter(list, waiter, front);
		rota__store(&waiter->state_, ROTA__WAITER_QUEUED, RELAXED); /* others look under the lock */
	}
	rota__waker_hold(&waiter->waker_, waker);
}

void rota__waitlist_remove(struct rota_waitlist *list, struct rota_waiter *waiter)
{
	rota__waitlist_unlink(list, waiter);
	rota__waker_release(&waiter->waker_);
	rota__store(&waiter->state_, ROTA__WAITER_IDLE, RELAXED);
}

void rota__waitlist_grant_to(struct rota_waitlist *list, struct rota_waiter *waiter, uint32_t tag,
			     struct rota__wake_batch *batch)
{
	rota__wake_batch_put(batch, rota__waitlist_grant_one(list, waiter, tag));
	/* When the next one is granted it is in the cache, since its link back was cleared; not so its task, and who
	 * follows. */
	if (list->first_ != NULL) {
		__builtin_prefetch(list->first_->waker_.data, 1);
		__builtin_prefetch(list->first_->next_, 1);
	}
}

void rota__waitlist_wake(struct rota_waitlist *list, struct rota__wake_batch *batch)
{
	rota__waitlist_away(list);
	rota__waitlist_unlock(list);
	rota__wake_batch_submit(batch);
	rota__waitlist_lock(list);
	rota__waitlist_back(list);
}

void rota__waitlist_grant_all_slow(struct rota_waitlist *list, uint32_t tag, struct rota__wake_batch *batch)
{
	for (uint32_t left = list->count_; left > 0 && !rota__waitlist_empty(list); left--) {
		if (rota__wake_batch_full(batch)) {
			rota__waitlist_wake(list, batch);
			if (rota__waitlist_empty(list))
				break;
		}
		rota__waitlist_grant(list, tag, batch);
	}
}

bool rota__waitlist_grant_older(struct rota_waitlist *list, uint32_t generation, struct rota__wake_batch *batch)
{
	/* Another may have begun a later generation, and have granted all of this one, while the lock was dropped. */
	while (list->first_ != NULL && (int32_t)(generation - list->first_->tag_) > 0) {
		if (rota__wake_batch_full(batch))
			return true;
		rota__waitlist_grant(list, generation, batch);
	}
	return false;
}
