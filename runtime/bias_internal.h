/* SPDX-License-Identifier: MIT */
/*
 * Words that one thread changes without a locked instruction, as long as no other wants to.
 *
 * The protocol. The upper bits of the word, its mode, say whose it is:
 *   young   at first, with these bits zero: changes are by compare-and-swap, which also counts how many in a row were made
 *           by one thread. The first one by another makes it shared, STREAK of them make it biased.
 *   biased  to a thread: nobody else changes the word, so this one does it by a look and a store (rota__replace).
 *   shared  for ever: each change is a compare-and-swap.
 *
 * Who wants to change a word that is biased to another makes it shared (rota__bias_revoke), under the one lock that there is
 * for this. It sets REVOKING, by a compare-and-swap. The owner's looks fail from then on, but one that came before can still
 * be followed by its store, and REVOKING is gone. So all other threads are made to pass a barrier, which cuts off who is
 * between the look and the store (rota__sys_cut_sequences). If REVOKING stands after that, such a store has not come, and
 * cannot come any more; nobody else touches the word, as whoever sees REVOKING waits for the lock; so it is made shared by a
 * store. If not, again. Whatever the owner did before is seen, and what comes next is seen by it, because of the barrier.
 *
 * A word that is shared early costs what it would without all this. One that is revoked costs a barrier, of which all threads
 * of the process take notice; so as soon as more than half of the words that were made biased of late were revoked, of those
 * that come next but a few are (rota__bias_grant). A thread is given a number when it first changes a young word, until it
 * ends; fewer than OWNERS have one at a time, and half of the numbers are kept for workers. Without rseq(2) no word is ever
 * biased; an owner whose thread is gone, also in a child of fork(2), is in nobody's way.
 */
#ifndef ROTA_RUNTIME_BIAS_INTERNAL_H
#define ROTA_RUNTIME_BIAS_INTERNAL_H

#include "context_internal.h"
#include "rseq_internal.h"

#define ROTA__MODE_SHIFT 46u
#define ROTA__OWN ((UINT64_C(1) << ROTA__MODE_SHIFT) - 1) /* what is not the mode, but the word's content */
#define ROTA__OWNERS 256u

#define ROTA__OWNER(n) ((uint64_t)(n) << ROTA__MODE_SHIFT) /* whose the word is, or who has changed a young one */
#define ROTA__OWNER_BITS ROTA__OWNER(ROTA__OWNERS - 1)
#define ROTA__COUNT ROTA__OWNER(ROTA__OWNERS) /* one change of a young word */
#define ROTA__REVOKING (UINT64_C(1) << 61)
#define ROTA__SHARED (UINT64_C(1) << 62)
#define ROTA__BIASED (UINT64_C(1) << 63)
#define ROTA__STREAK 128u /* the count goes up to the next bit */

/* What threads without a number have for a mode; no word has it. */
#define ROTA__UNASKED (ROTA__REVOKING | ROTA__SHARED)
#define ROTA__NOBODY ROTA__REVOKING

/* The mode of words that are biased to the calling thread, as rota__bias_self reads it. */
extern _Thread_local uint64_t rota__bias_tls __attribute__((visibility("hidden"), tls_model("initial-exec")));

#ifdef ROTA__MODEL
uint64_t model_bias(void);
#define rota__bias_self() model_bias()
#else
static inline __attribute__((always_inline)) uint64_t rota__bias_self(void)
{
	uint64_t bias;

	ROTA__THREAD_WORD(rota__bias_tls, bias);
	return bias;
}
#endif

/* Finds out whether the process can have biased words, which takes the kernel milliseconds once it has several threads (it
 * waits for all CPUs), and keeps those that change a word first waiting. So a runtime does it before it starts any. */
void rota__bias_prepare(void);

/* Gives the calling thread, which is UNASKED, a number if there is one: its mode from now on. */
uint64_t rota__bias_ask(void);

static inline uint64_t rota__bias_asked(void)
{
	const uint64_t self = rota__bias_self();

	return __builtin_expect(self != ROTA__UNASKED, 1) ? self : rota__bias_ask();
}

