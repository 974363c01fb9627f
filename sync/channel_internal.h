/* SPDX-License-Identifier: MIT */
/* What the parts of the channel need of each other; channel.c has the protocol. */
#ifndef ROTA_SYNC_CHANNEL_INTERNAL_H
#define ROTA_SYNC_CHANNEL_INTERNAL_H

#include "../runtime/waitlist_internal.h"
#include "channel.h"

enum { ROTA__CHANNEL_DONE, ROTA__CHANNEL_CLOSED };          /* tags of grants */
enum { ROTA__CHANNEL_LENT = 1, ROTA__CHANNEL_BATCHES = 2 }; /* of `lent_`; the second is set with both locks */

/* The locks of the two ends. Who wants both takes that of the receivers' end first, and drops it last. */
static inline void rota__channel_lock_receiving(struct rota_channel *c)
{
	rota__waitlist_lock(&c->senders_);
}

static inline void rota__channel_unlock_receiving(struct rota_channel *c)
{
	rota__waitlist_unlock(&c->senders_);
}

static inline void rota__channel_lock_sending(struct rota_channel *c)
{
	rota__waitlist_lock(&c->receivers_);
}

static inline void rota__channel_unlock_sending(struct rota_channel *c)
{
	rota__waitlist_unlock(&c->receivers_);
}

static inline void rota__channel_lock_both(struct rota_channel *c)
{
	rota__channel_lock_receiving(c);
	rota__channel_lock_sending(c);
}

/* With nothing to settle. */
static inline void rota__channel_unlock_both(struct rota_channel *c)
{
	rota__channel_unlock_sending(c);
	rota__channel_unlock_receiving(c);
}

/* A hint, without a lock: nothing is there to be taken out of the ring. Looks at the other end only if it must. */
static inline bool rota__channel_looks_empty(const struct rota_channel *c)
{
	const uint64_t received = rota__load(&c->received_, RELAXED);

	return rota__load(&c->seen_sent_, RELAXED) == received && rota__load(&c->sent_, RELAXED) == received;
}

/* All below: without a lock. How many were moved, and *ret_rc says why no more, when it is fewer than n: -EPIPE, -ENOMEM,
 * -EAGAIN. */
size_t rota__channel_put(struct rota_channel *c, const unsigned char *elems, size_t n, int *ret_rc);
size_t rota__channel_take(struct rota_channel *c, unsigned char *ret_elems, size_t n, int *ret_rc);

/* The same for one element, and most often without a call: 0 or an error. */
int rota__channel_put_one(struct rota_channel *c, const unsigned char *elem);
int rota__channel_take_one(struct rota_channel *c, unsigned char *ret_elem);

/* What is closed takes nothing: -EPIPE, of which debug builds tell once. */
int rota__channel_refuse(struct rota_channel *c);

/* The ring had no room, and may grow. 0: try again; -ENOMEM. */
int rota__channel_make_room(struct rota_channel *c);

/* Queues the waiter of an operation that tried in vain. 0; -EPIPE; -EBUSY: something has changed, try again. */
int rota__channel_queue_sender(struct rota_channel_op *op, const struct rota_waker *waker);
int rota__channel_queue_receiver(struct rota_channel_op *op, const struct rota_waker *waker);

#endif
