/* SPDX-License-Identifier: MIT */
/*
 * Calls that may wait for ever and that threads make: the open of a FIFO, the read of a terminal, a splice that finds less
 * than was there. They keep no place in the pool. A cancel ends them, at whatever moment it comes, and so does a close;
 * what they produce all the same is handed out.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <termios.h>

#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

struct opening {
	const char *path;
	rota_task *task;
};

static int open_it(void *arg)
{
	return rota_open(((struct opening *)arg)->path, O_RDONLY, 0);
}

static void make_fifo(char *ret_path)
{
	char directory[200];

	plain_directory(directory);
	snprintf(ret_path, 256, "%s/fifo", directory);
	expect(mkfifo(ret_path, 0600), ==, 0);
}

static void remove_fifo(char *path)
{
	expect(unlink(path), ==, 0);
	*strrchr(path, '/') = '\0';
	expect(rmdir(path), ==, 0);
}

enum { STUCK = 20 };

/* However many wait for the other sides of FIFOs, other calls on files are made. By itself the kernel would make a ring of
 * one entry a single thread for both. */
static void stuck_script(const struct place *place)
{
	struct opening openings[STUCK];
	char path[256];
	int fd;

	(void)place;
	make_fifo(path);
	for (int i = 0; i < STUCK; i++) {
		openings[i] = (struct opening){ .path = path };
		openings[i].task = unit_spawn(open_it, &openings[i]);
	}
	for (int i = 0; i < STUCK; i++)
		unit_until_resting(openings[i].task);
	fd = rota_open("/dev/null", O_RDWR, 0);
	expect(fd, >=, 0);
	expect(rota_close(fd), ==, 0);
	for (int i = 0; i < STUCK; i++) {
		expect(rota_cancel(openings[i].task), ==, 0);
		unit_expect_join(openings[i].task, -ECANCELED);
	}
	remove_fifo(path);
}

UNIT_TEST(long_calls, hold_up_no_other_file)
{
	in_fibers(stuck_script, 0);
	in_fibers(stuck_script, 1);
}

/* Spins, so that the moments lie close to each other. */
static void wait_ns(uint64_t ns)
{
	const uint64_t until = rota_now() + ns;

	while (rota_now() < until)
		;
}

enum { ROUNDS = 300, STEP_NS = 500 };

static void at_any_moment_script(const struct place *place)
{
	char path[256];

	(void)place;
	make_fifo(path);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct opening opening = { .path = path };

		opening.task = unit_spawn(open_it, &opening);
		rota_yield();
		wait_ns((uint64_t)round * STEP_NS);
		expect(rota_cancel(opening.task), ==, 0);
		unit_expect_join(opening.task, -ECANCELED);
	}
	remove_fifo(path);
}

UNIT_TEST(long_calls, a_cancel_at_any_moment)
{
	in_fibers(at_any_moment_script, 0);
}

/* A signal that comes before the thread is in the kernel does nothing; a later one does. */
static void too_soon_script(const struct place *place)
{
	char path[256];

	(void)place;
	make_fifo(path);
	for (unsigned round = 0; round < 10; round++) {
		struct opening opening = { .path = path };

		opening.task = unit_spawn(open_it, &opening);
		rota_sleep(ROTA_MS(2)); /* it is in the call, as a rule */
		rota__fault_arm(ROTA__FAULT_INTERRUPT, 1, -EINTR);
		expect(rota_cancel(opening.task), ==, 0);
		unit_expect_join(opening.task, -ECANCELED);
		rota__fault_arm(ROTA__FAULT_INTERRUPT, 0, 0);
	}
	remove_fifo(path);
}

UNIT_TEST(long_calls, a_signal_that_comes_too_soon)
{
	in_fibers(too_soon_script, 0);
}

