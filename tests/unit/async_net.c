/* SPDX-License-Identifier: MIT */
/* What is sent, connections that are made in other ways, and the ends of streams, awaited by an async function.
 * async_io.c has more of io/. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "async_steps.h"

static struct {
	int pair[2], udp[2];
	int listener, port_listener, client;
	char port[8], text[8], buf[64], path[48];
	struct sockaddr_un address;
	struct rota_address addresses[1];
	struct iovec part;
	struct msghdr message;
	struct rota_stream stream;
} s;

static union {
	struct rota_op op;
	struct rota_message_op message;
	struct rota_unix_op letter;
	struct rota_unix_connect_op unix_connect;
	struct rota_tcp_op tcp;
	struct rota_udp_op udp;
	struct rota_stream_op stream;
} op;

static void has_arrived(void)
{
	expect(recv(s.pair[1], s.buf, sizeof(s.buf), 0), ==, 5);
	expect(memcmp(s.buf, "hello", 5), ==, 0);
	memset(s.buf, 0, sizeof(s.buf));
}

/* --- sends ----------------------------------------------------------------------------------------------------------------- */

static struct rota_future *begin_send(void)
{
	rota_op_send(&op.op, s.pair[0], s.text, 5, 0);
	return &op.op.future;
}

static struct rota_future *begin_writev(void)
{
	s.part = (struct iovec){ s.text, 5 };
	rota_op_writev(&op.op, s.pair[0], &s.part, 1, -1);
	return &op.op.future;
}

static struct rota_future *begin_sendmsg(void)
{
	s.part = (struct iovec){ s.text, 5 };
	s.message = (struct msghdr){ .msg_iov = &s.part, .msg_iovlen = 1 };
	rota_op_sendmsg(&op.op, s.pair[0], &s.message, 0);
	return &op.op.future;
}

static struct rota_future *begin_sendmsg_zero_copy(void)
{
	s.part = (struct iovec){ s.text, 5 };
	s.message = (struct msghdr){ .msg_iov = &s.part, .msg_iovlen = 1 };
	rota_op_sendmsg_zero_copy(&op.op, s.pair[0], &s.message, 0);
	return &op.op.future;
}

static struct rota_future *begin_unix_send(void)
{
	rota_op_unix_send(&op.letter, s.pair[0], s.text, 5, NULL, 0);
	return &op.letter.future;
}

static struct rota_future *begin_sendto(void)
{
	static struct sockaddr_in to; /* in place until the send is over */
	socklen_t len = sizeof(to);

	expect(getsockname(s.udp[1], (struct sockaddr *)&to, &len), ==, 0);
	rota_op_sendto(&op.message, s.udp[0], s.text, 5, 0, (struct sockaddr *)&to, len);
	return &op.message.future;
}

static void datagram_has_arrived(void)
{
	expect(recv(s.udp[1], s.buf, sizeof(s.buf), 0), ==, 5);
}

/* --- connections ----------------------------------------------------------------------------------------------------------- */

