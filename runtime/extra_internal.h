/* SPDX-License-Identifier: MIT */
/*
 * What only some tasks have: scopes and task-local values. It takes the place of a second header in the task pool, is
 * made when it is first needed and goes with the task.
 */
#ifndef ROTA_RUNTIME_EXTRA_INTERNAL_H
#define ROTA_RUNTIME_EXTRA_INTERNAL_H

#include "scope.h"
#include "task_internal.h"

struct rota__local;

struct rota__extra {
	struct rota_atomic_u64 no_task; /* 0: who walks over all headers takes it for a free one */
	rota_task *task;                /* whose it is */

	/* the task's own */
	struct rota_scope *opened; /* innermost scope that it has open */
	bool unfiled;              /* one of them has a timer that is not filed yet */
	struct rota__local *locals;

	/* as the child of a scope; constant, the rest under that scope's lock */
	struct rota_scope *scope;
	struct rota__extra *next, *prev;
	bool told; /* was asked to stop by the scope */
};

_Static_assert(sizeof(struct rota__extra) <= sizeof(rota_task), "it fits a header's place");

/* The task's, made if it has none: NULL without memory. By the one who runs the task, or makes it. */
struct rota__extra *rota__extra_of(rota_task *task);

/* The values that a new task gets from the one that spawns it, which has an extra. 0, -ENOMEM: what was inherited must still be
 * cleared. */
int rota__locals_inherit(rota_task *child, const rota_task *parent);

/* Drops all values; when the task has ended, or is not to be started. */
void rota__locals_clear(struct rota__extra *extra);

/* Files the timers of the task's open scopes that are not filed yet. By the task, on a worker. */
void rota__scope_file_timers(rota_task *task);

#endif
