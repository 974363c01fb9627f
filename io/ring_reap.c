/* SPDX-License-Identifier: MIT */
/* Completions, and what each means for its operation. */
#include "ring_parts_internal.h"

#include "../runtime/slot_internal.h"
#include "fd_hint_internal.h"
#include "multishot_internal.h"

static bool take_result(struct rota__ring *ring, struct rota_op *op, int *res, unsigned flags, bool last)
{
	if (op->more_ == ROTA__MORE_RECV)
		return rota__recv_stream_take(op, ring->buffers, res, flags, last);
	return rota__accept_stream_take(op, res, last);
}

/* One of a poll for changes: the first that brings what was asked for ends it. */
static void note_events(struct rota__ring *ring, struct rota_op *op, int events, struct rota__reaping *reaping)
{
	if (events <= 0 || rota__op_asked_events(op, events) == 0)
		return;
	op->future.status = events;
	reaping->owner_needed |= rota__ring_mail_cancel(ring, op);
}

/* A completion after which others come; the slot is taken. */
static void complete_in_part(struct rota__ring *ring, struct rota_op *op, const struct io_uring_cqe *cqe,
			     struct rota__reaping *reaping)
{
	if (op->changes_) {
		note_events(ring, op, cqe->res, reaping);
		return;
	}
	op->future.status = cqe->res;
	if (!rota__op_is_multishot(op))
		return;
	if (take_result(ring, op, &op->future.status, cqe->flags, false) && !op->cancelled_ &&
	    rota__ring_mail_cancel(ring, op)) {
		op->cancelled_ = 1; /* enough for now */
		reaping->owner_needed = true;
	}
	if (op->waker_.ops != NULL) {
		rota__wake_batch_add(&reaping->batch, &op->waker_);
		op->waker_.ops = NULL;
	}
}

/* Whether the next receive is likely to find something: this one has left some, or had hardly to wait. Somebody who reaps in
 * the owner's place does not know of its turns. */
static void learn_ready(const struct rota__ring *ring, const struct rota_op *op, const struct io_uring_cqe *cqe,
			bool rescue)
{
	const bool unread = (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;

	if (op->opcode_ == IORING_OP_RECV && cqe->res > 0)
		rota__fd_hint(&rota__fd_ready, op->fd_, unread || (!rescue && op->turn_ == ring->turn));
}

static bool sends(const struct rota_op *op)
{
	return op->opcode_ == IORING_OP_SEND || op->opcode_ == IORING_OP_SENDMSG || op->opcode_ == ROTA__OP_SEND_ZC ||
	       op->opcode_ == ROTA__OP_SENDMSG_ZC;
}

/* Who waited for a send goes behind those who have received something. Most likely it waits for an answer next, which one of
 * them may be about to send: then it is there already when the receive is submitted, and nothing has to be armed for it. */
static struct rota__wake_batch *batch_of(struct rota__reaping *reaping, const struct rota_op *op)
{
	return sends(op) ? &reaping->sent : &reaping->batch;
}

/* What a completion means for its operation. Returns false when the operation still lies in the mailbox: then the
 * completion has to wait until the owner has taken it out. */
static bool complete(struct rota__ring *ring, struct rota_op *op, const struct io_uring_cqe *cqe,
		     struct rota__reaping *reaping)
{
	enum rota__op_mail again;
	int res = cqe->res;

	if (op->pair_ && !(cqe->flags & IORING_CQE_F_MORE))
		rota__pairs_remove(&ring->pairs, op); /* also if it has to wait, and is met again */
	if (op->elsewhere_)
		rota__elsewhere_remove(&ring->elsewhere, op); /* whose completions are all the last one */
	rota__slot_take(&op->state_);
	if (cqe->flags & IORING_CQE_F_MORE) { /* the kernel keeps the operation */
		complete_in_part(ring, op, cqe, reaping);
		rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE);
		return true;
	}
	if (op->mail_ != ROTA__MAIL_NONE) {
		rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE);
		return false;
	}
	if (cqe->flags & IORING_CQE_F_NOTIF)
		res = op->future.status;
	if (rota__op_is_multishot(op))
		take_result(ring, op, &res, cqe->flags, true);
	learn_ready(ring, op, cqe, reaping->rescue);
	again = rota__op_again(op, &res);
	if (again != ROTA__MAIL_NONE && !op->cancelled_) { /* who opens the letter sees whether it is being closed */
		if (reaping->rescuer != NULL && rota__ring_may_move(op)) {
			ring = reaping->rescuer;
			rota__store(&op->carrier_, ring, RELAXED); /* under the slot */
		} else {
			reaping->owner_needed = true;
		}
		rota__ring_mail(ring, op, again);
		rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE);
		return true;
	}
	rota__ring_closing_leave(ring, op);
	op->future.status = again != ROTA__MAIL_NONE ? -ECANCELED : res;
	rota__slot_fire_taken(&op->state_, &op->waker_, batch_of(reaping, op));
	reaping->ended++;
	return true;
}

/* false: it has to wait for the owner, who alone can arm the poll again. */
static bool woken(struct rota__ring *ring, const struct io_uring_cqe *cqe, struct rota__reaping *reaping)
{
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		if (reaping->rescue)
			return false;
		rota__store(&ring->wake_armed, 0, RELAXED); /* the owner's */
	}
	rota__swap(&ring->notified, 0, ACQ_REL); /* partner: the swap in rota__ring_wake */
	reaping->owner_needed = true;
	return true;
}

static bool full(const struct rota__reaping *reaping)
{
	return rota__wake_batch_full(&reaping->batch) || rota__wake_batch_full(&reaping->sent);
}

/* Takes completions until there is none, the batch is full, or one has to wait. With cq_lock held. Returns whether to
 * come again. */
static bool reap_batch(struct rota__ring *ring, struct rota__reaping *reaping)
{
	struct io_uring_cq *cq = &ring->uring.cq;
	unsigned head = *cq->khead;
	const unsigned tail = io_uring_smp_load_acquire(cq->ktail);
	bool taken = true;

	/* What the owner still read of an operation when it put it in came before its completion, by way of the kernel, of
	 * which C knows nothing. Partner: rota__ring_publish. */
	if (reaping->rescue)
		(void)io_uring_smp_load_acquire(ring->uring.sq.ktail);
	for (; head != tail && !full(reaping); head++) {
		const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];

		if (cqe->user_data == ROTA__DATA_WAKE)
			taken = woken(ring, cqe, reaping);
		else if (cqe->user_data == ROTA__DATA_PAUSE)
			rota__elsewhere_pause_over(&ring->elsewhere); /* a rescuer wakes the owner for it */
		else if (cqe->user_data != ROTA__DATA_IGNORE)
			taken = complete(ring, (struct rota_op *)(uintptr_t)cqe->user_data, cqe, reaping);
		if (!taken)
			break;
	}
	io_uring_smp_store_release(cq->khead, head);
	return full(reaping);
}

void rota__ring_reap(struct rota__ring *ring, struct rota__reaping *reaping)
{
	bool more = true;

	rota__wake_batch_init(&reaping->batch);
	rota__wake_batch_init(&reaping->sent);
	while (more && rota__ring_completed(ring)) {
		if (!rota__spin_trylock(&ring->cq_lock))
			break; /* the other one takes them */
		more = reap_batch(ring, reaping);
		rota__spin_unlock(&ring->cq_lock);
		rota__wake_batch_submit_ahead(&reaping->batch, &reaping->sent);
	}
}
