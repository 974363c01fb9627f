/* SPDX-License-Identifier: MIT */
#include "deque_internal.h"

#include "alloc_internal.h"
#include "rseq_internal.h"
#include "sys_internal.h"
#include "task_internal.h"

#define OWNED ROTA__DEQUE_OWNED
#define REVOKING ((uint64_t)1 << 62)
#define MODE (OWNED | REVOKING)

/* Pops after which the head becomes the owner's again. Each time it takes twice as many, up to a limit: so thieves' barriers
 * cost less than what is saved between them. The model checker has fewer. */
#ifndef ROTA__DEQUE_OWN_AFTER
#define ROTA__DEQUE_OWN_AFTER 4096u
#endif
#define OWN_TIMES_MAX 8u

static uint32_t real_of(uint64_t head)
{
	return (uint32_t)head;
}

static uint32_t behind(uint64_t head)
{
	return (uint32_t)((head & ~MODE) >> 32);
}

static uint32_t steal_of(uint64_t head)
{
	return real_of(head) - behind(head);
}

static uint64_t pack(uint32_t steal, uint32_t real)
{
	return (uint64_t)(real - steal) << 32 | real;
}

/* The slots of one ring. */
struct slots {
	struct rota_atomic_ptr *at;
	uint32_t mask;
};

static struct slots slots_of(struct rota__deque *deque, struct rota__deque_ring *ring)
{
	if (ring == NULL)
		return (struct slots){ deque->first, ROTA__DEQUE_CAPACITY - 1 };
	return (struct slots){ ring->slots, ring->capacity - 1 };
}

/* The owner's. */
static struct slots own_slots(struct rota__deque *deque)
{
	return slots_of(deque, rota__load(&deque->ring, RELAXED)); /* only the owner writes it */
}

static rota_task *slot_get(struct slots slots, uint32_t i)
{
	return rota__load(&slots.at[i & slots.mask], RELAXED); /* ordered by head, tail and ring */
}

static void slot_set(struct slots slots, uint32_t i, rota_task *task)
{
	rota__store(&slots.at[i & slots.mask], task, RELAXED);
}

static size_t ring_size(uint32_t capacity)
{
	return sizeof(struct rota__deque_ring) + capacity * sizeof(struct rota_atomic_ptr);
}

static void free_rings(struct rota__deque_ring *ring)
{
	while (ring != NULL) {
		struct rota__deque_ring *older = ring->older;

		rota__free_pages(ring, ring_size(ring->capacity));
		ring = older;
	}
}

void rota__deque_deinit(struct rota__deque *deque)
{
	free_rings(rota__load(&deque->ring, RELAXED));
	rota__store(&deque->ring, NULL, RELAXED);
}

void rota__deque_trim(struct rota__deque *deque)
{
	const uint64_t head = rota__load(&deque->head, ACQUIRE); /* partner: the thief's release of slots */

	if (steal_of(head) == rota__load(&deque->tail, RELAXED))
		rota__deque_deinit(deque);
}

void rota__deque_enter(struct rota__deque *deque, bool may_own)
{
	uint64_t head = rota__load(&deque->head, RELAXED);

	deque->may_own = may_own;
	/* It was another thread's, whose looks and stores are over. RELAXED: the mode tells nothing else. */
	while (!may_own && head & OWNED && !rota__cas(&deque->head, &head, head & ~MODE, RELAXED))
		;
}

bool rota__deque_grow(struct rota__deque *deque)
{
	const struct slots old = own_slots(deque);
	const uint32_t capacity = 2 * (old.mask + 1);
	const uint32_t tail = rota__load(&deque->tail, RELAXED);            /* the owner's own */
	const uint32_t steal = steal_of(rota__load(&deque->head, ACQUIRE)); /* partner: as in push */
	struct rota__deque_ring *ring;

	if (capacity > ROTA__DEQUE_CAPACITY_MAX)
		return false;
	ring = rota__alloc_pages(ring_size(capacity));
	if (ring == NULL)
		return false;
	ring->older = rota__load(&deque->ring, RELAXED);
	ring->capacity = capacity;
	for (uint32_t i = steal; i != tail; i++)
		slot_set(slots_of(deque, ring), i, slot_get(old, i));
	rota__store(&deque->ring, ring, RELEASE); /* partner: the thief's load */
	/* Partner: the thief's CAS. Who claims after this finds the new ring; who claimed before and still copies is seen. */
	if (behind(rota__fetch_add(&deque->head, 0, ACQ_REL)) == 0) {
		free_rings(ring->older);
		ring->older = NULL;
	}
	return true;
}

