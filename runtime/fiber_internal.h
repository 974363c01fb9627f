/* SPDX-License-Identifier: MIT */
/*
 * Fibers on top of the context switch: starting a task on a stack, switching with the sanitizers told, reporting
 * overflow. A host is what resumes fibers: a worker, in its own thread's stack.
 *
 * rota__fiber_resume returns when the fiber has suspended or ended, with the fiber off its stack: only then may
 * anybody else get hold of it (design invariant 2). A fiber that comes back from rota__fiber_suspend may be on another
 * thread: whatever it knew of its host is stale.
 */
#ifndef ROTA_RUNTIME_FIBER_INTERNAL_H
#define ROTA_RUNTIME_FIBER_INTERNAL_H

#include "stack_internal.h"
#include "task_internal.h"

struct rota__fiber_host {
	void *sp;                /* the host's own context while a fiber runs */
	void *sanitizer;         /* thread sanitizer's fiber of the host */
	const void *stack_limit; /* address sanitizer's view of the host's stack */
	size_t stack_size;
};

/* Called on the host's thread before its first resume. */
void rota__fiber_host_init(struct rota__fiber_host *host);

/* Prepares a task whose stack is set: the next resume runs body(task), which begins with rota__fiber_arrived and ends
 * in rota__fiber_exit. */
void rota__fiber_start(rota_task *task, void (*body)(void *task));
void rota__fiber_arrived(rota_task *task);

void rota__fiber_resume(struct rota__fiber_host *host, rota_task *task);
void rota__fiber_suspend(struct rota__fiber_host *host, rota_task *task);
_Noreturn void rota__fiber_exit(struct rota__fiber_host *host, rota_task *task);

/* Forgets what the sanitizers know of an ended fiber. On the host, before the stack is used again. */
void rota__fiber_ended(rota_task *task);

/* Whether `addr` lies in the guard of the task's stack. Signal handlers too. */
bool rota__fiber_overflowed(const rota_task *task, const void *addr);

#endif
