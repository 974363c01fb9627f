/* SPDX-License-Identifier: MIT */
/*
 * The end of a runtime: close (no new tasks), cancel all tasks again and again until none is left or the time is over,
 * stop the blocking pool, the workers, the reactor. Only what has been stopped is freed.
 */
#include <errno.h>

#include "future_internal.h"
#include "log_internal.h"
#include "place_internal.h"
#include "runtime_internal.h"
#include "spin_internal.h"
#include "sys_internal.h"

#define CANCEL_AGAIN_NS 10000000u /* a task that was spawned while the last round of cancels was under way */
#define REPORT_MAX 16u

enum { RUNS, BEING_STOPPED, STOPPED }; /* rt->stopped */

/* Somebody has gone: a shutdown that waits looks again. */
static void tell_shutdown(rota_runtime *rt)
{
	if (__builtin_expect(rota__load(&rt->closing, RELAXED) == 0, 1))
		return;
	rota__fetch_add(&rt->drained, 1, SEQ_CST);
	rota__sys_futex_wake(&rt->drained, INT32_MAX);
	/* A shutdown that plays the current-thread worker looks again by itself: its ring may be gone already. */
}

int rota__runtime_admit_slow(rota_runtime *rt, struct rota__worker *worker)
{
	if (worker != NULL) {
		rota__count(&worker->spawned, 1);
	} else if (rota__runtime_is_parents(rt)) {
		return rota__after_fork_refuse();
	} else {
		rota__fetch_add(&rt->spawned, 1, SEQ_CST);
		rota__fence(SEQ_CST); /* partner: the store of `closing`, then alive */
	}
	if (__builtin_expect(rota__load(&rt->closing, RELAXED) == 0, 1))
		return 0;
	rota__runtime_withdraw(rt);
	return -ESHUTDOWN;
}

void rota__runtime_dismiss(rota_runtime *rt)
{
	struct rota__worker *worker = rota__worker_of(rt);

	if (worker != NULL)
		rota__store(&worker->finished, rota__load(&worker->finished, RELAXED) + 1, RELEASE); /* partner: alive */
	else
		rota__fetch_add(&rt->finished, 1, SEQ_CST);
	tell_shutdown(rt);
}

void rota__runtime_withdraw(rota_runtime *rt)
{
	struct rota__worker *worker = rota__worker_of(rt);

	if (worker != NULL)
		rota__store(&worker->spawned, rota__load(&worker->spawned, RELAXED) - 1, RELEASE); /* partner: alive */
	else
		rota__fetch_sub(&rt->spawned, 1, SEQ_CST);
	tell_shutdown(rt);
}

int rota__runtime_admit_guest(rota_runtime *rt)
{
	if (rota__runtime_is_parents(rt))
		return rota__after_fork_refuse();
	rota__fetch_add(&rt->guests, 1, SEQ_CST);
	rota__fence(SEQ_CST); /* partner: the store of `closing`, then the load of `guests` */
	if (rota__load(&rt->closing, RELAXED) == 0)
		return 0;
	rota__runtime_dismiss_guest(rt);
	return -ESHUTDOWN;
}

void rota__runtime_dismiss_guest(rota_runtime *rt)
{
	rota__fetch_sub(&rt->guests, 1, SEQ_CST);
	tell_shutdown(rt);
}

uint64_t rota__runtime_alive(rota_runtime *rt)
{
	uint64_t spawned = 0, finished = 0;
	unsigned total = rota__worker_total(rt);

	/* Ends before beginnings, so that the difference is never too small. ACQUIRE: partner is rota__runtime_dismiss. */
	for (unsigned i = 0; i < total; i++)
		finished += rota__load(&rt->workers[i].finished, ACQUIRE);
	finished += rota__load(&rt->finished, SEQ_CST);
	total = rota__worker_total(rt); /* of a spare that is new, the beginnings only */
	for (unsigned i = 0; i < total; i++)
		spawned += rota__load(&rt->workers[i].spawned, RELAXED);
	spawned += rota__load(&rt->spawned, SEQ_CST);
	return spawned - finished;
}

static bool none_alive(void *arg)
{
	return rota__runtime_alive(arg) == 0;
}

static void cancel_task(rota_task *task, void *arg)
{
	(void)arg;
	rota_cancel(task);
	rota__task_unref(task);
}

static void report_task(rota_task *task, void *arg)
{
	/* Hints: it may go on meanwhile. */
	bool rests = task->kind != ROTA__TASK_JOB && !(rota__load(&task->state, RELAXED) & ROTA__ACTIVE);
	const char *waits_for = rota__future_code_name(rota__load(&task->waits_for, RELAXED));
	unsigned *reported = arg;
	char place[ROTA__PLACE_MAX];

	if ((*reported)++ < REPORT_MAX)
		rota__log("shutdown: %s %llu \"%s\", spawned at %s, is still alive: it %s%s",
			  rota__task_kind_name(task), (unsigned long long)task->id, rota__task_name(task),
			  rota__name_place(place, task->spawned_at, true), rests ? "waits in " : "runs, or is about to",
			  rests ? waits_for : "");
	rota__task_unref(task);
}

