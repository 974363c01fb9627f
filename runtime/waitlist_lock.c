/* SPDX-License-Identifier: MIT */
#include "waitlist_lock_internal.h"

#include "spin_internal.h"

/* With the lock, of a word that was young. */
static inline void grow(struct rota_waitlist *list)
{
	const uint64_t before = rota__load(&list->mode_, RELAXED); /* written under the lock */
	const uint64_t mode = rota__mode_grown(before << ROTA__MODE_SHIFT);

	if (mode & ROTA__BIASED) /* a young word that is locked is the holder's; as shared it is left by the unlock */
		rota__store(&list->lock_, mode | ROTA__LIST_LOCKED, RELAXED);
	rota__store(&list->mode_, (uint32_t)(mode >> ROTA__MODE_SHIFT), RELAXED);
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
				grow(list);
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
		grow(list);
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
