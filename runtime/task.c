/* SPDX-License-Identifier: MIT */
#include "task_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "await_internal.h"
#include "direct_internal.h"
#include "log_internal.h"
#include "place_internal.h"
#include "runtime_internal.h"
#include "scope_internal.h"
#include "sys_internal.h"

static void task_free(rota_task *task)
{
	struct rota__worker *worker = rota__worker_of(task->rt);
	struct rota__task_cache *cache = worker != NULL ? &worker->tasks : NULL;
	struct rota__extra *extra = rota__task_extra(task);

	if (__builtin_expect(extra != NULL, 0))
		rota__task_pool_put(&task->rt->tasks, cache, (rota_task *)(void *)extra);
	rota__task_pool_put(&task->rt->tasks, cache, task);
}

struct rota__extra *rota__extra_of(rota_task *task)
{
	struct rota__worker *worker = rota__worker_of(task->rt);
	struct rota__extra *extra = rota__task_extra(task);

	if (extra != NULL)
		return extra;
	extra = (struct rota__extra *)(void *)rota__task_pool_get(&task->rt->tasks,
								  worker != NULL ? &worker->tasks : NULL);
	if (extra == NULL)
		return NULL;
	extra->task = task;
	extra->scope = rota__task_scope(task);
	memset(extra->name, 0, sizeof(extra->name));
	extra->opened = NULL;
	extra->unfiled = false;
	extra->walked = false;
	extra->locals = NULL;
	rota__store(&task->more, (unsigned char *)extra + ROTA__MORE_EXTRA, RELEASE); /* partner: task_name */
	return extra;
}

/* The runtime's own reference goes last, with the end: somebody has given back what he did not have, and sooner or later
 * another would use memory that is free. */
static __attribute__((noinline, cold, noreturn)) void dropped_too_often(const rota_task *task)
{
	char place[ROTA__PLACE_MAX];

	rota__misuse("task %llu \"%s\", spawned at %s, has not ended, and all of its wakers and handles were given "
		     "back, one of them twice",
		     (unsigned long long)task->id, rota__task_name(task),
		     rota__name_place(place, task->spawned_at, true));
	abort();
}

void rota__task_unref(rota_task *task)
{
	if (rota__state_unref(&task->state) != ROTA__DROP_FREE)
		return;
	if (__builtin_expect(!rota__state_ended(&task->state), 0))
		dropped_too_often(task);
	task_free(task);
}

void rota__task_unref_ended(rota_task *task)
{
	if (rota__state_unref_ended(&task->state) == ROTA__DROP_FREE)
		task_free(task);
}

/* The finisher has taken the joiner's waker. Apart, as most joiners come later or wait for one task of many. */
static __attribute__((noinline)) void finish_joined(rota_task *task)
{
	const struct rota_waker claimed = rota__wake_claim(task->join_waker);

	if (rota__state_finish(&task->state) == ROTA__DROP_FREE)
		task_free(task);
	rota__wake_claimed(claimed);
}

void rota__task_finish(rota_task *task, int status)
{
	struct rota_scope *const scope = rota__task_scope(task);
	rota_runtime *rt = task->rt;
	enum rota__drop drop;

	task->status = status;
	if (!rota__state_finish_unjoined(&task->state, &drop))
		finish_joined(task);
	else if (drop == ROTA__DROP_FREE)
		task_free(task);
	if (scope != NULL)
		rota__scope_ended(scope, task); /* the scope's reference has kept it */
	rota__runtime_dismiss(rt);
}

void rota__task_discard(rota_task *task, unsigned references)
{
	rota_runtime *rt = task->rt;

	/* Somebody who walks all tasks may hold a reference: the last one frees. */
	while (--references > 0)
		rota__task_unref(task);
	if (rota__state_finish(&task->state) == ROTA__DROP_FREE)
		task_free(task);
	rota__runtime_withdraw(rt);
}

rota_task *rota__task_current(void)
{
	struct rota__worker *worker = rota__worker_self();

	return worker != NULL ? worker->current : NULL;
}

