/* SPDX-License-Identifier: MIT */
/*
 * The lock of a waiter queue: as a spin lock (spin_internal.h), and a biased word (bias_internal.h), so that who is alone with
 * a channel, a broadcast or a watch locks it without a locked instruction.
 *
 * The protocol. The lowest bit of the word is LOCKED, the modes are those of a biased word; but that of a young one stands in
 * `mode_`, and is changed under the lock: so a young lock costs little more than a spin lock, which matters to those that
 * live shortly. Else `mode_` is a hint, which tells how to lock without a look at the word: SHARED means that the word is so,
 * for ever, or will be when its holder unlocks it; BIASED that it was.
 *
 *   young    0, or LOCKED: a compare-and-swap from 0. With the lock, the STREAK-th in a row makes the word biased, before the
 *            mode; the first one by another thread makes the mode shared, and its unlock the word.
 *   biased   a look and a store by its owner, to lock and to unlock; whoever else wants it makes it shared (rota__bias_revoke),
 *            which keeps LOCKED: if that is set, the owner finds it so when it unlocks.
 *   shared   a swap.
 *
 * While LOCKED is set nobody but the holder changes an unbiased word, save by a swap that leaves LOCKED and makes it shared, as
 * the holder will: so unlocking is a store, the last touch.
 */
#ifndef ROTA_RUNTIME_WAITLIST_LOCK_INTERNAL_H
#define ROTA_RUNTIME_WAITLIST_LOCK_INTERNAL_H

#include "bias_internal.h"
#include "waitlist.h"

#define ROTA__LIST_LOCKED ((uint64_t)1)
#define ROTA__LIST_BIASED ((uint32_t)(ROTA__BIASED >> ROTA__MODE_SHIFT)) /* in the mode */

_Static_assert(ROTA__SHARED >> ROTA__MODE_SHIFT == ROTA_WAITLIST_SHARED_, "a mode in 32 bits");

void rota__waitlist_lock_slow(struct rota_waitlist *list);
void rota__waitlist_lock_shared_slow(struct rota_waitlist *list);
void rota__waitlist_unlock_slow(struct rota_waitlist *list);
void rota__waitlist_outlast_slow(const struct rota_waitlist *list);

/* Of a list that began as shared. */
static inline void rota__waitlist_lock_shared(struct rota_waitlist *list)
{
	/* ACQUIRE, partner: unlock. */
	const uint64_t old = rota__swap(&list->lock_, ROTA__SHARED | ROTA__LIST_LOCKED, ACQUIRE);

	if (__builtin_expect((old & ROTA__LIST_LOCKED) != 0, 0))
		rota__waitlist_lock_shared_slow(list);
}

static inline void rota__waitlist_unlock_shared(struct rota_waitlist *list)
{
	rota__store(&list->lock_, ROTA__SHARED, RELEASE); /* partner: lock */
}

static inline bool rota__waitlist_try_biased(struct rota_waitlist *list, uint64_t from, uint64_t to)
{
	return rota__word_try_biased(&list->lock_, rota__load(&list->lock_, RELAXED), from, to);
}

static inline void rota__waitlist_lock(struct rota_waitlist *list)
{
	const uint32_t mode = rota__load(&list->mode_, RELAXED); /* a hint, which is not wrong if it is SHARED */

	if (mode == ROTA_WAITLIST_SHARED_)
		rota__waitlist_lock_shared(list);
	else if (!(mode & ROTA__LIST_BIASED) || !rota__waitlist_try_biased(list, 0, ROTA__LIST_LOCKED))
		rota__waitlist_lock_slow(list);
}

static inline void rota__waitlist_unlock(struct rota_waitlist *list)
{
	const uint32_t mode = rota__load(&list->mode_, RELAXED); /* written under the lock, if the word is young */

	if (mode == ROTA_WAITLIST_SHARED_)
		rota__waitlist_unlock_shared(list);
	else if (!(mode & ROTA__LIST_BIASED))
		rota__store(&list->lock_, 0, RELEASE); /* partner: lock */
	else if (!rota__waitlist_try_biased(list, ROTA__LIST_LOCKED, 0))
		rota__waitlist_unlock_slow(list);
}

#endif
