/* SPDX-License-Identifier: MIT */
/*
 * Fibers on top of the context switch: starting a task on a stack, switching with the sanitizers told, reporting
 * overflow. A host is what resumes fibers: a worker, in its own thread's stack.
 *
 * A fiber leaves for its host or for another fiber. Whoever arrives, rota__fiber_resume in the host, or the other fiber where
 * it left before or where it begins, finds the one who left off its stack: only then may anybody else get hold of that one
 * (rota__worker_settle). A fiber that comes back from rota__fiber_leave may be on another thread: whatever it knew of its host
 * is stale.
 */
#ifndef ROTA_RUNTIME_FIBER_INTERNAL_H
#define ROTA_RUNTIME_FIBER_INTERNAL_H

#include "context_internal.h"
#include "stack_internal.h"
#include "task_internal.h"

#ifdef ROTA__ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef ROTA__TSAN
#include <sanitizer/tsan_interface.h>

#include "sys_internal.h"
#endif

struct rota__fiber_host {
	void *sp;                /* the host's own context while a fiber runs */
	void *ended_sp;          /* what a fiber that ended has saved, for nobody */
	void *sanitizer;         /* thread sanitizer's fiber of the host */
	const void *stack_limit; /* address sanitizer's view of the host's stack */
	size_t stack_size;
#ifdef ROTA__TSAN
	bool holds_signals;
#endif
};

/* Whether signals that a fiber blocks stay blocked in its thread after it. Not so where all are held back meanwhile. */
#ifdef ROTA__TSAN
#define ROTA__FIBERS_KEEP_SIGNALS false
#else
#define ROTA__FIBERS_KEEP_SIGNALS true
#endif

/* Called on the host's thread before its first resume. */
void rota__fiber_host_init(struct rota__fiber_host *host);

/* Prepares a task whose stack is set: the next switch to it runs body(task), which begins with rota__fiber_arrived and ends
 * in rota__fiber_exit. */
void rota__fiber_start(rota_task *task, void (*body)(void *task));

/* Forgets what the sanitizers know of a stack that a fiber has left for good. Before it is used again. */
static inline void rota__fiber_left(struct rota__stack *stack)
{
#ifdef ROTA__TSAN
	sigset_t held;

	rota__sys_hold_signals(&held);
	__tsan_destroy_fiber(stack->sanitizer);
	rota__sys_let_signals(&held);
#endif
	(void)stack;
}

/* Whether `addr` lies in the guard of the task's stack. Signal handlers too. */
bool rota__fiber_overflowed(const rota_task *task, const void *addr);

/* --- the switches: inline, see context_internal.h --------------------------------------------------------------- */

#if defined(ROTA__ASAN)

#define ROTA__BEFORE_RESUME(host, task) \
	void *fake = NULL; \
	__sanitizer_start_switch_fiber(&fake, (task)->stack->limit, (task)->stack->size)
#define ROTA__AFTER_RESUME(host, task) __sanitizer_finish_switch_fiber(fake, NULL, NULL)
#define ROTA__BEFORE_LEAVE(fake, host, next) \
	__sanitizer_start_switch_fiber(fake, (next) != NULL ? (next)->stack->limit : (host)->stack_limit, \
				       (next) != NULL ? (next)->stack->size : (host)->stack_size)

#elif defined(ROTA__TSAN)

/* The sanitizer keeps a signal until whoever runs when it comes does an atomic operation. A fiber may never run again, so
 * while one does, also where the sanitizer makes it or forgets it, signals are held back from the thread. */
#define ROTA__BEFORE_RESUME(host, task) \
	sigset_t held; \
	if ((host)->holds_signals) \
		rota__sys_hold_signals(&held); \
	__tsan_switch_to_fiber((task)->stack->sanitizer, 0)
#define ROTA__AFTER_RESUME(host, task) \
	if ((host)->holds_signals) \
	rota__sys_let_signals(&held)
#define ROTA__BEFORE_LEAVE(fake, host, next) \
	__tsan_switch_to_fiber((next) != NULL ? (next)->stack->sanitizer : (host)->sanitizer, 0)

#else

#define ROTA__BEFORE_RESUME(host, task) ((void)0)
#define ROTA__AFTER_RESUME(host, task) ((void)0)
#define ROTA__BEFORE_LEAVE(fake, host, next) ((void)0)

#endif

#define ROTA__FIBER_FETCHED 384

/* The fiber is about to run: has what it saved, and the frames of the wait that it returns through, brought to the
 * cache all at once. Of a thousand fibers in turns these lines are far away, and it would come upon one after the
 * other. The second line is left out: on x86-64 it is the red zone. One that has not begun has nothing there, and an
 * address that nothing is mapped at would cost a walk through the page tables each time. */
static inline void rota__fiber_fetch(const rota_task *task)
{
	const char *sp = task->sp;

	if (sp == NULL)
		return;
	__builtin_prefetch(sp, 1);
	for (unsigned i = 2 * ROTA__CACHE_LINE; i < ROTA__FIBER_FETCHED; i += ROTA__CACHE_LINE)
		__builtin_prefetch(sp + i, 1);
}

/* First thing on a fiber's stack after each switch to it. */
static inline void rota__fiber_arrived(rota_task *task)
{
#if defined(ROTA__ASAN)
	__sanitizer_finish_switch_fiber(task->stack->sanitizer, NULL, NULL);
#else
	(void)task;
#endif
}

static inline __attribute__((always_inline)) void rota__fiber_resume(struct rota__fiber_host *host, rota_task *task)
{
	ROTA__BEFORE_RESUME(host, task);
	rota__context_switch(&host->sp, task->sp);
	ROTA__AFTER_RESUME(host, task);
}

/* `next`: a fiber that runs then; NULL: the host goes on. */
static inline __attribute__((always_inline)) void rota__fiber_leave(struct rota__fiber_host *host, rota_task *task,
								    rota_task *next)
{
	ROTA__BEFORE_LEAVE(&task->stack->sanitizer, host, next);
	rota__context_switch(&task->sp, next != NULL ? next->sp : host->sp);
	rota__fiber_arrived(task);
}

/* The same for good. Nothing on the stack has its address taken here: the sanitizer would mark its place, for ever. */
static inline _Noreturn void rota__fiber_exit(struct rota__fiber_host *host, const rota_task *next)
{
	ROTA__BEFORE_LEAVE(NULL, host, next);
	rota__context_switch(&host->ended_sp, next != NULL ? next->sp : host->sp);
	__builtin_unreachable();
}

#endif
