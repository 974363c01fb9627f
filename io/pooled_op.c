/* SPDX-License-Identifier: MIT */
/*
 * Where the call goes is decided by the first poll: it is an operation like any other when the back end has the opcode,
 * else a job of the blocking pool, which performs the operation as the plain call that it stands for. It is then never
 * started as an operation, and only the thread touches it until the job has ended.
 */
#include "pooled_op_internal.h"

#include "carrier_internal.h"
#include "sys_internal.h"

static struct rota_pooled_op *pooled_of(struct rota_future *future)
{
	return (struct rota_pooled_op *)(void *)future;
}

static struct rota_future *child(struct rota_pooled_op *op)
{
	return op->pooled_ ? &op->offload_.future : &op->op_.future;
}

static int perform(void *arg)
{
	int fault = rota__op_fault(arg);

	return fault < 0 ? fault : rota__sys_perform(arg);
}

/* What was refused, or cancelled, ends by itself. */
static bool has_to_be_made(const struct rota_op *op)
{
	return op->future.status == 0 && !op->cancelled_;
}

/* Outside of a runtime it is the plain call. */
static bool is_carried(const struct rota_op *op)
{
	const struct rota__carrier *carrier = rota__carrier_of_runtime();

	return carrier == NULL || carrier->ops->has(op->opcode_);
}

static void leave_to_the_pool(struct rota_pooled_op *op)
{
	op->pooled_ = true;
	rota_offload_init(&op->offload_, perform, &op->op_);
}

static rota_poll pooled_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_pooled_op *op = pooled_of(self);

	if (!op->begun_ && has_to_be_made(&op->op_) && !is_carried(&op->op_))
		leave_to_the_pool(op);
	op->begun_ = true;
	if (rota_future_poll(child(op), cx) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = child(op)->status;
	return ROTA_READY;
}

static void pooled_cancel(struct rota_future *self)
{
	rota_future_cancel(child(pooled_of(self)));
}

static const struct rota_future_ops pooled_ops = { pooled_poll, pooled_cancel, "file operation" };

void rota__pooled_op_init(struct rota_pooled_op *op)
{
	rota_future_init(&op->future, &pooled_ops);
	op->begun_ = false;
	op->pooled_ = false;
}
