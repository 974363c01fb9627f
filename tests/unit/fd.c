/* SPDX-License-Identifier: MIT */
/*
 * The calls on descriptors of any kind, from every place that they may come from: what they return, that they wait, that
 * they can be cancelled from anywhere and then have moved nothing, or say how much they did.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "../../io/fd.h"
#include "places.h"
#include "plain.h"

/* --- files --------------------------------------------------------------------------------------------------------- */

static void file_script(const struct place *place)
{
	char path[256], one[8] = "", two[8] = "";
	const struct iovec out[] = { { (void *)"klm", 3 }, { (void *)"no", 2 } };
	const struct iovec in[] = { { one, 2 }, { two, sizeof(two) } };
	int fd = plain_file(path);

	(void)place;
	expect(rota_write(fd, "abcde", 5), ==, 5);
	expect(rota_pwrite(fd, "fghij", 5, 5), ==, 5);
	expect(rota_pwritev(fd, out, 2, 10), ==, 5);
	expect(rota_write(fd, "F", 1), ==, 1); /* at the position, which an offset leaves alone */
	expect(rota_pread(fd, one, 3, 4), ==, 3);
	plain_expect_bytes(one, "eFg", 3);
	expect(rota_preadv(fd, in, 2, 9), ==, 6); /* up to the end */
	plain_expect_bytes(one, "jk", 2);
	plain_expect_bytes(two, "lmno", 4);
	expect(rota_read(fd, one, sizeof(one)), ==, 8);
	plain_expect_bytes(one, "ghijklmn", 8);
	expect(rota_read(fd, one, sizeof(one)), ==, 1);
	expect(rota_read(fd, one, sizeof(one)), ==, 0);
	expect(rota_pread(fd, one, sizeof(one), 1000), ==, 0);
	expect(rota_poll_fd(fd, POLLIN | POLLOUT), ==, POLLIN | POLLOUT);
	expect(rota_close(fd), ==, 0);
	unlink(path);
}

UNIT_TEST(fd, files)
{
	everywhere(file_script);
}

/* As many parts as there may be. */
static void many_parts_script(const struct place *place)
{
	enum { PARTS = 1024 };
	struct iovec parts[PARTS + 1];
	char path[256], bytes[PARTS + 1];
	int fd = plain_file(path);

	(void)place;
	for (int i = 0; i <= PARTS; i++) {
		bytes[i] = (char)(i % 100);
		parts[i] = (struct iovec){ &bytes[i], 1 };
	}
	expect(rota_pwritev(fd, parts, PARTS, 0), ==, PARTS);
	memset(bytes, 0, sizeof(bytes));
	expect(rota_preadv(fd, parts, PARTS, 0), ==, PARTS);
	for (int i = 0; i < PARTS; i++)
		expect(bytes[i], ==, i % 100);
	expect(rota_pwritev(fd, parts, PARTS + 1, 0), ==, -EINVAL);
	expect(rota_preadv(fd, parts, PARTS + 1, 0), ==, -EINVAL);
	expect(rota_preadv(fd, parts, 0, 0), ==, 0);
	expect(rota_preadv(fd, parts, -1, 0), ==, -EINVAL);
	close(fd);
	unlink(path);
}

UNIT_TEST(fd, many_parts)
{
	everywhere(many_parts_script);
}

static void negative_offset_script(const struct place *place)
{
	char path[256], byte;
	const struct iovec part = { &byte, 1 };
	int fd = plain_file(path);

	(void)place;
	for (int i = 0; i < 3; i++) {
		const off_t offset = (const off_t[]){ -1, -2, LONG_MIN }[i];

		expect(rota_pread(fd, &byte, 1, offset), ==, -EINVAL);
		expect(rota_pwrite(fd, "x", 1, offset), ==, -EINVAL);
		expect(rota_preadv(fd, &part, 1, offset), ==, -EINVAL);
		expect(rota_pwritev(fd, &part, 1, offset), ==, -EINVAL);
	}
	expect(rota_read(fd, &byte, 1), ==, 0); /* nothing was written */
	close(fd);
	unlink(path);
}

