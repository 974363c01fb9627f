/* SPDX-License-Identifier: MIT */
/*
 * The state of a task: one atomic word, and the only functions that change it.
 *
 *   ACTIVE     the task is running, or in a queue (run queue, next slot, injection queue): somebody owns the right to
 *              run it. Set by whoever takes it from idle, and that one must submit it. Never cleared once COMPLETE.
 *   NOTIFIED   a wake came while ACTIVE: before the task may go idle it must look again.
 *   CANCELLED  somebody asked it to stop. Never cleared.
 *   COMPLETE   the body has returned.
 *   JOINER     a joiner has left its waker in the header. Until it is set the waker's place is the joiner's, of whom there
 *              is one; then it is the finisher's, unless the joiner takes the bit back.
 *   FIRING     the finisher has taken JOINER and is about to claim the waker: COMPLETE follows at once.
 *   ASKED      a scope that the task is in may have been cancelled: it must look there for a reason. Set from the beginning in
 *              a scope's child. Cleared by the task when it closes a scope, and when it enters its scope's list.
 *   references in the upper bits: one for the runtime until completion, one for the join handle, one for the scope that it
 *              is a child of, one for each waker that was cloned, one for each visit by a walker of all tasks. Whoever drops
 *              the last frees the task.
 *
 *        spawn             wake: submit                      finish
 *   ---------> ACTIVE <------------------ idle (no bit)  ACTIVE ------> ACTIVE|COMPLETE
 *                 |  ^                      ^
 *     wake:       v  | rest: run again      |
 *     ACTIVE|NOTIFIED+   ACTIVE ------------+ rest: idle
 *
 * No wake-up is lost: a waker publishes its news, then does an ACQ_REL read-modify-write here, always, even when the
 * bit it would set is set already; the task reads the news only after its own ACQ_REL read-modify-write that went
 * through `rest` or after having been submitted. All of them are on one word, so one comes first. If the wake does,
 * `rest` sees NOTIFIED and the task looks again. If `rest` does, the wake sees an idle task and submits it.
 *
 * A wake is claimed here, often under the lock of what was waited for, and carried out (submitted) after the lock was
 * dropped: between the two the task cannot run, hence cannot end, so nobody needs a reference to wake it.
 */
#ifndef ROTA_RUNTIME_TASK_STATE_INTERNAL_H
#define ROTA_RUNTIME_TASK_STATE_INTERNAL_H

#include "future.h"
#include "spin_internal.h"

#define ROTA__ACTIVE ((uint64_t)1)
#define ROTA__NOTIFIED ((uint64_t)2)
#define ROTA__CANCELLED ((uint64_t)4)
#define ROTA__COMPLETE ((uint64_t)8)
#define ROTA__JOINER ((uint64_t)16)
#define ROTA__FIRING ((uint64_t)32)
#define ROTA__ASKED ((uint64_t)64)
#define ROTA__REF ((uint64_t)1 << 8)
#define ROTA__REF_MASK (~(ROTA__REF - 1))

enum rota__wake { ROTA__WAKE_NOTHING, ROTA__WAKE_SUBMIT };
enum rota__rest { ROTA__REST_IDLE, ROTA__REST_AGAIN };
enum rota__drop { ROTA__DROP_KEEP, ROTA__DROP_FREE };

static inline void rota__state_init(struct rota_atomic_u64 *state, unsigned references)
{
	/* Partner: try_ref, by which a walker of all tasks finds the rest of the header filled in. */
	rota__store(state, ROTA__ACTIVE | references * ROTA__REF, RELEASE);
}

/* The same for a task that is to look for a reason before it waits first. */
static inline void rota__state_init_asked(struct rota_atomic_u64 *state, unsigned references)
{
	rota__store(state, ROTA__ACTIVE | ROTA__ASKED | references * ROTA__REF, RELEASE); /* partner: as above */
}