uint32_t rota__deque_room(const struct rota__deque *deque)
{
	const struct rota__deque_ring *ring = rota__load(&deque->ring, RELAXED);
	const uint32_t capacity = ring == NULL ? ROTA__DEQUE_CAPACITY : ring->capacity;
	const uint32_t steal = steal_of(rota__load(&deque->head, ACQUIRE)); /* partner: the thief's release of slots */

	return capacity - (rota__load(&deque->tail, RELAXED) - steal);
}

bool rota__deque_push(struct rota__deque *deque, rota_task *task)
{
	const struct slots slots = own_slots(deque);
	uint32_t steal = steal_of(rota__load(&deque->head, ACQUIRE)); /* partner: the thief's release of slots */
	uint32_t tail = rota__load(&deque->tail, RELAXED);            /* the owner's own */

	if (tail - steal > slots.mask)
		return false;
	slot_set(slots, tail, task);
	rota__store(&deque->tail, tail + 1, RELEASE); /* partner: the thief's load of tail */
	return true;
}

bool rota__deque_push_ahead(struct rota__deque *deque, rota_task *first, uint32_t n)
{
	const struct slots slots = own_slots(deque);
	const uint32_t tail = rota__load(&deque->tail, RELAXED); /* the owner's own */
	uint64_t head = rota__load(&deque->head, ACQUIRE);       /* partner: as in push */
	const uint32_t real = real_of(head);
	rota_task *task = first;

	if (steal_of(head) != real || n > slots.mask + 1 - (tail - real))
		return false;
	for (uint32_t i = real - n; i != real; i++, task = task->queue_next)
		slot_set(slots, i, task);
	/* Once: where head was moved to, slots may have been filled without knowing that its thief is done with them. The mode
	 * stays. Partner: the thief's claim. */
	return rota__cas_strong(&deque->head, &head, (head & MODE) | pack(real - n, real - n), ACQ_REL);
}

/* Has the header of a task that will be popped soon brought to the cache. Another may have stolen it, and it may have ended:
 * nothing is read. */
static void fetch(const rota_task *task)
{
	__builtin_prefetch(task, 1);
	__builtin_prefetch((const char *)task + ROTA__CACHE_LINE, 1);
}

/* Owner: whether the head, which is nobody's, is to be the owner's with this pop. */
static bool becomes_owned(struct rota__deque *deque)
{
	if (!deque->may_own || ++deque->shared_pops < ROTA__DEQUE_OWN_AFTER << deque->times_owned)
		return false;
	deque->shared_pops = 0;
	if (deque->times_owned < OWN_TIMES_MAX)
		deque->times_owned++;
	return true;
}

/* Owner: makes the head `next`, which has no mode. false: it was not *head any more; that is what it is now. */
static inline bool move(struct rota__deque *deque, uint64_t *head, uint64_t next)
{
#ifdef ROTA__REPLACES
	if ((*head & MODE) == OWNED) {
		if (__builtin_expect(rota__replace(&deque->head, *head, OWNED | next), 1))
			return true;
		*head = rota__load(&deque->head, ACQUIRE); /* partner: as in push */
		return false;
	}
#endif
	if (behind(next) == 0 && becomes_owned(deque))
		next |= OWNED;
	return rota__cas(&deque->head, head, next, ACQ_REL); /* partner: the thief's CAS */
}

rota_task *rota__deque_pop(struct rota__deque *deque)
{
	uint64_t head = rota__load(&deque->head, ACQUIRE);
	uint32_t tail = rota__load(&deque->tail, RELAXED);
	uint32_t real;
	uint64_t next;

	do {
		real = real_of(head);
		if (real == tail)
			return NULL;
		/* While a thief copies, its mark stays where it is. */
		next = pack(steal_of(head) == real ? real + 1 : steal_of(head), real + 1);
	} while (!move(deque, &head, next));
	if (real + 1 != tail)
		fetch(slot_get(own_slots(deque), real + 1));
	return slot_get(own_slots(deque), real);
}

