/* SPDX-License-Identifier: MIT */
/* Messages of several parts, with addresses; vectors; zero-copy sends whose buffers come back; addresses as text. */
#define _GNU_SOURCE
#include <net/if.h>
#include <sys/un.h>

#include "../../io/fd.h"
#include "../../io/socket.h"
#include "../../io/tcp.h"
#include "places.h"
#include "plain.h"

static ssize_t carry_sendmsg(const struct place *place, int fd, const struct msghdr *message, bool lends)
{
	struct rota_op op;

	if (lends)
		rota_op_sendmsg_zero_copy(&op, fd, message, 0);
	else
		rota_op_sendmsg(&op, fd, message, 0);
	return place->carry(place, &op.future);
}

/* --- parts ----------------------------------------------------------------------------------------------------------- */

static void parts_script(const struct place *place)
{
	char a[2], b[16];
	struct iovec out[2] = { { "one ", 4 }, { "two", 3 } };
	struct iovec in[2] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct msghdr sent = { .msg_iov = out, .msg_iovlen = 2 };
	struct msghdr received = { .msg_iov = in, .msg_iovlen = 2 };
	struct rota_op op;
	int fds[2];

	plain_connection(fds);
	for (int lends = 0; lends < 2; lends++) {
		expect(carry_sendmsg(place, fds[1], &sent, lends != 0), ==, 7);
		rota_op_recvmsg(&op, fds[0], &received, MSG_PEEK);
		expect(place->carry(place, &op.future), ==, 7);
		memset(b, 0, sizeof(b));
		rota_op_recvmsg(&op, fds[0], &received, 0);
		expect(place->carry(place, &op.future), ==, 7);
		plain_expect_bytes(a, "on", 2);
		plain_expect_bytes(b, "e two", 5);
	}
	rota_op_recvmsg(&op, fds[0], &received, MSG_DONTWAIT);
	expect(place->carry(place, &op.future), ==, -EAGAIN);
	close(fds[0]);
	plain_expect_bytes(b, "e two", 5);
	rota_op_sendmsg(&op, plain_closed(), &sent, 0);
	expect(place->carry(place, &op.future), ==, -EBADF);
	close(fds[1]);
}

UNIT_TEST(socket, parts)
{
	everyhow(parts_script);
}

static void late_writer(void *arg)
{
	expect(write(*(int *)arg, "abcdef", 6), ==, 6);
}

static void calls_script(const struct place *place)
{
	char a[2], b[16];
	const struct iovec out[2] = { { "one ", 4 }, { "two", 3 } };
	const struct iovec in[2] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct msghdr sent = { .msg_iov = (struct iovec *)(uintptr_t)out, .msg_iovlen = 2 };
	struct msghdr received = { .msg_iov = (struct iovec *)(uintptr_t)in, .msg_iovlen = 2 };
	struct party party;
	int fds[2];

	(void)place;
	plain_connection(fds);
	expect(rota_writev(fds[1], out, 2), ==, 7);
	expect(rota_readv(fds[0], in, 2), ==, 7);
	plain_expect_bytes(b, "e two", 5);
	expect(rota_readv(fds[0], in, -1), ==, -EINVAL);
	expect(rota_writev(fds[0], out, 1025), ==, -EINVAL);
	expect(rota_sendmsg(fds[1], &sent, 0), ==, 7);
	expect(rota_recvmsg(fds[0], &received, 0), ==, 7);
	/* Also on descriptors that do not wait. */
	plain_nonblock(fds[0]);
	party_start(&party, late_writer, &fds[1]);
	party_go(&party);
	expect(rota_recvmsg(fds[0], &received, 0), ==, 6);
	party_join(&party);
	expect(rota_send_zero_copy(fds[0], "xy", 2, 0), ==, 2);
	expect(rota_sendmsg_zero_copy(fds[0], &sent, 0), ==, 7);
	expect(rota_shutdown(fds[0], SHUT_WR), ==, 0);
	expect(rota_sendmsg(fds[0], &sent, 0), ==, -EPIPE); /* and no signal */
	expect(rota_send_zero_copy(fds[0], "x", 1, 0), ==, -EPIPE);
	plain_close(fds);
}

