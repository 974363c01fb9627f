/* SPDX-License-Identifier: MIT */
/*
 * Listening, connecting, accepting, and talking, from every place that a call may come from; what goes wrong: nobody
 * there, the port in use, names that do not exist, peers that close half, close all or reset, no descriptor left.
 */
#define _GNU_SOURCE
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "../../io/fd.h"
#include "../../io/tcp.h"
#include "places.h"
#include "plain.h"

static const char *port_text(int port)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", port);
	return text;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	expect(getsockopt(fd, level, name, &value, &len), ==, 0);
	return value;
}

/* --- listen and connect ---------------------------------------------------------------------------------------------- */

/* Both ends, by the names given. */
static void meet(const char *listen_host, const char *connect_host)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char byte = 0;

	int listener = rota_tcp_listen(listen_host, "0", 0);
	expect(listener, >=, 0);
	expect(fcntl(listener, F_GETFD), ==, FD_CLOEXEC);
	expect(option(listener, SOL_SOCKET, SO_REUSEADDR), ==, 1);
	int port = rota_local_port(listener);
	expect(port, >, 0);
	int fd = rota_tcp_connect(connect_host, port_text(port));
	expect(fd, >=, 0);
	expect(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	expect(option(fd, IPPROTO_TCP, TCP_NODELAY), ==, 1);
	int peer = rota_accept(listener, (struct sockaddr *)&address, &len);
	expect(peer, >=, 0);
	expect(fcntl(peer, F_GETFD), ==, FD_CLOEXEC);
	expect(rota_local_port(peer), ==, port);
	expect(ntohs(((struct sockaddr_in *)&address)->sin_port), ==, rota_local_port(fd)); /* same place in v6 */
	expect(rota_send(fd, "x", 1, 0), ==, 1);
	expect(rota_recv(peer, &byte, 1, 0), ==, 1);
	expect(byte, ==, 'x');
	expect(rota_close(fd), ==, 0);
	expect(rota_close(peer), ==, 0);
	expect(rota_close(listener), ==, 0);
}

static void meet_script(const struct place *place)
{
	(void)place;
	meet("127.0.0.1", "127.0.0.1");
	meet("localhost", "localhost");
	meet(NULL, "127.0.0.1");
	meet("127.0.0.1", NULL);
}

UNIT_TEST(tcp, listen_and_connect)
{
	everywhere(meet_script);
}

static void meet6_script(const struct place *place)
{
	(void)place;
	meet("::1", "::1");
}

UNIT_TEST(tcp, listen_and_connect_v6)
{
	const struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;

	if (fd >= 0)
		close(fd);
	if (has)
		everywhere(meet6_script);
	else
		cr_skip("no IPv6 here");
}

static void nobody_script(const struct place *place)
{
	int port;
	int listener = plain_listen(1, &port);

	(void)place;
	expect(rota_tcp_listen("127.0.0.1", port_text(port), 0), ==, -EADDRINUSE);
	expect(rota_tcp_listen("192.0.2.1", "0", 0), ==, -EADDRNOTAVAIL); /* of documentation, nobody's */
	close(listener);
	expect(rota_tcp_connect("127.0.0.1", port_text(port)), ==, -ECONNREFUSED);
	expect(rota_tcp_connect("localhost", port_text(port)), ==, -ECONNREFUSED);
	/* The port may be had again at once. */
	listener = rota_tcp_listen("127.0.0.1", port_text(port), 0);
	expect(listener, >=, 0);
	expect(rota_local_port(listener), ==, port);
	expect(rota_close(listener), ==, 0);
}

UNIT_TEST(tcp, port_in_use_and_connection_refused)
{
	everywhere(nobody_script);
}

/* What the resolver says without a network differs: it does not exist, or it cannot be told now. */
static void expect_unknown(int rc)
{
	if (rc != -EAGAIN)
		expect(rc, ==, -ENOENT);
}

