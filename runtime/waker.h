/* SPDX-License-Identifier: MIT */
/*
 * A waker is the right to say "look again" to whoever waits: a task, a blocked thread, or an executor of the
 * user's own. Every call here may be made from any thread, at any time until the task's runtime is freed, also after
 * the task has ended (then it does nothing); none of them waits, fails or switches. Each waker is given back once: a
 * copy of the struct is the same waker. In a child of fork(2) those of the parent's tasks wake nobody. When a task finds
 * that one of its wakers was given back twice the process aborts, with a message.
 */
#ifndef ROTA_RUNTIME_WAKER_H
#define ROTA_RUNTIME_WAKER_H

#include "types.h"

ROTA_BEGIN_DECLS

/* What an executor supplies. `data` is its own; the runtime only passes it back. clone and drop may be called with
 * locks of the runtime held: they must not call back into rota. All four run on the stack of whoever calls, often that
 * of a fiber, also of one whose function has returned: they should need little of it. */
struct rota_waker_ops {
	void *(*clone)(void *data);      /* returns the data of one more waker, owned by the caller */
	void (*wake)(void *data);        /* wakes, and gives the waker back */
	void (*wake_by_ref)(void *data); /* wakes, and keeps the waker */
	void (*drop)(void *data);        /* gives the waker back without waking */
};

struct rota_waker {
	const struct rota_waker_ops *ops; /* NULL: no waker; every call does nothing with it */
	void *data;
};

/* One more waker for the same task. The caller owns it: it ends in rota_wake or rota_waker_drop. */
ROTA_API struct rota_waker rota_waker_clone(const struct rota_waker *waker);

/* Wakes and consumes: *waker is empty afterwards. */
ROTA_API void rota_wake(struct rota_waker *waker);

/* Wakes; the waker stays the caller's. */
ROTA_API void rota_wake_by_ref(const struct rota_waker *waker);

/* Gives the waker back without waking; *waker is empty afterwards. */
ROTA_API void rota_waker_drop(struct rota_waker *waker);

/* Whether both wake the same task, so that storing the second in place of the first changes nothing. */
static inline bool rota_waker_same(const struct rota_waker *a, const struct rota_waker *b)
{
	return a->ops == b->ops && a->data == b->data;
}

ROTA_END_DECLS

#endif
