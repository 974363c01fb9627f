/* SPDX-License-Identifier: MIT */
/*
 * A channel of elements of one size, any number of senders and receivers (MPMC), bounded or not. Elements are
 * copied in and out. First come, first served among those that wait.
 */
#ifndef ROTA_SYNC_CHANNEL_H
#define ROTA_SYNC_CHANNEL_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

#define ROTA_UNBOUNDED SIZE_MAX

struct rota_channel {
	struct rota_waitlist receivers_; /* its lock guards the whole channel */
	struct rota_waitlist senders_;
	size_t elem_size_;
	size_t capacity_;
	size_t length_;
	size_t head_; /* of the ring of `slots_` elements; an unbounded channel doubles it */
	size_t slots_;
	unsigned char *buffer_;
	uint32_t closed_;
};

/* Allocates the buffer of a bounded channel; an unbounded one grows by need. -EINVAL: elem_size or capacity 0, or
 * beyond memory; -ENOMEM. */
ROTA_API int rota_channel_init(struct rota_channel *c, size_t elem_size, size_t capacity) ROTA_MUST_USE;

/* Frees the buffer; elements inside are dropped. Nobody may be waiting or come later. Idempotent. */
ROTA_API void rota_channel_deinit(struct rota_channel *c);

/* Waits while full. 0; -EPIPE once closed; -ECANCELED: not sent; -ENOMEM when an unbounded channel cannot grow. */
ROTA_API int rota_channel_send(struct rota_channel *c, const void *elem) ROTA_MUST_USE;

/* Waits while empty. 0; -EPIPE once closed and drained; -ECANCELED: nothing was taken. */
ROTA_API int rota_channel_recv(struct rota_channel *c, void *ret_elem) ROTA_MUST_USE;

/* As above without waiting: -EAGAIN when full, or empty. */
ROTA_API int rota_channel_try_send(struct rota_channel *c, const void *elem) ROTA_MUST_USE;
ROTA_API int rota_channel_try_recv(struct rota_channel *c, void *ret_elem) ROTA_MUST_USE;

/* Waits for at least one element and takes up to `max`: the count; -EPIPE, -ECANCELED; -EINVAL: max 0. */
ROTA_API ssize_t rota_channel_recv_many(struct rota_channel *c, void *ret_elems, size_t max) ROTA_MUST_USE;

/* No more sends: senders that wait get -EPIPE, receivers drain what is there and then get -EPIPE. Any side, any
 * thread, any number of times; never waits. */
ROTA_API void rota_channel_close(struct rota_channel *c);

/* How many elements are inside now. Any thread. */
ROTA_API size_t rota_channel_length(struct rota_channel *c);

/* Both calls as futures; status as above. `elem` must stay in place until ready. */
struct rota_channel_op {
	struct rota_future future;
	struct rota_channel *channel_;
	void *elem_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_channel_send_init(struct rota_channel_op *op, struct rota_channel *c, const void *elem);
ROTA_API void rota_channel_recv_init(struct rota_channel_op *op, struct rota_channel *c, void *ret_elem);

ROTA_END_DECLS

#endif
