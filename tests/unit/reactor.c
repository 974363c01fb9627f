/* SPDX-License-Identifier: MIT */
/*
 * The reactor answers whatever the workers do: threads outside are served while each worker computes, and what has come
 * for the tasks of a worker that is stuck in a computation is taken over and run elsewhere.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "../../io/fd.h"
#include "../../runtime/runtime_internal.h"
#include "places.h"
#include "plain.h"

static bool is_set(const unsigned *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0;
}

static void set(unsigned *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELEASE);
}

static void spin_until(const unsigned *flag)
{
	while (!is_set(flag))
		rota__cpu_relax(); /* never enters the kernel, never lets others run */
}

/* --- threads outside ------------------------------------------------------------------------------------------------- */

enum { WORKERS = 2 };

struct busy {
	unsigned running, done; /* atomic */
	rota_task *hogs[WORKERS];
};

static int hog(void *arg)
{
	struct busy *busy = arg;

	__atomic_fetch_add(&busy->running, 1, __ATOMIC_RELEASE);
	spin_until(&busy->done);
	return 0;
}

/* Every worker computes until further notice. */
static void keep_busy(rota_runtime *rt, struct busy *busy)
{
	*busy = (struct busy){ .running = 0 };
	for (int i = 0; i < WORKERS; i++)
		expect(rota_spawn_on(rt, &busy->hogs[i], hog, busy), ==, 0);
	expect_eventually(__atomic_load_n(&busy->running, __ATOMIC_ACQUIRE) == WORKERS);
}

static void let_go(struct busy *busy)
{
	set(&busy->done);
	for (int i = 0; i < WORKERS; i++)
		expect(rota_join(busy->hogs[i], NULL), ==, 0);
}

static void write_xyz(void *arg)
{
	expect(write(*(int *)arg, "xyz", 3), ==, 3);
}

UNIT_TEST(reactor, serves_a_plain_thread_while_the_workers_compute)
{
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);
	struct rota_timer timer;
	struct party party;
	struct busy busy;
	struct rota_op op;
	char buf[8];
	int fds[2];

	plain_pipe(fds);
	keep_busy(rt, &busy);
	party_start(&party, write_xyz, &fds[1]);
	rota_op_read(&op, fds[0], buf, sizeof(buf), -1);
	party_go(&party);
	expect(rota_block_on_future(rt, &op.future), ==, 3);
	party_join(&party);
	rota_timer_init(&timer, rota_now() + ROTA_MS(2));
	expect(rota_block_on_future(rt, &timer.future), ==, 0);
	rota_op_poll(&op, fds[1], POLLOUT);
	expect(rota_block_on_future(rt, &op.future), ==, POLLOUT);
	let_go(&busy);
	place_runtime_free(rt);
	plain_close(fds);
}

struct job {
	rota_runtime *rt;
	int fds[2];
	unsigned waiting, done; /* atomic */
	char buf[8];
};

static int read_in_job(void *arg)
{
	struct job *job = arg;

	set(&job->waiting);
	expect(rota_read_exact(job->fds[0], job->buf, 3), ==, 3);
	expect(rota_sleep(ROTA_MS(1)), ==, 0);
	expect(rota_write_all(job->fds[1], job->buf, 3), ==, 3);
	set(&job->done);
	return 0;
}

static int spawn_job(void *arg)
{
	struct job *job = arg;
	rota_task *task;

	expect(rota_spawn_blocking(&task, read_in_job, job), ==, 0);
	rota_detach(task);
	return 0;
}

UNIT_TEST(reactor, serves_a_blocking_job_while_the_workers_compute)
{
	struct job job = { .rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0) };
	struct busy busy;

	plain_pair(job.fds);
	expect(rota_block_on(job.rt, spawn_job, &job), ==, 0);
	keep_busy(job.rt, &busy);
	expect_eventually(is_set(&job.waiting));
	expect(write(job.fds[1], "abc", 3), ==, 3);
	expect_eventually(is_set(&job.done));
	expect(plain_waiting(job.fds[0]), ==, 3);
	let_go(&busy);
	place_runtime_free(job.rt);
	plain_close(job.fds);
}

/* Many threads at once, on a ring of two entries. */
struct outsider {
	rota_runtime *rt;
	pthread_t thread;
	int fds[2];
	unsigned sum;
};

enum { OUTSIDERS = 8, ROUNDS = 300 };

static void *outside(void *arg)
{
	struct outsider *outsider = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned char sent = (unsigned char)i, got = 0;
		struct rota_op op;

		rota_op_write(&op, outsider->fds[1], &sent, 1, -1);
		expect(rota_block_on_future(outsider->rt, &op.future), ==, 1);
		rota_op_read(&op, outsider->fds[0], &got, 1, -1);
		expect(rota_block_on_future(outsider->rt, &op.future), ==, 1);
		expect(got, ==, sent);
	}
	return NULL;
}

UNIT_TEST(reactor, serves_many_threads)
{
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 2);
	struct outsider outsiders[OUTSIDERS];

	for (int i = 0; i < OUTSIDERS; i++) {
		outsiders[i].rt = rt;
		plain_pipe(outsiders[i].fds);
		expect(pthread_create(&outsiders[i].thread, NULL, outside, &outsiders[i]), ==, 0);
	}
	for (int i = 0; i < OUTSIDERS; i++) {
		pthread_join(outsiders[i].thread, NULL);
		plain_close(outsiders[i].fds);
	}
	place_runtime_free(rt);
}