static void count_task(rota_task *task, void *count)
{
	++*(unsigned *)count;
	rota__task_unref(task);
}

/* Whether there is somebody to wait for, and to tell of. A task that has ended, and may have been joined, is no such one: it
 * counts as alive until its thread, which may be off the CPU, has said so. Nor is who trims, which is over soon. */
static bool anybody_left(rota_runtime *rt)
{
	unsigned tasks = 0;

	if (rota__runtime_is_played(rt) || rota__load(&rt->guests, SEQ_CST) > 0)
		return true;
	rota__task_pool_each(&rt->tasks, count_task, &tasks);
	return tasks > 0;
}

/* Cancels all tasks until none is left. 0, -ETIMEDOUT. */
static int drain(rota_runtime *rt, uint64_t deadline)
{
	for (bool first = true;; first = false) {
		uint32_t drained = rota__load(&rt->drained, SEQ_CST);
		uint64_t now, again;

		if (rota__load(&rt->occupied, SEQ_CST) == 0 && rota__runtime_alive(rt) == 0 &&
		    rota__load(&rt->guests, SEQ_CST) == 0)
			return 0;
		now = rota__sys_clock();
		/* Those who have had their last round lie still, and tell what they wait for. */
		if (now < deadline || first)
			rota__task_pool_each(&rt->tasks, cancel_task, NULL);
		if (now >= deadline && anybody_left(rt))
			return -ETIMEDOUT;
		again = now >= deadline || deadline - now >= CANCEL_AGAIN_NS ? now + CANCEL_AGAIN_NS : deadline;
		if (rt->config.flavor == ROTA_FLAVOR_CURRENT_THREAD && rota__runtime_alive(rt) > 0 &&
		    rota__runtime_occupy(rt)) {
			rota__runtime_play_worker(rt, none_alive, rt, again);
			rota__runtime_vacate(rt);
		} else {
			rota__sys_futex_wait(&rt->drained, drained, again - now);
		}
	}
}

/* Who woke the last tasks, or a worker so that it trims its caches, may not be back from it yet: a few instructions, if it is
 * scheduled. */
static void see_visitors_off(const rota_runtime *rt)
{
	unsigned spins = 0;

	rota__fence(SEQ_CST); /* partner: tell_to_trim, which finds `closing` set if it is not seen here */
	while (rota__load(&rt->visitors, ACQUIRE) != 0) /* partners: publish_from_outside, tell_to_trim */
		rota__spin_pause(&spins);
}

/* All is drained. Of several who have seen that, one stops the threads, and the others wait for it. */
static void stop_once(rota_runtime *rt)
{
	uint32_t stopped = RUNS;

	if (rota__cas_strong(&rt->stopped, &stopped, BEING_STOPPED, RELAXED)) { /* who comes first */
		see_visitors_off(rt);
		rota__blocking_stop(rt);
		rota__runtime_threads_stop(rt);
		rota__store(&rt->stopped, STOPPED, RELEASE); /* partners: the loads below, and in shutdown */
		rota__sys_futex_wake(&rt->stopped, INT32_MAX);
	}
	while (rota__load(&rt->stopped, ACQUIRE) != STOPPED) /* partner: as above */
		rota__sys_futex_wait(&rt->stopped, BEING_STOPPED, UINT64_MAX);
}

int rota_runtime_shutdown(rota_runtime *rt, uint64_t timeout_ns)
{
	const uint64_t deadline = rota__later(rota__sys_clock(), timeout_ns);
	unsigned reported = 0;
	int rc;

	if (rt == NULL)
		return -EINVAL;
	if (rota__task_current() != NULL) {
		rota__misuse("rota_runtime_shutdown inside task %llu \"%s\": a task cannot wait for its own end",
			     (unsigned long long)rota_task_id(), rota_task_name());
		return -EDEADLK;
	}
	if (rota__runtime_self() == rt) {
		rota__misuse(
			"rota_runtime_shutdown in a blocking job, or another thread that is inside of the runtime: it "
			"cannot wait for its own end");
		return -EDEADLK;
	}
	if (rota__load(&rt->stopped, ACQUIRE) == STOPPED || rota__runtime_is_parents(rt))
		return 0;
	rota__store(&rt->closing, 1, SEQ_CST);
	rc = drain(rt, deadline);
	if (rc < 0) {
		rota__task_pool_each(&rt->tasks, report_task, &reported);
		if (reported > REPORT_MAX)
			rota__log("shutdown: and %u more", reported - REPORT_MAX);
		if (rota__load(&rt->guests, RELAXED) > 0)
			rota__log("shutdown: %u threads are inside rota_block_on_future or rota_register_memory",
				  rota__load(&rt->guests, RELAXED));
		return rc;
	}
	stop_once(rt);
	return 0;
}
