/* SPDX-License-Identifier: MIT */
/*
 * Task-local values: what thread-local variables are to threads. A value belongs to one task, goes with it from worker
 * to worker, and is not seen by others; a key says whether tasks that it spawns begin with one, too. A request number
 * for log lines is the usual example.
 *
 *	static const struct rota_local_key request_key = { .inherit = rota_local_same };
 *
 *	rota_local_set(&request_key, request);
 *	... anywhere below, or in a task spawned from here: rota_local_get(&request_key)
 */
#ifndef ROTA_RUNTIME_LOCAL_H
#define ROTA_RUNTIME_LOCAL_H

#include "types.h"

ROTA_BEGIN_DECLS

/* A key is known by its address; as a rule it is static. Both functions may be NULL. */
struct rota_local_key {
	/* The value that a task begins with which is spawned by one that has `value`; NULL: none. Runs in the spawner, inside
	 * rota_spawn and its kin: it may not wait, nor set values. Without this function tasks begin without a value. */
	void *(*inherit)(void *value);

	/* The task has ended, or has set another value. Runs in the task, also in a stackless one: it should not wait. */
	void (*drop)(void *value);
};

/* Sets the calling task's value; NULL: it has none any more. The former one is dropped. 0; -ENXIO outside of tasks;
 * -ENOMEM, or -EBUSY inside of `inherit`, and the value is still the caller's. Never waits. */
ROTA_API int rota_local_set(const struct rota_local_key *key, void *value) ROTA_MUST_USE;

/* The calling task's value; NULL when it has none, and outside of tasks. Never waits. */
ROTA_API void *rota_local_get(const struct rota_local_key *key);

/* For `inherit`: the value itself. */
static inline void *rota_local_same(void *value)
{
	return value;
}

ROTA_END_DECLS

#endif
