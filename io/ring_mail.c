/* SPDX-License-Identifier: MIT */
/*
 * What waits to become an entry of a ring: the mail that other threads (and completions) leave, the backlog that found the
 * submission queue full, and closes of descriptors that the ring has operations on.
 */
#include "ring_parts_internal.h"

#include <errno.h>

#include "../runtime/slot_internal.h"

/* --- closing (closing_internal.h) ------------------------------------------------------------------------------- */

void rota__ring_set_closing(struct rota__ring *ring, struct rota__closing *closing)
{
	ring->closing = closing;
	ring->closing_seen = rota__load(&closing->sequence, ACQUIRE);
	ring->rescuer_seen = ring->closing_seen;
}

static void go_on_closing(struct rota_op *closer)
{
	while (closer != NULL) {
		struct rota__ring *to = rota__load(&closer->carrier_, RELAXED); /* who waits has it constant */
		struct rota_op *next = closer->backlog_next_;

		rota__ring_mail(to, closer, ROTA__MAIL_SUBMIT);
		rota__ring_wake(to);
		closer = next;
	}
}

void rota__ring_closing_leave(struct rota__ring *ring, const struct rota_op *op)
{
	if (ring->closing != NULL)
		go_on_closing(rota__closing_leave(ring->closing, op));
}

void rota__ring_call_end(struct rota__ring *ring, int fd)
{
	go_on_closing(rota__closing_call_end(ring->closing, fd));
}

bool rota__ring_closes_unseen(const struct rota__ring *ring)
{
	/* partner: the RELEASE in rota__closing_begin */
	return ring->closing != NULL && rota__load(&ring->closing->sequence, ACQUIRE) != ring->closing_seen;
}

static bool put_cancel_of_all(struct rota__ring *ring, int fd)
{
	struct io_uring_sqe *sqe = rota__ring_entry(ring);

	if (sqe == NULL)
		return false;
	io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
	sqe->user_data = ROTA__DATA_IGNORE;
	rota__ring_publish(ring);
	return true;
}

bool rota__ring_cancel_listed(struct rota__ring *ring, struct rota_op *op)
{
	bool ends;

	rota__slot_take(&op->state_);
	ends = op->cancelled_ || rota__ring_is_closing(ring, op);
	if (ends)
		rota__ring_mail_cancel(ring, op);
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
	return ends;
}

void rota__ring_cancel_pairs(struct rota__ring *ring, int fd)
{
	rota__spin_lock(&ring->pairs.lock);
	for (struct rota_op *op = rota__pairs_polls(&ring->pairs, fd); op != NULL; op = rota__pairs_next(op)) {
		if (rota__op_is_about(op, fd))
			rota__ring_cancel_listed(ring, op);
	}
	rota__spin_unlock(&ring->pairs.lock);
}

void rota__ring_cancel_for_closes(struct rota__ring *ring)
{
	while (rota__ring_closes_unseen(ring)) {
		uint32_t seen = ring->closing_seen;
		const int fd = rota__closing_next(ring->closing, &seen);

		if (fd >= 0 && !put_cancel_of_all(ring, fd))
			return; /* again in the next turn */
		if (fd >= 0) {
			rota__ring_cancel_pairs(ring, fd);
			rota__ring_cancel_elsewhere(ring);
		}
		ring->closing_seen = seen;
	}
}

/* --- the backlog -------------------------------------------------------------------------------------------------- */

void rota__ring_submit(struct rota__ring *ring, struct rota_op *op)
{
	if (ring->backlog_first == NULL && rota__ring_put_op(ring, op))
		return;
	rota__store(&ring->backlogged, 1, RELAXED); /* a hint: all_submitted in ring_rescue.c */
	op->backlog_next_ = NULL;
	if (ring->backlog_last != NULL)
		ring->backlog_last->backlog_next_ = op;
	else
		ring->backlog_first = op;
	ring->backlog_last = op;
}

