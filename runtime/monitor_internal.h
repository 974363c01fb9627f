/* SPDX-License-Identifier: MIT */
/*
 * The monitor looks for workers that are stuck in one task while something waits behind it: queued tasks, completions,
 * expired timers. It runs on the reactor's thread, every stall_ns while workers are inside tasks, less often while they are
 * awake but between tasks, as those are that do I/O, and not at all while they sleep: it goes dormant when it saw no worker
 * move and all asleep, and the first worker that wakes up rouses it.
 *
 *   monitor: dormant = 1; SEQ_CST fence; looks whether all workers are asleep; else dormant = 0.
 *   worker:  asleep = 0; SEQ_CST fence; if dormant was 1, swaps it to 0 and wakes the reactor.
 *
 * When every configured worker is stuck and something waits, a spare is called, at most one for each look
 * (spare_internal.h); the spares are dismissed when for some time there was a worker that could have done their work.
 * A worker inside rota_block_in_place counts as stuck at once, and asks for a look at once.
 *
 * Jobs that were left to the threads of the blocking pool that are at work (blocking_threads.c) are looked after, too: who
 * leaves one sets `left`, then rouses the monitor as a worker does.
 *
 * With the current-thread flavour the monitor looks at no worker, since nobody else may run a task, and no worker rouses it.
 * What the pool has left it looks after all the same: who sets `left` wakes the reactor.
 */
#ifndef ROTA_RUNTIME_MONITOR_INTERNAL_H
#define ROTA_RUNTIME_MONITOR_INTERNAL_H

#include "stall_internal.h"

struct rota__watch;

struct rota__monitor {
	struct rota_atomic_u32 dormant;
	struct rota_atomic_u32 urgent; /* a worker has blocked: look at once */
	struct rota_atomic_u64 stalls; /* the reactor writes: a number for the metrics; the next, too */
	struct rota_atomic_u64 stall_reports;
	/* the reactor's thread only */
	uint64_t due;              /* the next look; while dormant, not before */
	unsigned pause;            /* until the one after that, in stall_ns */
	unsigned calm;             /* looks in a row at which no spare was needed */
	struct rota__watch *watch; /* per worker and spare */
	struct rota__stall_sites sites;
};

int rota__monitor_init(rota_runtime *rt);
void rota__monitor_deinit(rota_runtime *rt);

/* On the reactor's thread. Returns when to look again, ROTA_NEVER while dormant. */
uint64_t rota__monitor_look(rota_runtime *rt, uint64_t now);

/* A worker has woken up. */
void rota__monitor_rouse(rota_runtime *rt);

/* The blocking pool has set `left`. */
void rota__monitor_mind_pool(rota_runtime *rt);

/* A worker is about to block: the next look comes at once. */
void rota__monitor_alert(rota_runtime *rt);

#endif