UNIT_TEST(fd, negative_offsets)
{
	everywhere(negative_offset_script);
}

static void no_offset_script(const struct place *place)
{
	char byte = 'x';
	const struct iovec part = { &byte, 1 };
	int fds[2];

	(void)place;
	plain_pipe(fds);
	expect(write(fds[1], "abc", 3), ==, 3);
	expect(rota_pread(fds[0], &byte, 1, 0), ==, -ESPIPE);
	expect(rota_pwrite(fds[1], "x", 1, 0), ==, -ESPIPE);
	expect(rota_preadv(fds[0], &part, 1, 0), ==, -ESPIPE);
	expect(rota_pwritev(fds[1], &part, 1, 0), ==, -ESPIPE);
	expect(plain_waiting(fds[0]), ==, 3);
	plain_close(fds);
}

UNIT_TEST(fd, offsets_where_there_are_none)
{
	everywhere(no_offset_script);
}

/* Each takes an lseek(2). */
static void no_offset_but_it_seems_script(const struct place *place)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 1 };
	uint64_t number = 1;
	const struct iovec part = { &number, sizeof(number) };
	int fds[] = { eventfd(1, EFD_CLOEXEC), timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC),
		      epoll_create1(EPOLL_CLOEXEC) };

	(void)place;
	expect(timerfd_settime(fds[1], 0, &soon, NULL), ==, 0);
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = plain_far(fds[i]);
		expect(rota_pread(fds[i], &number, sizeof(number), 0), ==, -ESPIPE);
		expect(rota_pwrite(fds[i], &number, sizeof(number), 0), ==, -ESPIPE);
		expect(rota_preadv(fds[i], &part, 1, 8), ==, -ESPIPE);
		expect(rota_pwritev(fds[i], &part, 1, 8), ==, -ESPIPE);
	}
	expect(read(fds[0], &number, sizeof(number)), ==, 8);
	expect(number, ==, 1);
	for (unsigned i = 0; i < 3; i++)
		expect(rota_close(fds[i]), ==, 0);
}

UNIT_TEST(fd, offsets_where_there_only_seem_to_be)
{
	everywhere(no_offset_but_it_seems_script);
}

static void closed_script(const struct place *place)
{
	char byte;
	const struct iovec part = { &byte, 1 };

	(void)place;
	for (int i = 0; i < 2; i++) {
		const int fd = i == 0 ? plain_closed() : -1;

		expect(rota_read(fd, &byte, 1), ==, -EBADF);
		expect(rota_write(fd, "x", 1), ==, -EBADF);
		expect(rota_pread(fd, &byte, 1, 0), ==, -EBADF);
		expect(rota_pwrite(fd, "x", 1, 0), ==, -EBADF);
		expect(rota_preadv(fd, &part, 1, 0), ==, -EBADF);
		expect(rota_pwritev(fd, &part, 1, 0), ==, -EBADF);
		expect(rota_read_exact(fd, &byte, 1), ==, -EBADF);
		expect(rota_write_all(fd, "x", 1), ==, -EBADF);
		expect(rota_poll_fd(fd, POLLIN), ==, -EBADF);
		expect(rota_close(fd), ==, -EBADF);
	}
}

UNIT_TEST(fd, closed_descriptors)
{
	everywhere(closed_script);
}

/* Every write fails as if the disk were full. */
static void full_disk_script(const struct place *place)
{
	int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	char buf[4] = "abcd";

	(void)place;
	expect(fd, >=, 0);
	expect(rota_write(fd, "x", 1), ==, -ENOSPC);
	expect(rota_pwrite(fd, "x", 1, 0), ==, -ENOSPC);
	expect(rota_write_all(fd, "x", 1), ==, -ENOSPC);
	expect(rota_read(fd, buf, 4), ==, 4);
	plain_expect_filled(buf, 0, 4);
	expect(rota_close(fd), ==, 0);
}

