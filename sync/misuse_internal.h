/* SPDX-License-Identifier: MIT */
/* Misuse of a primitive, reported with the task that did it. */
#ifndef ROTA_SYNC_MISUSE_INTERNAL_H
#define ROTA_SYNC_MISUSE_INTERNAL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "../runtime/log_internal.h"
#include "../runtime/spin_internal.h"
#include "../runtime/task.h"
#include "../runtime/waitlist_internal.h"

/* One line "what (task N "name")"; debug builds abort. Returns `error`, for the caller to return. */
static inline int rota__sync_misuse(const char *what, int error)
{
	rota__misuse("%s (task %llu \"%s\")", what, (unsigned long long)rota_task_id(), rota_task_name());
	return error;
}

/*
 * A send to what is closed may be meant, so it is an error code in any build; debug builds tell of the first one as well,
 * and go on. `closed` is 1, and the lock that guards it is held; whether to tell, once the lock is dropped.
 */
static inline bool rota__sync_first_refused(uint32_t *closed)
{
#ifdef ROTA_DEBUG
	const bool first = *closed == 1;

	*closed |= 2;
	return first;
#else
	(void)closed;
	return false;
#endif
}

static inline void rota__sync_tell_refused(const char *what)
{
	rota__log("%s (task %llu \"%s\")", what, (unsigned long long)rota_task_id(), rota_task_name());
}

/* For the end of a primitive with a list. -EBUSY, reported, when somebody waits: then it must stay as it is. Waits for who is
 * still waking others, of whom none is left. */
static inline int rota__sync_deinit(struct rota_waitlist *list, const char *what)
{
	unsigned spins = 0;
	bool waiting, over;

	for (;;) {
		rota__waitlist_lock(list);
		waiting = !rota__waitlist_empty(list);
		over = rota__waitlist_over(list);
		rota__waitlist_unlock(list);
		if (waiting || over)
			return waiting ? rota__sync_misuse(what, -EBUSY) : 0;
		rota__spin_pause(&spins);
	}
}

#endif
