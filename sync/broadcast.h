/* SPDX-License-Identifier: MIT */
/*
 * A broadcast: every receiver sees every value that is sent after it subscribed. Senders never wait: the values lie in a
 * ring, and a receiver that falls behind by more than its size misses the oldest, and is told how many. Values are copied
 * in and out. For fibers, futures and plain threads alike.
 */
#ifndef ROTA_SYNC_BROADCAST_H
#define ROTA_SYNC_BROADCAST_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

struct rota_broadcast {
	struct rota_waitlist receivers_;
	size_t elem_size_;
	size_t slots_; /* a power of two */
	size_t stride_;
	struct rota_atomic_u64 *ring_;
	struct rota_atomic_u64 sent_;
	uint32_t closed_;
	uint32_t lent_; /* the ring is the program's */
};

/* Belongs to one task or thread at a time. It may be forgotten without a call, and copied: the copy goes on from there. */
struct rota_broadcast_receiver {
	uint64_t missed; /* how many values, after -EOVERFLOW */
	struct rota_broadcast *broadcast_;
	uint64_t next_;
};

/*
 * An initialiser, for a static broadcast too, whose ring is a variable of the program's, which must outlive it. The ring's
 * bytes must be zero, as those of a static variable are, and its capacity a power of two:
 *
 *	static ROTA_BROADCAST_STORAGE(struct news, 128) ring;
 *	static struct rota_broadcast broadcast = ROTA_BROADCAST_INIT(ring);
 */
/* clang-format off */
#define ROTA_BROADCAST_WORDS_(type) (1 + (sizeof(type) + 7) / 8) /* of a slot: the stamp, and the value */
#define ROTA_BROADCAST_SLOTS_(n) ((n) * sizeof(char[(n) > 0 && ((n) & ((n) - 1)) == 0 ? 1 : -1])) /* refuses other n */
#define ROTA_BROADCAST_STORAGE(type, capacity) \
	union { \
		struct rota_atomic_u64 words_[ROTA_BROADCAST_SLOTS_(capacity) * ROTA_BROADCAST_WORDS_(type)]; \
		type elem_; \
	}
#define ROTA_BROADCAST_INIT(storage) \
	{ ROTA_WAITLIST_INIT_, sizeof((storage).elem_), \
	  sizeof((storage).words_) / sizeof(uint64_t) / ROTA_BROADCAST_WORDS_((storage).elem_), \
	  ROTA_BROADCAST_WORDS_((storage).elem_), (storage).words_, {0}, 0, 1 }
/* clang-format on */

/* Allocates a ring of at least `capacity` values: the next power of two. -EINVAL: elem_size or capacity 0, or beyond
 * memory; -ENOMEM. */
ROTA_API int rota_broadcast_init(struct rota_broadcast *b, size_t elem_size, size_t capacity) ROTA_MUST_USE;

/* Frees the ring, unless it is the program's. Nobody may come later; whoever was woken may do this at once. Idempotent. 0.
 * -EBUSY: somebody waits, which is reported (debug builds abort), and nothing has changed. */
ROTA_API int rota_broadcast_deinit(struct rota_broadcast *b);

/* The receiver sees what is sent from now on. Any thread; never waits. */
ROTA_API void rota_broadcast_subscribe(struct rota_broadcast *b, struct rota_broadcast_receiver *receiver);

/* Any thread; never waits. 0, also when nobody listens; -EPIPE once closed, of which debug builds tell as of a channel. */
ROTA_API int rota_broadcast_send(struct rota_broadcast *b, const void *elem) ROTA_MUST_USE;

/* Waits for the receiver's next value. 0; -EOVERFLOW: it was too slow, receiver->missed values are lost to it, and the next
 * call goes on with the oldest that is there; -EPIPE once closed and seen to the end; -ECANCELED: nothing was taken. */
ROTA_API int rota_broadcast_recv(struct rota_broadcast_receiver *receiver, void *ret_elem) ROTA_MUST_USE;

/* The same without waiting: -EAGAIN. */
ROTA_API int rota_broadcast_try_recv(struct rota_broadcast_receiver *receiver, void *ret_elem) ROTA_MUST_USE;

/* No more values. Any thread, any number of times; never waits. */
ROTA_API void rota_broadcast_close(struct rota_broadcast *b);

/* rota_broadcast_recv as a future. */
struct rota_broadcast_op {
	struct rota_future future;
	struct rota_broadcast_receiver *receiver_;
	void *elem_;
	bool looked_; /* in vain, a moment ago: saves the first poll a look, no more */
	struct rota_waiter waiter_;
};
ROTA_API void rota_broadcast_recv_init(struct rota_broadcast_op *op, struct rota_broadcast_receiver *receiver,
				       void *ret_elem);

ROTA_END_DECLS

#endif