UNIT_TEST(fd, full_disk)
{
	everywhere(full_disk_script);
}

/* --- what waits ------------------------------------------------------------------------------------------------------ */

static void write_xyz(void *arg)
{
	expect(write(*(int *)arg, "xyz", 3), ==, 3);
}

static void drain(void *arg)
{
	char page[4096];

	expect(read(*(int *)arg, page, sizeof(page)), ==, sizeof(page));
}

static void pipe_script(const struct place *place)
{
	char buf[16] = "";
	struct party party;
	int fds[2];

	(void)place;
	plain_pipe(fds);
	party_start(&party, write_xyz, &fds[1]);
	party_go(&party);
	expect(rota_read(fds[0], buf, sizeof(buf)), ==, 3);
	plain_expect_bytes(buf, "xyz", 3);
	party_join(&party);
	plain_fill(fds[1]);
	party_start(&party, drain, &fds[0]);
	party_go(&party);
	expect(rota_write(fds[1], "!", 1), ==, 1);
	party_join(&party);
	close(fds[1]);
	while (rota_read(fds[0], buf, sizeof(buf)) > 0) {
	}
	expect(rota_read(fds[0], buf, sizeof(buf)), ==, 0); /* the end */
	close(fds[0]);
}

UNIT_TEST(fd, pipes)
{
	everywhere(pipe_script);
}

static void broken_pipe_script(const struct place *place)
{
	int fds[2];

	(void)place;
	plain_pipe(fds);
	close(fds[0]);
	expect(rota_write(fds[1], "x", 1), ==, -EPIPE);
	expect(rota_write_all(fds[1], "x", 1), ==, -EPIPE);
	expect(rota_poll_fd(fds[1], POLLOUT) & POLLERR, ==, POLLERR);
	close(fds[1]);
	plain_pair(fds);
	close(fds[0]);
	expect(rota_write(fds[1], "x", 1), ==, -EPIPE);
	expect(rota_write_all(fds[1], "x", 1), ==, -EPIPE);
	close(fds[1]);
}

UNIT_TEST(fd, broken_pipes_raise_no_signal)
{
	everywhere(broken_pipe_script);
}

static void poll_script(const struct place *place)
{
	struct party party;
	char byte;
	int fds[2];

	(void)place;
	plain_pair(fds);
	expect(rota_poll_fd(fds[0], POLLOUT), ==, POLLOUT);
	party_start(&party, write_xyz, &fds[1]);
	party_go(&party);
	expect(rota_poll_fd(fds[0], POLLIN), ==, POLLIN);
	party_join(&party);
	expect(rota_poll_fd(fds[0], POLLIN | POLLOUT), ==, POLLIN | POLLOUT);
	expect(read(fds[0], &byte, 1), ==, 1);
	close(fds[1]);
	expect(rota_poll_fd(fds[0], POLLPRI) & POLLHUP, ==, POLLHUP); /* unasked */
	expect(rota_poll_fd(fds[0], 0) & POLLHUP, ==, POLLHUP);
	close(fds[0]);
}

UNIT_TEST(fd, poll)
{
	everywhere(poll_script);
}

/* A descriptor of another library, with a kind of readiness of its own. */
static void eventfd_script(const struct place *place)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t count = 3;

	(void)place;
	expect(rota_poll_fd(fd, POLLIN | POLLOUT), ==, POLLOUT);
	expect(rota_write(fd, &count, sizeof(count)), ==, 8);
	expect(rota_poll_fd(fd, POLLIN), ==, POLLIN);
	expect(rota_read(fd, &count, sizeof(count)), ==, 8);
	expect(count, ==, 3);
	close(fd);
}

UNIT_TEST(fd, foreign_descriptors)
{
	everywhere(eventfd_script);
}

