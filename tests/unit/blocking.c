/* SPDX-License-Identifier: MIT */
/*
 * The blocking pool: where jobs run, how many at once, what a full queue does, cancellation of callers and of jobs,
 * threads that leave and threads that cannot be made. offload.c has offloads, stress/blocking.c the races.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>

#include "../../runtime/sys_internal.h"
#include "pool.h"

/* --- where and how many ------------------------------------------------------------------------------------------------ */

static int on_a_pool_thread(void *arg)
{
	char name[32] = "";

	expect_pointer(rota_runtime_current(), ==, rt);
	expect(rota_task_id(), ==, 0);
	expect(syscall(SYS_gettid), !=, *(long *)arg);
	pthread_getname_np(pthread_self(), name, sizeof(name));
	expect_contains(name, "rota-blocking");
	return 31;
}

POOL_TEST(blocking, a_job_runs_on_a_thread_of_the_pool)
{
	long here = syscall(SYS_gettid);

	unit_expect_join(spawn_job(on_a_pool_thread, &here), 31);
}

static int meet(void *barrier)
{
	pthread_barrier_wait(barrier);
	return 0;
}

POOL_TEST(blocking, jobs_run_beside_each_other)
{
	pthread_barrier_t barrier;
	rota_task *jobs[2];

	pthread_barrier_init(&barrier, NULL, 2);
	for (int i = 0; i < 2; i++)
		jobs[i] = spawn_job(meet, &barrier); /* either hangs when it is alone */
	for (int i = 0; i < 2; i++)
		unit_expect_join(jobs[i], 0);
}

/* Short jobs are left to the thread that is at work. When that one proves long, somebody else must be called. */
POOL_TEST(blocking, a_job_is_not_left_behind_one_that_proves_long)
{
	rota_task *held, *second;

	sem_init(&gate, 0, 0);
	for (int i = 0; i < 500; i++)
		unit_expect_join(spawn_job(note, NULL), 0);
	held = spawn_job(wait_at_gate, NULL);
	until(running, 1);
	second = spawn_job(note, (void *)2);
	unit_expect_join(second, 2);
	open_gate(1);
	unit_expect_join(held, 0);
}

static struct rota_atomic_u32 at_once, most_at_once;

static int count_at_once(void *arg)
{
	uint32_t now = rota__fetch_add(&at_once, 1, SEQ_CST) + 1;
	uint32_t most = rota__load(&most_at_once, SEQ_CST);

	while (now > most && !rota__cas(&most_at_once, &most, now, SEQ_CST)) {
	}
	sched_yield();
	rota__fetch_sub(&at_once, 1, SEQ_CST);
	return (int)(intptr_t)arg;
}

POOL_TEST(blocking, there_are_never_more_threads_than_allowed)
{
	struct rota_metrics metrics;
	rota_task *jobs[200];

	for (intptr_t i = 0; i < 200; i++) {
		jobs[i] = spawn_job(count_at_once, (void *)i);
		rota_runtime_metrics(rt, &metrics);
		expect(metrics.blocking_threads, <=, 2);
	}
	for (int i = 0; i < 200; i++)
		unit_expect_join(jobs[i], i);
	expect(rota__load(&most_at_once, SEQ_CST), <=, 2);
}

static struct rota_atomic_u32 order;

static int take_number(void *arg)
{
	(void)arg;
	return (int)rota__fetch_add(&order, 1, SEQ_CST);
}

static int one_after_the_other(void *arg)
{
	rota_task *held, *jobs[20];

	(void)arg;
	sem_init(&gate, 0, 0);
	held = spawn_job(wait_at_gate, NULL);
	for (int i = 0; i < 20; i++)
		jobs[i] = spawn_job(take_number, NULL);
	open_gate(1);
	unit_expect_join(held, 0);
	for (int i = 0; i < 20; i++)
		unit_expect_join(jobs[i], i);
	return 0;
}

UNIT_TEST(blocking, jobs_are_taken_in_order)
{
	pool_config.max_blocking_threads = 1;
	pool_config.max_blocking_queue = 100;
	start_runtime();
	expect(rota_block_on(rt, one_after_the_other, NULL), ==, 0);
	stop_runtime();
}

/* --- a full queue --------------------------------------------------------------------------------------------------------- */

