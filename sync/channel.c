/* SPDX-License-Identifier: MIT */
/*
 * The protocol. Elements lie in a ring of `slots_`, which grows up to `capacity_`, from none if it may not be needed at
 * all, and has two ends, each with a lock of its own: senders put elements in at `tail_`, receivers take them out at
 * `head_`, and most calls need the one lock only. `sent_` and `received_` are how the ends tell each other: each is
 * written under its own end's lock and read by the other end, which may see it late, and so sees too few elements, or too
 * few places, never too many. `claimed_` counts the places that are taken: those of `sent_`, and those that were reserved.
 *
 *   lock of the receivers' end (that of the list senders_): received_, head_, senders_
 *   lock of the senders' end (that of the list receivers_): sent_, claimed_, tail_, receivers_
 *   both, and to read either of them:                       closed_, buffer_, slots_; claimed_ is counted down under both
 *
 * So each end finds under its own lock those of the other end who wait for it. Receivers wait only while the ring is empty,
 * senders only while it has no room. Who waits queues in the other end's list, under the other end's lock, which keeps that
 * so: a receiver that holds the senders' lock and finds all received that was sent knows that nobody sends before it is
 * queued; a sender that holds the receivers' lock and finds no room knows that none is made. (What either reads of its own
 * end meanwhile may be old: then it finds elements, or room, that are gone, and tries again.) Only where both could
 * happen at once, because the ring is empty and has no room, which is so without slots, or when all are reserved, they
 * take both locks, and look whether somebody waits on the other side.
 *
 * A sender that finds a receiver waiting copies elements straight into its hands and grants it: under its own lock,
 * since the ring is empty. Room is made for senders that wait under both locks, and it is filled before they are
 * dropped: the element of the first sender is copied into the ring, or its place is reserved, and it is granted. So
 * nobody comes before those who wait. Senders wait only when the ring is as large as it may get. A receiver that finds
 * the ring empty takes from the first sender's hands.
 *
 * The last touch of a call is that it drops its lock, and the end of a channel waits until both are free, and nobody is
 * between two batches of wakes: so whoever has received what it waited for may end the channel, though the sender may
 * still be on its way out.
 *
 * An element, or a place, is always in exactly one hand, and a waiter is granted only when its call is done: a cancel that
 * comes after the grant changes nothing, one that comes before takes the waiter off with nothing moved (of many: with those
 * that were moved, which is its result).
 *
 * Closed, nobody sends, except into places that were reserved before; the receivers learn of the end when the ring is empty
 * and no such place is left. What follows from a change under both locks is settled before they are dropped (settle), in
 * several batches if need be.
 *
 * The ring is in channel_ring_internal.h, what happens to those who wait in channel_hands_internal.h and channel_settle.c,
 * how elements move in channel_move.c, the futures and the calls that wait in channel_op.c.
 */
#include "channel.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../runtime/alloc_internal.h"
#include "channel_hands_internal.h"
#include "misuse_internal.h"

#define BUFFER_ALIGN 64u

/* Bytes. The buffer of a bounded channel that is not larger is had at once, so that no send ever wants for memory. All others
 * grow by need, since most of it may never be touched: they begin, with the first element, with about so much. */
#define AT_ONCE ((size_t)32 * 1024)
#define START ((size_t)1024)
#define BEYOND_MEMORY ((size_t)1 << 48) /* no process has so many addresses */

/* Field by field: what lies between the ends need not be cleared. */
static void start(struct rota_channel *c, size_t elem_size, size_t capacity, size_t slots)
{
	c->buffer_ = NULL;
	c->elem_size_ = elem_size;
	c->capacity_ = capacity;
	c->slots_ = slots;
	c->closed_ = 0;
	c->lent_ = 0;
	c->senders_ = (struct rota_waitlist){ .count_ = 0 };
	rota__store(&c->received_, 0, RELAXED); /* whoever shares it orders this */
	rota__store(&c->seen_sent_, 0, RELAXED);
	c->head_ = 0;
	c->receivers_ = (struct rota_waitlist){ .count_ = 0 };
	rota__store(&c->claimed_, 0, RELAXED);
	rota__store(&c->sent_, 0, RELAXED);
	c->seen_received_ = 0;
	c->tail_ = 0;
}

