/* SPDX-License-Identifier: MIT */
/* Splicing: between pipes, sockets and files; waiting for either side; what is refused; given up while it waits. */
#define _GNU_SOURCE
#include <limits.h>

#include "../../io/splice.h"

#include "../../io/carrier_internal.h"
#include "../../io/fd.h"
#include "../../io/pipe.h"
#include "../../io/sys_internal.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

static int carried(const struct place *place, int from, off_t from_offset, int to, off_t to_offset, size_t len)
{
	struct rota_splice_op op;

	rota_op_splice(&op, from, from_offset, to, to_offset, len, 0);
	return place->carry(place, &op.future);
}

static void kinds_script(const struct place *place)
{
	char path[64], text[16] = "";
	int file = plain_file(path), fds[2], pair[2];

	unlink(path);
	plain_pipe(fds);
	plain_pair(pair);
	expect(pwrite(file, "0123456789", 10, 0), ==, 10);
	/* File, pipe, socket. */
	expect(carried(place, file, 2, fds[1], -1, 5), ==, 5);
	expect(carried(place, fds[0], -1, pair[0], -1, 100), ==, 5);
	expect(read(pair[1], text, sizeof(text)), ==, 5);
	plain_expect_bytes(text, "23456", 5);
	expect(carried(place, file, 10, fds[1], -1, 5), ==, 0);
	/* Socket, pipe, file; at the file's own position the second time. */
	expect(write(pair[1], "abcd", 4), ==, 4);
	expect(carried(place, pair[0], -1, fds[1], -1, 100), ==, 4);
	expect(carried(place, fds[0], -1, file, 3, 2), ==, 2);
	expect(lseek(file, 9, SEEK_SET), ==, 9);
	expect(carried(place, fds[0], -1, file, -1, 100), ==, 2);
	expect(pread(file, text, sizeof(text), 0), ==, 11);
	plain_expect_bytes(text, "012ab5678cd", 11);
	/* The ends. */
	close(pair[1]);
	expect(carried(place, pair[0], -1, fds[1], -1, 100), ==, 0);
	expect(write(fds[1], "x", 1), ==, 1);
	expect(carried(place, fds[0], -1, pair[0], -1, 100), ==, -EPIPE);
	close(fds[1]);
	fds[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	expect(carried(place, fds[0], -1, fds[1], -1, 100), ==, 1);
	expect(carried(place, fds[0], -1, fds[1], -1, 100), ==, 0);
	close(pair[0]);
	plain_close(fds);
	close(file);
}

UNIT_TEST(splice, pipes_with_files_and_sockets)
{
	everyhow(kinds_script);
}

/* Both ways with a blocking socket: what carried them out was a job of the pool, where it was to be a ring. */
static void pool_script(const struct place *place)
{
	const bool pooled = place->rt != NULL && rota_runtime_backend(place->rt) == ROTA_BACKEND_IO_URING;
	struct rota_splice_op op;
	int fds[2], pair[2];

	plain_pipe(fds);
	plain_pair(pair);
	expect(write(fds[1], "x", 1), ==, 1);
	rota_op_splice(&op, fds[0], -1, pair[0], -1, 1, 0);
	expect(rota_await(&op.future), ==, 1);
	expect(op.call_.pooled_, ==, pooled); /* the socket is a blocking one */
	expect(write(pair[1], "x", 1), ==, 1);
	rota_op_splice(&op, pair[0], -1, fds[1], -1, 1, 0);
	expect(rota_await(&op.future), ==, 1);
	expect(op.call_.pooled_, ==, pooled);
	plain_close(pair);
	plain_close(fds);
}

/* A kernel whose rings do not have it. */
UNIT_TEST(splice, without_the_opcode)
{
	rota__sys_ring_hide((uint64_t)1 << IORING_OP_SPLICE);
	everyhow(kinds_script);
	everywhere(pool_script);
	rota__sys_ring_hide(0);
}

static void refused_script(const struct place *place)
{
	char path[64];
	int file = plain_file(path), append = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	int read_only = open(path, O_RDONLY | O_CLOEXEC), fds[2], pair[2], empty[2];

	unlink(path);
	plain_pipe(fds);
	plain_pair(pair);
	plain_pipe(empty);
	expect(carried(place, empty[0], 0, pair[0], -1, 1), ==, -ESPIPE); /* before anything comes */
	expect(carried(place, empty[0], -1, pair[0], 0, 1), ==, -ESPIPE);
	expect(carried(place, empty[0], -2, pair[0], -1, 1), ==, -EINVAL);
	expect(carried(place, empty[0], -1, pair[0], -2, 1), ==, -EINVAL);
	expect(carried(place, empty[0], -1, pair[0], -1, 0), ==, 0);
	expect(carried(place, empty[0], -1, INT_MAX, -1, 1), ==, -EBADF);
	expect(carried(place, empty[0], -1, read_only, -1, 1), ==, -EBADF);
	expect(carried(place, empty[0], -1, fds[0], -1, 1), ==, -EBADF); /* not the end that is written to */
	expect(carried(place, empty[1], -1, pair[0], -1, 1), ==, -EBADF);
	expect(carried(place, empty[0], -1, append, -1, 1), ==, -EINVAL);
	expect(carried(place, empty[0], -1, empty[1], -1, 1), ==, -EINVAL); /* into itself */
	expect(carried(place, pair[0], -1, pair[1], -1, 1), ==, -EINVAL);   /* no pipe */
	plain_close(empty);
	expect(write(pair[1], "x", 1), ==, 1);
	expect(write(fds[1], "x", 1), ==, 1);
	expect(carried(place, file, 0, pair[0], -1, 1), ==, -EINVAL); /* no pipe */
	expect(carried(place, fds[0], 0, pair[0], -1, 1), ==, -ESPIPE);
	expect(carried(place, fds[0], -1, append, -1, 1), ==, -EINVAL);
	expect(carried(place, -1, -1, fds[1], -1, 1), ==, -EBADF);
	expect(carried(place, fds[0], -1, plain_closed(), -1, 1), ==, -EBADF);
	rota__fault_arm(ROTA__FAULT_OP, 1, -EIO);
	expect(carried(place, fds[0], -1, pair[0], -1, 1), ==, -EIO);
	rota__fault_arm(ROTA__FAULT_OP, 0, 0);
	plain_close(pair);
	plain_close(fds);
	close(append);
	close(read_only);
	close(file);
}

UNIT_TEST(splice, what_cannot_be)
{
	everyhow(refused_script);
}

static void hello(void *arg)
{
	expect(write(*(int *)arg, "hello", 5), ==, 5);
}

static void make_room(void *arg)
{
	char bytes[4096];
	int fd = *(int *)arg;

	plain_nonblock(fd);
	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
	plain_block(fd);
}

/* Each side is waited for; none of the descriptors is O_NONBLOCK, before and after. */
static void waits_script(const struct place *place)
{
	struct party party;
	int fds[2], pair[2];

	plain_pipe(fds);
	plain_pair(pair);
	party_start(&party, hello, &pair[1]);
	party_go(&party);
	expect(carried(place, pair[0], -1, fds[1], -1, 100), ==, 5);
	party_join(&party);
	expect(plain_fill(pair[0]), >, 0);
	plain_block(pair[0]);
	party_start(&party, make_room, &pair[1]);
	party_go(&party);
	expect(carried(place, fds[0], -1, pair[0], -1, 100), ==, 5);
	party_join(&party);
	expect(fcntl(pair[0], F_GETFL) & O_NONBLOCK, ==, 0);
	plain_close(pair);
	plain_close(fds);
}

UNIT_TEST(splice, waits_for_either_side)
{
	everyhow(waits_script);
}

static void nonblock_script(const struct place *place)
{
	int fds[2], pair[2];

	(void)place;
	plain_pipe(fds);
	plain_pair(pair);
	expect(rota_splice(pair[0], -1, fds[1], -1, 1, SPLICE_F_NONBLOCK), ==, -EAGAIN);
	expect(write(pair[1], "x", 1), ==, 1);
	expect(rota_splice(pair[0], -1, fds[1], -1, 1, SPLICE_F_NONBLOCK), ==, 1);
	expect(rota_splice(fds[0], -1, pair[0], -1, 1, SPLICE_F_MORE), ==, 1);
	plain_close(pair);
	plain_close(fds);
}

UNIT_TEST(splice, does_not_wait_when_asked_not_to)
{
	everywhere(nonblock_script);
}

/* --- two to one blocking socket ------------------------------------------------------------------------------------- */

enum { SHARED = 1 << 20, TICKS = 100 };

struct shared {
	int pipes[2][2], pair[2];
	unsigned ticks;
};

static int splice_all(void *arg)
{
	int *way = arg;

	for (size_t left = SHARED; left > 0;) {
		ssize_t n = rota_splice(way[0], -1, way[1], -1, left, 0);

		expect(n, >, 0);
		left -= (size_t)n;
	}
	return 0;
}

static int fill_pipe(void *arg)
{
	static const char bytes[4096];

	for (size_t at = 0; at < SHARED; at += sizeof(bytes))
		expect(rota_write_all(*(int *)arg, bytes, sizeof(bytes)), ==, sizeof(bytes));
	return 0;
}

static int tick(void *arg)
{
	struct shared *shared = arg;

	for (shared->ticks = 0; shared->ticks < TICKS; shared->ticks++)
		expect(rota_sleep(ROTA_US(100)), ==, 0);
	return 0;
}

/* Nobody reads until the ticker has done its rounds: a worker that blocks in the socket would never get there. */
static int two_tasks(void *arg)
{
	static char bytes[65536];
	rota_task *splicers[2], *fillers[2], *ticker;
	struct shared shared;
	int ways[2][2];

	(void)arg;
	plain_pair(shared.pair);
	for (int i = 0; i < 2; i++) {
		plain_pipe(shared.pipes[i]);
		ways[i][0] = shared.pipes[i][0];
		ways[i][1] = shared.pair[0];
		fillers[i] = unit_spawn(fill_pipe, &shared.pipes[i][1]);
		splicers[i] = unit_spawn(splice_all, ways[i]);
	}
	ticker = unit_spawn(tick, &shared);
	unit_expect_join(ticker, 0);
	expect(shared.ticks, ==, TICKS);
	for (size_t left = 2 * (size_t)SHARED; left > 0;) {
		ssize_t n = rota_read(shared.pair[1], bytes, sizeof(bytes));

		expect(n, >, 0);
		left -= (size_t)n;
	}
	for (int i = 0; i < 2; i++) {
		unit_expect_join(splicers[i], 0);
		unit_expect_join(fillers[i], 0);
		plain_close(shared.pipes[i]);
	}
	expect(fcntl(shared.pair[0], F_GETFL) & O_NONBLOCK, ==, 0);
	plain_close(shared.pair);
	return 0;
}

UNIT_TEST(splice, two_tasks_to_one_blocking_socket)
{
	static const enum rota_backend backends[] = { ROTA_BACKEND_AUTO, ROTA_BACKEND_EPOLL };

	for (int i = 0; i < 2; i++) {
		struct rota_config config = { .workers = 1, .backend = backends[i] };
		rota_runtime *rt;

		expect(rota_runtime_new(&rt, &config), ==, 0);
		expect(rota_block_on(rt, two_tasks, NULL), ==, 0);
		rota_runtime_free(rt);
	}
}

/* --- given up ------------------------------------------------------------------------------------------------------- */

struct silent {
	int from, to;
};

static int splice_it(void *arg)
{
	struct silent *silent = arg;

	return (int)rota_splice(silent->from, -1, silent->to, -1, 10, 0);
}

static void cancel_script(const struct place *place)
{
	struct silent silent;
	rota_task *task;
	int fds[2], pair[2];

	(void)place;
	plain_pipe(fds);
	plain_pair(pair);
	silent = (struct silent){ pair[0], fds[1] };
	task = unit_spawn(splice_it, &silent);
	unit_until_resting(task);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	/* Closed by somebody else. */
	task = unit_spawn(splice_it, &silent);
	unit_until_resting(task);
	expect(rota_close(pair[0]), ==, 0);
	unit_expect_join(task, -ECANCELED);
	/* What was there is still there for the next one. */
	expect(write(fds[1], "abc", 3), ==, 3);
	silent = (struct silent){ fds[0], pair[1] };
	expect(splice_it(&silent), ==, -EPIPE);
	close(pair[1]);
	plain_close(fds);
}

UNIT_TEST(splice, given_up_while_it_waits)
{
	in_fibers(cancel_script, 0);
}

/* Closes one side of a splice that waits for one of them, be it that one or the other. */
static void close_side(struct silent silent, bool from, bool by_job)
{
	const int side = from ? silent.from : silent.to;
	rota_task *task;

	if (by_job)
		expect(rota_spawn_blocking(&task, splice_it, &silent), ==, 0);
	else
		task = unit_spawn(splice_it, &silent);
	if (by_job)
		expect_eventually(rota_yield() == 0 && rota__fd_waited_for(silent.to) &&
				  rota__fd_waited_for(silent.from));
	else
		unit_until_resting(task);
	expect(rota_close(side), ==, 0);
	expect(fcntl(side, F_GETFD), ==, -1);
	unit_expect_join(task, -ECANCELED);
	expect(rota__fd_waited_for(silent.from), ==, false);
	expect(rota__fd_waited_for(silent.to), ==, false);
}

static void either_side_script(const struct place *place)
{
	(void)place;
	for (int round = 0; round < 32; round++) {
		const bool full = round & 1, from = round & 2, by_job = round & 4, blocking = round & 8;
		struct silent silent;
		int fds[2], pair[2];

		plain_pipe(fds);
		plain_pair(pair);
		silent = (struct silent){ .from = plain_far(fds[0]), .to = plain_far(pair[0]) };
		if (full) { /* then it waits for room, else for something to move */
			expect(write(fds[1], "abc", 3), ==, 3);
			plain_fill(silent.to);
		}
		if (blocking)
			plain_block(silent.to);
		else
			plain_nonblock(silent.to);
		close_side(silent, from, by_job);
		close(from ? silent.to : silent.from);
		close(fds[1]);
		close(pair[1]);
	}
}

UNIT_TEST(splice, ended_by_a_close_of_either_side)
{
	in_fibers(either_side_script, 0);
}

/* On rings of two entries some of them are in the backlog, or in a letter. */
UNIT_TEST(splice, ended_in_the_backlog_by_a_close_of_either_side)
{
	in_fibers(either_side_script, 2);
}

enum { CROWD = 200 };

/* A third, so that those of either kind are in one list with those of the other (pairs_internal.h). */
static bool is_closed(int i)
{
	return i % 3 == 0;
}

/* Many wait for the same silent pipe, each for a socket of its own. Those whose socket is closed end; the others do not, and
 * each of them moves what comes then. */
static void crowd_script(const struct place *place)
{
	static struct silent silent[CROWD];
	static rota_task *tasks[CROWD];
	static int peers[CROWD];
	int fds[2], pair[2];

	(void)place;
	plain_pipe(fds);
	fds[0] = plain_far(fds[0]);
	for (int i = 0; i < CROWD; i++) {
		plain_pair(pair);
		peers[i] = pair[1];
		silent[i] = (struct silent){ fds[0], pair[0] };
		tasks[i] = unit_spawn(splice_it, &silent[i]);
	}
	for (int i = 0; i < CROWD; i++)
		unit_until_resting(tasks[i]);
	for (int i = 0; i < CROWD; i++) {
		if (!is_closed(i))
			continue;
		expect(rota_close(silent[i].to), ==, 0);
		unit_expect_join(tasks[i], -ECANCELED);
	}
	for (int i = 0; i < CROWD; i++) {
		if (is_closed(i))
			continue;
		expect(write(fds[1], "0123456789", 10), ==, 10);
		expect_eventually(rota_yield() == 0 && plain_waiting(fds[0]) == 0); /* one of them has taken it */
	}
	for (int i = 0; i < CROWD; i++) {
		if (is_closed(i))
			continue;
		unit_expect_join(tasks[i], 10);
		close(silent[i].to);
	}
	for (int i = 0; i < CROWD; i++)
		close(peers[i]);
	plain_close(fds);
}

UNIT_TEST(splice, ended_by_a_close_among_many)
{
	in_fibers(crowd_script, 0);
}

static void cancelled_before_script(const struct place *place)
{
	struct rota_splice_op op;
	int fds[2], more[2];
	char byte;

	plain_pipe(fds);
	plain_pipe(more);
	expect(write(fds[1], "x", 1), ==, 1);
	rota_op_splice(&op, fds[0], -1, more[1], -1, 1, 0);
	rota_future_cancel(&op.future);
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	expect(read(fds[0], &byte, 1), ==, 1);
	plain_close(more);
	plain_close(fds);
}

UNIT_TEST(splice, cancelled_before_it_began)
{
	everyhow(cancelled_before_script);
}