static struct rota_future *begin_accept4(void)
{
	rota_op_accept4(&op.op, s.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return &op.op.future;
}

static void connect_client(void)
{
	s.client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(connect(s.client, (struct sockaddr *)&s.address, sizeof(s.address)), ==, 0);
}

static void was_accepted(void)
{
	expect(fcntl(op.op.future.status, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
	close(op.op.future.status);
	close(s.client);
}

static struct rota_future *begin_unix_connect(void)
{
	rota_op_unix_connect(&op.unix_connect, s.path, SOCK_STREAM);
	return &op.unix_connect.future;
}

static void was_connected(void)
{
	close(accept(s.listener, NULL, NULL));
	close(op.unix_connect.future.status);
}

static struct rota_future *begin_connect_with(void)
{
	static const struct rota_tcp_options options = { .keepalive = true };

	rota_op_tcp_connect_with(&op.tcp, "127.0.0.1", s.port, &options);
	return &op.tcp.future;
}

static struct rota_future *begin_connect_to(void)
{
	rota_op_tcp_connect_to(&op.tcp, s.addresses, 1, NULL);
	return &op.tcp.future;
}

static struct rota_future *begin_listen_with(void)
{
	static const struct rota_tcp_options options = { .backlog = 1 };

	rota_op_tcp_listen_with(&op.tcp, "127.0.0.1", "0", &options);
	return &op.tcp.future;
}

static void close_tcp(void)
{
	close(op.tcp.future.status);
}

static struct rota_future *begin_udp_connect(void)
{
	rota_op_udp_connect(&op.udp, "127.0.0.1", s.port, NULL);
	return &op.udp.future;
}

static void close_udp(void)
{
	close(op.udp.future.status);
}

/* --- the ends of a stream ---------------------------------------------------------------------------------------------------- */

static struct rota_future *begin_read_until(void)
{
	rota_op_stream_read_until(&op.stream, &s.stream, "--", 2, s.buf, sizeof(s.buf));
	return &op.stream.future;
}

static void send_part(void)
{
	expect(send(s.pair[1], "hello--", 7, 0), ==, 7);
}

static struct rota_future *begin_reserve(void)
{
	rota_op_stream_reserve(&op.stream, &s.stream, 16);
	return &op.stream.future;
}

static struct rota_future *begin_shutdown(void)
{
	rota_op_stream_shutdown(&op.stream, &s.stream);
	return &op.stream.future;
}

static void was_shut_down(void)
{
	expect(recv(s.pair[1], s.buf, sizeof(s.buf), 0), ==, 0);
}

static struct rota_future *begin_read_to_end(void)
{
	rota_op_stream_read_to_end(&op.stream, &s.stream, s.buf, sizeof(s.buf));
	return &op.stream.future;
}

static void send_the_rest(void)
{
	expect(send(s.pair[1], "hello", 5, 0), ==, 5);
	expect(shutdown(s.pair[1], SHUT_WR), ==, 0);
}

static void has_the_rest(void)
{
	expect(op.stream.done, ==, 5);
}

static struct rota_future *begin_stream_close(void)
{
	rota_op_stream_close(&op.stream, &s.stream);
	return &op.stream.future;
}

/* --- all of them ------------------------------------------------------------------------------------------------------------- */

static const struct step steps[] = {
	{ "send", begin_send, NULL, 5, has_arrived },
	{ "writev", begin_writev, NULL, 5, has_arrived },
	{ "sendmsg", begin_sendmsg, NULL, 5, has_arrived },
	{ "sendmsg without copying", begin_sendmsg_zero_copy, NULL, 5, has_arrived },
	{ "send of descriptors", begin_unix_send, NULL, 5, has_arrived },
	{ "sendto", begin_sendto, NULL, 5, datagram_has_arrived },
	{ "accept4", begin_accept4, connect_client, ANY_STATUS, was_accepted },
	{ "connect by path", begin_unix_connect, NULL, ANY_STATUS, was_connected },
	{ "connect with options", begin_connect_with, NULL, ANY_STATUS, close_tcp },
	{ "connect to addresses", begin_connect_to, NULL, ANY_STATUS, close_tcp },
	{ "listen with options", begin_listen_with, NULL, ANY_STATUS, close_tcp },
	{ "connect datagrams", begin_udp_connect, NULL, ANY_STATUS, close_udp },
	{ "stream, up to a mark", begin_read_until, send_part, 1, NULL },
	{ "stream, reserve", begin_reserve, NULL, ANY_STATUS, NULL },
	{ "stream, shut down", begin_shutdown, NULL, 0, was_shut_down },
	{ "stream, to its end", begin_read_to_end, send_the_rest, 0, has_the_rest },
	{ "stream, close", begin_stream_close, NULL, 0, NULL },
};

static void prepare(void)
{
	memset(&s, 0, sizeof(s));
	memcpy(s.text, "hello", 5);
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.pair), ==, 0);
	s.address.sun_family = AF_UNIX;
	snprintf(s.path, sizeof(s.path), "/tmp/rota-async-net-%d", getpid());
	memcpy(s.address.sun_path, s.path, sizeof(s.path));
	s.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(bind(s.listener, (struct sockaddr *)&s.address, sizeof(s.address)), ==, 0);
	expect(listen(s.listener, 8), ==, 0);
	s.port_listener = rota_tcp_listen("127.0.0.1", "0", 8);
	expect(s.port_listener, >=, 0);
	snprintf(s.port, sizeof(s.port), "%d", rota_local_port(s.port_listener));
	expect(rota_resolve("127.0.0.1", s.port, 0, s.addresses, 1), ==, 1);
	for (unsigned i = 0; i < 2; i++)
		expect(s.udp[i] = rota_udp_bind("127.0.0.1", "0", NULL), >=, 0);
	expect(rota_stream_init_fd(&s.stream, s.pair[0], NULL), ==, 0);
}

TASK_TEST(async_net, every_wait_is_a_future_that_it_can_await)
{
	prepare();
	walk(steps, sizeof(steps) / sizeof(steps[0]));
	close(s.pair[1]);
	close(s.udp[0]);
	close(s.udp[1]);
	close(s.listener);
	close(s.port_listener);
	unlink(s.path);
}