int rota_channel_init(struct rota_channel *c, size_t elem_size, size_t capacity)
{
	size_t bytes;

	if (elem_size == 0 || elem_size >= BEYOND_MEMORY)
		return -EINVAL;
	if (capacity == ROTA_UNBOUNDED)
		bytes = BEYOND_MEMORY;
	else if (__builtin_mul_overflow(capacity, elem_size, &bytes) || bytes >= BEYOND_MEMORY)
		return -EINVAL;
	start(c, elem_size, capacity, bytes <= AT_ONCE ? capacity : 0);
	if (c->slots_ == 0)
		return 0;
	c->buffer_ = rota__alloc_object(bytes, BUFFER_ALIGN);
	return c->buffer_ != NULL ? 0 : -ENOMEM;
}

/* Whether nobody is between two batches of wakes, nor on his way out after the last. */
static bool is_left(struct rota_channel *c)
{
	bool left;

	rota__channel_lock_receiving(c);
	left = rota__waitlist_over(&c->senders_) || !rota__waitlist_empty(&c->senders_);
	rota__channel_unlock_receiving(c);
	return left;
}

int rota_channel_deinit(struct rota_channel *c)
{
	unsigned spins = 0;

	rota__waitlist_outlast(&c->senders_);
	rota__waitlist_outlast(&c->receivers_);
	while (c->lent_ & ROTA__CHANNEL_BATCHES && !is_left(c))
		rota__spin_pause(&spins);
	if (!rota__waitlist_empty(&c->receivers_) || !rota__waitlist_empty(&c->senders_))
		return rota__sync_misuse("rota_channel_deinit while somebody waits", -EBUSY);
	if (c->buffer_ != NULL && !(c->lent_ & ROTA__CHANNEL_LENT))
		rota__free_object(c->buffer_, c->slots_ * c->elem_size_, BUFFER_ALIGN);
	c->buffer_ = NULL;
	c->slots_ = 0;
	/* Nothing is inside, nor is a place reserved. RELAXED: who ends it is alone with it. */
	rota__store(&c->received_, rota__load(&c->sent_, RELAXED), RELAXED);
	rota__store(&c->claimed_, rota__load(&c->sent_, RELAXED), RELAXED);
	c->closed_ |= 1;
	return 0;
}

/* --- a ring that grows ----------------------------------------------------------------------------------------- */

/* How many slots a ring is to have that has too few. */
static size_t more_slots(const struct rota_channel *c)
{
	if (c->slots_ > 0)
		return rota__least(2 * c->slots_, c->capacity_);
	return rota__least(c->elem_size_ < START ? START / c->elem_size_ : 1, c->capacity_);
}

/* Both ends: makes room, unless somebody else has. */
static int grow(struct rota_channel *c)
{
	const size_t old_bytes = c->slots_ * c->elem_size_;
	const size_t first_part = (c->slots_ - c->head_) * c->elem_size_;
	const size_t slots = more_slots(c),
		     bytes = slots * c->elem_size_; /* no overflow: it is twice what is in memory */
	unsigned char *buffer;

	if (rota__channel_room(c, 1) > 0 || !rota__channel_may_grow(c)) /* somebody was quicker */
		return 0;
	buffer = rota__alloc_object(bytes, BUFFER_ALIGN);
	if (buffer == NULL)
		return -ENOMEM;
	if (c->buffer_ != NULL) {
		memcpy(buffer, c->buffer_ + c->head_ * c->elem_size_, first_part);
		memcpy(buffer + first_part, c->buffer_, old_bytes - first_part);
		rota__free_object(c->buffer_, old_bytes, BUFFER_ALIGN);
	}
	c->buffer_ = buffer;
	c->head_ = 0;
	c->tail_ = rota__channel_filled(c, SIZE_MAX); /* less than all, when some are reserved */
	c->slots_ = slots;
	return 0;
}

