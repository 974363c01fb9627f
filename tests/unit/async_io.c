/* SPDX-License-Identifier: MIT */
/* Waits of io/, awaited by an async function: descriptors, streams, names, signals, children, files. async_waits.c has the
 * rest of the library's. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "async_steps.h"

static struct {
	int pair[2], other[2], pipe[2], datagrams[2];
	int listener, port_listener, port;
	struct sockaddr_un address;
	socklen_t address_len;
	struct rota_accept_stream accepts;
	struct rota_recv_stream receives;
	struct rota_buffer buffer;
	struct rota_stream a, b; /* over one end of each pair */
	struct rota_signal signal;
	struct rota_process child;
	char text[8], buf[64], path[32];
	struct iovec part;
	struct msghdr message;
	struct rota_datagram datagram;
	struct statx statx;
	struct rota_dir dir;
	struct rota_dir_entry entry;
	struct rota_address found[2];
	int fd, client;
} s;

/* The one that is awaited. */
static union {
	struct rota_op op;
	struct rota_transfer_op transfer;
	struct rota_message_op message;
	struct rota_unix_op letter;
	struct rota_unix_connect_op unix_connect;
	struct rota_udp_batch_op batch;
	struct rota_udp_op udp;
	struct rota_tcp_op tcp;
	struct rota_resolve_op resolve;
	struct rota_signal_op signal;
	struct rota_splice_op splice;
	struct rota_stream_op stream;
	struct rota_stream_copy_op copy;
	struct rota_stream_join_op join;
	struct rota_process_spawn_op spawn;
	struct rota_process_wait_op wait;
	struct rota_process_terminate_op terminate;
	struct rota_process_run_op run;
	struct rota_pooled_op pooled;
	struct rota_dir_op dir;
	struct rota_read_file_op read_file;
	struct rota_write_file_op write_file;
} op;

static void send_hello(void)
{
	expect(send(s.pair[1], "hello", 5, 0), ==, 5);
}

static void has_hello(void)
{
	expect(memcmp(s.buf, "hello", 5), ==, 0);
	memset(s.buf, 0, sizeof(s.buf));
}

static void write_hello(void)
{
	expect(write(s.pipe[1], "hello", 5), ==, 5);
}

/* --- descriptors ---------------------------------------------------------------------------------------------------------- */

static struct rota_future *begin_read(void)
{
	rota_op_read(&op.op, s.pipe[0], s.buf, sizeof(s.buf), -1);
	return &op.op.future;
}

static struct rota_future *begin_readv(void)
{
	s.part = (struct iovec){ s.buf, sizeof(s.buf) };
	rota_op_readv(&op.op, s.pipe[0], &s.part, 1, -1);
	return &op.op.future;
}

static struct rota_future *begin_recv(void)
{
	rota_op_recv(&op.op, s.pair[0], s.buf, sizeof(s.buf), 0);
	return &op.op.future;
}

static struct rota_future *begin_recvmsg(void)
{
	s.part = (struct iovec){ s.buf, sizeof(s.buf) };
	s.message = (struct msghdr){ .msg_iov = &s.part, .msg_iovlen = 1 };
	rota_op_recvmsg(&op.op, s.pair[0], &s.message, 0);
	return &op.op.future;
}

static struct rota_future *begin_recvfrom(void)
{
	rota_op_recvfrom(&op.message, s.pair[0], s.buf, sizeof(s.buf), 0, NULL, NULL);
	return &op.message.future;
}

static struct rota_future *begin_unix_recv(void)
{
	rota_op_unix_recv(&op.letter, s.pair[0], s.buf, sizeof(s.buf), NULL, 0, NULL);
	return &op.letter.future;
}

static struct rota_future *begin_read_exact(void)
{
	rota_op_read_exact(&op.transfer, s.pair[0], s.buf, 5);
	return &op.transfer.future;
}

static struct rota_future *begin_poll(void)
{
	rota_op_poll(&op.op, s.pipe[0], POLLIN);
	return &op.op.future;
}

