/* SPDX-License-Identifier: MIT */
#include "elsewhere_internal.h"

#include "ring_parts_internal.h"

#define PAUSE_FIRST_NS 1000000
#define LOOKS_MOST 6u

/* Many are on stacks, and those begin at like addresses. */
static struct rota_op **list_of(struct rota__elsewhere *elsewhere, const struct rota_op *op)
{
	const uint32_t mixed = (uint32_t)((uintptr_t)op >> 4) * 2654435761u;

	return &elsewhere->lists[mixed >> 16 & (ROTA__ELSEWHERE_LISTS - 1)];
}

void rota__elsewhere_add(struct rota__elsewhere *elsewhere, struct rota_op *op)
{
	struct rota_op **first = list_of(elsewhere, op);

	rota__spin_lock(&elsewhere->lock);
	op->backlog_next_ = *first;
	*first = op;
	rota__spin_unlock(&elsewhere->lock);
}

void rota__elsewhere_remove(struct rota__elsewhere *elsewhere, struct rota_op *op)
{
	struct rota_op **link = list_of(elsewhere, op);

	rota__spin_lock(&elsewhere->lock);
	while (*link != NULL && *link != op)
		link = &(*link)->backlog_next_;
	if (*link != NULL)
		*link = op->backlog_next_;
	elsewhere->looks = 0;
	rota__spin_unlock(&elsewhere->lock);
}

void rota__ring_cancel_elsewhere(struct rota__ring *ring)
{
	struct rota__elsewhere *elsewhere = &ring->elsewhere;
	bool any = false;

	rota__spin_lock(&elsewhere->lock);
	for (unsigned i = 0; i < ROTA__ELSEWHERE_LISTS; i++) {
		for (struct rota_op *op = elsewhere->lists[i]; op != NULL; op = op->backlog_next_)
			any |= rota__ring_cancel_listed(ring, op);
	}
	elsewhere->looks += any;
	rota__spin_unlock(&elsewhere->lock);
}

void rota__ring_repeat_cancels(struct rota__ring *ring)
{
	struct rota__elsewhere *elsewhere = &ring->elsewhere;

	if (rota__load(&elsewhere->state, RELAXED) < ROTA__ELSEWHERE_PAUSED)
		return;
	/* Who doubted before this has marked what is to end before it did: partner: rota__elsewhere_doubt. What is found makes
	 * the owner doubt anew when its letter is opened. */
	rota__fetch_and(&elsewhere->state, (uint32_t) ~(ROTA__ELSEWHERE_PAUSED | ROTA__ELSEWHERE_DOUBTED), ACQ_REL);
	rota__ring_cancel_elsewhere(ring);
}

void rota__ring_pause_cancels(struct rota__ring *ring)
{
	struct rota__elsewhere *elsewhere = &ring->elsewhere;
	unsigned looks;

	if (rota__load(&elsewhere->state, RELAXED) != ROTA__ELSEWHERE_DOUBTED)
		return;
	rota__spin_lock(&elsewhere->lock);
	looks = elsewhere->looks;
	rota__spin_unlock(&elsewhere->lock);
	elsewhere->pause.tv_nsec = (long long)PAUSE_FIRST_NS << (looks < LOOKS_MOST ? looks : LOOKS_MOST);
	/* Before it begins, since a rescuer may see its end. */
	rota__fetch_or(&elsewhere->state, ROTA__ELSEWHERE_PAUSE, RELAXED);
	if (!rota__ring_put_pause(ring, &elsewhere->pause))
		rota__fetch_and(&elsewhere->state, (uint32_t)~ROTA__ELSEWHERE_PAUSE,
				RELAXED); /* again in the next turn */
}
