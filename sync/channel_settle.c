/* SPDX-License-Identifier: MIT */
/*
 * What follows from a change of a channel under both of its locks, for those who wait; the protocol is in channel.c. It is
 * settled before the locks are dropped, in several batches if need be.
 */
#include "channel_hands_internal.h"

size_t rota__channel_take_over(struct rota_channel *c, unsigned char *ret_elems, size_t n,
			       struct rota__wake_batch *batch)
{
	struct rota_channel_op *op = rota__channel_op_of_waiter(c->senders_.first_);
	size_t count = rota__least(n, op->left_);

	rota__channel_copy(ret_elems, op->elem_, count * c->elem_size_);
	rota__channel_moved(c, op, count);
	if (op->left_ == 0)
		rota__waitlist_grant(&c->senders_, ROTA__CHANNEL_DONE, batch);
	return count;
}

bool rota__channel_has_in_hand(const struct rota_channel *c)
{
	return !rota__waitlist_empty(&c->senders_) && rota__channel_op_of_waiter(c->senders_.first_)->elem_ != NULL;
}

/* Both ends: whether something can be done for the first sender: there is room, or a receiver that waits for its element. */
static bool servable(struct rota_channel *c)
{
	if (rota__waitlist_empty(&c->senders_))
		return false;
	return c->closed_ || rota__channel_room(c, 1) > 0 ||
	       (!rota__waitlist_empty(&c->receivers_) && rota__channel_has_in_hand(c));
}

static void serve_sender(struct rota_channel *c, struct rota__wake_batch *batch)
{
	struct rota_channel_op *op = rota__channel_op_of_waiter(c->senders_.first_);
	size_t count;

	if (op->elem_ == NULL) {
		rota__channel_claim(c, 1);
		rota__waitlist_grant(&c->senders_, ROTA__CHANNEL_DONE, batch);
		return;
	}
	if (rota__waitlist_empty(&c->receivers_)) {
		count = rota__least(rota__channel_room(c, op->left_), op->left_);
		rota__channel_claim(c, count);
		rota__channel_ring_put(c, op->elem_, count);
	} else {
		count = rota__channel_hand_over(c, op->elem_, op->left_, batch);
	}
	rota__channel_moved(c, op, count);
	if (op->left_ == 0)
		rota__waitlist_grant(&c->senders_, ROTA__CHANNEL_DONE, batch);
}

/* Whether the batch has no room for a receiver and a sender. */
static bool nearly_full(const struct rota__wake_batch *batch)
{
	return batch->others + 2 > ROTA__WAKE_BATCH;
}

bool rota__channel_settle(struct rota_channel *c, struct rota__wake_batch *batch)
{
	while (servable(c)) {
		if (nearly_full(batch))
			return true;
		if (c->closed_)
			rota__waitlist_grant(&c->senders_, ROTA__CHANNEL_CLOSED, batch);
		else
			serve_sender(c, batch);
	}
	while (!rota__waitlist_empty(&c->receivers_) && c->closed_ && rota__channel_reserved(c) == 0) {
		if (rota__wake_batch_full(batch))
			return true;
		rota__waitlist_grant(&c->receivers_, ROTA__CHANNEL_CLOSED, batch);
	}
	return false;
}

void rota__channel_settle_and_unlock(struct rota_channel *c, struct rota__wake_batch *batch)
{
	while (rota__channel_settle(c, batch)) {
		if (!(c->lent_ & ROTA__CHANNEL_BATCHES)) /* else the end of the channel may be looking at it */
			c->lent_ |= ROTA__CHANNEL_BATCHES;
		rota__waitlist_away(&c->senders_);
		rota__channel_unlock_both(c);
		rota__wake_batch_submit(batch);
		rota__channel_lock_both(c);
		rota__waitlist_back(&c->senders_);
	}
	rota__channel_unlock_both(c);
	rota__wake_batch_submit(batch);
}
