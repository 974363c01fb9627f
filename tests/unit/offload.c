/* SPDX-License-Identifier: MIT */
/* Offloads to the blocking pool: as a call and as a future, from each kind of caller, cancelled at each stage. */
#define _GNU_SOURCE
#include <rota.h>
#include <sys/syscall.h>

#include "../../runtime/sys_internal.h"
#include "pool.h"

static int thread_number(void *arg)
{
	*(long *)arg = syscall(SYS_gettid);
	return 5;
}

POOL_TEST(offload, runs_elsewhere_and_waits)
{
	long there = 0, here = syscall(SYS_gettid);
	struct rota_offload_op op;

	expect(rota_offload(thread_number, &there), ==, 5);
	expect(there, !=, 0);
	expect(there, !=, here);
	expect(rota_offload(NULL, NULL), ==, -EINVAL);
	rota_offload_init(&op, NULL, NULL);
	expect(rota_await(&op.future), ==, -EINVAL);
}

static int offload_in_place(void *arg)
{
	long there = 0;

	(void)arg;
	expect(rota_offload(thread_number, &there), ==, 5);
	expect(there, ==, syscall(SYS_gettid));
	return 0;
}

POOL_TEST(offload, on_a_pool_thread_runs_in_place)
{
	unit_expect_join(spawn_job(offload_in_place, NULL), 0);
}

UNIT_TEST(offload, on_a_plain_thread_runs_in_place)
{
	expect(offload_in_place(NULL), ==, 0);
}

static int offload_it(void *fn)
{
	return rota_offload((rota_fn *)fn, (void *)8);
}

POOL_TEST(offload, cancelled_while_queued_it_never_runs)
{
	rota_task *jobs[2], *caller;

	occupy_pool(jobs, 0);
	caller = unit_spawn(offload_it, (void *)note);
	unit_until_resting(caller);
	rota_cancel(caller);
	unit_expect_join(caller, -ECANCELED);
	open_gate(2);
	unit_expect_join(jobs[0], 0);
	unit_expect_join(jobs[1], 1);
	expect(rota__load(&ran, SEQ_CST), ==, 0);
}

POOL_TEST(offload, cancelled_while_running_it_is_waited_for)
{
	rota_task *caller;

	sem_init(&gate, 0, 0);
	caller = unit_spawn(offload_it, (void *)wait_at_gate);
	until(running, 1);
	rota_cancel(caller);
	for (int i = 0; i < 100; i++) {
		rota_yield();
		expect(rota__load(&caller->state, ACQUIRE) & ROTA__COMPLETE, ==, 0);
	}
	open_gate(1);
	unit_expect_join(caller, 8);
}

/* --- as a future -------------------------------------------------------------------------------------------------------- */

POOL_TEST(offload, is_a_future_of_a_fiber)
{
	struct rota_offload_op op;
	long there = 0;

	for (int i = 0; i < 20; i++) {
		rota_offload_init(&op, thread_number, &there);
		expect(rota_await(&op.future), ==, 5);
		expect(there, !=, syscall(SYS_gettid));
	}
}

static rota_task *spawn_op(struct rota_offload_op *op, rota_fn *fn, void *arg)
{
	rota_task *task = NULL;

	rota_offload_init(op, fn, arg);
	expect(rota_spawn_future(&task, &op->future), ==, 0);
	return task;
}

POOL_TEST(offload, is_a_stackless_task)
{
	struct rota_offload_op ops[30];
	rota_task *tasks[30];

	/* Far more than there is room for: they wait for places. */
	for (intptr_t i = 0; i < 30; i++)
		tasks[i] = spawn_op(&ops[i], note, (void *)i);
	for (int i = 0; i < 30; i++)
		unit_expect_join(tasks[i], i);
	expect(rota__load(&ran, SEQ_CST), ==, 30);
}

POOL_TEST(offload, cancelled_before_its_first_poll_it_never_runs)
{
	struct rota_offload_op op;

	rota_offload_init(&op, note, NULL);
	rota_future_cancel(&op.future);
	rota_future_cancel(&op.future);
	expect(rota_await(&op.future), ==, -ECANCELED);
	expect(rota__load(&ran, SEQ_CST), ==, 0);
}

