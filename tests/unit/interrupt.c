/* SPDX-License-Identifier: MIT */
/* Jobs that say how to interrupt them: cancels by handle, by scope and by shutdown; too early, too late, at once. */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "unit.h"

struct reader {
	int fds[2];
	struct rota_atomic_u32 begun, interrupts;
};

static void reader_init(struct reader *reader)
{
	*reader = (struct reader){ .begun = { 0 } };
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, reader->fds), ==, 0);
}

static void reader_deinit(struct reader *reader)
{
	close(reader->fds[0]);
	close(reader->fds[1]);
}

static void interrupt(void *arg)
{
	struct reader *reader = arg;

	rota__fetch_add(&reader->interrupts, 1, SEQ_CST);
	shutdown(reader->fds[0], SHUT_RDWR);
}

/* Blocks in a read that nobody answers. */
static int read_blocking(void *arg)
{
	struct reader *reader = arg;
	struct rota_interrupter interrupter;
	ssize_t n;
	char byte;
	int rc;

	rc = rota_interrupter_enter(&interrupter, interrupt, reader);
	rota__store(&reader->begun, 1, SEQ_CST);
	if (rc < 0)
		return rc;
	n = read(reader->fds[0], &byte, 1);
	rota_interrupter_leave(&interrupter);
	expect(n, ==, 0);
	expect(rota_cancelled(), ==, true);
	return -EINTR;
}

static void until_begun(struct reader *reader)
{
	const time_t start = expect_seconds_();

	while (rota__load(&reader->begun, SEQ_CST) == 0) {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		rota_sleep(ROTA_US(100));
	}
}

TASK_TEST(interrupt, a_cancel_interrupts_a_running_job)
{
	for (int i = 0; i < 50; i++) {
		struct reader reader;
		rota_task *task;

		reader_init(&reader);
		expect(rota_spawn_blocking(&task, read_blocking, &reader), ==, 0);
		if (i % 2)
			until_begun(&reader);
		rota_cancel(task);
		rota_cancel(task);
		int status = 1;
		expect(rota_join(task, &status), ==, 0);
		expect(status == -EINTR || status == -ECANCELED, ==, true);
		expect(reader.interrupts.value, ==, status == -EINTR ? 1 : 0);
		reader_deinit(&reader);
	}
}

TASK_TEST(interrupt, a_scope_interrupts_its_jobs)
{
	struct reader readers[4];
	struct rota_scope scope;

	expect(rota_scope_open(&scope, ROTA_MS(20)), ==, 0);
	for (int i = 0; i < 4; i++) {
		reader_init(&readers[i]);
		expect(rota_scope_spawn_blocking(&scope, NULL, read_blocking, &readers[i]), ==, 0);
	}
	/* The time was over, whatever the jobs made of it. */
	int rc = rota_scope_close(&scope);
	expect(rc == -EINTR || rc == -ETIMEDOUT, ==, true);
	for (int i = 0; i < 4; i++)
		reader_deinit(&readers[i]);
}

static int leave_a_reader(void *arg)
{
	expect(rota_spawn_blocking(NULL, read_blocking, arg), ==, 0);
	until_begun(arg);
	return 0;
}

RUNTIME_TEST(interrupt, a_shutdown_interrupts_jobs)
{
	struct reader reader;

	reader_init(&reader);
	expect(rota_block_on(rt, leave_a_reader, &reader), ==, 0);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect(reader.interrupts.value, ==, 1);
	reader_deinit(&reader);
}

/* An offload is waited for, and interrupted when its caller is cancelled. */
static int offload_a_reader(void *arg)
{
	return rota_offload(read_blocking, arg);
}

TASK_TEST(interrupt, a_cancelled_caller_interrupts_its_offload)
{
	struct reader reader;
	rota_task *task;

	reader_init(&reader);
	task = unit_spawn(offload_a_reader, &reader);
	until_begun(&reader);
	rota_cancel(task);
	unit_expect_join(task, -EINTR);
	reader_deinit(&reader);
}

static int enter_twice(void *arg)
{
	struct rota_interrupter one, two;

	expect(rota_interrupter_enter(&one, NULL, arg), ==, -EINVAL);
	expect(rota_interrupter_enter(&one, interrupt, arg), ==, 0);
	expect(rota_interrupter_enter(&two, interrupt, arg), ==, -EBUSY);
	rota_interrupter_leave(&one);
	expect(rota_interrupter_enter(&two, interrupt, arg), ==, 0);
	rota_interrupter_leave(&two);
	return 0;
}

TASK_TEST(interrupt, one_at_a_time)
{
	rota_task *task;

	expect(rota_spawn_blocking(&task, enter_twice, NULL), ==, 0);
	unit_expect_join(task, 0);
}

TASK_TEST(interrupt, is_for_jobs)
{
	struct rota_interrupter interrupter;

	expect(rota_interrupter_enter(&interrupter, interrupt, NULL), ==, -ENXIO);
}

/* A long job that looks now and then. */
static int compute(void *arg)
{
	rota__store((struct rota_atomic_u32 *)arg, 1, SEQ_CST);
	while (!rota_cancelled())
		usleep(50);
	return -EINTR;
}

TASK_TEST(interrupt, a_job_may_look_for_itself)
{
	struct reader reader = { .begun = { 0 } };
	rota_task *task;

	expect(rota_spawn_blocking(&task, compute, &reader.begun), ==, 0);
	until_begun(&reader);
	rota_cancel(task);
	unit_expect_join(task, -EINTR);
}
