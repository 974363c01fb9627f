/* SPDX-License-Identifier: MIT */
/*
 * Lists in which operations of the epoll back end wait. Each has a lock, its owner's, that is held in all calls below.
 *
 * The owner of an operation leaves it there; who takes it out ends the wait, once: then it is its owner's again, who may be
 * gone with it as soon as the slot has fired. Locks are taken in this order: list, slot.
 */
#ifndef ROTA_IO_OP_LIST_INTERNAL_H
#define ROTA_IO_OP_LIST_INTERNAL_H

#include "../runtime/slot_internal.h"
#include "op_internal.h"

/* mail_ of an operation of this back end: where it was left. */
enum rota__op_place {
	ROTA__PLACE_NONE,
	ROTA__PLACE_DESCRIPTOR,
	ROTA__PLACE_NAP,
	ROTA__PLACE_POOL,
	ROTA__PLACE_LONG_CALL, /* the same, and its call may wait for ever (interrupt_internal.h) */
	ROTA__PLACE_BESIDE,    /* the same, for a thread beside the pool */
	ROTA__PLACE_CLOSE,     /* a close, until the calls that it has cut off are over */
};

/* Linked by mail_next_ and backlog_next_. An operation that is in no list points to itself. */
struct rota__op_list {
	struct rota_op *first, *last;
};

static inline bool rota__op_is_listed(const struct rota_op *op)
{
	return op->mail_next_ != op;
}

static inline void rota__op_list_add(struct rota__op_list *list, struct rota_op *op)
{
	op->mail_next_ = NULL;
	op->backlog_next_ = list->last; /* the one before */
	if (list->last != NULL)
		list->last->mail_next_ = op;
	else
		list->first = op;
	list->last = op;
}

static inline void rota__op_list_remove(struct rota__op_list *list, struct rota_op *op)
{
	if (op->backlog_next_ != NULL)
		op->backlog_next_->mail_next_ = op->mail_next_;
	else
		list->first = op->mail_next_;
	if (op->mail_next_ != NULL)
		op->mail_next_->backlog_next_ = op->backlog_next_;
	else
		list->last = op->backlog_next_;
	op->mail_next_ = op;
}

/* The owner leaves the operation: whoever finds it in the list may fire its slot. Without a list: whoever is told. */
static inline void rota__op_list_leave(struct rota__op_list *list, struct rota_op *op, enum rota__op_place place,
				       const struct rota_waker *waker)
{
	rota__waker_hold(&op->waker_, waker);
	op->mail_ = (uint8_t)place;
	if (list != NULL)
		rota__op_list_add(list, op);
	else
		op->mail_next_ = op;
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
}

/* And takes it back: it could not be left after all. */
static inline void rota__op_list_take_back(struct rota__op_list *list, struct rota_op *op)
{
	rota__op_list_remove(list, op);
	rota__slot_disarm(&op->state_, &op->waker_);
}

/* Fires an operation that was taken out. */
static inline void rota__op_fire(struct rota_op *op, int result, struct rota__wake_batch *batch)
{
	rota__slot_take(&op->state_);
	op->future.status = result;
	rota__slot_fire_taken(&op->state_, &op->waker_, batch);
}

/* Takes it out and fires. */
static inline void rota__op_list_end(struct rota__op_list *list, struct rota_op *op, int result,
				     struct rota__wake_batch *batch)
{
	rota__op_list_remove(list, op);
	rota__op_fire(op, result, batch);
}

#endif
