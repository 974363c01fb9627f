/* SPDX-License-Identifier: MIT */
#include "deque_internal.h"

#include "task_internal.h"

#define MASK (ROTA__DEQUE_CAPACITY - 1)

static uint32_t real_of(uint64_t head)
{
	return (uint32_t)head;
}

static uint32_t steal_of(uint64_t head)
{
	return (uint32_t)(head >> 32);
}

static uint64_t pack(uint32_t steal, uint32_t real)
{
	return (uint64_t)steal << 32 | real;
}

static rota_task *slot_get(const struct rota__deque *deque, uint32_t i)
{
	return rota__load(&deque->buffer[i & MASK], RELAXED); /* ordered by head and tail */
}

static void slot_set(struct rota__deque *deque, uint32_t i, rota_task *task)
{
	rota__store(&deque->buffer[i & MASK], task, RELAXED);
}

bool rota__deque_push(struct rota__deque *deque, rota_task *task)
{
	uint32_t steal = steal_of(rota__load(&deque->head, ACQUIRE)); /* partner: the thief's release of slots */
	uint32_t tail = rota__load(&deque->tail, RELAXED);            /* the owner's own */

	if (tail - steal >= ROTA__DEQUE_CAPACITY)
		return false;
	slot_set(deque, tail, task);
	rota__store(&deque->tail, tail + 1, RELEASE); /* partner: the thief's load of tail */
	return true;
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
	} while (!rota__cas(&deque->head, &head, next, ACQ_REL));
	return slot_get(deque, real);
}

unsigned rota__deque_overflow(struct rota__deque *deque, rota_task **ret_first, rota_task **ret_last)
{
	const uint32_t n = ROTA__DEQUE_CAPACITY / 2;
	uint64_t head = rota__load(&deque->head, ACQUIRE);
	uint32_t real = real_of(head);

	if (steal_of(head) != real || rota__load(&deque->tail, RELAXED) - real < ROTA__DEQUE_CAPACITY)
		return 0;
	if (!rota__cas_strong(&deque->head, &head, pack(real + n, real + n), ACQ_REL))
		return 0; /* a thief was faster: there is room now */
	for (uint32_t i = 0; i + 1 < n; i++)
		slot_get(deque, real + i)->queue_next = slot_get(deque, real + i + 1);
	*ret_first = slot_get(deque, real);
	*ret_last = slot_get(deque, real + n - 1);
	(*ret_last)->queue_next = NULL;
	return n;
}

/* Claims at most `most` tasks, at most half (rounded up): moves real, leaves steal. Returns how many. */
static uint32_t claim(struct rota__deque *from, uint32_t most, uint64_t *ret_head)
{
	uint64_t head = rota__load(&from->head, ACQUIRE);
	uint64_t next;
	uint32_t n;

	do {
		uint32_t real = real_of(head);

		n = rota__load(&from->tail, ACQUIRE) - real; /* partner: the RELEASE in push */
		if (steal_of(head) != real || n > ROTA__DEQUE_CAPACITY)
			return 0; /* another thief; or head moved on between the two loads: the CAS would fail */
		n -= n / 2;
		if (n > most)
			n = most;
		if (n == 0)
			return 0;
		next = pack(real, real + n);
	} while (!rota__cas(&from->head, &head, next, ACQ_REL));
	*ret_head = next;
	return n;
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
	uint32_t tail = rota__load(&into->tail, RELAXED); /* the caller owns it */
	uint32_t room = ROTA__DEQUE_CAPACITY - (tail - steal_of(rota__load(&into->head, ACQUIRE)));
	uint64_t head;
	uint32_t n = claim(from, room < MASK / 2 ? room : MASK / 2, &head);

	if (n == 0)
		return NULL;
	uint32_t first = steal_of(head);
	for (uint32_t i = 0; i + 1 < n; i++)
		slot_set(into, tail + i, slot_get(from, first + i));
	rota_task *last = slot_get(from, first + n - 1);
	release(from, head);
	if (n > 1)
		rota__store(&into->tail, tail + n - 1, RELEASE); /* partner: the next thief */
	*ret_moved = n;
	return last;
}
