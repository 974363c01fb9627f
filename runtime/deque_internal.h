/* SPDX-License-Identifier: MIT */
/*
 * A worker's run queue: a ring, first in first out, that its owner makes larger. The owner pushes at `tail` and pops at
 * `head`, where it may also put tasks ahead of all others; a thief takes half at `head`. After Tokio's queue, which is
 * bounded: what overflows goes through a lock, cold, to whichever worker comes first, and with a thousand busy connections
 * that was most of what was run.
 *
 * `head` is two indices in one word: `real`, where the next pop takes, in 32 bits, and above it how far behind that is
 * `steal`, the first slot that a thief is still copying from. They are equal when nobody steals. A thief moves `real` past its
 * half (claims), copies, then moves `steal` up to `real` (releases the slots). One thief at a time: a second one sees steal !=
 * real and leaves. Indices wrap; only their differences, below 2^32, mean anything.
 *
 *   owner   writes tail (RELEASE: the slot is filled) and moves head by CAS in pop, push_ahead and overflow; or in pop as
 *           follows.
 *   thief   reads tail (ACQUIRE), moves head by CAS (ACQ_REL: its reads of slots end before they are free again).
 *   push    reads head (ACQUIRE: partner of the thief's second CAS) so that it never overwrites a slot being copied.
 *   ahead   head goes back, over slots that are free, by CAS (RELEASE: they are filled), and only when nobody steals. A
 *           thief that has read head before, and claims when it is there again, finds what the slots hold by then: it
 *           reads them after its claim, and `tail` has not gone back.
 *   grow    copies the slots from `steal` to `tail` into a ring of twice the size and publishes it (RELEASE). The old ring
 *           is not written again, nor freed while a thief may still copy from it. A thief reads `ring`
 *           (ACQUIRE) after its claim, so that the ring is not older than the `tail` below which it claimed; what it
 *           claimed lies in each later one too, since `steal` stays below it until it releases. Head is written after
 *           the new ring is published, as it is (ACQ_REL): who claims after that finds the new ring, who has claimed before
 *           is seen if it still copies, and if nobody does the old rings are freed.
 *   trim    an empty queue from which nobody copies has nothing that a thief could claim until the owner puts it there, by
 *           a RELEASE; so all rings are freed.
 *
 * Most queues are robbed seldom. So after many pops the owner makes the head its own (OWNED, in its upper bits): no thief
 * changes it then save for these bits, and pop is a look and a store without a locked instruction (rota__replace). A thief that
 * finds something sets REVOKING first, by CAS, under the lock `revoking`, for which it does not wait: who has it is another
 * thief. The owner's looks fail from then on, but one that came before can still be followed by its store, and REVOKING is gone.
 * So the thief has all threads pass a barrier, which cuts off who is between the look and the store
 * (rota__sys_cut_sequences). If REVOKING stands after that, no such store can come any more, and the thief takes both bits away;
 * if not, again. The owner does not wait for this: its own look and store are not under way when it sees REVOKING, and what it
 * does by CAS takes the bits away, too, or leaves them as they are. What bias_internal.h does for words of sync/ is the same but
 * for this, and for the way back.
 */
#ifndef ROTA_RUNTIME_DEQUE_INTERNAL_H
#define ROTA_RUNTIME_DEQUE_INTERNAL_H

#include "atomic_internal.h"

#define ROTA__DEQUE_OWNED ((uint64_t)1 << 63) /* of head */

/* Of the first ring and of the largest. Powers of two. The model checker has smaller ones. */
#ifndef ROTA__DEQUE_CAPACITY
#define ROTA__DEQUE_CAPACITY 256u
#define ROTA__DEQUE_CAPACITY_MAX 65536u
#endif

struct rota__deque_ring {
	struct rota__deque_ring *older; /* that a thief still copied from; NULL: none, or the first, which is in the queue */
	uint32_t capacity;
	struct rota_atomic_ptr slots[];
};

struct rota__deque {
	struct rota_atomic_u64 head; /* the mode, how far `steal` is behind, and `real` in the lower half */
	struct rota_atomic_u32 revoking;
	bool may_own;        /* the owner's, as are those below: see rota__deque_enter */
	uint8_t times_owned; /* how often the head was made the owner's */
	unsigned char pad[ROTA__CACHE_LINE - 2 * sizeof(struct rota_atomic_u64)]; /* thieves write above, the owner below */
	struct rota_atomic_u32 tail;
	uint32_t shared_pops;        /* since the head was the owner's */
	struct rota_atomic_ptr ring; /* NULL: `first` */
	struct rota_atomic_ptr first[ROTA__DEQUE_CAPACITY];
};

/* Frees what grow has allocated. Nobody uses the queue any more; zeroed, it is one again. */
void rota__deque_deinit(struct rota__deque *deque);

/* Owner: the same for one that others may look into, if it is empty. */
void rota__deque_trim(struct rota__deque *deque);

/* The calling thread is the owner from now on. `may_own`: it may use rota__replace; else the head will not be its own. */
void rota__deque_enter(struct rota__deque *deque, bool may_own);

/* How many tasks a pop or a thief could take. Any thread; a moment's view. */
static inline uint32_t rota__deque_length(const struct rota__deque *deque)
{
	uint32_t real = (uint32_t)rota__load(&deque->head, ACQUIRE);
	uint32_t length = rota__load(&deque->tail, ACQUIRE) - real;

	/* Read apart, the two may not belong together. */
	return length <= ROTA__DEQUE_CAPACITY_MAX ? length : 0;
}

/* Owner. false: full. */
ROTA_MUST_USE bool rota__deque_push(struct rota__deque *deque, rota_task *task);

/* Owner: puts n tasks, linked by queue_next, ahead of all others, in their order. false: there is no room without growing,
 * or a thief is at work. */
ROTA_MUST_USE bool rota__deque_push_ahead(struct rota__deque *deque, rota_task *first, uint32_t n);

/* Owner, when push said full: makes room. false: it is as large as it may become, or there is no memory. */
ROTA_MUST_USE bool rota__deque_grow(struct rota__deque *deque);

/* Owner: for how many more there is room without growing. */
uint32_t rota__deque_room(const struct rota__deque *deque);

/* Owner. NULL: empty. */
rota_task *rota__deque_pop(struct rota__deque *deque);

/* Owner, when neither push nor grow could: moves the older half into a list (linked by queue_next) for the injection queue.
 * Returns how many; 0 when a thief is at work, and then there will soon be room. */
unsigned rota__deque_overflow(struct rota__deque *deque, rota_task **ret_first, rota_task **ret_last);

/* Owner of `into`: moves half of the tasks of `from`, at most what there is room for. Returns one of them to run at
 * once, NULL when there was nothing, and in *ret_moved how many were taken, that one included. */
rota_task *rota__deque_steal(struct rota__deque *from, struct rota__deque *into, unsigned *ret_moved);

#endif
