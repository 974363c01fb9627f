/* SPDX-License-Identifier: MIT */
/*
 * Standard input and output, whatever they are: terminal, pipe, file, socket, /dev/null. A descriptor that others share
 * keeps its flags, a terminal its modes; a wait holds up nobody and swallows nothing.
 */
#define _GNU_SOURCE
#include "../../io/stdio.h"

#include <pty.h>
#include <termios.h>

#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

/* A terminal that has not much to say for itself: bytes go through as they are, and nobody is echoed. */
static void terminal(int fds[2])
{
	struct termios modes;

	expect(openpty(&fds[0], &fds[1], NULL, NULL, NULL), ==, 0);
	expect(tcgetattr(fds[1], &modes), ==, 0);
	cfmakeraw(&modes);
	expect(tcsetattr(fds[1], TCSANOW, &modes), ==, 0);
}

/* `fd` in the place of standard input or output; returns what was there. */
static int take_place(int fd, int which)
{
	int saved = fcntl(which, F_DUPFD_CLOEXEC, 100);

	expect(dup2(fd, which), ==, which);
	return saved;
}

static void give_place_back(int saved, int which)
{
	dup2(saved, which);
	close(saved);
}

static int read_some(void *arg)
{
	char bytes[16];

	return (int)rota_read(*(int *)arg, bytes, sizeof(bytes));
}

/* Reads from `input` what is written to `output`, once after a read was cancelled. */
static void read_through(int input, int output)
{
	int saved = take_place(input, STDIN_FILENO);
	int own = rota_stdio_open(STDIN_FILENO);
	rota_task *task;
	char bytes[4];

	expect(own, >, 2);
	expect(fcntl(own, F_GETFD), ==, FD_CLOEXEC);
	task = unit_spawn(read_some, &own);
	unit_until_resting(task);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	expect(write(output, "abc", 3), ==, 3);
	expect(rota_read_exact(own, bytes, 2), ==, 2);
	plain_expect_bytes(bytes, "ab", 2);
	expect(rota_close(own), ==, 0);
	expect(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, ==, 0);
	expect(read(STDIN_FILENO, bytes, 4), ==, 1); /* the rest is the next one's */
	give_place_back(saved, STDIN_FILENO);
}

/* The other side of a pseudo-terminal: opened once more it would be that of a new one. */
static void other_side_script(const struct place *place)
{
	int fds[2], saved, own;
	char bytes[4];

	(void)place;
	terminal(fds);
	saved = take_place(fds[0], STDIN_FILENO);
	own = rota_stdio_open(STDIN_FILENO);
	expect(own, >, 2);
	expect(write(fds[1], "abc", 3), ==, 3);
	expect(rota_read_exact(own, bytes, 3), ==, 3);
	plain_expect_bytes(bytes, "abc", 3);
	expect(rota_close(own), ==, 0);
	give_place_back(saved, STDIN_FILENO);
	plain_close(fds);
}

UNIT_TEST(stdio, other_side_of_a_terminal)
{
	everywhere(other_side_script);
}

static void input_script(const struct place *place)
{
	int fds[2];

	(void)place;
	plain_pipe(fds);
	read_through(fds[0], fds[1]);
	plain_close(fds);
	plain_pair(fds);
	read_through(fds[0], fds[1]);
	plain_close(fds);
	terminal(fds);
	read_through(fds[1], fds[0]);
	plain_close(fds);
}

UNIT_TEST(stdio, input)
{
	in_fibers(input_script, 0);
}

#define MUCH 400000

static int write_much(void *arg)
{
	static const char zeroes[MUCH];

	return (int)rota_write_all(*(int *)arg, zeroes, sizeof(zeroes));
}

/* Nobody reads at first; the writer's worker has other things to do, such as reading. */
static void write_through(int output, int input)
{
	static char bytes[MUCH];
	int saved = take_place(output, STDOUT_FILENO);
	int own = rota_stdio_open(STDOUT_FILENO);
	rota_task *task = unit_spawn(write_much, &own);

	unit_until_resting(task);
	expect(rota_read_exact(input, bytes, sizeof(bytes)), ==, sizeof(bytes));
	unit_expect_join(task, MUCH);
	expect(rota_close(own), ==, 0);
	expect(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, ==, 0);
	give_place_back(saved, STDOUT_FILENO);
}

static void output_script(const struct place *place)
{
	int fds[2];

	(void)place;
	plain_pipe(fds);
	write_through(fds[1], fds[0]);
	plain_close(fds);
	plain_pair(fds);
	write_through(fds[1], fds[0]);
	plain_close(fds);
	terminal(fds);
	write_through(fds[1], fds[0]);
	plain_close(fds);
}

UNIT_TEST(stdio, output)
{
	in_fibers(output_script, 0);
}

/* A shell's redirections: the position is shared with who comes after. */
static void file_script(const struct place *place)
{
	char path[256], bytes[8] = "";
	int fd = plain_file(path), saved, own;

	(void)place;
	expect(write(fd, "1234567", 7), ==, 7);
	lseek(fd, 0, SEEK_SET);
	saved = take_place(fd, STDIN_FILENO);
	own = rota_stdio_open(STDIN_FILENO);
	expect(rota_read(own, bytes, 3), ==, 3);
	expect(rota_close(own), ==, 0);
	expect(read(STDIN_FILENO, bytes, sizeof(bytes)), ==, 4);
	expect_text(bytes, "4567");
	give_place_back(saved, STDIN_FILENO);
	close(fd);
	unlink(path);

	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	saved = take_place(fd, STDIN_FILENO);
	own = rota_stdio_open(STDIN_FILENO);
	expect(rota_read(own, bytes, sizeof(bytes)), ==, 0);
	expect(rota_write_all(own, "away", 4), ==, 4);
	expect(rota_close(own), ==, 0);
	give_place_back(saved, STDIN_FILENO);
	close(fd);
}