/* The other side comes at about the time of the cancel: it is a descriptor or it is not, and none is left behind. */
static void open_other_side(void *arg)
{
	int fd = open(arg, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	expect(fd, >=, 0);
	usleep(200);
	close(fd);
}

static void met_script(const struct place *place)
{
	const unsigned before = unit_own_descriptors();
	char path[256];

	(void)place;
	make_fifo(path);
	for (unsigned round = 0; round < ROUNDS / 3; round++) {
		struct opening opening = { .path = path };
		struct party party;
		int status = 0;

		party_start(&party, open_other_side, path);
		opening.task = unit_spawn(open_it, &opening);
		rota_yield();
		party_go(&party);
		wait_ns((uint64_t)(round % 50) * STEP_NS);
		expect(rota_cancel(opening.task), ==, 0);
		expect(rota_join(opening.task, &status), ==, 0);
		party_join(&party);
		if (status >= 0)
			close(status);
		else
			expect(status, ==, -ECANCELED);
	}
	remove_fifo(path);
	expect(unit_own_descriptors(), ==, before);
}

UNIT_TEST(long_calls, a_cancel_that_meets_the_other_side)
{
	in_fibers(met_script, 0);
}

/* --- a terminal ---------------------------------------------------------------------------------------------------- */

struct reading {
	int fd;
	bool begun; /* atomic */
	char line[8];
	rota_task *task;
};

static int read_it(void *arg)
{
	struct reading *reading = arg;

	return (int)rota_read(reading->fd, reading->line, sizeof(reading->line));
}

/* Two wait for one line of a terminal. One of them has had it; the other one is ended. */
static void expect_one_served(rota_task *one, rota_task *other)
{
	rota_task *tasks[] = { one, other };
	unsigned served = 0;

	for (unsigned i = 0; i < 2; i++) {
		int status = 0;

		expect(rota_join(tasks[i], &status), ==, 0);
		expect(status == 3 || status == -ECANCELED, ==, true);
		served += status == 3;
	}
	expect(served, ==, 1);
}

/* One has had it when this returns. The other one waits, or is on its way into the call, or there. */
static void let_two_wait_for_one_line(struct reading readings[2], int master, int slave)
{
	for (unsigned i = 0; i < 2; i++) {
		readings[i] = (struct reading){ .fd = slave };
		readings[i].task = unit_spawn(read_it, &readings[i]);
		unit_until_resting(readings[i].task);
	}
	expect(write(master, "ab\n", 3), ==, 3);
	expect_eventually(rota_yield() == 0 && (readings[0].line[0] == 'a' || readings[1].line[0] == 'a'));
}

/* Two wait for a line, and there is one. Both may find the terminal ready, and the thread that makes the call for the second
 * waits in it. Cancelled, or closed, that one ends, too. */
static void terminal_script(const struct place *place)
{
	(void)place;
	for (unsigned round = 0; round < 20; round++) {
		struct reading readings[2];
		int slave, master = plain_terminal(&slave);

		let_two_wait_for_one_line(readings, master, slave);
		rota_sleep(round % 2 * ROTA_MS(1)); /* the other is on its way into the call, or there */
		if (round % 4 < 2) {
			expect(rota_close(slave), ==, 0);
		} else {
			rota_cancel(readings[0].task);
			rota_cancel(readings[1].task);
		}
		expect_one_served(readings[0].task, readings[1].task);
		if (round % 4 >= 2)
			close(slave);
		close(master);
	}
}

UNIT_TEST(long_calls, the_read_of_a_terminal)
{
	in_fibers(terminal_script, 0);
}

/* A call that was cut off is over when the close is, also when the signal came too soon: the number may be used again. With
 * epoll; the kernel's own threads let go of a file in their time. */
static void closed_script(const struct place *place)
{
	const bool at_once = rota_runtime_backend(place->rt) == ROTA_BACKEND_EPOLL;

	for (unsigned round = 0; round < 10; round++) {
		struct reading readings[2];
		struct pollfd gone;
		int slave, master = plain_terminal(&slave);

		let_two_wait_for_one_line(readings, master, slave);
		rota_sleep(ROTA_MS(1)); /* the other one is in the call, as a rule */
		rota__fault_arm(ROTA__FAULT_INTERRUPT, 1, -EINTR);
		expect(rota_close(slave), ==, 0);
		gone = (struct pollfd){ .fd = master };
		expect(poll(&gone, 1, at_once ? 0 : -1), ==, 1);
		expect(gone.revents, ==, POLLHUP);
		rota__fault_arm(ROTA__FAULT_INTERRUPT, 0, 0);
		expect_one_served(readings[0].task, readings[1].task);
		close(master);
	}
}

UNIT_TEST(long_calls, are_over_when_their_descriptor_is_closed)
{
	in_fibers(closed_script, 0);
}

static int read_as_job(void *arg)
{
	struct reading *reading = arg;

	__atomic_store_n(&reading->begun, true, __ATOMIC_RELEASE);
	return read_it(arg);
}

static bool has_begun(const struct reading *reading)
{
	return __atomic_load_n(&reading->begun, __ATOMIC_ACQUIRE);
}

/* Who closes the descriptor ends what a job waits for, too. A read that began at the very moment of the close would wait for
 * ever, so both jobs sleep in theirs before. */
static void job_script(const struct place *place)
{
	(void)place;
	for (unsigned round = 0; round < 10; round++) {
		struct reading readings[2];
		int slave, master = plain_terminal(&slave);
		unsigned ended = 0;

		for (unsigned i = 0; i < 2; i++) {
			readings[i] = (struct reading){ .fd = slave };
			expect(rota_spawn_blocking(&readings[i].task, read_as_job, &readings[i]), ==, 0);
		}
		expect_eventually(rota_yield() == 0 && has_begun(&readings[0]) && has_begun(&readings[1]));
		expect_eventually(rota_yield() == 0 && unit_others_sleep());
		expect(write(master, "ab\n", 3), ==, 3);
		expect_eventually(rota_yield() == 0 && (readings[0].line[0] == 'a' || readings[1].line[0] == 'a'));
		rota_sleep(round % 2 * ROTA_MS(1));
		expect(rota_close(slave), ==, 0);
		for (unsigned i = 0; i < 2; i++) {
			int status = 0;

			expect(rota_join(readings[i].task, &status), ==, 0);
			expect(status == 3 || status == -ECANCELED, ==, true);
			ended += status == 3;
		}
		expect(ended, ==, 1);
		close(master);
	}
}

UNIT_TEST(long_calls, the_read_of_a_terminal_by_jobs)
{
	in_fibers(job_script, 0);
}

/* A terminal that is ready for a read which waits nevertheless: it has a byte, and the call takes it and waits for a second one,
 * for 25 s. */
static void set_to_pairs_of_bytes(int slave)
{
	struct termios modes;

	expect(tcgetattr(slave, &modes), ==, 0);
	modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	modes.c_cc[VMIN] = 2;
	modes.c_cc[VTIME] = 255;
	expect(tcsetattr(slave, TCSANOW, &modes), ==, 0);
}

/* The worker goes on meanwhile, and writes the second byte. If it does not get there in time the read has one byte, and there is
 * nothing to be seen: then once more. */
static void waiting_read_script(const struct place *place)
{
	int slave, master = plain_terminal(&slave), status;

	(void)place;
	set_to_pairs_of_bytes(slave);
	do {
		struct reading reading = { .fd = slave };

		reading.task = unit_spawn(read_it, &reading);
		expect(write(master, "a", 1), ==, 1);
		unit_until_resting(reading.task);
		expect_eventually(rota_yield() == 0 && plain_waiting(slave) == 0);
		expect(write(master, "b", 1), ==, 1);
		expect(rota_join(reading.task, &status), ==, 0);
		expect(status, >, 0);
		if (status == 1)
			expect(read(slave, reading.line, 1), ==, 1);
	} while (status == 1);
	expect(status, ==, 2);
	close(slave);
	close(master);
}

UNIT_TEST(long_calls, the_read_of_a_terminal_holds_up_no_worker)
{
	in_fibers(waiting_read_script, 0);
}

enum { TOO_MUCH = 1 << 16 };

struct writing {
	int fd;
	rota_task *task;
};

static int write_too_much(void *arg)
{
	static const char bytes[TOO_MUCH];

	return (int)rota_write(((struct writing *)arg)->fd, bytes, TOO_MUCH);
}

/* Nobody reads, and a terminal takes a few thousand bytes. What was told to have gone has gone. */
static void full_terminal_script(const struct place *place)
{
	static char bytes[TOO_MUCH];

	(void)place;
	for (unsigned round = 0; round < 12; round++) {
		struct writing writing;
		int slave, master = plain_terminal(&slave), status = 0;

		writing = (struct writing){ .fd = slave };
		writing.task = unit_spawn(write_too_much, &writing);
		unit_until_resting(writing.task);
		if (round % 4 < 3) /* it is in the call */
			expect_eventually(rota_yield() == 0 && plain_waiting(master) > 0);
		if (round % 4 == 0)
			expect(rota_read_exact(master, bytes, TOO_MUCH), ==, TOO_MUCH);
		else if (round % 4 == 1)
			expect(rota_close(slave), ==, 0);
		else
			rota_cancel(writing.task);
		expect(rota_join(writing.task, &status), ==, 0);
		if (round % 4 == 0) {
			expect(status, ==, TOO_MUCH);
		} else if (status > 0) {
			expect(status, <, TOO_MUCH);
			expect(rota_read_exact(master, bytes, (size_t)status), ==, status);
		} else {
			expect(status, ==, -ECANCELED);
			expect(round % 4, ==, 3);
		}
		if (round % 4 != 1)
			close(slave);
		close(master);
	}
}

UNIT_TEST(long_calls, the_write_of_a_terminal_holds_up_no_worker)
{
	in_fibers(full_terminal_script, 0);
}

/* A cancel, or a close, may come when the call was tried, and is left to a poll. */
static void terminal_at_any_moment_script(const struct place *place)
{
	int slave, master = plain_terminal(&slave), status;

	(void)place;
	for (unsigned round = 0; round < 10 * ROUNDS; round++) {
		struct reading reading = { .fd = fcntl(slave, F_DUPFD_CLOEXEC, 0) };

		expect(reading.fd, >=, 0);
		reading.task = unit_spawn(read_it, &reading);
		rota_yield();
		wait_ns((uint64_t)(round % 100) * STEP_NS);
		if (round % 2 == 0)
			rota_cancel(reading.task);
		else
			expect(rota_close(reading.fd), ==, 0);
		expect(rota_join(reading.task, &status), ==, 0);
		/* EBADF: the task began only then. */
		expect(status == -ECANCELED || (round % 2 == 1 && status == -EBADF), ==, true);
		if (round % 2 == 0)
			close(reading.fd);
	}
	close(slave);
	close(master);
}

UNIT_TEST(long_calls, a_cancel_at_any_moment_of_the_read_of_a_terminal)
{
	in_fibers(terminal_at_any_moment_script, 0);
}

/* What has an offset by its word only is waited for all the same, and given up. */
static void object_script(const struct place *place)
{
	const struct itimerspec soon = { .it_value = { 0, 1000000 } };
	struct reading readings[2] = {
		{ .fd = eventfd(0, EFD_CLOEXEC) },
		{ .fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) },
	};

	(void)place;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 2; i++) {
			readings[i].task = unit_spawn(read_it, &readings[i]);
			unit_until_resting(readings[i].task);
			rota_cancel(readings[i].task);
			unit_expect_join(readings[i].task, -ECANCELED);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		readings[i].task = unit_spawn(read_it, &readings[i]);
		unit_until_resting(readings[i].task);
	}
	expect(eventfd_write(readings[0].fd, 1), ==, 0);
	expect(timerfd_settime(readings[1].fd, 0, &soon, NULL), ==, 0);
	for (unsigned i = 0; i < 2; i++) {
		unit_expect_join(readings[i].task, 8);
		close(readings[i].fd);
	}
}

