/* SPDX-License-Identifier: MIT */
/* How elements get into a channel and out of it, and how those queue who tried in vain; the protocol is in channel.c. */
#include <errno.h>

#include "channel_hands_internal.h"
#include "misuse_internal.h"

/* --- moving elements ------------------------------------------------------------------------------------------ */

/* The senders' end. *ret_rc is -EBUSY when the batch is full, -ENOBUFS when there is no room in the ring yet, -EAGAIN
 * when there is none in the channel. */
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
			done += rota__channel_hand_over(c, elems + done * c->elem_size_, n - done, batch);
			continue;
		}
		*ret_rc = rota__channel_may_grow(c) ? -ENOBUFS : -EAGAIN;
		count = rota__least(rota__channel_room(c, n - done), n - done);
		if (count == 0)
			break;
		rota__channel_claim(c, count);
		rota__channel_ring_put(c, elems + done * c->elem_size_, count);
		done += count;
	}
	return done;
}

int rota__channel_refuse(struct rota_channel *c)
{
#ifdef ROTA_DEBUG
	bool first;

	rota__channel_lock_both(c);
	first = rota__sync_first_refused(&c->closed_);
	rota__channel_unlock_both(c);
	if (first)
		rota__sync_tell_refused("rota_channel_send: the channel is closed");
#else
	(void)c;
#endif
	return -EPIPE;
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
		if (done < n && rc == -ENOBUFS)
			rc = rota__channel_make_room(c);
	} while (done < n && (rc == -EBUSY || rc == 0));
	*ret_rc = rc == -EPIPE && done == 0 ? rota__channel_refuse(c) : rc;
	return done;
}

/* The senders' end, and drops its lock. Apart, as is what follows below, so that most calls need little of the stack. */
static __attribute__((noinline)) int hand_over_one(struct rota_channel *c, const unsigned char *elem)
{
	struct rota_waker claimed;

	rota__channel_fill_hand(c, elem, 1);
	claimed = rota__waitlist_grant_one(&c->receivers_, c->receivers_.first_, ROTA__CHANNEL_DONE);
	rota__channel_unlock_sending(c);
	rota__wake_claimed(claimed);
	return 0;
}

static __attribute__((noinline)) int put_one_slow(struct rota_channel *c, const unsigned char *elem)
{
	int rc;

	return rota__channel_put(c, elem, 1, &rc) == 1 ? 0 : rc;
}

int rota__channel_put_one(struct rota_channel *c, const unsigned char *elem)
{
	rota__channel_lock_sending(c);
	if (!c->closed_ && !rota__waitlist_empty(&c->receivers_))
		return hand_over_one(c, elem);
	if (!c->closed_ && rota__channel_room(c, 1) > 0) {
		rota__channel_claim(c, 1);
		rota__channel_ring_put(c, elem, 1);
		rota__channel_unlock_sending(c);
		return 0;
	}
	rota__channel_unlock_sending(c);
	return put_one_slow(c, elem);
}

/* The receivers' end found nothing. Once it is closed nobody reserves, and who gives a place back needs both locks. */
static int nothing_there(const struct rota_channel *c)
{
	return c->closed_ && rota__channel_reserved(c) == 0 && rota__channel_looks_empty(c) ? -EPIPE : -EAGAIN;
}

/* Both ends, with an empty batch: takes something, or *ret_rc says why not. */
static size_t take_and_serve(struct rota_channel *c, unsigned char *ret_elems, size_t n, int *ret_rc,
			     struct rota__wake_batch *batch)
{
	size_t done = 0, count;

	while (done < n) {
		count = rota__least(rota__channel_filled(c, n - done), n - done);
		if (count > 0) {
			rota__channel_ring_take(c, ret_elems + done * c->elem_size_, count);
			done += count;
			rota__channel_settle(c, batch); /* what is left when the batch is full, the caller sees to */
		} else if (!c->closed_ && rota__channel_has_in_hand(c)) {
			if (rota__wake_batch_full(batch))
				break;
			done += rota__channel_take_over(c, ret_elems + done * c->elem_size_, n - done, batch);
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
	size_t count;

	rota__channel_lock_receiving(c);
	if (rota__waitlist_empty(&c->senders_)) {
		count = rota__least(rota__channel_filled(c, n), n);
		if (count > 0)
			rota__channel_ring_take(c, ret_elems, count);
		else
			*ret_rc = nothing_there(c);
		rota__channel_unlock_receiving(c);
		return count;
	}
	rota__channel_lock_sending(c);
	rota__wake_batch_init(&batch);
	count = take_and_serve(c, ret_elems, n, ret_rc, &batch);
	rota__channel_settle_and_unlock(c, &batch);
	return count;
}

static __attribute__((noinline)) int take_one_slow(struct rota_channel *c, unsigned char *ret_elem)
{
	int rc = -EAGAIN;

	return rota__channel_take(c, ret_elem, 1, &rc) == 1 ? 0 : rc;
}

int rota__channel_take_one(struct rota_channel *c, unsigned char *ret_elem)
{
	rota__channel_lock_receiving(c);
	if (rota__waitlist_empty(&c->senders_) && rota__channel_filled(c, 1) > 0) {
		rota__channel_ring_take(c, ret_elem, 1);
		rota__channel_unlock_receiving(c);
		return 0;
	}
	rota__channel_unlock_receiving(c);
	return take_one_slow(c, ret_elem);
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
	if (!empty(c) || (both && !c->closed_ && rota__channel_has_in_hand(c)))
		rc = -EBUSY;
	else if (c->closed_ && rota__channel_reserved(c) == 0)
		rc = -EPIPE;
	else
		rota__waitlist_wait(&c->receivers_, &op->waiter_, waker, false);
	rota__channel_unlock_sending(c);
	if (both)
		rota__channel_unlock_receiving(c);
	return rc;
}
