/* SPDX-License-Identifier: MIT */
/*
 * The injection queue: tasks submitted by threads that are not workers, and what overflows a worker's own queue.
 * A list under a lock; its length is readable without.
 */
#ifndef ROTA_RUNTIME_INJECT_INTERNAL_H
#define ROTA_RUNTIME_INJECT_INTERNAL_H

#include "atomic_internal.h"

struct rota__inject {
	struct rota_atomic_u32 lock;   /* guards the two below */
	struct rota_atomic_u32 length; /* written under the lock */
	rota_task *first, *last;
};

static inline uint32_t rota__inject_length(const struct rota__inject *inject)
{
	return rota__load(&inject->length, RELAXED); /* who parks looks again after a SEQ_CST fence */
}

/* A list of n tasks, linked by queue_next. */
void rota__inject_push(struct rota__inject *inject, rota_task *first, rota_task *last, unsigned n);

/* Takes up to `most` tasks, linked by queue_next; NULL: empty. */
rota_task *rota__inject_pop(struct rota__inject *inject, unsigned most);

#endif