static void unknown_script(const struct place *place)
{
	(void)place;
	expect_unknown(rota_tcp_connect("no-such-host.invalid", "80"));
	expect_unknown(rota_tcp_listen("no-such-host.invalid", "0", 0));
	expect(rota_tcp_connect("127.0.0.1", "no-such-service"), ==, -ENOENT);
	expect(rota_tcp_listen("127.0.0.1", "no-such-service", 0), ==, -ENOENT);
	expect(rota_tcp_listen(NULL, "no-such-service", 0), ==, -ENOENT);
	expect(rota_tcp_connect("127.0.0.1", NULL), ==, -EINVAL);
	expect(rota_tcp_listen(NULL, NULL, 0), ==, -EINVAL);
	expect_unknown(rota_tcp_connect("", "80"));
	expect(rota_tcp_connect("127.0.0.1", "99999"), <, 0);
	expect(rota_tcp_listen("127.0.0.1", "-1", 0), <, 0);
	expect(rota_local_port(-1), ==, -EBADF);
	int fds[2];
	plain_pipe(fds);
	expect(rota_local_port(fds[0]), ==, -ENOTSOCK);
	expect(rota_shutdown(fds[0], SHUT_RDWR), ==, -ENOTSOCK);
	plain_close(fds);
	expect(rota_shutdown(fds[0], SHUT_RDWR), ==, -EBADF);
	plain_pair(fds);
	expect(rota_local_port(fds[0]), ==, -EAFNOSUPPORT);
	expect(rota_shutdown(fds[0], 99), ==, -EINVAL);
	plain_close(fds);
}

UNIT_TEST(tcp, unknown_names_and_bad_arguments)
{
	everywhere(unknown_script);
}

