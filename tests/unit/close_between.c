/* SPDX-License-Identifier: MIT */
/*
 * A wait that is a row of operations, whose descriptor is closed between two of them, when it has none under way, and whose
 * number is given out again: it begins nothing more on that number, takes no byte from it and writes none to it.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "../../io/carrier_internal.h"
#include "../../io/process.h"
#include "../../io/recv_stream.h"
#include "../../io/splice.h"
#include "../../io/stream_copy.h"
#include "../../io/udp.h"
#include "../../runtime/slot_internal.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

static int poll_now(struct rota_future *future)
{
	struct poll_once once = { .child = future };

	rota_future_init(&once.future, &poll_once_ops);
	return rota_await(&once.future);
}

enum kind { READ_EXACT, WRITE_ALL, STREAM_READ, STREAM_WRITE, COPY_FROM, COPY_TO, COPY_SPLICED, KINDS };

struct row {
	enum kind kind;
	int fd, other[2];
	struct rota_transfer_op transfer;
	struct rota_stream from, to;
	unsigned char memory[64];
	struct rota_stream_op call;
	struct rota_stream_copy_op copy;
	char bytes[2];
	struct rota_future *future;
	const struct rota_op *first; /* its end opens the gap */
};

static bool reads(enum kind kind)
{
	return kind != WRITE_ALL && kind != STREAM_WRITE && kind != COPY_TO;
}

static void open_for(enum kind kind, int fds[2])
{
	if (kind == COPY_SPLICED)
		plain_pipe(fds);
	else
		plain_pair(fds);
}

/* A stream whose buffer for writing has room for a byte: what is longer is written directly. */
static void stream_over(struct rota_stream *s, int fd, unsigned char *memory)
{
	const struct rota_stream_buffers buffers = { memory, 16, memory + 16, 1 };

	expect(rota_stream_init_fd(s, fd, &buffers), ==, 0);
}

static void begin_copy(struct row *row, int from, int to)
{
	stream_over(&row->from, from, row->memory);
	stream_over(&row->to, to, row->memory + 32);
	rota_op_stream_copy(&row->copy, &row->from, &row->to, 2);
	row->future = &row->copy.future;
}

static void begin_stream(struct row *row, bool writes)
{
	stream_over(&row->from, row->fd, row->memory);
	if (writes)
		rota_op_stream_write_all(&row->call, &row->from, "ab", 2);
	else
		rota_op_stream_read_exact(&row->call, &row->from, row->bytes, 2);
	row->future = &row->call.future;
	row->first = writes ? &row->from.out_op_ : &row->from.in_op_;
}

/* Two bytes are to be moved, and the first operation will move one. */
static void begin(struct row *row, enum kind kind, int fd)
{
	*row = (struct row){ .kind = kind, .fd = fd };
	plain_pair(row->other);
	switch (kind) {
	case READ_EXACT:
	case WRITE_ALL:
		if (kind == READ_EXACT)
			rota_op_read_exact(&row->transfer, fd, row->bytes, 2);
		else
			rota_op_write_all(&row->transfer, fd, "ab", 2);
		row->future = &row->transfer.future;
		row->first = &row->transfer.op_;
		break;
	case STREAM_READ:
	case STREAM_WRITE:
		begin_stream(row, kind == STREAM_WRITE);
		break;
	case COPY_TO:
		expect(write(row->other[1], "ab", 2), ==, 2);
		begin_copy(row, row->other[0], fd);
		row->first = &row->to.out_op_;
		break;
	default:
		begin_copy(row, fd, row->other[0]);
		row->first = &row->from.in_op_;
	}
}