/* An operation that the kernel does not hold ends. Its slot is taken. */
static void end_here(struct rota__ring *ring, struct rota_op *op, int result)
{
	struct rota__wake_batch batch;

	ring->ended_here++;
	rota__ring_closing_leave(ring, op);
	op->future.status = result;
	rota__wake_batch_init(&batch);
	rota__slot_fire_taken(&op->state_, &op->waker_, &batch);
	rota__wake_batch_submit(&batch);
}

/* Whether the operation waits in the backlog; takes it out. */
static bool leave_backlog(struct rota__ring *ring, struct rota_op *op)
{
	struct rota_op *before = NULL;

	for (struct rota_op *at = ring->backlog_first; at != NULL; before = at, at = at->backlog_next_) {
		if (at != op)
			continue;
		if (before != NULL)
			before->backlog_next_ = op->backlog_next_;
		else
			ring->backlog_first = op->backlog_next_;
		if (ring->backlog_last == op)
			ring->backlog_last = before;
		return true;
	}
	return false;
}

void rota__ring_submit_backlog(struct rota__ring *ring)
{
	if (ring->backlog_first == NULL)
		return;
	while (ring->backlog_first != NULL) {
		struct rota_op *op = ring->backlog_first;
		struct rota_op *next = op->backlog_next_;
		const bool ends = rota__ring_is_closing(ring, op);

		if (!ends && !rota__ring_put_op(ring, op))
			return;
		ring->backlog_first = next;
		if (next == NULL)
			ring->backlog_last = NULL;
		if (ends) {
			rota__slot_take(&op->state_);
			end_here(ring, op, -ECANCELED);
		}
	}
	rota__store(&ring->backlogged, 0, RELAXED);
}

/* --- the mailbox ---------------------------------------------------------------------------------------------- */

void rota__ring_mail(struct rota__ring *ring, struct rota_op *op, enum rota__op_mail mail)
{
	void *head = rota__load(&ring->mail, RELAXED);

	op->mail_ = (uint8_t)mail;
	do {
		op->mail_next_ = head;
	} while (!rota__cas(&ring->mail, &head, op, RELEASE)); /* partner: the swap in take_mail */
}

bool rota__ring_mail_cancel(struct rota__ring *ring, struct rota_op *op)
{
	if (op->mail_ != ROTA__MAIL_NONE)
		return false;
	rota__ring_mail(ring, op, ROTA__MAIL_CANCEL);
	return true;
}

/* An operation that was in the mailbox cannot have fired: its slot can be taken. */
static void open_letter(struct rota__ring *ring, struct rota_op *op)
{
	enum rota__op_mail mail;

	rota__slot_take(&op->state_);
	mail = (enum rota__op_mail)op->mail_;
	op->mail_ = ROTA__MAIL_NONE;
	if ((op->cancelled_ || rota__ring_is_closing(ring, op)) &&
	    (mail != ROTA__MAIL_CANCEL || leave_backlog(ring, op))) {
		end_here(ring, op, -ECANCELED);
		return;
	}
	if (mail == ROTA__MAIL_CANCEL) {
		if (!rota__ring_put_cancel(ring, op))
			rota__ring_mail(ring, op, mail); /* no entry: again in the next turn */
		else if (op->elsewhere_)
			rota__elsewhere_doubt(&ring->elsewhere);
	} else {
		if (mail == ROTA__MAIL_POLL)
			op->polling_ = ROTA__POLL_NOW;
		else if (op->polling_ != ROTA__POLL_NEVER)
			op->polling_ = ROTA__POLL_DONE;
		rota__ring_submit(ring, op);
	}
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
}

void rota__ring_take_mail(struct rota__ring *ring)
{
	struct rota_op *op;

	if (!rota__ring_has_mail(ring))
		return;
	op = rota__swap(&ring->mail, NULL, ACQUIRE); /* partner: rota__ring_mail */
	while (op != NULL) {
		struct rota_op *next = op->mail_next_;

		open_letter(ring, op);
		op = next;
	}
}
