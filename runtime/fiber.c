/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fiber_internal.h"

#include "context_internal.h"

#ifdef ROTA__ASAN
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef ROTA__TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define GUARD_SIZE ((uintptr_t)4096) /* what is looked at below a stack: one page of the smallest size */

/* Stacks lie at equal distances: colours keep their hot lines from fighting for the same cache sets. */
#define COLOURS ((uintptr_t)8)
#define COLOUR_STEP ((uintptr_t)192)

#if defined(ROTA__ASAN)

#define BEFORE_RESUME(host, task) \
	void *fake = NULL; \
	__sanitizer_start_switch_fiber(&fake, (task)->stack->limit, (task)->stack->size)
#define AFTER_RESUME(host, task) __sanitizer_finish_switch_fiber(fake, NULL, NULL)
#define BEFORE_SUSPEND(host, task) \
	__sanitizer_start_switch_fiber(&(task)->stack->sanitizer, (host)->stack_limit, (host)->stack_size)
#define BEFORE_EXIT(host, task) __sanitizer_start_switch_fiber(NULL, (host)->stack_limit, (host)->stack_size)

#elif defined(ROTA__TSAN)

#define BEFORE_RESUME(host, task) __tsan_switch_to_fiber((task)->stack->sanitizer, 0)
#define AFTER_RESUME(host, task) ((void)0)
#define BEFORE_SUSPEND(host, task) __tsan_switch_to_fiber((host)->sanitizer, 0)
#define BEFORE_EXIT(host, task) __tsan_switch_to_fiber((host)->sanitizer, 0)

#else

#define BEFORE_RESUME(host, task) ((void)0)
#define AFTER_RESUME(host, task) ((void)0)
#define BEFORE_SUSPEND(host, task) ((void)(host))
#define BEFORE_EXIT(host, task) ((void)0)

#endif

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
#endif
	host->sp = NULL;
}

void rota__fiber_arrived(rota_task *task)
{
#if defined(ROTA__ASAN)
	__sanitizer_finish_switch_fiber(task->stack->sanitizer, NULL, NULL);
#else
	(void)task;
#endif
}

/* The thread sanitizer keeps a shadow stack per fiber: no function that it instruments may be entered on one and
 * left on the other, hence noinline. */
static __attribute__((noinline)) void switch_context(void **save_sp, void *sp)
{
	rota__context_switch(save_sp, sp);
}

void rota__fiber_start(rota_task *task, void (*body)(void *task))
{
	struct rota__stack *stack = task->stack;
	uintptr_t top = (uintptr_t)stack & ~(uintptr_t)63;

	top -= (((uintptr_t)stack >> 12) % COLOURS) * COLOUR_STEP;
#ifdef ROTA__TSAN
	stack->sanitizer = __tsan_create_fiber(0);
#else
	stack->sanitizer = NULL;
#endif
	task->sp = rota__context_make((void *)top, body, task);
}

void rota__fiber_resume(struct rota__fiber_host *host, rota_task *task)
{
	BEFORE_RESUME(host, task);
	switch_context(&host->sp, task->sp);
	AFTER_RESUME(host, task);
}

void rota__fiber_suspend(struct rota__fiber_host *host, rota_task *task)
{
	BEFORE_SUSPEND(host, task);
	switch_context(&task->sp, host->sp);
	rota__fiber_arrived(task);
}

_Noreturn void rota__fiber_exit(struct rota__fiber_host *host, rota_task *task)
{
	BEFORE_EXIT(host, task);
	switch_context(&task->sp, host->sp);
	__builtin_unreachable();
}

void rota__fiber_ended(rota_task *task)
{
#ifdef ROTA__TSAN
	__tsan_destroy_fiber(task->stack->sanitizer);
#endif
	(void)task;
}

bool rota__fiber_overflowed(const rota_task *task, const void *addr)
{
	const uintptr_t at = (uintptr_t)addr;

	if (task->kind != ROTA__TASK_FIBER || task->stack == NULL)
		return false;
	const uintptr_t limit = (uintptr_t)task->stack->limit;
	return at < limit && at >= limit - GUARD_SIZE;
}
