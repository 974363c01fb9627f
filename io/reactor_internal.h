/* SPDX-License-Identifier: MIT */
/*
 * The reactor: one thread per runtime with a ring of its own. It runs no user code, so it always answers. It serves
 * what has no worker at hand: operations and timers of threads outside the pool (blocking jobs, rota_block_on_future),
 * and the monitor, which helps workers that are stuck.
 */
#ifndef ROTA_IO_REACTOR_INTERNAL_H
#define ROTA_IO_REACTOR_INTERNAL_H

#include "../runtime/runtime.h"

/* Starts the thread; rt->io is its ring (struct rota__ring). 0, or a negative errno. */
int rota__reactor_start(rota_runtime *rt);

/* Stops and joins it. Nobody may have an operation or a timer with it. */
void rota__reactor_stop(rota_runtime *rt);

#endif