UNIT_TEST(long_calls, the_reads_of_an_eventfd_and_a_timer)
{
	in_fibers(object_script, 0);
}

/* --- splices ------------------------------------------------------------------------------------------------------- */

enum { SPLICED = 16384 };

struct splicing {
	int from, to;
	rota_task *task;
};

static int splice_it(void *arg)
{
	struct splicing *splicing = arg;

	return (int)rota_splice(splicing->from, -1, splicing->to, -1, SPLICED, 0);
}

enum ending { CANCEL, CLOSE_SHARED, CLOSE_PIPES, ENDINGS };

/* Two splices with one side in common: each ends by a cancel, or because one of its sides is closed. */
static void end_splices(const struct splicing splicings[2], enum ending ending, int shared)
{
	if (ending == CLOSE_SHARED)
		expect(rota_close(shared), ==, 0);
	for (unsigned i = 0; i < 2; i++) {
		if (ending == CANCEL)
			rota_cancel(splicings[i].task);
		else if (ending == CLOSE_PIPES)
			expect(rota_close(splicings[i].from == shared ? splicings[i].to : splicings[i].from), ==, 0);
	}
}

/* Two wait for room, and what the first one sends takes all that there is, as a rule. What did not go is still in the pipe. */
static void full_socket_script(const struct place *place)
{
	static char bytes[1 << 20];

	(void)place;
	for (unsigned round = 0; round < 30; round++) {
		const enum ending ending = (enum ending)(round % ENDINGS);
		struct splicing splicings[2];
		int pipes[2][2], kept[2], pair[2], moved = 0, small = 1;
		size_t filled;

		plain_pair(pair);
		expect(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), ==, 0);
		filled = plain_fill(pair[0]);
		for (unsigned i = 0; i < 2; i++) {
			plain_pipe(pipes[i]);
			kept[i] = fcntl(pipes[i][0], F_DUPFD_CLOEXEC, 0);
			expect(kept[i], >=, 0);
			expect(write(pipes[i][1], bytes, SPLICED), ==, SPLICED);
			splicings[i] = (struct splicing){ .from = pipes[i][0], .to = pair[0] };
			splicings[i].task = unit_spawn(splice_it, &splicings[i]);
			unit_until_resting(splicings[i].task);
		}
		expect(recv(pair[1], bytes, filled, MSG_WAITALL), ==, filled);
		expect(rota_poll_fd(pair[1], POLLIN), ==, POLLIN);
		rota_sleep(round / ENDINGS % 2 * ROTA_MS(1));
		end_splices(splicings, ending, pair[0]);
		for (unsigned i = 0; i < 2; i++) {
			int status = 0;

			expect(rota_join(splicings[i].task, &status), ==, 0);
			if (status < 0) {
				expect(status, ==, -ECANCELED);
				status = 0;
			}
			moved += status;
			expect(plain_waiting(kept[i]), ==, SPLICED - status);
			if (ending != CLOSE_PIPES)
				close(pipes[i][0]);
			close(pipes[i][1]);
			close(kept[i]);
		}
		if (ending != CLOSE_PIPES)
			expect(moved, >, 0);
		expect(plain_waiting(pair[1]), ==, moved);
		if (ending != CLOSE_SHARED)
			close(pair[0]);
		close(pair[1]);
	}
}