UNIT_TEST(socket, calls)
{
	everywhere(calls_script);
}

static void accept4_script(const struct place *place)
{
	int port;
	int listener = plain_listen(5, &port);
	int client = plain_connect(port);
	struct rota_op op;

	rota_op_accept4(&op, listener, NULL, NULL, SOCK_NONBLOCK);
	int fd = place->carry(place, &op.future);
	expect(fd, >=, 0);
	expect(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
	expect(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	close(fd);
	rota_op_accept4(&op, listener, NULL, NULL, 1 << 30);
	expect(place->carry(place, &op.future), ==, -EINVAL);
	close(client);
	close(listener);
}

UNIT_TEST(socket, accept4)
{
	everyhow(accept4_script);
}

/* --- zero copy ---------------------------------------------------------------------------------------------------------- */

enum { LENT = 300000 };

static void slow_reader(void *arg)
{
	const int fd = *(int *)arg;
	unsigned char *buf = malloc(LENT);
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, buf, LENT, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			expect(buf[i], ==, (unsigned char)((total + (size_t)i) / LENT + 1));
		total += (size_t)n;
		usleep(200);
	}
	expect(total, ==, 3 * LENT);
	free(buf);
}

/* As soon as a send is ready the buffer is used for the next: the other side finds what was in it at the time. */
static void lend_script(const struct place *place)
{
	unsigned char *buf = malloc(LENT);
	struct party party;
	struct rota_op op;
	int fds[2];

	plain_connection(fds);
	party_start(&party, slow_reader, &fds[0]);
	party_go(&party);
	for (unsigned char turn = 1; turn <= 3; turn++) {
		memset(buf, turn, LENT);
		for (size_t at = 0; at < LENT;) {
			rota_op_send_zero_copy(&op, fds[1], buf + at, LENT - at, 0);
			int n = place->carry(place, &op.future);
			expect(n, >, 0);
			at += (size_t)n;
		}
	}
	memset(buf, 99, LENT);
	expect(shutdown(fds[1], SHUT_WR), ==, 0);
	party_join(&party);
	plain_close(fds);
	/* Sockets that cannot: it is a send. */
	char in[4];
	plain_pair(fds);
	rota_op_send_zero_copy(&op, fds[0], "four", 4, 0);
	expect(place->carry(place, &op.future), ==, 4);
	expect(read(fds[1], in, 4), ==, 4);
	plain_close(fds);
	free(buf);
}

UNIT_TEST(socket, zero_copy)
{
	everyhow(lend_script);
}

struct caller {
	int fd;
	unsigned char *buf;
	int status;
};

static int call_lend(void *arg)
{
	struct caller *caller = arg;

	return (int)rota_send_zero_copy(caller->fd, caller->buf, LENT, MSG_WAITALL);
}

/* Cancelled while the other side does not read: what was sent counts, and the buffer is the caller's. */
static void cancel_lend_script(const struct place *place)
{
	struct caller caller = { .buf = malloc(LENT) };

	(void)place;
	for (uint64_t i = 0; i < 20; i++) {
		rota_task *task;
		int fds[2];
		char byte;

		plain_connection(fds);
		plain_fill(fds[1]);
		caller.fd = fds[1];
		expect(rota_spawn(&task, call_lend, &caller), ==, 0);
		rota_sleep(i * ROTA_US(50));
		expect(rota_cancel(task), ==, 0);
		if (i % 2 != 0)
			expect(read(fds[0], &byte, 1), ==, 1);
		expect(rota_join(task, &caller.status), ==, 0);
		if (caller.status < 0)
			expect(caller.status, ==, -ECANCELED);
		memset(caller.buf, 0x55, LENT);
		plain_close(fds);
	}
	free(caller.buf);
}

UNIT_TEST(socket, cancelled_zero_copy)
{
	in_fibers(cancel_lend_script, 0);
	in_fibers(cancel_lend_script, 1);
}

/* Writes to the buffer as soon as it is its own again. */
static int lend_and_reuse(void *arg)
{
	struct caller *caller = arg;
	int n = (int)rota_send_zero_copy(caller->fd, caller->buf, LENT, 0);

	memset(caller->buf, 0x55, LENT);
	return n;
}

static int close_it(void *arg)
{
	return rota_close(*(int *)arg);
}

struct drinker {
	int fd;
	size_t total;
};

static void drink(void *arg)
{
	struct drinker *drinker = arg;
	unsigned char buf[4096];
	ssize_t n;

	while ((n = recv(drinker->fd, buf, sizeof(buf), 0)) > 0) {
		plain_expect_filled(buf, 0x11, (size_t)n);
		drinker->total += (size_t)n;
	}
}

/* Given up, or closed, when the kernel has taken the bytes and the other side has not: they stay what they were. */
static void given_up_lend_script(const struct place *place)
{
	struct caller caller = { .buf = malloc(LENT) };

	(void)place;
	for (int closes = 0; closes < 2; closes++) {
		struct drinker drinker = { .total = 0 };
		rota_task *task, *closer = NULL;
		struct party party;
		int fds[2];

		plain_connection(fds);
		caller.fd = fds[1];
		drinker.fd = fds[0];
		memset(caller.buf, 0x11, LENT);
		party_start(&party, drink, &drinker);
		task = unit_spawn(lend_and_reuse, &caller);
		while (plain_waiting(fds[0]) == 0)
			expect(rota_yield(), ==, 0);
		if (closes)
			closer = unit_spawn(close_it, &fds[1]);
		else
			expect(rota_cancel(task), ==, 0);
		rota_sleep(ROTA_MS(1));
		party_go(&party);
		expect(rota_join(task, &caller.status), ==, 0);
		expect(caller.status, >, 0);
		if (closes)
			unit_expect_join(closer, 0);
		else
			close(fds[1]);
		party_join(&party);
		expect(drinker.total, ==, caller.status);
		close(fds[0]);
	}
	free(caller.buf);
}

UNIT_TEST(socket, given_up_zero_copy_keeps_its_bytes)
{
	in_fibers(given_up_lend_script, 0);
}

/* The other side takes nothing any more: who resets the connection has the buffer back. */
static void reset_lend_script(const struct place *place)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct caller caller = { .buf = malloc(LENT) };
	rota_task *task, *closer;
	int fds[2];

	(void)place;
	plain_connection(fds);
	caller.fd = fds[1];
	task = unit_spawn(lend_and_reuse, &caller);
	while (plain_waiting(fds[0]) == 0)
		expect(rota_yield(), ==, 0);
	closer = unit_spawn(close_it, &fds[1]);
	rota_sleep(ROTA_MS(1));
	(void)!connect(fds[1], &none, sizeof(none)); /* where the bytes were copied the close has not waited */
	expect(rota_join(task, &caller.status), ==, 0);
	unit_expect_join(closer, 0);
	close(fds[0]);
	free(caller.buf);
}

