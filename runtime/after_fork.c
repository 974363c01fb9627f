/* SPDX-License-Identifier: MIT */
/*
 * What becomes of runtimes in a child of fork(2): none of their threads is there, and the rings and descriptors are shared
 * with the parent. So the child leaves them alone, calls that are given one of them are refused, and the thread that has
 * forked, of which the child has a copy, is a plain thread there, also when it was inside of a task, on the stack of which
 * it still runs. What the process has for all of its threads serves in the child, too: a lock that another thread held
 * is free there.
 */
#include "after_fork_internal.h"

#include <errno.h>
#include <pthread.h>

#include "log_internal.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned forks; /* written while the process has one thread */

static void forked(void)
{
	forks++;
	rota__alloc_forked();
	rota__parkers_forked();
	rota__bias_forked();
	rota__worker_forked();
	rota__runtime_forked();
	rota__blocking_forked();
}

static void install(void)
{
	/* -ENOMEM: then a child that uses its parent's runtime waits for ever, as it would without. */
	pthread_atfork(NULL, NULL, forked);
}

void rota__after_fork_install(void)
{
	pthread_once(&once, install);
}

unsigned rota__forks_since_load(void)
{
	return forks;
}

int rota__after_fork_refuse(void)
{
	rota__misuse("a runtime of the parent process cannot be used after fork(2): start one here");
	return -ESHUTDOWN;
}