static struct rota_future *begin_splice(void)
{
	rota_op_splice(&op.splice, s.pipe[0], -1, s.pair[1], -1, 64, 0);
	return &op.splice.future;
}

static struct rota_future *begin_write_all(void)
{
	rota_op_write_all(&op.transfer, s.pair[1], "hello", 5);
	return &op.transfer.future;
}

/* A pipe without room. */
static struct rota_future *begin_write(void)
{
	static const char page[4096];

	expect(fcntl(s.pipe[1], F_SETPIPE_SZ, 4096), ==, 4096);
	expect(write(s.pipe[1], page, sizeof(page)), ==, (ssize_t)sizeof(page));
	rota_op_write(&op.op, s.pipe[1], "hello", 5, -1);
	return &op.op.future;
}

static void make_room(void)
{
	char page[4096];

	expect(read(s.pipe[0], page, sizeof(page)), ==, (ssize_t)sizeof(page));
}

static struct rota_future *begin_udp_recv(void)
{
	s.datagram = (struct rota_datagram){ .data = s.buf, .size = sizeof(s.buf) };
	rota_op_udp_recv(&op.batch, s.datagrams[0], &s.datagram, 1);
	return &op.batch.future;
}

static void send_datagram(void)
{
	expect(send(s.datagrams[1], "hello", 5, 0), ==, 5);
}

static struct rota_future *begin_udp_send(void)
{
	s.datagram = (struct rota_datagram){ .data = s.text, .len = 5 };
	rota_op_udp_send(&op.batch, s.datagrams[1], &s.datagram, 1);
	return &op.batch.future;
}

/* --- connections ---------------------------------------------------------------------------------------------------------- */

static struct rota_future *begin_accept(void)
{
	rota_op_accept(&op.op, s.listener, NULL, NULL);
	return &op.op.future;
}

static void connect_client(void)
{
	s.client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(connect(s.client, (struct sockaddr *)&s.address, s.address_len), ==, 0);
}

static void close_accepted(void)
{
	close(op.op.future.status);
	close(s.client);
}

static struct rota_future *begin_next_connection(void)
{
	rota_accept_stream_next_init(&s.accepts);
	return &s.accepts.future;
}

static void close_next(void)
{
	close(s.accepts.future.status);
	close(s.client);
}

static struct rota_future *begin_stop_accepting(void)
{
	rota_accept_stream_stop_init(&s.accepts);
	return &s.accepts.future;
}

static struct rota_future *begin_next_buffer(void)
{
	rota_recv_stream_next_init(&s.receives, &s.buffer);
	return &s.receives.future;
}

static void has_buffer(void)
{
	expect(s.buffer.len, ==, 5);
	expect(memcmp(s.buffer.data, "hello", 5), ==, 0);
	rota_buffer_release(&s.buffer);
}

static struct rota_future *begin_stop_receiving(void)
{
	rota_recv_stream_stop_init(&s.receives);
	return &s.receives.future;
}

static struct rota_future *begin_connect(void)
{
	s.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rota_op_connect(&op.op, s.fd, (struct sockaddr *)&s.address, s.address_len);
	return &op.op.future;
}

static void take_connection(void)
{
	close(accept(s.listener, NULL, NULL));
	close(s.fd);
}

static struct rota_future *begin_tcp_connect(void)
{
	static char port[8];

	snprintf(port, sizeof(port), "%d", s.port);
	rota_op_tcp_connect(&op.tcp, "127.0.0.1", port);
	return &op.tcp.future;
}

static struct rota_future *begin_tcp_listen(void)
{
	rota_op_tcp_listen(&op.tcp, "127.0.0.1", "0", 1);
	return &op.tcp.future;
}

static void close_tcp(void)
{
	close(op.tcp.future.status);
}

static struct rota_future *begin_udp_bind(void)
{
	rota_op_udp_bind(&op.udp, "127.0.0.1", "0", NULL);
	return &op.udp.future;
}