UNIT_TEST(long_calls, the_splice_to_a_socket_without_room)
{
	in_fibers(full_socket_script, 0);
}

/* A cancel, or a close, of a splice that is in the call comes too soon to do anything; a later one does. */
static void missed_splice_script(const struct place *place)
{
	static const char bytes[SPLICED];

	(void)place;
	for (unsigned round = 0; round < 2 * ENDINGS; round++) {
		const enum ending ending = (enum ending)(round % ENDINGS);
		struct splicing splicings[2];
		int pipes[2][2], pair[2], small = 1, status;

		plain_pair(pair);
		expect(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), ==, 0);
		for (unsigned i = 0; i < 2; i++) {
			plain_pipe(pipes[i]);
			splicings[i] = (struct splicing){ .from = pipes[i][0], .to = pair[0] };
			splicings[i].task = unit_spawn(splice_it, &splicings[i]);
			unit_until_resting(splicings[i].task);
		}
		for (unsigned i = 0; i < 2; i++)
			expect(write(pipes[i][1], bytes, SPLICED), ==, SPLICED);
		rota_sleep(ROTA_MS(2)); /* both are in the call, or have been, as a rule */
		rota__fault_arm(ROTA__FAULT_INTERRUPT, 1, -EINTR);
		end_splices(splicings, ending, pair[0]);
		for (unsigned i = 0; i < 2; i++) {
			expect(rota_join(splicings[i].task, &status), ==, 0);
			expect(status > 0 || status == -ECANCELED, ==, true);
		}
		rota__fault_arm(ROTA__FAULT_INTERRUPT, 0, 0);
		for (unsigned i = 0; i < 2; i++) {
			if (ending != CLOSE_PIPES)
				close(pipes[i][0]);
			close(pipes[i][1]);
		}
		if (ending != CLOSE_SHARED)
			close(pair[0]);
		close(pair[1]);
	}
}

