/* SPDX-License-Identifier: MIT */
/*
 * Cancelling a task inside a call: by a fiber of the same worker or of another, by a plain thread; before the call, after
 * it has begun, together with its end. What the call says it moved has moved, the rest is where it was.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "../../io/fd.h"
#include "places.h"
#include "plain.h"

/* A fiber in a call on a pipe, or a socket. */
struct caller {
	int (*call)(struct caller *caller);
	int fds[2];
	unsigned char buf[64];
	unsigned begun; /* atomic */
	rota_task *task;
	int status;
};

static int caller_main(void *arg)
{
	struct caller *caller = arg;

	__atomic_store_n(&caller->begun, 1, __ATOMIC_RELEASE);
	return caller->call(caller);
}

/* How long the one who cancels waits, so that the call is at different points. */
static void linger(struct caller *caller, unsigned step)
{
	if (step == 0)
		return;
	while (__atomic_load_n(&caller->begun, __ATOMIC_ACQUIRE) == 0)
		rota_yield();
	if (step == 1)
		rota_yield();
	else if (step > 2)
		rota_sleep(ROTA_MS(1));
}

enum { STEPS = 4 };

static void cancel_and_join(struct caller *caller, unsigned step)
{
	linger(caller, step);
	expect(rota_cancel(caller->task), ==, 0);
	expect(rota_join(caller->task, &caller->status), ==, 0);
}

struct cancelling {
	struct caller *caller;
	unsigned step;
};

static int cancel_as_job(void *arg)
{
	struct cancelling *c = arg;

	cancel_and_join(c->caller, c->step);
	return 0;
}

static void start(struct caller *caller, int (*call)(struct caller *caller))
{
	caller->call = call;
	caller->begun = 0;
	memset(caller->buf, 0xaa, sizeof(caller->buf));
	expect(rota_spawn(&caller->task, caller_main, caller), ==, 0);
}

/* Cancels from a fiber (of the same worker or another, as it comes), then from a thread outside. */
static void cancel(struct caller *caller, bool by_thread, unsigned step)
{
	struct cancelling c = { caller, step };
	rota_task *job;

	if (!by_thread) {
		cancel_and_join(caller, step);
		return;
	}
	expect(rota_spawn_blocking(&job, cancel_as_job, &c), ==, 0);
	expect(rota_join(job, NULL), ==, 0);
}

static int call_read(struct caller *caller)
{
	return (int)rota_read(caller->fds[0], caller->buf, sizeof(caller->buf));
}

static int call_read_exact(struct caller *caller)
{
	return (int)rota_read_exact(caller->fds[0], caller->buf, sizeof(caller->buf));
}

static int call_poll(struct caller *caller)
{
	return rota_poll_fd(caller->fds[0], POLLIN);
}

/* Nothing comes: each kind of wait ends with -ECANCELED, and the buffer is the caller's. */
static void cancel_waits(const struct place *place, int (*call)(struct caller *caller))
{
	(void)place;
	for (unsigned step = 0; step < 2 * STEPS; step++) {
		struct caller caller;

		plain_pipe(caller.fds);
		start(&caller, call);
		cancel(&caller, step >= STEPS, step % STEPS);
		expect(caller.status, ==, -ECANCELED);
		memset(caller.buf, 0x55, sizeof(caller.buf));
		expect(write(caller.fds[1], "later", 5), ==, 5);
		expect(rota_poll_fd(caller.fds[0], POLLIN), ==, POLLIN);
		expect(plain_waiting(caller.fds[0]), ==, 5);
		plain_expect_filled(caller.buf, 0x55, sizeof(caller.buf));
		plain_close(caller.fds);
	}
}

static void cancel_read_script(const struct place *place)
{
	cancel_waits(place, call_read);
}

UNIT_TEST(fd, cancelled_read)
{
	in_fibers(cancel_read_script, 0);
	in_fibers(cancel_read_script, 1);
}

static void cancel_read_exact_script(const struct place *place)
{
	cancel_waits(place, call_read_exact);
}

UNIT_TEST(fd, cancelled_read_exact)
{
	in_fibers(cancel_read_exact_script, 0);
}

static void cancel_poll_script(const struct place *place)
{
	cancel_waits(place, call_poll);
}

UNIT_TEST(fd, cancelled_poll)
{
	in_fibers(cancel_poll_script, 0);
}

/* A part has come: it is the result, and the cancellation is met by the next call. */
static void partial_script(const struct place *place)
{
	struct caller caller;

	(void)place;
	plain_pipe(caller.fds);
	expect(write(caller.fds[1], "part", 4), ==, 4);
	start(&caller, call_read_exact);
	while (plain_waiting(caller.fds[0]) > 0)
		rota_yield();
	cancel(&caller, false, 3);
	expect(caller.status, ==, 4);
	plain_expect_bytes(caller.buf, "part", 4);
	plain_close(caller.fds);
}

UNIT_TEST(fd, cancelled_read_exact_returns_what_it_has)
{
	in_fibers(partial_script, 0);
}

enum { TOO_MUCH = 1 << 20 };

static int call_write_all(struct caller *caller)
{
	unsigned char *bytes = calloc(1, TOO_MUCH);
	ssize_t n = rota_write_all(caller->fds[1], bytes, TOO_MUCH);

	free(bytes);
	return (int)n;
}

static void partial_write_script(const struct place *place)
{
	struct caller caller;

	(void)place;
	plain_pipe(caller.fds);
	start(&caller, call_write_all);
	while (plain_waiting(caller.fds[0]) == 0)
		rota_yield();
	cancel(&caller, true, 3);
	expect(caller.status, >, 0);
	expect(caller.status, ==, plain_waiting(caller.fds[0]));
	plain_close(caller.fds);
}