static void connect_script(const struct place *place)
{
	int port;
	int listener = plain_listen(1, &port);
	struct sockaddr_in address = plain_address(port);

	(void)place;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(rota_connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	expect(rota_connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, -EISCONN);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(rota_connect(fd, (struct sockaddr *)&address, 1), ==, -EINVAL);
	address.sin_family = 99;
	expect(rota_connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, -EAFNOSUPPORT);
	expect(rota_accept(fd, NULL, NULL), ==, -EINVAL); /* it does not listen */
	expect(rota_send(fd, "x", 1, 0), ==, -EPIPE);     /* it is not connected */
	char byte;
	expect(rota_recv(fd, &byte, 1, 0), ==, -ENOTCONN);
	close(fd);
	close(listener);
}

UNIT_TEST(tcp, connect)
{
	everywhere(connect_script);
}

/* The two that resolve, as futures. */
static void future_script(const struct place *place)
{
	struct rota_tcp_op op;

	rota_op_tcp_listen(&op, "localhost", "0", 5);
	int listener = place->carry(place, &op.future);
	expect(listener, >=, 0);
	const char *port = port_text(rota_local_port(listener));
	rota_op_tcp_connect(&op, "localhost", port);
	int fd = place->carry(place, &op.future);
	expect(fd, >=, 0);
	close(fd);
	rota_op_tcp_connect(&op, "127.0.0.1", port);
	rota_future_cancel(&op.future);
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	close(listener);
	rota_op_tcp_connect(&op, "127.0.0.1", port);
	expect(place->carry(place, &op.future), ==, -ECONNREFUSED);
	rota_op_tcp_connect(&op, "127.0.0.1", "no-such-service");
	expect(place->carry(place, &op.future), ==, -ENOENT);
	rota_op_tcp_listen(&op, NULL, NULL, 0);
	expect(place->carry(place, &op.future), ==, -EINVAL);
}

UNIT_TEST(tcp, futures)
{
	everyhow(future_script);
}

/* --- talk ------------------------------------------------------------------------------------------------------------ */

static void half_close_script(const struct place *place)
{
	char buf[8];
	int fds[2];

	(void)place;
	plain_connection(fds);
	expect(rota_send(fds[0], "bye", 3, MSG_MORE), ==, 3);
	expect(rota_shutdown(fds[0], SHUT_WR), ==, 0);
	expect(rota_recv(fds[1], buf, sizeof(buf), MSG_WAITALL), ==, 3); /* all that comes before the end */
	expect(rota_recv(fds[1], buf, sizeof(buf), 0), ==, 0);
	expect(rota_read(fds[1], buf, sizeof(buf)), ==, 0);
	expect(rota_send(fds[0], "x", 1, 0), ==, -EPIPE); /* and no signal */
	expect(rota_write(fds[0], "x", 1), ==, -EPIPE);
	expect(rota_send(fds[1], "answer", 6, 0), ==, 6); /* the other half still works */
	expect(rota_recv(fds[0], buf, 2, MSG_PEEK), ==, 2);
	expect(rota_read_exact(fds[0], buf, 6), ==, 6);
	plain_expect_bytes(buf, "answer", 6);
	expect(rota_recv(fds[0], buf, 1, MSG_DONTWAIT), ==, -EAGAIN);
	expect(rota_poll_fd(fds[1], POLLIN | POLLRDHUP), ==, POLLIN | POLLRDHUP);
	expect(rota_poll_fd(fds[1], POLLIN), ==, POLLIN);
	plain_close(fds);
}

UNIT_TEST(tcp, half_close)
{
	everywhere(half_close_script);
}

/* --- polls of a connection whose other side sends no more ------------------------------------------------------------ */

struct polling {
	int fd;
	short events;
	rota_task *task;
};

static int poll_it(void *arg)
{
	const struct polling *polling = arg;

	return rota_poll_fd(polling->fd, polling->events);
}

static void not_asked_script(const struct place *place)
{
	struct polling pollings[2];
	char buf[4096];
	int fds[2];

	(void)place;
	plain_pair(fds); /* which keeps no room back */
	plain_fill(fds[1]);
	pollings[0] = (struct polling){ .fd = fds[1], .events = POLLPRI };
	pollings[1] = (struct polling){ .fd = fds[1], .events = POLLOUT };
	expect(shutdown(fds[0], SHUT_WR), ==, 0);
	expect(rota_poll_fd(fds[1], POLLRDHUP), ==, POLLRDHUP);
	for (int i = 0; i < 2; i++) {
		pollings[i].task = unit_spawn(poll_it, &pollings[i]);
		unit_until_resting(pollings[i].task);
	}
	while (recv(fds[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	unit_expect_join(pollings[1].task, POLLOUT);
	expect(shutdown(fds[1], SHUT_WR), ==, 0);
	unit_expect_join(pollings[0].task, POLLHUP);
	plain_close(fds);
}

UNIT_TEST(tcp, a_poll_is_told_what_it_asked_for)
{
	in_fibers(not_asked_script, 0);
}

static void reset_peer(void *arg)
{
	plain_reset(*(int *)arg);
}

/* What the plain calls answer at once: there is no urgent byte, nothing in the error queue, and no listener. */
static void never_wait_script(const struct place *place)
{
	char byte;
	int listener = rota_tcp_listen("127.0.0.1", "0", 1), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	socklen_t len = sizeof(address);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ends[2];

	(void)place;
	expect(pipe2(ends, O_CLOEXEC), ==, 0);
	expect(getsockname(listener, (struct sockaddr *)&address, &len), ==, 0);
	expect(rota_accept(udp, NULL, NULL), ==, -EOPNOTSUPP);
	expect(rota_accept(ends[0], NULL, NULL), ==, -ENOTSOCK);
	expect(rota_accept(fd, NULL, NULL), ==, -EINVAL);
	expect(rota_connect(fd, (struct sockaddr *)&address, len), ==, 0);
	expect(rota_recv(fd, &byte, 1, MSG_DONTWAIT), ==, -EAGAIN);
	expect(rota_recv(fd, &byte, 1, MSG_OOB), ==, -EINVAL);
	expect(rota_recv(fd, &byte, 1, MSG_ERRQUEUE), ==, -EAGAIN);
	expect(rota_recvmsg(fd, &message, MSG_ERRQUEUE), ==, -EAGAIN);
	close(ends[0]);
	close(ends[1]);
	close(udp);
	close(fd);
	close(listener);
}

UNIT_TEST(tcp, what_never_waits)
{
	everywhere(never_wait_script);
}

static void reset_script(const struct place *place)
{
	struct party party;
	char byte;
	int fds[2];

	(void)place;
	plain_connection(fds);
	party_start(&party, reset_peer, &fds[1]);
	party_go(&party);
	expect(rota_recv(fds[0], &byte, 1, 0), ==, -ECONNRESET);
	party_join(&party);
	expect(rota_recv(fds[0], &byte, 1, 0), ==, 0); /* it is told once */
	expect(rota_send(fds[0], "x", 1, 0), ==, -EPIPE);
	expect(rota_poll_fd(fds[0], POLLIN) & POLLHUP, ==, POLLHUP);
	close(fds[0]);
	plain_connection(fds);
	plain_reset(fds[1]);
	expect(rota_write_all(fds[0], "x", 1), <, 0);
	close(fds[0]);
}

UNIT_TEST(tcp, reset)
{
	everywhere(reset_script);
}

enum { MESSAGE = 200000 };

static void echo_peer(void *arg)
{
	char *buf = malloc(MESSAGE);
	const int fd = *(int *)arg;
	ssize_t n;

	while ((n = recv(fd, buf, MESSAGE, 0)) > 0)
		expect(send(fd, buf, (size_t)n, 0), ==, n);
	expect(n, ==, 0);
	expect(shutdown(fd, SHUT_WR), ==, 0);
	free(buf);
}

static void echo_script(const struct place *place)
{
	unsigned char *out = malloc(MESSAGE), *in = calloc(1, MESSAGE);
	struct party party;
	int fds[2];

	(void)place;
	plain_connection(fds);
	for (unsigned i = 0; i < MESSAGE; i++)
		out[i] = (unsigned char)(i * 7 % 253);
	party_start(&party, echo_peer, &fds[1]);
	party_go(&party);
	/* No more than what the sockets hold is under way. */
	for (size_t at = 0; at < MESSAGE; at += 10000) {
		expect(rota_write_all(fds[0], out + at, 10000), ==, 10000);
		expect(rota_read_exact(fds[0], in + at, 10000), ==, 10000);
	}
	plain_expect_bytes(in, out, MESSAGE);
	expect(rota_shutdown(fds[0], SHUT_WR), ==, 0);
	expect(rota_read_exact(fds[0], in, 1), ==, 0);
	party_join(&party);
	plain_close(fds);
	free(in);
	free(out);
}

UNIT_TEST(tcp, echo)
{
	everywhere(echo_script);
}

/* --- no descriptor left ----------------------------------------------------------------------------------------------- */

static void exhausted_script(const struct place *place)
{
	struct rlimit old, low;
	int port;
	int listener = plain_listen(5, &port);
	int first = plain_connect(port);

	(void)place;
	expect(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
	low = (struct rlimit){ (rlim_t)first + 1, old.rlim_max };
	expect(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
	for (int i = 0; i < 3; i++) {
		expect(rota_accept(listener, NULL, NULL), ==, -EMFILE);
		expect(rota_tcp_connect("127.0.0.1", port_text(port)), ==, -EMFILE);
		expect(rota_tcp_listen("127.0.0.1", "0", 0), ==, -EMFILE);
	}
	expect(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
	int peer = rota_accept(listener, NULL, NULL); /* it has waited */
	expect(peer, >=, 0);
	expect(rota_send(peer, "x", 1, 0), ==, 1);
	expect(rota_close(peer), ==, 0);
	close(first);
	close(listener);
}

UNIT_TEST(tcp, no_descriptor_left)
{
	everywhere(exhausted_script);
}

/* --- cancelling ------------------------------------------------------------------------------------------------------ */

struct caller {
	int fd, port;
	rota_task *task;
	int status;
};

static int call_accept(void *arg)
{
	int fd = rota_accept(((struct caller *)arg)->fd, NULL, NULL);

	if (fd >= 0)
		expect(rota_close(fd), ==, 0);
	return fd;
}

static int call_recv(void *arg)
{
	char byte;

	return (int)rota_recv(((struct caller *)arg)->fd, &byte, 1, 0);
}

static int call_connect(void *arg)
{
	int fd = rota_tcp_connect("127.0.0.1", port_text(((struct caller *)arg)->port));

	if (fd >= 0)
		expect(rota_close(fd), ==, 0);
	return fd;
}

static int cancel_call(rota_fn *call, struct caller *caller, uint64_t delay)
{
	expect(rota_spawn(&caller->task, call, caller), ==, 0);
	rota_sleep(delay); /* 0: the call may not even have begun */
	expect(rota_cancel(caller->task), ==, 0);
	expect(rota_join(caller->task, &caller->status), ==, 0);
	return caller->status;
}

static void cancel_script(const struct place *place)
{
	(void)place;
	for (uint64_t delay = 0; delay <= ROTA_MS(2); delay += ROTA_MS(1)) {
		struct caller caller;
		int fds[2];

		caller.fd = plain_listen(0, &caller.port);
		expect(cancel_call(call_accept, &caller, delay), ==, -ECANCELED);
		int first = plain_connect(caller.port);
		/* The queue of the listener is full: a connection has to wait. */
		expect(cancel_call(call_connect, &caller, delay), ==, -ECANCELED);
		close(first);
		close(caller.fd);
		plain_connection(fds);
		caller.fd = fds[0];
		expect(cancel_call(call_recv, &caller, delay), ==, -ECANCELED);
		plain_close(fds);
	}
}

UNIT_TEST(tcp, cancelled_calls)
{
	in_fibers(cancel_script, 0);
	in_fibers(cancel_script, 1);
}

static void *connect_and_close(void *arg)
{
	close(plain_connect(((struct caller *)arg)->port));
	return NULL;
}

/* Each connection is accepted once, by the one who is cancelled or by the one after. */
static void accept_race_script(const struct place *place)
{
	struct caller caller;

	(void)place;
	caller.fd = plain_listen(5, &caller.port);
	for (int i = 0; i < 100; i++) {
		pthread_t thread;

		expect(pthread_create(&thread, NULL, connect_and_close, &caller), ==, 0);
		if (cancel_call(call_accept, &caller, (uint64_t)(i % 10) * ROTA_US(20)) == -ECANCELED)
			expect(call_accept(&caller), >=, 0);
		else
			expect(caller.status, >=, 0);
		pthread_join(thread, NULL);
	}
	close(caller.fd);
}

UNIT_TEST(tcp, cancel_that_races_with_a_connection)
{
	in_fibers(accept_race_script, 0);
}