UNIT_TEST(long_calls, a_cancel_of_a_splice_that_comes_too_soon)
{
	in_fibers(missed_splice_script, 0);
}

/* As with reads: there is one line, which one of the two gets. */
static void spliced_terminal_script(const struct place *place)
{
	(void)place;
	for (unsigned round = 0; round < 30; round++) {
		const enum ending ending = (enum ending)(round % ENDINGS);
		struct splicing splicings[2];
		struct pollfd arrived[2];
		int slave, master = plain_terminal(&slave), pipes[2][2];

		for (unsigned i = 0; i < 2; i++) {
			plain_pipe(pipes[i]);
			arrived[i] = (struct pollfd){ .fd = pipes[i][0], .events = POLLIN };
			splicings[i] = (struct splicing){ .from = slave, .to = pipes[i][1] };
			splicings[i].task = unit_spawn(splice_it, &splicings[i]);
			unit_until_resting(splicings[i].task);
		}
		expect(write(master, "ab\n", 3), ==, 3);
		expect_eventually(rota_yield() == 0 && poll(arrived, 2, 0) == 1);
		rota_sleep(round / ENDINGS % 2 * ROTA_MS(1));
		end_splices(splicings, ending, slave);
		if (ending == CLOSE_PIPES)
			expect(write(master, "cd\n", 3), ==, 3);
		expect_one_served(splicings[0].task, splicings[1].task);
		for (unsigned i = 0; i < 2; i++) {
			close(pipes[i][0]);
			if (ending != CLOSE_PIPES)
				close(pipes[i][1]);
		}
		if (ending != CLOSE_SHARED)
			close(slave);
		close(master);
	}
}

