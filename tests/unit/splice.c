/* SPDX-License-Identifier: MIT */
/* Splicing: between pipes, sockets and files; waiting for either side; what is refused; given up while it waits. */
#define _GNU_SOURCE
#include "../../io/splice.h"

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

/* A kernel whose rings do not have it. */
UNIT_TEST(splice, without_the_opcode)
{
	rota__sys_ring_hide((uint64_t)1 << IORING_OP_SPLICE);
	everyhow(kinds_script);
	rota__sys_ring_hide(0);
}

static void refused_script(const struct place *place)
{
	char path[64];
	int file = plain_file(path), append = open(path, O_WRONLY | O_APPEND | O_CLOEXEC), fds[2], pair[2];

	unlink(path);
	plain_pipe(fds);
	plain_pair(pair);
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
