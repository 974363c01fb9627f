/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fiber_internal.h"

#ifdef ROTA__ASAN
#include <pthread.h>
#endif

#define GUARD_SIZE ((uintptr_t)4096) /* what is looked at below a stack: one page of the smallest size */

/* Stacks lie at equal distances: colours keep their hot lines from fighting for the same cache sets. */
#define COLOURS ((uintptr_t)8)
#define COLOUR_STEP ((uintptr_t)192)

void rota__fiber_host_init(struct rota__fiber_host *host)
{
#if defined(ROTA__ASAN)
	pthread_attr_t attr;
	void *limit = NULL;

	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		pthread_attr_getstack(&attr, &limit, &host->stack_size);
		pthread_attr_destroy(&attr);
	}
	host->stack_limit = limit;
#elif defined(ROTA__TSAN)
	host->sanitizer = __tsan_get_current_fiber();
	host->holds_signals = rota__sys_signals_come();
#endif
	host->sp = NULL;
}

void rota__fiber_start(rota_task *task, void (*body)(void *task))
{
	struct rota__stack *stack = task->stack;
	uintptr_t top = (uintptr_t)stack & ~(uintptr_t)63;

	top -= (((uintptr_t)stack >> 12) % COLOURS) * COLOUR_STEP;
#ifdef ROTA__TSAN
	sigset_t held;

	rota__sys_hold_signals(&held);
	stack->sanitizer = __tsan_create_fiber(0);
	rota__sys_let_signals(&held);
#else
	stack->sanitizer = NULL;
#endif
	task->sp = rota__context_make((void *)top, body, task);
}

bool rota__fiber_overflowed(const rota_task *task, const void *addr)
{
	const uintptr_t at = (uintptr_t)addr;

	if (task->kind != ROTA__TASK_FIBER || task->stack == NULL)
		return false;
	const uintptr_t limit = (uintptr_t)task->stack->limit;
	return at < limit && at >= limit - GUARD_SIZE;
}
