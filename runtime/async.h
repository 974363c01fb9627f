/* SPDX-License-Identifier: MIT */
/*
 * Async functions: futures that are written as a function from top to bottom, without a stack. What must outlive a
 * wait lives in a struct of the caller's, whose first member is a struct rota_async named `async`:
 *
 *	struct echo {
 *		struct rota_async async;
 *		struct rota_op op;
 *		int fd;
 *		char buf[1024];
 *	};
 *
 *	static rota_poll echo_poll(struct rota_future *self, struct rota_context *cx)
 *	{
 *		struct echo *echo = (struct echo *)self;
 *
 *		ROTA_ASYNC_BEGIN(echo);
 *		for (;;) {
 *			rota_op_recv(&echo->op, echo->fd, echo->buf, sizeof(echo->buf), 0);
 *			ROTA_AWAIT(echo, cx, &echo->op.future);
 *			if (echo->op.future.status <= 0)
 *				ROTA_ASYNC_RETURN(echo, echo->op.future.status);
 *			...
 *		}
 *		ROTA_ASYNC_END(echo);
 *	}
 *	static const struct rota_future_ops echo_ops = ROTA_ASYNC_OPS(echo_poll, "echo");
 *
 *	rota_async_init(&echo->async, &echo_ops);
 *	rota_spawn_future(&task, &echo->async.future);
 *
 * Rules. At a ROTA_AWAIT the function may return to its caller and be entered again later: local variables do not
 * keep their values across it (gcc warns, with -Wall and -O1 or more; clang always), the struct does. A
 * ROTA_AWAIT may stand in loops and switches, but not in a block with a variable-length array (the compilers refuse it)
 * or a cleanup attribute (clang refuses it; under gcc the cleanup runs at each wait), nor in a statement expression (gcc
 * refuses it). An async function awaits another by its `async.future`. It may
 * not call what waits (rota_await, rota_sleep, rota_mutex_lock): that is refused with -EDEADLK.
 *
 * Cancelled, the function has the future that it awaits cancelled, and each later one before it starts; what it
 * awaits with ROTA_AWAIT_SHIELDED is left to end, so that cleanup may wait.
 */
#ifndef ROTA_RUNTIME_ASYNC_H
#define ROTA_RUNTIME_ASYNC_H

#include "future.h"

ROTA_BEGIN_DECLS

struct rota_async {
	struct rota_future future; /* first; the function's status */
	/* private */
	void *resume_;              /* where to go on; NULL: at the beginning */
	struct rota_future *child_; /* what it awaits */
	bool cancelled_, shielded_;
	int zero_; /* for the compiler's eyes only */
};

/* Makes the function ready to be polled from its beginning. */
static inline void rota_async_init(struct rota_async *async, const struct rota_future_ops *ops)
{
	rota_future_init(&async->future, ops);
	async->resume_ = NULL;
	async->child_ = NULL;
	async->cancelled_ = false;
	async->shielded_ = false;
	async->zero_ = 0;
}

/* The `cancel` of every async function. */
ROTA_API void rota_async_cancel(struct rota_future *self);

/* Whether the function was asked to stop: a loop that computes between its waits may look. */
static inline bool rota_async_cancelled(const struct rota_async *async)
{
	return async->cancelled_;
}

/* The table of an async function: its poll function, and its name in reports. */
#define ROTA_ASYNC_OPS(poll_function, name) \
	{ \
		(poll_function), rota_async_cancel, (name) \
	}

/* First and last statement of the function, in one block; what ends there ends with status 0, or with what
 * async.future.status was set to. */
/* clang-format off */
#define ROTA_ASYNC_BEGIN(state) \
	{ \
		ROTA__WATCH_VARIABLES \
		if ((state)->async.resume_ != NULL) \
			__extension__({ goto *(state)->async.resume_; }); \
		switch ((state)->async.zero_) \
		default: \
		{ \
			ROTA__AWAIT_POINT(state, __COUNTER__)
/* clang-format on */

#define ROTA_ASYNC_END(state) \
	} \
	ROTA__POP_WARNINGS \
	} \
	(void)(state); \
	return ROTA_READY

