/* SPDX-License-Identifier: MIT */
/* Pipes: not inherited, blocking for others, of the size that was asked for. */
#define _GNU_SOURCE
#include "../../io/pipe.h"

#include <sys/ioctl.h>

#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

static void pipe_script(const struct place *place)
{
	char text[8] = "";
	int fds[2];

	(void)place;
	expect(rota_pipe(fds), ==, 0);
	for (int i = 0; i < 2; i++) {
		expect(fcntl(fds[i], F_GETFD), ==, FD_CLOEXEC);
		expect(fcntl(fds[i], F_GETFL) & O_NONBLOCK, ==, 0);
	}
	expect(rota_write_all(fds[1], "hello", 5), ==, 5);
	expect(rota_read(fds[0], text, sizeof(text)), ==, 5);
	expect_text(text, "hello");
	expect(rota_close(fds[1]), ==, 0);
	expect(rota_read(fds[0], text, sizeof(text)), ==, 0);
	expect(rota_close(fds[0]), ==, 0);
}

UNIT_TEST(pipe, reads_what_was_written)
{
	everywhere(pipe_script);
}

static void size_script(const struct place *place)
{
	const ssize_t page = sysconf(_SC_PAGESIZE);
	int fds[2];

	(void)place;
	expect(rota_pipe(fds), ==, 0);
	expect(rota_pipe_set_size(fds[0], 1), ==, page);
	expect(rota_pipe_size(fds[1]), ==, page);
	expect(plain_fill(fds[1]), ==, page);
	expect(rota_pipe_set_size(fds[1], (size_t)(page + 1)), ==, 2 * page);
	expect(rota_pipe_set_size(fds[1], SIZE_MAX), ==, -EINVAL);
	plain_close(fds);
	expect(rota_pipe_size(STDIN_FILENO + 900), ==, -EBADF);
	expect(rota_pipe_set_size(-1, 4096), ==, -EBADF);
}

UNIT_TEST(pipe, sizes)
{
	everywhere(size_script);
}

/* A writer that has filled it waits without its worker. */
static int fill_up(void *arg)
{
	static const char zeroes[300000];

	return (int)rota_write_all(*(int *)arg, zeroes, sizeof(zeroes));
}

static void full_script(const struct place *place)
{
	static char bytes[300000];
	rota_task *writer;
	int fds[2];

	(void)place;
	expect(rota_pipe(fds), ==, 0);
	writer = unit_spawn(fill_up, &fds[1]);
	rota_sleep(ROTA_MS(1));
	expect(rota_read_exact(fds[0], bytes, sizeof(bytes)), ==, sizeof(bytes));
	unit_expect_join(writer, sizeof(bytes));
	plain_close(fds);
}

UNIT_TEST(pipe, a_full_one_holds_up_its_writer_only)
{
	in_fibers(full_script, 0);
}

static void fault_script(const struct place *place)
{
	int fds[2] = { -7, -7 };

	(void)place;
	rota__fault_arm(ROTA__FAULT_SOCKET, 1, -EMFILE);
	expect(rota_pipe(fds), ==, -EMFILE);
	expect(fds[0], ==, -7);
}

UNIT_TEST(pipe, no_descriptor)
{
	everywhere(fault_script);
}
