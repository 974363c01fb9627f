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

/* For the end of a primitive. -EBUSY, reported, when somebody waits: then it must stay as it is. Without the lock: who
 * ends a primitive is alone with it, or has made a mistake that this cannot always see. */
static inline int rota__sync_deinit(const struct rota_waitlist *list, const char *what)
{
	return __atomic_load_n(&list->first_, __ATOMIC_RELAXED) == NULL ? 0 : rota__sync_misuse(what, -EBUSY);
}

#endif