static void close_udp(void)
{
	close(op.udp.future.status);
}

/* --- streams -------------------------------------------------------------------------------------------------------------- */

static struct rota_future *begin_stream_line(void)
{
	rota_op_stream_read_line(&op.stream, &s.a, s.buf, sizeof(s.buf));
	return &op.stream.future;
}

static void send_line(void)
{
	expect(send(s.pair[1], "hello\n", 6, 0), ==, 6);
}

static struct rota_future *begin_stream_exact(void)
{
	rota_op_stream_read_exact(&op.stream, &s.a, s.buf, 5);
	return &op.stream.future;
}

static struct rota_future *begin_stream_fill(void)
{
	rota_op_stream_fill(&op.stream, &s.a, 5);
	return &op.stream.future;
}

static struct rota_future *begin_stream_read(void)
{
	rota_op_stream_read(&op.stream, &s.a, s.buf, sizeof(s.buf));
	return &op.stream.future;
}

static struct rota_future *begin_stream_write(void)
{
	rota_op_stream_write_all(&op.stream, &s.b, "hello", 5);
	return &op.stream.future;
}

static struct rota_future *begin_stream_flush(void)
{
	rota_op_stream_flush(&op.stream, &s.b);
	return &op.stream.future;
}

static void was_flushed(void)
{
	expect(recv(s.other[1], s.buf, sizeof(s.buf), MSG_DONTWAIT), ==, 5);
	has_hello();
}

static struct rota_future *begin_stream_copy(void)
{
	rota_op_stream_copy(&op.copy, &s.a, &s.b, 5);
	return &op.copy.future;
}

static struct rota_future *begin_stream_join(void)
{
	rota_op_stream_join(&op.join, &s.a, &s.b);
	return &op.join.future;
}

static void end_both(void)
{
	send_hello();
	expect(shutdown(s.pair[1], SHUT_WR), ==, 0);
	expect(shutdown(s.other[1], SHUT_WR), ==, 0);
}

/* --- the world outside ---------------------------------------------------------------------------------------------------- */

static struct rota_future *begin_resolve(void)
{
	rota_op_resolve(&op.resolve, "localhost", "80", 0, s.found, 2);
	return &op.resolve.future;
}

static struct rota_future *begin_signal(void)
{
	rota_signal_wait_init(&op.signal, &s.signal);
	return &op.signal.future;
}

static void send_signal(void)
{
	expect(kill(getpid(), SIGUSR2), ==, 0);
}

static struct rota_future *begin_spawn(void)
{
	static char *argv[] = { "sleep", "1000", NULL };
	static struct rota_process_config config = { .argv = argv };

	rota_op_process_spawn(&op.spawn, &s.child, &config);
	return &op.spawn.future;
}

static struct rota_future *begin_wait(void)
{
	rota_op_process_wait(&op.wait, &s.child);
	return &op.wait.future;
}

static void kill_child(void)
{
	expect(rota_process_kill(&s.child, SIGTERM), ==, 0);
}

static void was_killed(void)
{
	expect(WIFSIGNALED(op.wait.exit_status) && WTERMSIG(op.wait.exit_status) == SIGTERM, ==, 1);
	rota_process_close(&s.child);
}

static struct rota_future *begin_terminate(void)
{
	rota_op_process_terminate(&op.terminate, &s.child, ROTA_SECONDS(30));
	return &op.terminate.future;
}

static void was_terminated(void)
{
	expect(WIFSIGNALED(op.terminate.exit_status), ==, 1);
	rota_process_close(&s.child);
}

static struct rota_future *begin_run(void)
{
	static char *argv[] = { "true", NULL };
	static struct rota_process_config config = { .argv = argv };

	rota_op_process_run(&op.run, &config, NULL);
	return &op.run.future;
}

static struct rota_future *begin_write_file(void)
{
	rota_op_write_file(&op.write_file, s.path, "hello", 5, 0600);
	return &op.write_file.future;
}

