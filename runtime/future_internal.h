/* SPDX-License-Identifier: MIT */
/* What the runtime's own futures and combinators know of others. */
#ifndef ROTA_RUNTIME_FUTURE_INTERNAL_H
#define ROTA_RUNTIME_FUTURE_INTERNAL_H

#include <errno.h>

#include "future.h"

/* What a future's ops turn into when it was ready. */
extern const struct rota_future_ops rota__done_ops;

/* rota_future_poll, inline: a call of its own to each place, whose target the processor learns. */
static inline rota_poll rota__future_poll(struct rota_future *future, struct rota_context *cx)
{
	rota_poll polled = future->ops->poll(future, cx);

	if (polled == ROTA_READY)
		future->ops = &rota__done_ops;
	return polled;
}

static inline bool rota__future_done(const struct rota_future *future)
{
	return future->ops == &rota__done_ops;
}

/* The cancel of futures that heed it in their next poll: their status is -ECANCELED from then on, until that poll has another. */
static inline void rota__future_note_cancel(struct rota_future *self)
{
	self->status = -ECANCELED;
}

static inline bool rota__future_cancel_noted(const struct rota_future *self)
{
	return self->status == -ECANCELED;
}

/*
 * What a future is, in 32 bits, for the header of the task that waits for it: a walker of all tasks may look at that at
 * any time, while the future itself may be gone. It is where the future's table stands, counted from one of our own.
 */
static inline uint32_t rota__future_code(const struct rota_future *future)
{
	intptr_t distance = (intptr_t)future->ops - (intptr_t)&rota__done_ops;

	return distance == (int32_t)distance ? (uint32_t)distance : 0;
}

/* The same of a table of the library's own, which is near. */
static inline uint32_t rota__future_code_of(const struct rota_future_ops *ops)
{
	return (uint32_t)((uintptr_t)ops - (uintptr_t)&rota__done_ops);
}

/* The name behind a code. */
static inline const char *rota__future_code_name(uint32_t code)
{
	/* By whole numbers: it is another object than the one that is counted from. */
	const uintptr_t table = (uintptr_t)&rota__done_ops + (uintptr_t)(intptr_t)(int32_t)code;
	const char *name = ((const struct rota_future_ops *)table)->name;

	return name != NULL ? name : "a future without a name";
}

#endif
