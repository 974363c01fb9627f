/* SPDX-License-Identifier: MIT */
/*
 * What the runtime asks of I/O. runtime/ owns this table, io/ fills it: one table per back end.
 *
 * A worker (or the thread that plays one, in the current-thread flavour) drives its own part; the reactor, one thread
 * per runtime, serves everybody else.
 */
#ifndef ROTA_RUNTIME_DRIVER_INTERNAL_H
#define ROTA_RUNTIME_DRIVER_INTERNAL_H

#include "runtime.h"

struct rota__worker;
struct rota__beside_thread;

struct rota__driver {
	enum rota_backend backend;

	/* The reactor: starts its thread, stops and joins it. */
	int (*start)(rota_runtime *rt);
	void (*stop)(rota_runtime *rt);

	/* A worker's part. It is made, and left, on the worker's thread (`shared`: several threads will play this worker, one
	 * after another), and freed when the reactor, which may look into it, is gone. */
	int (*worker_start)(struct rota__worker *worker, bool shared);
	void (*worker_leave)(struct rota__worker *worker);
	void (*worker_free)(struct rota__worker *worker);

	/* Submits what tasks asked for and takes what is complete; wakes the tasks. Waits at most timeout_ns (0: not at all,
	 * ROTA_NEVER: no limit) for a completion or a wake. Owner. Returns how many operations ended. */
	unsigned (*turn)(struct rota__worker *worker, uint64_t timeout_ns);

	/* Whether a turn would bring something. Owner. */
	bool (*has_news)(const struct rota__worker *worker);

	/* Ends the worker's present wait in a turn, or its next. Any thread. */
	void (*wake)(struct rota__worker *worker);

	/* Takes a stuck worker's completions in its place, and counts what ended by it for the reactor. Whether there was anything
	 * that a task had waited for. On the reactor's thread. */
	bool (*rescue)(struct rota__worker *worker);

	/* Makes the reactor look at its timers and at the monitor again. Any thread. */
	void (*wake_reactor)(rota_runtime *rt);

	/* What the back end asked for by rota__blocking_errand, on a pool thread; by rota__blocking_errand_beside, on one beside
	 * the pool. NULL: it never does. */
	void (*errand)(rota_runtime *rt);
	void (*errand_beside)(rota_runtime *rt, struct rota__beside_thread *thread);
};

/* Defined in io/driver.c: the table for `wanted`, after a trial; AUTO takes the first that works. 0, or a negative
 * errno and one line on standard error. */
int rota__driver_find(enum rota_backend wanted, const struct rota__driver **ret);

#endif
