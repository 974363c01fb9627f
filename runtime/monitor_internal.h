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
 * A look is a wake-up, which takes a CPU from who may be at work on it. So while nobody is stuck nor inside a task at a look,
 * the workers put the next one off, where the back end can (`renew_at`): who is between two tasks and finds, every half of a
 * pause, that the others sleep or have moved sets the timer anew that would wake the reactor; who finds one that has not
 * moved wakes it. When nobody comes by, since all are stuck, or sleep, the timer expires.
 *
 * When every configured worker is stuck and something waits, a spare is called, at most one for each look
 * (spare_internal.h); the spares are dismissed when for some time there was a worker that could have done their work.
 * A worker inside rota_block_in_place counts as stuck at once, and asks for a look at once.
 *
 * Jobs that were left to the threads of the blocking pool that are at work (blocking_threads.c) are looked after, too: who
 * leaves one sets `left`, then rouses the monitor as a worker does.
 *
 * With the current-thread flavour there is no monitor: nobody else may run a task.
 */
#ifndef ROTA_RUNTIME_MONITOR_INTERNAL_H
#define ROTA_RUNTIME_MONITOR_INTERNAL_H

#include "stall_internal.h"

struct rota__watch;

struct rota__monitor {
	struct rota_atomic_u32 dormant;
	struct rota_atomic_u32 urgent;   /* a worker has blocked: look at once */
	struct rota_atomic_u64 renew_at; /* when a worker is to put the next look off; ROTA_NEVER: nobody is to */
	struct rota_atomic_u64 stalls;   /* the reactor writes: a number for the metrics; the next, too */
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

/* A worker has woken up, or there is something else to look after. */
void rota__monitor_rouse(rota_runtime *rt);

/* A worker is between two tasks, at `now` or shortly after, and renew_at is over: puts the next look off, if all is well. */
void rota__monitor_renew(struct rota__worker *worker, uint64_t now);

/* A worker is about to block: the next look comes at once. */
void rota__monitor_alert(rota_runtime *rt);

#endif