unsigned rota__deque_overflow(struct rota__deque *deque, rota_task **ret_first, rota_task **ret_last)
{
	const struct slots slots = own_slots(deque);
	const uint32_t n = (slots.mask + 1) / 2;
	uint64_t head = rota__load(&deque->head, ACQUIRE);
	uint32_t real = real_of(head);

	if (steal_of(head) != real || rota__load(&deque->tail, RELAXED) - real <= slots.mask)
		return 0;
	if (!rota__cas_strong(&deque->head, &head, (head & MODE) | pack(real + n, real + n), ACQ_REL))
		return 0; /* a thief was faster: there is room now */
	for (uint32_t i = 0; i + 1 < n; i++)
		slot_get(slots, real + i)->queue_next = slot_get(slots, real + i + 1);
	*ret_first = slot_get(slots, real);
	*ret_last = slot_get(slots, real + n - 1);
	(*ret_last)->queue_next = NULL;
	return n;
}

/* Makes the head, which was the owner's, nobody's; *head is what it is then. false: another thief does. */
static bool disown(struct rota__deque *from, uint64_t *head)
{
	if (rota__swap(&from->revoking, 1, ACQUIRE) != 0) /* partner: the store below */
		return false;
	*head = rota__load(&from->head, ACQUIRE); /* partner: as in claim */
	while (*head & OWNED) {
		if (!rota__cas(&from->head, head, *head | REVOKING, RELAXED)) /* the barrier orders it */
			continue;
		rota__sys_cut_sequences();
		*head = rota__load(&from->head, ACQUIRE);
		/* RELAXED: a claim follows. It fails if the owner was faster, who leaves nothing of the mode. */
		if (*head & REVOKING && rota__cas_strong(&from->head, head, *head & ~MODE, RELAXED))
			*head &= ~MODE;
	}
	rota__store(&from->revoking, 0, RELEASE); /* partner: the swap */
	return true;
}

/* How many tasks a thief may claim that has seen `head` and wants at most `most`: at most half, rounded up. */
static uint32_t share(const struct rota__deque *from, uint64_t head, uint32_t most)
{
	const uint32_t n = rota__load(&from->tail, ACQUIRE) - real_of(head); /* partner: the RELEASE in push */

	if (behind(head) != 0 || n > ROTA__DEQUE_CAPACITY_MAX)
		return 0; /* another thief; or head moved on between the two loads: the CAS would fail */
	return n - n / 2 < most ? n - n / 2 : most;
}

/* Claims a share: moves real, leaves steal. Returns how many. */
static uint32_t claim(struct rota__deque *from, uint32_t most, uint64_t *ret_head)
{
	uint64_t head = rota__load(&from->head, ACQUIRE);
	uint32_t n;

	while ((n = share(from, head, most)) > 0) {
		if (head & OWNED) {
			if (!disown(from, &head))
				return 0;
			continue;
		}
		*ret_head = pack(real_of(head), real_of(head) + n);
		if (rota__cas(&from->head, &head, *ret_head, ACQ_REL))
			return n;
	}
	return 0;
}

/* The slots that were claimed are copied: the owner may use them again. */
static void release(struct rota__deque *from, uint64_t head)
{
	uint64_t next;

	do {
		next = pack(real_of(head), real_of(head)); /* the owner may have popped meanwhile */
	} while (!rota__cas(&from->head, &head, next, ACQ_REL));
}

rota_task *rota__deque_steal(struct rota__deque *from, struct rota__deque *into, unsigned *ret_moved)
{
	const uint32_t tail = rota__load(&into->tail, RELAXED); /* the caller owns it */
	const uint32_t room = rota__deque_room(into);
	uint64_t head;
	uint32_t n = claim(from, room, &head);

	if (n == 0)
		return NULL;
	const struct slots theirs = slots_of(from, rota__load(&from->ring, ACQUIRE)); /* partner: grow */
	const struct slots ours = own_slots(into);
	uint32_t first = steal_of(head);
	for (uint32_t i = 0; i + 1 < n; i++)
		slot_set(ours, tail + i, slot_get(theirs, first + i));
	rota_task *last = slot_get(theirs, first + n - 1);
	release(from, head);
	if (n > 1)
		rota__store(&into->tail, tail + n - 1, RELEASE); /* partner: the next thief */
	*ret_moved = n;
	return last;
}
