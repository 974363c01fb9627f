/* SPDX-License-Identifier: MIT */
/*
 * The header of a task: two cache lines, the same for a fiber, a future and a blocking job. It lives in a slab
 * (task_pool_internal.h) from spawn until the last reference is dropped; a fiber's stack is attached when it first
 * runs and detached when it ends, so a task that is queued, or finished and not yet joined, holds no stack.
 *
 * Who may touch what: `state` anybody with a right to the task; join_waker by the protocol of JOINER; all else the one
 * who runs the task (ACTIVE), or the one who made it before it was submitted.
 */
#ifndef ROTA_RUNTIME_TASK_INTERNAL_H
#define ROTA_RUNTIME_TASK_INTERNAL_H

#include "park_internal.h"
#include "task.h"
#include "task_state_internal.h"
#include "waker_internal.h"

struct rota__extra;
struct rota__worker;
struct rota__stack;

enum rota__task_kind { ROTA__TASK_FIBER, ROTA__TASK_FUTURE, ROTA__TASK_JOB };

enum {
	ROTA__TASK_PINNED = 1,      /* runs on worker `home` only */
	ROTA__TASK_CANCEL_TOLD = 2, /* a future's root was asked to cancel */
	ROTA__TASK_OWN_STACK = 4,   /* the stack is not of the runtime's size */
	ROTA__TASK_FRESH = 8,       /* has not run yet */
	ROTA__TASK_NO_WAIT = 16,  /* carries out a frame that was forked in a poll: it may not wait, as polls may not */
	ROTA__TASK_FORKED = 32,   /* a fiber that has forks: they are noted at its stack */
	ROTA__TASK_FORKLESS = 64, /* there was no memory for its forks: it runs them itself */
	ROTA__TASK_UNLISTED = 128, /* a scope's child that is not in its list yet (scope_internal.h) */
};

struct rota_task {
	/* what running it needs */
	struct rota_atomic_u64 state;
	rota_task *queue_next; /* in whatever queue holds it */
	rota_runtime *rt;
	union {
		rota_fn *fn;
		struct rota_future *future;
	};
	void *arg;
	union {
		void *sp;              /* a suspended fiber's stack pointer; NULL before it started */
		rota_task *queue_prev; /* a queued job */
	};
	union {
		struct rota__stack *stack;            /* of a fiber that has started */
		struct rota_interrupter *interrupter; /* of a job, under the pool's lock; NULL: none */
	};
	uint8_t kind;
	uint8_t flags;
	uint16_t shield;                  /* depth of rota_shield_enter */
	struct rota_atomic_u32 waits_for; /* a hint for reports (rota__future_code) of what it waited for last */
	/* what its ending needs */
	struct rota_waker join_waker;
	int32_t status;
	uint16_t home; /* worker of a pinned task */
	bool told;     /* a scope's child was asked to stop; under the scope's lock, as the two below */
	uint64_t id;
	rota_task *child_next, *child_prev;
	const void *spawned_at;      /* the caller of spawn, for reports */
	struct rota_atomic_ptr more; /* what only some tasks have: extra_internal.h */
} __attribute__((aligned(ROTA__CACHE_LINE)));

_Static_assert(sizeof(struct rota_task) == (size_t)2 * ROTA__CACHE_LINE, "a task is two cache lines");

/* The first step of a wake: claims, and consumes what rota__waker_hold kept. Returns what is left to do; it is empty when that
 * is nothing. */
static inline struct rota_waker rota__wake_claim(struct rota_waker held)
{
	if (__builtin_expect(held.ops == &rota__task_waker_ops, 1)) {
		rota_task *task = held.data;

		if (rota__state_wake(&task->state) != ROTA__WAKE_SUBMIT)
			held.ops = NULL;
	} else if (held.ops == &rota__thread_waker_ops && !rota__parker_claim(held.data)) {
		held.ops = NULL;
	}
	return held;
}

/* The second one, never under a lock. */
static inline void rota__wake_claimed(struct rota_waker claimed)
{
	if (__builtin_expect(claimed.ops == &rota__task_waker_ops, 1))
		rota__task_submit(claimed.data);
	else if (claimed.ops != NULL)
		rota__wake_claimed_other(claimed);
}

