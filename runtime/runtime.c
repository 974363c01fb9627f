/* SPDX-License-Identifier: MIT */
/* Start, block_on, and what a runtime says of itself. A start that fails unwinds in reverse. shutdown.c has the end. */
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alloc_internal.h"
#include "bias_internal.h"
#include "cost_internal.h"
#include "log_internal.h"
#include "opaque_internal.h"
#include "runtime_internal.h"
#include "spin_internal.h"
#include "sys_internal.h"

#define RUN_DRAIN_NS 10000000000u
#define MOMENT_NS (2 * ROTA__WAKE_COST_NS)

static _Thread_local rota_runtime *entered;

static ROTA__OPAQUE rota_runtime *entered_here(void)
{
	return entered;
}

rota_runtime *rota__runtime_self(void)
{
	struct rota__worker *worker = rota__worker_self();

	return worker != NULL ? worker->rt : entered_here();
}

ROTA__OPAQUE rota_runtime *rota__runtime_enter(rota_runtime *rt)
{
	rota_runtime *former = entered;

	entered = rt;
	return former;
}

ROTA__OPAQUE void rota__runtime_forked(void)
{
	entered = NULL;
}

rota_runtime *rota_runtime_current(void)
{
	return rota__runtime_self();
}

/* --- start --------------------------------------------------------------------------------------------------- */

/* How a worker's thread tells its creator that it is ready, or why not. */
struct start_report {
	struct rota__worker *worker;
	struct rota_atomic_u32 ready;
	int error;
};

static bool stopping(void *arg)
{
	rota_runtime *rt = arg;

	return rota__load(&rt->stopping, RELAXED) != 0; /* set before the wake that ends a park */
}

static void *worker_main(void *arg)
{
	struct start_report *report = arg;
	struct rota__worker *worker = report->worker;
	rota_runtime *rt = worker->rt;
	int error = rt->driver->worker_start(worker, false);

	if (error >= 0)
		rota__worker_enter(worker); /* which may allocate: not behind the back of whoever has made the runtime */
	report->error = error;
	rota__store(&report->ready, 1, RELEASE); /* partner: worker_launch; `report` is gone from here on */
	rota__sys_futex_wake(&report->ready, 1);
	if (error < 0)
		return NULL;
	rota__worker_run(worker, stopping, rt, ROTA_NEVER);
	rota__worker_leave(worker);
	rt->driver->worker_leave(worker);
	return NULL;
}

static int worker_launch(struct rota__worker *worker)
{
	struct start_report report = { .worker = worker };
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "rota-worker-%u", worker->index); /* from the 1,001st on too long: none */
	rc = rota__sys_thread(&worker->thread, name, worker_main, &report);
	if (rc < 0)
		return rc;
	while (rota__load(&report.ready, ACQUIRE) == 0)
		rota__sys_futex_wait(&report.ready, 0, UINT64_MAX);
	if (report.error < 0)
		pthread_join(worker->thread, NULL);
	else
		worker->has_thread = true;
	return report.error;
}

static void workers_stop(rota_runtime *rt)
{
	unsigned total;

	rota__store(&rt->stopping, 1, SEQ_CST);
	rota__spares_close(rt);
	rota__fence(SEQ_CST); /* partner: spare_main. A spare that is not ready yet will see `stopping` */
	total = rota__worker_total(rt);
	for (unsigned i = 0; i < total; i++) {
		if (rt->workers[i].has_thread)
			rt->driver->wake(&rt->workers[i]);
	}
	for (unsigned i = 0; i < rt->worker_count + rt->spares.launched; i++) {
		if (rt->workers[i].has_thread)
			pthread_join(rt->workers[i].thread, NULL);
		rt->workers[i].has_thread = false;
	}
}

/* The reactor last, since it may look into a worker's part. */
void rota__runtime_threads_stop(rota_runtime *rt)
{
	workers_stop(rt);
	rt->driver->stop(rt);
	for (unsigned i = 0; i < rt->worker_count + rt->spares.launched; i++)
		rt->driver->worker_free(&rt->workers[i]);
}

static int workers_start(rota_runtime *rt)
{
	int rc = 0;

	if (rt->config.flavor == ROTA_FLAVOR_CURRENT_THREAD)
		return rt->driver->worker_start(&rt->workers[0], true);
	for (unsigned i = 0; i < rt->worker_count && rc == 0; i++)
		rc = worker_launch(&rt->workers[i]);
	return rc;
}