UNIT_TEST(long_calls, the_splice_of_a_terminal)
{
	in_fibers(spliced_terminal_script, 0);
}

/* --- in a future of several ------------------------------------------------------------------------------------------ */

/* Whoever waits for one of several goes on when another one is ready. */
static void first_of_several_script(const struct place *place)
{
	const unsigned before = unit_own_descriptors();
	char path[256];

	make_fifo(path);
	for (unsigned round = 0; round < 10; round++) {
		const size_t opens = round % 2; /* its place among the two */
		struct rota_future *futures[2];
		struct rota_timer timer;
		struct rota_any_op any;
		struct rota_op op;

		rota_op_open(&op, path, O_RDONLY, 0);
		rota_timer_init(&timer, rota_now() + ROTA_MS(1));
		futures[opens] = &op.future;
		futures[1 - opens] = &timer.future;
		rota_any_init(&any, futures, 2);
		expect(place->carry(place, &any.future), ==, 0);
		expect(any.index, ==, 1 - opens);
		expect(op.future.status, ==, -ECANCELED);
	}
	remove_fifo(path);
	expect(unit_own_descriptors(), ==, before);
}

UNIT_TEST(long_calls, one_of_several)
{
	everyhow_inside(first_of_several_script, 0);
}

/* The other sides come in the other order, each when the one before was met. */
struct fifos {
	char paths[2][256];
};

static void open_other_sides(void *arg)
{
	struct fifos *fifos = arg;

	for (int i = 1; i >= 0; i--) {
		int fd = open(fifos->paths[i], O_WRONLY | O_CLOEXEC);

		expect(fd, >=, 0);
		close(fd);
	}
}

static int open_both(void *arg)
{
	struct fifos *fifos = arg;
	struct rota_op ops[2];
	struct party party;

	party_start(&party, open_other_sides, fifos);
	for (unsigned i = 0; i < 2; i++)
		rota_op_open(&ops[i], fifos->paths[i], O_RDONLY, 0);
	party_go(&party);
	expect(ROTA_AWAIT_ALL(&ops[0].future, &ops[1].future), ==, 0);
	for (unsigned i = 0; i < 2; i++) {
		expect(ops[i].future.status, >=, 0);
		close(ops[i].future.status);
	}
	party_join(&party);
	return 0;
}