static inline enum rota__wake rota__state_mark(struct rota_atomic_u64 *state, uint64_t mark)
{
	uint64_t old = rota__load(state, RELAXED);
	uint64_t next;

	do {
		next = old | mark | (old & ROTA__ACTIVE ? ROTA__NOTIFIED : ROTA__ACTIVE);
	} while (!rota__cas(state, &old, next, ACQ_REL)); /* partner: rest, and another's wake */
	return old & ROTA__ACTIVE ? ROTA__WAKE_NOTHING : ROTA__WAKE_SUBMIT;
}

/* Claims the right to run the task. SUBMIT: the caller must hand it to the scheduler. NOTHING: somebody else will
 * let it look again, and the caller may not touch the task any more. */
static inline ROTA_MUST_USE enum rota__wake rota__state_wake(struct rota_atomic_u64 *state)
{
	return rota__state_mark(state, 0);
}

/* The same, and asks the task to stop. */
static inline ROTA_MUST_USE enum rota__wake rota__state_cancel(struct rota_atomic_u64 *state)
{
	return rota__state_mark(state, ROTA__CANCELLED);
}

/* The same, and has it look whether it is to stop. */
static inline ROTA_MUST_USE enum rota__wake rota__state_ask(struct rota_atomic_u64 *state)
{
	return rota__state_mark(state, ROTA__ASKED);
}

/* By the task itself, which looks for a reason after it. */
static inline void rota__state_unask(struct rota_atomic_u64 *state)
{
	rota__fetch_and(state, ~ROTA__ASKED, ACQ_REL); /* partner: ask, before which the reason was stored */
}

/* The runner is done with the task, which waits. IDLE: do not touch it any more. AGAIN: submit it. */
static inline ROTA_MUST_USE enum rota__rest rota__state_rest(struct rota_atomic_u64 *state)
{
	uint64_t old = rota__load(state, RELAXED);
	uint64_t next;

	do {
		next = old & ROTA__NOTIFIED ? old & ~ROTA__NOTIFIED : old & ~ROTA__ACTIVE;
	} while (!rota__cas(state, &old, next, ACQ_REL)); /* partner: wake */
	return old & ROTA__NOTIFIED ? ROTA__REST_AGAIN : ROTA__REST_IDLE;
}

static inline bool rota__state_cancelled(const struct rota_atomic_u64 *state)
{
	return (rota__load(state, RELAXED) & ROTA__CANCELLED) != 0; /* a wake follows the bit, and orders it */
}

static inline enum rota__drop rota__state_dropped(uint64_t old)
{
	return (old & ROTA__REF_MASK) == ROTA__REF ? ROTA__DROP_FREE : ROTA__DROP_KEEP;
}

/* Whether there may be a reason to stop, its own or a scope's. */
static inline bool rota__state_asked(const struct rota_atomic_u64 *state)
{
	return (rota__load(state, RELAXED) & (ROTA__CANCELLED | ROTA__ASKED)) != 0; /* as above */
}

/* The body has returned and there is no joiner: the same as rota__state_finish. false: there is one, and the caller has
 * taken its waker (FIRING); it claims that, then calls rota__state_finish. */
static inline ROTA_MUST_USE bool rota__state_finish_unjoined(struct rota_atomic_u64 *state, enum rota__drop *ret_drop)
{
	uint64_t old = rota__load(state, RELAXED);
	uint64_t next;

	do {
		next = old & ROTA__JOINER ? (old & ~ROTA__JOINER) | ROTA__FIRING : (old | ROTA__COMPLETE) - ROTA__REF;
	} while (!rota__cas(state, &old, next, ACQ_REL)); /* partner: joiner, and the other drops */
	*ret_drop = rota__state_dropped(old);
	return !(old & ROTA__JOINER);
}