/* --- signals ------------------------------------------------------------------------------------------------------------ */

struct pest {
	pthread_t victim;
	int fd;
};

static void pester(void *arg)
{
	const struct pest *pest = arg;

	for (int i = 0; i < 20; i++) {
		expect(pthread_kill(pest->victim, SIGUSR1), ==, 0);
		usleep(100);
	}
	expect(write(pest->fd, "xyz", 3), ==, 3);
}

static void do_nothing(int signal)
{
	(void)signal;
}

/* A handler that does not ask for calls to be restarted: they are all the same. */
static void signal_script(const struct place *place)
{
	const struct sigaction action = { .sa_handler = do_nothing };
	struct pest pest = { .victim = pthread_self() };
	struct party party;
	char buf[8];
	int fds[2];

	(void)place;
	expect(sigaction(SIGUSR1, &action, NULL), ==, 0);
	plain_pipe(fds);
	pest.fd = fds[1];
	for (int i = 0; i < 2; i++) {
		party_start(&party, pester, &pest);
		party_go(&party);
		if (i == 0)
			expect(rota_poll_fd(fds[0], POLLIN), ==, POLLIN);
		expect(rota_read(fds[0], buf, sizeof(buf)), ==, 3);
		party_join(&party);
	}
	plain_close(fds);
}

UNIT_TEST(fd, signals_do_not_interrupt)
{
	everywhere(signal_script);
}

/* Of nothing, too: to a socket for datagrams that is one, as with write(2). */
static void empty_script(const struct place *place)
{
	char buf[8];
	int pair[2];

	(void)place;
	expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), ==, 0);
	expect(rota_write(pair[0], "", 0), ==, 0);
	expect(rota_write(pair[0], "x", 1), ==, 1);
	expect(rota_recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT), ==, 0);
	expect(rota_recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT), ==, 1);
	plain_close(pair);
}

UNIT_TEST(fd, an_empty_datagram)
{
	everywhere(empty_script);
}

/* --- numbers that mean something else by now ------------------------------------------------------------------------------ */

/* The number of a descriptor that is known for a socket is given to a pipe, behind rota's back. */
static void stale_script(const struct place *place)
{
	struct party party;
	char buf[8] = "";
	int sockets[2], pipes[2];

	(void)place;
	plain_pair(sockets);
	for (int i = 0; i < 2; i++) {
		expect(rota_send(sockets[i], "x", 1, 0), ==, 1);
		expect(rota_recv(sockets[1 - i], buf, 1, 0), ==, 1);
		expect(rota_write(sockets[i], "ab", 2), ==, 2);
		expect(rota_write(sockets[i], "", 0), ==, 0);
		expect(rota_read(sockets[1 - i], buf, 8), ==, 2);
		expect(rota_read(sockets[1 - i], buf, 0), ==, 0); /* of nothing: at once */
	}
	plain_pipe(pipes);
	expect(dup2(pipes[0], sockets[0]), ==, sockets[0]);
	expect(dup2(pipes[1], sockets[1]), ==, sockets[1]);
	plain_close(pipes);
	party_start(&party, write_xyz, &sockets[1]);
	party_go(&party);
	expect(rota_read(sockets[0], buf, sizeof(buf)), ==, 3);
	plain_expect_bytes(buf, "xyz", 3);
	party_join(&party);
	expect(rota_write(sockets[1], "1", 1), ==, 1);
	expect(rota_write(sockets[1], "2", 1), ==, 1);
	expect(rota_read(sockets[0], buf, sizeof(buf)), ==, 2);
	plain_expect_bytes(buf, "12", 2);
	expect(rota_close(sockets[0]), ==, 0);
	expect(rota_write(sockets[1], "1", 1), ==, -EPIPE);
	expect(rota_close(sockets[1]), ==, 0);
}

UNIT_TEST(fd, numbers_that_were_sockets)
{
	everywhere(stale_script);
}