/* A job whose pool has no other thread to give. */
static int in_full_pool(void *arg)
{
	rota_task *job;

	expect(rota_spawn_blocking(&job, open_both, arg), ==, 0);
	unit_expect_join(job, 0);
	return 0;
}

UNIT_TEST(long_calls, several_by_a_job)
{
	const struct rota_config config = { .workers = 2, .max_blocking_threads = 1 };
	rota_runtime *rt = NULL;
	struct fifos fifos;

	for (unsigned i = 0; i < 2; i++)
		make_fifo(fifos.paths[i]);
	expect(rota_runtime_new(&rt, &config), ==, 0);
	for (unsigned round = 0; round < 10; round++)
		expect(rota_block_on(rt, in_full_pool, &fifos), ==, 0);
	place_runtime_free(rt);
	for (unsigned i = 0; i < 2; i++)
		remove_fifo(fifos.paths[i]);
}

static struct rota_atomic_u32 jobs_at_once;

static int be_alone(void *arg)
{
	(void)arg;
	expect(rota__fetch_add(&jobs_at_once, 1, SEQ_CST), ==, 0);
	sched_yield();
	rota__fetch_sub(&jobs_at_once, 1, SEQ_CST);
	return 0;
}

static void expect_jobs_alone(void)
{
	rota_task *jobs[20];

	for (unsigned i = 0; i < 20; i++)
		expect(rota_spawn_blocking(&jobs[i], be_alone, NULL), ==, 0);
	for (unsigned i = 0; i < 20; i++)
		unit_expect_join(jobs[i], 0);
}

/* Three opens, and the read of a terminal that was robbed of its line: the pool may have one thread, and that one is there for
 * files and jobs; nor are there more at the same time once these calls are over. */
static int in_no_place(void *arg)
{
	struct opening openings[3];
	struct reading readings[2];
	struct statx status;
	char path[256];
	int slave, master = plain_terminal(&slave), writer;

	(void)arg;
	make_fifo(path);
	for (unsigned i = 0; i < 3; i++) {
		openings[i] = (struct opening){ .path = path };
		openings[i].task = unit_spawn(open_it, &openings[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		unit_until_resting(openings[i].task);
	let_two_wait_for_one_line(readings, master, slave);
	expect(rota_statx(AT_FDCWD, path, 0, STATX_TYPE, &status), ==, 0);
	expect_jobs_alone();
	writer = open(path, O_WRONLY | O_CLOEXEC);
	expect(writer, >=, 0);
	for (unsigned i = 0; i < 3; i++) {
		int fd = 0;

		expect(rota_join(openings[i].task, &fd), ==, 0);
		expect(fd, >=, 0);
		expect_jobs_alone();
		close(fd);
	}
	rota_cancel(readings[0].task);
	rota_cancel(readings[1].task);
	expect_one_served(readings[0].task, readings[1].task);
	expect_jobs_alone();
	close(writer);
	close(slave);
	close(master);
	remove_fifo(path);
	return 0;
}

UNIT_TEST(long_calls, keep_no_place_in_the_pool)
{
	const struct rota_config config = { .workers = 2, .max_blocking_threads = 1 };
	rota_runtime *rt = NULL;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	for (unsigned round = 0; round < 10; round++)
		expect(rota_block_on(rt, in_no_place, NULL), ==, 0);
	place_runtime_free(rt);
}

/* The thread that makes calls for jobs, by its number; 0: there is none, or more than one. */
static int caller(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int found = 0, n = 0;

	expect(tasks != NULL, ==, true);
	for (const struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
		char path[300], name[16] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, name, sizeof(name)) > 0 && strcmp(name, "rota-call\n") == 0) {
			found = atoi(entry->d_name);
			n++;
		}
		close(fd);
	}
	closedir(tasks);
	return n == 1 ? found : 0;
}

/* To a socket that blocks: on the epoll back end another thread makes each call, always the same one. */
static int splice_in_pieces(void *arg)
{
	char bytes[SPLICED];
	int pipe[2], pair[2], first = 0;

	(void)arg;
	memset(bytes, 'x', sizeof(bytes));
	plain_pipe(pipe);
	plain_pair(pair);
	for (unsigned piece = 0; piece < 100; piece++) {
		expect(write(pipe[1], bytes, SPLICED), ==, SPLICED);
		expect(rota_splice(pipe[0], -1, pair[0], -1, SPLICED, 0), ==, SPLICED);
		expect(recv(pair[1], bytes, SPLICED, MSG_WAITALL), ==, SPLICED);
		if (piece == 0)
			first = caller();
	}
	expect(first, >, 0);
	expect(caller(), ==, first);
	plain_close(pipe);
	plain_close(pair);
	return 0;
}

static int splice_by_job(void *arg)
{
	rota_task *job;

	(void)arg;
	expect(rota_spawn_blocking(&job, splice_in_pieces, NULL), ==, 0);
	unit_expect_join(job, 0);
	return 0;
}

UNIT_TEST(long_calls, of_a_job_take_one_thread)
{
	const struct rota_config config = { .workers = 2, .backend = ROTA_BACKEND_EPOLL, .blocking_idle_ns = ROTA_NEVER };
	rota_runtime *rt = NULL;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, splice_by_job, NULL), ==, 0);
	place_runtime_free(rt);
}

