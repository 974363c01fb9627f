/* SPDX-License-Identifier: MIT */
/*
 * Spare workers: every worker computes and does not stop before somebody else has got on, whom only a spare can run.
 * What hangs here has not been rescued.
 */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "../../runtime/runtime_internal.h"
#include "../../runtime/sys_internal.h"
#include "unit.h"

#define WORKERS 2u
#define HOGS_MAX (2 * WORKERS)

static struct rota_atomic_u32 computing, done;

static int compute(void *arg)
{
	(void)arg;
	rota__fetch_add(&computing, 1, SEQ_CST);
	while (rota__load(&done, SEQ_CST) == 0)
		rota__cpu_relax();
	return 0;
}

/* Takes no CPU, and gives none of its thread's time back: that is no thread that lacks a CPU. */
static int block_the_thread(void *arg)
{
	(void)arg;
	rota__fetch_add(&computing, 1, SEQ_CST);
	while (rota__load(&done, SEQ_CST) == 0)
		usleep(2000);
	return 0;
}

static int finish(void *arg)
{
	(void)arg;
	rota__store(&done, 1, SEQ_CST);
	return 0;
}

static rota_runtime *new_runtime(unsigned workers)
{
	const struct rota_config config = { .workers = workers };
	rota_runtime *rt = NULL;

	unsetenv("ROTA_FLAVOR");
	rota__store(&computing, 0, SEQ_CST);
	rota__store(&done, 0, SEQ_CST);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	return rt;
}

static void free_runtime(rota_runtime *rt)
{
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	rota_runtime_free(rt);
}

static void until_computing(unsigned n)
{
	const time_t start = expect_seconds_();

	while (rota__load(&computing, SEQ_CST) < n) {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		sched_yield();
	}
}

/* One task after the other begins to compute, each on a thread of its own. */
static void occupy(rota_runtime *rt, rota_task *hogs[], unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		expect(rota_spawn_on(rt, &hogs[i], compute, NULL), ==, 0);
		until_computing(i + 1);
	}
}

static void release(rota_task *hogs[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		unit_expect_join(hogs[i], 0);
}

static struct rota_metrics metrics(rota_runtime *rt)
{
	struct rota_metrics m;

	rota_runtime_metrics(rt, &m);
	return m;
}

static void until_off_duty(rota_runtime *rt)
{
	const time_t start = expect_seconds_();

	while (metrics(rt).spares_on_duty > 0) {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		sched_yield();
	}
}

UNIT_TEST(spare, runs_what_comes_from_outside)
{
	rota_task *hogs[WORKERS], *task;
	rota_runtime *rt = new_runtime(WORKERS);

	occupy(rt, hogs, WORKERS);
	expect(rota_spawn_on(rt, &task, finish, NULL), ==, 0);
	unit_expect_join(task, 0);
	release(hogs, WORKERS);
	expect(metrics(rt).spare_threads, >=, 1);
	expect(metrics(rt).spare_calls, >=, 1);
	free_runtime(rt);
}

UNIT_TEST(spare, helps_a_single_worker)
{
	rota_task *hog, *task;
	rota_runtime *rt = new_runtime(1);

	occupy(rt, &hog, 1);
	expect(rota_spawn_on(rt, &task, finish, NULL), ==, 0);
	unit_expect_join(task, 0);
	release(&hog, 1);
	free_runtime(rt);
}

UNIT_TEST(spare, is_followed_by_another_when_it_is_stuck_itself)
{
	rota_task *hogs[2 * WORKERS - 1], *task;
	rota_runtime *rt = new_runtime(WORKERS);

	occupy(rt, hogs, 2 * WORKERS - 1);
	expect(rota_spawn_on(rt, &task, finish, NULL), ==, 0);
	unit_expect_join(task, 0);
	release(hogs, 2 * WORKERS - 1);
	expect(metrics(rt).spare_threads, ==, WORKERS);
	free_runtime(rt);
}

UNIT_TEST(spare, is_followed_by_another_when_its_task_blocks)
{
	rota_task *hogs[WORKERS], *blocking, *task;
	rota_runtime *rt = new_runtime(WORKERS);

	occupy(rt, hogs, WORKERS);
	expect(rota_spawn_on(rt, &blocking, block_the_thread, NULL), ==, 0);
	until_computing(WORKERS + 1);
	expect(rota_spawn_on(rt, &task, finish, NULL), ==, 0);
	unit_expect_join(task, 0);
	release(hogs, WORKERS);
	unit_expect_join(blocking, 0);
	expect(metrics(rt).spare_threads, >=, 2);
	free_runtime(rt);
}

UNIT_TEST(spare, are_no_more_than_workers)
{
	rota_task *hogs[2 * WORKERS], *waiting;
	rota_runtime *rt = new_runtime(WORKERS);

	occupy(rt, hogs, 2 * WORKERS);
	expect(rota_spawn_on(rt, &waiting, finish, NULL), ==, 0);
	usleep(20000); /* in which nobody can come */
	expect(metrics(rt).spare_threads, ==, WORKERS);
	expect(rota__load(&done, SEQ_CST), ==, 0);
	finish(NULL);
	release(hogs, 2 * WORKERS);
	unit_expect_join(waiting, 0);
	free_runtime(rt);
}

static int sleep_and_finish(void *arg)
{
	expect(rota_sleep(ROTA_MS(5)), ==, 0);
	return finish(arg);
}

/* A timer of a worker that computes before the timer is due. */
UNIT_TEST(spare, fires_timers_of_who_computes)
{
	rota_task *hogs[WORKERS], *task;
	rota_runtime *rt = new_runtime(WORKERS);

	expect(rota_spawn_on(rt, &task, sleep_and_finish, NULL), ==, 0);
	occupy(rt, hogs, WORKERS);
	unit_expect_join(task, 0);
	release(hogs, WORKERS);
	free_runtime(rt);
}

struct wire {
	int end[2];
	unsigned rounds;
	struct unit_event armed; /* set by who is about to wait for the wire */
	uint32_t home;
};

static void wire_open(struct wire *wire)
{
	*wire = (struct wire){ .rounds = 1 };
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire->end), ==, 0);
}

