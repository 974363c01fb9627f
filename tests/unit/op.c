/* SPDX-License-Identifier: MIT */
/*
 * Operations as futures: each kind, carried out in every way there is; bad arguments; descriptors that are closed, of
 * another kind, or broken.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>

#include "../../io/op.h"

#include "places.h"
#include "plain.h"

static int carry(const struct place *place, struct rota_op *op)
{
	return place->carry(place, &op->future);
}

/* --- each kind ---------------------------------------------------------------------------------------------------- */

static void write_file(const struct place *place, int fd)
{
	struct iovec parts[] = { { (void *)"ef", 2 }, { (void *)"ghi", 3 } };
	struct rota_op op;

	rota_op_write(&op, fd, "abc", 3, -1);
	expect(carry(place, &op), ==, 3);
	rota_op_write(&op, fd, "d", 1, 3);
	expect(carry(place, &op), ==, 1);
	rota_op_writev(&op, fd, parts, 2, 4);
	expect(carry(place, &op), ==, 5);
	rota_op_writev(&op, fd, parts, 1, -1); /* the position is still 3 */
	expect(carry(place, &op), ==, 2);
	rota_op_fsync(&op, fd, false);
	expect(carry(place, &op), ==, 0);
	rota_op_fsync(&op, fd, true);
	expect(carry(place, &op), ==, 0);
}

static void read_file(const struct place *place, int fd)
{
	char one[16] = "", two[16] = "";
	struct iovec parts[] = { { one, 4 }, { two, sizeof(two) } };
	struct rota_op op;

	rota_op_read(&op, fd, one, sizeof(one), -1); /* from the position, 5, to the end */
	expect(carry(place, &op), ==, 4);
	plain_expect_bytes(one, "fghi", 4);
	rota_op_read(&op, fd, one, sizeof(one), -1);
	expect(carry(place, &op), ==, 0);
	rota_op_read(&op, fd, one, 3, 1);
	expect(carry(place, &op), ==, 3);
	plain_expect_bytes(one, "bce", 3);
	rota_op_readv(&op, fd, parts, 2, 0);
	expect(carry(place, &op), ==, 9);
	plain_expect_bytes(one, "abce", 4);
	plain_expect_bytes(two, "ffghi", 5);
	rota_op_readv(&op, fd, parts, 2, -1);
	expect(carry(place, &op), ==, 0);
}

