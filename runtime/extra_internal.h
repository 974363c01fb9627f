/* SPDX-License-Identifier: MIT */
/*
 * What only some tasks have, found by the header's `more`. It is NULL; or the scope that the task is a child of, which most
 * tasks have and nothing else; or, marked by its lowest bit, an extra, in which the scope stands too: a name, open scopes,
 * task-local values. An extra takes the place of a second header in the task pool, is made when it is first needed and goes
 * with the task.
 */
#ifndef ROTA_RUNTIME_EXTRA_INTERNAL_H
#define ROTA_RUNTIME_EXTRA_INTERNAL_H

#include "opaque_internal.h"
#include "scope.h"
#include "task_internal.h"

struct rota__local;

struct rota__extra {
	struct rota_atomic_u64 no_task; /* 0: who walks over all headers takes it for a free one */
	rota_task *task;                /* whose it is */

	struct rota_scope *scope; /* that the task is a child of; constant once the task was submitted */
	char name[ROTA_TASK_NAME_MAX + 1];

	/* the task's own */
	struct rota_scope *opened; /* innermost scope that it has open */
	bool unfiled;              /* one of them has a timer that is not filed yet */
	bool walked;               /* a task is being spawned, which goes through the list below */
	struct rota__local *locals;
};

_Static_assert(sizeof(struct rota__extra) <= sizeof(rota_task), "it fits a header's place");

#define ROTA__MORE_EXTRA ((uintptr_t)1)

static inline struct rota__extra *rota__more_extra(void *more)
{
	const uintptr_t word = (uintptr_t)more;

	return word & ROTA__MORE_EXTRA ? (struct rota__extra *)(word - ROTA__MORE_EXTRA) : NULL;
}

/* The task's, if it has one. By the one who runs the task, or makes it: nobody else changes it. */
static inline struct rota__extra *rota__task_extra(const rota_task *task)
{
	return rota__more_extra(rota__load(&task->more, RELAXED));
}

/* Whether it may have one. As above. */
static inline bool rota__task_may_have_extra(const rota_task *task)
{
	return ((uintptr_t)rota__load(&task->more, RELAXED) & ROTA__MORE_EXTRA) != 0;
}

/* The scope that the task is a child of, or NULL. As above. */
static inline struct rota_scope *rota__task_scope(const rota_task *task)
{
	void *more = rota__load(&task->more, RELAXED);
	const struct rota__extra *extra = rota__more_extra(more);

	return extra != NULL ? extra->scope : more;
}

/* The task's name, "" for none. By anybody with a reference, for as long as that is held. */
static inline const char *rota__task_name(const rota_task *task)
{
	const struct rota__extra *extra = rota__more_extra(rota__load(&task->more, ACQUIRE)); /* partner: extra_of */

	return extra != NULL ? extra->name : "";
}

/* Tells a scope of its children that have ended on the calling worker (scope_internal.h). */
void rota__scope_count_ended(struct rota__worker *worker);

/* The task's, made if it has none: NULL without memory. By the one who runs the task, or makes it. */
struct rota__extra *rota__extra_of(rota_task *task);

/* The values that a new task gets from the one that spawns it, whose extra is `parent`. 0, -ENOMEM: what was inherited
 * must still be cleared. */
int rota__locals_inherit(rota_task *child, struct rota__extra *parent);

/* Drops all values; when the task has ended, or is not to be started. */
void rota__locals_clear(struct rota__extra *extra);

/* Files the timers of the task's open scopes that are not filed yet. By the task, on a worker. Opaque since it stands
 * before each switch away from a fiber. */
ROTA__OPAQUE void rota__scope_file_timers(rota_task *task);

#endif
