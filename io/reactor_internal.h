/* SPDX-License-Identifier: MIT */
/*
 * The reactor: one thread per runtime. It runs no user code, so it always answers. It serves what has no worker at hand:
 * operations and timers of threads outside the pool (blocking jobs, rota_block_on_future), the monitor, which helps
 * workers that are stuck, and a resolver's lane that lacks a thread. What it waits in is the back end's.
 */
#ifndef ROTA_IO_REACTOR_INTERNAL_H
#define ROTA_IO_REACTOR_INTERNAL_H

#include <pthread.h>

#include "../runtime/atomic_internal.h"
#include "../runtime/runtime.h"

/* What the reactor waits in: `part`, which the back end has. */
struct rota__reactor_ops {
	int (*open)(void *part, rota_runtime *rt);         /* on the thread; 0 or a negative errno */
	unsigned (*turn)(void *part, uint64_t timeout_ns); /* on the thread: waits and serves; how many ended */
	void (*leave)(void *part);                         /* on the thread, which is about to end */
	void (*wake)(void *part);                          /* any thread: ends the present turn, or the next */
};

struct rota__reactor {
	const struct rota__reactor_ops *ops;
	void *part;
	rota_runtime *rt;
	pthread_t thread;
	struct rota_atomic_u32 ready; /* futex of the starter */
	struct rota_atomic_u32 stop;
	int error;
};

/* Starts the thread. 0, or a negative errno: then it is gone. */
int rota__reactor_start(struct rota__reactor *reactor, rota_runtime *rt, const struct rota__reactor_ops *ops,
			void *part);

/* Stops and joins it. Nobody may have an operation or a timer with it. */
void rota__reactor_stop(struct rota__reactor *reactor);

#endif
