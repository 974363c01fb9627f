/* SPDX-License-Identifier: MIT */
/*
 * The protocol. Elements lie in a ring of `slots_`, which has two ends, each with a lock of its own: senders put elements in
 * at `tail_`, receivers take them out at `head_`, and most calls need the one lock only. `sent_` and `received_` are how the
 * ends tell each other: each is written under its own end's lock and read by the other end, which may see it late, and so
 * sees too few elements, or too few places, never too many. `claimed_` counts the places that are taken: those of
 * `sent_`, and those that were reserved.
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
 * A sender that finds a receiver waiting copies elements straight into its hands and grants it: under its own lock, since
 * the ring is empty. Room is made for senders that wait under both locks, and it is filled before they are dropped: the
 * element of the first sender is copied into the ring, or its place is reserved, and it is granted. So nobody comes before
 * those who wait. A receiver that finds the ring empty takes from the first sender's hands.
 *
 * The last touch of a call is that it drops its lock, and the end of a channel takes both: so whoever has received what it
 * waited for may end the channel, though the sender may still be on its way out.
 *
 * An element, or a place, is always in exactly one hand, and a waiter is granted only when its call is done: a cancel that
 * comes after the grant changes nothing, one that comes before takes the waiter off with nothing moved (of many: with those
 * that were moved, which is its result).
 *
 * Closed, nobody sends, except into places that were reserved before; the receivers learn of the end when the ring is empty
 * and no such place is left. What follows from a change under both locks is settled before they are dropped (settle), in
 * several batches if need be.
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

/* Drops both locks, with nothing to settle. */
static void unlock_both(struct rota_channel *c)
{
	rota__channel_unlock_sending(c);
	rota__channel_unlock_receiving(c);
}

void rota_channel_deinit(struct rota_channel *c)
{
	bool waiting;

	rota__channel_lock_both(c);
	waiting = !rota__waitlist_empty(&c->receivers_) || !rota__waitlist_empty(&c->senders_);
	unlock_both(c);
	if (waiting) {
		rota__sync_misuse("rota_channel_deinit while somebody waits", -EBUSY);
		return;
	}
	if (c->buffer_ != NULL)
		rota__free(c->buffer_, c->slots_ * c->elem_size_, BUFFER_ALIGN);
	c->buffer_ = NULL;
	c->slots_ = 0;
	rota__store(&c->received_, rota__load(&c->sent_, RELAXED), RELAXED); /* who ends it is alone with it */
	c->closed_ = 1;
}

/* --- the ring ------------------------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void copy(void *to, const void *from, size_t bytes)
{
	if (bytes == sizeof(uint64_t)) /* the most common size by far, and a call is dear in comparison */
		memcpy(to, from, sizeof(uint64_t));
	else
		memcpy(to, from, bytes);
}

/* The senders' end: how many places are free, of which `want` are wanted. There may be more. */
static size_t room(struct rota_channel *c, size_t want)
{
	const uint64_t claimed = rota__load(&c->claimed_, RELAXED);

	if (c->slots_ - (size_t)(claimed - c->seen_received_) < want)
		c->seen_received_ = rota__load(&c->received_, ACQUIRE); /* partner: ring_take */
	return c->slots_ - (size_t)(claimed - c->seen_received_);
}

/* The receivers' end: how many elements are there, of which `want` are wanted. There may be more. */
static size_t filled(struct rota_channel *c, size_t want)
{
	const uint64_t received = rota__load(&c->received_, RELAXED);
	uint64_t sent = rota__load(&c->seen_sent_, RELAXED);

	if (sent - received < want) {
		sent = rota__load(&c->sent_, ACQUIRE); /* partner: ring_put, which has filled the slots */
		rota__store(&c->seen_sent_, sent, RELAXED);
	}
	return (size_t)(sent - received);
}

/* The senders' end, which has claimed n places. */
static void ring_put(struct rota_channel *c, const unsigned char *elems, size_t n)
{
	size_t first = least(n, c->slots_ - c->tail_);

	copy(c->buffer_ + c->tail_ * c->elem_size_, elems, first * c->elem_size_);
	if (first < n)
		memcpy(c->buffer_, elems + first * c->elem_size_, (n - first) * c->elem_size_);
	c->tail_ += n;
	c->tail_ = c->tail_ < c->slots_ ? c->tail_ : c->tail_ - c->slots_;
	rota__store(&c->sent_, rota__load(&c->sent_, RELAXED) + n, RELEASE); /* partner: filled */
}

