/* SPDX-License-Identifier: MIT */
#include "idle_internal.h"

#include <errno.h>

#include "alloc_internal.h"
#include "runtime_internal.h"
#include "spin_internal.h"

#define ONE_SEARCHING ((uint64_t)1)
#define ONE_SLEEPING ((uint64_t)1 << 32)

int rota__idle_init(struct rota__idle *idle, unsigned workers)
{
	*idle = (struct rota__idle){ .sleeping = 0 };
	idle->sleepers = rota__alloc(workers * sizeof(*idle->sleepers), ROTA__CACHE_LINE);
	return idle->sleepers != NULL ? 0 : -ENOMEM;
}

void rota__idle_deinit(struct rota__idle *idle, unsigned workers)
{
	rota__free(idle->sleepers, workers * sizeof(*idle->sleepers), ROTA__CACHE_LINE);
	idle->sleepers = NULL;
}

bool rota__idle_start_search(struct rota__idle *idle, unsigned workers)
{
	/* A hint only: two that pass it at once do no harm. */
	if (2 * (uint32_t)rota__load(&idle->counts, RELAXED) >= workers)
		return false;
	rota__fetch_add(&idle->counts, ONE_SEARCHING, SEQ_CST);
	return true;
}

bool rota__idle_stop_search(struct rota__idle *idle)
{
	return (uint32_t)rota__fetch_sub(&idle->counts, ONE_SEARCHING, SEQ_CST) == 1;
}

void rota__idle_sleep(struct rota__idle *idle, unsigned worker)
{
	rota__spin_lock(&idle->lock);
	idle->sleepers[idle->sleeping++] = worker;
	rota__fetch_add(&idle->counts, ONE_SLEEPING, SEQ_CST); /* partner: the fence in wake_one */
	rota__spin_unlock(&idle->lock);
	rota__fence(SEQ_CST);
}

bool rota__idle_awake(struct rota__idle *idle, unsigned worker)
{
	bool chosen = true;

	rota__spin_lock(&idle->lock);
	for (unsigned i = idle->sleeping; i-- > 0;) {
		if (idle->sleepers[i] != worker)
			continue;
		idle->sleeping--;
		for (; i < idle->sleeping; i++)
			idle->sleepers[i] = idle->sleepers[i + 1];
		rota__fetch_sub(&idle->counts, ONE_SLEEPING, SEQ_CST);
		chosen = false;
		break;
	}
	rota__spin_unlock(&idle->lock);
	return chosen;
}

void rota__idle_wake_one(rota_runtime *rt)
{
	struct rota__idle *idle = &rt->idle;
	struct rota__worker *chosen = NULL;

	rota__fence(SEQ_CST); /* partner: rota__idle_sleep, and stop_search */
	if (!rota__idle_wakeable(idle))
		return;
	rota__spin_lock(&idle->lock);
	if (idle->sleeping > 0 && rota__idle_wakeable(idle)) {
		chosen = &rt->workers[idle->sleepers[--idle->sleeping]];
		rota__fetch_add(&idle->counts, ONE_SEARCHING - ONE_SLEEPING, SEQ_CST);
	}
	rota__spin_unlock(&idle->lock);
	if (chosen != NULL)
		rt->driver->wake(chosen);
}
