/* SPDX-License-Identifier: MIT */
/*
 * Random cancels, by torment.h, of operations: each is awaited by a fiber, or by an async function, and is what the other
 * programs cancel*.c do not come to: vectors and messages, names of files, sockets of all kinds, the calls of streams. What
 * an operation says that it has done is done, once; when it says -ECANCELED nothing is: no byte is gone, no name has changed,
 * no descriptor is left open.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "flow.h"
#include "torment.h"

#define SAID 4u /* bytes that come at once */
#define CHUNK FLOW_LONGEST
#define FILE_SIZE 100u

/* A connection and the bytes on it. */
struct line {
	struct flow flow;
	int in, out; /* written to, read from */
};

union any_op {
	struct rota_op op;
	struct rota_pooled_op pooled;
	struct rota_message_op message;
	struct rota_udp_op udp;
	struct rota_udp_batch_op batch;
	struct rota_tcp_op tcp;
	struct rota_unix_connect_op unix_connect;
	struct rota_unix_op unix_message;
	struct rota_stream_op stream;
};

/* An async function that awaits one operation. */
struct carrier {
	struct rota_async async;
	struct leader *l;
	struct rota_future *child;
};

struct leader {
	struct torment t;
	struct carrier carrier;
	union any_op any;
	int got; /* a count or a descriptor that was taken; -1: none */
	unsigned char bytes[16], more[16];
	struct iovec parts[2];
	struct msghdr message;
	struct statx statx;
	struct rota_unix_received received;
	struct rota_datagram datagrams[2];
	char directory[64];
	int dir, file, copy;
	struct line silent, letters, wide;
	int descriptors[2], null, udp[2], letters_got, named, tcp, client;
	struct sockaddr_un address;
	socklen_t address_len;
	char name[48], port[8];
	struct rota_stream from, to;
	struct line read, written;
	struct rota_stream brief;
	int brief_end;
};

/* --- what comes --------------------------------------------------------------------------------------------------------- */

/* Into two parts, the first of which is short. */
static void set_parts(struct leader *l)
{
	l->parts[0] = (struct iovec){ l->bytes, 1 + l->t.dice % 3 };
	l->parts[1] = (struct iovec){ l->more, 1 + l->t.dice % 5 };
	l->message = (struct msghdr){ .msg_iov = l->parts, .msg_iovlen = 2 };
}

static int hear_parts(struct flow *flow, struct leader *l, int rc)
{
	const size_t first = l->parts[0].iov_len;

	if (rc <= 0)
		return rc;
	hear(flow, l->bytes, (size_t)rc < first ? rc : (ssize_t)first);
	if ((size_t)rc > first)
		hear(flow, l->more, rc - (ssize_t)first);
	return rc;
}

static struct rota_future *begin_readv(struct leader *l)
{
	set_parts(l);
	rota_op_readv(&l->any.op, l->silent.out, l->parts, 2, -1);
	return &l->any.op.future;
}

static int take_silent(struct leader *l, int rc)
{
	return hear_parts(&l->silent.flow, l, rc);
}

static void say_silent(struct leader *l)
{
	say(&l->silent.flow, l->silent.in, SAID);
}

static void silent_rest_is_there(struct leader *l, bool taken)
{
	(void)taken;
	expect(bytes_in(l->silent.out), ==, l->silent.flow.said - l->silent.flow.heard);
}

static struct rota_future *begin_recvmsg(struct leader *l)
{
	set_parts(l);
	rota_op_recvmsg(&l->any.op, l->letters.out, &l->message, 0);
	return &l->any.op.future;
}

static int take_letters(struct leader *l, int rc)
{
	return hear_parts(&l->letters.flow, l, rc);
}

static struct rota_future *begin_recv(struct leader *l)
{
	l->parts[0].iov_len = sizeof(l->bytes);
	rota_op_recv(&l->any.op, l->letters.out, l->bytes, 1 + l->t.dice % 8, 0);
	return &l->any.op.future;
}

static struct rota_future *begin_recvfrom(struct leader *l)
{
	l->parts[0].iov_len = sizeof(l->bytes);
	rota_op_recvfrom(&l->any.message, l->letters.out, l->bytes, 1 + l->t.dice % 8, 0, NULL, NULL);
	return &l->any.message.future;
}

static void say_letters(struct leader *l)
{
	say(&l->letters.flow, l->letters.in, SAID);
}