/* And the other way round; and a file's, for what has no offset. */
static void stale_file_script(const struct place *place)
{
	char path[256], byte = 0;
	int fds[2];
	int fd = plain_far(plain_file(path));

	(void)place;
	expect(rota_pwrite(fd, "abc", 3, 0), ==, 3);
	expect(rota_pread(fd, &byte, 1, 1), ==, 1);
	expect(rota_close(fd), ==, 0);
	plain_pipe(fds);
	fds[0] = plain_at(fds[0], fd);
	expect(rota_pread(fd, &byte, 1, 1), ==, -ESPIPE);
	expect(rota_close(fds[1]), ==, 0);
	expect(rota_close(fds[0]), ==, 0);
	unlink(path);
	fd = plain_closed();
	expect(rota_pread(fd, &byte, 1, 1), ==, -EBADF);
	plain_pipe(fds);
	fds[0] = plain_at(fds[0], fd);
	expect(write(fds[1], "x", 1), ==, 1);
	expect(rota_pread(fd, &byte, 1, 1), ==, -ESPIPE); /* which a number of nothing says nothing of */
	expect(rota_close(fds[1]), ==, 0);
	expect(rota_close(fds[0]), ==, 0);
}

UNIT_TEST(fd, numbers_that_were_files)
{
	everywhere(stale_file_script);
}

/* --- what cannot be read, or not be written; and nothing to be moved ---------------------------------------------------- */

/* Some can be waited for all the same, but there is nothing to wait for. */
static void odd_script(const struct place *place)
{
	uint64_t number = 1;
	const struct iovec part = { &number, sizeof(number) };
	const int epoll = plain_far(epoll_create1(EPOLL_CLOEXEC));
	const int timer = plain_far(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	const int process = (int)syscall(SYS_pidfd_open, getpid(), 0);

	(void)place;
	expect(rota_read(epoll, &number, sizeof(number)), ==, -EINVAL);
	expect(rota_readv(epoll, &part, 1), ==, -EINVAL);
	expect(rota_write(epoll, &number, sizeof(number)), ==, -EINVAL);
	expect(rota_writev(epoll, &part, 1), ==, -EINVAL);
	expect(rota_read_exact(epoll, &number, sizeof(number)), ==, -EINVAL);
	expect(rota_write(timer, &number, sizeof(number)), ==, -EINVAL);
	expect(rota_write_all(timer, &number, sizeof(number)), ==, -EINVAL);
	if (process >= 0) {
		expect(rota_read(process, &number, sizeof(number)), ==, -EINVAL);
		expect(rota_writev(process, &part, 1), ==, -EINVAL);
		expect(rota_close(process), ==, 0);
	}
	expect(rota_close(epoll), ==, 0);
	expect(rota_close(timer), ==, 0);
}

UNIT_TEST(fd, what_cannot_be_read_or_not_be_written)
{
	everywhere(odd_script);
}

/* Nothing is read, or written, at once: of what is empty, to what is full, in one part, in several, or in none. */
static void nothing_script(const struct place *place)
{
	char byte;
	const struct iovec parts[] = { { &byte, 0 }, { NULL, 0 } };
	int pipe[2], pair[2], datagrams[2], terminal[2];
	const int event = eventfd(0, EFD_CLOEXEC);

	(void)place;
	plain_pipe(pipe);
	plain_pair(pair);
	expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagrams), ==, 0);
	terminal[0] = plain_terminal(&terminal[1]);
	const int empty[] = { pipe[0], pair[0], datagrams[0], terminal[0], terminal[1], event };
	for (unsigned i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		expect(rota_read(empty[i], &byte, 0), ==, 0);
		expect(rota_readv(empty[i], parts, 2), ==, 0);
		expect(rota_readv(empty[i], NULL, 0), ==, 0);
	}
	expect(rota_read(pipe[1], &byte, 0), ==, -EBADF);
	expect(rota_readv(pipe[1], parts, 2), ==, -EBADF);
	plain_fill(pipe[1]);
	plain_block(pipe[1]);
	expect(rota_write(pipe[1], "", 0), ==, 0);
	expect(rota_writev(pipe[1], parts, 2), ==, 0);
	expect(rota_writev(pipe[0], parts, 1), ==, -EBADF);
	expect(rota_writev(datagrams[0], parts, 2), ==, 0);
	expect(rota_writev(datagrams[0], NULL, 0), ==, 0);
	expect(recv(datagrams[1], &byte, 1, MSG_DONTWAIT), ==, -1);
	expect(rota_write(datagrams[0], "", 0), ==, 0); /* this is a datagram */
	expect(recv(datagrams[1], &byte, 1, MSG_DONTWAIT), ==, 0);
	close(pair[1]);
	expect(rota_writev(pair[0], parts, 2), ==, 0);
	close(pair[0]);
	close(event);
	plain_close(pipe);
	plain_close(datagrams);
	plain_close(terminal);
}

