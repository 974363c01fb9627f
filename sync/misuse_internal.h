/* SPDX-License-Identifier: MIT */
/* Misuse of a primitive, reported with the task that did it. */
#ifndef ROTA_SYNC_MISUSE_INTERNAL_H
#define ROTA_SYNC_MISUSE_INTERNAL_H

#include <errno.h>

#include "../runtime/log_internal.h"
#include "../runtime/task.h"
#include "../runtime/waitlist_internal.h"

/* One line "what (task N "name")"; debug builds abort. Returns `error`, for the caller to return. */
static inline int rota__sync_misuse(const char *what, int error)
{
	rota__misuse("%s (task %llu \"%s\")", what, (unsigned long long)rota_task_id(), rota_task_name());
	return error;
}

/* For the end of a primitive with a list. -EBUSY, reported, when somebody waits: then it must stay as it is. */
static inline int rota__sync_deinit(struct rota_waitlist *list, const char *what)
{
	bool waiting;

	rota__waitlist_lock(list);
	waiting = !rota__waitlist_empty(list);
	rota__waitlist_unlock(list);
	return waiting ? rota__sync_misuse(what, -EBUSY) : 0;
}

#endif
