/* SPDX-License-Identifier: MIT */
/*
 * Sleeping: the real loop of a worker (search, park, look again) with the real idle.c, inject.c and deque.c, against
 * threads that submit tasks. A wake that was lost leaves a task in a queue and all workers asleep. The driver is a word
 * to sleep on for each worker; of the tasks only their number matters.
 */
#include <string.h>

#include "seams.h"

#include "../../runtime/worker.c"
#include "../../runtime/worker_park.c"
#include "../../runtime/worker_queue.c"
#include "../../runtime/worker_search.c"
#include "../../runtime/worker_switch.c"

#define WORKERS 2

static rota_runtime rt;
static struct rota__worker workers[WORKERS];
static uint32_t sleepers[WORKERS];
static struct rota_atomic_u32 bells[WORKERS], reactor_bell;
static struct model_task tasks[2];
static struct rota_future futures[2];
static struct rota_atomic_u32 ran;
static unsigned submitted; /* that must run before all is over */

/* --- the driver ------------------------------------------------------------------------------------------------------- */

static void ring(struct rota__worker *worker)
{
	struct rota_atomic_u32 *bell = &bells[worker->index];

	/* ACQ_REL on both sides, as ring.notified. */
	if (rota__swap(bell, 1, ACQ_REL) == 0)
		rota__sys_futex_wake(bell, 1);
}

static unsigned driver_turn(struct rota__worker *worker, uint64_t timeout_ns)
{
	struct rota_atomic_u32 *bell = &bells[worker->index];

	if (timeout_ns == ROTA_NEVER)
		rota__sys_futex_wait(bell, 0, UINT64_MAX);
	rota__swap(bell, 0, ACQ_REL);
	return 0;
}

/* No worker is a spare. */
uint64_t rota__turns_give_way(struct rota__worker *worker, uint64_t now)
{
	(void)worker;
	return now;
}

static void driver_wake_reactor(rota_runtime *runtime)
{
	(void)runtime;
	rota__store(&reactor_bell, 1, RELEASE);
}

static bool driver_rescue(struct rota__worker *worker)
{
	(void)worker;
	return false;
}

static const struct rota__driver driver = {
	.rescue = driver_rescue,
	.turn = driver_turn,
	.wake = ring,
	.wake_reactor = driver_wake_reactor,
};

/* --- tasks ------------------------------------------------------------------------------------------------------------- */

static rota_poll count_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)self;
	(void)cx;
	if (rota__fetch_add(&ran, 1, ACQ_REL) + 1 == submitted) {
		for (unsigned i = 0; i < rt.worker_count; i++)
			ring(&workers[i]); /* nothing is left to wait for */
	}
	return ROTA_READY;
}

static const struct rota_future_ops count_ops = { .poll = count_poll };

static bool all_ran(void *arg)
{
	(void)arg;
	return rota__load(&ran, RELAXED) == submitted;
}

static void setup_for(unsigned worker_count, unsigned task_count)
{
	memset(&rt, 0, sizeof(rt));
	memset(workers, 0, sizeof(workers));
	memset(bells, 0, sizeof(bells));
	reactor_bell.value = ran.value = 0;
	submitted = task_count;
	rt.driver = &driver;
	rt.worker_count = worker_count;
	rt.workers = workers;
	rt.idle.sleepers = sleepers;
	for (unsigned i = 0; i < WORKERS; i++) {
		rota__worker_init(&workers[i], &rt, i);
		workers[i].asleep.value = 0;
	}
	for (unsigned i = 0; i < 2; i++) {
		model_task_init(&tasks[i], false);
		rota_future_init(&futures[i], &count_ops);
		tasks[i].task.rt = &rt;
		tasks[i].task.future = &futures[i];
	}
}

static void setup_one(void)
{
	setup_for(1, 1);
}

static void setup_pinned(void)
{
	setup_for(1, 1);
	tasks[0].task.flags = ROTA__TASK_PINNED;
}

static void setup_one_worker_two_tasks(void)
{
	setup_for(1, 2);
}

static void setup_two_workers(void)
{
	setup_for(2, 1);
}

/* Both of them sleep. */
static void setup_asleep(void)
{
	setup_for(2, 1);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i].asleep.value = 1;
		rota__idle_sleep(&rt.idle, i);
	}
}

static void work(struct rota__worker *worker)
{
	rota__worker_tls = worker;
	rota__worker_run(worker, all_ran, NULL, ROTA_NEVER);
	rota__worker_tls = NULL;
}

static void worker_0(void)
{
	work(&workers[0]);
}

static void worker_1(void)
{
	work(&workers[1]);
}

/* From the middle of a park. */
static void wake_up(struct rota__worker *worker)
{
	driver_turn(worker, ROTA_NEVER);
	if (rota__idle_awake(&rt.idle, worker->index))
		worker->searching = true;
	work(worker);
}

static void sleeper_0(void)
{
	wake_up(&workers[0]);
}

static void sleeper_1(void)
{
	wake_up(&workers[1]);
}