static void file_script(const struct place *place)
{
	char path[256];
	struct statx status;
	struct rota_op op;

	close(plain_file(path));
	rota_op_open(&op, path, O_RDWR, 0);
	int fd = carry(place, &op);
	expect(fd, >=, 0);
	expect(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	write_file(place, fd);
	read_file(place, fd);
	rota_op_statx(&op, AT_FDCWD, path, 0, STATX_SIZE, &status);
	expect(carry(place, &op), ==, 0);
	expect(status.stx_size, ==, 9);
	rota_op_statx(&op, fd, "", AT_EMPTY_PATH, STATX_SIZE, &status);
	expect(carry(place, &op), ==, 0);
	rota_op_close(&op, fd);
	expect(carry(place, &op), ==, 0);
	unlink(path);
}

UNIT_TEST(op, files)
{
	everyhow(file_script);
}

static void write_xyz(void *arg)
{
	expect(write(*(int *)arg, "xyz", 3), ==, 3);
}

static void drain_page(void *arg)
{
	char page[4096];

	expect(read(*(int *)arg, page, sizeof(page)), ==, sizeof(page));
}

/* Reading, writing and polling wait; whether the descriptor is non-blocking makes no difference. */
static void waiting_script(const struct place *place, bool nonblocking)
{
	char buf[16] = "";
	struct party party;
	struct rota_op op;
	int fds[2];

	plain_pipe(fds);
	if (nonblocking) {
		plain_nonblock(fds[0]);
		plain_nonblock(fds[1]);
	}
	party_start(&party, write_xyz, &fds[1]);
	rota_op_read(&op, fds[0], buf, sizeof(buf), -1);
	party_go(&party);
	expect(carry(place, &op), ==, 3);
	plain_expect_bytes(buf, "xyz", 3);
	party_join(&party);

	party_start(&party, write_xyz, &fds[1]);
	rota_op_poll(&op, fds[0], POLLIN);
	party_go(&party);
	expect(carry(place, &op), ==, POLLIN);
	party_join(&party);
	expect(read(fds[0], buf, 3), ==, 3);

	plain_fill(fds[1]);
	if (nonblocking)
		plain_nonblock(fds[1]);
	party_start(&party, drain_page, &fds[0]);
	rota_op_write(&op, fds[1], "!", 1, -1);
	party_go(&party);
	expect(carry(place, &op), ==, 1);
	party_join(&party);
	plain_close(fds);
}

static void pipe_script(const struct place *place)
{
	waiting_script(place, false);
}

UNIT_TEST(op, pipes)
{
	everyhow(pipe_script);
}

static void nonblocking_pipe_script(const struct place *place)
{
	waiting_script(place, true);
}

UNIT_TEST(op, non_blocking_pipes_are_waited_for)
{
	everyhow(nonblocking_pipe_script);
}

static void connect_to(void *arg)
{
	int *port_in_fd_out = arg;

	*port_in_fd_out = plain_connect(*port_in_fd_out);
}

/* The other end of the socket: sends what was received. */
static void answer(void *arg)
{
	int fd = *(int *)arg;
	char buf[16];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	expect(n, ==, 4);
	expect(send(fd, buf, 4, 0), ==, 4);
	expect(shutdown(fd, SHUT_WR), ==, 0);
}

static void socket_script(const struct place *place, bool nonblocking)
{
	char buf[16] = "";
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	struct party party;
	struct rota_op op;
	int port, peer;
	int listener = plain_listen(5, &port);

	if (nonblocking)
		plain_nonblock(listener);
	peer = port;
	party_start(&party, connect_to, &peer);
	rota_op_accept(&op, listener, (struct sockaddr *)&address, &len);
	party_go(&party);
	int fd = carry(place, &op);
	party_join(&party);
	expect(fd, >=, 0);
	expect(len, ==, sizeof(address));
	expect(ntohl(address.sin_addr.s_addr), ==, INADDR_LOOPBACK);
	expect(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	if (nonblocking)
		plain_nonblock(fd);
	rota_op_send(&op, fd, "ping", 4, 0);
	expect(carry(place, &op), ==, 4);
	party_start(&party, answer, &peer);
	rota_op_recv(&op, fd, buf, sizeof(buf), 0);
	party_go(&party);
	expect(carry(place, &op), ==, 4);
	plain_expect_bytes(buf, "ping", 4);
	rota_op_recv(&op, fd, buf, sizeof(buf), 0); /* the half that was closed */
	expect(carry(place, &op), ==, 0);
	party_join(&party);
	close(peer);
	close(fd);
	close(listener);
}

static void blocking_socket_script(const struct place *place)
{
	socket_script(place, false);
}

static void nonblocking_socket_script(const struct place *place)
{
	socket_script(place, true);
}

UNIT_TEST(op, sockets)
{
	everyhow(blocking_socket_script);
}

UNIT_TEST(op, non_blocking_sockets_are_waited_for)
{
	everyhow(nonblocking_socket_script);
}

static void connect_script(const struct place *place)
{
	struct sockaddr_in address;
	struct rota_op op;
	int port;
	int listener = plain_listen(5, &port);

	address = plain_address(port);
	for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
		rota_op_connect(&op, fd, (struct sockaddr *)&address, sizeof(address));
		expect(carry(place, &op), ==, 0);
		int peer = accept(listener, NULL, NULL);
		expect(send(peer, "z", 1, 0), ==, 1);
		char byte = 0;
		rota_op_recv(&op, fd, &byte, 1, 0);
		expect(carry(place, &op), ==, 1);
		expect(byte, ==, 'z');
		close(peer);
		close(fd);
	}
	close(listener);
	for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
		rota_op_connect(&op, fd, (struct sockaddr *)&address, sizeof(address));
		expect(carry(place, &op), ==, -ECONNREFUSED);
		close(fd);
	}
}

UNIT_TEST(op, connect)
{
	everyhow(connect_script);
}

