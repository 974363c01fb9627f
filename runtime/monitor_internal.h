/* SPDX-License-Identifier: MIT */
/*
 * The monitor looks for workers that are stuck in one task while something waits behind it: queued tasks, completions,
 * expired timers. It runs on the reactor's thread, every stall_ns while workers are busy, and not at all while they
 * sleep: it goes dormant when it saw no worker move and all asleep, and the first worker that wakes up rouses it.
 *
 *   monitor: dormant = 1; SEQ_CST fence; looks whether all workers are asleep; else dormant = 0.
 *   worker:  asleep = 0; SEQ_CST fence; if dormant was 1, swaps it to 0 and wakes the reactor.
 */
#ifndef ROTA_RUNTIME_MONITOR_INTERNAL_H
#define ROTA_RUNTIME_MONITOR_INTERNAL_H

#include "atomic_internal.h"

struct rota__monitor {
	struct rota_atomic_u32 dormant;
	/* the reactor's thread only */
	uint64_t looked_at;
	uint64_t *seen; /* per worker: its `runs` at the last look */
};

int rota__monitor_init(rota_runtime *rt);
void rota__monitor_deinit(rota_runtime *rt);

/* On the reactor's thread. Returns when to look again, ROTA_NEVER while dormant. */
uint64_t rota__monitor_look(rota_runtime *rt, uint64_t now);

/* A worker has woken up. */
void rota__monitor_rouse(rota_runtime *rt);

#endif