static void open_to_write(void *arg)
{
	int fd = open(arg, O_WRONLY | O_CLOEXEC);

	expect(fd, >=, 0);
	close(fd);
}

/* There is no other thread to be had for the call: so it is made by the job. */
static int open_alone(void *path)
{
	struct party party;
	int fd;

	party_start(&party, open_to_write, path);
	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	party_go(&party);
	fd = rota_open(path, O_RDONLY, 0);
	rota__fault_arm(ROTA__FAULT_THREAD, 0, 0);
	expect(fd, >=, 0);
	close(fd);
	party_join(&party);
	return 0;
}

TASK_TEST(long_calls, by_a_job_that_has_no_other_thread)
{
	rota_task *job;
	char path[256];

	make_fifo(path);
	expect(rota_spawn_blocking(&job, open_alone, path), ==, 0);
	unit_expect_join(job, 0);
	remove_fifo(path);
}

/* --- what it does to the process ------------------------------------------------------------------------------------- */

static unsigned handled;

static void on_signal(int number)
{
	(void)number;
	handled++;
}

/* A signal that the program handles is not taken, and a thread of the pool lets none through in jobs. */
static int look_at_mask(void *arg)
{
	sigset_t blocked;

	(void)arg;
	expect(pthread_sigmask(SIG_BLOCK, NULL, &blocked), ==, 0);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		expect(sigismember(&blocked, number), ==, 1);
	return 0;
}

static void own_signal_script(const struct place *place)
{
	struct sigaction action;

	at_any_moment_script(place);
	expect(rota_offload(look_at_mask, NULL), ==, 0);
	expect(sigaction(SIGRTMAX, NULL, &action), ==, 0);
	expect_pointer(action.sa_handler, ==, on_signal);
	expect(handled, ==, 0);
}

UNIT_TEST(long_calls, leave_the_signals_of_the_program_alone)
{
	signal(SIGRTMAX, on_signal);
	place_run(&place_kinds[1], 0, own_signal_script, NULL);
}

/* The program has a handler for all of them: a close waits for none of the calls, since nothing ends them. */
static void no_signal_script(const struct place *place)
{
	for (unsigned round = 0; round < 10; round++) {
		struct reading readings[2];
		int slave, master = plain_terminal(&slave);

		let_two_wait_for_one_line(readings, master, slave);
		rota_sleep(round % 2 * ROTA_MS(1));
		expect(rota_close(slave), ==, 0);
		expect(write(master, "cd\n", 3), ==, 3);
		for (unsigned i = 0; i < 2; i++) {
			int status = 0;

			expect(rota_join(readings[i].task, &status), ==, 0);
			expect(status == 3 || status == -ECANCELED, ==, true);
		}
		close(master);
	}
	(void)place;
}

UNIT_TEST(long_calls, without_a_signal)
{
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		signal(number, on_signal);
	in_fibers(no_signal_script, 0);
}