static void letters_rest_is_there(struct leader *l, bool taken)
{
	(void)taken;
	expect(bytes_in(l->letters.out), ==, l->letters.flow.said - l->letters.flow.heard);
}

/* --- what goes, if there is room ---------------------------------------------------------------------------------------- */

static void set_chunk(struct leader *l)
{
	const size_t len = 1 + l->t.dice % CHUNK, first = len / 3;

	l->parts[0] = (struct iovec){ (void *)(uintptr_t)numbered(l->wide.flow.said), first };
	l->parts[1] = (struct iovec){ (void *)(uintptr_t)numbered(l->wide.flow.said + first), len - first };
	l->message = (struct msghdr){ .msg_iov = l->parts, .msg_iovlen = 2 };
}

static struct rota_future *begin_writev(struct leader *l)
{
	set_chunk(l);
	rota_op_writev(&l->any.op, l->wide.in, l->parts, 2, -1);
	return &l->any.op.future;
}

static struct rota_future *begin_sendmsg(struct leader *l)
{
	set_chunk(l);
	rota_op_sendmsg(&l->any.op, l->wide.in, &l->message, 0);
	return &l->any.op.future;
}

/* A Unix socket lends nothing, and copies. */
static struct rota_future *begin_sendmsg_zero_copy(struct leader *l)
{
	set_chunk(l);
	rota_op_sendmsg_zero_copy(&l->any.op, l->wide.in, &l->message, 0);
	return &l->any.op.future;
}

static struct rota_future *begin_send(struct leader *l)
{
	rota_op_send(&l->any.op, l->wide.in, numbered(l->wide.flow.said), 1 + l->t.dice % CHUNK, 0);
	return &l->any.op.future;
}

static struct rota_future *begin_sendto(struct leader *l)
{
	rota_op_sendto(&l->any.message, l->wide.in, numbered(l->wide.flow.said), 1 + l->t.dice % CHUNK, 0, NULL, 0);
	return &l->any.message.future;
}

static int take_sent(struct leader *l, int rc)
{
	if (rc > 0)
		l->wide.flow.said += (uint64_t)rc;
	return rc;
}

static void drain_wide(struct leader *l)
{
	drain(&l->wide.flow, l->wide.out);
}

static void sent_is_heard(struct leader *l, bool taken)
{
	(void)taken;
	drain_wide(l);
	expect(l->wide.flow.heard, ==, l->wide.flow.said);
}

/* Without room, or with room for one of the two that are sent. */
static void fill_datagrams(struct leader *l)
{
	l->letters_got = 0;
	while (send(l->udp[0], "f", 1, MSG_DONTWAIT) == 1) {
	}
	if (l->t.dice % 4 > 0)
		expect(recv(l->udp[1], l->bytes, 1, 0), ==, 1);
}

static struct rota_future *begin_udp_send(struct leader *l)
{
	for (int i = 0; i < 2; i++)
		l->datagrams[i] = (struct rota_datagram){ .data = l->bytes, .len = 3 };
	rota_op_udp_send(&l->any.batch, l->udp[0], l->datagrams, 2);
	return &l->any.batch.future;
}

