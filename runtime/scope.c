/* SPDX-License-Identifier: MIT */
/* Opening a scope, its children, and what cancels it. The protocol: scope_internal.h. */
#include "scope_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "log_internal.h"
#include "place_internal.h"
#include "runtime_internal.h"
#include "waitlist_internal.h"

int rota__task_reason(const rota_task *task, unsigned shields)
{
	const struct rota__extra *extra = rota__task_extra(task);
	const struct rota_scope *scope = extra != NULL ? extra->opened : NULL;
	int reason = 0;

	if (shields == 0 && rota__state_cancelled(&task->state))
		return -ECANCELED;
	for (; scope != NULL && scope->shields_ >= shields && reason == 0; scope = scope->outer_)
		reason = rota__scope_reason(scope);
	scope = shields == 0 ? rota__task_scope(task) : NULL;
	return reason == 0 && scope != NULL ? rota__scope_reason(scope) : reason;
}

int rota__task_told_reason(const rota_task *task)
{
	int reason = rota__task_reason(task, task->shield);

	if (reason == 0)
		reason = rota__task_reason(task, 0);
	return reason != 0 ? reason : -ECANCELED;
}

/* --- children; with the lock held ------------------------------------------------------------------------------ */

static void link_child(struct rota_scope *scope, rota_task *child)
{
	child->child_next = NULL;
	child->child_prev = scope->last_;
	if (scope->last_ != NULL)
		scope->last_->child_next = child;
	else
		scope->first_ = child;
	scope->last_ = child;
}

static void unlink_child(struct rota_scope *scope, rota_task *child)
{
	if (child->child_prev != NULL)
		child->child_prev->child_next = child->child_next;
	else
		scope->first_ = child->child_next;
	if (child->child_next != NULL)
		child->child_next->child_prev = child->child_prev;
	else
		scope->last_ = child->child_prev;
}

void rota__scope_wake_opener(struct rota_scope *scope, struct rota__wake_batch *batch)
{
	if (!rota__waitlist_empty(&scope->opener_waits_))
		rota__waitlist_grant(&scope->opener_waits_, 0, batch);
}

/* --- cancelling ------------------------------------------------------------------------------------------------ */

static void ask(rota_task *task, struct rota__wake_batch *batch)
{
	if (rota__state_ask(&task->state) == ROTA__WAKE_SUBMIT)
		rota__wake_batch_claimed(batch, task);
}

/* With the lock held, dropped and taken again. */
static void cancel_job(struct rota_scope *scope, rota_task *job)
{
	rota__state_ref(&job->state); /* it is linked: the scope has a reference */
	rota__scope_unlock(scope);
	rota__blocking_cancel(job->rt, job);
	rota__task_unref(job);
	rota__scope_lock(scope);
}

void rota__scope_stop(struct rota_scope *scope, int reason)
{
	struct rota__wake_batch batch;
	rota_task *child;

	rota__wake_batch_init(&batch);
	rota__scope_lock(scope);
	if (rota__scope_reason(scope) == 0) {
		rota__store(&scope->reason_, (uint32_t)-reason, RELEASE); /* partner: rota__scope_reason */
		ask(scope->opener_, &batch);
		while ((child = scope->first_) != NULL && !child->told) {
			unlink_child(scope, child);
			link_child(scope, child);
			child->told = true;
			ask(child, &batch);
			if (child->kind == ROTA__TASK_JOB)
				cancel_job(scope, child);
		}
		rota__fork_tell_cancelled(scope->opener_->rt);
	}
	rota__scope_unlock(scope);
	rota__wake_batch_submit(&batch);
}

/* The task's, after it has taken ASKED back: is there still a reason to stop, now or when it leaves its shields? */
static void look_again(rota_task *task)
{
	if (rota__task_reason(task, 0) != 0 && rota__state_ask(&task->state) == ROTA__WAKE_SUBMIT)
		rota__task_submit(task); /* never: it runs */
}

void rota__scope_forget_reason(rota_task *task)
{
	if (task->flags & ROTA__TASK_UNLISTED)
		return; /* it has still to look */
	rota__state_unask(&task->state);
	look_again(task);
}

void rota__scope_unshield(rota_task *task)
{
	const struct rota__extra *extra = rota__task_extra(task);
	struct rota_scope *scope = extra != NULL ? extra->opened : NULL;

	for (; scope != NULL && scope->shields_ > task->shield; scope = scope->outer_)
		scope->shields_ = task->shield;
}

/* Apart, as it is done once, and by those alone that wait. */
static __attribute__((noinline)) void list(rota_task *task)
{
	struct rota_scope *scope = rota__task_scope(task);

	rota__scope_lock(scope);
	if (rota__scope_reason(scope) == 0) { /* else nobody will tell it, and it need not be told */
		task->flags &= (uint8_t)~ROTA__TASK_UNLISTED;
		task->told = false;
		link_child(scope, task);
	}
	rota__scope_unlock(scope);
	rota__scope_forget_reason(task);
}

