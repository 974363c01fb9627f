/* SPDX-License-Identifier: MIT */
/*
 * In the place of an owner that is stuck, on the reactor's thread: submits, cancels, and reaps. Only the owner fills entries
 * in, so what has to be submitted again goes to the reactor's ring.
 */
#include "ring_parts_internal.h"

#include <errno.h>

#include "../runtime/slot_internal.h"
#include "sys_internal.h"

/* Whether the kernel has all that the owner has begun: only then can a cancel from another thread find it. */
static bool all_submitted(const struct rota__ring *ring)
{
	return !rota__load(&ring->entered, RELAXED) && !rota__load(&ring->backlogged, RELAXED) &&
	       rota__ring_unconsumed(ring) == 0;
}

/* As rota__ring_cancel_for_closes, by the rescuer. */
static void cancel_for_closes_of(struct rota__ring *ring)
{
	if (ring->closing == NULL || !all_submitted(ring))
		return;
	/* partner: the RELEASE in rota__closing_begin */
	while (rota__load(&ring->closing->sequence, ACQUIRE) != ring->rescuer_seen) {
		const int fd = rota__closing_next(ring->closing, &ring->rescuer_seen);

		if (fd < 0)
			continue;
		rota__sys_cancel_for(&ring->uring, 0, fd);
		rota__ring_cancel_pairs(ring, fd);
		rota__ring_cancel_elsewhere(ring);
	}
}

/* A cancel in the owner's place. false: it is left to the owner, who may hold the operation in its backlog, or has not
 * submitted it yet. */
static bool cancel_for(struct rota__ring *ring, struct rota_op *op)
{
	int rc;

	if (!all_submitted(ring))
		return false;
	rc = rota__sys_cancel_for(&ring->uring, (uintptr_t)op, -1);
	return rc == 0 || rc == -ENOENT || rc == -EALREADY || rc == -ETIME;
}

/* As open_letter, by the rescuer: what is to be submitted becomes its own. While the letter is not done with, the
 * operation cannot end, so that a cancel by its address means no other. */
static void forward_letter(struct rota__ring *ring, struct rota_op *op, struct rota__reaping *reaping)
{
	const enum rota__op_mail mail = (enum rota__op_mail)op->mail_;
	const bool told = mail == ROTA__MAIL_CANCEL && cancel_for(ring, op);

	rota__slot_take(&op->state_);
	op->mail_ = ROTA__MAIL_NONE;
	if (mail == ROTA__MAIL_CANCEL) {
		if (!told)
			rota__ring_mail(ring, op, mail);
		else if (op->elsewhere_)
			rota__elsewhere_doubt(&ring->elsewhere);
	} else if (op->cancelled_ || rota__ring_is_closing(ring, op)) {
		rota__ring_closing_leave(ring, op);
		op->future.status = -ECANCELED;
		rota__slot_fire_taken(&op->state_, &op->waker_, &reaping->batch);
		reaping->ended++;
		return;
	} else if (!rota__ring_may_move(op)) {
		rota__ring_mail(ring, op, mail);
	} else {
		rota__store(&op->carrier_, reaping->rescuer, RELAXED); /* under the slot */
		rota__ring_mail(reaping->rescuer, op, mail);
	}
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
}

static void forward_mail(struct rota__ring *ring, struct rota__reaping *reaping)
{
	struct rota_op *op;

	if (reaping->rescuer == NULL || !rota__ring_has_mail(ring))
		return;
	rota__wake_batch_init(&reaping->batch);
	op = rota__swap(&ring->mail, NULL, ACQUIRE); /* partner: rota__ring_mail */
	while (op != NULL) {
		struct rota_op *next = op->mail_next_;

		forward_letter(ring, op, reaping);
		if (rota__wake_batch_full(&reaping->batch))
			rota__wake_batch_submit(&reaping->batch);
		op = next;
	}
	rota__wake_batch_submit(&reaping->batch);
}

/* While the owner is in the kernel this would wait there for the ring's lock: then it is left to the next look. */
static void enter_for(struct rota__ring *ring, unsigned submit, unsigned flags)
{
	if (!rota__load(&ring->entered, RELAXED))
		rota__sys_enter_for(&ring->uring, submit, flags);
}

unsigned rota__ring_rescue(struct rota__ring *ring, struct rota__ring *rescuer)
{
	struct rota__reaping reaping = { .rescue = true, .rescuer = rescuer };
	const unsigned left = rota__ring_unconsumed(ring);

	/* What the owner has not submitted yet: the requests are then those of the calling thread. */
	if (left > 0)
		enter_for(ring, left, 0);
	cancel_for_closes_of(ring);
	forward_mail(ring, &reaping);
	if (rota__ring_has_news(ring))
		rota__sys_nudge_threads();
	rota__ring_reap(ring, &reaping);
	if (rota__ring_overflown(ring)) { /* there is room now for what the kernel has kept back */
		enter_for(ring, 0, IORING_ENTER_GETEVENTS);
		rota__ring_reap(ring, &reaping);
	}
	/* The owner may be about to park, without having seen what was taken, or left, here. */
	if (reaping.owner_needed || rota__ring_has_mail(ring) || rota__elsewhere_is_due(&ring->elsewhere))
		rota__ring_wake(ring);
	return reaping.ended;
}
