/* SPDX-License-Identifier: MIT */
/* The hands of those who wait at a channel (the protocol is in channel.c): elements that are given to them, or taken out. */
#ifndef ROTA_SYNC_CHANNEL_HANDS_INTERNAL_H
#define ROTA_SYNC_CHANNEL_HANDS_INTERNAL_H

#include "channel_ring_internal.h"

static inline struct rota_channel_op *rota__channel_op_of_waiter(struct rota_waiter *waiter)
{
	return (struct rota_channel_op *)(void *)((unsigned char *)waiter - offsetof(struct rota_channel_op, waiter_));
}

/* n elements of a waiter's were moved. */
static inline void rota__channel_moved(struct rota_channel *c, struct rota_channel_op *op, size_t n)
{
	op->elem_ += n * c->elem_size_;
	op->left_ -= n;
	op->moved_ += n;
}

/* The senders' end: gives up to n elements to the first receiver that waits, which is to be granted then. */
static inline size_t rota__channel_fill_hand(struct rota_channel *c, const unsigned char *elems, size_t n)
{
	struct rota_channel_op *op = rota__channel_op_of_waiter(c->receivers_.first_);
	size_t count = rota__least(n, op->left_);

	rota__channel_copy(op->elem_, elems, count * c->elem_size_);
	rota__channel_moved(c, op, count);
	return count;
}

/* The same, and the receiver is served. */
static inline size_t rota__channel_hand_over(struct rota_channel *c, const unsigned char *elems, size_t n,
					     struct rota__wake_batch *batch)
{
	size_t count = rota__channel_fill_hand(c, elems, n);

	rota__waitlist_grant(&c->receivers_, ROTA__CHANNEL_DONE, batch);
	return count;
}

/* Both ends: takes up to n elements out of the first sender's hands. */
size_t rota__channel_take_over(struct rota_channel *c, unsigned char *ret_elems, size_t n,
			       struct rota__wake_batch *batch);

/* Both ends: whether the first sender has an element that it could not put into the ring. */
bool rota__channel_has_in_hand(const struct rota_channel *c);

/* Both ends: serves whoever can be served now, or will never be. true: the batch is full, and there may be more to do. */
bool rota__channel_settle(struct rota_channel *c, struct rota__wake_batch *batch);

/* Settles what follows from a change, in as many batches as it takes, and drops both locks. */
void rota__channel_settle_and_unlock(struct rota_channel *c, struct rota__wake_batch *batch);

#endif