static int submit_one_more(void *arg)
{
	rota_task *job = NULL;
	int rc = rota_spawn_blocking(&job, note, arg);
	int status = 0;

	if (rc < 0) {
		expect_pointer(job, ==, NULL);
		return rc;
	}
	rc = rota_join(job, &status);
	if (rc < 0)
		rota_detach(job);
	return rc < 0 ? rc : status;
}

POOL_TEST(blocking, a_full_queue_makes_callers_wait)
{
	rota_task *jobs[5], *callers[4];

	occupy_pool(jobs, 3);
	for (intptr_t i = 0; i < 4; i++)
		callers[i] = unit_spawn(submit_one_more, (void *)(100 + i));
	for (int i = 0; i < 4; i++)
		unit_until_resting(callers[i]);
	expect(queued(), ==, 3);
	expect(rota__load(&ran, SEQ_CST), ==, 0);
	open_gate(5);
	for (int i = 0; i < 5; i++)
		unit_expect_join(jobs[i], i);
	for (int i = 0; i < 4; i++)
		unit_expect_join(callers[i], 100 + i);
	expect(rota__load(&ran, SEQ_CST), ==, 4);
}

POOL_TEST(blocking, a_cancelled_caller_stops_waiting_and_nothing_was_spawned)
{
	rota_task *jobs[5], *callers[3];

	occupy_pool(jobs, 3);
	for (intptr_t i = 0; i < 3; i++) {
		callers[i] = unit_spawn(submit_one_more, (void *)i);
		unit_until_resting(callers[i]);
	}
	/* The one in the middle leaves; the others keep their turns. */
	rota_cancel(callers[1]);
	unit_expect_join(callers[1], -ECANCELED);
	unit_until_alive(rt, 1 + 5 + 2 * 2); /* a caller that waits has made its job's header */
	open_gate(5);
	for (int i = 0; i < 5; i++)
		unit_expect_join(jobs[i], i);
	unit_expect_join(callers[0], 0);
	unit_expect_join(callers[2], 2);
	expect(rota__load(&ran, SEQ_CST), ==, 2);
}

POOL_TEST(blocking, a_queued_job_that_is_cancelled_makes_room)
{
	rota_task *jobs[5], *caller;

	occupy_pool(jobs, 3);
	caller = unit_spawn(submit_one_more, (void *)9);
	unit_until_resting(caller);
	rota_cancel(jobs[3]);
	unit_expect_join(jobs[3], -ECANCELED);
	/* The caller has the place now, and it is full again. */
	until(queued, 3);
	open_gate(4);
	unit_expect_join(jobs[0], 0);
	unit_expect_join(jobs[1], 1);
	unit_expect_join(jobs[2], 2);
	unit_expect_join(jobs[4], 4);
	unit_expect_join(caller, 9);
}

/* --- cancelled jobs -------------------------------------------------------------------------------------------------------- */

POOL_TEST(blocking, a_job_that_is_cancelled_while_queued_never_runs)
{
	rota_task *jobs[5], *more[3];

	/* First, middle and last of the queue in turn. */
	for (int which = 0; which < 3; which++) {
		occupy_pool(jobs, 0);
		for (intptr_t i = 0; i < 3; i++)
			more[i] = spawn_job(note, (void *)i);
		rota_cancel(more[which]);
		unit_expect_join(more[which], -ECANCELED);
		expect(queued(), ==, 2);
		open_gate(2);
		unit_expect_join(jobs[0], 0);
		unit_expect_join(jobs[1], 1);
		for (int i = 0; i < 3; i++) {
			if (i != which)
				unit_expect_join(more[i], i);
		}
		expect(rota__load(&ran, SEQ_CST), ==, 2 * (which + 1));
	}
}

POOL_TEST(blocking, a_job_that_runs_is_left_alone_by_a_cancel)
{
	rota_task *jobs[2];

	occupy_pool(jobs, 0);
	rota_cancel(jobs[1]);
	rota_cancel(jobs[1]);
	open_gate(2);
	unit_expect_join(jobs[0], 0);
	unit_expect_join(jobs[1], 1);
}

