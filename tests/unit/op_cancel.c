/* SPDX-License-Identifier: MIT */
/*
 * Cancelling an operation at each point of its life: when it has ended, the buffer is the caller's again and nothing
 * that arrived is lost. Operations whose owner changes, or moves to another worker.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "../../io/op.h"
#include "../../runtime/atomic_internal.h"
#include "../../runtime/worker_internal.h"
#include "places.h"
#include "plain.h"

static int carry(const struct place *place, struct rota_op *op)
{
	return place->carry(place, &op->future);
}

/* --- cancelling --------------------------------------------------------------------------------------------------- */

/* A future that carries an operation and cancels it `delay` ns after it was first polled, or as soon as it was; twice,
 * since that is allowed. */
struct cancelled {
	struct rota_future future;
	struct rota_op *op;
	struct rota_timer timer;
	bool told, timer_ended;
};

static rota_poll cancelled_poll(struct rota_future *self, struct rota_context *cx)
{
	struct cancelled *c = (struct cancelled *)(void *)self;

	if (rota_future_poll(&c->op->future, cx) == ROTA_READY) {
		if (!c->timer_ended)
			rota_future_cancel(&c->timer.future);
		while (!c->timer_ended && rota_future_poll(&c->timer.future, cx) == ROTA_PENDING)
			expect_failed_(__FILE__, __LINE__, "a cancelled timer is over", 0, 1);
		self->status = c->op->future.status;
		return ROTA_READY;
	}
	if (!c->timer_ended && rota_future_poll(&c->timer.future, cx) == ROTA_READY)
		c->timer_ended = true;
	if (c->timer_ended && !c->told) {
		c->told = true;
		rota_future_cancel(&c->op->future);
		rota_future_cancel(&c->op->future);
	}
	return ROTA_PENDING;
}

static const struct rota_future_ops cancelled_ops = { .poll = cancelled_poll };

static int carry_cancelled(const struct place *place, struct rota_op *op, uint64_t delay)
{
	struct cancelled c = { .op = op };

	rota_future_init(&c.future, &cancelled_ops);
	rota_timer_init(&c.timer, delay > 0 ? rota_now() + delay : 0);
	return place->carry(place, &c.future);
}

/* 0: before it was handed to the kernel, as a rule; else it has long been there. */
static const uint64_t delays[] = { 0, ROTA_MS(3) };

#define EACH_DELAY(d) (unsigned d = 0; d < sizeof(delays) / sizeof(delays[0]); d++)

static void cancel_read_script(const struct place *place)
{
	for
		EACH_DELAY(d)
		{
			unsigned char buf[16];
			struct rota_op op;
			int fds[2];

			plain_pipe(fds);
			memset(buf, 0xaa, sizeof(buf));
			rota_op_read(&op, fds[0], buf, sizeof(buf), -1);
			expect(carry_cancelled(place, &op, delays[d]), ==, -ECANCELED);
			/* The buffer is ours again: what comes now must go elsewhere. */
			plain_expect_filled(buf, 0xaa, sizeof(buf));
			memset(buf, 0x55, sizeof(buf));
			expect(write(fds[1], "later", 5), ==, 5);
			rota_sleep(ROTA_MS(1));
			plain_expect_filled(buf, 0x55, sizeof(buf));
			expect(plain_waiting(fds[0]), ==, 5);
			plain_close(fds);
		}
}

UNIT_TEST(op, cancelled_read_gives_the_buffer_back)
{
	everyhow_inside(cancel_read_script, 0);
}

static void cancel_nonblocking_script(const struct place *place)
{
	for
		EACH_DELAY(d)
		{
			struct rota_op op;
			char byte;
			int fds[2];

			plain_pipe(fds);
			plain_nonblock(fds[0]);
			rota_op_read(&op, fds[0], &byte, 1, -1);
			expect(carry_cancelled(place, &op, delays[d]), ==, -ECANCELED);
			expect(write(fds[1], "x", 1), ==, 1);
			expect(plain_waiting(fds[0]), ==, 1);
			plain_close(fds);
		}
}

