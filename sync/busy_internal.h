/* SPDX-License-Identifier: MIT */
/*
 * A word that is both a primitive's state and the lock of its list of waiters: uncontended calls change it once, everything
 * else happens while BUSY is held. Nobody else changes the word then, save its mode (bias_internal.h), and the one store that
 * gives BUSY back also says what the state is now. That store is the last touch of a call that gives something away, so
 * whoever is given it may free the primitive. But a call that wakes more than a batch comes back for those that are left, even
 * if those were all cancelled: it is counted as away, and the end of the primitive waits for it (rota__busy_end).
 */
#ifndef ROTA_SYNC_BUSY_INTERNAL_H
#define ROTA_SYNC_BUSY_INTERNAL_H

#include "../runtime/bias_internal.h"
#include "../runtime/waitlist_internal.h"

#define ROTA__BUSY ((uint64_t)1)
#define ROTA__WAITERS ((uint64_t)2) /* the list is not empty */
#define ROTA__BUSY_BITS 2u          /* those up to ROTA__OWN are the primitive's */

/* Somebody has BUSY, or the word has changed. Apart, as most find it free. */
static __attribute__((noinline, unused)) uint64_t rota__busy_take_slow(struct rota_atomic_u64 *word)
{
	uint64_t state = rota__load(word, RELAXED), taken;
	unsigned spins = 0;

	for (;;) {
		taken = rota__word_grown(state | ROTA__BUSY);
		/* ACQUIRE, partner: as below. */
		if (!(state & ROTA__BUSY) && rota__word_put(word, &state, taken, ACQUIRE))
			return taken - ROTA__BUSY;
		if (state & ROTA__BUSY)
			rota__spin_pause(&spins);
		state = rota__load(word, RELAXED);
	}
}

/* Takes BUSY; returns the word without it. */
static inline uint64_t rota__busy_take(struct rota_atomic_u64 *word)
{
	uint64_t state = rota__load(word, RELAXED), taken = rota__word_grown(state | ROTA__BUSY);

	/* ACQUIRE, partner: rota__busy_give, and the RELEASE of whoever changed the word without BUSY. */
	if (__builtin_expect(!(state & ROTA__BUSY) && rota__word_put(word, &state, taken, ACQUIRE), 1))
		return taken - ROTA__BUSY;
	return rota__busy_take_slow(word);
}

/* Gives BUSY back. `state` is what was taken, but for the primitive's part; WAITERS is set as the list is. */
static inline void rota__busy_give(struct rota_atomic_u64 *word, uint64_t state, const struct rota_waitlist *list)
{
	uint64_t taken;

	state &= ~(ROTA__BUSY | ROTA__WAITERS);
	state |= rota__waitlist_empty(list) ? 0 : ROTA__WAITERS;
	if ((state & ROTA__BIASED) != 0) {
		taken = rota__load(word, RELAXED);
		while (taken & ROTA__BIASED) {
			if (rota__word_replace(word, &taken, state))
				return;
		}
		state = rota__word_own(state) | ROTA__SHARED;
	}
	/* Nobody makes it biased meanwhile, as that is a change. RELEASE, partner: the next take. */
	rota__store(word, state, RELEASE);
}

/* Gives BUSY back while the batch is woken, which is full, and takes it again for those that are left. Returns the word. */
static __attribute__((noinline, unused)) uint64_t rota__busy_wake(struct rota_atomic_u64 *word, uint64_t state,
								  struct rota_waitlist *list,
								  struct rota__wake_batch *batch)
{
	rota__store(&list->mode_, 1, RELAXED); /* partner: rota__busy_end, ordered by the word */
	rota__waitlist_away(list);
	rota__busy_give(word, state, list);
	rota__wake_batch_submit(batch);
	state = rota__busy_take(word);
	rota__waitlist_back(list);
	return state;
}

/* For who ends the primitive: waits until nobody is away, unless somebody waits. `mode_` says whether anybody ever was: else
 * a word that is biased to another thread stays so. Without BUSY. */
static inline void rota__busy_end(struct rota_atomic_u64 *word, struct rota_waitlist *list)
{
	unsigned spins = 0;
	uint64_t state;
	bool away = rota__load(&list->mode_, RELAXED) != 0;

	while (away) {
		state = rota__busy_take(word);
		away = rota__waitlist_empty(list) && !rota__waitlist_over(list);
		rota__busy_give(word, state, list);
		if (away)
			rota__spin_pause(&spins);
	}
}

/* Waits until nobody has BUSY, and sees what was done meanwhile. Without BUSY. */
static __attribute__((noinline, unused)) void rota__busy_outlast(const struct rota_atomic_u64 *word)
{
	unsigned spins = 0;

	while (rota__load(word, ACQUIRE) & ROTA__BUSY) /* partner: rota__busy_give */
		rota__spin_pause(&spins);
}

/* Whether the waiter was granted, and whoever did it has given BUSY back: until then the word does not tell of the grant, and
 * the primitive is still touched. Without BUSY. */
static inline bool rota__busy_served(const struct rota_atomic_u64 *word, const struct rota_waiter *waiter)
{
	if (!rota__waiter_granted(waiter))
		return false;
	if (__builtin_expect(rota__load(word, ACQUIRE) & ROTA__BUSY, 0)) /* partner: rota__busy_give */
		rota__busy_outlast(word);
	return true;
}

#endif