POOL_TEST(blocking, a_job_may_be_detached)
{
	rota_task *jobs[5];

	occupy_pool(jobs, 3);
	for (int i = 0; i < 5; i++)
		rota_detach(jobs[i]);
	open_gate(5);
	expect(rota_spawn_blocking(NULL, note, NULL), ==, 0);
	unit_until_alive(rt, 1);
	expect(rota__load(&ran, SEQ_CST), ==, 1);
}

/* --- threads ------------------------------------------------------------------------------------------------------------------ */

static int run_a_few(void *arg)
{
	rota_task *jobs[10];

	(void)arg;
	for (intptr_t i = 0; i < 10; i++)
		jobs[i] = spawn_job(note, (void *)i);
	for (int i = 0; i < 10; i++)
		unit_expect_join(jobs[i], i);
	return 0;
}

UNIT_TEST(blocking, idle_threads_leave)
{
	unsigned before;

	pool_config.blocking_idle_ns = 1;
	start_runtime();
	unit_no_more_spares(rt); /* it would stay */
	before = unit_threads();
	for (int round = 0; round < 20; round++) {
		expect(rota_block_on(rt, run_a_few, NULL), ==, 0);
		expect_eventually(rota__blocking_threads(rt) == 0);
		expect_eventually(unit_threads() == before);
	}
	stop_runtime();
}

UNIT_TEST(blocking, an_idle_thread_that_need_not_leave_stays)
{
	pool_config.blocking_idle_ns = ROTA_NEVER;
	start_runtime();
	expect(rota_block_on(rt, run_a_few, NULL), ==, 0);
	for (int i = 0; i < 100; i++) {
		expect(rota__blocking_threads(rt), >=, 1);
		usleep(100);
	}
	stop_runtime();
}

POOL_TEST(blocking, without_a_thread_a_spawn_says_so)
{
	rota_task *job = NULL;

	unit_no_more_spares(rt);
	for (int i = 0; i < 3; i++) {
		rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
		expect(rota_spawn_blocking(&job, note, NULL), ==, -EAGAIN);
		expect_pointer(job, ==, NULL);
		expect(rota__runtime_alive(rt), ==, 1);
	}
	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	expect(rota_offload(note, NULL), ==, -EAGAIN);
	expect(rota__load(&ran, SEQ_CST), ==, 0);
	unit_expect_join(spawn_job(note, (void *)6), 6);
}

static void queue_behind_one_at_work(uint32_t failing, rota_task **ret_first, rota_task **ret_second)
{
	unit_no_more_spares(rt);
	sem_init(&gate, 0, 0);
	*ret_first = spawn_job(wait_at_gate, NULL);
	until(running, 1);
	rota__fault_arm(ROTA__FAULT_THREAD, failing, -EAGAIN);
	*ret_second = spawn_job(note, (void *)2);
}

POOL_TEST(blocking, with_one_thread_at_work_a_job_waits_for_it)
{
	rota_task *first, *second;

	queue_behind_one_at_work(ROTA__FAULT_EACH, &first, &second);
	open_gate(1);
	unit_expect_join(first, 0);
	unit_expect_join(second, 2);
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
}

/* What is at work may wait for what is queued. */
POOL_TEST(blocking, a_thread_that_cannot_be_made_beside_one_at_work_is_made_later)
{
	rota_task *first, *second;

	queue_behind_one_at_work(1, &first, &second);
	unit_expect_join(second, 2);
	open_gate(1);
	unit_expect_join(first, 0);
}

POOL_TEST(blocking, a_thread_that_cannot_be_made_is_tried_again_and_again)
{
	rota_task *first, *second;

	queue_behind_one_at_work(ROTA__FAULT_EACH, &first, &second);
	expect(rota_sleep(ROTA_MS(20)), ==, 0);
	expect(queued(), ==, 1);
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
	unit_expect_join(second, 2);
	open_gate(1);
	unit_expect_join(first, 0);
}

/* Which of them is to be the one that cannot be made changes; some are counted before it is known. */
static int submit_some(void *arg)
{
	rota_task *jobs[4];
	int n = 0;

	while (n < 4) {
		int rc = rota_spawn_blocking(&jobs[n], note, arg);

		n += rc == 0;
		expect(rc == 0 || rc == -EAGAIN, ==, true);
		rota_yield();
	}
	while (n > 0)
		unit_expect_join(jobs[--n], (int)(intptr_t)arg);
	return 0;
}