static void claim(struct rota_channel *c, size_t n)
{
	rota__store(&c->claimed_, rota__load(&c->claimed_, RELAXED) + n, RELAXED); /* the lock orders it */
}

/* The receivers' end, which has found n elements. */
static void ring_take(struct rota_channel *c, unsigned char *ret_elems, size_t n)
{
	size_t first = least(n, c->slots_ - c->head_);

	copy(ret_elems, c->buffer_ + c->head_ * c->elem_size_, first * c->elem_size_);
	if (first < n)
		memcpy(ret_elems + first * c->elem_size_, c->buffer_, (n - first) * c->elem_size_);
	c->head_ += n;
	c->head_ = c->head_ < c->slots_ ? c->head_ : c->head_ - c->slots_;
	rota__store(&c->received_, rota__load(&c->received_, RELAXED) + n, RELEASE); /* partner: room */
}

/* Both ends: makes room in an unbounded channel, unless somebody else has. */
static int grow(struct rota_channel *c)
{
	const size_t old_bytes = c->slots_ * c->elem_size_;
	const size_t first_part = (c->slots_ - c->head_) * c->elem_size_;
	unsigned char *buffer;
	size_t bytes;

	if (room(c, 1) > 0)
		return 0;
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
	c->tail_ = filled(c, SIZE_MAX); /* less than all, when some are reserved */
	c->slots_ *= 2;
	return 0;
}

/* How many places are reserved: with the senders' lock, or for certain once the channel is closed. */
static uint64_t reserved(const struct rota_channel *c)
{
	return rota__load(&c->claimed_, RELAXED) - rota__load(&c->sent_, RELAXED);
}

/* --- the hands of those who wait ------------------------------------------------------------------------------- */

/* n elements of a waiter's were moved. */
static void moved(struct rota_channel *c, struct rota_channel_op *op, size_t n)
{
	op->elem_ += n * c->elem_size_;
	op->left_ -= n;
	op->moved_ += n;
}

/* The senders' end: gives up to n elements to the first receiver that waits, which so is served. */
static size_t hand_over(struct rota_channel *c, const unsigned char *elems, size_t n, struct rota__wake_batch *batch)
{
	struct rota_channel_op *op = op_of_waiter(c->receivers_.first_);
	size_t count = least(n, op->left_);

	copy(op->elem_, elems, count * c->elem_size_);
	moved(c, op, count);
	rota__waitlist_grant(&c->receivers_, ROTA__CHANNEL_DONE, batch);
	return count;
}

/* Both ends: takes up to n elements out of the first sender's hands. */
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

/* Both ends: whether the first sender has an element that it could not put into the ring. */
static bool has_in_hand(const struct rota_channel *c)
{
	return !rota__waitlist_empty(&c->senders_) && op_of_waiter(c->senders_.first_)->elem_ != NULL;
}

/* Both ends: whether something can be done for the first sender: there is room, or a receiver that waits for its element. */
static bool servable(struct rota_channel *c)
{
	if (rota__waitlist_empty(&c->senders_))
		return false;
	return c->closed_ || room(c, 1) > 0 || (!rota__waitlist_empty(&c->receivers_) && has_in_hand(c));
}

