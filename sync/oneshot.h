/* SPDX-License-Identifier: MIT */
/*
 * One value, from one sender to one receiver, each of which is a fiber, a future or a plain thread. The value is a
 * pointer or a number: what it points to is owned by agreement of the two.
 */
#ifndef ROTA_SYNC_ONESHOT_H
#define ROTA_SYNC_ONESHOT_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

struct rota_oneshot {
	struct rota_waitlist waiters_;
	void *value_;
	uint32_t state_;
};

/* clang-format off */
#define ROTA_ONESHOT_INIT { ROTA_WAITLIST_SHARED_INIT_, NULL, 0 }
/* clang-format on */

ROTA_API void rota_oneshot_init(struct rota_oneshot *o);

/* Ends it before its memory is freed: nobody waits, and nobody comes later. Whoever was woken may do this at once, as it waits
 * for the call that woke to be done with it. 0. -EBUSY: somebody waits, which is reported (debug builds abort), and nothing has
 * changed. */
ROTA_API int rota_oneshot_deinit(struct rota_oneshot *o);

/* Hands over the value. Any thread; never waits. -EEXIST: a value was sent before, which is reported (debug builds abort);
 * the first one stands. -EPIPE: closed; the value is still the caller's. */
ROTA_API int rota_oneshot_send(struct rota_oneshot *o, void *value) ROTA_MUST_USE;

/* Waits for the value. 0; -EPIPE: closed without one; -ECANCELED: the value, if it comes, is kept for the next
 * call. A value is received once: later calls give -EPIPE. */
ROTA_API int rota_oneshot_recv(struct rota_oneshot *o, void **ret_value) ROTA_MUST_USE;

/* 0, -EAGAIN: nothing yet, -EPIPE. Never waits. */
ROTA_API int rota_oneshot_try_recv(struct rota_oneshot *o, void **ret_value) ROTA_MUST_USE;

/* Either side gives up: a waiting receiver gets -EPIPE, a later send too. A value already sent can still be
 * received. Any thread; never waits. */
ROTA_API void rota_oneshot_close(struct rota_oneshot *o);

struct rota_oneshot_op {
	struct rota_future future; /* status 0: value is set */
	void *value;
	struct rota_oneshot *oneshot_;
	struct rota_waiter waiter_;
};
ROTA_API void rota_oneshot_recv_init(struct rota_oneshot_op *op, struct rota_oneshot *o);

ROTA_END_DECLS

#endif
