/* SPDX-License-Identifier: MIT */
/*
 * The queue of waiters that every primitive of sync/ embeds. Public only for its size; programs never touch it.
 * All zero is a valid, empty queue, so that static initialisers work (a oneshot's begins otherwise: below).
 */
#ifndef ROTA_RUNTIME_WAITLIST_H
#define ROTA_RUNTIME_WAITLIST_H

#include "types.h"
#include "waker.h"

struct rota_waiter {
	struct rota_waiter *next_, *prev_;
	struct rota_waker waker_;
	struct rota_atomic_u32 state_;
	uint32_t tag_;
};

struct rota_waitlist {
	struct rota_atomic_u64 lock_;
	struct rota_atomic_u32 mode_; /* of the lock: waitlist_lock_internal.h */
	uint32_t count_;
	struct rota_waiter *first_, *last_;
};

/* One whose lock one thread may come to have for itself, and one that is too short-lived for it. */
/* clang-format off */
#define ROTA_WAITLIST_INIT_ { {0}, {0}, 0, NULL, NULL }
#define ROTA_WAITLIST_SHARED_INIT_ { {0}, { ROTA_WAITLIST_SHARED_ }, 0, NULL, NULL }
#define ROTA_WAITLIST_SHARED_ 0x10000u
/* clang-format on */

#endif
