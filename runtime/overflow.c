/* SPDX-License-Identifier: MIT */
/*
 * Reports the overflow of a fiber's stack by the fiber's name, instead of a bare SIGSEGV. The handler runs on a signal
 * stack of each worker's thread; a fault that is no overflow goes to the handler that was there before. A plain thread that
 * plays a worker, maybe often and for a short time, keeps the stack until it ends, or frees a runtime.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "alloc_internal.h"
#include "fiber_internal.h"
#include "log_internal.h"
#include "opaque_internal.h"
#include "runtime_internal.h"

#define SIGNAL_STACK_SIZE ((size_t)32 * 1024)

static struct sigaction former;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static bool has_exit_key;
static _Thread_local bool prepared;
static _Thread_local void *own_stack; /* the thread's, if it is of rota's making; so is the key's value */

static void on_segv(int number, siginfo_t *info, void *context)
{
	rota_task *task = rota__task_current();

	if (task != NULL && rota__fiber_overflowed(task, info->si_addr)) {
		rota__log("stack overflow in task %llu \"%s\": its %zu KiB are used up (see rota_task_attr.stack_size)",
			  (unsigned long long)task->id, rota__task_name(task), task->stack->size / 1024);
		abort();
	}
	if (former.sa_flags & SA_SIGINFO) {
		former.sa_sigaction(number, info, context);
	} else if (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN) {
		former.sa_handler(number);
	} else if (info->si_code <= 0) {
		signal(number, SIG_DFL);
		raise(number); /* somebody sent it: no instruction would raise it again */
	} else {
		/* The instruction runs again and faults as if nobody had listened. */
		signal(number, SIG_DFL);
	}
}

static ROTA__OPAQUE void thread_ends(void *stack)
{
	const stack_t none = { .ss_flags = SS_DISABLE };
	stack_t present;

	prepared = false;
	own_stack = NULL;
	if (sigaltstack(NULL, &present) == 0 && present.ss_sp == stack)
		sigaltstack(&none, NULL);
	rota__free(stack, SIGNAL_STACK_SIZE, ROTA__CACHE_LINE);
}

ROTA__OPAQUE void rota__overflow_thread_stop(void)
{
	if (own_stack == NULL || rota__in_place_task != NULL)
		return; /* there may not even be a key; or the thread is a worker's, whose fibers need it */
	pthread_setspecific(exit_key, NULL);
	thread_ends(own_stack);
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	has_exit_key = pthread_key_create(&exit_key, thread_ends) == 0;
	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, &former);
}

void rota__overflow_install(void)
{
	pthread_once(&once, install);
}

ROTA__OPAQUE void rota__overflow_thread_start(void)
{
	stack_t present, own = { .ss_size = SIGNAL_STACK_SIZE };

	if (prepared)
		return;
	prepared = true;
	/* A thread that has a signal stack keeps it. Without a key nobody would take one away. */
	if (!has_exit_key || (sigaltstack(NULL, &present) == 0 && !(present.ss_flags & SS_DISABLE)))
		return;
	own.ss_sp = rota__alloc(SIGNAL_STACK_SIZE, ROTA__CACHE_LINE);
	if (own.ss_sp == NULL)
		return; /* an overflow is a bare SIGSEGV */
	if (pthread_setspecific(exit_key, own.ss_sp) == 0 && sigaltstack(&own, NULL) == 0) {
		own_stack = own.ss_sp;
		return;
	}
	pthread_setspecific(exit_key, NULL);
	rota__free(own.ss_sp, SIGNAL_STACK_SIZE, ROTA__CACHE_LINE);
}
