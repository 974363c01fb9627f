/* SPDX-License-Identifier: MIT */
/* When it pays to wake somebody: what a wake costs, and how long work has taken of late. */
#ifndef ROTA_RUNTIME_COST_INTERNAL_H
#define ROTA_RUNTIME_COST_INTERNAL_H

#include <stdint.h>

#define ROTA__WAKE_COST_NS 10000u  /* what waits must be worth before a sleeping thread is woken */
#define ROTA__PEER_COST_NS 40000u  /* the same of a worker, with which what it takes stays, and its sockets */
#define ROTA__STEAL_COST_NS 2000u  /* what waiting tasks must be worth before a worker that is awake takes them */
#define ROTA__FETCH_COST_NS 1000u  /* what a task that has run before costs more where its memory is not in the cache */
#define ROTA__MEAN_START_NS 50000u /* what nobody knows counts as long */
#define ROTA__MEAN_MAX_NS 1000000u

/* One long run among many short ones must not look like many long ones: a sample moves the mean at most to the double. */
static inline uint64_t rota__sample_limited(uint64_t mean, uint64_t sample)
{
	uint64_t most = 8 * mean < ROTA__MEAN_MAX_NS ? 8 * mean + 8 : ROTA__MEAN_MAX_NS;

	return sample < most ? sample : most;
}

static inline uint64_t rota__moving_mean(uint64_t mean, uint64_t sample)
{
	return (mean * 7 + rota__sample_limited(mean, sample)) / 8;
}

#endif