static void dontwait_script(const struct place *place)
{
	struct rota_op op;
	char byte;
	int fds[2];

	plain_pair(fds);
	rota_op_recv(&op, fds[0], &byte, 1, MSG_DONTWAIT);
	expect(carry(place, &op), ==, -EAGAIN);
	plain_nonblock(fds[0]);
	rota_op_recv(&op, fds[0], &byte, 1, MSG_DONTWAIT);
	expect(carry(place, &op), ==, -EAGAIN);
	plain_fill(fds[1]);
	rota_op_send(&op, fds[1], "x", 1, MSG_DONTWAIT);
	expect(carry(place, &op), ==, -EAGAIN);
	plain_close(fds);
}

UNIT_TEST(op, dontwait)
{
	everyhow(dontwait_script);
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

static void closed_script(const struct place *place)
{
	const struct sockaddr_in address = plain_address(1);
	char buf[4];
	struct iovec part = { buf, sizeof(buf) };
	const int fd = plain_closed();
	struct statx status;
	struct rota_op op;

	rota_op_read(&op, fd, buf, 1, -1);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_read(&op, fd, buf, 1, 0);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_write(&op, fd, "", 1, -1);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_readv(&op, fd, &part, 1, 0);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_writev(&op, fd, &part, 1, 0);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_recv(&op, fd, buf, 1, 0);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_send(&op, fd, "", 1, 0);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_accept(&op, fd, NULL, NULL);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_connect(&op, fd, (const struct sockaddr *)&address, sizeof(address));
	expect(carry(place, &op), ==, -EBADF);
	rota_op_poll(&op, fd, POLLIN);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_fsync(&op, fd, false);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_statx(&op, fd, "name", 0, STATX_SIZE, &status);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_close(&op, fd);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_close(&op, -1);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_poll(&op, -1, POLLIN);
	expect(carry(place, &op), ==, -EBADF);
}

UNIT_TEST(op, closed_descriptors)
{
	everyhow(closed_script);
}

/* A file is ready at once, or for ever not. */
static void never_ready_script(const struct place *place)
{
	const short events[] = { POLLPRI, POLLRDHUP, 0 };
	struct rota_op op;
	int fd = open("/proc/self/exe", O_RDONLY);

	expect(fd, >=, 0);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		rota_op_poll(&op, fd, events[i]);
		expect(carry(place, &op), ==, -EINVAL);
		rota_op_poll(&op, fd, events[i] | POLLIN);
		expect(carry(place, &op), ==, POLLIN);
	}
	close(fd);
}

UNIT_TEST(op, what_is_never_ready)
{
	everyhow_inside(never_ready_script, 0);
}

static void wrong_kind_script(const struct place *place)
{
	struct rota_op op;
	char byte;
	int fds[2];

	plain_pipe(fds);
	expect(write(fds[1], "abc", 3), ==, 3);
	rota_op_recv(&op, fds[0], &byte, 1, 0);
	expect(carry(place, &op), ==, -ENOTSOCK);
	rota_op_accept(&op, fds[0], NULL, NULL);
	expect(carry(place, &op), ==, -ENOTSOCK);
	rota_op_write(&op, fds[0], "", 1, -1);
	expect(carry(place, &op), ==, -EBADF);
	rota_op_fsync(&op, fds[0], false);
	expect(carry(place, &op), ==, -EINVAL);
	plain_close(fds);
}

UNIT_TEST(op, wrong_kinds_of_descriptors)
{
	everyhow(wrong_kind_script);
}

/* Where there are no offsets, an offset is refused and nothing moves. */
static void no_offset(const struct place *place, const int fds[2])
{
	struct rota_op op;
	char byte = 'x';
	struct iovec part = { &byte, 1 };

	expect(write(fds[1], "abc", 3), ==, 3);
	rota_op_read(&op, fds[0], &byte, 1, 0);
	expect(carry(place, &op), ==, -ESPIPE);
	rota_op_write(&op, fds[1], "x", 1, 0);
	expect(carry(place, &op), ==, -ESPIPE);
	rota_op_readv(&op, fds[0], &part, 1, 0);
	expect(carry(place, &op), ==, -ESPIPE);
	rota_op_writev(&op, fds[1], &part, 1, 0);
	expect(carry(place, &op), ==, -ESPIPE);
	expect(plain_waiting(fds[0]), ==, 3);
	plain_close(fds);
}

static void no_offset_script(const struct place *place)
{
	int fds[2];

	plain_pipe(fds);
	no_offset(place, fds);
	plain_pair(fds);
	no_offset(place, fds);
}

UNIT_TEST(op, offsets_where_there_are_none)
{
	everyhow(no_offset_script);
}

