/* SPDX-License-Identifier: MIT */
/*
 * Parking of a plain thread, for executors of the user's own: poll a future with rota_thread_waker's waker, and
 * while it is pending call rota_thread_park.
 */
#ifndef ROTA_RUNTIME_PARK_H
#define ROTA_RUNTIME_PARK_H

#include "waker.h"

ROTA_BEGIN_DECLS

/* A waker for the calling thread. Needs no drop; it may be woken from any thread, also after this one has ended. */
ROTA_API struct rota_waker rota_thread_waker(void);

/* Blocks until the calling thread's waker was woken since the last return. May also return early: poll again. */
ROTA_API void rota_thread_park(void);

ROTA_END_DECLS

#endif