UNIT_TEST(op, cancelled_read_of_a_non_blocking_pipe)
{
	everyhow_inside(cancel_nonblocking_script, 0);
}

static void cancel_write_script(const struct place *place)
{
	for
		EACH_DELAY(d)
		{
			struct rota_op op;
			int fds[2];

			plain_pipe(fds);
			size_t filled = plain_fill(fds[1]);
			rota_op_write(&op, fds[1], "x", 1, -1);
			expect(carry_cancelled(place, &op, delays[d]), ==, -ECANCELED);
			expect(plain_waiting(fds[0]), ==, filled);
			plain_close(fds);
			plain_pair(fds);
			plain_fill(fds[1]);
			rota_op_send(&op, fds[1], "x", 1, 0);
			expect(carry_cancelled(place, &op, delays[d]), ==, -ECANCELED);
			plain_close(fds);
		}
}

UNIT_TEST(op, cancelled_write)
{
	everyhow_inside(cancel_write_script, 0);
}

static void cancel_recv_script(const struct place *place)
{
	for
		EACH_DELAY(d)
		{
			unsigned char buf[16];
			struct rota_op op;
			int fds[2];

			plain_connection(fds);
			rota_op_recv(&op, fds[0], buf, sizeof(buf), 0);
			expect(carry_cancelled(place, &op, delays[d]), ==, -ECANCELED);
			memset(buf, 0x55, sizeof(buf));
			expect(send(fds[1], "later", 5, 0), ==, 5);
			rota_op_poll(&op, fds[0], POLLIN);
			expect(carry(place, &op), ==, POLLIN);
			plain_expect_filled(buf, 0x55, sizeof(buf));
			expect(plain_waiting(fds[0]), ==, 5);
			rota_op_poll(&op, fds[0], POLLPRI);
			expect(carry_cancelled(place, &op, delays[d]), ==, -ECANCELED);
			plain_close(fds);
		}
}

UNIT_TEST(op, cancelled_recv_and_poll)
{
	everyhow_inside(cancel_recv_script, 0);
}

static void cancel_accept_script(const struct place *place)
{
	for
		EACH_DELAY(d)
		{
			struct rota_op op;
			int port;
			int listener = plain_listen(5, &port);

			rota_op_accept(&op, listener, NULL, NULL);
			expect(carry_cancelled(place, &op, delays[d]), ==, -ECANCELED);
			int peer = plain_connect(port);
			plain_nonblock(listener);
			int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			expect(fd, >=, 0); /* nobody took it */
			close(fd);
			close(peer);
			close(listener);
		}
}

UNIT_TEST(op, cancelled_accept)
{
	everyhow_inside(cancel_accept_script, 0);
}

/* A listener whose queue is full lets a connect wait. */
static void cancel_connect_script(const struct place *place)
{
	for
		EACH_DELAY(d)
		{
			struct sockaddr_in address;
			struct rota_op op;
			int port;
			int listener = plain_listen(0, &port);
			int first = plain_connect(port);
			int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

			address = plain_address(port);
			rota_op_connect(&op, fd, (struct sockaddr *)&address, sizeof(address));
			expect(carry_cancelled(place, &op, delays[d]), ==, -ECANCELED);
			close(fd);
			close(first);
			close(listener);
		}
}

UNIT_TEST(op, cancelled_connect)
{
	everyhow_inside(cancel_connect_script, 0);
}

/* Opening a FIFO waits for the other side, in a thread of the kernel's or of the pool. */
static void cancel_open_script(const struct place *place)
{
	char directory[240], path[256];

	plain_directory(directory);
	snprintf(path, sizeof(path), "%s/fifo", directory);
	expect(mkfifo(path, 0600), ==, 0);
	for
		EACH_DELAY(d)
		{
			struct rota_op op;

			rota_op_open(&op, path, O_RDONLY, 0);
			expect(carry_cancelled(place, &op, delays[d]), ==, -ECANCELED);
		}
	unlink(path);
	rmdir(directory);
}

