/* SPDX-License-Identifier: MIT */
/*
 * A future is something that can be waited for. Every wait of rota is one: an I/O operation, a timer, a join,
 * a lock, a channel call. A fiber awaits it by suspending, a stackless task polls it, a plain thread blocks.
 *
 * The protocol. The owner polls with a context. PENDING promises that the context's waker will be woken when
 * polling again makes sense; the future keeps a clone of the waker (or, inside rota, borrows it until the wait
 * is over). READY ends the future: `status` is its result, and polling it again is an error, reported and
 * aborted on in debug builds and answered with READY and -EINVAL in release builds. A future may not be moved
 * or freed between its first poll and READY; `cancel` asks it to come to READY soon (with -ECANCELED, or with
 * what it already has), and the owner polls on until it does. The task (or thread) that
 * polled one of rota's own futures first is the one that polls it to READY: until then the future borrows its waker.
 */
#ifndef ROTA_RUNTIME_FUTURE_H
#define ROTA_RUNTIME_FUTURE_H

#include "types.h"
#include "waker.h"

ROTA_BEGIN_DECLS

typedef enum { ROTA_PENDING, ROTA_READY } rota_poll;

/* What a poll is given. A future that wants to be polled again later takes rota_context_waker(cx). */
struct rota_context {
	const struct rota_waker *waker; /* borrowed: valid during the poll only */
};

struct rota_future;

struct rota_future_ops {
	rota_poll (*poll)(struct rota_future *self, struct rota_context *cx);
	void (*cancel)(struct rota_future *self); /* may be NULL: then only READY ends it. May be called twice. */
	const char *name;                         /* what a task waits for, in reports; may be NULL */
};

struct rota_future {
	const struct rota_future_ops *ops;
	int status; /* valid once ready: >= 0, or a negative errno */
};

/* Makes `future` ready to be polled for the first time. Any thread. */
static inline void rota_future_init(struct rota_future *future, const struct rota_future_ops *ops)
{
	future->ops = ops;
	future->status = 0;
}

/* Polls a child future from a poll function or an executor. Catches polling after READY: use this rather than
 * calling ops->poll. */
ROTA_API rota_poll rota_future_poll(struct rota_future *future, struct rota_context *cx);

/* Asks a future to end soon. Only its owner may call this, and must poll it on until READY. */
ROTA_API void rota_future_cancel(struct rota_future *future);

/* A waker of the caller's own for the task that polls: it may be kept beyond the poll, and must be given to
 * rota_wake or rota_waker_drop in the end. */
ROTA_API struct rota_waker rota_context_waker(struct rota_context *cx);

/*
 * Waits until `future` is ready and returns its status. A fiber suspends, a plain thread blocks; inside the poll
 * of a stackless task it is refused (-EDEADLK, with a message; debug builds abort). When the task is cancelled,
 * the future is cancelled and waited for, so that nobody holds its memory when this returns. -EINVAL: future or its
 * ops NULL.
 */
ROTA_API int rota_await(struct rota_future *future);

/*
 * Waits until every one of the futures is ready. 0, or the negative status of the first in the array that has one;
 * each keeps its own in `status`. n == 0: 0 at once. When the task is cancelled, so are all. As rota_await otherwise: -EINVAL
 * also for one that is NULL, and none was polled. select.h has the future.
 */
ROTA_API int rota_await_all(struct rota_future *const futures[], size_t n);

/*
 * Waits until one of the futures is ready, cancels the others, waits until they are ready too, and returns the
 * status of the first; *ret_index (may be NULL) says which it was, whatever its status. When several are ready at
 * once, which of them counts is left to chance, so that none starves; biased: the lowest. The others keep what they
 * have: look at their `status` for a count or a descriptor that came together with the first. When the task is
 * cancelled, all are, and -ECANCELED is returned unless one was complete. -EINVAL: n == 0, or one is NULL or its ops are:
 * none was polled.
 */
ROTA_API int rota_await_any(struct rota_future *const futures[], size_t n, size_t *ret_index);
ROTA_API int rota_await_any_biased(struct rota_future *const futures[], size_t n, size_t *ret_index);

/*
 * The same over futures that are written out: switch (which) after
 *	status = ROTA_AWAIT_ANY(&which, &recv.future, &timer.future);
 * In C only.
 */
#define ROTA__FUTURES(...) ((struct rota_future *const[]){ __VA_ARGS__ })
#define ROTA__FUTURE_COUNT(...) (sizeof(ROTA__FUTURES(__VA_ARGS__)) / sizeof(struct rota_future *))
#define ROTA_AWAIT_ANY(ret_index, ...) \
	rota_await_any(ROTA__FUTURES(__VA_ARGS__), ROTA__FUTURE_COUNT(__VA_ARGS__), (ret_index))
#define ROTA_AWAIT_ANY_BIASED(ret_index, ...) \
	rota_await_any_biased(ROTA__FUTURES(__VA_ARGS__), ROTA__FUTURE_COUNT(__VA_ARGS__), (ret_index))
#define ROTA_AWAIT_ALL(...) rota_await_all(ROTA__FUTURES(__VA_ARGS__), ROTA__FUTURE_COUNT(__VA_ARGS__))

/*
 * Spawns a stackless task whose body is `future`; its status becomes the task's. The future's memory is the
 * caller's and must stay in place until the task has ended (rota_join tells). ret_task NULL: detached.
 * From a task, a blocking job or inside rota_block_on_future; elsewhere -ENXIO. Never waits.
 * -EINVAL: future or its ops NULL. -ENOMEM. -ESHUTDOWN: the runtime is shutting down.
 */
ROTA_API int rota_spawn_future(rota_task **ret_task, struct rota_future *future) ROTA_MUST_USE;

/* The same, on a runtime named by the caller, from any thread. */
ROTA_API int rota_spawn_future_on(rota_runtime *rt, rota_task **ret_task, struct rota_future *future) ROTA_MUST_USE;

/*
 * Blocks the calling plain thread until `future` is ready and returns its status. Operations and timers inside
 * are served by the runtime's reactor. Inside a task it is refused: -EDEADLK with a message (debug builds abort).
 * -EINVAL: rt, future or its ops NULL.
 */
ROTA_API int rota_block_on_future(rota_runtime *rt, struct rota_future *future);

ROTA_END_DECLS

#endif
