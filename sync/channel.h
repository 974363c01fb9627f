/* SPDX-License-Identifier: MIT */
/*
 * A channel of elements of one size, any number of senders and receivers (MPMC): bounded, unbounded, or without room at all
 * (a rendezvous: a send is over when a receiver has the element). Elements are copied in and out. First come, first served
 * among those that wait. For fibers, futures and plain threads alike.
 */
#ifndef ROTA_SYNC_CHANNEL_H
#define ROTA_SYNC_CHANNEL_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

#define ROTA_UNBOUNDED SIZE_MAX

struct rota_channel {
	/* what both ends know: changed with both locks held, read with either */
	unsigned char *buffer_; /* a ring of `slots_` elements, doubled by need, up to the capacity; NULL: of none */
	size_t elem_size_;
	size_t capacity_;
	size_t slots_;
	uint32_t closed_;
	uint32_t lent_;           /* the buffer is the program's; and whether wakes ever took several batches */
	unsigned char apart_[64]; /* the two ends are written by different threads */
	/* the end that receives, under the lock of the list of senders */
	struct rota_waitlist senders_;
	struct rota_atomic_u64 received_;  /* how many elements were taken out of the ring */
	struct rota_atomic_u64 seen_sent_; /* `sent_` as it was looked at last */
	size_t head_;                      /* the slot of the next */
	unsigned char apart_too_[64];
	/* the end that sends, under the lock of the list of receivers */
	struct rota_waitlist receivers_;
	struct rota_atomic_u64 claimed_; /* how many places were taken: elements sent, and places reserved */
	struct rota_atomic_u64 sent_;    /* how many elements were put into the ring */
	uint64_t seen_received_;         /* `received_` as it was looked at last */
	size_t tail_;                    /* the slot of the next */
};

/*
 * Initialisers, for static channels too. A bounded channel has its places in an array of the program's, of any type, which
 * must outlive it and is the channel's until then; an unbounded one allocates when it is first sent to, and one without room
 * never does:
 *
 *	static struct job places[16];
 *	static struct rota_channel jobs = ROTA_CHANNEL_INIT(places);
 *	static struct rota_channel results = ROTA_CHANNEL_UNBOUNDED_INIT(sizeof(struct result));
 */
/* clang-format off */
#define ROTA_CHANNEL_INIT(array) \
	ROTA_CHANNEL_INIT_((unsigned char *)(void *)(array), sizeof((array)[0]), sizeof(array) / sizeof((array)[0]), \
			   sizeof(array) / sizeof((array)[0]), 1)
#define ROTA_CHANNEL_RENDEZVOUS_INIT(elem_size) ROTA_CHANNEL_INIT_(NULL, elem_size, 0, 0, 0)
#define ROTA_CHANNEL_UNBOUNDED_INIT(elem_size) ROTA_CHANNEL_INIT_(NULL, elem_size, ROTA_UNBOUNDED, 0, 0)
#define ROTA_CHANNEL_INIT_(buffer, elem_size, capacity, slots, lent) \
	{ buffer, elem_size, capacity, slots, 0, lent, {0}, ROTA_WAITLIST_INIT_, {0}, {0}, 0, {0}, \
	  ROTA_WAITLIST_INIT_, {0}, {0}, 0, 0 }
/* clang-format on */

/* Allocates the buffer of a bounded channel when that takes up to 32 KiB; a larger one, and that of an unbounded channel, is
 * allocated when it is first sent to, and grows by need; one of capacity 0 has none. -EINVAL: elem_size 0, or beyond memory;
 * -ENOMEM. */
ROTA_API int rota_channel_init(struct rota_channel *c, size_t elem_size, size_t capacity) ROTA_MUST_USE;

/* Frees the buffer, unless it is the program's; elements inside are dropped, and no place is reserved any more. Nobody may come
 * later; whoever was woken may do this at once. Idempotent. 0. -EBUSY: somebody waits, which is reported (debug builds abort),
 * and nothing is freed. */
ROTA_API int rota_channel_deinit(struct rota_channel *c);

/* Waits while full. 0; -EPIPE once closed; -ECANCELED: not sent; -ENOMEM when the buffer cannot grow. Debug builds print a
 * line, with the name of the task, when a channel refuses for the first time what is sent, or a place, since it is closed. */
ROTA_API int rota_channel_send(struct rota_channel *c, const void *elem) ROTA_MUST_USE;