UNIT_TEST(op, cancelled_open)
{
	for (unsigned i = 1; i < PLACES; i++) {
		if (!unit_on_epoll() || place_kinds[i].host != HOST_JOB) /* whose thread makes the call itself there */
			place_run(&place_kinds[i], 0, cancel_open_script, NULL);
	}
}

/* Cancelled before the first poll: it never starts. */
static void never_started_script(const struct place *place)
{
	char path[256];
	struct rota_op op;
	char byte = '-';
	int fds[2];

	plain_pipe(fds);
	expect(write(fds[1], "x", 1), ==, 1);
	rota_op_read(&op, fds[0], &byte, 1, -1);
	rota_future_cancel(&op.future);
	expect(carry(place, &op), ==, -ECANCELED);
	expect(byte, ==, '-');
	expect(plain_waiting(fds[0]), ==, 1);
	rota_op_close(&op, fds[0]);
	rota_future_cancel(&op.future);
	rota_future_cancel(&op.future);
	expect(carry(place, &op), ==, -ECANCELED);
	plain_close(fds);
	close(plain_file(path));
	unlink(path);
	rota_op_open(&op, path, O_CREAT | O_WRONLY, 0600);
	rota_future_cancel(&op.future);
	expect(carry(place, &op), ==, -ECANCELED);
	expect(access(path, F_OK), ==, -1);
}

UNIT_TEST(op, cancelled_before_it_started)
{
	everyhow(never_started_script);
}

static void write_xyz(void *arg)
{
	expect(write(*(int *)arg, "xyz", 3), ==, 3);
}

static void connect_to(void *arg)
{
	int *port_in_fd_out = arg;

	*port_in_fd_out = plain_connect(*port_in_fd_out);
}

/* The cancel and the byte come together: each byte is either the result or still in the pipe. */
static void race_script(const struct place *place)
{
	struct rota_op op;
	int fds[2];
	int taken = 0, left = 0;

	plain_pipe(fds);
	for (int i = 0; i < 100; i++) {
		unsigned char byte = 0, rest = 0;
		struct party party;

		party_start(&party, write_xyz, &fds[1]);
		rota_op_read(&op, fds[0], &byte, 1, -1);
		party_go(&party);
		int status = carry_cancelled(place, &op, (uint64_t)(i % 50) * 1000);
		party_join(&party);
		if (status == -ECANCELED)
			expect(byte, ==, 0);
		else
			expect(status, ==, 1);
		taken += status == 1;
		while (plain_waiting(fds[0]) > 0 && read(fds[0], &rest, 1) == 1)
			left++;
	}
	expect(taken + left, ==, 300);
	plain_close(fds);
}

UNIT_TEST(op, cancel_that_races_with_a_byte)
{
	everyhow_inside(race_script, 0);
}

/* The same with a descriptor for a byte: each connection is the result or still to be accepted. */
static void accept_race_script(const struct place *place)
{
	int port, accepted = 0, left = 0;
	int listener = plain_listen(128, &port);

	plain_nonblock(listener);
	for (int i = 0; i < 50; i++) {
		struct party party;
		struct rota_op op;
		int peer = port;

		party_start(&party, connect_to, &peer);
		rota_op_accept(&op, listener, NULL, NULL);
		party_go(&party);
		int fd = carry_cancelled(place, &op, (uint64_t)(i % 50) * 2000);
		party_join(&party);
		if (fd < 0) {
			expect(fd, ==, -ECANCELED);
			left++;
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			expect(fd, >=, 0);
		} else {
			accepted++;
		}
		close(fd);
		close(peer);
	}
	expect(accepted + left, ==, 50);
	close(listener);
}

UNIT_TEST(op, cancel_that_races_with_a_connection)
{
	everyhow_inside(accept_race_script, 0);
}