/* The first operation moves a byte. Not so soon that it is over at once: then the whole row would be. */
static void let_the_first_end(struct row *row, int peer)
{
	char bytes[4096];

	if (row->kind == COPY_SPLICED) { /* a thread moves it */
		expect(write(peer, "a", 1), ==, 1);
		while (plain_waiting(row->other[1]) == 0)
			expect(poll_now(row->future), ==, ROTA_PENDING);
		return;
	}
	if (!reads(row->kind))
		plain_fill(row->fd);
	rota__fault_arm(ROTA__FAULT_OP, row->kind == COPY_TO ? 2 : 1, 1);
	do {
		expect(poll_now(row->future), ==, ROTA_PENDING);
	} while (rota__load(&row->first->state_, ACQUIRE) == ROTA__SLOT_EMPTY);
	rota__fault_arm(ROTA__FAULT_OP, 0, 0);
	if (reads(row->kind))
		expect(write(peer, "a", 1), ==, 1);
	else
		while (recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
	while (!rota__slot_fired(&row->first->state_))
		expect(rota_yield(), ==, 0);
}

/* As a pipe end of a child that has ended. */
static void close_with_process(int fd)
{
	struct rota_process_config config = { .argv = (char *[]){ "true", NULL } };
	struct rota_process process;

	expect(rota_process_spawn(&process, &config), ==, 0);
	expect(rota_process_wait(&process, NULL), ==, 0);
	process.out = fd;
	rota_process_close(&process);
	expect_eventually(rota_yield() == 0 && fcntl(fd, F_GETFD) < 0); /* a task may have to do it */
}

/* place->data: by a process that is closed. */
static void between_script(const struct place *place)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct row row;
		int fds[2], peer;

		open_for((enum kind)kind, fds);
		peer = fds[1];
		begin(&row, (enum kind)kind, fds[0]);
		let_the_first_end(&row, peer);
		if (place->data != NULL)
			close_with_process(row.fd);
		else
			expect(rota_close(row.fd), ==, 0);
		open_for((enum kind)kind, fds);
		expect(fds[0], ==, row.fd); /* the number is in use again */
		if (reads(row.kind))
			expect(write(fds[1], "x", 1), ==, 1);
		while (poll_now(row.future) == ROTA_PENDING)
			expect(rota_yield(), ==, 0);
		expect(row.future->status, ==, -ECANCELED);
		expect(plain_waiting(reads(row.kind) ? fds[0] : fds[1]), ==, reads(row.kind));
		if (kind == STREAM_READ) { /* one that begins now is of the new one */
			rota_op_stream_read_exact(&row.call, &row.from, row.bytes, 1);
			expect(rota_await(&row.call.future), ==, 0);
			expect(row.bytes[0], ==, 'x');
		}
		close(peer);
		plain_close(fds);
		plain_close(row.other);
	}
}

UNIT_TEST(close_between, rows_of_operations)
{
	place_run(&place_kinds[2], 0, between_script, NULL);
}

UNIT_TEST(close_between, rows_of_operations_on_what_a_process_closes)
{
	place_run(&place_kinds[2], 0, between_script, "");
}

/* --- the end of one way, passed on ------------------------------------------------------------------------------------ */

/* Two streams are joined; one has come to its end, and before that is passed on the other one's descriptor is closed. As
 * place->data has it, that one has a descriptor of its own for writing. */
static void end_script(const struct place *place)
{
	struct rota_stream one, other;
	struct rota_stream_join_op join;
	int ones[2], others[2], strangers[2], writes[2], out;
	char byte;

	plain_pair(ones);
	plain_pair(others);
	plain_pair(writes);
	out = place->data != NULL ? writes[0] : others[0];
	expect(rota_stream_init_fd(&one, ones[0], NULL), ==, 0);
	expect(rota_stream_init_fds(&other, others[0], out, NULL), ==, 0);
	rota_op_stream_join(&join, &one, &other);
	expect(poll_now(&join.future), ==, ROTA_PENDING);
	expect(shutdown(ones[1], SHUT_WR), ==, 0);
	while (!rota__slot_fired(&one.in_op_.state_))
		expect(rota_yield(), ==, 0);
	expect(rota_close(out), ==, 0);
	plain_pair(strangers);
	expect(strangers[0], ==, out);
	while (poll_now(&join.future) == ROTA_PENDING) {
		expect(fcntl(strangers[0], F_GETFD), >=, 0);
		expect(rota_yield(), ==, 0);
	}
	expect(join.future.status, ==, -ECANCELED);
	expect(recv(strangers[1], &byte, 1, MSG_DONTWAIT), ==, -1); /* no end of what the stranger sends */
	rota_stream_deinit(&one);
	rota_stream_deinit(&other);
	plain_close(ones);
	plain_close(strangers);
	close(others[1]);
	close(writes[1]);
	close(place->data != NULL ? others[0] : writes[0]);
}

UNIT_TEST(close_between, no_end_is_passed_on)
{
	place_run(&place_kinds[2], 0, end_script, NULL);
	place_run(&place_kinds[2], 0, end_script, "");
}

/* --- each operation that goes on for another ------------------------------------------------------------------------- */

enum next { READ_PIPE, READ_FILE, WRITE_FILE, RECEIVE, POLL, ACCEPT, NEXTS };

static int open_next(enum next next, int *ret_peer)
{
	char path[256];
	int fds[2], port;

	*ret_peer = -1;
	switch (next) {
	case READ_FILE:
	case WRITE_FILE:
		fds[0] = plain_file(path);
		expect(unlink(path), ==, 0);
		expect(pwrite(fds[0], "x", 1, 0), ==, 1);
		return fds[0];
	case ACCEPT:
		return plain_listen(1, &port);
	case READ_PIPE:
		plain_pipe(fds);
		break;
	default:
		plain_pair(fds);
	}
	expect(write(fds[1], "x", 1), ==, 1);
	*ret_peer = fds[1];
	return fds[0];
}

