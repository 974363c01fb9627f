/* SPDX-License-Identifier: MIT */
/* What there is to see of a runtime that hangs: read without locks, from the watchdog's thread. */
#ifndef TESTS_STRESS_RUNTIME_REPORT_H
#define TESTS_STRESS_RUNTIME_REPORT_H

#include <stdio.h>

#include "../../runtime/runtime_internal.h"
#include "../expect.h"

static inline void runtime_report_worker(const struct rota__worker *worker)
{
	const rota_task *mail = rota__load(&worker->mail, RELAXED);

	dprintf(expect_output_,
		"worker %u: asleep %u, runs %llu, parks %llu, queue %u, next %p, mail %p, timers at %llu\n",
		worker->index, rota__load(&worker->asleep, RELAXED),
		(unsigned long long)rota__load(&worker->runs, RELAXED),
		(unsigned long long)rota__load(&worker->parks, RELAXED), rota__deque_length(&worker->deque),
		rota__load(&worker->next, RELAXED), (const void *)mail,
		(unsigned long long)rota__wheel_next(&worker->wheel));
}

static inline void runtime_report(rota_runtime *rt)
{
	uint64_t counts = rota__load(&rt->idle.counts, RELAXED);

	dprintf(expect_output_, "now %llu: %llu tasks alive, %u injected, %u asleep, %u searching, monitor dormant %u\n",
		(unsigned long long)rota_now(), (unsigned long long)rota__runtime_alive(rt),
		rota__inject_length(&rt->inject), (unsigned)(counts >> 32), (unsigned)counts,
		rota__load(&rt->monitor.dormant, RELAXED));
	for (unsigned i = 0; i < rt->worker_count; i++)
		runtime_report_worker(&rt->workers[i]);
	dprintf(expect_output_, "blocking pool: %u queued, %u promised, %u threads, %u idle, %u arriving, %u running\n",
		rt->blocking.queued, rt->blocking.promised, rt->blocking.threads, rt->blocking.idle,
		rt->blocking.arriving, rt->blocking.running);
	dprintf(expect_output_, "timers outside at %llu\n", (unsigned long long)rota__wheel_next(&rt->outside));
}

#endif