/* --- one owner after another -------------------------------------------------------------------------------------- */

static int start_op(struct rota_op *op)
{
	struct poll_once once = { .child = &op->future };

	rota_future_init(&once.future, &poll_once_ops);
	return rota_await(&once.future);
}

struct handed_over {
	struct rota_op op;
	char byte;
	int fds[2];
};

static int start_in_job(void *arg)
{
	struct handed_over *h = arg;

	rota_op_read(&h->op, h->fds[0], &h->byte, 1, -1);
	return start_op(&h->op);
}

/* The reactor has the operation of a blocking job; a fiber, on a worker, waits for it or cancels it. */
static void reactor_to_fiber_script(const struct place *place)
{
	for (int cancel = 0; cancel < 2; cancel++) {
		struct handed_over h = { .byte = '-' };
		rota_task *job;
		int status = -1;

		plain_pipe(h.fds);
		expect(rota_spawn_blocking(&job, start_in_job, &h), ==, 0);
		expect(rota_join(job, &status), ==, 0);
		expect(status, ==, ROTA_PENDING);
		if (cancel)
			rota_future_cancel(&h.op.future);
		else
			expect(write(h.fds[1], "x", 1), ==, 1);
		expect(carry(place, &h.op), ==, cancel ? -ECANCELED : 1);
		expect(h.byte, ==, cancel ? '-' : 'x');
		plain_close(h.fds);
	}
}

UNIT_TEST(op, of_the_reactor_ends_in_a_fiber)
{
	in_fibers(reactor_to_fiber_script, 0);
}

struct migration {
	struct rota_notify told;
	unsigned started, moved; /* atomic */
	const void *first, *second;
	bool cancel;
	int fds[2];
	rota_task *hog;
};

/* Keeps the worker until the other fiber runs on another one. */
static int keep_worker(void *arg)
{
	struct migration *m = arg;

	__atomic_store_n(&m->started, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&m->moved, __ATOMIC_ACQUIRE) == 0)
		rota__cpu_relax();
	return 0;
}

static int migrant(void *arg)
{
	struct migration *m = arg;
	struct rota_op op;
	char byte = '-';

	rota_op_read(&op, m->fds[0], &byte, 1, -1);
	expect(start_op(&op), ==, ROTA_PENDING);
	m->first = rota__worker_self();
	expect(rota_spawn_local(&m->hog, keep_worker, m), ==, 0);
	expect(rota_notify_wait(&m->told), ==, 0); /* told by a plain thread: any worker may come */
	m->second = rota__worker_self();
	__atomic_store_n(&m->moved, 1, __ATOMIC_RELEASE);
	if (m->cancel)
		rota_future_cancel(&op.future);
	else
		expect(write(m->fds[1], "x", 1), ==, 1);
	expect(rota_await(&op.future), ==, m->cancel ? -ECANCELED : 1);
	expect(byte, ==, m->cancel ? '-' : 'x');
	expect(rota_join(m->hog, NULL), ==, 0);
	return 0;
}

/* Another worker cancels, or ends, what was started on one that is busy with something else. */
static void migrate(rota_runtime *rt, bool cancel)
{
	struct migration m = { .told = ROTA_NOTIFY_INIT, .cancel = cancel };
	rota_task *task;
	int status = -1;

	plain_pipe(m.fds);
	expect(rota_spawn_on(rt, &task, migrant, &m), ==, 0);
	while (__atomic_load_n(&m.started, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	rota_notify_one(&m.told);
	expect(rota_join(task, &status), ==, 0);
	expect(status, ==, 0);
	expect(m.first != m.second, ==, 1);
	plain_close(m.fds);
}

UNIT_TEST(op, of_a_task_that_migrated)
{
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);

	for (int i = 0; i < 50; i++) {
		migrate(rt, false);
		migrate(rt, true);
	}
	place_runtime_free(rt);
}
