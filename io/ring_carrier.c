/* SPDX-License-Identifier: MIT */
/* A ring carries operations: a worker's own, or the reactor's for other threads of a runtime. */
#include <errno.h>

#include "../runtime/runtime_internal.h"
#include "../runtime/slot_internal.h"
#include "ring_internal.h"
#include "sys_internal.h"

static struct rota__ring *ring_of(struct rota__carrier *carrier)
{
	return (struct rota__ring *)(void *)carrier;
}

static void wake_all(rota_runtime *rt)
{
	for (unsigned i = 0; i < rota__worker_total(rt); i++)
		rota__ring_wake(rt->workers[i].io);
	rota__ring_wake(rt->io);
}

static rota_poll ring_start(struct rota__carrier *carrier, struct rota_op *op, const struct rota_waker *waker)
{
	struct rota__ring *ring = ring_of(carrier);
	struct rota__worker *worker = rota__worker_self();

	rota__store(&op->carrier_, ring, RELAXED);
	if (!rota__op_can_move(op))
		return ROTA_READY;
	if (!rota__closing_enter(ring->closing, op)) {
		rota__ring_closing_leave(ring, op);
		op->future.status = -ECANCELED;
		return ROTA_READY;
	}
	rota__op_note_position(op);
	if (op->positioned_ && op->stage_ != ROTA__OP_NEXT)
		op->closes_ = rota__fd_closes(op->fd_);
	rota__waker_hold(&op->waker_, waker);
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take, should the reactor reap it */
	if (worker != NULL)
		rota__worker_submits(worker);
	if (op->opcode_ == IORING_OP_CLOSE && rota__closing_begin(ring->closing, op)) {
		wake_all(rota__runtime_self());
	} else if (worker != NULL) {
		rota__ring_submit(ring, op);
		rota__ring_submit_files(ring);
	} else {
		rota__ring_mail(ring, op, ROTA__MAIL_SUBMIT);
		rota__ring_wake(ring);
	}
	return ROTA_PENDING;
}

/* Never: rings fire with results only. */
static rota_poll ring_resume(struct rota_op *op, const struct rota_waker *waker)
{
	(void)op;
	(void)waker;
	return ROTA_READY;
}

static void ring_cancel(struct rota_op *op)
{
	struct rota__worker *worker = rota__worker_self();
	struct rota__ring *ring;
	bool mailed = false;

	if (rota__slot_take(&op->state_) == ROTA__SLOT_FIRED)
		return;
	ring = rota__load(&op->carrier_, RELAXED);               /* under the slot, as the opcode */
	if (!op->cancelled_ && op->opcode_ != IORING_OP_CLOSE) { /* that one is made, and does not take long */
		op->cancelled_ = 1;
		mailed = rota__ring_mail_cancel(ring, op);
	}
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
	if (!mailed)
		return;
	if (worker != NULL && worker->io == ring)
		rota__worker_submits(worker);
	else
		rota__ring_wake(ring);
}

static bool ring_call_begin(struct rota__carrier *carrier, int fd, uint16_t closes)
{
	if (rota__closing_call_begin(ring_of(carrier)->closing, fd, closes))
		return true;
	rota__ring_call_end(ring_of(carrier), fd);
	return false;
}

static void ring_call_end(struct rota__carrier *carrier, int fd)
{
	rota__ring_call_end(ring_of(carrier), fd);
}

static bool ring_waited_for(struct rota__carrier *carrier, int fd)
{
	return rota__closing_busy(ring_of(carrier)->closing, fd);
}

const struct rota__carrier_ops rota__ring_carrier_ops = {
	.start = ring_start,
	.resume = ring_resume,
	.cancel = ring_cancel,
	.has = rota__sys_ring_has,
	.register_memory = rota__ring_register_memory,
	.call_begin = ring_call_begin,
	.call_end = ring_call_end,
	.waited_for = ring_waited_for,
};
