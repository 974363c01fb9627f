/* SPDX-License-Identifier: MIT */
/*
 * Closing a descriptor while others wait for it: each of them ends with -ECANCELED, whatever it waits for and wherever
 * it runs, and the number can be used again at once. Outside of a runtime nobody knows who waits.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/uio.h>

#include "../../io/carrier_internal.h"
#include "../../io/recv_stream.h"
#include "../../io/splice.h"
#include "../../io/udp.h"
#include "../../runtime/slot_internal.h"
#include "places.h"
#include "plain.h"

enum kind { READ, READV, RECV, POLL, ACCEPT, KINDS };

struct waiter {
	enum kind kind;
	int fd;
	unsigned about; /* atomic: it is about to wait */
	char byte;
	struct iovec part;
	struct rota_op op;
	rota_task *task;
};

static void fill_in(struct waiter *w)
{
	w->byte = '-';
	w->part = (struct iovec){ &w->byte, 1 };
	switch (w->kind) {
	case READ:
		rota_op_read(&w->op, w->fd, &w->byte, 1, -1);
		break;
	case READV:
		rota_op_readv(&w->op, w->fd, &w->part, 1, -1);
		break;
	case RECV:
		rota_op_recv(&w->op, w->fd, &w->byte, 1, 0);
		break;
	case POLL:
		rota_op_poll(&w->op, w->fd, POLLIN);
		break;
	default:
		rota_op_accept(&w->op, w->fd, NULL, NULL);
		break;
	}
}

static int wait_for_it(void *arg)
{
	struct waiter *w = arg;

	fill_in(w);
	__atomic_store_n(&w->about, 1, __ATOMIC_RELEASE);
	return rota_await(&w->op.future);
}

/* A descriptor that `kind` can wait for, and its other end, or -1. */
static void open_for(enum kind kind, int fds[2])
{
	int port;

	fds[1] = -1;
	if (kind == ACCEPT)
		fds[0] = plain_listen(5, &port);
	else if (kind == RECV)
		plain_connection(fds);
	else
		plain_pipe(fds);
}

static void until_about(const struct waiter *w)
{
	const time_t start = expect_seconds_();

	while (__atomic_load_n(&w->about, __ATOMIC_ACQUIRE) == 0) {
		expect(expect_seconds_() - start, <=, EXPECT_HANG_S);
		rota_yield();
	}
}

enum { WAITERS = 5 };

static void close_script(const struct place *place)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct waiter waiters[WAITERS];
		int fds[2];

		open_for((enum kind)kind, fds);
		fds[0] = plain_far(fds[0]);
		for (int i = 0; i < WAITERS; i++) {
			waiters[i] = (struct waiter){ .kind = (enum kind)kind, .fd = fds[0] };
			waiters[i].task = unit_spawn(wait_for_it, &waiters[i]);
		}
		for (int i = 0; i < WAITERS; i++) {
			until_about(&waiters[i]);
			unit_until_resting(waiters[i].task);
		}
		expect(rota_close(fds[0]), ==, 0);
		expect(fcntl(fds[0], F_GETFD), ==, -1);
		for (int i = 0; i < WAITERS; i++) {
			unit_expect_join(waiters[i].task, -ECANCELED);
			expect(waiters[i].byte, ==, '-');
		}
		if (fds[1] >= 0)
			close(fds[1]);
	}
	(void)place;
}

UNIT_TEST(close, ends_what_waits)
{
	in_fibers(close_script, 0);
}

/* On rings of two entries the waiting ones are in the backlog, too. */
UNIT_TEST(close, ends_what_waits_in_the_backlog)
{
	in_fibers(close_script, 2);
}

/* A blocking job waits, and a stackless task closes. The job may be late: then there is nothing, or the end, to read. */
static void from_job_script(const struct place *place)
{
	unsigned cancelled = 0;

	for (int round = 0; round < 20; round++) {
		struct waiter w = { .kind = READ };
		struct rota_op op;
		int fds[2], status = 1;

		plain_pipe(fds);
		w.fd = fds[0];
		expect(rota_spawn_blocking(&w.task, wait_for_it, &w), ==, 0);
		until_about(&w);
		if (round % 2 == 0)
			rota_sleep(ROTA_MS(2));
		rota_op_close(&op, fds[0]);
		expect(place->carry(place, &op.future), ==, 0);
		close(fds[1]);
		expect(rota_join(w.task, &status), ==, 0);
		expect((status == -ECANCELED) + (status == -EBADF) + (status == 0), ==, 1);
		cancelled += status == -ECANCELED;
	}
	expect(cancelled, >, 0);
}