int rota__channel_make_room(struct rota_channel *c)
{
	int rc;

	rota__channel_lock_both(c);
	rc = grow(c);
	rota__channel_unlock_both(c); /* nobody waits for room while it may grow */
	return rc;
}

/* --- without waiting ------------------------------------------------------------------------------------------ */

ssize_t rota_channel_try_send_many(struct rota_channel *c, const void *elems, size_t n)
{
	size_t done;
	int rc;

	if (n == 0 || n > INT_MAX)
		return -EINVAL;
	done = rota__channel_put(c, elems, n, &rc);
	return done > 0 ? (ssize_t)done : rc;
}

int rota_channel_try_send(struct rota_channel *c, const void *elem)
{
	return rota__channel_put_one(c, elem);
}

ssize_t rota_channel_try_recv_many(struct rota_channel *c, void *ret_elems, size_t max)
{
	size_t done;
	int rc;

	if (max == 0)
		return -EINVAL;
	done = rota__channel_take(c, ret_elems, max, &rc);
	return done > 0 ? (ssize_t)done : rc;
}

int rota_channel_try_recv(struct rota_channel *c, void *ret_elem)
{
	return rota__channel_take_one(c, ret_elem);
}

int rota_channel_try_reserve(struct rota_channel *c)
{
	bool grows;
	int rc;

	if (c->capacity_ == 0)
		return -EINVAL;
	do {
		rota__channel_lock_sending(c);
		rc = c->closed_ ? -EPIPE : rota__channel_room(c, 1) == 0 ? -EAGAIN : 0;
		grows = rota__channel_may_grow(c);
		if (rc == 0)
			rota__channel_claim(c, 1);
		rota__channel_unlock_sending(c);
		if (rc == -EPIPE)
			return rota__channel_refuse(c);
		if (rc != -EAGAIN || !grows)
			return rc;
		rc = rota__channel_make_room(c);
	} while (rc == 0);
	return rc;
}

/* Ends a reserved place: `elem` goes to a receiver that waits, or (NULL) nobody, and the place is free again. */
static int free_reserved(struct rota_channel *c, const unsigned char *elem, const char *mistake)
{
	struct rota__wake_batch batch;
	bool any;

	rota__wake_batch_init(&batch);
	rota__channel_lock_both(c);
	any = rota__channel_reserved(c) > 0;
	if (any && elem != NULL && rota__waitlist_empty(&c->receivers_)) {
		rota__channel_ring_put(c, elem, 1);
	} else if (any) {
		if (elem != NULL)
			rota__channel_hand_over(c, elem, 1, &batch);
		rota__store(&c->claimed_, rota__load(&c->claimed_, RELAXED) - 1, RELAXED); /* the locks order it */
	}
	rota__channel_settle_and_unlock(c, &batch);
	return any ? 0 : rota__sync_misuse(mistake, -EPERM);
}

int rota_channel_send_reserved(struct rota_channel *c, const void *elem)
{
	bool sent = false;

	rota__channel_lock_sending(c);
	if (rota__channel_reserved(c) > 0 && rota__waitlist_empty(&c->receivers_)) {
		rota__channel_ring_put(c, elem, 1);
		sent = true;
	}
	rota__channel_unlock_sending(c);
	return sent ? 0 : free_reserved(c, elem, "rota_channel_send_reserved: no place is reserved");
}

int rota_channel_unreserve(struct rota_channel *c)
{
	return free_reserved(c, NULL, "rota_channel_unreserve: no place is reserved");
}

void rota_channel_close(struct rota_channel *c)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__channel_lock_both(c);
	c->closed_ |= 1;
	rota__channel_settle_and_unlock(c, &batch);
}

size_t rota_channel_length(struct rota_channel *c)
{
	size_t length;

	rota__channel_lock_both(c);
	length = rota__channel_filled(c, SIZE_MAX);
	rota__channel_unlock_both(c);
	return length;
}