static void submit_0(void)
{
	rota__task_submit(&tasks[0].task);
}

static void submit_1(void)
{
	rota__task_submit(&tasks[1].task);
}

static void finish(void)
{
	model_check(ran.value == submitted);
	model_check(rota__load(&rt.idle.counts, RELAXED) == (uint64_t)rt.idle.sleeping << 32);
	model_check(rt.idle.sleeping == 0);
}

/* --- the last searcher has found something else, which keeps it busy for ever ---------------------------------------------- */

static void setup_searcher(void)
{
	setup_for(2, 1);
	model_check(rota__idle_start_search(&rt.idle, 2));
	workers[0].searching = true;
	workers[1].asleep.value = 1;
	rota__idle_sleep(&rt.idle, 1);
}

static void searcher(void)
{
	rota__worker_found(&workers[0]);
}

/* --- the next slot ------------------------------------------------------------------------------------------------------- */

static struct rota_task quick[2];
static unsigned taken[2];

static void setup_next(void)
{
	setup_for(2, 0);
	memset(quick, 0, sizeof(quick));
	taken[0] = taken[1] = 0;
}

static void setup_own_next(void)
{
	setup_next();
	workers[0].shares_next = 0;
}

static unsigned have(rota_task *task)
{
	if (task == NULL)
		return 0;
	model_check(task->arg == task);
	task->home++; /* had by two at once, that is a race */
	return 1;
}

static void next_owner(void)
{
	for (unsigned i = 0; i < 2; i++) {
		quick[i].arg = &quick[i];
		push_next(&workers[0], &quick[i]);
	}
	taken[0] += have(rota__worker_take_next(&workers[0]));
}

static void next_thief(void)
{
	taken[1] += have(rota__next_steal(&workers[0].next, &workers[0].marking));
	taken[1] += have(rota__next_steal(&workers[0].next, &workers[0].marking));
}

static void next_all_taken(void)
{
	taken[0] += have(rota__worker_take_next(&workers[0]));
	taken[0] += have(rota__deque_pop(&workers[0].deque));
	model_check(taken[0] + taken[1] == 2 && quick[0].home == 1 && quick[1].home == 1);
	model_outcome(taken[1]);
}

/* --- the monitor: it may sleep only while all workers do -------------------------------------------------------------- */

static bool monitor_sleeps;

static void setup_monitor(void)
{
	setup_for(2, 0);
	workers[0].asleep.value = workers[1].asleep.value = 1;
	model_check(rota__monitor_init(&rt) == 0);
	rota__store(&rt.monitor.dormant, 0, RELAXED);
	monitor_sleeps = false;
}

static void monitor(void)
{
	monitor_sleeps = rota__monitor_look(&rt, 0) == ROTA_NEVER;
}

/* As the end of a park, and of rota__worker_enter. */
static void awakes(void)
{
	rota__store(&workers[0].asleep, 0, RELAXED);
	rota__monitor_rouse(&rt);
}

static void setup_monitor_and_job(void)
{
	setup_monitor();
	rt.worker_count = 2;
	rt.blocking.running = 1;
	rt.blocking.mean = 100;
}

/* As what follows the queueing of a job that is short, as far as one can tell. */
static void leaves_a_job(void)
{
	struct rota__blocking_call call;

	rota__blocking_lock(&rt.blocking);
	rt.blocking.queued++;
	model_check(rota__blocking_call(&rt, &call) == 0);
	rota__blocking_unlock(&rt.blocking);
	rota__blocking_carry_out(&rt, &call);
}

static void monitor_knows(void)
{
	model_check(!monitor_sleeps || reactor_bell.value == 1);
	model_outcome(monitor_sleeps);
}

const struct model_scenario model_scenarios[] = {
	{ "idle: park, submit", setup_one, { worker_0, submit_0 }, finish, 0, 1, 0 },
	{ "idle: park, mail", setup_pinned, { worker_0, submit_0 }, finish, 0, 1, 0 },
	{ "idle: park, two submit", setup_one_worker_two_tasks, { worker_0, submit_0, submit_1 }, finish, 0, 0, 2 },
	{ "idle: two park, submit", setup_two_workers, { worker_0, worker_1, submit_0 }, finish, 0, 0, 1 },
	{ "idle: two asleep, submit", setup_asleep, { sleeper_0, sleeper_1, submit_0 }, finish, 0, 0, 2 },
	{ "idle: last searcher, submit", setup_searcher, { searcher, sleeper_1, submit_0 }, finish, 0, 0, 3 },
	{ "next slot: push, take, thief", setup_next, { next_owner, next_thief }, next_all_taken, 0x7, 0, 0 },
	{ "next slot: the same, own", setup_own_next, { next_owner, next_thief }, next_all_taken, 0x7, 0, 0 },
	{ "monitor: look, rouse", setup_monitor, { monitor, awakes }, monitor_knows, 0x3, 0, 0 },
	{ "monitor: look, job left", setup_monitor_and_job, { monitor, leaves_a_job }, monitor_knows, 0x3, 0, 0 },
	{ .name = NULL },
};