/* The waker is in its place. READY: too late, the task has ended, and the waker is still the joiner's. */
static inline ROTA_MUST_USE rota_poll rota__state_join(struct rota_atomic_u64 *state)
{
	/* Set on a task that has ended, the bit means nothing. Partner: the finisher. */
	return rota__fetch_or(state, ROTA__JOINER, ACQ_REL) & ROTA__COMPLETE ? ROTA_READY : ROTA_PENDING;
}

/* The joiner takes its waker back. READY: too late, the task has ended. */
static inline ROTA_MUST_USE rota_poll rota__state_unjoin(struct rota_atomic_u64 *state)
{
	uint64_t old = rota__load(state, ACQUIRE);
	unsigned spins = 0;

	for (;;) {
		if (old & ROTA__COMPLETE)
			return ROTA_READY;
		if (old & ROTA__FIRING)
			rota__spin_pause(&spins);
		else if (rota__cas(state, &old, old & ~ROTA__JOINER, ACQ_REL))
			return ROTA_PENDING;
		old = rota__load(state, ACQUIRE);
	}
}

/* Whether the task has ended: its status can be read. */
static inline bool rota__state_ended(const struct rota_atomic_u64 *state)
{
	return (rota__load(state, ACQUIRE) & ROTA__COMPLETE) != 0; /* partner: the finisher */
}

/* The same for the joiner. Between FIRING and COMPLETE it has been woken already and will not be again, so it must not go
 * back to sleep: it waits out these few instructions. */
static inline bool rota__state_ended_or_firing(const struct rota_atomic_u64 *state)
{
	uint64_t old = rota__load(state, ACQUIRE);
	unsigned spins = 0;

	while ((old & (ROTA__FIRING | ROTA__COMPLETE)) == ROTA__FIRING) {
		rota__spin_pause(&spins);
		old = rota__load(state, ACQUIRE);
	}
	return (old & ROTA__COMPLETE) != 0;
}

/* Whether somebody waits for the end. */
static inline bool rota__state_joined(const struct rota_atomic_u64 *state)
{
	return (rota__load(state, RELAXED) & (ROTA__JOINER | ROTA__FIRING)) != 0; /* only to tell a second joiner */
}

/* The body has returned; drops the runtime's reference too. */
static inline ROTA_MUST_USE enum rota__drop rota__state_finish(struct rota_atomic_u64 *state)
{
	/* COMPLETE is set exactly once, so adding sets it. Partner: the other drops; whoever frees sees all of them. */
	uint64_t old = rota__fetch_add(state, ROTA__COMPLETE - ROTA__REF, ACQ_REL);

	return rota__state_dropped(old);
}

static inline void rota__state_ref(struct rota_atomic_u64 *state)
{
	rota__fetch_add(state, ROTA__REF, RELAXED); /* the caller has one already */
}

static inline ROTA_MUST_USE enum rota__drop rota__state_unref(struct rota_atomic_u64 *state)
{
	return rota__state_dropped(rota__fetch_sub(state, ROTA__REF, ACQ_REL)); /* partner: the other drops */
}

/* Drops the handle's reference of a task whose end was seen. When it is the last one, nobody else can come any more. */
static inline ROTA_MUST_USE enum rota__drop rota__state_unref_ended(struct rota_atomic_u64 *state)
{
	uint64_t old = rota__load(state, ACQUIRE); /* partner: the other drops */

	if (old & ROTA__COMPLETE && (old & ROTA__REF_MASK) == ROTA__REF)
		return ROTA__DROP_FREE;
	return rota__state_unref(state);
}

/* A reference to a task that the caller only saw in passing; false when it is complete or free. */
static inline ROTA_MUST_USE bool rota__state_try_ref(struct rota_atomic_u64 *state)
{
	uint64_t old = rota__load(state, RELAXED);

	do {
		if ((old & ROTA__REF_MASK) == 0 || old & ROTA__COMPLETE)
			return false;
	} while (!rota__cas(state, &old, old + ROTA__REF, ACQ_REL));
	return true;
}

#endif