static struct rota_future *begin_read_file(void)
{
	rota_op_read_file(&op.read_file, s.path, 64);
	return &op.read_file.future;
}

static void has_file(void)
{
	expect_text(op.read_file.bytes, "hello");
	free(op.read_file.bytes);
}

static struct rota_future *begin_statx(void)
{
	rota_op_statx(&op.op, AT_FDCWD, s.path, 0, STATX_SIZE, &s.statx);
	return &op.op.future;
}

static void has_size(void)
{
	expect(s.statx.stx_size, ==, 5);
}

static struct rota_future *begin_readlink(void)
{
	rota_op_readlinkat(&op.pooled, AT_FDCWD, "/proc/self/exe", s.buf, sizeof(s.buf));
	return &op.pooled.future;
}

static struct rota_future *begin_open(void)
{
	rota_op_open(&op.op, "/proc/self", O_RDONLY | O_DIRECTORY, 0);
	return &op.op.future;
}

static void has_directory(void)
{
	expect(rota_dir_init(&s.dir, op.op.future.status), ==, 0);
}

static struct rota_future *begin_dir_next(void)
{
	rota_op_dir_next(&op.dir, &s.dir, &s.entry);
	return &op.dir.future;
}

static struct rota_future *begin_close(void)
{
	const int fd = s.dir.fd;

	rota_dir_deinit(&s.dir);
	rota_op_close(&op.op, fd);
	return &op.op.future;
}

static struct rota_future *begin_zero_copy(void)
{
	rota_op_send_zero_copy(&op.op, s.pair[1], s.text, 5, 0);
	return &op.op.future;
}

/* --- all of them ---------------------------------------------------------------------------------------------------------- */

static const struct step steps[] = {
	{ "read", begin_read, write_hello, 5, has_hello },
	{ "readv", begin_readv, write_hello, 5, has_hello },
	{ "write", begin_write, make_room, 5, NULL },
	{ "read what was written", begin_read, NULL, 5, has_hello },
	{ "recv", begin_recv, send_hello, 5, has_hello },
	{ "recvmsg", begin_recvmsg, send_hello, 5, has_hello },
	{ "recvfrom", begin_recvfrom, send_hello, 5, has_hello },
	{ "receive of descriptors", begin_unix_recv, send_hello, 5, has_hello },
	{ "read exactly", begin_read_exact, send_hello, 0, has_hello },
	{ "poll", begin_poll, write_hello, POLLIN, NULL },
	{ "splice", begin_splice, NULL, 5, NULL },
	{ "receive what was spliced", begin_recv, NULL, 5, has_hello },
	{ "write all", begin_write_all, NULL, 0, NULL },
	{ "receive what was written", begin_recv, NULL, 5, has_hello },
	{ "send without copying", begin_zero_copy, NULL, 5, NULL },
	{ "receive what was lent", begin_recv, NULL, 5, has_hello },
	{ "datagrams", begin_udp_recv, send_datagram, 1, has_hello },
	{ "send datagrams", begin_udp_send, NULL, 1, NULL },
	{ "accept", begin_accept, connect_client, ANY_STATUS, close_accepted },
	{ "accept stream", begin_next_connection, connect_client, ANY_STATUS, close_next },
	{ "stop accepting", begin_stop_accepting, NULL, 0, NULL },
	{ "receive stream", begin_next_buffer, send_hello, 5, has_buffer },
	{ "stop receiving", begin_stop_receiving, NULL, 0, NULL },
	{ "connect", begin_connect, NULL, 0, take_connection },
	{ "connect by name", begin_tcp_connect, NULL, ANY_STATUS, close_tcp },
	{ "listen", begin_tcp_listen, NULL, ANY_STATUS, close_tcp },
	{ "bind", begin_udp_bind, NULL, ANY_STATUS, close_udp },
	{ "line of a stream", begin_stream_line, send_line, 1, has_hello },
	{ "stream, exactly", begin_stream_exact, send_hello, 0, has_hello },
	{ "stream, fill", begin_stream_fill, send_hello, 5, NULL },
	{ "stream, read", begin_stream_read, NULL, 5, has_hello },
	{ "stream, write", begin_stream_write, NULL, 0, NULL },
	{ "stream, flush", begin_stream_flush, NULL, 0, was_flushed },
	{ "stream, copy", begin_stream_copy, send_hello, 0, was_flushed },
	{ "stream, join", begin_stream_join, end_both, 0, was_flushed },
	{ "resolve", begin_resolve, NULL, ANY_STATUS, NULL },
	{ "signal", begin_signal, send_signal, 0, NULL },
	{ "spawn a process", begin_spawn, NULL, 0, NULL },
	{ "wait for it", begin_wait, kill_child, 0, was_killed },
	{ "spawn another", begin_spawn, NULL, 0, NULL },
	{ "terminate it", begin_terminate, NULL, 0, was_terminated },
	{ "run a third", begin_run, NULL, 0, NULL },
	{ "write a file", begin_write_file, NULL, 0, NULL },
	{ "read a file", begin_read_file, NULL, 0, has_file },
	{ "statx", begin_statx, NULL, 0, has_size },
	{ "readlink", begin_readlink, NULL, ANY_STATUS, NULL },
	{ "open", begin_open, NULL, ANY_STATUS, has_directory },
	{ "list a directory", begin_dir_next, NULL, 1, NULL },
	{ "close", begin_close, NULL, 0, NULL },
};