static void runtime_free(rota_runtime *rt)
{
	for (unsigned i = 0; rt->workers != NULL && i < rt->worker_count + rt->spares.launched; i++) {
		rota__worker_deinit(&rt->workers[i]);
		rota__deque_deinit(&rt->workers[i].deque);
	}
	rota__task_pool_deinit(&rt->tasks);
	rota__stack_pool_deinit(&rt->stacks);
	rota__fork_registry_deinit(&rt->forks);
	rota__monitor_deinit(rt);
	rota__spares_deinit(rt);
	rota__idle_deinit(&rt->idle, rt->worker_places);
	rota__overflow_thread_stop(); /* the thread may have played the worker */
	rota__free(rt->workers, rt->worker_places * sizeof(*rt->workers), ROTA__CACHE_LINE);
	rota__free(rt, sizeof(*rt), ROTA__CACHE_LINE);
}

/* All that needs neither thread nor descriptor. */
static int runtime_alloc(rota_runtime **ret, const struct rota_config *config)
{
	rota_runtime *rt = rota__alloc(sizeof(*rt), ROTA__CACHE_LINE);

	if (rt == NULL)
		return -ENOMEM;
	rt->config = *config;
	rt->forks_before = rota__forks_since_load();
	rt->worker_count = config->workers;
	rt->worker_places = config->workers;
	if (config->flavor != ROTA_FLAVOR_CURRENT_THREAD)
		rt->worker_places += config->workers + ROTA__SPARES_FOR_BLOCKED;
	rota__stack_pool_init(&rt->stacks, config->stack_size, config->workers);
	rota__blocking_init(&rt->blocking, config->max_blocking_threads, config->max_blocking_queue,
			    config->blocking_idle_ns);
	rota__wheel_init(&rt->outside, rota__sys_clock());
	rota__spares_init(rt);
	rt->workers = rota__alloc(rt->worker_places * sizeof(*rt->workers), ROTA__CACHE_LINE);
	for (unsigned i = 0; rt->workers != NULL && i < rt->worker_count; i++)
		rota__worker_init(&rt->workers[i], rt, i);
	if (rt->workers == NULL || rota__idle_init(&rt->idle, rt->worker_places) < 0 || rota__monitor_init(rt) < 0) {
		runtime_free(rt);
		return -ENOMEM;
	}
	*ret = rt;
	return 0;
}

int rota_runtime_new(rota_runtime **ret, const struct rota_config *config)
{
	struct rota_config resolved = { 0 };
	rota_runtime *rt;
	int rc;

	if (ret == NULL)
		return -EINVAL;
	if (config != NULL)
		resolved = *config;
	rc = rota__config_resolve(&resolved);
	if (rc < 0)
		return rc;
	rc = runtime_alloc(&rt, &resolved);
	if (rc < 0)
		return rc;
	rc = rota__driver_find(resolved.backend, &rt->driver);
	if (rc < 0)
		goto free_runtime;
	rota__after_fork_install();
	rota__overflow_install();
	rota__stall_install(rt);
	rota__bias_prepare();
	rc = rt->driver->start(rt);
	if (rc < 0)
		goto free_runtime;
	rc = workers_start(rt);
	if (rc < 0)
		goto stop_threads;
	*ret = rt;
	return 0;

stop_threads:
	rota__runtime_threads_stop(rt);
free_runtime:
	runtime_free(rt);
	return rc;
}

/* --- block_on ------------------------------------------------------------------------------------------------ */

/*
 * A worker had nothing to do, so there is a CPU to spare. To sleep and to be woken costs as much as this takes at most; and
 * if there is only one CPU, the pauses give it away.
 */
static void wait_a_moment(const rota_task *task)
{
	const uint64_t until = rota__sys_clock() + MOMENT_NS;
	unsigned spins = 0;

	while (!rota__state_ended(&task->state) && rota__sys_clock() < until)
		rota__spin_pause(&spins);
}

int rota_block_on(rota_runtime *rt, rota_fn *fn, void *arg)
{
	rota_task *task;
	int status, rc;
	bool idle;

	if (rt == NULL || fn == NULL)
		return -EINVAL;
	if (rota__task_current() != NULL) {
		rota__misuse("rota_block_on inside task %llu \"%s\" would block its worker: call the function, or "
			     "spawn and join it",
			     (unsigned long long)rota_task_id(), rota_task_name());
		return -EDEADLK;
	}
	if (rota__runtime_is_parents(rt))
		return rota__after_fork_refuse();
	if (rt->config.flavor == ROTA_FLAVOR_CURRENT_THREAD)
		return rota__runtime_block_on_alone(rt, fn, arg);
	idle = rota__idle_any(&rt->idle);
	rc = rota_spawn_on(rt, &task, fn, arg);
	if (rc < 0)
		return rc;
	if (idle)
		wait_a_moment(task);
	rc = rota_join(task, &status);
	return rc < 0 ? rc : status;
}

struct main_call {
	int (*main)(int argc, char **argv);
	int argc;
	char **argv;
};

static int call_main(void *arg)
{
	struct main_call *call = arg;

	return call->main(call->argc, call->argv);
}

