/* SPDX-License-Identifier: MIT */
/*
 * What valgrind is told, where its headers were there when rota was built: which memory is a stack. It takes a jump of the
 * stack pointer by less than 2 MB for a function that returns or one with a large frame, and what lies between for gone,
 * unless it knows both ends as stacks. Each call costs a few instructions when nobody listens.
 */
#ifndef ROTA_RUNTIME_VALGRIND_INTERNAL_H
#define ROTA_RUNTIME_VALGRIND_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#ifdef ROTA_HAVE_VALGRIND

#include <pthread.h>
#include <valgrind/valgrind.h>

static inline bool rota__valgrind_runs(void)
{
	return RUNNING_ON_VALGRIND != 0;
}

/* Where fibers' stacks will be. For good: a stack that is unmapped and still known does no harm. */
static inline void rota__valgrind_stacks(void *base, size_t size)
{
	(void)VALGRIND_STACK_REGISTER(base, (unsigned char *)base + size - 1);
}

/* The calling thread's own stack; returns its number, for the end. */
static inline unsigned rota__valgrind_thread_start(void)
{
	pthread_attr_t attr;
	void *limit = NULL;
	size_t size = 0;

	if (!RUNNING_ON_VALGRIND || pthread_getattr_np(pthread_self(), &attr) != 0)
		return 0;
	pthread_attr_getstack(&attr, &limit, &size);
	pthread_attr_destroy(&attr);
	return VALGRIND_STACK_REGISTER(limit, (unsigned char *)limit + size - 1);
}

static inline void rota__valgrind_thread_stop(unsigned stack)
{
	VALGRIND_STACK_DEREGISTER(stack);
}

#else

static inline bool rota__valgrind_runs(void)
{
	return false;
}

static inline void rota__valgrind_stacks(void *base, size_t size)
{
	(void)base;
	(void)size;
}

static inline unsigned rota__valgrind_thread_start(void)
{
	return 0;
}

static inline void rota__valgrind_thread_stop(unsigned stack)
{
	(void)stack;
}

#endif

#endif