static int submit_while_threads_fail(void *arg)
{
	rota_task *submitters[4];

	rota__fault_arm(ROTA__FAULT_THREAD, *(const unsigned *)arg, -EAGAIN);
	for (intptr_t i = 0; i < 4; i++)
		submitters[i] = unit_spawn(submit_some, (void *)i);
	for (int i = 0; i < 4; i++)
		unit_expect_join(submitters[i], 0);
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
	return 0;
}

UNIT_TEST(blocking, a_thread_that_cannot_be_made_leaves_no_job_behind)
{
	pool_config.blocking_idle_ns = 1;
	pool_config.max_blocking_threads = 8;
	start_runtime();
	for (unsigned round = 0; round < 300; round++) {
		unsigned nth = 1 + round % 5;

		expect(rota_block_on(rt, submit_while_threads_fail, &nth), ==, 0);
		expect_eventually(rota__blocking_threads(rt) == 0);
	}
	stop_runtime();
}

POOL_TEST(blocking, without_memory_a_spawn_says_so)
{
	rota_task *job = NULL, *tasks[300];
	unsigned n = 0;
	int rc;

	unit_no_more_spares(rt);
	/* Until the headers at hand are used up. */
	do {
		rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
		rc = rota_spawn_blocking(&job, note, NULL);
		rota__fault_arm(ROTA__FAULT_ALLOC, 0, 0);
		if (rc == 0)
			tasks[n++] = job;
	} while (rc == 0 && n < 300);
	expect(rc, ==, -ENOMEM);
	while (n > 0)
		unit_expect_join(tasks[--n], 0);
	unit_expect_join(spawn_job(note, (void *)6), 6);
}

/* --- who steps aside -------------------------------------------------------------------------------------------------- */

static sem_t aside_gate; /* holds who has stepped aside until it is posted */

/* As the thread of an errand does. */
static int step_aside(void *arg)
{
	rota__blocking_step_aside(rt);
	while (sem_wait(&aside_gate) < 0) {
	}
	rota__blocking_step_back(rt);
	return wait_at_gate(arg);
}

static unsigned threads_there(void)
{
	return rota__blocking_threads(rt);
}

static rota_task *put_one_aside(void)
{
	rota_task *job;

	sem_init(&gate, 0, 0);
	sem_init(&aside_gate, 0, 0);
	job = spawn_job(step_aside, (void *)1);
	until(threads_there, 1);
	until(queued, 0);
	until(running, 0);
	return job;
}

POOL_TEST(blocking, one_that_is_back_from_aside_has_no_more_made)
{
	rota_task *aside = put_one_aside(), *held[2], *jobs[3];

	for (intptr_t i = 0; i < 2; i++)
		held[i] = spawn_job(wait_at_gate, (void *)i);
	until(running, 2);
	expect(rota__blocking_threads(rt), ==, 3);
	sem_post(&aside_gate);
	until(running, 3);
	for (intptr_t i = 0; i < 3; i++)
		jobs[i] = spawn_job(note, (void *)i);
	expect(rota__blocking_threads(rt), ==, 3);
	open_gate(3);
	unit_expect_join(aside, 1);
	for (int i = 0; i < 2; i++)
		unit_expect_join(held[i], i);
	for (int i = 0; i < 3; i++)
		unit_expect_join(jobs[i], i);
	expect_eventually(rota__blocking_threads(rt) <= 2);
}

/* It may be aside for ever. */
POOL_TEST(blocking, with_one_thread_aside_a_job_does_not_wait_for_it)
{
	rota_task *aside = put_one_aside(), *job = NULL;

	unit_no_more_spares(rt);
	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	expect(rota_spawn_blocking(&job, note, NULL), ==, -EAGAIN);
	expect_pointer(job, ==, NULL);
	unit_expect_join(spawn_job(note, (void *)2), 2);
	sem_post(&aside_gate);
	open_gate(1);
	unit_expect_join(aside, 1);
}

static int leave_work_behind(void *arg)
{
	rota_task *held, *aside, *left;

	(void)arg;
	sem_init(&gate, 0, 0);
	sem_init(&aside_gate, 0, 0);
	held = spawn_job(wait_at_gate, NULL);
	until(running, 1);
	aside = spawn_job(step_aside, (void *)1);
	left = spawn_job(note, (void *)5);
	unit_no_more_spares(rt);
	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	open_gate(1);
	unit_expect_join(held, 0);
	unit_expect_join(left, 5);
	sem_post(&aside_gate);
	open_gate(1);
	unit_expect_join(aside, 1);
	return 0;
}

