/* SPDX-License-Identifier: MIT */
/*
 * The ring of a channel and its two ends (the protocol is in channel.c): what either end does to it under its own lock. Here,
 * so that the calls that move elements do without more calls.
 */
#ifndef ROTA_SYNC_CHANNEL_RING_INTERNAL_H
#define ROTA_SYNC_CHANNEL_RING_INTERNAL_H

#include <string.h>

#include "../runtime/opaque_internal.h"
#include "channel_internal.h"

static inline size_t rota__least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline void rota__channel_copy(void *to, const void *from, size_t bytes)
{
	if (bytes == sizeof(uint64_t)) /* the most common size by far, and a call is dear in comparison */
		memcpy(rota__unsized(to), rota__unsized(from), sizeof(uint64_t));
	else
		memcpy(to, from, bytes);
}

/* Either end: whether the ring may get more slots. */
static inline bool rota__channel_may_grow(const struct rota_channel *c)
{
	return c->slots_ < c->capacity_;
}

/* The senders' end: how many places are free, of which `want` are wanted. There may be more. */
static inline size_t rota__channel_room(struct rota_channel *c, size_t want)
{
	const uint64_t claimed = rota__load(&c->claimed_, RELAXED);

	if (c->slots_ - (size_t)(claimed - c->seen_received_) < want)
		c->seen_received_ = rota__load(&c->received_, ACQUIRE); /* partner: rota__channel_ring_take */
	return c->slots_ - (size_t)(claimed - c->seen_received_);
}

/* The receivers' end: how many elements are there, of which `want` are wanted. There may be more. */
static inline size_t rota__channel_filled(struct rota_channel *c, size_t want)
{
	const uint64_t received = rota__load(&c->received_, RELAXED);
	uint64_t sent = rota__load(&c->seen_sent_, RELAXED);

	if (sent - received < want) {
		sent = rota__load(&c->sent_, ACQUIRE); /* partner: rota__channel_ring_put, which has filled the slots */
		rota__store(&c->seen_sent_, sent, RELAXED);
	}
	return (size_t)(sent - received);
}

/* Of n slots from this one on, how many lie before the end of the ring. For one, which a constant says, there is no
 * question. */
static inline __attribute__((always_inline)) size_t rota__channel_in_line(const struct rota_channel *c, size_t slot,
									  size_t n)
{
	return n == 1 ? 1 : rota__least(n, c->slots_ - slot);
}

/* The senders' end, which has claimed n places. */
static inline __attribute__((always_inline)) void rota__channel_ring_put(struct rota_channel *c,
									 const unsigned char *elems, size_t n)
{
	size_t first = rota__channel_in_line(c, c->tail_, n);

	rota__channel_copy(c->buffer_ + c->tail_ * c->elem_size_, elems, first * c->elem_size_);
	if (first < n)
		memcpy(c->buffer_, elems + first * c->elem_size_, (n - first) * c->elem_size_);
	c->tail_ += n;
	c->tail_ = c->tail_ < c->slots_ ? c->tail_ : c->tail_ - c->slots_;
	rota__store(&c->sent_, rota__load(&c->sent_, RELAXED) + n, RELEASE); /* partner: rota__channel_filled */
}

static inline void rota__channel_claim(struct rota_channel *c, size_t n)
{
	rota__store(&c->claimed_, rota__load(&c->claimed_, RELAXED) + n, RELAXED); /* the lock orders it */
}

/* The receivers' end, which has found n elements. */
static inline __attribute__((always_inline)) void rota__channel_ring_take(struct rota_channel *c,
									  unsigned char *ret_elems, size_t n)
{
	size_t first = rota__channel_in_line(c, c->head_, n);

	rota__channel_copy(ret_elems, c->buffer_ + c->head_ * c->elem_size_, first * c->elem_size_);
	if (first < n)
		memcpy(ret_elems + first * c->elem_size_, c->buffer_, (n - first) * c->elem_size_);
	c->head_ += n;
	c->head_ = c->head_ < c->slots_ ? c->head_ : c->head_ - c->slots_;
	rota__store(&c->received_, rota__load(&c->received_, RELAXED) + n, RELEASE); /* partner: rota__channel_room */
}

/* How many places are reserved: with the senders' lock, or for certain once the channel is closed. */
static inline uint64_t rota__channel_reserved(const struct rota_channel *c)
{
	return rota__load(&c->claimed_, RELAXED) - rota__load(&c->sent_, RELAXED);
}

#endif
