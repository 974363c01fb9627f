/* SPDX-License-Identifier: MIT */
/*
 * Spare workers: threads that take over while every worker is stuck in a long task.
 *
 * A spare is a worker like any other (ring, queue, wheel, caches), with an index behind those of the configured ones.
 * Its thread is started when the monitor first calls for it, and stays until the runtime stops, since requests that it
 * submitted would die with it. It is in one of two places:
 *
 *   on duty    runs the ordinary loop: takes what is injected, steals, sleeps among the idle workers.
 *   stand-by   gives away what is in its queue, runs only tasks that may not leave it, and is parked in its ring. A
 *              completion, a timer or a letter wakes it; the task that this concerns goes to the injection queue, and
 *              submits its next operation elsewhere. So a spare empties by itself.
 *
 * The monitor alone writes `on_duty`, and wakes the spare after it; the spare looks at it between tasks. A spare on
 * stand-by is no sleeper of idle_internal.h: nobody relies on it.
 *
 *   reactor    launches, calls, dismisses. One launch is under way at a time.
 *   spare      publishes itself: `ready` is one more. Who reads `ready` may look into that many spares.
 *   stopper    closes, under the lock: then nothing more is launched.
 */
#ifndef ROTA_RUNTIME_SPARE_INTERNAL_H
#define ROTA_RUNTIME_SPARE_INTERNAL_H

#include <pthread.h>

#include "atomic_internal.h"

struct rota__worker;

/* Spares that may be there for workers in rota_block_in_place, besides those for workers that are stuck: as many as
 * these. */
#define ROTA__SPARES_FOR_BLOCKED 64u

struct rota__spares {
	/* anybody reads */
	struct rota_atomic_u32 ready;   /* spares that have been started */
	struct rota_atomic_u32 on_duty; /* the reactor writes: a number for the metrics, and a hint */
	struct rota_atomic_u64 calls;   /* the same: times that one was called */
	struct rota_atomic_u32 error;   /* of the launch under way; the spare writes it and ends */
	/* under the lock */
	pthread_mutex_t lock;
	bool closed;
	unsigned launched; /* written by the reactor's thread only, which may read it without */
	/* the reactor's thread only */
	uint64_t retry_at; /* after a launch that failed */
};

void rota__spares_init(rota_runtime *rt);
void rota__spares_deinit(rota_runtime *rt);

/* Calls one that is on stand-by, or launches one, unless `most` are on duty. On the reactor's thread. */
void rota__spares_call(rota_runtime *rt, unsigned most, uint64_t now);

/* All go on stand-by as soon as they are between two tasks. On the reactor's thread. */
void rota__spares_dismiss(rota_runtime *rt);

/* Whether the worker is a spare that is on duty, or a configured one. */
bool rota__spare_serves(const struct rota__worker *worker);

/* No more launches. The stopper, before it wakes all workers. */
void rota__spares_close(rota_runtime *rt);

#endif