static void fill_in(struct rota_op *op, enum next next, int fd, char *byte)
{
	*byte = '-';
	switch (next) {
	case READ_PIPE:
	case READ_FILE:
		rota_op_read(op, fd, byte, 1, -1);
		break;
	case WRITE_FILE:
		rota_op_write(op, fd, byte, 1, -1);
		break;
	case RECEIVE:
		rota_op_recv(op, fd, byte, 1, 0);
		break;
	case POLL:
		rota_op_poll(op, fd, POLLIN);
		break;
	default:
		rota_op_accept(op, fd, NULL, NULL);
	}
}

/* The number was closed since the wait began: refused. By an operation that knows nothing of that it is served. */
static void refused_script(const struct place *place)
{
	(void)place;
	for (int next = 0; next < NEXTS; next++) {
		int peer, old_peer, fd = plain_far(open_next((enum next)next, &old_peer));
		const uint16_t closes = rota__fd_closes(fd);
		struct rota_op op;
		char byte;

		expect(rota_close(fd), ==, 0);
		plain_at(open_next((enum next)next, &peer), fd);
		fill_in(&op, (enum next)next, fd, &byte);
		rota__op_goes_on(&op, closes);
		expect(rota_await(&op.future), ==, -ECANCELED);
		expect(byte, ==, '-');
		if (next == WRITE_FILE)
			expect(pread(fd, &byte, 1, 0) == 1 && byte == 'x', ==, true);
		if (next != ACCEPT) {
			fill_in(&op, (enum next)next, fd, &byte);
			rota__op_goes_on(&op, rota__fd_closes(fd));
			expect(rota_await(&op.future), ==, 1); /* POLLIN is 1, too */
		}
		close(fd);
		if (peer >= 0)
			close(peer);
		if (old_peer >= 0)
			close(old_peer);
	}
}

UNIT_TEST(close_between, nothing_is_begun)
{
	everywhere(refused_script);
}

/* --- polls that go on for calls -------------------------------------------------------------------------------------- */

/* Who makes its calls itself finds that it has to wait; just then, before its poll begins, the descriptor is closed and its
 * number given to another, on which nothing comes. */
enum waiter { DATAGRAMS, SPLICE_FROM, SPLICE_TO, WAITERS };

static struct {
	struct rota__carrier *carrier;
	const struct rota__carrier_ops *ops; /* the carrier's own */
	struct rota__carrier_ops hooked;
	enum waiter waiter;
	int fd, stranger[2];
} gap;

static void open_waiter(enum waiter waiter, int fds[2])
{
	if (waiter == DATAGRAMS)
		expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
	else
		plain_pipe(fds);
	if (waiter == SPLICE_TO) {
		int reader = fds[0];

		plain_fill(fds[1]);
		fds[0] = fds[1];
		fds[1] = reader;
	}
	fds[0] = plain_far(fds[0]);
}

static rota_poll start_in_gap(struct rota__carrier *carrier, struct rota_op *op, const struct rota_waker *waker)
{
	if (op->opcode_ == IORING_OP_POLL_ADD && op->fd_ == gap.fd) {
		carrier->ops = gap.ops;
		expect(rota_close(gap.fd), ==, 0);
		open_waiter(gap.waiter, gap.stranger);
		expect(gap.stranger[0], ==, gap.fd);
	}
	return gap.ops->start(carrier, op, waker);
}

static void gap_script(const struct place *place)
{
	char byte;
	struct rota_datagram datagram = { .data = &byte, .size = 1 };
	struct rota_udp_batch_op batch;
	struct rota_splice_op splice;
	int other[2], fds[2];

	(void)place;
	gap.carrier = rota__worker_self()->io;
	gap.ops = gap.carrier->ops;
	gap.hooked = *gap.ops;
	gap.hooked.start = start_in_gap;
	for (int waiter = 0; waiter < WAITERS; waiter++) {
		struct rota_future *future = waiter == DATAGRAMS ? &batch.future : &splice.async.future;

		gap.waiter = (enum waiter)waiter;
		plain_pipe(other);
		expect(write(other[1], "x", 1), ==, 1);
		open_waiter(gap.waiter, fds);
		gap.fd = fds[0];
		if (waiter == DATAGRAMS)
			rota_op_udp_recv(&batch, gap.fd, &datagram, 1);
		else if (waiter == SPLICE_FROM)
			rota_op_splice(&splice, gap.fd, -1, other[1], -1, 1, 0);
		else
			rota_op_splice(&splice, other[0], -1, gap.fd, -1, 1, 0);
		gap.carrier->ops = &gap.hooked;
		expect(poll_now(future), ==, ROTA_READY);
		expect(future->status, ==, -ECANCELED);
		close(fds[1]);
		plain_close(gap.stranger);
		plain_close(other);
	}
}

UNIT_TEST(close_between, no_wait_is_begun)
{
	place_run(&place_kinds[2], 0, gap_script, NULL);
}