/* Lists of tasks, linked by queue_next. */
static inline void rota__tasks_append(rota_task **first, rota_task **last, rota_task *task)
{
	task->queue_next = NULL;
	if (*last != NULL)
		(*last)->queue_next = task;
	else
		*first = task;
	*last = task;
}

/* The first one, taken out; NULL: there is none. */
static inline rota_task *rota__tasks_take(rota_task **first, rota_task **last)
{
	rota_task *task = *first;

	if (task != NULL) {
		*first = task->queue_next;
		if (*first == NULL)
			*last = NULL;
	}
	return task;
}

/* Adds a task that the caller has claimed itself. There is always room. */
static inline void rota__wake_batch_claimed(struct rota__wake_batch *batch, rota_task *task)
{
	rota__tasks_append(&batch->first, &batch->last, task);
}

/* Adds what was claimed. The batch must not be full. */
static inline void rota__wake_batch_put(struct rota__wake_batch *batch, struct rota_waker claimed)
{
	if (__builtin_expect(claimed.ops == &rota__task_waker_ops, 1))
		rota__wake_batch_claimed(batch, claimed.data);
	else if (claimed.ops != NULL)
		batch->other[batch->others++] = claimed;
}

/* Hands claimed tasks to the scheduler, as rota__task_submit does one. */
void rota__tasks_submit(rota_task *first); /* a list, linked by queue_next, in the order in which they were woken */

/* The same of tasks whose I/O is over, by a worker between two tasks: ahead of what waits, mostly. */
void rota__tasks_submit_ahead(rota_task *first);

/* The body has returned `status`: wakes the joiner and drops the runtime's reference. */
void rota__task_finish(rota_task *task, int status);

void rota__task_unref(rota_task *task);
void rota__task_unref_ended(rota_task *task); /* the same of one whose end was seen: often without a locked instruction */

/* A new job of `rt`, ACTIVE, with a reference for the runtime and one for the caller, who sets `fn` and `arg`. `spawned_at` is
 * for reports. 0, -ENOMEM, -ESHUTDOWN. (spawn.c) */
int rota__job_new(rota_task **ret, rota_runtime *rt, const void *spawned_at);

/* Frees a task that was made and never submitted; `references` as it was made. */
void rota__task_discard(rota_task *task, unsigned references);

/* A detached fiber of the calling worker's runtime, for rota's own use: the caller sets `arg` and runs it, or discards
 * it. 0, -ENOMEM, -ESHUTDOWN. (spawn.c) */
int rota__spawn_make(rota_task **ret_task, struct rota__worker *worker, const struct rota_task_attr *attr, rota_fn *fn);
void rota__spawn_discard(struct rota__worker *worker, rota_task *task);

/* The task that the calling thread runs, or NULL. */
rota_task *rota__task_current(void);

/* What kind of task it is, as reports call it. */
const char *rota__task_kind_name(const rota_task *task);

/* Why waits of the task behind so many shields must end: -ECANCELED, -ETIMEDOUT; 0: they need not. By the one who runs it. */
int rota__task_reason(const rota_task *task, unsigned shields);

/* The same behind the task's shields, once ASKED was seen. The child of a scope is from now on told when that is cancelled. */
int rota__task_look(rota_task *task);

/* Why something ended that was told to: never 0. The shields may be others than when it was told, and what it was may be over. */
int rota__task_told_reason(const rota_task *task);

/* rota_cancelled, without a look at the clock. */
bool rota__cancelled(void);

/* Whether the task may suspend. By the one who runs it. */
static inline bool rota__task_may_wait(const rota_task *task)
{
	return task->kind == ROTA__TASK_FIBER && !(task->flags & ROTA__TASK_NO_WAIT);
}

/* Whether waits of the task must end. By the one who runs it. */
static inline bool rota__task_cancelled(rota_task *task)
{
	return __builtin_expect(rota__state_asked(&task->state), 0) && rota__task_look(task) != 0;
}

#endif
