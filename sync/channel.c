/* SPDX-License-Identifier: MIT */
/*
 * The protocol. The lock of `receivers_` guards everything. Elements lie in a ring of `slots_`; an unbounded channel doubles
 * it when it is full. Receivers wait only while the ring is empty, senders only while it has no room, where places that were
 * reserved are no room. Senders and those who want a place wait in one list.
 *
 * A sender that finds a receiver waiting copies elements straight into its hands and grants it. Whatever makes room serves
 * the senders in order: copies the element of the first one into the ring, or reserves a place for it, and grants it. A
 * receiver that finds the ring empty takes from the first sender's hands: there is one if the channel has no slots, or if
 * all are reserved. So an element, or a place, is always in exactly
 * one hand, and a waiter is granted only when its call is done: a cancel that comes after the grant changes nothing, one that
 * comes before takes the waiter off with nothing moved (of many: with those that were moved, which is its result).
 *
 * Closed, nobody sends, except into places that were reserved before; the receivers learn of the end when the ring is empty
 * and no such place is left. What follows from a change is settled before the lock is dropped (settle), in several batches
 * if need be.
 */
#include "channel.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../runtime/alloc_internal.h"
#include "channel_internal.h"
#include "misuse_internal.h"

#define UNBOUNDED_START 16u
#define BUFFER_ALIGN 64u

static struct rota_channel_op *op_of_waiter(struct rota_waiter *waiter)
{
	return (struct rota_channel_op *)(void *)((unsigned char *)waiter - offsetof(struct rota_channel_op, waiter_));
}

int rota_channel_init(struct rota_channel *c, size_t elem_size, size_t capacity)
{
	size_t slots = capacity == ROTA_UNBOUNDED ? UNBOUNDED_START : capacity;
	size_t bytes;

	if (elem_size == 0 || __builtin_mul_overflow(slots, elem_size, &bytes))
		return -EINVAL;
	*c = (struct rota_channel){ .elem_size_ = elem_size, .capacity_ = capacity, .slots_ = slots };
	if (capacity == 0)
		return 0;
	c->buffer_ = rota__alloc(bytes, BUFFER_ALIGN);
	return c->buffer_ != NULL ? 0 : -ENOMEM;
}

void rota_channel_deinit(struct rota_channel *c)
{
	bool waiting;

	rota__channel_lock(c);
	waiting = !rota__waitlist_empty(&c->receivers_) || !rota__waitlist_empty(&c->senders_);
	rota__waitlist_unlock(&c->receivers_);
	if (waiting) {
		rota__sync_misuse("rota_channel_deinit while somebody waits", -EBUSY);
		return;
	}
	if (c->buffer_ != NULL)
		rota__free(c->buffer_, c->slots_ * c->elem_size_, BUFFER_ALIGN);
	c->buffer_ = NULL;
	c->slots_ = 0;
	c->length_ = 0;
	c->closed_ = 1;
}

/* --- the ring; with the lock held ----------------------------------------------------------------------------- */

static void copy(void *to, const void *from, size_t bytes)
{
	if (bytes == sizeof(uint64_t)) /* the most common size by far, and a call is dear in comparison */
		memcpy(to, from, sizeof(uint64_t));
	else
		memcpy(to, from, bytes);
}

static int grow(struct rota_channel *c)
{
	const size_t old_bytes = c->slots_ * c->elem_size_;
	const size_t first_part = (c->slots_ - c->head_) * c->elem_size_;
	unsigned char *buffer;
	size_t bytes;

	if (__builtin_mul_overflow(old_bytes, (size_t)2, &bytes))
		return -ENOMEM;
	buffer = rota__alloc(bytes, BUFFER_ALIGN);
	if (buffer == NULL)
		return -ENOMEM;
	memcpy(buffer, c->buffer_ + c->head_ * c->elem_size_, first_part);
	memcpy(buffer + first_part, c->buffer_, old_bytes - first_part);
	rota__free(c->buffer_, old_bytes, BUFFER_ALIGN);
	c->buffer_ = buffer;
	c->head_ = 0;
	c->slots_ *= 2;
	return 0;
}

static size_t room(const struct rota_channel *c)
{
	return c->slots_ - c->length_ - c->reserved_;
}

