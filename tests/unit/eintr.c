/* SPDX-License-Identifier: MIT */
/*
 * What a signal interrupts is made again, nobody hears of it, and nothing is lost or made twice. The test takes the place of
 * the C library's calls and says EINTR in the kernel's name: a signal that comes at that very moment cannot be sent. Real
 * signals are in fd.c; what a ring makes of EINTR is in ring.c.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "../../io/op.h"
#include "../../io/recv_stream.h"
#include "../../io/splice.h"
#include "../../io/tcp.h"
#include "../../io/udp.h"
#include "../../io/unix.h"
#include "places.h"
#include "plain.h"

/* --- calls that are interrupted -------------------------------------------------------------------------------------- */

/* So many of the next calls of this name are interrupted before they have done anything. */
static struct {
	const char *name; /* constant while there are any */
	unsigned left;    /* atomic */
} signals;

static bool interrupted(const char *name)
{
	unsigned left = __atomic_load_n(&signals.left, __ATOMIC_ACQUIRE);

	if (left > 0 && strcmp(name, signals.name) != 0)
		return false;
	while (left > 0 &&
	       !__atomic_compare_exchange_n(&signals.left, &left, left - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	if (left > 0)
		errno = EINTR;
	return left > 0;
}

static void interrupt_next(const char *name, unsigned n)
{
	signals.name = name;
	__atomic_store_n(&signals.left, n, __ATOMIC_RELEASE);
}

static void expect_interrupted(void)
{
	expect(__atomic_load_n(&signals.left, __ATOMIC_ACQUIRE), ==, 0);
}

#define INTERRUPTED(type, name, parameters, number, ...) \
	type name parameters \
	{ \
		return interrupted(#name) ? -1 : (type)syscall(number, __VA_ARGS__); \
	}

INTERRUPTED(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned n, int flags), SYS_sendmmsg, fd, messages, n,
	    flags)
INTERRUPTED(int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout),
	    SYS_recvmmsg, fd, messages, n, flags, timeout)
INTERRUPTED(ssize_t, splice, (int from, off64_t *at, int to, off64_t *into, size_t len, unsigned flags), SYS_splice,
	    from, at, to, into, len, flags)
INTERRUPTED(ssize_t, recv, (int fd, void *buf, size_t len, int flags), SYS_recvfrom, fd, buf, len, flags, NULL, NULL)
INTERRUPTED(int, connect, (int fd, const struct sockaddr *address, socklen_t len), SYS_connect, fd, address, len)
INTERRUPTED(ssize_t, preadv2, (int fd, const struct iovec *parts, int n, off_t offset, int flags), SYS_preadv2, fd,
	    parts, (long)n, offset, 0L, flags)
INTERRUPTED(ssize_t, read, (int fd, void *buf, size_t len), SYS_read, fd, buf, len)

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	const struct timespec ts = { timeout / 1000, timeout % 1000 * 1000000L };

	return interrupted("poll") ? -1 : (int)syscall(SYS_ppoll, fds, n, timeout >= 0 ? &ts : NULL, NULL, 0);
}

/* --- by whom they are made again --------------------------------------------------------------------------------------- */

static bool makes_calls(const struct place *place)
{
	return place->rt == NULL || unit_on_epoll(); /* a ring does not */
}

static void batch_script(const struct place *place)
{
	struct rota_udp_batch_op op;
	struct rota_udp_op bind;
	char byte = 0;
	struct rota_datagram datagram = { .data = (void *)"x", .len = 1 };

	rota_op_udp_bind(&bind, "127.0.0.1", "0", NULL);
	int fd = place->carry(place, &bind.future);
	datagram.address.len = sizeof(datagram.address.addr);
	expect(getsockname(fd, &datagram.address.addr.any, &datagram.address.len), ==, 0);
	interrupt_next("sendmmsg", 3);
	rota_op_udp_send(&op, fd, &datagram, 1);
	expect(place->carry(place, &op.future), ==, 1);
	expect_interrupted();
	interrupt_next("recvmmsg", 3);
	datagram = (struct rota_datagram){ .data = &byte, .size = 1 };
	rota_op_udp_recv(&op, fd, &datagram, 1);
	expect(place->carry(place, &op.future), ==, 1);
	expect_interrupted();
	expect(byte, ==, 'x');
	close(fd);
}

