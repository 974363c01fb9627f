/* SPDX-License-Identifier: MIT */
/* Descriptors to test with, made by plain system calls. */
#ifndef TESTS_UNIT_PLAIN_H
#define TESTS_UNIT_PLAIN_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#define plain_expect_bytes(actual, expected, len) \
	plain_expect_bytes_(__FILE__, __LINE__, #actual, (actual), (expected), (len))

static inline void plain_expect_bytes_(const char *file, int line, const char *what, const void *actual,
				       const void *expected, size_t len)
{
	const unsigned char *a = actual, *e = expected;

	for (size_t i = 0; i < len; i++) {
		if (a[i] != e[i])
			expect_failed_(file, line, what, a[i], e[i]);
	}
}

/* Each of the bytes is `value`. */
#define plain_expect_filled(actual, value, len) \
	plain_expect_filled_(__FILE__, __LINE__, #actual, (actual), (value), (len))

static inline void plain_expect_filled_(const char *file, int line, const char *what, const void *actual,
					unsigned char value, size_t len)
{
	const unsigned char *a = actual;

	for (size_t i = 0; i < len; i++) {
		if (a[i] != value)
			expect_failed_(file, line, what, a[i], value);
	}
}

/* fds[0] is read from, fds[1] is written to. */
static inline void plain_pipe(int fds[2])
{
	expect(pipe2(fds, O_CLOEXEC), ==, 0);
}

static inline void plain_pair(int fds[2])
{
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
}

static inline void plain_close(const int fds[2])
{
	expect(close(fds[0]), ==, 0);
	expect(close(fds[1]), ==, 0);
}

/* The descriptor by a number so high that nobody else is given it once it is closed, as may happen to a low one: the reactor
 * opens what the kernel says of a thread, at any time. */
static inline int plain_far(int fd)
{
	int far = fcntl(fd, F_DUPFD_CLOEXEC, 900);

	expect(far, >=, 900);
	close(fd);
	return far;
}

/* The descriptor by such a number, which was closed. */
static inline int plain_at(int fd, int number)
{
	expect(fcntl(number, F_GETFD), ==, -1);
	expect(dup3(fd, number, O_CLOEXEC), ==, number);
	close(fd);
	return number;
}

/* The number of a descriptor that was closed. */
static inline int plain_closed(void)
{
	int fd = plain_far(dup(STDERR_FILENO));

	close(fd);
	return fd;
}

static inline void plain_nonblock(int fd)
{
	expect(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), ==, 0);
}

static inline void plain_block(int fd)
{
	expect(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), ==, 0);
}

/* A terminal in its line mode: what is written to the master comes to the slave line by line. Returns the master. */
static inline int plain_terminal(int *ret_slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	expect(master, >=, 0);
	expect(grantpt(master), ==, 0);
	expect(unlockpt(master), ==, 0);
	*ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	expect(*ret_slave, >=, 0);
	return master;
}

/* Bytes that wait to be read. */
static inline int plain_waiting(int fd)
{
	int n = -1;

	expect(ioctl(fd, FIONREAD, &n), ==, 0);
	return n;
}

/* Whether nothing of a TCP connection is under way, which makes room when it arrives; of others nothing ever is. */
static inline bool plain_settled(int fd)
{
	int unacknowledged, unsent;

	return ioctl(fd, SIOCOUTQNSD, &unsent) < 0 || ioctl(fd, SIOCOUTQ, &unacknowledged) < 0 ||
	       unacknowledged == unsent;
}

/* Writes zeroes until there is no room, and will be none unless the other side reads; how many. */
static inline size_t plain_fill(int fd)
{
	static const char zeroes[4096];
	size_t filled = 0, before;
	ssize_t n;

	plain_nonblock(fd);
	do {
		before = filled;
		expect_eventually(plain_settled(fd));
		/* Byte by byte in the end: a pipe has room for a single one when it has none for a page. */
		for (size_t step = sizeof(zeroes); step > 0; step /= 16) {
			while ((n = write(fd, zeroes, step)) > 0)
				filled += (size_t)n;
		}
	} while (filled != before);
	plain_block(fd);
	return filled;
}

static inline struct sockaddr_in plain_address(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
}

/* A listening socket on the loopback, and its port. */
static inline int plain_listen(int backlog, int *ret_port)
{
	struct sockaddr_in address = plain_address(0);
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	expect(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	expect(listen(fd, backlog), ==, 0);
	expect(getsockname(fd, (struct sockaddr *)&address, &len), ==, 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static inline int plain_connect(int port)
{
	struct sockaddr_in address = plain_address(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	expect(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	return fd;
}

/* A TCP connection: fds[0] was accepted, fds[1] connected. */
static inline void plain_connection(int fds[2])
{
	int port;
	int listener = plain_listen(1, &port);

	fds[1] = plain_connect(port);
	fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	expect(fds[0], >=, 0);
	close(listener);
}

/* Closes a TCP socket so that the other end meets a reset. */
static inline void plain_reset(int fd)
{
	const struct linger linger = { 1, 0 };

	expect(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), ==, 0);
	close(fd);
}

/* A new, empty file. The path has room for 256 characters. */
static inline int plain_file(char *ret_path)
{
	const char *directory = getenv("TMPDIR");

	snprintf(ret_path, 256, "%s/rota-XXXXXX", directory != NULL ? directory : P_tmpdir);
	int fd = mkostemp(ret_path, O_CLOEXEC);
	expect(fd, >=, 0);
	return fd;
}

/* A new directory, for what cannot be a file from mkstemp. */
static inline void plain_directory(char *ret_path)
{
	const char *directory = getenv("TMPDIR");

	snprintf(ret_path, 256, "%s/rota-XXXXXX", directory != NULL ? directory : P_tmpdir);
	expect_pointer(mkdtemp(ret_path), !=, NULL);
}

#endif
