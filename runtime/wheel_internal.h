/* SPDX-License-Identifier: MIT */
/*
 * A hierarchical timer wheel: LEVELS levels of 128 slots. A slot of level 0 is one tick (65.5 us); a slot of level k is
 * 64^k ticks; together 9 years, beyond which a timer is filed for then, and filed again. After Varghese and Lauck, as in the
 * kernel and in Tokio, but for one thing: a level reaches two slots of the next coarser one ahead, where others have 64
 * slots and reach one. So what is in the next slot of a level can be moved to finer levels while the slot before it lasts,
 * some timers at each look. Were they all moved when it begins, a slot with 100,000 timers would hold its worker up for
 * tens of milliseconds. What is left when a slot begins, since nobody looked in time, is moved then.
 *
 * One wheel per worker, and one for threads outside the pool. Its owner starts timers in it and expires them; anybody
 * may cancel a timer, and the reactor may expire for an owner that is stuck: all under the wheel's lock. A timer is
 * claimed (its waker, task_state_internal.h) and marked as fired under the lock, so its memory is its owner's again as
 * soon as a poll, with the lock or by seeing FIRED, has said so.
 *
 * Deadlines are rounded up to a tick: a timer never fires early.
 */
#ifndef ROTA_RUNTIME_WHEEL_INTERNAL_H
#define ROTA_RUNTIME_WHEEL_INTERNAL_H

#include "time.h"
#include "waker_internal.h"

#define ROTA__WHEEL_LEVELS 7
#define ROTA__WHEEL_SLOTS 128
#define ROTA__WHEEL_TICK_SHIFT 16

struct rota__wheel {
	struct rota_atomic_u32 lock; /* guards all below */
	struct rota_atomic_u64 next; /* when to look again, ns; ROTA_NEVER. Written under the lock, read anywhere */
	uint64_t elapsed;            /* ticks that were processed */
	uint64_t occupied[ROTA__WHEEL_LEVELS][2]; /* a bit per slot */
	struct rota_timer *due; /* circular list: their time has come, to be fired by whoever expires */
	struct rota_timer *slot[ROTA__WHEEL_LEVELS][ROTA__WHEEL_SLOTS]; /* circular lists */
};

enum rota__timer_state { ROTA__TIMER_IDLE, ROTA__TIMER_QUEUED, ROTA__TIMER_FIRED, ROTA__TIMER_CANCELLED };

void rota__wheel_init(struct rota__wheel *wheel, uint64_t now);

/* Files a timer, or leaves another waker in one that is filed. READY: it has fired. *ret_earlier (may be NULL): whether
 * the wheel must now be looked at earlier than before, which whoever sleeps on it does not know. */
rota_poll rota__wheel_poll(struct rota__wheel *wheel, struct rota_timer *timer, const struct rota_waker *waker,
			   bool *ret_earlier);

/* Takes a filed timer out: true; false: it has fired. */
bool rota__wheel_cancel(struct rota__wheel *wheel, struct rota_timer *timer);

/* Fires what is due at `now`; returns how many. Never under a lock. */
unsigned rota__wheel_expire(struct rota__wheel *wheel, uint64_t now);

/* When rota__wheel_expire has something to do next, in ns; ROTA_NEVER. Never later than the earliest deadline's tick;
 * earlier when timers must be filed at a finer level. */
static inline uint64_t rota__wheel_next(const struct rota__wheel *wheel)
{
	return rota__load(&wheel->next, RELAXED); /* a hint for others; the owner wrote it itself */
}

/* How long from `now` on until then, or until `deadline` if that is sooner; ROTA_NEVER. */
static inline uint64_t rota__wheel_wait(const struct rota__wheel *wheel, uint64_t now, uint64_t deadline)
{
	uint64_t until = rota__wheel_next(wheel);

	if (deadline < until)
		until = deadline;
	if (until == ROTA_NEVER)
		return ROTA_NEVER;
	return until > now ? until - now : 0;
}

#endif