UNIT_TEST(socket, a_reset_gives_a_lent_buffer_back)
{
	in_fibers(reset_lend_script, 0);
}

/* --- addresses as text ---------------------------------------------------------------------------------------------------- */

UNIT_TEST(socket, addresses_as_text)
{
	struct rota_address address;
	char text[ROTA_ADDRESS_TEXT];

	expect(rota_resolve("192.0.2.7", "80", 0, &address, 1), ==, 1);
	expect(rota_address_format(&address, text, sizeof(text)), ==, 12);
	expect_text(text, "192.0.2.7:80");
	text[0] = '?';
	expect(rota_address_format(&address, text, 12), ==, -ENOSPC);
	expect(text[0], ==, '?');
	expect(rota_resolve("fe80::1%lo", "65535", 0, &address, 1), ==, 1);
	expect(rota_address_format(&address, text, sizeof(text)), ==, 18);
	expect_text(text, "[fe80::1%lo]:65535");
	address.addr.in6.sin6_scope_id = 987654;
	rota_address_format(&address, text, sizeof(text));
	expect_text(text, "[fe80::1%987654]:65535");
	expect(rota_resolve("::1", "1", 0, &address, 1), ==, 1);
	rota_address_format(&address, text, sizeof(text));
	expect_text(text, "[::1]:1");
	address.addr.any.sa_family = AF_UNIX;
	expect(rota_address_format(&address, text, sizeof(text)), ==, -EAFNOSUPPORT);
}
