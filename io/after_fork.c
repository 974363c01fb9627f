/* SPDX-License-Identifier: MIT */
/*
 * A child of fork(2), as in a server that forks its workers, has one thread: the one that forked. Those of the process's
 * own, which serve signals, names and children, are not there, nor is whoever held a lock of theirs. So the child begins
 * with none of them, and makes its own when it needs them. What they had to do was for tasks of the parent.
 *
 * (A child of process.h is none of these: it is posix_spawn's.)
 */
#include "after_fork_internal.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void forked(void)
{
	rota__accepts_forked();
	rota__outside_forked();
	rota__signals_forked();
	rota__reaper_forked();
	rota__resolver_forked();
}

static void install(void)
{
	/* -ENOMEM: then children are as they would be without. */
	pthread_atfork(rota__signals_fork_begin, rota__signals_fork_end, forked);
}

void rota__io_after_fork_install(void)
{
	pthread_once(&once, install);
}
