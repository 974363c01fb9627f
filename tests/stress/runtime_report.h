/* SPDX-License-Identifier: MIT */
/*
 * What there is to see of a runtime that hangs, from the watchdog's thread: first what is read without locks, then each task
 * and the wait that it is in, for which the lock of the pool of tasks is taken.
 */
#ifndef TESTS_STRESS_RUNTIME_REPORT_H
#define TESTS_STRESS_RUNTIME_REPORT_H

#include <stdio.h>

#include "../../runtime/future_internal.h"
#include "../../runtime/place_internal.h"
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
		(const void *)rota__next_task(rota__load(&worker->next.task, RELAXED)), (const void *)mail,
		(unsigned long long)rota__wheel_next(&worker->wheel));
}

#define RUNTIME_REPORT_TASKS 100u

static inline void runtime_report_task(rota_task *task, void *arg)
{
	static const char *const kinds[] = { "fiber", "future", "blocking job" };
	const uint64_t state = rota__load(&task->state, RELAXED);
	const char *waits_for = rota__future_code_name(rota__load(&task->waits_for, RELAXED));
	unsigned *reported = arg;
	char place[ROTA__PLACE_MAX];

	if ((*reported)++ < RUNTIME_REPORT_TASKS)
		dprintf(expect_output_, "%s %llu \"%s\", spawned at %s, state %llx%s: %s%s\n", kinds[task->kind],
			(unsigned long long)task->id, rota__task_name(task),
			rota__name_place(place, task->spawned_at, true), (unsigned long long)state,
			state & ROTA__CANCELLED ? ", cancelled"
			: state & ROTA__ASKED   ? ", has to look whether it is cancelled"
						: "",
			task->kind == ROTA__TASK_JOB ? "queued, or running"
			: state & ROTA__ACTIVE       ? "runs, or is about to; it waited last in "
						     : "waits in ",
			task->kind == ROTA__TASK_JOB ? "" : waits_for);
	rota__task_unref(task);
}

static inline void runtime_report(rota_runtime *rt)
{
	uint64_t counts = rota__load(&rt->idle.counts, RELAXED);
	unsigned tasks = 0;

	dprintf(expect_output_, "now %llu: %llu tasks alive, %u injected, %u asleep, %u searching, monitor dormant %u\n",
		(unsigned long long)rota_now(), (unsigned long long)rota__runtime_alive(rt),
		rota__inject_length(&rt->inject), (unsigned)(counts >> 32), (unsigned)counts,
		rota__load(&rt->monitor.dormant, RELAXED));
	for (unsigned i = 0; i < rt->worker_count; i++)
		runtime_report_worker(&rt->workers[i]);
	dprintf(expect_output_, "blocking pool: %u queued, %u promised, %u threads, %s idle, %u arriving, %u running\n",
		rt->blocking.queued, rt->blocking.promised, rt->blocking.threads,
		rt->blocking.idlers != NULL ? "some" : "none", rt->blocking.arriving, rt->blocking.running);
	dprintf(expect_output_, "timers outside at %llu\n", (unsigned long long)rota__wheel_next(&rt->outside));
	rota__task_pool_each(&rt->tasks, runtime_report_task, &tasks);
	if (tasks > RUNTIME_REPORT_TASKS)
		dprintf(expect_output_, "and %u tasks more\n", tasks - RUNTIME_REPORT_TASKS);
}

#endif