/* The monitor tries again to make one for what waited for the thread that has stepped aside. */
UNIT_TEST(blocking, a_thread_that_cannot_be_made_for_one_aside_is_made_later)
{
	pool_config.max_blocking_threads = 1;
	start_runtime();
	expect(rota_block_on(rt, leave_work_behind, NULL), ==, 0);
	stop_runtime();
}

static bool one_is_idle(void)
{
	struct rota__blocking *pool = &rt->blocking;
	bool is;

	rota__blocking_lock(pool);
	is = pool->errands == 0 && pool->idlers != NULL;
	rota__blocking_unlock(pool);
	return is;
}

static int bring_one_too_many(void *arg)
{
	struct rota__blocking *pool = &rt->blocking;
	struct rota__blocking_call call;
	rota_task *held, *aside, *job;

	(void)arg;
	aside = put_one_aside();
	held = spawn_job(wait_at_gate, NULL);
	until(running, 1);
	rota__blocking_lock(pool);
	pool->errands++;
	expect(rota__blocking_call(rt, &call), ==, 0);
	rota__blocking_unlock(pool);
	expect(call.make, ==, true); /* it is long in coming */
	sem_post(&aside_gate);
	until(running, 2);
	open_gate(2);
	unit_expect_join(aside, 1);
	unit_expect_join(held, 0);
	expect_eventually(one_is_idle());
	job = spawn_job(note, (void *)7);
	rota__blocking_carry_out(rt, &call);
	unit_expect_join(job, 7);
	return 0;
}

static void bring_one_too_many_in(enum rota_flavor flavor)
{
	pool_config.flavor = flavor;
	pool_config.backend = ROTA_BACKEND_EPOLL; /* which has errands */
	pool_config.blocking_idle_ns = ROTA_NEVER;
	start_runtime();
	expect(rota_block_on(rt, bring_one_too_many, NULL), ==, 0);
	stop_runtime();
}

/* What it was to do is done by another, which was not called since that one was on its way. */
UNIT_TEST(blocking, a_thread_too_many_leaves_nothing_behind)
{
	bring_one_too_many_in(ROTA_FLAVOR_MULTI_THREAD);
	bring_one_too_many_in(ROTA_FLAVOR_CURRENT_THREAD);
}

/* --- shutdown ------------------------------------------------------------------------------------------------------------------ */

static int leave_jobs_behind(void *arg)
{
	rota_task **jobs = arg;

	occupy_pool(jobs, 3);
	for (intptr_t i = 0; i < 2; i++)
		rota_detach(unit_spawn(submit_one_more, (void *)i));
	return 0;
}

static void shut_down_with_jobs(void)
{
	struct unit_capture capture;
	rota_task *jobs[5];

	start_runtime();
	expect(rota_block_on(rt, leave_jobs_behind, jobs), ==, 0);
	/* Two run on: they are reported. Those that are queued or wait for a place are cancelled. */
	do {
		unit_capture_begin(&capture);
		expect(rota_runtime_shutdown(rt, ROTA_MS(20)), ==, -ETIMEDOUT);
		expect_contains(unit_capture_end(&capture), "blocking job");
		expect(unit_lines(capture.text), >=, 2);
	} while (unit_lines(capture.text) > 2); /* who waits for a place needs a CPU to hear of it */
	for (int i = 2; i < 5; i++)
		unit_expect_join(jobs[i], -ECANCELED);
	expect(rota__load(&ran, SEQ_CST), ==, 0);
	open_gate(2);
	unit_expect_join(jobs[0], 0);
	unit_expect_join(jobs[1], 1);
	stop_runtime();
}

UNIT_TEST(blocking, a_shutdown_cancels_what_is_queued_and_waits_for_what_runs)
{
	shut_down_with_jobs();
}

UNIT_TEST(blocking, a_shutdown_without_workers_does_the_same)
{
	pool_config.flavor = ROTA_FLAVOR_CURRENT_THREAD;
	shut_down_with_jobs();
}
