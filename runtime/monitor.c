/* SPDX-License-Identifier: MIT */
#include "monitor_internal.h"

#include <errno.h>

#include "alloc_internal.h"
#include "runtime_internal.h"

int rota__monitor_init(rota_runtime *rt)
{
	rt->monitor.seen = rota__alloc(rt->worker_count * sizeof(uint64_t), ROTA__CACHE_LINE);
	rota__store(&rt->monitor.dormant, 1, RELAXED);
	return rt->monitor.seen != NULL ? 0 : -ENOMEM;
}

void rota__monitor_deinit(rota_runtime *rt)
{
	rota__free(rt->monitor.seen, rt->worker_count * sizeof(uint64_t), ROTA__CACHE_LINE);
	rt->monitor.seen = NULL;
}

static bool asleep(const struct rota__worker *worker)
{
	/* Against sleeping: ordered by the fences. ACQUIRE: partner is rota__worker_enter, which publishes worker->io. */
	return rota__load(&worker->asleep, ACQUIRE) != 0;
}

static bool all_asleep(rota_runtime *rt)
{
	for (unsigned i = 0; i < rt->worker_count; i++) {
		if (!asleep(&rt->workers[i]))
			return false;
	}
	return true;
}

/* What waits behind a worker that does not move is taken over: completions and timers become tasks in the injection
 * queue; queued tasks become worth stealing. */
static void help(rota_runtime *rt, struct rota__worker *worker, uint64_t runs, uint64_t now)
{
	bool behind = rota__deque_length(&worker->deque) > 0 || rota__load(&worker->next, RELAXED) != NULL ||
		      rota__inject_length(&rt->inject) > 0;

	rota__store(&worker->stalled_at, runs, RELAXED); /* a hint: rota__worker_worth */
	if (rota__worker_forward_mail(worker))
		behind = true;
	unsigned rescued = rt->driver->rescue(worker);
	rota__count(&rt->reactor_operations, rescued);
	if (rescued > 0)
		behind = true;
	if (rota__wheel_expire(&worker->wheel, now) > 0)
		behind = true;
	if (behind)
		rota__idle_wake_one(rt);
}

uint64_t rota__monitor_look(rota_runtime *rt, uint64_t now)
{
	struct rota__monitor *monitor = &rt->monitor;
	bool moved = false;

	if (rt->worker_count < 2)
		return ROTA_NEVER; /* nobody could help */
	if (rota__load(&monitor->dormant, ACQUIRE))
		return ROTA_NEVER;
	if (now < monitor->looked_at + rt->config.stall_ns)
		return monitor->looked_at + rt->config.stall_ns;
	monitor->looked_at = now;
	for (unsigned i = 0; i < rt->worker_count; i++) {
		struct rota__worker *worker = &rt->workers[i];
		uint64_t runs = rota__load(&worker->runs, RELAXED);

		if (runs != monitor->seen[i])
			moved = true;
		else if (!asleep(worker))
			help(rt, worker, runs, now);
		monitor->seen[i] = runs;
	}
	if (!moved && all_asleep(rt)) {
		rota__store(&monitor->dormant, 1, RELAXED);
		rota__fence(SEQ_CST); /* partner: rota__monitor_rouse */
		if (all_asleep(rt))
			return ROTA_NEVER;
		rota__store(&monitor->dormant, 0, RELAXED);
	}
	return now + rt->config.stall_ns;
}

void rota__monitor_rouse(rota_runtime *rt)
{
	rota__fence(SEQ_CST); /* partner: the fence in look */
	if (rota__load(&rt->monitor.dormant, RELAXED) && rota__swap(&rt->monitor.dormant, 0, ACQ_REL) &&
	    rt->worker_count > 1)
		rt->driver->wake_reactor(rt);
}