int rota__task_look(rota_task *task)
{
	if (task->flags & ROTA__TASK_UNLISTED) {
		list(task);
		if (!rota__state_asked(&task->state))
			return 0; /* nor is it if the reason comes at this moment: it would be gone at the next look */
	}
	return rota__task_reason(task, task->shield);
}

void rota_scope_cancel(struct rota_scope *scope)
{
	rota__scope_stop(scope, -ECANCELED);
}

void rota__scope_pass_on(rota_task *task)
{
	const struct rota__extra *extra = rota__task_extra(task);
	struct rota_scope *scope = extra != NULL ? extra->opened : NULL;
	const int reason = rota__task_reason(task, task->shield);

	for (; scope != NULL; scope = scope->outer_) {
		if (rota__scope_reason(scope) == 0)
			rota__scope_stop(scope, reason);
		else if (task->shield > 0 || !rota__state_cancelled(&task->state))
			return; /* it comes from here: what is further out, and outside of shields, goes on */
	}
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

int rota_scope_open_with(struct rota_scope *scope, const struct rota_scope_attr *attr)
{
	static const struct rota_scope_attr none;
	rota_task *task = rota__task_current();
	struct rota__extra *extra;

	if (attr == NULL)
		attr = &none;
	if (attr->flags & ~(unsigned)(ROTA_SCOPE_INDEPENDENT | ROTA_SCOPE_FORGET))
		return -EINVAL;
	if (task == NULL || task->kind != ROTA__TASK_FIBER)
		return -ENXIO;
	extra = rota__task_extra(task);
	if (extra == NULL)
		extra = rota__extra_of(task);
	if (extra == NULL)
		return -ENOMEM;
	scope->opener_waits_ = (struct rota_waitlist)ROTA_WAITLIST_SHARED_INIT_; /* most live shortly */
	scope->places_ = (struct rota_waitlist){ .count_ = 0 };
	scope->opener_ = task;
	scope->outer_ = extra->opened;
	scope->first_ = scope->last_ = NULL;
	scope->ended_first_ = scope->ended_last_ = NULL;
	scope->children_ = 0;
	scope->spawned_ = scope->running_ = 0;
	scope->limit_ = attr->limit;
	scope->flags_ = attr->flags;
	scope->failure_ = 0;
	rota__store(&scope->reason_, 0, RELAXED); /* nobody else knows the scope yet */
	rota__store(&scope->closing_, 0, RELAXED);
	scope->shared_ = scope->timed_ = scope->unfiled_ = false;
	scope->shields_ = task->shield;
	scope->forked_ = rota__fork_latest();
	extra->opened = scope;
	if (attr->timeout_ns != 0)
		rota__scope_set_timer(scope, attr->timeout_ns);
	return 0;
}

int rota_scope_open(struct rota_scope *scope, uint64_t timeout_ns)
{
	const struct rota_scope_attr attr = { .timeout_ns = timeout_ns };

	return rota_scope_open_with(scope, &attr);
}

void rota__scope_free_place(struct rota_scope *scope, struct rota__wake_batch *batch)
{
	if (scope->limit_ == 0)
		return;
	if (rota__waitlist_empty(&scope->places_))
		scope->running_--;
	else
		rota__waitlist_grant(&scope->places_, 0, batch);
}

/* --- children come and go ----------------------------------------------------------------------------------------- */

/* The first child comes, so this is the opener. Apart, as other children come more often. */
static __attribute__((noinline)) void share(struct rota_scope *scope)
{
	scope->shared_ = true;
	if (rota__task_extra(scope->opener_)->unfiled)
		rota__scope_file_timers(scope->opener_);
}

void rota__scope_share_all(rota_task *task)
{
	struct rota__extra *extra = rota__task_extra(task);

	if (extra == NULL || extra->opened == NULL)
		return;
	if (extra->unfiled)
		rota__scope_file_timers(task);
	for (struct rota_scope *scope = extra->opened; scope != NULL; scope = scope->outer_)
		scope->shared_ = true;
}

/* The task is not submitted yet. */
static void set_scope(rota_task *task, struct rota_scope *scope)
{
	struct rota__extra *extra = rota__task_extra(task);

	if (extra != NULL)
		extra->scope = scope;
	else
		rota__store(&task->more, scope, RELAXED); /* a walker takes only an extra from it */
}

static __attribute__((noinline)) int enter_locked(struct rota_scope *scope, rota_task *task)
{
	int rc;

	rota__scope_lock(scope);
	rc = rota__scope_reason(scope);
	if (rc == 0) {
		scope->children_++;
		if (task->kind == ROTA__TASK_JOB) {
			task->told = false;
			link_child(scope, task);
		} else {
			task->flags |= ROTA__TASK_UNLISTED;
		}
	}
	rota__scope_unlock(scope);
	return rc;
}

int rota__scope_enter(struct rota_scope *scope, rota_task *task)
{
	int rc;

	if (!scope->shared_)
		share(scope);
	set_scope(task, scope);
	if (task->kind == ROTA__TASK_JOB || rota__task_current() != scope->opener_)
		return enter_locked(scope, task);
	rc = rota__scope_reason(scope);
	if (rc == 0) {
		scope->spawned_++;
		task->flags |= ROTA__TASK_UNLISTED;
	}
	return rc;
}

/* Whether the opener waits for all: then nobody asks for the status of one. */
static inline bool closing(const struct rota_scope *scope)
{
	return rota__load(&scope->closing_, RELAXED) != 0; /* what follows from it is done under the lock */
}

/* With the lock held, which it drops. A child has gone: who waits for a place, or for the child, hears of it. Apart, as most
 * children are neither waited for one by one nor the last. */
static __attribute__((noinline)) void tell_and_unlock(struct rota_scope *scope)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__scope_free_place(scope, &batch);
	if (!closing(scope) || scope->children_ == 0)
		rota__scope_wake_opener(scope, &batch);
	rota__scope_unlock(scope);
	rota__wake_batch_submit(&batch);
}