UNIT_TEST(close, ends_what_a_job_waits_for)
{
	place_run(&place_kinds[5], 0, from_job_script, NULL);
	place_run(&place_kinds[6], 0, from_job_script, NULL);
}

/* Both directions of a socket. */
static int send_one(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->about, 1, __ATOMIC_RELEASE);
	return (int)rota_send(w->fd, "x", 1, 0);
}

static void both_ways_script(const struct place *place)
{
	int fds[2];

	(void)place;
	for (int round = 0; round < 20; round++) {
		plain_pair(fds);
		plain_fill(fds[0]);
		struct waiter reader = { .kind = RECV, .fd = fds[0] };
		struct waiter writer = { .fd = fds[0] };

		reader.task = unit_spawn(wait_for_it, &reader);
		writer.task = unit_spawn(send_one, &writer);
		until_about(&reader);
		until_about(&writer);
		unit_until_resting(reader.task);
		unit_until_resting(writer.task);
		expect(rota_close(fds[0]), ==, 0);
		unit_expect_join(reader.task, -ECANCELED);
		unit_expect_join(writer.task, -ECANCELED);
		close(fds[1]);
	}
}

UNIT_TEST(close, ends_both_directions)
{
	in_fibers(both_ways_script, 0);
}

/* The number is given out again at once, and who waits for the new one is left alone. */
static void reuse_script(const struct place *place)
{
	const struct rota_op nothing = { .fd_ = -1 };
	struct waiter before = { .op = nothing }, after = { .op = nothing };
	int fds[2];

	(void)place;
	for (int round = 0; round < 200; round++) {
		plain_pipe(fds);
		const int number = plain_far(fds[0]);
		before = (struct waiter){ .kind = round % 2 ? POLL : READ, .fd = number };
		before.task = unit_spawn(wait_for_it, &before);
		until_about(&before);
		unit_until_resting(before.task);
		expect(rota_close(number), ==, 0);
		close(fds[1]);
		plain_pair(fds);
		fds[0] = plain_at(fds[0], number);
		after = (struct waiter){ .kind = READ, .fd = number };
		after.task = unit_spawn(wait_for_it, &after);
		until_about(&after);
		unit_until_resting(after.task);
		unit_expect_join(before.task, -ECANCELED);
		expect(write(fds[1], "x", 1), ==, 1);
		unit_expect_join(after.task, 1);
		expect(after.byte, ==, 'x');
		plain_close(fds);
	}
}

UNIT_TEST(close, and_use_the_number_again)
{
	place_run(&place_kinds[2], 0, reuse_script, NULL);
}

/* Closed and given out again behind rota's back: what comes to wait then is served, whatever was known of the number. */
static void behind_script(const struct place *place)
{
	char bytes[8] = "";
	int fds[2], copy;

	(void)place;
	for (int round = 0; round < 50; round++) {
		struct waiter w = { .kind = READ };

		plain_pair(fds); /* known to be a socket from now on, and registered */
		w.fd = fds[0];
		w.task = unit_spawn(wait_for_it, &w);
		until_about(&w);
		unit_until_resting(w.task);
		expect(send(fds[1], "a", 1, 0), ==, 1);
		unit_expect_join(w.task, 1);
		copy = dup(fds[0]); /* what was there lives on */
		plain_close(fds);
		plain_pipe(fds);
		w = (struct waiter){ .kind = READ, .fd = fds[0] };
		w.task = unit_spawn(wait_for_it, &w);
		until_about(&w);
		unit_until_resting(w.task);
		expect(write(fds[1], "bc", 2), ==, 2);
		unit_expect_join(w.task, 1);
		expect(w.byte, ==, 'b');
		expect(rota_read(fds[0], bytes, sizeof(bytes)), ==, 1);
		plain_close(fds);
		close(copy);
	}
}

UNIT_TEST(close, behind_our_back)
{
	in_fibers(behind_script, 0);
}

/* --- calls that futures make by themselves ------------------------------------------------------------------------ */

enum by_itself { BATCH, STREAM, SPLICE, BY_ITSELF };

struct caller {
	struct rota_udp_batch_op batch;
	struct rota_recv_stream stream;
	struct rota_splice_op splice;
	struct rota_datagram datagram;
	struct rota_buffer buffer;
	char byte;
	int pipe[2];
	struct rota_future *future;
	struct rota_op *wait; /* the poll that comes before the call */
};

static int poll_now(struct rota_future *future)
{
	struct poll_once once = { .child = future };

	rota_future_init(&once.future, &poll_once_ops);
	return rota_await(&once.future);
}

