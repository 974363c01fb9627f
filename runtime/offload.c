/* SPDX-License-Identifier: MIT */
/* A job of the blocking pool and its end as one wait. */
#include <errno.h>

#include "blocking.h"
#include "blocking_internal.h"
#include "runtime_internal.h"

static struct rota_offload_op *offload_of(struct rota_future *future)
{
	return (struct rota_offload_op *)(void *)future;
}

/* Has a promised place. */
static int offload_start(struct rota_offload_op *op)
{
	/* The caller's address is not known here. Places are such that calls return to: behind a first byte. */
	const void *place = (const char *)(uintptr_t)op->fn_ + 1;
	int rc = -ECANCELED;

	if (!op->cancelled_)
		rc = rota__job_new(&op->job_, op->rt_, place);
	if (rc < 0) {
		rota__blocking_return_place(&op->rt_->blocking);
		return rc;
	}
	op->job_->fn = op->fn_;
	op->job_->arg = op->arg_;
	rc = rota__blocking_submit_placed(op->rt_, op->job_, NULL);
	if (rc < 0) {
		rota__task_discard(op->job_, 2);
		op->job_ = NULL;
		return rc;
	}
	rota_join_init(&op->join_, op->job_);
	return 0;
}

/* First a place, then the job's end. */
static rota_poll offload_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_offload_op *op = offload_of(self);

	if (op->rt_ == NULL) {
		if (op->fn_ == NULL) {
			self->status = -EINVAL;
			return ROTA_READY;
		}
		op->rt_ = rota__runtime_self();
		if (op->rt_ == NULL || rota__task_current() == NULL) {
			self->status = op->cancelled_ ? -ECANCELED : op->fn_(op->arg_); /* a thread that may block */
			return ROTA_READY;
		}
	}
	if (op->job_ == NULL) {
		if (rota__blocking_poll_place(&op->rt_->blocking, &op->waiter_, cx->waker, op->cancelled_,
					      &self->status) == ROTA_PENDING)
			return ROTA_PENDING;
		if (self->status < 0 || (self->status = offload_start(op)) < 0)
			return ROTA_READY;
	}
	if (rota_future_poll(&op->join_.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = op->job_->status;
	rota__task_unref(op->job_);
	return ROTA_READY;
}

/* A job that is queued ends at once; one that runs is waited for, since it may use the caller's memory. */
static void offload_cancel(struct rota_future *self)
{
	struct rota_offload_op *op = offload_of(self);

	op->cancelled_ = true;
	if (op->job_ != NULL)
		rota_cancel(op->job_);
}

static const struct rota_future_ops offload_ops = { offload_poll, offload_cancel, "offload" };

void rota_offload_init(struct rota_offload_op *op, rota_fn *fn, void *arg)
{
	*op = (struct rota_offload_op){ .fn_ = fn, .arg_ = arg };
	rota_future_init(&op->future, &offload_ops);
}

int rota_offload(rota_fn *fn, void *arg)
{
	struct rota_offload_op op;

	if (fn == NULL)
		return -EINVAL;
	rota_offload_init(&op, fn, arg);
	return rota_await(&op.future);
}
