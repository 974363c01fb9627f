/* SPDX-License-Identifier: MIT */
/*
 * A watched value: senders replace it, receivers read the latest and wait until it changes, or until it is as they want. A
 * value that is replaced before a receiver looked is not seen by it. Values are copied in and out. For fibers, futures and
 * plain threads alike.
 */
#ifndef ROTA_SYNC_WATCH_H
#define ROTA_SYNC_WATCH_H

#include <string.h>

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

struct rota_watch {
	struct rota_waitlist receivers_;
	struct rota_atomic_u64 stamp_;
	struct rota_atomic_u64 *words_;
	size_t size_;
	uint32_t closed_;
	uint32_t lent_; /* the words are the program's */
};

/* Belongs to one task or thread at a time. It may be forgotten without a call, and copied. */
struct rota_watch_receiver {
	struct rota_watch *watch_;
	uint64_t seen_;
};

/*
 * An initialiser, for a static watch too, whose value lies in a variable of the program's, which must outlive it, is the
 * watch's until then, and begins as the first value:
 *
 *	static ROTA_WATCH_STORAGE(struct limits) first = { { .rate = 10 } };
 *	static struct rota_watch limits = ROTA_WATCH_INIT(first);
 */
/* clang-format off */
#define ROTA_WATCH_STORAGE(type) \
	union { \
		type value_; \
		struct rota_atomic_u64 words_[(sizeof(type) + 7) / 8]; \
	}
#define ROTA_WATCH_INIT(storage) { ROTA_WAITLIST_INIT_, {2}, (storage).words_, sizeof((storage).value_), 0, 1 }
/* clang-format on */

/* Allocates room for one value of `size` bytes and copies the first one. -EINVAL: size 0; -ENOMEM. */
ROTA_API int rota_watch_init(struct rota_watch *w, size_t size, const void *value) ROTA_MUST_USE;

/* Frees the value, unless its place is the program's. Nobody may come later; whoever was woken may do this at once. Idempotent.
 * 0. -EBUSY: somebody waits, which is reported (debug builds abort), and nothing has changed. */
ROTA_API int rota_watch_deinit(struct rota_watch *w);

/* Replaces the value, also with the same, and wakes all that wait. Any thread; never waits. 0; -EPIPE once closed, of
 * which debug builds tell as of a channel. */
ROTA_API int rota_watch_send(struct rota_watch *w, const void *value) ROTA_MUST_USE;

/* rota_watch_get below, as a function to call. */
ROTA_API void rota_watch_copy(struct rota_watch *w, void *ret_value);

/* Copies the latest value. Any thread; never waits; also when closed. */
static inline void rota_watch_get(struct rota_watch *w, void *ret_value)
{
	/* A value of just one word is whole without its stamp. ACQUIRE, partner: the RELEASE fence of a send. */
	if (w->size_ == sizeof(uint64_t)) {
		const uint64_t word = __atomic_load_n(&w->words_->value, __ATOMIC_ACQUIRE);

		/* The compiler may see a smaller variable, and not that the size rules this out: so it does not warn. */
		__asm__("" : "+r"(ret_value));
		memcpy(ret_value, &word, sizeof(word));
	} else {
		rota_watch_copy(w, ret_value);
	}
}

/* The present value counts as seen by the receiver. Any thread; never waits. */
ROTA_API void rota_watch_subscribe(struct rota_watch *w, struct rota_watch_receiver *receiver);

/* Waits until there is a value that the receiver has not seen, copies it (unless ret_value is NULL), and it counts as seen.
 * 0; -EPIPE: closed, and the last value has been seen; -ECANCELED: nothing was seen. */
ROTA_API int rota_watch_changed(struct rota_watch_receiver *receiver, void *ret_value) ROTA_MUST_USE;

/* The same without waiting: -EAGAIN. */
ROTA_API int rota_watch_try_changed(struct rota_watch_receiver *receiver, void *ret_value) ROTA_MUST_USE;

/* Whether the receiver wants this value. Called in the task that waits, without locks; must not wait. */
typedef bool rota_watch_predicate(const void *value, void *arg);

/* Waits until predicate(value, arg) holds, beginning with the present value. `value` is the caller's memory for one value:
 * on 0 it has the one that was wanted, otherwise whatever was looked at. Errors as above. predicate NULL: as
 * rota_watch_changed. */
ROTA_API int rota_watch_wait_for(struct rota_watch_receiver *receiver, rota_watch_predicate *predicate, void *arg,
				 void *value) ROTA_MUST_USE;

/* No more values. Any thread, any number of times; never waits. */
ROTA_API void rota_watch_close(struct rota_watch *w);

/* The two waits as futures. */
struct rota_watch_op {
	struct rota_future future;
	struct rota_watch_receiver *receiver_;
	rota_watch_predicate *predicate_;
	void *arg_;
	void *value_;
	bool looked_; /* a predicate looks at the present value first, seen or not */
	struct rota_waiter waiter_;
};
ROTA_API void rota_watch_changed_init(struct rota_watch_op *op, struct rota_watch_receiver *receiver, void *ret_value);
ROTA_API void rota_watch_wait_for_init(struct rota_watch_op *op, struct rota_watch_receiver *receiver,
				       rota_watch_predicate *predicate, void *arg, void *value);

ROTA_END_DECLS

#endif