static void read_datagrams(struct leader *l)
{
	unsigned char bytes[4];
	ssize_t n;

	while ((n = recv(l->udp[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		l->letters_got += n == 3;
}

static void as_many_have_gone(struct leader *l, bool taken)
{
	read_datagrams(l);
	expect(l->letters_got, ==, taken ? l->got : 0);
}

/* --- descriptors -------------------------------------------------------------------------------------------------------- */
/*
 * The victim's result is closed by its leader, and by a ring if a ring has opened it: the thread sanitizer, which sees
 * neither, would else take the close of one for that of another who had the number last.
 */

static void close_got(struct leader *l, bool taken)
{
	expect(l->got >= 0, ==, taken);
	if (taken)
		expect(rota_close(l->got), ==, 0);
}

static void close_socket(struct leader *l, bool taken)
{
	expect(l->got >= 0, ==, taken);
	if (taken)
		close(l->got);
}

static struct rota_future *begin_accept(struct leader *l)
{
	rota_op_accept4(&l->any.op, l->named, NULL, NULL, l->t.dice % 2 ? SOCK_NONBLOCK : 0);
	return &l->any.op.future;
}

static void connect_client(struct leader *l)
{
	l->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(connect(l->client, (struct sockaddr *)&l->address, l->address_len), ==, 0);
}

static void accepted_once(struct leader *l, bool taken)
{
	close_got(l, taken);
	if (l->t.come && !taken)
		expect(rota_close(rota_accept(l->named, NULL, NULL)), ==, 0);
	if (l->t.come)
		close(l->client);
}

static struct rota_future *begin_unix_recv(struct leader *l)
{
	l->received.fds = 0;
	rota_op_unix_recv(&l->any.unix_message, l->descriptors[0], l->bytes, 1, &l->got, 1, &l->received);
	return &l->any.unix_message.future;
}

static int take_descriptor_of_message(struct leader *l, int rc)
{
	if (rc >= 0)
		expect(l->received.fds, ==, 1);
	return rc;
}

static void send_descriptor(struct leader *l)
{
	expect(rota_unix_send(l->descriptors[1], "d", 1, &l->null, 1), ==, 1); /* at once: there is room */
}

static void descriptor_once(struct leader *l, bool taken)
{
	close_got(l, taken);
	if (l->t.come && !taken) {
		expect(rota_unix_recv(l->descriptors[0], l->bytes, 1, &l->got, 1, &l->received), ==, 1);
		close_got(l, true);
	}
	expect(bytes_in(l->descriptors[0]), ==, 0);
}

static struct rota_future *begin_unix_send(struct leader *l)
{
	rota_op_unix_send(&l->any.unix_message, l->descriptors[1], "d", 1, &l->null, 1);
	return &l->any.unix_message.future;
}

static void descriptor_was_sent(struct leader *l, bool taken)
{
	expect(bytes_in(l->descriptors[0]), ==, taken ? 1 : 0);
	if (taken) {
		expect(rota_unix_recv(l->descriptors[0], l->bytes, 1, &l->got, 1, &l->received), ==, 1);
		close_got(l, true);
	}
}

static struct rota_future *begin_unix_connect(struct leader *l)
{
	rota_op_unix_connect(&l->any.unix_connect, l->name, SOCK_STREAM);
	return &l->any.unix_connect.future;
}

static void drop_connections(int listener)
{
	struct pollfd ready = { .fd = listener, .events = POLLIN };

	while (poll(&ready, 1, 0) == 1)
		close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

static void unix_connected(struct leader *l, bool taken)
{
	close_socket(l, taken);
	drop_connections(l->named);
}

static struct rota_future *begin_tcp_connect_with(struct leader *l)
{
	static const struct rota_tcp_options options = { .keepalive = true };

	rota_op_tcp_connect_with(&l->any.tcp, "127.0.0.1", l->port, &options);
	return &l->any.tcp.future;
}

static struct rota_future *begin_tcp_connect_to(struct leader *l)
{
	struct rota_address address = { .len = sizeof(address.addr.in) };

	expect(getsockname(l->tcp, &address.addr.any, &address.len), ==, 0);
	rota_op_tcp_connect_to(&l->any.tcp, &address, 1, NULL);
	return &l->any.tcp.future;
}

static void tcp_connected(struct leader *l, bool taken)
{
	close_socket(l, taken);
	drop_connections(l->tcp);
}

static struct rota_future *begin_tcp_listen(struct leader *l)
{
	rota_op_tcp_listen(&l->any.tcp, "127.0.0.1", "0", 4);
	return &l->any.tcp.future;
}

static struct rota_future *begin_tcp_listen_with(struct leader *l)
{
	static const struct rota_tcp_options options = { .reuse_port = true };

	rota_op_tcp_listen_with(&l->any.tcp, "127.0.0.1", "0", &options);
	return &l->any.tcp.future;
}

static struct rota_future *begin_udp_bind(struct leader *l)
{
	rota_op_udp_bind(&l->any.udp, "127.0.0.1", "0", NULL);
	return &l->any.udp.future;
}

static struct rota_future *begin_udp_connect(struct leader *l)
{
	rota_op_udp_connect(&l->any.udp, "127.0.0.1", l->port, NULL);
	return &l->any.udp.future;
}

/* --- files ---------------------------------------------------------------------------------------------------------------- */

static bool exists(struct leader *l, const char *name)
{
	return faccessat(l->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void remove_made(struct leader *l)
{
	if (unlinkat(l->dir, "made", 0) < 0)
		unlinkat(l->dir, "made", AT_REMOVEDIR);
}

static void make_made(struct leader *l)
{
	expect(linkat(l->dir, "file", l->dir, "made", 0), ==, 0);
}

static void made_if_it_says_so(struct leader *l, bool taken)
{
	expect(exists(l, "made"), ==, taken);
	remove_made(l);
}

static struct rota_future *begin_statx(struct leader *l)
{
	rota_op_statx(&l->any.op, l->dir, "file", 0, STATX_SIZE, &l->statx);
	return &l->any.op.future;
}

static int take_statx(struct leader *l, int rc)
{
	if (rc == 0)
		expect(l->statx.stx_size, ==, FILE_SIZE);
	return rc;
}

static struct rota_future *begin_openat(struct leader *l)
{
	rota_op_openat(&l->any.op, l->dir, "made", O_RDWR | O_CREAT | O_EXCL, 0600);
	return &l->any.op.future;
}

static struct rota_future *begin_openat2(struct leader *l)
{
	static const struct open_how how = { .flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, .mode = 0600 };

	rota_op_openat2(&l->any.op, l->dir, "made", &how);
	return &l->any.op.future;
}

static void opened_if_it_says_so(struct leader *l, bool taken)
{
	close_got(l, taken);
	made_if_it_says_so(l, taken);
}

static struct rota_future *begin_mkdirat(struct leader *l)
{
	rota_op_mkdirat(&l->any.op, l->dir, "made", 0700);
	return &l->any.op.future;
}

static struct rota_future *begin_symlinkat(struct leader *l)
{
	rota_op_symlinkat(&l->any.op, "file", l->dir, "made");
	return &l->any.op.future;
}

static struct rota_future *begin_linkat(struct leader *l)
{
	rota_op_linkat(&l->any.op, l->dir, "file", l->dir, "made", 0);
	return &l->any.op.future;
}

static struct rota_future *begin_unlinkat(struct leader *l)
{
	rota_op_unlinkat(&l->any.op, l->dir, "made", 0);
	return &l->any.op.future;
}

static void gone_if_it_says_so(struct leader *l, bool taken)
{
	expect(exists(l, "made"), ==, !taken);
	remove_made(l);
}

static struct rota_future *begin_renameat2(struct leader *l)
{
	rota_op_renameat2(&l->any.op, l->dir, "made", l->dir, "renamed", 0);
	return &l->any.op.future;
}

static void renamed_if_it_says_so(struct leader *l, bool taken)
{
	expect(exists(l, "made"), ==, !taken);
	expect(exists(l, "renamed"), ==, taken);
	expect(unlinkat(l->dir, taken ? "renamed" : "made", 0), ==, 0);
}

static struct rota_future *begin_readlinkat(struct leader *l)
{
	rota_op_readlinkat(&l->any.pooled, l->dir, "link", (char *)l->bytes, sizeof(l->bytes));
	return &l->any.pooled.future;
}

static int take_link(struct leader *l, int rc)
{
	if (rc >= 0)
		expect(rc == 4 && memcmp(l->bytes, "file", 4) == 0, ==, 1);
	return rc;
}

static struct rota_future *begin_copy(struct leader *l)
{
	rota_op_copy_file_range(&l->any.pooled, l->file, 0, l->copy, 0, FILE_SIZE);
	return &l->any.pooled.future;
}

static struct rota_future *begin_pwrite(struct leader *l)
{
	rota_op_write(&l->any.op, l->copy, flow_numbers, FILE_SIZE, 0);
	return &l->any.op.future;
}

static struct rota_future *begin_pwritev(struct leader *l)
{
	l->parts[0] = (struct iovec){ flow_numbers, 7 };
	l->parts[1] = (struct iovec){ flow_numbers + 7, FILE_SIZE - 7 };
	rota_op_writev(&l->any.op, l->copy, l->parts, 2, 0);
	return &l->any.op.future;
}

static struct rota_future *begin_ftruncate(struct leader *l)
{
	rota_op_ftruncate(&l->any.pooled, l->copy, FILE_SIZE);
	return &l->any.pooled.future;
}

static struct rota_future *begin_fallocate(struct leader *l)
{
	rota_op_fallocate(&l->any.op, l->copy, 0, 0, FILE_SIZE);
	return &l->any.op.future;
}

/* Some file systems know no fallocate. */
static int take_fallocate(struct leader *l, int rc)
{
	return rc == -EOPNOTSUPP ? (int)ftruncate(l->copy, FILE_SIZE) : rc;
}

static void empty_copy(struct leader *l)
{
	expect(ftruncate(l->copy, 0), ==, 0);
}

static uint64_t size_of(int fd)
{
	struct stat stat;

	expect(fstat(fd, &stat), ==, 0);
	return (uint64_t)stat.st_size;
}

static void copied_if_it_says_so(struct leader *l, bool taken)
{
	unsigned char bytes[FILE_SIZE];

	expect(size_of(l->copy), ==, taken ? l->got : 0);
	expect(pread(l->copy, bytes, sizeof(bytes), 0), ==, taken ? l->got : 0);
	expect(memcmp(bytes, flow_numbers, taken ? (size_t)l->got : 0), ==, 0);
}

static void grown_if_it_says_so(struct leader *l, bool taken)
{
	expect(size_of(l->copy), ==, taken ? FILE_SIZE : 0);
}

static struct rota_future *begin_preadv(struct leader *l)
{
	set_parts(l);
	rota_op_readv(&l->any.op, l->file, l->parts, 2, 0);
	return &l->any.op.future;
}

static int take_preadv(struct leader *l, int rc)
{
	if (rc >= 0)
		expect(rc, ==, l->parts[0].iov_len + l->parts[1].iov_len);
	if (rc > 0)
		expect(memcmp(l->bytes, flow_numbers, l->parts[0].iov_len) == 0 &&
			       memcmp(l->more, flow_numbers + l->parts[0].iov_len, l->parts[1].iov_len) == 0,
		       ==, 1);
	return rc;
}

static struct rota_future *begin_fsync(struct leader *l)
{
	rota_op_fsync(&l->any.op, l->copy, true);
	return &l->any.op.future;
}

/* --- streams ---------------------------------------------------------------------------------------------------------------- */

static struct rota_future *begin_fill(struct leader *l)
{
	rota_op_stream_fill(&l->any.stream, &l->from, 1 + l->t.dice % 8);
	return &l->any.stream.future;
}

static struct rota_future *begin_stream_read(struct leader *l)
{
	rota_op_stream_read(&l->any.stream, &l->from, l->bytes, 1 + l->t.dice % 8);
	return &l->any.stream.future;
}

static struct rota_future *begin_stream_read_exact(struct leader *l)
{
	rota_op_stream_read_exact(&l->any.stream, &l->from, l->bytes, 1 + l->t.dice % 8);
	return &l->any.stream.future;
}

static struct rota_future *begin_read_to_end(struct leader *l)
{
	rota_op_stream_read_to_end(&l->any.stream, &l->from, l->bytes, 1 + l->t.dice % 8);
	return &l->any.stream.future;
}

/* Until the fifth byte from here. */
static struct rota_future *begin_read_until(struct leader *l)
{
	rota_op_stream_read_until(&l->any.stream, &l->from, numbered(l->read.flow.heard + 4), 1, l->bytes,
				  sizeof(l->bytes));
	return &l->any.stream.future;
}

/* What was moved to the caller's buffer is said in any case. */
static int take_from_stream(struct leader *l, int rc)
{
	hear(&l->read.flow, l->bytes, (ssize_t)l->any.stream.done);
	if (rc == -EMSGSIZE)
		return 1; /* there is more */
	return rc < 0 && l->any.stream.done > 0 ? (int)l->any.stream.done : rc;
}

static void say_to_stream(struct leader *l)
{
	say(&l->read.flow, l->read.in, SAID);
}

static void stream_rest_is_there(struct leader *l, bool taken)
{
	size_t buffered;

	(void)taken;
	rota_stream_peek(&l->from, &buffered);
	expect(buffered + bytes_in(l->read.out), ==, l->read.flow.said - l->read.flow.heard);
}

static struct rota_future *begin_stream_write(struct leader *l)
{
	rota_op_stream_write_all(&l->any.stream, &l->to, numbered(l->written.flow.said), 1 + l->t.dice % CHUNK);
	return &l->any.stream.future;
}

static int take_stream_written(struct leader *l, int rc)
{
	l->written.flow.said += l->any.stream.done;
	return rc;
}

static struct rota_future *begin_stream_reserve(struct leader *l)
{
	rota_op_stream_reserve(&l->any.stream, &l->to, 1 + l->t.dice % 500);
	return &l->any.stream.future;
}

static struct rota_future *begin_stream_flush(struct leader *l)
{
	rota_op_stream_flush(&l->any.stream, &l->to);
	return &l->any.stream.future;
}

static void drain_stream(struct leader *l)
{
	drain(&l->written.flow, l->written.out);
}

static void written_is_heard_or_kept(struct leader *l, bool taken)
{
	(void)taken;
	drain_stream(l);
	expect(l->written.flow.heard, ==, rota_stream_written(&l->to));
	expect(l->written.flow.said - l->written.flow.heard, ==, rota_stream_unwritten(&l->to));
}

/* A stream of its own, with something in its buffer. Its descriptor, which a ring closes, is one that the thread
 * sanitizer has not seen made. */
static void open_brief(struct leader *l)
{
	int pair[2], fd;

	expect(rota_socketpair(SOCK_STREAM, pair), ==, 0);
	fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	close(pair[0]);
	expect(rota_stream_init_fd(&l->brief, fd, NULL), ==, 0);
	l->brief_end = pair[1];
	expect(rota_stream_write_all(&l->brief, "brief", 5), ==, 5);
}

static struct rota_future *begin_shutdown(struct leader *l)
{
	rota_op_stream_shutdown(&l->any.stream, &l->brief);
	return &l->any.stream.future;
}

static struct rota_future *begin_close(struct leader *l)
{
	rota_op_stream_close(&l->any.stream, &l->brief);
	return &l->any.stream.future;
}

/* What has come, and whether the end has. */
static ssize_t end_of_brief(struct leader *l, bool *ret_end)
{
	char bytes[8];
	ssize_t n = recv(l->brief_end, bytes, sizeof(bytes), MSG_DONTWAIT);

	*ret_end = n == 0 || recv(l->brief_end, bytes, 1, MSG_DONTWAIT) == 0;
	return n < 0 ? 0 : n;
}

static void shut_if_it_says_so(struct leader *l, bool taken)
{
	bool end;
	ssize_t n = end_of_brief(l, &end);

	expect(end, ==, taken);
	expect(n, ==, rota_stream_written(&l->brief));
	expect(n, ==, taken ? 5 : n);
	expect(rota_stream_close(&l->brief), ==, 0);
	close(l->brief_end);
}

/* It closes in any case. The other side sees that when the kernel has let go of the last request. */
static void closed_anyway(struct leader *l, bool taken)
{
	unsigned char bytes[8];
	ssize_t n, heard = 0;

	while ((n = rota_recv(l->brief_end, bytes, sizeof(bytes), 0)) > 0)
		heard += n;
	expect(n, ==, 0);
	if (taken)
		expect(heard, ==, 5);
	close(l->brief_end);
}

/* --- the calls ---------------------------------------------------------------------------------------------------------- */

/* `begin` makes the operation; `take` says what its result means: what was taken, 0 or more, or an error. NULL: just that.
 * The rest as in struct torment_kind. */
static const struct call {
	struct rota_future *(*begin)(struct leader *l);
	int (*take)(struct leader *l, int rc);
	void (*prepare)(struct leader *l);
	void (*bring)(struct leader *l);
	void (*settle)(struct leader *l, bool taken);
	uint32_t one_in;
} calls[] = {
	{ begin_readv, take_silent, .bring = say_silent, .settle = silent_rest_is_there },
	{ begin_recvmsg, take_letters, .bring = say_letters, .settle = letters_rest_is_there },
	{ begin_recv, take_letters, .bring = say_letters, .settle = letters_rest_is_there },
	{ begin_recvfrom, take_letters, .bring = say_letters, .settle = letters_rest_is_there },
	{ begin_writev, take_sent, .bring = drain_wide, .settle = sent_is_heard },
	{ begin_sendmsg, take_sent, .bring = drain_wide, .settle = sent_is_heard },
	{ begin_sendmsg_zero_copy, take_sent, .bring = drain_wide, .settle = sent_is_heard },
	{ begin_send, take_sent, .bring = drain_wide, .settle = sent_is_heard },
	{ begin_sendto, take_sent, .bring = drain_wide, .settle = sent_is_heard },
	{ begin_udp_send, .prepare = fill_datagrams, .bring = read_datagrams, .settle = as_many_have_gone },
	{ begin_accept, .bring = connect_client, .settle = accepted_once },
	{ begin_unix_recv, take_descriptor_of_message, .bring = send_descriptor, .settle = descriptor_once },
	{ begin_unix_send, .settle = descriptor_was_sent },
	{ begin_unix_connect, .settle = unix_connected },
	{ begin_tcp_connect_with, .settle = tcp_connected, .one_in = 20 },
	{ begin_tcp_connect_to, .settle = tcp_connected, .one_in = 20 },
	{ begin_tcp_listen, .settle = close_socket, .one_in = 10 },
	{ begin_tcp_listen_with, .settle = close_socket, .one_in = 10 },
	{ begin_udp_bind, .settle = close_socket, .one_in = 10 },
	{ begin_udp_connect, .settle = close_socket, .one_in = 10 },
	{ begin_statx, take_statx, .one_in = 2 },
	{ begin_openat, .settle = opened_if_it_says_so, .one_in = 4 },
	{ begin_openat2, .settle = opened_if_it_says_so, .one_in = 4 },
	{ begin_mkdirat, .settle = made_if_it_says_so, .one_in = 4 },
	{ begin_symlinkat, .settle = made_if_it_says_so, .one_in = 4 },
	{ begin_linkat, .settle = made_if_it_says_so, .one_in = 4 },
	{ begin_unlinkat, .prepare = make_made, .settle = gone_if_it_says_so, .one_in = 4 },
	{ begin_renameat2, .prepare = make_made, .settle = renamed_if_it_says_so, .one_in = 4 },
	{ begin_readlinkat, take_link, .one_in = 2 },
	{ begin_copy, .prepare = empty_copy, .settle = copied_if_it_says_so, .one_in = 4 },
	{ begin_pwrite, .prepare = empty_copy, .settle = copied_if_it_says_so, .one_in = 4 },
	{ begin_pwritev, .prepare = empty_copy, .settle = copied_if_it_says_so, .one_in = 4 },
	{ begin_ftruncate, .prepare = empty_copy, .settle = grown_if_it_says_so, .one_in = 4 },
	{ begin_fallocate, take_fallocate, .prepare = empty_copy, .settle = grown_if_it_says_so, .one_in = 4 },
	{ begin_preadv, take_preadv, .one_in = 2 },
	{ begin_fsync, .one_in = 4 },
	{ begin_fill, .bring = say_to_stream, .settle = stream_rest_is_there },
	{ begin_stream_read, take_from_stream, .bring = say_to_stream, .settle = stream_rest_is_there },
	{ begin_stream_read_exact, take_from_stream, .bring = say_to_stream, .settle = stream_rest_is_there },
	{ begin_read_to_end, take_from_stream, .bring = say_to_stream, .settle = stream_rest_is_there },
	{ begin_read_until, take_from_stream, .bring = say_to_stream, .settle = stream_rest_is_there },
	{ begin_stream_write, take_stream_written, .bring = drain_stream, .settle = written_is_heard_or_kept },
	{ begin_stream_reserve, .bring = drain_stream, .settle = written_is_heard_or_kept },
	{ begin_stream_flush, .bring = drain_stream, .settle = written_is_heard_or_kept },
	{ begin_shutdown, .prepare = open_brief, .settle = shut_if_it_says_so },
	{ begin_close, .prepare = open_brief, .settle = closed_anyway },
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* Each call twice: awaited by a fiber, and by an async function. */
static struct torment_kind kinds[2 * CALLS];

static const struct call *call_of(const struct leader *l)
{
	return &calls[(l->t.kind - kinds) / 2];
}

/* What the victim tells of its operation, which has ended. */
static int taken_of(struct leader *l, const struct rota_future *future)
{
	int rc = future->status;

	if (call_of(l)->take != NULL)
		rc = call_of(l)->take(l, rc);
	if (rc >= 0 && l->got < 0)
		l->got = rc;
	return rc;
}

/* For torment.h 0 is nothing, which a fiber's operation never ends with. */
static int suffer_call(struct leader *l)
{
	struct rota_future *future;
	int rc;

	l->got = -1;
	future = call_of(l)->begin(l);
	rota_await(future);
	rc = taken_of(l, future);
	return rc == 0 ? 1 : rc;
}

static rota_poll carrier_poll(struct rota_future *self, struct rota_context *cx)
{
	struct carrier *carrier = (struct carrier *)(void *)self;

	ROTA_ASYNC_BEGIN(carrier);
	carrier->child = call_of(carrier->l)->begin(carrier->l);
	ROTA_AWAIT(carrier, cx, carrier->child);
	carrier->async.future.status = taken_of(carrier->l, carrier->child);
	ROTA_ASYNC_END(carrier);
}

static struct rota_future *carry_call(struct leader *l)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(carrier_poll, "carrier");

	l->got = -1;
	l->carrier.l = l;
	rota_async_init(&l->carrier.async, &ops);
	return &l->carrier.async.future;
}

static void fill_in_kinds(void)
{
	for (size_t i = 0; i < CALLS; i++) {
		kinds[2 * i] = (struct torment_kind){
			.prepare = calls[i].prepare,
			.suffer = suffer_call,
			.bring = calls[i].bring,
			.settle = calls[i].settle,
			.one_in = calls[i].one_in,
		};
		kinds[2 * i + 1] = kinds[2 * i];
		kinds[2 * i + 1].suffer = NULL;
		kinds[2 * i + 1].carry = carry_call;
	}
}

/* --- the leader ----------------------------------------------------------------------------------------------------------- */

static void open_line(struct line *line, bool narrow)
{
	int pair[2];

	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
	line->in = pair[0];
	line->out = pair[1];
	if (narrow)
		expect(setsockopt(line->in, SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int)), ==, 0);
}

static void close_line(const struct line *line)
{
	close(line->in);
	close(line->out);
}

static void make_files(struct leader *l)
{
	snprintf(l->directory, sizeof(l->directory), "/tmp/rota-cancel-ops-XXXXXX");
	expect_pointer(mkdtemp(l->directory), !=, NULL);
	l->dir = open(l->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	l->file = openat(l->dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	l->copy = openat(l->dir, "copy", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	expect(write(l->file, flow_numbers, FILE_SIZE), ==, FILE_SIZE);
	expect(symlinkat("file", l->dir, "link"), ==, 0);
}

static void remove_files(struct leader *l)
{
	static const char *const names[] = { "file", "copy", "link" };

	for (int i = 0; i < 3; i++)
		expect(unlinkat(l->dir, names[i], 0), ==, 0);
	close(l->file);
	close(l->copy);
	close(l->dir);
	expect(rmdir(l->directory), ==, 0);
}

static int bind_loopback(int type)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	expect(bind(fd, (struct sockaddr *)&any, sizeof(any)), ==, 0);
	return fd;
}

static void open_sockets(struct leader *l)
{
	/* Of Unix sockets: their queues are short. */
	expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, l->udp), ==, 0);
	l->tcp = bind_loopback(SOCK_STREAM);
	expect(listen(l->tcp, 64), ==, 0);
	snprintf(l->port, sizeof(l->port), "%d", rota_local_port(l->tcp));
	snprintf(l->name, sizeof(l->name), "@rota-cancel-ops-%d-%u", getpid(), l->t.number);
	expect(rota_unix_address(l->name, &l->address, &l->address_len), ==, 0);
	l->named = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(bind(l->named, (struct sockaddr *)&l->address, l->address_len), ==, 0);
	expect(listen(l->named, 8), ==, 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->descriptors), ==, 0);
	l->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void leader_init(struct leader *l)
{
	make_files(l);
	open_sockets(l);
	open_line(&l->silent, false);
	open_line(&l->letters, false);
	open_line(&l->wide, true);
	open_line(&l->read, false);
	open_line(&l->written, true);
	expect(rota_stream_init_fd(&l->from, l->read.out, NULL), ==, 0);
	expect(rota_stream_init_fd(&l->to, l->written.in, &(struct rota_stream_buffers){ .out_size = 512 }), ==, 0);
}

static void leader_deinit(struct leader *l)
{
	remove_files(l);
	rota_stream_deinit(&l->from);
	rota_stream_deinit(&l->to);
	close_line(&l->silent);
	close_line(&l->letters);
	close_line(&l->wide);
	close_line(&l->read);
	close_line(&l->written);
	close(l->udp[0]);
	close(l->udp[1]);
	close(l->tcp);
	close(l->named);
	close(l->descriptors[0]);
	close(l->descriptors[1]);
	close(l->null);
}

int main(int argc, char **argv)
{
	static const struct torment_plan plan = {
		.kinds = kinds,
		.kind_count = 2 * CALLS,
		.cancels = STRESS_FEWER(160000u),
		.leader_size = sizeof(struct leader),
		.init = leader_init,
		.deinit = leader_deinit,
	};

	flow_number();
	fill_in_kinds();
	return torment_main(argc, argv, &plan);
}