UNIT_TEST(eintr, batches_of_datagrams)
{
	everyhow(batch_script);
}

static void splice_script(const struct place *place)
{
	struct rota_splice_op op;
	int from[2], to[2];

	plain_pipe(from);
	plain_pipe(to);
	plain_nonblock(from[0]);
	plain_nonblock(to[1]);
	expect(write(from[1], "abc", 3), ==, 3);
	interrupt_next("splice", 3);
	rota_op_splice(&op, from[0], -1, to[1], -1, 3, 0);
	expect(place->carry(place, &op.future), ==, 3);
	expect_interrupted();
	expect(plain_waiting(to[0]), ==, 3);
	expect(plain_waiting(from[0]), ==, 0);
	plain_close(from);
	plain_close(to);
}

UNIT_TEST(eintr, splice)
{
	everyhow(splice_script);
}

/* Without a ring's stock a stream makes the call. */
static void stream_script(const struct place *place)
{
	struct rota_recv_stream stream;
	struct rota_buffer buffer;
	int fds[2];

	if (!makes_calls(place))
		return;
	plain_connection(fds);
	expect(write(fds[1], "abc", 3), ==, 3);
	rota_recv_stream_init(&stream, fds[0]);
	interrupt_next("recv", 3);
	rota_recv_stream_next_init(&stream, &buffer);
	expect(place->carry(place, &stream.future), ==, 3);
	expect_interrupted();
	plain_expect_bytes(buffer.data, "abc", 3);
	rota_buffer_release(&buffer);
	rota_recv_stream_close(&stream);
	plain_close(fds);
}

UNIT_TEST(eintr, receive_stream)
{
	everyhow(stream_script);
}

/* Reads and polls, by a plain thread, or by a worker without a ring. */
static void pipe_script(const struct place *place)
{
	struct rota_op op;
	char buf[8];
	int fds[2];

	if (!makes_calls(place))
		return;
	plain_pipe(fds);
	expect(write(fds[1], "abc", 3), ==, 3);
	for (unsigned n = 1; n <= 3; n++) {
		interrupt_next(place->rt == NULL ? "read" : "preadv2", n);
		rota_op_read(&op, fds[0], buf, 1, -1);
		expect(place->carry(place, &op.future), ==, 1);
		expect_interrupted();
		expect(buf[0], ==, "abc"[n - 1]);
	}
	expect(write(fds[1], "d", 1), ==, 1);
	interrupt_next("poll", 3);
	rota_op_poll(&op, fds[0], POLLIN);
	expect(place->carry(place, &op.future), ==, POLLIN);
	expect_interrupted();
	plain_close(fds);
}

UNIT_TEST(eintr, reads_and_polls)
{
	everyhow(pipe_script);
}

/* Outside of a runtime this call waits, and so may be interrupted. */
static void connect_script(const struct place *place)
{
	char directory[256], path[300];
	struct rota_unix_connect_op op;

	plain_directory(directory);
	snprintf(path, sizeof(path), "%s/socket", directory);
	int listener = rota_unix_listen(path, SOCK_STREAM, 5);
	expect(listener, >=, 0);
	interrupt_next("connect", 3);
	rota_op_unix_connect(&op, path, SOCK_STREAM);
	int fd = place->carry(place, &op.future);
	expect(fd, >=, 0);
	expect_interrupted();
	close(fd);
	expect(rota_unix_unbind(listener), ==, 0);
	close(listener);
	expect(rmdir(directory), ==, 0);
}

UNIT_TEST(eintr, connect_to_a_pathname)
{
	place_run(&place_kinds[0], 0, connect_script, NULL);
}