static int bound_udp(void)
{
	int fd = rota_udp_bind("127.0.0.1", "0", NULL);

	expect(fd, >=, 0);
	return fd;
}

static void connect_udp(int fd, int other)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	expect(getsockname(other, (struct sockaddr *)&address, &len), ==, 0);
	expect(connect(fd, (struct sockaddr *)&address, len), ==, 0);
}

static void prepare(void)
{
	memset(&s, 0, sizeof(s));
	memcpy(s.text, "hello", 5);
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.pair), ==, 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.other), ==, 0);
	expect(pipe2(s.pipe, O_CLOEXEC), ==, 0);
	s.address.sun_family = AF_UNIX;
	snprintf(s.address.sun_path + 1, sizeof(s.address.sun_path) - 1, "rota-async-io-%d", getpid()); /* abstract */
	s.address_len = sizeof(s.address);
	s.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(bind(s.listener, (struct sockaddr *)&s.address, s.address_len), ==, 0);
	expect(listen(s.listener, 8), ==, 0);
	s.port_listener = rota_tcp_listen("127.0.0.1", "0", 8);
	s.port = rota_local_port(s.port_listener);
	s.datagrams[0] = bound_udp();
	s.datagrams[1] = bound_udp();
	connect_udp(s.datagrams[0], s.datagrams[1]);
	connect_udp(s.datagrams[1], s.datagrams[0]);
	rota_accept_stream_init(&s.accepts, s.listener, 4);
	rota_recv_stream_init(&s.receives, s.pair[0]);
	expect(rota_stream_init_fd(&s.a, s.pair[0], NULL), ==, 0);
	expect(rota_stream_init_fd(&s.b, s.other[0], NULL), ==, 0);
	expect(rota_signal_open(&s.signal, SIGUSR2), ==, 0);
	snprintf(s.path, sizeof(s.path), "/tmp/rota-async-io-%d", getpid());
}

TASK_TEST(async_io, every_wait_is_a_future_that_it_can_await)
{
	prepare();
	walk(steps, sizeof(steps) / sizeof(steps[0]));
	rota_accept_stream_close(&s.accepts);
	rota_recv_stream_close(&s.receives);
	rota_signal_close(&s.signal);
	rota_stream_close(&s.a);
	rota_stream_close(&s.b);
	unlink(s.path);
	close(s.pair[1]);
	close(s.other[1]);
	close(s.pipe[0]);
	close(s.pipe[1]);
	close(s.datagrams[0]);
	close(s.datagrams[1]);
	close(s.listener);
	close(s.port_listener);
}