const char *rota__task_kind_name(const rota_task *task)
{
	static const char *const names[] = { "fiber", "future", "blocking job" };

	return names[task->kind];
}

/* --- the handle ---------------------------------------------------------------------------------------------- */

static struct rota_join_op *join_of(struct rota_future *future)
{
	return (struct rota_join_op *)(void *)future;
}

static rota_poll join_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_join_op *op = join_of(self);
	rota_task *task = op->task;

	if (__builtin_expect(task == NULL, 0)) {
		self->status = -EINVAL;
		return ROTA_READY;
	}
	self->status = 0;
	if (op->armed_ ? rota__state_ended_or_firing(&task->state) : rota__state_ended(&task->state))
		return ROTA_READY;
	if (op->cancelled_) {
		self->status = -ECANCELED;
		return ROTA_READY;
	}
	if (!op->armed_ && (task == rota__task_current() || rota__state_joined(&task->state))) {
		self->status = task == rota__task_current() ? -EDEADLK : -EBUSY;
		return ROTA_READY;
	}
	if (op->armed_) {
		if (rota_waker_same(&task->join_waker, cx->waker))
			return ROTA_PENDING;
		if (rota__state_unjoin(&task->state) == ROTA_READY)
			return ROTA_READY;
		rota__waker_release(&task->join_waker);
	}
	op->armed_ = 1;
	rota__waker_hold(&task->join_waker, cx->waker);
	if (rota__state_join(&task->state) == ROTA_PENDING)
		return ROTA_PENDING;
	rota__waker_release(&task->join_waker);
	return ROTA_READY;
}

static void join_cancel(struct rota_future *self)
{
	struct rota_join_op *op = join_of(self);

	if (op->armed_) {
		if (rota__state_unjoin(&op->task->state) == ROTA_READY)
			return; /* it has ended: that is the result */
		rota__waker_release(&op->task->join_waker);
		op->armed_ = 0;
	}
	op->cancelled_ = 1;
}

static const struct rota_future_ops join_ops = { join_poll, join_cancel, "join" };

void rota_join_init(struct rota_join_op *op, rota_task *task)
{
	rota_future_init(&op->future, &join_ops);
	op->task = task;
	op->armed_ = 0;
	op->cancelled_ = 0;
}

/* Its end was seen. */
static inline int join_ended(rota_task *task, int *ret_status)
{
	if (ret_status != NULL)
		*ret_status = task->status;
	rota__task_unref_ended(task);
	return 0;
}

static __attribute__((noinline)) int join_waiting(rota_task *task, int *ret_status)
{
	struct rota_join_op op;
	int rc;

	if (task == rota__task_current())
		return -EDEADLK;
	rota_join_init(&op, task);
	rc = rota__await_own(&op.future, &join_ops);
	return rc < 0 ? rc : join_ended(task, ret_status);
}

int rota_join(rota_task *task, int *ret_status)
{
	if (task == NULL)
		return -EINVAL;
	if (!rota__state_ended(&task->state))
		return ROTA__COME_BACK2(join_waiting, task, ret_status);
	rota__direct_done(rota__worker_self());
	return join_ended(task, ret_status);
}

void rota_detach(rota_task *task)
{
	if (task != NULL)
		rota__task_unref(task);
}

int rota_cancel(rota_task *task)
{
	if (task == NULL)
		return -EINVAL;
	if (rota__runtime_is_parents(task->rt))
		return 0;
	if (rota__state_cancel(&task->state) == ROTA__WAKE_SUBMIT)
		rota__task_submit(task);
	rota__fork_tell_cancelled(task->rt);
	if (task->kind == ROTA__TASK_JOB)
		rota__blocking_cancel(task->rt, task);
	return 0;
}

/* --- the calling task ---------------------------------------------------------------------------------------- */

bool rota__cancelled(void)
{
	rota_task *task = rota__task_current();
	const struct rota__extra *extra = task != NULL ? rota__task_extra(task) : NULL;

	if (extra != NULL && extra->unfiled)
		rota__scope_file_timers(task);
	return task != NULL ? rota__task_cancelled(task) : rota__blocking_cancelled();
}

