/* SPDX-License-Identifier: MIT */
/*
 * Who has locked a mutex, or a rwlock for writing: so that an unlock by another is noticed. Written by the holder only:
 * set by the direct calls after the lock, cleared before the unlock. A lock that was taken by a future may be polled by one
 * task for another: it leaves no owner, and its unlock is not checked.
 *
 * All accesses are RELAXED: a caller compares with itself only, and what it stored itself it also sees.
 */
#ifndef ROTA_SYNC_OWNER_INTERNAL_H
#define ROTA_SYNC_OWNER_INTERNAL_H

#include "../runtime/worker_internal.h"

#ifdef ROTA__MODEL /* the threads of a model share one address */
void *model_owner_thread(void);
#define ROTA__OWNER_THREAD model_owner_thread()
#else
#define ROTA__OWNER_THREAD rota__thread_self()
#endif

/* The calling task, also inside its rota_block_in_place, or what stands for a thread outside of tasks. */
static inline void *rota__owner_self(void)
{
	struct rota__worker *worker = rota__worker_self();
	void *in_place;

	if (worker != NULL && worker->current != NULL)
		return worker->current;
	ROTA__THREAD_WORD(rota__in_place_task, in_place);
	return in_place != NULL ? in_place : ROTA__OWNER_THREAD;
}

static inline void rota__owner_set(struct rota_atomic_ptr *owner)
{
	rota__store(owner, rota__owner_self(), RELAXED);
}

/* Before an unlock. false: it is another's, and stays so. */
static inline bool rota__owner_clear(struct rota_atomic_ptr *owner)
{
	void *held = rota__load(owner, RELAXED);

	if (held == NULL)
		return true;
	if (held != rota__owner_self())
		return false;
	rota__store(owner, NULL, RELAXED);
	return true;
}

/* Whether the caller is known to hold it. */
static inline bool rota__owner_is_self(const struct rota_atomic_ptr *owner)
{
	return rota__load(owner, RELAXED) == rota__owner_self();
}

#endif