/* Makes room for one at least, if it can be made: 0, -EAGAIN, -ENOMEM. */
static int make_room(struct rota_channel *c)
{
	if (room(c) > 0)
		return 0;
	return c->capacity_ == ROTA_UNBOUNDED ? grow(c) : -EAGAIN;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* There is room, or a reserved place, for n. */
static void ring_put(struct rota_channel *c, const unsigned char *elems, size_t n)
{
	size_t at = c->head_ + c->length_;
	size_t first;

	at = at < c->slots_ ? at : at - c->slots_;
	first = least(n, c->slots_ - at);
	copy(c->buffer_ + at * c->elem_size_, elems, first * c->elem_size_);
	if (first < n)
		memcpy(c->buffer_, elems + first * c->elem_size_, (n - first) * c->elem_size_);
	c->length_ += n;
}

static void ring_take(struct rota_channel *c, unsigned char *ret_elems, size_t n)
{
	size_t first = least(n, c->slots_ - c->head_);

	copy(ret_elems, c->buffer_ + c->head_ * c->elem_size_, first * c->elem_size_);
	if (first < n)
		memcpy(ret_elems + first * c->elem_size_, c->buffer_, (n - first) * c->elem_size_);
	c->head_ += n;
	c->head_ = c->head_ < c->slots_ ? c->head_ : c->head_ - c->slots_;
	c->length_ -= n;
}

/* --- the hands of those who wait; with the lock held ----------------------------------------------------------- */

/* n elements of a waiter's were moved. */
static void moved(struct rota_channel *c, struct rota_channel_op *op, size_t n)
{
	op->elem_ += n * c->elem_size_;
	op->left_ -= n;
	op->moved_ += n;
}

/* Gives up to n elements to the first receiver that waits, which so is served. */
static size_t hand_over(struct rota_channel *c, const unsigned char *elems, size_t n, struct rota__wake_batch *batch)
{
	struct rota_channel_op *op = op_of_waiter(c->receivers_.first_);
	size_t count = least(n, op->left_);

	copy(op->elem_, elems, count * c->elem_size_);
	moved(c, op, count);
	rota__waitlist_grant(&c->receivers_, ROTA__CHANNEL_DONE, batch);
	return count;
}

/* Takes up to n elements out of the first sender's hands. */
static size_t take_over(struct rota_channel *c, unsigned char *ret_elems, size_t n, struct rota__wake_batch *batch)
{
	struct rota_channel_op *op = op_of_waiter(c->senders_.first_);
	size_t count = least(n, op->left_);

	copy(ret_elems, op->elem_, count * c->elem_size_);
	moved(c, op, count);
	if (op->left_ == 0)
		rota__waitlist_grant(&c->senders_, ROTA__CHANNEL_DONE, batch);
	return count;
}

/* Whether something can be done for the first sender: there is room, or a receiver that waits for its element. */
static bool servable(struct rota_channel *c)
{
	if (rota__waitlist_empty(&c->senders_))
		return false;
	return c->closed_ || room(c) > 0 ||
	       (!rota__waitlist_empty(&c->receivers_) && op_of_waiter(c->senders_.first_)->elem_ != NULL);
}

static void serve_sender(struct rota_channel *c, struct rota__wake_batch *batch)
{
	struct rota_channel_op *op = op_of_waiter(c->senders_.first_);
	size_t count;

	if (op->elem_ == NULL) {
		c->reserved_++;
		rota__waitlist_grant(&c->senders_, ROTA__CHANNEL_DONE, batch);
		return;
	}
	if (rota__waitlist_empty(&c->receivers_)) {
		count = least(room(c), op->left_);
		ring_put(c, op->elem_, count);
	} else {
		count = hand_over(c, op->elem_, op->left_, batch);
	}
	moved(c, op, count);
	if (op->left_ == 0)
		rota__waitlist_grant(&c->senders_, ROTA__CHANNEL_DONE, batch);
}

/* Whether the batch has no room for a receiver and a sender. */
static bool nearly_full(const struct rota__wake_batch *batch)
{
	return batch->others + 2 > ROTA__WAKE_BATCH;
}

/* Serves whoever can be served now, or will never be. true: the batch is full, and there may be more to do. */
static bool settle(struct rota_channel *c, struct rota__wake_batch *batch)
{
	while (servable(c)) {
		if (nearly_full(batch))
			return true;
		if (c->closed_)
			rota__waitlist_grant(&c->senders_, ROTA__CHANNEL_CLOSED, batch);
		else
			serve_sender(c, batch);
	}
	while (!rota__waitlist_empty(&c->receivers_) && c->closed_ && c->reserved_ == 0) {
		if (rota__wake_batch_full(batch))
			return true;
		rota__waitlist_grant(&c->receivers_, ROTA__CHANNEL_CLOSED, batch);
	}
	return false;
}

void rota__channel_unlock(struct rota_channel *c, struct rota__wake_batch *batch)
{
	while (settle(c, batch)) {
		rota__waitlist_unlock(&c->receivers_);
		rota__wake_batch_submit(batch);
		rota__channel_lock(c);
	}
	rota__waitlist_unlock(&c->receivers_);
	rota__wake_batch_submit(batch);
}

/* --- moving elements; with the lock held ------------------------------------------------------------------------ */

size_t rota__channel_put(struct rota_channel *c, const unsigned char *elems, size_t n, int *ret_rc,
			 struct rota__wake_batch *batch)
{
	size_t done = 0, count;

	while (done < n) {
		if (c->closed_) {
			*ret_rc = -EPIPE;
			break;
		}
		*ret_rc = -EAGAIN;
		if (!rota__waitlist_empty(&c->senders_)) /* they come first */
			break;
		if (!rota__waitlist_empty(&c->receivers_)) {
			*ret_rc = -EBUSY;
			if (rota__wake_batch_full(batch))
				break;
			done += hand_over(c, elems + done * c->elem_size_, n - done, batch);
			continue;
		}
		*ret_rc = make_room(c);
		if (*ret_rc < 0)
			break;
		count = least(room(c), n - done);
		ring_put(c, elems + done * c->elem_size_, count);
		done += count;
	}
	return done;
}

/* Whether the first sender has an element that it could not put into the ring. */
static bool has_in_hand(struct rota_channel *c)
{
	return !c->closed_ && !rota__waitlist_empty(&c->senders_) && op_of_waiter(c->senders_.first_)->elem_ != NULL;
}

size_t rota__channel_take(struct rota_channel *c, unsigned char *ret_elems, size_t n, int *ret_rc,
			  struct rota__wake_batch *batch)
{
	size_t done = 0, count;

	while (done < n) {
		*ret_rc = -EBUSY;
		if (c->length_ > 0) {
			count = least(c->length_, n - done);
			ring_take(c, ret_elems + done * c->elem_size_, count);
			done += count;
			if (settle(c, batch))
				break;
		} else if (has_in_hand(c)) {
			if (rota__wake_batch_full(batch))
				break;
			done += take_over(c, ret_elems + done * c->elem_size_, n - done, batch);
		} else {
			*ret_rc = c->closed_ && c->reserved_ == 0 ? -EPIPE : -EAGAIN;
			break;
		}
	}
	return done;
}

int rota__channel_reserve(struct rota_channel *c)
{
	int rc;

	if (c->closed_)
		return -EPIPE;
	if (c->capacity_ == 0)
		return -EINVAL;
	rc = rota__waitlist_empty(&c->senders_) ? make_room(c) : -EAGAIN;
	if (rc == 0)
		c->reserved_++;
	return rc;
}

/* --- without waiting ------------------------------------------------------------------------------------------ */

ssize_t rota_channel_try_send_many(struct rota_channel *c, const void *elems, size_t n)
{
	struct rota__wake_batch batch;
	size_t done = 0;
	int rc;

	if (n == 0 || n > INT_MAX)
		return -EINVAL;
	rota__wake_batch_init(&batch);
	do {
		rota__channel_lock(c);
		done += rota__channel_put(c, (const unsigned char *)elems + done * c->elem_size_, n - done, &rc, &batch);
		rota__channel_unlock(c, &batch);
	} while (done < n && rc == -EBUSY);
	return done > 0 ? (ssize_t)done : rc;
}

int rota_channel_try_send(struct rota_channel *c, const void *elem)
{
	ssize_t n = rota_channel_try_send_many(c, elem, 1);

	return n < 0 ? (int)n : 0;
}

ssize_t rota_channel_try_recv_many(struct rota_channel *c, void *ret_elems, size_t max)
{
	struct rota__wake_batch batch;
	size_t done;
	int rc;

	if (max == 0)
		return -EINVAL;
	rota__wake_batch_init(&batch);
	rota__channel_lock(c);
	done = rota__channel_take(c, ret_elems, max, &rc, &batch);
	rota__channel_unlock(c, &batch);
	return done > 0 ? (ssize_t)done : rc;
}

int rota_channel_try_recv(struct rota_channel *c, void *ret_elem)
{
	ssize_t n = rota_channel_try_recv_many(c, ret_elem, 1);

	return n < 0 ? (int)n : 0;
}

int rota_channel_try_reserve(struct rota_channel *c)
{
	int rc;

	rota__channel_lock(c);
	rc = rota__channel_reserve(c);
	rota__waitlist_unlock(&c->receivers_); /* nobody else is any better off */
	return rc;
}

/* Ends a reserved place: `elem` goes into it, or (NULL) it is free again. */
static int end_reserved(struct rota_channel *c, const unsigned char *elem, const char *mistake)
{
	struct rota__wake_batch batch;
	bool reserved;

	rota__wake_batch_init(&batch);
	rota__channel_lock(c);
	reserved = c->reserved_ > 0;
	if (reserved && elem != NULL) {
		if (rota__waitlist_empty(&c->receivers_))
			ring_put(c, elem, 1);
		else
			hand_over(c, elem, 1, &batch);
	}
	c->reserved_ -= reserved;
	rota__channel_unlock(c, &batch);
	return reserved ? 0 : rota__sync_misuse(mistake, -EPERM);
}

int rota_channel_send_reserved(struct rota_channel *c, const void *elem)
{
	return end_reserved(c, elem, "rota_channel_send_reserved: no place is reserved");
}

int rota_channel_unreserve(struct rota_channel *c)
{
	return end_reserved(c, NULL, "rota_channel_unreserve: no place is reserved");
}

void rota_channel_close(struct rota_channel *c)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__channel_lock(c);
	c->closed_ = 1;
	rota__channel_unlock(c, &batch);
}

size_t rota_channel_length(struct rota_channel *c)
{
	size_t length;

	rota__channel_lock(c);
	length = c->length_;
	rota__waitlist_unlock(&c->receivers_);
	return length;
}