static void wire_close(struct wire *wire)
{
	close(wire->end[0]);
	close(wire->end[1]);
}

static int answer(void *arg)
{
	struct wire *wire = arg;
	char byte = 0;

	for (unsigned i = 0; i < wire->rounds; i++) {
		expect(rota_recv(wire->end[0], &byte, 1, 0), ==, 1);
		expect(rota_send(wire->end[0], &byte, 1, 0), ==, 1);
	}
	return 0;
}

/* The first operation waits in a stuck worker's ring, the others go through the spare's. */
UNIT_TEST(spare, serves_connections)
{
	rota_task *hogs[WORKERS], *task;
	rota_runtime *rt = new_runtime(WORKERS);
	struct wire wire;
	char byte = 'x';

	wire_open(&wire);
	wire.rounds = 1000;
	expect(rota_spawn_on(rt, &task, answer, &wire), ==, 0);
	occupy(rt, hogs, WORKERS);
	for (unsigned i = 0; i < wire.rounds; i++) {
		expect(write(wire.end[1], &byte, 1), ==, 1);
		expect(read(wire.end[1], &byte, 1), ==, 1);
	}
	unit_expect_join(task, 0);
	finish(NULL);
	release(hogs, WORKERS);
	free_runtime(rt);
	wire_close(&wire);
}

/* Operations that were begun just before their worker is occupied are not yet with the kernel. */
static int begin_and_compute(void *arg)
{
	struct wire *wires = arg;
	rota_task *tasks[8];

	for (unsigned i = 0; i < 20000; i++) /* tasks are short here, the worker learns */
		expect(rota_yield(), ==, 0);
	for (unsigned i = 0; i < 8; i++)
		tasks[i] = unit_spawn(answer, &wires[i]);
	for (unsigned i = 0; i < 8; i++)
		unit_until_resting(tasks[i]);
	compute(NULL);
	for (unsigned i = 0; i < 8; i++)
		unit_expect_join(tasks[i], 0);
	return 0;
}

UNIT_TEST(spare, finds_operations_that_were_not_yet_submitted)
{
	rota_runtime *rt = new_runtime(1);
	rota_task *task;
	struct wire wires[8];
	char byte = 'x';

	for (unsigned i = 0; i < 8; i++)
		wire_open(&wires[i]);
	expect(rota_spawn_on(rt, &task, begin_and_compute, wires), ==, 0);
	until_computing(1);
	for (unsigned i = 0; i < 8; i++) {
		expect(write(wires[i].end[1], &byte, 1), ==, 1);
		expect(read(wires[i].end[1], &byte, 1), ==, 1);
	}
	finish(NULL);
	unit_expect_join(task, 0);
	free_runtime(rt);
	for (unsigned i = 0; i < 8; i++)
		wire_close(&wires[i]);
}

static int note_home(void *arg)
{
	struct wire *wire = arg;

	wire->home = rota__worker_self()->index;
	unit_event_set(&wire->armed);
	return answer(arg);
}

/* Has `fn` wait for the wire while all compute, and end when no spare is on duty any more. Returns whether a spare ran it: one
 * that came for a hog, since a worker had no CPU, leaves that worker free. */
