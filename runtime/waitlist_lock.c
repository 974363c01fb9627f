/* SPDX-License-Identifier: MIT */
#include "waitlist_lock_internal.h"

#include "spin_internal.h"

/* With the lock, of a word that was young. */
static inline void count(struct rota_waitlist *list)
{
	const uint32_t mode = rota__load(&list->mode_, RELAXED); /* written under the lock */
	const uint64_t self = rota__bias_asked();
	const uint32_t owner = (uint32_t)((self & ROTA__OWNER_BITS) / ROTA__OWNER(1) * (2 * ROTA__STREAK));
	uint64_t word = ROTA__SHARED;

	if (self & ROTA__BIASED && (mode == 0 || mode / (2 * ROTA__STREAK) == owner / (2 * ROTA__STREAK))) {
		if (mode % ROTA__STREAK < ROTA__STREAK - 1) {
			rota__store(&list->mode_, (mode | owner) + 1, RELAXED);
			return;
		}
		word = rota__bias_grant(self);
	}
	rota__store(&list->lock_, word | ROTA__LIST_LOCKED, RELAXED); /* a young word that is locked is the holder's */
	rota__store(&list->mode_, word & ROTA__BIASED ? ROTA__LIST_BIASED : ROTA_WAITLIST_SHARED_, RELAXED);
}

static __attribute__((noinline)) void lock_contended(struct rota_waitlist *list)
{
	uint64_t state = rota__load(&list->lock_, RELAXED);
	unsigned spins = 0;

	for (;;) {
		if (state & ROTA__LIST_LOCKED) {
			rota__spin_pause(&spins);
			state = rota__load(&list->lock_, RELAXED);
		} else if (state & ROTA__BIASED) {
			if (rota__word_replace(&list->lock_, &state, state | ROTA__LIST_LOCKED))
				return;
		} else if (rota__cas(&list->lock_, &state, state | ROTA__LIST_LOCKED, ACQUIRE)) { /* partner: unlock */
			if (state == 0)
				count(list);
			else
				rota__store(&list->mode_, ROTA_WAITLIST_SHARED_, RELAXED); /* it may not know yet */
			return;
		}
	}
}

void rota__waitlist_lock_slow(struct rota_waitlist *list)
{
	uint64_t state = 0;

	/* As a young one, without a look. ACQUIRE, partner: unlock. */
	if (rota__cas_strong(&list->lock_, &state, ROTA__LIST_LOCKED, ACQUIRE))
		count(list);
	else
		lock_contended(list);
}

void rota__waitlist_lock_shared_slow(struct rota_waitlist *list)
{
	unsigned spins = 0;

	while (rota__load(&list->lock_, RELAXED) & ROTA__LIST_LOCKED ||
	       rota__swap(&list->lock_, ROTA__SHARED | ROTA__LIST_LOCKED, ACQUIRE) &
		       ROTA__LIST_LOCKED) /* partner: unlock */
		rota__spin_pause(&spins);
}

void rota__waitlist_unlock_slow(struct rota_waitlist *list)
{
	uint64_t state = rota__load(&list->lock_, RELAXED);

	while (state & ROTA__BIASED) {
		if (rota__word_replace(&list->lock_, &state, state - ROTA__LIST_LOCKED))
			return;
	}
	rota__store(&list->lock_, state - ROTA__LIST_LOCKED, RELEASE); /* partner: lock */
}

void rota__waitlist_outlast_slow(const struct rota_waitlist *list)
{
	unsigned spins = 0;

	while (rota__load(&list->lock_, ACQUIRE) & ROTA__LIST_LOCKED) /* partner: unlock */
		rota__spin_pause(&spins);
}