static void serve_sender(struct rota_channel *c, struct rota__wake_batch *batch)
{
	struct rota_channel_op *op = op_of_waiter(c->senders_.first_);
	size_t count;

	if (op->elem_ == NULL) {
		claim(c, 1);
		rota__waitlist_grant(&c->senders_, ROTA__CHANNEL_DONE, batch);
		return;
	}
	if (rota__waitlist_empty(&c->receivers_)) {
		count = least(room(c, op->left_), op->left_);
		claim(c, count);
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

/* Both ends: serves whoever can be served now, or will never be. true: the batch is full, and there may be more to do. */
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
	while (!rota__waitlist_empty(&c->receivers_) && c->closed_ && reserved(c) == 0) {
		if (rota__wake_batch_full(batch))
			return true;
		rota__waitlist_grant(&c->receivers_, ROTA__CHANNEL_CLOSED, batch);
	}
	return false;
}

/* Settles what follows from a change, in as many batches as it takes, and drops both locks. */
static void settle_and_unlock(struct rota_channel *c, struct rota__wake_batch *batch)
{
	while (settle(c, batch)) {
		unlock_both(c);
		rota__wake_batch_submit(batch);
		rota__channel_lock_both(c);
	}
	unlock_both(c);
	rota__wake_batch_submit(batch);
}

/* --- moving elements ------------------------------------------------------------------------------------------ */

/* The senders' end. *ret_rc is -EBUSY when the batch is full, -EAGAIN when there is no room. */
static size_t put(struct rota_channel *c, const unsigned char *elems, size_t n, int *ret_rc,
		  struct rota__wake_batch *batch)
{
	size_t done = 0, count;

	while (done < n) {
		*ret_rc = -EPIPE;
		if (c->closed_)
			break;
		if (!rota__waitlist_empty(&c->receivers_)) {
			*ret_rc = -EBUSY;
			if (rota__wake_batch_full(batch))
				break;
			done += hand_over(c, elems + done * c->elem_size_, n - done, batch);
			continue;
		}
		*ret_rc = -EAGAIN;
		count = least(room(c, n - done), n - done);
		if (count == 0)
			break;
		claim(c, count);
		ring_put(c, elems + done * c->elem_size_, count);
		done += count;
	}
	return done;
}

/* An unbounded channel had no room. 0: try again. */
static int make_room(struct rota_channel *c)
{
	int rc;

	rota__channel_lock_both(c);
	rc = grow(c);
	unlock_both(c); /* nobody waits for room in it */
	return rc;
}

size_t rota__channel_put(struct rota_channel *c, const unsigned char *elems, size_t n, int *ret_rc)
{
	struct rota__wake_batch batch;
	size_t done = 0;
	int rc = 0;

	rota__wake_batch_init(&batch);
	do {
		rota__channel_lock_sending(c);
		done += put(c, elems + done * c->elem_size_, n - done, &rc, &batch);
		rota__channel_unlock_sending(c);
		rota__wake_batch_submit(&batch);
		if (done < n && rc == -EAGAIN && c->capacity_ == ROTA_UNBOUNDED)
			rc = make_room(c);
	} while (done < n && (rc == -EBUSY || rc == 0));
	*ret_rc = rc;
	return done;
}

int rota__channel_put_one(struct rota_channel *c, const unsigned char *elem)
{
	struct rota__wake_batch batch;
	int rc;

	rota__channel_lock_sending(c);
	if (!c->closed_ && !rota__waitlist_empty(&c->receivers_)) {
		rota__wake_batch_init(&batch);
		hand_over(c, elem, 1, &batch);
		rota__channel_unlock_sending(c);
		rota__wake_batch_submit(&batch);
		return 0;
	}
	if (!c->closed_ && room(c, 1) > 0) {
		claim(c, 1);
		ring_put(c, elem, 1);
		rota__channel_unlock_sending(c);
		return 0;
	}
	rota__channel_unlock_sending(c);
	return rota__channel_put(c, elem, 1, &rc) == 1 ? 0 : rc;
}

/* The receivers' end found nothing. Once it is closed nobody reserves, and who gives a place back needs both locks. */
static int nothing_there(const struct rota_channel *c)
{
	return c->closed_ && reserved(c) == 0 && rota__channel_looks_empty(c) ? -EPIPE : -EAGAIN;
}

/* Both ends. *ret_rc is -EBUSY when the batch is full. */
static size_t take_and_serve(struct rota_channel *c, unsigned char *ret_elems, size_t n, int *ret_rc,
			     struct rota__wake_batch *batch)
{
	size_t done = 0, count;

	while (done < n) {
		*ret_rc = -EBUSY;
		count = least(filled(c, n - done), n - done);
		if (count > 0) {
			ring_take(c, ret_elems + done * c->elem_size_, count);
			done += count;
			if (settle(c, batch))
				break;
		} else if (!c->closed_ && has_in_hand(c)) {
			if (rota__wake_batch_full(batch))
				break;
			done += take_over(c, ret_elems + done * c->elem_size_, n - done, batch);
		} else {
			*ret_rc = nothing_there(c);
			break;
		}
	}
	return done;
}

size_t rota__channel_take(struct rota_channel *c, unsigned char *ret_elems, size_t n, int *ret_rc)
{
	struct rota__wake_batch batch;
	size_t done = 0;

	do {
		rota__channel_lock_receiving(c);
		if (rota__waitlist_empty(&c->senders_)) {
			size_t count = least(filled(c, n - done), n - done);

			if (count > 0)
				ring_take(c, ret_elems + done * c->elem_size_, count);
			else
				*ret_rc = nothing_there(c);
			rota__channel_unlock_receiving(c);
			return done + count;
		}
		rota__channel_lock_sending(c);
		rota__wake_batch_init(&batch);
		done += take_and_serve(c, ret_elems + done * c->elem_size_, n - done, ret_rc, &batch);
		settle_and_unlock(c, &batch);
	} while (done == 0 && *ret_rc == -EBUSY);
	return done;
}

int rota__channel_take_one(struct rota_channel *c, unsigned char *ret_elem)
{
	int rc;

	rota__channel_lock_receiving(c);
	if (rota__waitlist_empty(&c->senders_) && filled(c, 1) > 0) {
		ring_take(c, ret_elem, 1);
		rota__channel_unlock_receiving(c);
		return 0;
	}
	rota__channel_unlock_receiving(c);
	return rota__channel_take(c, ret_elem, 1, &rc) == 1 ? 0 : rc;
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

/* The receivers' end: no room for a sender, and none is made before the lock is dropped. `claimed_` may have been less. */
static bool full(const struct rota_channel *c)
{
	return rota__load(&c->claimed_, RELAXED) - rota__load(&c->received_, RELAXED) >= c->slots_;
}

/* The senders' end: nothing in the ring, nor before the lock is dropped. `received_` may have been less. */
static bool empty(const struct rota_channel *c)
{
	return rota__load(&c->received_, RELAXED) == rota__load(&c->sent_, RELAXED);
}

int rota__channel_queue_sender(struct rota_channel_op *op, const struct rota_waker *waker)
{
	struct rota_channel *c = op->channel_;
	bool both = false;
	int rc = 0;

	rota__channel_lock_receiving(c);
	if (empty(c)) { /* there may be receivers that wait */
		rota__channel_lock_sending(c);
		both = true;
	}
	if (c->closed_)
		rc = -EPIPE;
	else if (!full(c) || (both && !rota__waitlist_empty(&c->receivers_) && op->elem_ != NULL))
		rc = -EBUSY;
	else
		rota__waitlist_wait(&c->senders_, &op->waiter_, waker, false);
	if (both)
		rota__channel_unlock_sending(c);
	rota__channel_unlock_receiving(c);
	return rc;
}

int rota__channel_queue_receiver(struct rota_channel_op *op, const struct rota_waker *waker)
{
	struct rota_channel *c = op->channel_;
	bool both = false;
	int rc = 0;

	rota__channel_lock_sending(c);
	if (full(c)) { /* there may be senders that wait */
		rota__channel_unlock_sending(c);
		rota__channel_lock_both(c);
		both = true;
	}
	if (!empty(c) || (both && !c->closed_ && has_in_hand(c)))
		rc = -EBUSY;
	else if (c->closed_ && reserved(c) == 0)
		rc = -EPIPE;
	else
		rota__waitlist_wait(&c->receivers_, &op->waiter_, waker, false);
	rota__channel_unlock_sending(c);
	if (both)
		rota__channel_unlock_receiving(c);
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
	int rc;

	if (c->capacity_ == 0)
		return -EINVAL;
	do {
		rota__channel_lock_sending(c);
		rc = c->closed_ ? -EPIPE : room(c, 1) == 0 ? -EAGAIN : 0;
		if (rc == 0)
			claim(c, 1);
		rota__channel_unlock_sending(c);
		if (rc != -EAGAIN || c->capacity_ != ROTA_UNBOUNDED)
			return rc;
		rc = make_room(c);
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
	any = reserved(c) > 0;
	if (any && elem != NULL && rota__waitlist_empty(&c->receivers_)) {
		ring_put(c, elem, 1);
	} else if (any) {
		if (elem != NULL)
			hand_over(c, elem, 1, &batch);
		rota__store(&c->claimed_, rota__load(&c->claimed_, RELAXED) - 1, RELAXED); /* the locks order it */
	}
	settle_and_unlock(c, &batch);
	return any ? 0 : rota__sync_misuse(mistake, -EPERM);
}

int rota_channel_send_reserved(struct rota_channel *c, const void *elem)
{
	bool sent = false;

	rota__channel_lock_sending(c);
	if (reserved(c) > 0 && rota__waitlist_empty(&c->receivers_)) {
		ring_put(c, elem, 1);
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
	c->closed_ = 1;
	settle_and_unlock(c, &batch);
}

size_t rota_channel_length(struct rota_channel *c)
{
	size_t length;

	rota__channel_lock_both(c);
	length = filled(c, SIZE_MAX);
	unlock_both(c);
	return length;
}