/* No other thread looks at the timers of the current-thread flavour, among them time limits of scopes, while a task computes.
 * Whether any was over. */
static bool expire_alone(struct rota__worker *worker)
{
	return worker != NULL && worker->rt->config.flavor == ROTA_FLAVOR_CURRENT_THREAD &&
	       rota__wheel_next(&worker->wheel) != ROTA_NEVER &&
	       rota__wheel_expire(&worker->wheel, rota__sys_clock()) > 0;
}

bool rota_cancelled(void)
{
	return rota__cancelled() || (expire_alone(rota__worker_self()) && rota__cancelled());
}

void rota_shield_enter(void)
{
	rota_task *task = rota__task_current();

	if (task != NULL)
		task->shield++;
}

void rota_shield_leave(void)
{
	rota_task *task = rota__task_current();

	if (task == NULL)
		return;
	if (task->shield == 0) {
		rota__misuse("rota_shield_leave without rota_shield_enter in task %llu \"%s\"",
			     (unsigned long long)task->id, rota__task_name(task));
		return;
	}
	task->shield--;
	rota__scope_unshield(task);
	if (task->kind == ROTA__TASK_FUTURE && !(task->flags & ROTA__TASK_CANCEL_TOLD) && rota__task_cancelled(task))
		rota__worker_self()->again = true; /* it is told before a poll, once: here before one more */
}

int rota_yield(void)
{
	struct rota__worker *worker = rota__worker_self();
	rota_task *task = worker != NULL ? worker->current : NULL;

	if (task == NULL) {
		rota__sys_yield();
		return 0;
	}
	if (!rota__task_may_wait(task)) {
		rota__misuse("rota_yield inside the poll of stackless task %llu", (unsigned long long)task->id);
		return -EDEADLK;
	}
	if (rota__task_cancelled(task))
		return rota__task_reason(task, task->shield);
	rota__worker_yield(worker);
	return 0;
}

static rota_poll yield_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_yield_op *op = (struct rota_yield_op *)(void *)self;

	if (op->done_)
		return ROTA_READY;
	op->done_ = true;
	rota_wake_by_ref(cx->waker);
	return ROTA_PENDING;
}

static void yield_cancel(struct rota_future *self)
{
	((struct rota_yield_op *)(void *)self)->done_ = true;
	self->status = -ECANCELED;
}

static const struct rota_future_ops yield_ops = { yield_poll, yield_cancel, "yield" };

void rota_yield_init(struct rota_yield_op *op)
{
	rota_future_init(&op->future, &yield_ops);
	op->done_ = false;
}

uint64_t rota_task_id(void)
{
	rota_task *task = rota__task_current();

	return task != NULL ? task->id : 0;
}

const char *rota_task_name(void)
{
	rota_task *task = rota__task_current();

	return task != NULL ? rota__task_name(task) : "";
}

/* --- the waker ----------------------------------------------------------------------------------------------- */

static void *task_waker_clone(void *data)
{
	rota_task *task = data;

	rota__state_ref(&task->state);
	return task;
}

/* Apart, so that a task which wakes itself, as each does that yields, saves no registers for it. */
static __attribute__((noinline)) void wake_other(rota_task *task)
{
	if (rota__state_wake(&task->state) == ROTA__WAKE_SUBMIT)
		rota__task_submit(task);
}

static void task_waker_wake_by_ref(void *data)
{
	struct rota__worker *worker = rota__worker_self();
	rota_task *task = data;

	if (worker != NULL && worker->current == task)
		worker->again = true; /* the one who runs it needs no word that others write */
	else
		wake_other(task);
}

static void task_waker_drop(void *data)
{
	rota__task_unref(data);
}

static void task_waker_wake(void *data)
{
	task_waker_wake_by_ref(data);
	task_waker_drop(data);
}

const struct rota_waker_ops rota__task_waker_ops = {
	.clone = task_waker_clone,
	.wake = task_waker_wake,
	.wake_by_ref = task_waker_wake_by_ref,
	.drop = task_waker_drop,
};