/* No signal, as the default one would end the test. */
static void broken_pipe_script(const struct place *place)
{
	struct iovec part = { (void *)"x", 1 };
	struct rota_op op;
	int fds[2];

	plain_pipe(fds);
	close(fds[0]);
	rota_op_write(&op, fds[1], "x", 1, -1);
	expect(carry(place, &op), ==, -EPIPE);
	rota_op_writev(&op, fds[1], &part, 1, -1);
	expect(carry(place, &op), ==, -EPIPE);
	close(fds[1]);
	plain_pair(fds);
	close(fds[0]);
	rota_op_write(&op, fds[1], "x", 1, -1);
	expect(carry(place, &op), ==, -EPIPE);
	rota_op_send(&op, fds[1], "x", 1, 0);
	expect(carry(place, &op), ==, -EPIPE);
	close(fds[1]);
}

UNIT_TEST(op, broken_pipes_raise_no_signal)
{
	everyhow(broken_pipe_script);
}

static void bad_argument_script(const struct place *place)
{
	static struct iovec parts[1025];
	struct statx status;
	struct rota_op op;
	char byte, path[256];
	int fd = plain_file(path);

	rota_op_read(&op, fd, &byte, 1, -2);
	expect(carry(place, &op), ==, -EINVAL);
	rota_op_write(&op, fd, "x", 1, LONG_MIN);
	expect(carry(place, &op), ==, -EINVAL);
	rota_op_readv(&op, fd, parts, -1, 0);
	expect(carry(place, &op), ==, -EINVAL);
	rota_op_readv(&op, fd, parts, 1025, 0);
	expect(carry(place, &op), ==, -EINVAL);
	rota_op_writev(&op, fd, parts, INT_MIN, 0);
	expect(carry(place, &op), ==, -EINVAL);
	rota_op_readv(&op, fd, parts, 0, 0);
	expect(carry(place, &op), ==, 0);
	rota_op_read(&op, fd, (void *)1, 1, 0);
	expect(carry(place, &op), ==, 0); /* the end of the file: the address does not matter */
	rota_op_write(&op, fd, (void *)1, 1, 0);
	expect(carry(place, &op), ==, -EFAULT);
	rota_op_readv(&op, fd, NULL, 1, -1);
	expect(carry(place, &op), ==, -EFAULT);
	rota_op_writev(&op, fd, NULL, 1, -1);
	expect(carry(place, &op), ==, -EFAULT);
	rota_op_statx(&op, AT_FDCWD, path, 0, ~0u, &status); /* with the bit that is reserved */
	expect(carry(place, &op), ==, -EINVAL);
	rota_op_open(&op, "/nonexistent/file", O_RDONLY, 0);
	expect(carry(place, &op), ==, -ENOENT);
	rota_op_open(&op, path, O_CREAT | O_EXCL | O_RDWR, 0600);
	expect(carry(place, &op), ==, -EEXIST);
	close(fd);
	unlink(path);
}

UNIT_TEST(op, bad_arguments)
{
	everyhow(bad_argument_script);
}

static void once_more_script(const struct place *place)
{
	struct rota_op op;
	char byte = 0;
	int fds[2];

	plain_pipe(fds);
	for (int i = 0; i < 300; i++) {
		char sent = (char)i;

		rota_op_write(&op, fds[1], &sent, 1, -1);
		expect(carry(place, &op), ==, 1);
		rota_op_read(&op, fds[0], &byte, 1, -1);
		expect(carry(place, &op), ==, 1);
		expect(byte, ==, sent);
	}
	plain_close(fds);
}

UNIT_TEST(op, is_filled_in_again)
{
	everyhow(once_more_script);
}

/* A length beyond what an int can say is cut, not refused. */
static void huge_script(const struct place *place)
{
	char *buf = calloc(1, 64);
	struct rota_op op;
	int fds[2];

	plain_pipe(fds);
	expect(write(fds[1], "hello", 5), ==, 5);
	rota_op_read(&op, fds[0], buf, (size_t)SSIZE_MAX, -1);
	expect(carry(place, &op), ==, 5);
	plain_expect_bytes(buf, "hello", 6);
	plain_close(fds);
	free(buf);
}

UNIT_TEST(op, huge_lengths_are_cut)
{
	everyhow(huge_script);
}
