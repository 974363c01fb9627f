/* SPDX-License-Identifier: MIT */
/*
 * Parking of plain threads. A parker is a word: EMPTY, PARKED or NOTIFIED.
 * Parkers are never freed: a thread that ends leaves its own for the next one, so a late wake at worst wakes a
 * stranger early, which every waiter must bear.
 */
#ifndef ROTA_RUNTIME_PARK_INTERNAL_H
#define ROTA_RUNTIME_PARK_INTERNAL_H

#include "atomic_internal.h"
#include "park.h"

struct rota__parker {
	struct rota_atomic_u32 state;
	struct rota__parker *next_free;
	uint64_t parks; /* the thread's own: how often it has parked */
};

/* The calling thread's parker. */
struct rota__parker *rota__parker_self(void);

/* Blocks until notified, at most timeout_ns (UINT64_MAX: no limit). */
void rota__parker_park(struct rota__parker *parker, uint64_t timeout_ns);

/* Marks as notified; true: the thread sleeps, and the caller must call rota__parker_unpark. */
bool rota__parker_claim(struct rota__parker *parker);
void rota__parker_unpark(struct rota__parker *parker);

#endif