UNIT_TEST(fd, cancelled_write_all_returns_what_it_has)
{
	in_fibers(partial_write_script, 0);
}

/* Bytes come while the cancel is under way: what was not read is still there. */
static void race_script(const struct place *place)
{
	struct caller caller;
	int taken = 0, left = 0;

	(void)place;
	plain_pipe(caller.fds);
	for (unsigned i = 0; i < 200; i++) {
		start(&caller, call_read);
		if (i % 2 == 0)
			linger(&caller, i % STEPS);
		expect(write(caller.fds[1], "x", 1), ==, 1);
		cancel(&caller, i % 3 == 0, i % (STEPS - 1));
		if (caller.status != -ECANCELED) {
			expect(caller.status, ==, 1);
			expect(caller.buf[0], ==, 'x');
			taken++;
		} else {
			plain_expect_filled(caller.buf, 0xaa, sizeof(caller.buf));
			expect(read(caller.fds[0], caller.buf, 1), ==, 1);
			left++;
		}
	}
	expect(taken + left, ==, 200);
	expect(plain_waiting(caller.fds[0]), ==, 0);
	plain_close(caller.fds);
}

UNIT_TEST(fd, cancel_that_races_with_a_byte)
{
	in_fibers(race_script, 0);
	in_fibers(race_script, 1);
}

/* A request stays: every wait says so, save inside a shield, and close, which a task needs to clean up. */
static int call_all(struct caller *caller)
{
	unsigned char byte;

	while (!rota_cancelled())
		rota_yield();
	expect(rota_read(caller->fds[0], &byte, 1), ==, -ECANCELED); /* though there is one */
	expect(rota_write(caller->fds[1], "x", 1), ==, -ECANCELED);
	expect(rota_poll_fd(caller->fds[0], POLLIN), ==, -ECANCELED);
	rota_shield_enter();
	expect(rota_read(caller->fds[0], &byte, 1), ==, 1);
	rota_shield_leave();
	expect(rota_read(caller->fds[0], &byte, 1), ==, -ECANCELED);
	expect(rota_close(caller->fds[0]), ==, 0);
	expect(rota_close(plain_closed()), ==, -EBADF);
	return 0;
}

static void sticky_script(const struct place *place)
{
	struct caller caller;

	(void)place;
	plain_pipe(caller.fds);
	expect(write(caller.fds[1], "ab", 2), ==, 2);
	start(&caller, call_all);
	cancel(&caller, false, 1);
	expect(caller.status, ==, 0);
	close(caller.fds[1]);
}

UNIT_TEST(fd, cancellation_stays_and_can_be_shielded)
{
	in_fibers(sticky_script, 0);
}

/* Shutdown cancels whoever waits. */
static void shutdown_with_waiters(enum rota_flavor flavor)
{
	rota_runtime *rt = place_runtime(flavor, 2);
	struct caller caller[20];

	for (unsigned i = 0; i < 20; i++) {
		plain_pipe(caller[i].fds);
		caller[i].call = i % 2 == 0 ? call_read : call_poll;
		expect(rota_spawn_on(rt, &caller[i].task, caller_main, &caller[i]), ==, 0);
	}
	if (flavor == ROTA_FLAVOR_MULTI_THREAD) {
		while (__atomic_load_n(&caller[19].begun, __ATOMIC_ACQUIRE) == 0)
			sched_yield();
	}
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	for (unsigned i = 0; i < 20; i++) {
		expect(rota_join(caller[i].task, &caller[i].status), ==, 0);
		expect(caller[i].status, ==, -ECANCELED);
		plain_close(caller[i].fds);
	}
	rota_runtime_free(rt);
}

UNIT_TEST(fd, shutdown_cancels_waits)
{
	const unsigned before = unit_own_descriptors();

	shutdown_with_waiters(ROTA_FLAVOR_MULTI_THREAD);
	shutdown_with_waiters(ROTA_FLAVOR_CURRENT_THREAD);
	expect(unit_own_descriptors(), ==, before);
}

/* The current-thread flavour: the thread that started a read has ended when the bytes come. */
static int read_later(void *arg)
{
	struct caller *caller = arg;

	expect(rota_spawn(&caller->task, caller_main, caller), ==, 0);
	return rota_sleep(ROTA_MS(5)); /* the read is in the kernel */
}

static void *begin_on_a_thread(void *arg)
{
	struct caller *caller = ((void **)arg)[0];
	rota_runtime *rt = ((void **)arg)[1];

	expect(rota_block_on(rt, read_later, caller), ==, 0);
	return NULL;
}

static int join_caller(void *arg)
{
	struct caller *caller = arg;

	return rota_join(caller->task, &caller->status);
}

UNIT_TEST(fd, a_read_outlives_the_thread_that_began_it)
{
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_CURRENT_THREAD, 0);
	struct caller caller = { .call = call_read };
	void *arg[2] = { &caller, rt };
	pthread_t thread;

	plain_pipe(caller.fds);
	expect(pthread_create(&thread, NULL, begin_on_a_thread, arg), ==, 0);
	expect(pthread_join(thread, NULL), ==, 0);
	expect(write(caller.fds[1], "abc", 3), ==, 3);
	expect(rota_block_on(rt, join_caller, &caller), ==, 0);
	expect(caller.status, ==, 3);
	plain_expect_bytes(caller.buf, "abc", 3);
	plain_close(caller.fds);
	place_runtime_free(rt);
}
