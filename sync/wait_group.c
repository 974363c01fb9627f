/* SPDX-License-Identifier: MIT */
/*
 * The protocol. `state_` is a busy word (busy_internal.h) that holds the count. To add, and to be done while others are
 * not, is one change of it. Who brings the count to zero while somebody waits begins the next generation and grants all
 * of the former; when these are more than one batch of wakes, those that are left stay queued until they are granted
 * (waitlist_internal.h). So giving BUSY back after the last grant is its last touch of the group.
 */
#include "wait_group.h"

#include <errno.h>

#include "../runtime/await_internal.h"
#include "busy_internal.h"
#include "misuse_internal.h"

#define ONE ((uint64_t)1 << ROTA__BUSY_BITS)

void rota_wait_group_init(struct rota_wait_group *g)
{
	*g = (struct rota_wait_group)ROTA_WAIT_GROUP_INIT;
}

int rota_wait_group_deinit(struct rota_wait_group *g)
{
	if (rota__load(&g->state_, RELAXED) & ROTA__WAITERS) /* who ends it is alone with it */
		return rota__sync_misuse("rota_wait_group_deinit while somebody waits", -EBUSY);
	return 0;
}

static bool has_room(uint64_t state, uint32_t n)
{
	return (rota__word_own(state) >> ROTA__BUSY_BITS) + n <= ROTA_WAIT_GROUP_MAX;
}

int rota_wait_group_add(struct rota_wait_group *g, uint32_t n)
{
	uint64_t state = rota__load(&g->state_, RELAXED);
	bool room = has_room(state, n);

	while (!(state & ROTA__BUSY) && room) {
		if (rota__word_cas(&g->state_, &state, state + n * ONE, RELAXED)) /* whoever spawns orders it */
			return 0;
		room = has_room(state, n);
	}
	if (state & ROTA__BUSY) {
		state = rota__busy_take(&g->state_);
		room = has_room(state, n);
		rota__busy_give(&g->state_, room ? state + n * ONE : state, &g->waiters_);
	}
	return room ? 0 : rota__sync_misuse("rota_wait_group_add: more than ROTA_WAIT_GROUP_MAX", -EOVERFLOW);
}

/* Holds BUSY since `state` was read; the count is zero there. */
static void wake_all(struct rota_wait_group *g, uint64_t state)
{
	struct rota__wake_batch batch;
	uint32_t generation = ++g->generation_;
	bool more;

	rota__wake_batch_init(&batch);
	for (;;) {
		more = rota__waitlist_grant_older(&g->waiters_, generation, &batch);
		rota__busy_give(&g->state_, state, &g->waiters_);
		rota__wake_batch_submit(&batch);
		if (!more)
			return;
		state = rota__busy_take(&g->state_);
	}
}

int rota_wait_group_done(struct rota_wait_group *g)
{
	uint64_t state = rota__load(&g->state_, RELAXED);

	/* RELEASE, partner: the ACQUIRE of a wait. What each of them has done is seen, since all are rmw of one word. */
	while (!(state & ROTA__BUSY) && rota__word_own(state) >= (state & ROTA__WAITERS ? 2 * ONE : ONE)) {
		if (rota__word_cas(&g->state_, &state, state - ONE, RELEASE))
			return 0;
	}
	state = rota__busy_take(&g->state_);
	if (rota__word_own(state) < ONE) {
		rota__busy_give(&g->state_, state, &g->waiters_);
		return rota__sync_misuse("rota_wait_group_done: nothing is under way", -EINVAL);
	}
	if (rota__word_own(state) < 2 * ONE)
		wake_all(g, state - ONE);
	else
		rota__busy_give(&g->state_, state - ONE, &g->waiters_);
	return 0;
}

uint32_t rota_wait_group_count(struct rota_wait_group *g)
{
	return (uint32_t)(rota__word_own(rota__load(&g->state_, RELAXED)) >>
			  ROTA__BUSY_BITS); /* may be old when it is read */
}

static struct rota_wait_group_op *op_of(struct rota_future *future)
{
	return (struct rota_wait_group_op *)(void *)future;
}

static rota_poll wait_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_wait_group_op *op = op_of(self);
	struct rota_wait_group *g = op->group_;
	struct rota_waiter *waiter = &op->waiter_;
	const bool cancelled = rota__future_cancel_noted(self);
	const bool first = rota__load(&waiter->state_, RELAXED) == ROTA__WAITER_IDLE; /* its own doing */
	rota_poll ready = ROTA_READY;
	uint64_t state;

	if (rota__busy_served(&g->state_, waiter)) {
		self->status = 0;
		return ROTA_READY;
	}
	/* ACQUIRE, partner: done. The group may end as soon as this returns, so nothing is touched after it. */
	if (first && (cancelled || rota__word_own(rota__load(&g->state_, ACQUIRE)) < ONE))
		return ROTA_READY;
	state = rota__busy_take(&g->state_);
	if (rota__waiter_granted(waiter)) {
		self->status = 0;
	} else if (rota__waiter_queued(waiter) && cancelled && waiter->tag_ == g->generation_) {
		rota__waitlist_remove(&g->waiters_, waiter);
	} else if (rota__waiter_queued(waiter) || rota__word_own(state) >= ONE) {
		if (!rota__waiter_queued(waiter))
			waiter->tag_ = g->generation_;
		rota__waitlist_wait(&g->waiters_, waiter, cx->waker, false);
		ready = ROTA_PENDING;
	}
	rota__busy_give(&g->state_, state, &g->waiters_);
	return ready;
}

static const struct rota_future_ops wait_ops = { wait_poll, rota__future_note_cancel, "wait group" };

void rota_wait_group_wait_init(struct rota_wait_group_op *op, struct rota_wait_group *g)
{
	rota_future_init(&op->future, &wait_ops);
	op->group_ = g;
	rota__waiter_init(&op->waiter_);
}

int rota_wait_group_wait(struct rota_wait_group *g)
{
	struct rota_wait_group_op op;

	rota_wait_group_wait_init(&op, g);
	return rota__await_own(&op.future, &wait_ops);
}