/* --- a stuck worker ---------------------------------------------------------------------------------------------------- */

/* A fiber waits for a pipe, and then its worker computes until that fiber goes on. */
struct behind {
	int fds[2];
	struct rota_notify go;
	struct rota__worker *worker;
	unsigned waiting, stuck, over; /* atomic */
	int (*wait)(struct behind *behind);
	rota_task *hog;
};

static int compute(void *arg)
{
	struct behind *behind = arg;

	expect(rota_notify_wait(&behind->go), ==, 0);
	set(&behind->stuck);
	spin_until(&behind->over);
	return 0;
}

static int wait_behind(void *arg)
{
	struct behind *behind = arg;

	behind->worker = rota__worker_self();
	expect(rota_spawn_local(&behind->hog, compute, behind), ==, 0);
	set(&behind->waiting);
	expect(behind->wait(behind), ==, 0);
	set(&behind->over);
	expect(rota_join(behind->hog, NULL), ==, 0);
	return 0;
}

static int wait_for_byte(struct behind *behind)
{
	char byte;

	return (int)rota_read(behind->fds[0], &byte, 1) - 1;
}

static int wait_for_time(struct behind *behind)
{
	(void)behind;
	return rota_sleep(ROTA_MS(20));
}

static void run_behind(int (*wait)(struct behind *behind))
{
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);

	for (int i = 0; i < 10; i++) {
		struct behind behind = { .go = ROTA_NOTIFY_INIT, .wait = wait };
		rota_task *task;

		plain_pipe(behind.fds);
		expect(rota_spawn_on(rt, &task, wait_behind, &behind), ==, 0);
		expect_eventually(is_set(&behind.waiting));
		/* What the fiber waits for is with the kernel when its worker sleeps. */
		expect_eventually(rota__load(&behind.worker->asleep, SEQ_CST) != 0 || is_set(&behind.over));
		rota_notify_one(&behind.go);
		expect_eventually(is_set(&behind.stuck));
		expect(write(behind.fds[1], "x", 1), ==, 1);
		expect(rota_join(task, NULL), ==, 0);
		plain_close(behind.fds);
	}
	place_runtime_free(rt);
}

UNIT_TEST(reactor, takes_over_completions_of_a_stuck_worker)
{
	run_behind(wait_for_byte);
}

UNIT_TEST(reactor, takes_over_timers_of_a_stuck_worker)
{
	run_behind(wait_for_time);
}

/* Tasks that were woken behind it, and spawned. */
static int set_flag(void *arg)
{
	set(arg);
	return 0;
}

static int spawn_and_compute(void *arg)
{
	unsigned flag = 0;
	rota_task *task;

	(void)arg;
	expect(rota_spawn(&task, set_flag, &flag), ==, 0);
	spin_until(&flag);
	expect(rota_join(task, NULL), ==, 0);
	return 0;
}

UNIT_TEST(reactor, tasks_behind_a_stuck_worker_are_run_elsewhere)
{
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);

	for (int i = 0; i < 20; i++)
		expect(rota_block_on(rt, spawn_and_compute, NULL), ==, 0);
	place_runtime_free(rt);
}

/* The operation was begun just before the worker went on to the computation. */
struct begun {
	int fds[2];
	unsigned stuck, over; /* atomic */
	rota_task *hog;
};

static int compute_at_once(void *arg)
{
	struct begun *begun = arg;

	set(&begun->stuck);
	spin_until(&begun->over);
	return 0;
}

static int begin_and_wait(void *arg)
{
	struct begun *begun = arg;
	char byte;

	expect(rota_spawn_local(&begun->hog, compute_at_once, begun), ==, 0);
	expect(rota_read(begun->fds[0], &byte, 1), ==, 1);
	set(&begun->over);
	expect(rota_join(begun->hog, NULL), ==, 0);
	return 0;
}

UNIT_TEST(reactor, an_operation_begun_before_a_computation_is_not_behind_it)
{
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);

	for (int i = 0; i < 10; i++) {
		struct begun begun = { .stuck = 0 };
		rota_task *task;

		plain_pipe(begun.fds);
		expect(rota_spawn_on(rt, &task, begin_and_wait, &begun), ==, 0);
		expect_eventually(is_set(&begun.stuck));
		expect(write(begun.fds[1], "x", 1), ==, 1);
		expect(rota_join(task, NULL), ==, 0);
		plain_close(begun.fds);
	}
	place_runtime_free(rt);
}

/* --- end --------------------------------------------------------------------------------------------------------------- */

UNIT_TEST(reactor, leaves_nothing_behind)
{
	const unsigned descriptors = unit_descriptors(), threads = unit_threads();

	for (int i = 0; i < 100; i++)
		place_runtime_free(place_runtime(i % 2 == 0 ? ROTA_FLAVOR_MULTI_THREAD : ROTA_FLAVOR_CURRENT_THREAD, 0));
	expect(unit_descriptors(), ==, descriptors);
	expect_eventually(unit_threads() == threads); /* a thread that was joined is listed for a moment */
}