/* Waits while empty. 0; -EPIPE once closed and drained; -ECANCELED: nothing was taken. */
ROTA_API int rota_channel_recv(struct rota_channel *c, void *ret_elem) ROTA_MUST_USE;

/* The same until `deadline` (ns of CLOCK_MONOTONIC): -ETIMEDOUT: not sent, nothing was taken. What can be done at once is
 * done whatever the deadline. */
ROTA_API int rota_channel_send_until(struct rota_channel *c, const void *elem, uint64_t deadline) ROTA_MUST_USE;
ROTA_API int rota_channel_recv_until(struct rota_channel *c, void *ret_elem, uint64_t deadline) ROTA_MUST_USE;

/* As above without waiting: -EAGAIN when full, or empty. */
ROTA_API int rota_channel_try_send(struct rota_channel *c, const void *elem) ROTA_MUST_USE;
ROTA_API int rota_channel_try_recv(struct rota_channel *c, void *ret_elem) ROTA_MUST_USE;

/* Sends n elements in this order, others' may come between when it has to wait. How many were sent: fewer than n when the
 * channel was closed, or the caller cancelled, or memory ended after the first; before it -EPIPE, -ECANCELED, -ENOMEM.
 * -EINVAL: n is 0 or above INT_MAX. */
ROTA_API ssize_t rota_channel_send_many(struct rota_channel *c, const void *elems, size_t n) ROTA_MUST_USE;

/* Waits for at least one element and takes up to `max`: the count; -EPIPE, -ECANCELED; -EINVAL: max 0. */
ROTA_API ssize_t rota_channel_recv_many(struct rota_channel *c, void *ret_elems, size_t max) ROTA_MUST_USE;

/* The same without waiting: the count, or -EAGAIN for none. */
ROTA_API ssize_t rota_channel_try_send_many(struct rota_channel *c, const void *elems, size_t n) ROTA_MUST_USE;
ROTA_API ssize_t rota_channel_try_recv_many(struct rota_channel *c, void *ret_elems, size_t max) ROTA_MUST_USE;

/*
 * Waits for a place in the channel, and keeps it for the caller: what is costly to make, or may not get lost, is made once
 * its place is sure. The place ends in rota_channel_send_reserved, which cannot fail, or in rota_channel_unreserve. A
 * channel that is closed meanwhile still takes it, and receivers wait for it. 0; -EPIPE, -ECANCELED, -ENOMEM; -EINVAL: a
 * channel of capacity 0.
 */
ROTA_API int rota_channel_reserve(struct rota_channel *c) ROTA_MUST_USE;
ROTA_API int rota_channel_try_reserve(struct rota_channel *c) ROTA_MUST_USE; /* -EAGAIN; never waits */

/* Sends into a place that was reserved. Any thread; never waits. 0; -EPERM: none was reserved, which is reported (debug
 * builds abort), and nothing was sent. */
ROTA_API int rota_channel_send_reserved(struct rota_channel *c, const void *elem);

/* Gives a reserved place back; the next sender has it. Any thread; never waits. 0, or -EPERM as above. */
ROTA_API int rota_channel_unreserve(struct rota_channel *c);

/* No more sends: senders that wait get -EPIPE, receivers drain what is there and then get -EPIPE. Any side, any
 * thread, any number of times; never waits. */
ROTA_API void rota_channel_close(struct rota_channel *c);

/* How many elements are inside now. Any thread. */
ROTA_API size_t rota_channel_length(struct rota_channel *c);

/* The calls as futures; status as above, and the count for the two of many. `elem` must stay in place until ready. One that
 * is cancelled after it was served reports that: the element has moved, the place is reserved. */
struct rota_channel_op {
	struct rota_future future;
	struct rota_channel *channel_;
	unsigned char *elem_; /* the next to move; NULL: a place is wanted */
	size_t left_;
	size_t moved_;
	bool many_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_channel_send_init(struct rota_channel_op *op, struct rota_channel *c, const void *elem);
ROTA_API void rota_channel_recv_init(struct rota_channel_op *op, struct rota_channel *c, void *ret_elem);
ROTA_API void rota_channel_send_many_init(struct rota_channel_op *op, struct rota_channel *c, const void *elems,
					  size_t n);
ROTA_API void rota_channel_recv_many_init(struct rota_channel_op *op, struct rota_channel *c, void *ret_elems,
					  size_t max);
ROTA_API void rota_channel_reserve_init(struct rota_channel_op *op, struct rota_channel *c);

ROTA_END_DECLS

#endif
