/* SPDX-License-Identifier: MIT */
/*
 * Threads that have nothing to do, the latest first, as the blocking pool and those beside it have them.
 *
 * All of it under the pool's lock, save that a thread sleeps on `called`. Whoever takes one off the list sets that word, and
 * wakes it after the lock was dropped; it may be up by then, and even gone: a wake of a word that is no longer there does
 * nothing. A thread whose time is over takes itself off.
 */
#ifndef ROTA_RUNTIME_IDLERS_INTERNAL_H
#define ROTA_RUNTIME_IDLERS_INTERNAL_H

#include "atomic_internal.h"
#include "blocking_internal.h"
#include "sys_internal.h"
#include "time.h"

/* On the thread's stack. */
struct rota__idler {
	struct rota__idler *next, *prev;
	struct rota_atomic_u32 called; /* futex */
};

static inline void rota__idler_put(struct rota__idler **list, struct rota__idler *idler)
{
	rota__store(&idler->called, 0, RELAXED);
	idler->prev = NULL;
	idler->next = *list;
	if (idler->next != NULL)
		idler->next->prev = idler;
	*list = idler;
}

static inline void rota__idler_take(struct rota__idler **list, struct rota__idler *idler)
{
	if (idler->prev != NULL)
		idler->prev->next = idler->next;
	else
		*list = idler->next;
	if (idler->next != NULL)
		idler->next->prev = idler->prev;
}

/* The word to be woken. NULL: nobody is idle. */
static inline struct rota_atomic_u32 *rota__idler_call(struct rota__idler **list)
{
	struct rota__idler *idler = *list;

	if (idler == NULL)
		return NULL;
	rota__idler_take(list, idler);
	rota__store(&idler->called, 1, SEQ_CST); /* from here on, once the lock is dropped, it may be gone */
	return &idler->called;
}

/* When the time of a thread is over that becomes idle now. */
static inline uint64_t rota__idler_until(const struct rota__blocking *pool)
{
	return rota__later(rota__sys_clock(), pool->idle_ns);
}

/* Without the lock; the caller looks itself whether it was called. */
static inline void rota__idler_sleep(struct rota__idler *idler, uint64_t until, uint64_t now)
{
	rota__sys_futex_wait(&idler->called, 0, until != ROTA_NEVER ? until - now : ROTA_NEVER);
}

#endif
