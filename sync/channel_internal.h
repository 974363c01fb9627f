/* SPDX-License-Identifier: MIT */
/* What the calls that wait (channel_op.c) need of the channel (channel.c, which has the protocol). */
#ifndef ROTA_SYNC_CHANNEL_INTERNAL_H
#define ROTA_SYNC_CHANNEL_INTERNAL_H

#include "../runtime/waitlist_internal.h"
#include "channel.h"

enum { ROTA__CHANNEL_DONE, ROTA__CHANNEL_CLOSED }; /* tags of grants */

static inline void rota__channel_lock(struct rota_channel *c)
{
	rota__waitlist_lock(&c->receivers_);
}

/* Settles what follows from a change, in as many batches as it takes, and drops the lock. */
void rota__channel_unlock(struct rota_channel *c, struct rota__wake_batch *batch);

/* All below: with the lock held. How many were moved, and *ret_rc says why no more, when it is fewer than n: -EPIPE,
 * -ENOMEM, -EAGAIN; -EBUSY: the batch is full, so unlock and go on. */
size_t rota__channel_put(struct rota_channel *c, const unsigned char *elems, size_t n, int *ret_rc,
			 struct rota__wake_batch *batch);
size_t rota__channel_take(struct rota_channel *c, unsigned char *ret_elems, size_t n, int *ret_rc,
			  struct rota__wake_batch *batch);

/* Reserves a place. 0, or an error as above. */
int rota__channel_reserve(struct rota_channel *c);

#endif