POOL_TEST(offload, cancelled_while_it_waits_for_a_place_it_never_runs)
{
	struct rota_offload_op op, next;
	rota_task *jobs[5], *first, *second;

	occupy_pool(jobs, 3);
	first = spawn_op(&op, note, NULL);
	second = spawn_op(&next, note, (void *)2);
	unit_until_resting(first);
	unit_until_resting(second);
	rota_cancel(first);
	unit_expect_join(first, -ECANCELED);
	open_gate(5);
	unit_expect_join(second, 2);
	for (int i = 0; i < 5; i++)
		unit_expect_join(jobs[i], i);
	expect(rota__load(&ran, SEQ_CST), ==, 1);
}

POOL_TEST(offload, cancelled_in_the_queue_it_never_runs)
{
	struct rota_offload_op op;
	rota_task *jobs[2], *task;

	occupy_pool(jobs, 0);
	task = spawn_op(&op, note, NULL);
	until(queued, 1);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	expect(queued(), ==, 0);
	open_gate(2);
	unit_expect_join(jobs[0], 0);
	unit_expect_join(jobs[1], 1);
	expect(rota__load(&ran, SEQ_CST), ==, 0);
}

POOL_TEST(offload, cancelled_at_work_it_is_finished)
{
	struct rota_offload_op op;
	rota_task *task;

	sem_init(&gate, 0, 0);
	task = spawn_op(&op, wait_at_gate, (void *)8);
	until(running, 1);
	rota_cancel(task);
	open_gate(1);
	unit_expect_join(task, 8);
}

POOL_TEST(offload, without_a_thread_it_says_so)
{
	struct rota_offload_op op;

	unit_no_more_spares(rt);
	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	rota_offload_init(&op, note, NULL);
	expect(rota_await(&op.future), ==, -EAGAIN);
	expect(rota__blocking_threads(rt), ==, 0);
	rota_offload_init(&op, note, (void *)3);
	expect(rota_await(&op.future), ==, 3);
}

/* --- who may not wait for a place ------------------------------------------------------------------------------------------ */

struct asker {
	struct rota_future future;
	rota_task *job;
	int rc;
};

static rota_poll ask(struct rota_future *self, struct rota_context *cx)
{
	struct asker *asker = (struct asker *)(void *)self;

	(void)cx;
	asker->rc = rota_spawn_blocking(&asker->job, note, (void *)7);
	self->status = 0;
	return ROTA_READY;
}

static const struct rota_future_ops ask_ops = { .poll = ask };

static int ask_inside_a_poll(struct asker *asker)
{
	rota_task *task = NULL;

	*asker = (struct asker){ .rc = 1 };
	rota_future_init(&asker->future, &ask_ops);
	expect(rota_spawn_future(&task, &asker->future), ==, 0);
	unit_expect_join(task, 0);
	return asker->rc;
}

POOL_TEST(offload, inside_a_poll_jobs_are_spawned_while_there_is_room)
{
	struct asker asker;
	rota_task *jobs[5];

	expect(ask_inside_a_poll(&asker), ==, 0);
	unit_expect_join(asker.job, 7);
	occupy_pool(jobs, 3);
	expect(ask_inside_a_poll(&asker), ==, -EAGAIN);
	expect_pointer(asker.job, ==, NULL);
	open_gate(5);
	for (int i = 0; i < 5; i++)
		unit_expect_join(jobs[i], i);
}

static int fill_up_from_inside(void *arg)
{
	rota_task *job = NULL;
	int n = 0;

	(void)arg;
	/* It must not wait for threads of which it is one. */
	while (rota_spawn_blocking(&job, note, NULL) == 0) {
		rota_detach(job);
		n++;
	}
	expect(rota_spawn_blocking(&job, note, NULL), ==, -EAGAIN);
	return n;
}

static int fill_up(void *arg)
{
	rota_task *job = spawn_job(fill_up_from_inside, arg);
	int status = 0;

	expect(rota_join(job, &status), ==, 0);
	expect(status, >=, 3);
	return 0;
}

UNIT_TEST(offload, a_job_does_not_wait_for_its_own_pool)
{
	pool_config.max_blocking_threads = 1;
	start_runtime();
	expect(rota_block_on(rt, fill_up, NULL), ==, 0);
	stop_runtime();
}
