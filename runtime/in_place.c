/* SPDX-License-Identifier: MIT */
/*
 * rota_block_in_place: a worker's thread that is about to block gives its work away, and stops being a worker until it is
 * back.
 *
 * Its run queue goes to the injection queue; its operations are submitted, time limits of its task's scopes filed. Then
 * `blocked` is set, and the monitor told: it counts the worker as stuck at once, takes its completions, timers and mail
 * over at each look, and calls a spare when no other worker is free (monitor.c). Meanwhile the thread-local worker is NULL,
 * so that for whatever fn calls the thread is one of the blocking pool: what it waits for, it waits for by blocking, its I/O
 * goes through the reactor. The fiber stays on its stack; nobody else can resume it, since it never left.
 */
#include <errno.h>

#include "blocking.h"
#include "opaque_internal.h"
#include "runtime_internal.h"

static ROTA__OPAQUE void step_aside(struct rota__worker *worker)
{
	rota_runtime *rt = worker->rt;
	rota_task *const task = worker->current;
	const struct rota__extra *extra = task != NULL ? rota__task_extra(task) : NULL;

	if (extra != NULL && extra->unfiled) /* a child that fn spawns would have it done without a wheel at hand */
		rota__scope_file_timers(task);
	rota__count(&worker->operations, rt->driver->turn(worker, 0));
	rota__worker_hand_over(worker);
	rota__store(&worker->blocked, 1, RELEASE); /* partner: the monitor's look */
	rota__monitor_alert(rt);
	rota__in_place_task = task;
	rota__worker_tls = NULL;
}

static ROTA__OPAQUE void step_back(struct rota__worker *worker)
{
	rota__in_place_task = NULL;
	rota__worker_tls = worker;
	rota__store(&worker->blocked, 0, RELEASE);
}

int rota_block_in_place(rota_fn *fn, void *arg)
{
	struct rota__worker *worker = rota__worker_self();
	rota_runtime *outer;
	int status;

	if (fn == NULL)
		return -EINVAL;
	if (worker == NULL)
		return fn(arg);
	if (worker->rt->config.flavor == ROTA_FLAVOR_CURRENT_THREAD)
		return -ENOTSUP;
	step_aside(worker);
	outer = rota__runtime_enter(worker->rt);
	status = fn(arg);
	rota__runtime_enter(outer);
	step_back(worker);
	return status;
}