/* The mode of a word that would be biased with the next change: that of its thread, which is `bias`, or shared. */
uint64_t rota__bias_grant(uint64_t bias);
extern bool rota__bias_always; /* tests only: never shared */

/* Makes the word shared if it is biased. Who waits for this may hold a lock of its own. */
void rota__bias_revoke(struct rota_atomic_u64 *word);

static inline uint64_t rota__word_own(uint64_t state)
{
	return state & ROTA__OWN;
}

/* rota__word_cas where the word was seen biased. */
static inline __attribute__((always_inline)) bool rota__word_replace(struct rota_atomic_u64 *word, uint64_t *state,
								     uint64_t next)
{
#ifdef ROTA__REPLACES
	if (__builtin_expect((*state & ~ROTA__OWN) == rota__bias_self(), 1)) {
		if (__builtin_expect(rota__replace(word, *state, next), 1))
			return true;
	} else {
		rota__bias_revoke(word);
	}
#else
	(void)next;
#endif
	*state = rota__load(word, RELAXED);
	return false;
}

static inline __attribute__((always_inline)) bool rota__word_try_biased(struct rota_atomic_u64 *word, uint64_t seen,
									uint64_t from, uint64_t to)
{
#ifdef ROTA__REPLACES
	const uint64_t self = rota__bias_self();

	return seen == (self | from) && rota__replace(word, seen, self | to);
#else
	(void)word;
	(void)seen;
	(void)from;
	(void)to;
	return false;
#endif
}

/* The mode of a young word after one more change by the caller. */
static inline uint64_t rota__mode_grown(uint64_t mode)
{
	const uint64_t self = rota__bias_asked();
	const uint64_t owner = mode == 0 ? self & ROTA__OWNER_BITS : mode & ROTA__OWNER_BITS;

	if (!(self & ROTA__BIASED) || (self & ROTA__OWNER_BITS) != owner)
		return ROTA__SHARED;
	if (mode / ROTA__COUNT == ROTA__STREAK - 1)
		return rota__bias_grant(self);
	return (mode | owner) + ROTA__COUNT;
}

/* What the word is to be after a change by the caller that makes it `next`, but for the mode. */
static inline uint64_t rota__word_grown(uint64_t next)
{
	if (__builtin_expect(next >= ROTA__SHARED, 1))
		return next;
	return rota__word_own(next) | rota__mode_grown(next & ~ROTA__OWN);
}

/* Makes the word what rota__word_grown said, if it is *state. false: it is not, or for nothing; *state is what it is. */
#define rota__word_put(word, state, grown, order) \
	((*(state)&ROTA__BIASED) != 0 ? rota__word_replace((word), (state), (grown)) \
				      : rota__cas((word), (state), (grown), order))

/* The same in one. `next` has the mode of *state. */
#define rota__word_cas(word, state, next, order) rota__word_put((word), (state), rota__word_grown(next), order)

/* What the word is, as far as `hint` tells: a word beside, which is not zero once the word was seen shared. Then it says that
 * the content is `from`, since a look at what has just been changed by a locked instruction has to wait for that. */
static inline uint64_t rota__word_guess(const struct rota_atomic_u64 *word, struct rota_atomic_u32 *hint, uint64_t from)
{
	uint64_t state;

	if (__builtin_expect(rota__load(hint, RELAXED) != 0, 1)) /* it stays true */
		return ROTA__SHARED | from;
	state = rota__load(word, RELAXED);
	if (state & ROTA__SHARED)
		rota__store(hint, 1, RELAXED);
	return state;
}

/* Changes the content from `from` to `to`, in the way of most, with no registers to save, for which a locked instruction would
 * wait. `state` is where rota__word_guess left its answer. false: it is what the word was; go on with rota__word_cas. */
#define rota__word_try(word, state, from, to, order) \
	(*(state) == (ROTA__SHARED | (from)) ? rota__cas_strong((word), (state), ROTA__SHARED | (to), order) \
					     : rota__word_try_biased((word), *(state), (from), (to)))

#endif