static bool answer_by_a_spare(rota_runtime *rt, rota_fn *fn)
{
	rota_task *hogs[WORKERS], *task;
	struct wire wire;
	char byte = 'x';

	wire_open(&wire);
	rota__store(&computing, 0, SEQ_CST);
	rota__store(&done, 0, SEQ_CST);
	occupy(rt, hogs, WORKERS);
	expect(rota_spawn_on(rt, &task, fn, &wire), ==, 0);
	expect(unit_event_wait(&wire.armed), ==, 0);
	unit_until_resting(task);
	finish(NULL);
	release(hogs, WORKERS);
	until_off_duty(rt);
	expect(write(wire.end[1], &byte, 1), ==, 1);
	expect(read(wire.end[1], &byte, 1), ==, 1);
	unit_expect_join(task, 0);
	wire_close(&wire);
	return wire.home >= WORKERS;
}

static void expect_answer_by_a_spare(rota_fn *fn)
{
	rota_runtime *rt = new_runtime(WORKERS);
	const time_t start = expect_seconds_();

	while (!answer_by_a_spare(rt, fn))
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
	free_runtime(rt);
}

/* A request dies with the thread that submitted it: a spare stays, and its request is served when all is calm. */
UNIT_TEST(spare, keeps_its_requests_when_it_steps_back)
{
	expect_answer_by_a_spare(note_home);
}

static int run_local(void *arg)
{
	struct wire *wire = arg;

	for (int i = 0; i < 10; i++) {
		expect(rota__worker_self()->index, ==, wire->home);
		expect(rota_yield(), ==, 0);
	}
	expect(rota_sleep(ROTA_MS(1)), ==, 0);
	expect(rota__worker_self()->index, ==, wire->home);
	return answer(arg);
}

static int spawn_local(void *arg)
{
	struct wire *wire = arg;
	rota_task *task = NULL;

	wire->home = rota__worker_self()->index;
	expect(rota_spawn_local(&task, run_local, wire), ==, 0);
	unit_event_set(&wire->armed);
	unit_expect_join(task, 0);
	return 0;
}

/* What may not leave the spare runs there, also off duty. */
UNIT_TEST(spare, runs_its_own_pinned_tasks_off_duty)
{
	expect_answer_by_a_spare(spawn_local);
}

UNIT_TEST(spare, is_called_again)
{
	rota_task *hogs[WORKERS], *task;
	rota_runtime *rt = new_runtime(WORKERS);
	const time_t start = expect_seconds_();

	/* A spare that was just sent away may still take one of the tasks; then nobody is called that time. */
	while (metrics(rt).spare_calls < 5) {
		rota__store(&computing, 0, SEQ_CST);
		rota__store(&done, 0, SEQ_CST);
		occupy(rt, hogs, WORKERS);
		expect(rota_spawn_on(rt, &task, finish, NULL), ==, 0);
		unit_expect_join(task, 0);
		release(hogs, WORKERS);
		until_off_duty(rt);
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
	}
	free_runtime(rt);
}

/* The first thread cannot be made. A second later it is tried again. */
UNIT_TEST(spare, comes_later_when_there_is_no_thread)
{
	rota_task *hogs[WORKERS], *task;
	rota_runtime *rt = new_runtime(WORKERS);

	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	occupy(rt, hogs, WORKERS);
	expect(rota_spawn_on(rt, &task, finish, NULL), ==, 0);
	unit_expect_join(task, 0);
	release(hogs, WORKERS);
	free_runtime(rt);
}

UNIT_TEST(spare, comes_later_when_there_is_no_ring)
{
	rota_task *hogs[WORKERS], *task;
	struct unit_capture capture;
	rota_runtime *rt;

	if (unit_on_epoll())
		cr_skip_test("without io_uring a worker has nothing that could not be made");
	rt = new_runtime(WORKERS);
	unit_capture_begin(&capture);
	/* Before the workers compute: one that does not get a CPU looks stuck, and then the first spare comes for a hog. */
	rota__fault_arm(ROTA__FAULT_EVENTFD, 1, -EMFILE);
	occupy(rt, hogs, WORKERS);
	expect(rota_spawn_on(rt, &task, finish, NULL), ==, 0);
	unit_expect_join(task, 0);
	release(hogs, WORKERS);
	free_runtime(rt);
	expect_pointer(strstr(unit_capture_end(&capture), "no spare worker while all are stuck: Too many open files"),
		       !=, NULL);
}

static int count_calls(void *arg)
{
	rota_runtime *rt = rota_runtime_current();
	const uint64_t until = rota_now() + ROTA_MS(20);
	rota_task *task = NULL;

	(void)arg;
	expect(rota_spawn(&task, finish, NULL), ==, 0);
	while (rota_now() < until)
		rota__cpu_relax();
	expect(rota__load(&done, SEQ_CST), ==, 0);
	unit_expect_join(task, 0);
	expect(metrics(rt).spare_threads, ==, 0);
	return 0;
}

UNIT_TEST(spare, is_not_there_with_the_current_thread_flavor)
{
	rota_runtime *rt = unit_runtime(ROTA_FLAVOR_CURRENT_THREAD);

	rota__store(&done, 0, SEQ_CST);
	expect(rota_block_on(rt, count_calls, NULL), ==, 0);
	free_runtime(rt);
}