int rota_run(int (*main)(int argc, char **argv), int argc, char **argv)
{
	struct main_call call = { main, argc, argv };
	rota_runtime *rt;
	int status, rc;

	if (main == NULL)
		return -EINVAL;
	rc = rota_runtime_new(&rt, NULL);
	if (rc < 0) {
		if (rc != -EINVAL && rc != -ENOTSUP) /* they have told */
			rota__log("no runtime: %s", strerror(-rc));
		return rc;
	}
	status = rota_block_on(rt, call_main, &call);
	/* What does not end in time is left to the end of the process. */
	if (rota_runtime_shutdown(rt, RUN_DRAIN_NS) == 0)
		rota_runtime_free(rt);
	return status;
}

/* --- end ------------------------------------------------------------------------------------------------------ */

void rota_runtime_free(rota_runtime *rt)
{
	if (rt == NULL || rota_runtime_shutdown(rt, ROTA_NEVER) < 0 || rota__runtime_is_parents(rt))
		return;
	runtime_free(rt);
}

/* --- what it says of itself ----------------------------------------------------------------------------------- */

void rota_runtime_metrics(rota_runtime *rt, struct rota_metrics *ret)
{
	struct rota_metrics m;

	if (rt == NULL || rota__runtime_is_parents(rt)) {
		*ret = (struct rota_metrics){ .workers = 0 };
		if (rt != NULL)
			rota__after_fork_refuse();
		return;
	}
	m = (struct rota_metrics){
		.workers = rt->worker_count,
		.blocking_threads = rota__blocking_threads(rt),
		.tasks_alive = rota__runtime_alive(rt),
		.tasks_spawned = rota__load(&rt->spawned, RELAXED),
		.wakeups = rota__load(&rt->reactor_wakeups, RELAXED),
		.operations = rota__load(&rt->reactor_operations, RELAXED),
		.memory_bytes = rota__alloc_bytes(),
		.stack_bytes = rota__stack_pool_bytes(&rt->stacks),
		.spare_threads = rota__worker_total(rt) - rt->worker_count,
		.spares_on_duty = rota__load(&rt->spares.on_duty, RELAXED),
		.spare_calls = rota__load(&rt->spares.calls, RELAXED),
		.stalls = rota__load(&rt->monitor.stalls, RELAXED),
		.stall_reports = rota__load(&rt->monitor.stall_reports, RELAXED),
	};

	for (unsigned i = 0; i < m.workers + m.spare_threads; i++) {
		const struct rota__worker *worker = &rt->workers[i];

		m.tasks_spawned += rota__load(&worker->spawned, RELAXED);
		m.polls += rota__load(&worker->runs, RELAXED);
		m.steals += rota__load(&worker->steals, RELAXED);
		m.parks += rota__load(&worker->parks, RELAXED);
		m.operations += rota__load(&worker->operations, RELAXED);
	}
	m.wakeups += m.parks;
	*ret = m;
}

void rota__runtime_trim_pools(rota_runtime *rt)
{
	rota__task_pool_trim(&rt->tasks);
	rota__stack_pool_trim(&rt->stacks);
	rota__alloc_trim();
}

/* Each worker's caches are its own: it is told, and woken if it sleeps. One that is about to stop need not be: they go with
 * the runtime. */
static void tell_to_trim(rota_runtime *rt)
{
	rota__fetch_add(&rt->visitors, 1, RELAXED); /* the fence orders it */
	rota__fetch_add(&rt->trims, 1, RELAXED);
	rota__fence(SEQ_CST); /* partners: the ones behind `asleep = 1` in worker_park.c; see_visitors_off */
	for (unsigned i = 0; rota__load(&rt->closing, RELAXED) == 0 && i < rota__worker_total(rt); i++) {
		if (rota__load(&rt->workers[i].asleep, RELAXED))
			rt->driver->wake(&rt->workers[i]);
	}
	rota__fetch_sub(&rt->visitors, 1, RELEASE); /* partner: see_visitors_off */
}

void rota_runtime_trim(rota_runtime *rt)
{
	struct rota__worker *self = rota__worker_of(rt);

	if (rt == NULL)
		return;
	if (rota__runtime_is_parents(rt)) {
		rota__after_fork_refuse();
		return;
	}
	if (self != NULL)
		rota__worker_deinit(self);
	if (rt->config.flavor == ROTA_FLAVOR_CURRENT_THREAD && self == NULL && rota__runtime_occupy_to_trim(rt)) {
		rota__worker_deinit(&rt->workers[0]);
		rota__runtime_vacate(rt);
	} else {
		tell_to_trim(rt);
	}
	rota__runtime_trim_pools(rt);
}

enum rota_backend rota_runtime_backend(const rota_runtime *rt)
{
	return rt != NULL ? rt->driver->backend : ROTA_BACKEND_AUTO;
}