/* Ends the function with a status. */
#define ROTA_ASYNC_RETURN(state, value) \
	do { \
		(state)->async.future.status = (value); \
		return ROTA_READY; \
	} while (0)

/* Waits until `child`, a struct rota_future *, is ready; its result is in child->status. */
#define ROTA_AWAIT(state, cx, child) ROTA__AWAIT(state, cx, child, false, __COUNTER__)
#define ROTA_AWAIT_SHIELDED(state, cx, child) ROTA__AWAIT(state, cx, child, true, __COUNTER__)

/* Lets others run, as rota_yield does for a fiber. A cancel does not end it: look at rota_async_cancelled. */
#define ROTA_YIELD(state, cx) ROTA__YIELD(state, cx, __COUNTER__)

/* --- inside --------------------------------------------------------------------------------------------------- */

/*
 * Where a poll goes on. The jump is computed, so that a switch of the user's may stand around it. Each place is also a
 * case of a switch that is never taken: that shows the compilers the ways around initialised variables, and gcc the
 * statement expressions that cannot be entered.
 */
#define ROTA__AWAIT_POINT(state, number) \
	ROTA__GO_ON_AT(state, number); \
	ROTA__POINT(number, __attribute__((fallthrough)))
/* clang-format off */
#define ROTA__GO_ON_AT(state, number) ROTA__GO_ON_AT_(state, number)
#define ROTA__GO_ON_AT_(state, number) \
	ROTA__LABELS_STAY \
	(state)->async.resume_ = __extension__ && rota__await_##number; \
	ROTA__POP_WARNINGS
#define ROTA__POINT(number, before) ROTA__POINT_(number, before)
#define ROTA__POINT_(number, before) \
	ROTA__NO_SWITCH_WARNING before; \
	case (number) - 0x40000000: \
	ROTA__POP_WARNINGS \
	rota__await_##number:

#ifdef __clang__
#define ROTA__WATCH_VARIABLES \
	_Pragma("clang diagnostic push") _Pragma("clang diagnostic warning \"-Wconditional-uninitialized\"")
#define ROTA__NO_SWITCH_WARNING _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wswitch\"")
#define ROTA__LABELS_STAY _Pragma("clang diagnostic push")
#define ROTA__POP_WARNINGS _Pragma("clang diagnostic pop")
#else
#define ROTA__WATCH_VARIABLES _Pragma("GCC diagnostic push")
#define ROTA__NO_SWITCH_WARNING \
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wswitch\"") \
	_Pragma("GCC diagnostic ignored \"-Wswitch-outside-range\"")
#if __GNUC__ >= 12 /* takes the address of a label for that of a local variable */
#define ROTA__LABELS_STAY _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wdangling-pointer\"")
#else
#define ROTA__LABELS_STAY _Pragma("GCC diagnostic push")
#endif
#define ROTA__POP_WARNINGS _Pragma("GCC diagnostic pop")
#endif
/* clang-format on */

#define ROTA__AWAIT(state, cx, child, shielded, number) \
	do { \
		rota__async_await(&(state)->async, (child), (shielded)); \
		ROTA__AWAIT_POINT(state, number) \
		if (rota_future_poll((state)->async.child_, (cx)) == ROTA_PENDING) \
			return ROTA_PENDING; \
		(state)->async.child_ = NULL; \
	} while (0)

#define ROTA__YIELD(state, cx, number) \
	do { \
		ROTA__GO_ON_AT(state, number); \
		rota__async_wake((cx)->waker); \
		return ROTA_PENDING; \
		ROTA__POINT(number, ); \
	} while (0)

/* rota_wake_by_ref, inline. */
static inline void rota__async_wake(const struct rota_waker *waker)
{
	if (waker->ops != NULL)
		waker->ops->wake_by_ref(waker->data);
}

static inline void rota__async_await(struct rota_async *async, struct rota_future *child, bool shielded)
{
	async->child_ = child;
	async->shielded_ = shielded;
	if (async->cancelled_ && !shielded)
		rota_future_cancel(child);
}

ROTA_END_DECLS

#endif
