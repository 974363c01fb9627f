/* SPDX-License-Identifier: MIT */
/*
 * A wake slot: one waiter, one event that comes once. Used by I/O operations.
 *
 *   EMPTY --register--> ARMED --fire--> FIRED        BUSY: somebody is between two states, for a few instructions.
 *     |                                   ^
 *     +-----------------fire--------------+
 *
 * The waiter registers and looks at the state; whoever has the event writes the result and fires. FIRED is stored
 * after the waiter's task was claimed (task_state_internal.h): a waiter that sees FIRED may end and free the slot, so
 * firing touches neither slot nor waiter afterwards, save a task that it has claimed.
 */
#ifndef ROTA_RUNTIME_SLOT_INTERNAL_H
#define ROTA_RUNTIME_SLOT_INTERNAL_H

#include "spin_internal.h"
#include "waker_internal.h"

enum rota__slot_state { ROTA__SLOT_EMPTY, ROTA__SLOT_ARMED, ROTA__SLOT_BUSY, ROTA__SLOT_FIRED };

/* Takes the slot from EMPTY or ARMED to BUSY and returns which it was; FIRED: it is not taken. */
static inline enum rota__slot_state rota__slot_take(struct rota_atomic_u32 *slot)
{
	uint32_t old = rota__load(slot, ACQUIRE); /* pairs with the RELEASE of FIRED: the result is there */
	unsigned spins = 0;

	for (;;) {
		if (old == ROTA__SLOT_FIRED)
			return ROTA__SLOT_FIRED;
		if (old == ROTA__SLOT_BUSY)
			rota__spin_pause(&spins);
		else if (rota__cas(slot, &old, ROTA__SLOT_BUSY, ACQUIRE))
			return (enum rota__slot_state)old;
		old = rota__load(slot, ACQUIRE); /* what a failed exchange saw is not ordered */
	}
}

static inline bool rota__slot_fired(const struct rota_atomic_u32 *slot)
{
	return rota__load(slot, ACQUIRE) == ROTA__SLOT_FIRED;
}

/* The waiter leaves its waker. READY: the event has come. One waiter at a time; it may register again with another
 * waker. */
static inline rota_poll rota__slot_register(struct rota_atomic_u32 *slot, struct rota_waker *held,
					    const struct rota_waker *waker)
{
	enum rota__slot_state old = rota__slot_take(slot);

	if (old == ROTA__SLOT_FIRED)
		return ROTA_READY;
	if (old == ROTA__SLOT_ARMED)
		rota__waker_release(held);
	rota__waker_hold(held, waker);
	rota__store(slot, ROTA__SLOT_ARMED, RELEASE); /* partner: the ACQUIRE of slot_take */
	return ROTA_PENDING;
}

/* The waiter takes its waker back. READY: too late, the event has come. */
static inline rota_poll rota__slot_disarm(struct rota_atomic_u32 *slot, struct rota_waker *held)
{
	enum rota__slot_state old = rota__slot_take(slot);

	if (old == ROTA__SLOT_FIRED)
		return ROTA_READY;
	if (old == ROTA__SLOT_ARMED)
		rota__waker_release(held);
	rota__store(slot, ROTA__SLOT_EMPTY, RELEASE);
	return ROTA_PENDING;
}

/* Fires a slot that was ARMED and that the caller has taken: nobody comes between. */
static inline void rota__slot_fire_taken(struct rota_atomic_u32 *slot, struct rota_waker *held,
					 struct rota__wake_batch *batch)
{
	rota__wake_batch_add(batch, held);
	rota__store(slot, ROTA__SLOT_FIRED, RELEASE); /* partner: slot_fired and slot_take of the waiter */
}

/* The event has come; the result was written before. Fires once. The batch is submitted by the caller. */
static inline void rota__slot_fire(struct rota_atomic_u32 *slot, struct rota_waker *held, struct rota__wake_batch *batch)
{
	if (rota__slot_take(slot) == ROTA__SLOT_ARMED)
		rota__wake_batch_add(batch, held);
	rota__store(slot, ROTA__SLOT_FIRED, RELEASE); /* partner: slot_fired and slot_take of the waiter */
}

#endif