static void begin_call(struct caller *c, enum by_itself kind, int fd)
{
	*c = (struct caller){ .datagram = { .data = &c->byte, .size = 1 } };
	plain_pipe(c->pipe);
	switch (kind) {
	case BATCH:
		rota_op_udp_recv(&c->batch, fd, &c->datagram, 1);
		c->future = &c->batch.future;
		c->wait = &c->batch.op_;
		break;
	case STREAM:
		rota_recv_stream_init(&c->stream, fd);
		c->stream.single_ = true; /* as where the kernel has no multishot receive */
		rota_recv_stream_next_init(&c->stream, &c->buffer);
		c->future = &c->stream.future;
		c->wait = &c->stream.wait_.op;
		break;
	default:
		rota_op_splice(&c->splice, fd, -1, c->pipe[1], -1, 1, 0);
		c->future = &c->splice.future;
		c->wait = &c->splice.call_.op_;
	}
	expect(poll_now(c->future), ==, ROTA_PENDING);
}

/* The poll has said that the call may be made; before it is, the descriptor is closed, and its number given out again:
 * the call must not meet what it means now. */
static void by_itself_script(const struct place *place)
{
	struct caller c;
	int fds[2], number;

	(void)place;
	for (int kind = BATCH; kind < BY_ITSELF; kind++) {
		plain_pair(fds);
		number = plain_far(fds[0]);
		plain_nonblock(number); /* else a splice is not made in place */
		begin_call(&c, (enum by_itself)kind, number);
		expect(write(fds[1], "a", 1), ==, 1);
		while (!rota__slot_fired(&c.wait->state_))
			expect(rota_yield(), ==, 0);
		expect(rota_close(number), ==, 0);
		close(fds[1]);
		plain_pair(fds);
		fds[0] = plain_at(fds[0], number);
		plain_nonblock(number);
		expect(write(fds[1], "b", 1), ==, 1);
		expect(poll_now(c.future), ==, ROTA_READY);
		expect(c.future->status, ==, -ECANCELED);
		expect(plain_waiting(number), ==, 1);
		plain_close(c.pipe);
		plain_close(fds);
	}
}

UNIT_TEST(close, is_seen_by_calls_made_in_place)
{
	place_run(&place_kinds[2], 0, by_itself_script, NULL);
}

static int close_it(void *arg)
{
	return rota_close(*(int *)arg);
}

/* Such a call is under way: the close has begun, and waits for its end. */
static void call_under_way_script(const struct place *place)
{
	for (int round = 0; round < 10; round++) {
		rota_task *closer;
		uint16_t closes;
		int fds[2];

		plain_pipe(fds);
		fds[0] = plain_far(fds[0]);
		closes = rota__fd_closes(fds[0]);
		expect(rota__call_begin(fds[0], closes), ==, true);
		expect(rota_spawn_blocking(&closer, close_it, fds), ==, 0);
		expect_eventually(rota__fd_closes(fds[0]) != closes);
		usleep(1000); /* as a rule it has met the call by now */
		expect(fcntl(fds[0], F_GETFD), ==, FD_CLOEXEC);
		rota__call_end(fds[0]);
		unit_expect_join(closer, 0);
		expect(fcntl(fds[0], F_GETFD), ==, -1);
		close(fds[1]);
	}
	(void)place;
}

UNIT_TEST(close, waits_for_calls_made_in_place)
{
	place_run(&place_kinds[1], 0, call_under_way_script, NULL);
}

/* --- what was known of a number -------------------------------------------------------------------------------------- */

/* It meant a file, which has offsets, until that was closed behind rota's back; now it is opened as a FIFO, which has
 * none. */
static void forgotten_script(const struct place *place)
{
	char path[] = "/tmp/rota-close-XXXXXX", byte;
	int file, fifo;

	file = mkstemp(path);
	expect(file, >=, 0);
	expect(rota_pread(file, &byte, 1, 0), ==, 0);
	close(file);
	expect(unlink(path), ==, 0);
	expect(mkfifo(path, 0600), ==, 0);
	fifo = rota_open(path, O_RDWR | O_NONBLOCK, 0);
	expect(fifo, ==, file);
	expect(write(fifo, "a", 1), ==, 1);
	expect(rota_pread(fifo, &byte, 1, 0), ==, -ESPIPE);
	expect(rota_read(fifo, &byte, 1), ==, 1);
	expect(rota_close(fifo), ==, 0);
	expect(unlink(path), ==, 0);
	(void)place;
}

UNIT_TEST(close, an_open_forgets_what_was_known)
{
	place_run(&place_kinds[2], 0, forgotten_script, NULL);
}
