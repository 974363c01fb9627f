/* SPDX-License-Identifier: MIT */
/*
 * Splices that the kernel has, for the sake of closes. Each is made by a thread of the kernel's, where a cancel by descriptor
 * finds it only once it has begun, and never by the side that it reads from. So a ring lists them, from before the entry is
 * published until there is a completion, and a close has those that are about its descriptor cancelled by address.
 *
 * Such a cancel goes by mail, as all do: while the letter is out the operation cannot end. What is in the list cannot end
 * either before it was taken out. Order of locks: list, then the slot of what is listed.
 */
#include <stddef.h>

#include "../runtime/slot_internal.h"
#include "file.h"
#include "ring_parts_internal.h"

/* The one before it in the list; itself: it is in none. Every splice is part of a pooled operation, which no pool has now. */
static struct rota_op **before(struct rota_op *op)
{
	return &((struct rota_pooled_op *)(void *)((char *)op - offsetof(struct rota_pooled_op, op_)))->before_;
}

void rota__ring_splice_begins(struct rota__ring *ring, struct rota_op *op)
{
	rota__spin_lock(&ring->splices_lock);
	*before(op) = NULL;
	op->backlog_next_ = ring->splices;
	if (op->backlog_next_ != NULL)
		*before(op->backlog_next_) = op;
	ring->splices = op;
	rota__spin_unlock(&ring->splices_lock);
}

static void take_out(struct rota__ring *ring, struct rota_op *op)
{
	struct rota_op *last = *before(op), *next = op->backlog_next_;

	if (last != NULL)
		last->backlog_next_ = next;
	else
		ring->splices = next;
	if (next != NULL)
		*before(next) = last;
	*before(op) = op;
}

void rota__ring_splice_ended(struct rota__ring *ring, struct rota_op *op)
{
	rota__spin_lock(&ring->splices_lock);
	if (*before(op) != op)
		take_out(ring, op);
	rota__spin_unlock(&ring->splices_lock);
}

void rota__ring_cancel_splices(struct rota__ring *ring, int fd)
{
	rota__spin_lock(&ring->splices_lock);
	for (struct rota_op *op = ring->splices; op != NULL; op = op->backlog_next_) {
		if (!rota__op_is_about(op, fd))
			continue;
		rota__slot_take(&op->state_);
		if (op->mail_ == ROTA__MAIL_NONE)
			rota__ring_mail(ring, op, ROTA__MAIL_CANCEL);
		rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
	}
	rota__spin_unlock(&ring->splices_lock);
}