UNIT_TEST(fd, nothing_to_be_moved)
{
	everywhere(nothing_script);
}

/* A directory has nothing to be read, not even that. Empty parts are nothing, as with readv(2). */
static void directory_script(const struct place *place)
{
	const int directory = plain_far(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const int name = plain_far(open("/", O_PATH | O_CLOEXEC));
	char byte;
	const struct iovec part = { &byte, 0 };

	(void)place;
	for (size_t len = 0; len < 2; len++) {
		expect(rota_read(directory, &byte, len), ==, -EISDIR);
		expect(rota_pread(directory, &byte, len, 0), ==, -EISDIR);
		expect(rota_write(directory, &byte, len), ==, -EBADF);
		expect(rota_pwrite(directory, &byte, len, 0), ==, -EBADF);
		expect(rota_read(name, &byte, len), ==, -EBADF);
		expect(rota_pread(name, &byte, len, 0), ==, -EBADF);
	}
	expect(rota_readv(directory, &part, 1), ==, 0);
	expect(rota_preadv(directory, &part, 1, 0), ==, 0);
	close(directory);
	close(name);
}

UNIT_TEST(fd, a_directory)
{
	everywhere(directory_script);
}

/* --- a position that several share ------------------------------------------------------------------------------------ */

static int disk_file(void)
{
	return open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* Of which, as of files of a network, the system does not say what the page cache has; where there is such a place. */
static int memory_file(void)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : disk_file();
}

enum { WRITERS = 8, LINES = 300, LINE = 16 };

struct writer {
	int fd;
	unsigned number;
};

static int write_lines(void *arg)
{
	const struct writer *writer = arg;
	char line[LINE + 1];

	for (unsigned i = 0; i < LINES; i++) {
		const struct iovec halves[] = { { line, LINE / 2 }, { line + LINE / 2, LINE / 2 } };

		snprintf(line, sizeof(line), "%7u %7u\n", writer->number, i);
		expect(i % 2 == 0 ? rota_write(writer->fd, line, LINE) : rota_writev(writer->fd, halves, 2), ==, LINE);
	}
	return 0;
}

/* None is written over another, nor is there a hole; those of one writer come in their order. */
static void share_writes(int fd)
{
	char line[LINE + 1] = "";
	const struct iovec too_much[] = { { line, SIZE_MAX / 2 }, { line, SIZE_MAX / 2 } };
	struct writer writers[WRITERS];
	rota_task *tasks[WRITERS];
	unsigned next[WRITERS] = { 0 };
	unsigned number, i;

	expect(rota_read(fd, line, LINE), ==, 0);
	for (unsigned n = 0; n < WRITERS; n++) {
		writers[n] = (struct writer){ fd, n };
		tasks[n] = unit_spawn(write_lines, &writers[n]);
	}
	for (unsigned n = 0; n < WRITERS; n++)
		unit_expect_join(tasks[n], 0);
	expect(lseek(fd, 0, SEEK_CUR), ==, WRITERS * LINES * LINE);
	expect(rota_writev(fd, too_much, 2), <, 0);
	expect(lseek(fd, 0, SEEK_CUR), ==, WRITERS * LINES * LINE);
	for (unsigned n = 0; n < WRITERS * LINES; n++) {
		expect(pread(fd, line, LINE, (off_t)n * LINE), ==, LINE);
		expect(sscanf(line, "%u %u", &number, &i), ==, 2);
		expect(number, <, WRITERS);
		expect(i, ==, next[number]);
		next[number]++;
	}
	close(fd);
}

static void shared_position_script(const struct place *place)
{
	(void)place;
	share_writes(disk_file());
	share_writes(memory_file());
}

enum { READERS = 4, BLOCKS = 24, BLOCK = 256 * 1024, SMALL_BLOCK = 64 * 1024, TAIL = 100 };

struct reader {
	int fd;
	ssize_t block;
	unsigned seen[BLOCKS], tails;
};

static int read_blocks(void *arg)
{
	struct reader *reader = arg;
	const size_t block = (size_t)reader->block;
	char *bytes = malloc(block);
	const struct iovec halves[] = { { bytes, block / 2 }, { bytes + block / 2, block / 2 } };
	ssize_t n;

	for (unsigned i = 0;; i++) {
		n = i % 2 == 0 ? rota_read(reader->fd, bytes, block) : rota_readv(reader->fd, halves, 2);
		if (n <= 0)
			break;
		expect(n == reader->block || n == TAIL, ==, true);
		expect(bytes[0], ==, bytes[n - 1]);
		if (n == TAIL)
			reader->tails++;
		else
			reader->seen[(unsigned char)bytes[0]]++;
	}
	expect(n, ==, 0);
	free(bytes);
	return 0;
}

/* Each block comes to one of them; then it is the end for all, and the position is there. */
static void share_reads(int fd, ssize_t block)
{
	struct reader readers[READERS];
	rota_task *tasks[READERS];
	char *bytes = malloc((size_t)block);
	unsigned tails = 0;

	for (int i = 0; i <= BLOCKS; i++) {
		const ssize_t len = i < BLOCKS ? block : TAIL;

		memset(bytes, i, (size_t)block);
		expect(write(fd, bytes, (size_t)len), ==, len);
	}
	free(bytes);
	expect(lseek(fd, 0, SEEK_SET), ==, 0);
	for (unsigned n = 0; n < READERS; n++) {
		readers[n] = (struct reader){ .fd = fd, .block = block };
		tasks[n] = unit_spawn(read_blocks, &readers[n]);
	}
	for (unsigned n = 0; n < READERS; n++)
		unit_expect_join(tasks[n], 0);
	for (unsigned i = 0; i < BLOCKS; i++) {
		unsigned seen = 0;

		for (unsigned n = 0; n < READERS; n++)
			seen += readers[n].seen[i];
		expect(seen, ==, 1);
	}
	for (unsigned n = 0; n < READERS; n++)
		tails += readers[n].tails;
	expect(tails, ==, 1);
	expect(lseek(fd, 0, SEEK_CUR), ==, BLOCKS * block + TAIL);
	close(fd);
}

static void shared_reads_script(const struct place *place)
{
	(void)place;
	share_reads(disk_file(), BLOCK);
	share_reads(disk_file(), SMALL_BLOCK);
	share_reads(memory_file(), BLOCK);
	share_reads(memory_file(), SMALL_BLOCK);
}

UNIT_TEST(fd, readers_at_a_position_that_they_share)
{
	in_fibers(shared_reads_script, 0);
	in_fibers(shared_reads_script, 1);
}

UNIT_TEST(fd, writers_at_a_position_that_they_share)
{
	in_fibers(shared_position_script, 0);
	in_fibers(shared_position_script, 1);
}
