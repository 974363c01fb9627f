/* SPDX-License-Identifier: MIT */
/* What is waited for in a scope: a place for one more child, the next child to end, the end of all. */
#include <errno.h>

#include "future_internal.h"
#include "log_internal.h"
#include "runtime_internal.h"
#include "scope_internal.h"

/* --- a place under the limit ------------------------------------------------------------------------------------- */

struct place_op {
	struct rota_future future;
	struct rota_scope *scope;
	struct rota_waiter waiter;
};

static rota_poll place_poll(struct rota_future *self, struct rota_context *cx)
{
	struct place_op *op = (struct place_op *)(void *)self;
	struct rota_scope *scope = op->scope;
	rota_poll ready = ROTA_READY;

	rota__scope_lock(scope);
	if (rota__waiter_granted(&op->waiter)) {
		self->status = 0;
	} else if (rota__future_cancel_noted(self)) {
		if (rota__waiter_queued(&op->waiter))
			rota__waitlist_remove(&scope->places_, &op->waiter);
	} else if (!rota__waiter_queued(&op->waiter) && scope->running_ < scope->limit_) {
		scope->running_++;
	} else {
		rota__waitlist_wait(&scope->places_, &op->waiter, cx->waker, false);
		ready = ROTA_PENDING;
	}
	rota__scope_unlock(scope);
	return ready;
}

static const struct rota_future_ops place_ops = { place_poll, rota__future_note_cancel, "scope place" };

int rota__scope_reserve_place(struct rota_scope *scope)
{
	struct place_op op = { .scope = scope };

	rota_future_init(&op.future, &place_ops);
	return rota_await(&op.future);
}

void rota__scope_unreserve(struct rota_scope *scope)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__scope_lock(scope);
	rota__scope_free_place(scope, &batch);
	rota__scope_unlock(scope);
	rota__wake_batch_submit(&batch);
}

/* --- what the opener waits for --------------------------------------------------------------------------------------- */

/* With the lock held, or with nobody else left. */
static rota_task *pop_ended(struct rota_scope *scope)
{
	return rota__tasks_take(&scope->ended_first_, &scope->ended_last_);
}

/* With the lock held. Whether children are left. */
static bool has_children(struct rota_scope *scope)
{
	scope->children_ += (int)scope->spawned_;
	scope->spawned_ = 0;
	return scope->children_ > 0;
}

static struct rota_scope_next_op *next_of(struct rota_future *future)
{
	return (struct rota_scope_next_op *)(void *)future;
}

static rota_poll next_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_scope_next_op *op = next_of(self);
	struct rota_scope *scope = op->scope_;
	rota_poll ready = ROTA_READY;
	rota_task *task;

	rota__scope_lock(scope);
	task = pop_ended(scope);
	if (task != NULL) {
		op->child_status = task->status;
	} else if (!has_children(scope)) {
		self->status = -ENOENT;
	} else if (op->cancelled_ && rota__scope_reason(scope) == 0) {
		self->status = -ECANCELED;
	} else {
		rota__waitlist_wait(&scope->opener_waits_, &op->waiter_, cx->waker, false);
		ready = ROTA_PENDING;
	}
	if (ready == ROTA_READY && rota__waiter_queued(&op->waiter_))
		rota__waitlist_remove(&scope->opener_waits_, &op->waiter_);
	rota__scope_unlock(scope);
	if (task != NULL)
		rota__task_unref_ended(task);
	return ready;
}

static void next_cancel(struct rota_future *self)
{
	next_of(self)->cancelled_ = true;
}

static const struct rota_future_ops next_ops = { next_poll, next_cancel, "scope next" };

void rota_scope_next_init(struct rota_scope_next_op *op, struct rota_scope *scope)
{
	*op = (struct rota_scope_next_op){ .scope_ = scope };
	rota_future_init(&op->future, &next_ops);
}

int rota_scope_next(struct rota_scope *scope, int *ret_status)
{
	struct rota_scope_next_op op;
	int rc;

	rota_scope_next_init(&op, scope);
	rc = rota_await(&op.future);
	if (rc == 0 && ret_status != NULL)
		*ret_status = op.child_status;
	return rc;
}

struct close_op {
	struct rota_future future;
	struct rota_scope *scope;
	struct rota_waiter waiter;
};

static rota_poll close_poll(struct rota_future *self, struct rota_context *cx)
{
	struct close_op *op = (struct close_op *)(void *)self;
	struct rota_scope *scope = op->scope;
	rota_poll ready = ROTA_READY;

	rota__scope_lock(scope);
	rota__store(&scope->closing_, 1, RELAXED); /* a child that does not see it yet takes the lock */
	if (has_children(scope) || !rota__scope_stop_timer(scope)) {
		rota__waitlist_wait(&scope->opener_waits_, &op->waiter, cx->waker, false);
		ready = ROTA_PENDING;
	} else if (rota__waiter_queued(&op->waiter)) {
		rota__waitlist_remove(&scope->opener_waits_, &op->waiter);
	}
	rota__scope_unlock(scope);
	return ready;
}

/* Its children were told before (rota__scope_pass_on): they end, and so does this. */
static void close_cancel(struct rota_future *self)
{
	(void)self;
}

static const struct rota_future_ops close_ops = { close_poll, close_cancel, "scope close" };

int rota_scope_close(struct rota_scope *scope)
{
	rota_task *opener = rota__task_current();
	struct rota__extra *extra = opener != NULL ? rota__task_extra(opener) : NULL;
	rota_task *task;
	int reason, status;

	if (extra == NULL || extra->opened != scope) {
		rota__misuse("rota_scope_close of a scope that is not the innermost open one of task %llu \"%s\"",
			     (unsigned long long)rota_task_id(), rota_task_name());
		return -EINVAL;
	}
	if (scope->shared_ || rota__scope_reason(scope) != 0) {
		struct close_op op = { .scope = scope };

		rota_future_init(&op.future, &close_ops);
		rota_await(&op.future);
	}
	/* Nobody else has the scope any more. */
	while ((task = pop_ended(scope)) != NULL)
		rota__task_unref_ended(task);
	extra->opened = scope->outer_;
	reason = rota__scope_reason(scope);
	if (reason != 0)
		rota__scope_forget_reason(opener);
	status = scope->failure_;
	return reason == -ETIMEDOUT && (status == 0 || status == -ECANCELED) ? reason : status;
}
