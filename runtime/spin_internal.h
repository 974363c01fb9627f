/* SPDX-License-Identifier: MIT */
/*
 * The lock inside rota: a word, zero when free. Held for a few dozen instructions, and never across a switch, so a waiter
 * spins; after a while it gives its CPU away, since the holder may have been preempted.
 */
#ifndef ROTA_RUNTIME_SPIN_INTERNAL_H
#define ROTA_RUNTIME_SPIN_INTERNAL_H

#include "atomic_internal.h"

/* One step of waiting for somebody who is about to finish; `spins` starts at 0. */
void rota__spin_pause(unsigned *spins);
void rota__spin_lock_slow(struct rota_atomic_u32 *lock);

static inline bool rota__spin_trylock(struct rota_atomic_u32 *lock)
{
	/* ACQUIRE pairs with the RELEASE of unlock. */
	return rota__load(lock, RELAXED) == 0 && rota__swap(lock, 1, ACQUIRE) == 0;
}

static inline void rota__spin_lock(struct rota_atomic_u32 *lock)
{
	if (__builtin_expect(rota__swap(lock, 1, ACQUIRE) != 0, 0))
		rota__spin_lock_slow(lock);
}

static inline void rota__spin_unlock(struct rota_atomic_u32 *lock)
{
	rota__store(lock, 0, RELEASE);
}

#endif