UNIT_TEST(stdio, files)
{
	everywhere(file_script);
}

static int read_for_ever(void *arg)
{
	int own = rota_stdio_open(STDIN_FILENO);
	char byte;
	int rc = (int)rota_read(own, &byte, 1);

	(void)arg;
	rota_close(own);
	return rc;
}

static int abandon(void *arg)
{
	(void)arg;
	unit_until_resting(unit_spawn(read_for_ever, NULL)); /* the handle is lost with the runtime */
	return 0;
}

UNIT_TEST(stdio, an_abandoned_read_does_not_hold_up_shutdown)
{
	static const enum rota_flavor flavors[] = { ROTA_FLAVOR_MULTI_THREAD, ROTA_FLAVOR_CURRENT_THREAD };

	for (int i = 0; i < 4; i++) {
		rota_runtime *rt = place_runtime(flavors[i % 2], 0);
		int fds[2], saved;
		char byte;

		if (i < 2)
			plain_pipe(fds);
		else
			terminal(fds);
		saved = take_place(fds[i < 2 ? 0 : 1], STDIN_FILENO);
		expect(rota_block_on(rt, abandon, NULL), ==, 0);
		place_runtime_free(rt);
		expect(write(fds[i < 2 ? 1 : 0], "x", 1), ==, 1);
		expect(read(STDIN_FILENO, &byte, 1), ==, 1);
		give_place_back(saved, STDIN_FILENO);
		plain_close(fds);
	}
}

/* The terminal is left as it was found, whatever was done with it. */
static void modes_script(const struct place *place)
{
	struct termios before, after;
	int fds[2], saved, own;

	(void)place;
	memset(&before, 0, sizeof(before)); /* not all of it is filled in */
	memset(&after, 0, sizeof(after));
	expect(openpty(&fds[0], &fds[1], NULL, NULL, NULL), ==, 0);
	saved = take_place(fds[1], STDIN_FILENO);
	expect(tcgetattr(STDIN_FILENO, &before), ==, 0);
	own = rota_stdio_open(STDIN_FILENO);
	expect(rota_write_all(own, "x", 1), ==, 1);
	expect(tcgetattr(STDIN_FILENO, &after), ==, 0);
	plain_expect_bytes(&after, &before, sizeof(before));
	expect(rota_close(own), ==, 0);
	give_place_back(saved, STDIN_FILENO);
	plain_close(fds);
}

UNIT_TEST(stdio, modes_of_a_terminal)
{
	everywhere(modes_script);
}

static int read_and_die(void *arg)
{
	int own = rota_stdio_open(STDIN_FILENO);
	rota_task *task = unit_spawn(read_some, &own);

	unit_until_resting(task);
	kill(getpid(), *(int *)arg);
	return rota_join(task, NULL); /* a signal that is caught may come a moment later */
}

static void die_while_it_reads(void *arg)
{
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);

	signal(SIGTERM, SIG_DFL);
	rota_block_on(rt, read_and_die, arg);
}

/* However the process ends, there is nothing that it would have had to put back. */
static void die_at(int fd, int signo)
{
	struct termios before, after;
	struct unit_child child;
	int saved = take_place(fd, STDIN_FILENO);
	const int flags = fcntl(STDIN_FILENO, F_GETFL);
	const bool is_terminal = isatty(STDIN_FILENO);

	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	expect(tcgetattr(STDIN_FILENO, &before) == 0, ==, is_terminal);
	unit_child_run(&child, die_while_it_reads, &signo);
	expect(WIFSIGNALED(child.status), ==, true);
	expect(WTERMSIG(child.status), ==, signo);
	expect(fcntl(STDIN_FILENO, F_GETFL), ==, flags);
	expect(tcgetattr(STDIN_FILENO, &after) == 0, ==, is_terminal);
	plain_expect_bytes(&after, &before, sizeof(before));
	give_place_back(saved, STDIN_FILENO);
}

UNIT_TEST(stdio, deadly_signals_leave_it_as_it_was)
{
	static const int deadly[] = { SIGTERM, SIGKILL };
	int fds[2];

	for (unsigned i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		plain_pipe(fds);
		die_at(fds[0], deadly[i]);
		plain_close(fds);
		terminal(fds);
		die_at(fds[1], deadly[i]);
		plain_close(fds);
	}
}

static void refused_script(const struct place *place)
{
	int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100), own;

	(void)place;
	expect(rota_stdio_open(-1), ==, -EINVAL);
	expect(rota_stdio_open(3), ==, -EINVAL);
	rota__fault_arm(ROTA__FAULT_SOCKET, 1, -EMFILE);
	close(STDIN_FILENO);
	expect(rota_stdio_open(STDIN_FILENO), ==, -EMFILE);
	expect(rota_stdio_open(STDIN_FILENO), ==, -EBADF);
	/* The lowest free number is one of the three: what is returned is none of them. */
	own = rota_stdio_open(STDERR_FILENO);
	expect(own, >, 2);
	close(own);
	give_place_back(saved, STDIN_FILENO);
}

UNIT_TEST(stdio, refused)
{
	everywhere(refused_script);
}
