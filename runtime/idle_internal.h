/* SPDX-License-Identifier: MIT */
/*
 * Who sleeps, who searches, and the proof that no wake-up is lost.
 *
 * A producer publishes a task, then (SEQ_CST fence) wakes a sleeper if nobody searches. A worker that found nothing
 * stops searching, registers as a sleeper (SEQ_CST), then looks at all queues once more, and only then parks. Both
 * orders are covered by the fences: either the producer sees the sleeper (or a searcher), or the sleeper sees the task.
 * If the producer relied on a searcher, that one either finds the task or comes to its own last look, later than the
 * publication. A searcher that found something else and was the last one looks whether more is left, for the same
 * reason.
 *
 * A sleeper that was chosen is taken off the list and counted as searching by the one who wakes it, so that two
 * producers wake two workers, and many producers wake one.
 *
 * Waking costs 5 to 35 us, so a worker that leaves tasks in its own queue wakes a peer only when their expected run
 * time is worth it (rota__worker_worth); it will run them itself otherwise. When it turns out to be stuck instead, the
 * monitor notices and wakes a peer (monitor_internal.h).
 */
#ifndef ROTA_RUNTIME_IDLE_INTERNAL_H
#define ROTA_RUNTIME_IDLE_INTERNAL_H

#include "atomic_internal.h"

struct rota__idle {
	struct rota_atomic_u64 counts; /* sleeping in the upper half, searching in the lower */
	struct rota_atomic_u32 lock;   /* guards the two below */
	unsigned sleeping;
	uint32_t *sleepers; /* worker indices, the latest last */
};

/* 0, -ENOMEM. */
int rota__idle_init(struct rota__idle *idle, unsigned workers);
void rota__idle_deinit(struct rota__idle *idle, unsigned workers);

/* May one more search? At most half of the workers do. true: counted. */
bool rota__idle_start_search(struct rota__idle *idle, unsigned workers);

/* true: it was the last one. */
bool rota__idle_stop_search(struct rota__idle *idle);

/* Registers as a sleeper; a SEQ_CST operation, after which the caller looks at all queues again. */
void rota__idle_sleep(struct rota__idle *idle, unsigned worker);

/* Awake again. true: somebody had chosen this worker, which therefore counts as searching. */
bool rota__idle_awake(struct rota__idle *idle, unsigned worker);

/* After publishing a task: wakes a sleeper when there is one and nobody searches. Any thread. */
void rota__idle_wake_one(rota_runtime *rt);

/* Whether waking would do anything: a cheap look before a costly one. */
static inline bool rota__idle_wakeable(const struct rota__idle *idle)
{
	uint64_t counts = rota__load(&idle->counts, RELAXED);

	return counts >> 32 != 0 && (uint32_t)counts == 0;
}

/* Whether somebody sleeps or searches: a hint that there is a CPU to spare. */
static inline bool rota__idle_any(const struct rota__idle *idle)
{
	return rota__load(&idle->counts, RELAXED) != 0;
}

#endif