/* With the lock held, which it drops: `child` is gone. From here on the scope may be, too. */
static inline void leave_and_unlock(struct rota_scope *scope, rota_task *child)
{
	if (!(child->flags & ROTA__TASK_UNLISTED))
		unlink_child(scope, child);
	scope->children_--;
	if (scope->limit_ == 0 && (closing(scope) ? scope->children_ > 0 : rota__waitlist_empty(&scope->opener_waits_)))
		rota__scope_unlock(scope);
	else
		tell_and_unlock(scope);
}

void rota__scope_leave(rota_task *task)
{
	struct rota_scope *scope = rota__task_scope(task);

	rota__scope_lock(scope);
	leave_and_unlock(scope, task);
}

/* With the lock held, dropped and taken again: it stays, since this child is still linked. */
static __attribute__((noinline)) void fail(struct rota_scope *scope, int status)
{
	scope->failure_ = status;
	if (scope->flags_ & ROTA_SCOPE_INDEPENDENT)
		return;
	rota__scope_unlock(scope);
	rota__scope_stop(scope, -ECANCELED);
	rota__scope_lock(scope);
}

void rota__scope_count_ended(struct rota__worker *worker)
{
	struct rota_scope *scope = worker->ended_in;

	worker->ended_in = NULL;
	rota__scope_lock(scope);
	scope->children_ -= (int)worker->ended;
	if (scope->children_ > 0)
		rota__scope_unlock(scope);
	else
		tell_and_unlock(scope);
}

/* The first child of this scope that ends here in a row. Whether its end may be counted later. There are none of another
 * scope: those were taken off when the child began. */
static __attribute__((noinline)) bool begin_to_count(struct rota__worker *worker, struct rota_scope *scope)
{
	if (!closing(scope) || scope->limit_ != 0)
		return false;
	worker->ended_in = scope;
	worker->ended = 0;
	return true;
}

/* Ends without news, unless it is the last of all: then the worker only counts it, and takes the lock once for many. */
static inline bool end_quietly(struct rota__worker *worker, struct rota_scope *scope, const rota_task *child)
{
	if (worker == NULL || child->status < 0 || !(child->flags & ROTA__TASK_UNLISTED))
		return false;
	if (worker->ended_in != scope && !begin_to_count(worker, scope))
		return false;
	worker->ended++;
	return true;
}

/* Apart, as the other way is short. */
static __attribute__((noinline)) void end_with_news(struct rota_scope *scope, rota_task *task)
{
	bool keep;

	rota__scope_lock(scope);
	if (task->status < 0 && scope->failure_ == 0)
		fail(scope, task->status);
	keep = !closing(scope) && !(scope->flags_ & ROTA_SCOPE_FORGET); /* else nobody asks for its status */
	if (keep)
		rota__tasks_append(&scope->ended_first_, &scope->ended_last_, task); /* no queue holds it any more */
	leave_and_unlock(scope, task); /* from here on the task may be gone too if it was kept */
	if (!keep)
		rota__task_unref_ended(task);
}

void rota__scope_ended(struct rota_scope *scope, rota_task *task)
{
	if (end_quietly(rota__worker_self(), scope, task))
		rota__task_unref_ended(task);
	else
		end_with_news(scope, task);
}

void rota__scope_left_open(const rota_task *task)
{
	char place[ROTA__PLACE_MAX];

	rota__log("task %llu \"%s\", spawned at %s, has returned and left a scope open: its children would use a dead "
		  "stack",
		  (unsigned long long)task->id, rota__task_name(task), rota__name_place(place, task->spawned_at, true));
	abort();
}
