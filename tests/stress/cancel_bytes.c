/* SPDX-License-Identifier: MIT */
/*
 * Random cancels, by torment.h, of whatever moves bytes and descriptors from one place to another: streams of connections
 * and of buffers, buffered writing, splices, copies and joins, messages with descriptors, batches of datagrams, ends in
 * memory, children. Bytes are numbered: whoever gets them sees that none is missing, none comes twice, and none out of turn;
 * and what calls say that they have moved is what has moved.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "flow.h"
#include "torment.h"

#define SAID 4u /* bytes that come at once */
#define CHUNK FLOW_LONGEST

/* From the leader's end to the leader's end, through what victims do. */
struct passage {
	struct flow flow;
	int in, out;             /* the leader's ends */
	int read_from, write_to; /* the victims' */
	struct rota_stream from, to;
};

struct leader {
	struct torment t;
	int listening, client;
	struct sockaddr_un address;
	struct rota_accept_stream accepts;
	int received[2];
	struct rota_recv_stream receives;
	struct flow receive, write, buffered, read, splice, zero, datagrams, remember, recall;
	int written[2], streamed[2], exact[2], silent[2], spliced[2], source[2], full[2], letters[2], zeros[2], udp[2];
	struct rota_stream out;
	struct passage copied, piped, there, back;
	int in_source, in_full, room;
	int null, letters_got;
	int tcp;
	char port[8];
	struct rota_duplex duplex;
	struct rota_stream near, far;
};

/* --- streams of connections and of buffers ------------------------------------------------------------------------------ */

static int next_connection(struct leader *l)
{
	return take_descriptor(rota_accept_stream_next(&l->accepts));
}

static struct rota_future *carry_next_connection(struct leader *l)
{
	rota_accept_stream_next_init(&l->accepts);
	return &l->accepts.future;
}

static void connect_client(struct leader *l)
{
	l->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(connect(l->client, (struct sockaddr *)&l->address, sizeof(l->address)), ==, 0);
}

/* One that was lost would be waited for, for ever. What a ring has opened is closed by a ring: the thread sanitizer, which
 * sees neither, would take a close(2) for that of whoever had the number last. */
static void accepted_once(struct leader *l, bool taken)
{
	expect(taken && !l->t.come, ==, false);
	if (l->t.kind->carry != NULL && taken)
		expect(rota_close(l->accepts.future.status), ==, 0);
	if (l->t.come && !taken)
		expect(rota_close(rota_accept_stream_next(&l->accepts)), ==, 0);
	if (l->t.come)
		close(l->client);
}

static int next_buffer(struct leader *l)
{
	struct rota_buffer buffer;
	ssize_t n = rota_recv_stream_next(&l->receives, &buffer);

	if (n > 0) {
		expect(buffer.len, ==, n);
		hear(&l->receive, buffer.data, n);
		rota_buffer_release(&buffer);
	}
	return (int)n;
}

static void send_to_buffers(struct leader *l)
{
	say(&l->receive, l->received[1], SAID);
}

static void all_were_received(struct leader *l, bool taken)
{
	(void)taken;
	while (l->receive.heard < l->receive.said)
		expect(next_buffer(l), >, 0);
	expect(bytes_in(l->received[0]), ==, 0);
}

/* --- reading and writing until it is enough ----------------------------------------------------------------------------- */

static int write_all(struct leader *l)
{
	const size_t len = 1 + l->t.dice % CHUNK;
	ssize_t n = rota_write_all(l->written[1], numbered(l->write.moved), len);

	if (n > 0)
		l->write.moved += (uint64_t)n;
	return (int)n;
}

static void drain_written(struct leader *l)
{
	drain(&l->write, l->written[0]);
}

static void written_is_heard(struct leader *l, bool taken)
{
	(void)taken;
	drain_written(l);
	expect(l->write.heard, ==, l->write.moved);
}

static int write_stream(struct leader *l)
{
	const size_t len = 1 + l->t.dice % CHUNK;
	ssize_t n = rota_stream_write_all(&l->out, numbered(l->buffered.moved), len);

	if (n < 0)
		return (int)n;
	l->buffered.moved += (uint64_t)n;
	return one_if(rota_stream_flush(&l->out));
}

static void drain_streamed(struct leader *l)
{
	drain(&l->buffered, l->streamed[1]);
}

static void streamed_is_heard_or_kept(struct leader *l, bool taken)
{
	drain_streamed(l);
	expect(l->buffered.heard, ==, rota_stream_written(&l->out));
	expect(l->buffered.moved - l->buffered.heard, ==, rota_stream_unwritten(&l->out));
	if (taken)
		expect(rota_stream_unwritten(&l->out), ==, 0);
}

static int read_exact(struct leader *l)
{
	unsigned char bytes[8];
	ssize_t n = rota_read_exact(l->exact[0], bytes, 1 + l->t.dice % sizeof(bytes));

	if (n > 0)
		hear(&l->read, bytes, n);
	return (int)n;
}

static void say_some(struct leader *l)
{
	say(&l->read, l->exact[1], SAID);
}

static void the_rest_is_unread(struct leader *l, bool taken)
{
	(void)taken;
	expect(bytes_in(l->exact[0]), ==, l->read.said - l->read.heard);
}

static int send_zero_copy(struct leader *l)
{
	const size_t len = 1 + l->t.dice % 16384; /* there is always room: until they are acknowledged nobody reads */
	ssize_t n = rota_send_zero_copy(l->zeros[0], numbered(l->zero.said), len, 0);

	if (n > 0)
		l->zero.said += (uint64_t)n;
	return (int)n;
}

static void zeros_arrive(struct leader *l, bool taken)
{
	unsigned char bytes[4096];
	ssize_t n;

	(void)taken;
	while (l->zero.heard < l->zero.said) {
		n = rota_recv(l->zeros[1], bytes, sizeof(bytes), 0);
		expect(n, >, 0);
		hear(&l->zero, bytes, n);
	}
	expect(recv(l->zeros[1], bytes, 1, MSG_DONTWAIT), ==, -1);
}

/* --- from descriptor to descriptor -------------------------------------------------------------------------------------- */

static int splice_from_silent(struct leader *l)
{
	ssize_t n = rota_splice(l->silent[0], -1, l->spliced[0], -1, 1 + l->t.dice % 8, 0);

	if (n > 0)
		l->splice.moved += (uint64_t)n;
	return (int)n;
}

static void say_into_silent(struct leader *l)
{
	say(&l->splice, l->silent[1], SAID);
}

static void spliced_is_heard(struct leader *l, bool taken)
{
	(void)taken;
	drain(&l->splice, l->spliced[1]);
	expect(l->splice.heard, ==, l->splice.moved);
	expect(bytes_in(l->silent[0]), ==, l->splice.said - l->splice.moved);
}

/* A pipe with something in it, and one without room. */
static void fill_pipes(struct leader *l)
{
	struct pollfd room = { .fd = l->full[1], .events = POLLOUT };

	if (bytes_in(l->source[0]) < 4096)
		expect(write(l->source[1], numbered(0), 4096), ==, 4096);
	while (poll(&room, 1, 0) == 1)
		expect(write(l->full[1], numbered(0), 4096), >, 0);
	l->in_source = (int)bytes_in(l->source[0]);
	l->in_full = (int)bytes_in(l->full[0]);
	l->room = 0;
}

static int splice_into_full(struct leader *l)
{
	return (int)rota_splice(l->source[0], -1, l->full[1], -1, 4096, 0);
}

static void make_room(struct leader *l)
{
	unsigned char bytes[4096];

	l->room = (int)read(l->full[0], bytes, sizeof(bytes));
	expect(l->room, >, 0);
}

static void what_left_one_pipe_is_in_the_other(struct leader *l, bool taken)
{
	int moved = l->in_source - (int)bytes_in(l->source[0]);

	expect(moved > 0, ==, taken);
	expect(bytes_in(l->full[0]), ==, l->in_full - l->room + moved);
}

/* --- from stream to stream ------------------------------------------------------------------------------------------------ */

static int copy_through(struct passage *p, uint64_t limit)
{
	uint64_t copied = 0;
	int rc = rota_stream_copy(&p->from, &p->to, limit, &copied);

	p->flow.moved += copied;
	if (rc == 0)
		expect(copied, ==, limit);
	return one_if(rc);
}

/* What was copied has come out, and everything else waits on this side. */
static void copied_is_heard(struct passage *p)
{
	size_t buffered;

	rota_stream_peek(&p->from, &buffered);
	drain(&p->flow, p->out);
	expect(p->flow.heard, ==, p->flow.moved);
	expect(buffered + bytes_in(p->read_from), ==, p->flow.said - p->flow.moved);
}

static int copy_sockets(struct leader *l)
{
	return copy_through(&l->copied, 1 + l->t.dice % 8);
}

static void say_into_copied(struct leader *l)
{
	say(&l->copied.flow, l->copied.in, SAID);
}

static void sockets_were_copied(struct leader *l, bool taken)
{
	(void)taken;
	copied_is_heard(&l->copied);
}

static int copy_pipe(struct leader *l)
{
	return copy_through(&l->piped, 1 + l->t.dice % 8);
}

static void say_into_piped(struct leader *l)
{
	say(&l->piped.flow, l->piped.in, SAID);
}

static void pipe_was_copied(struct leader *l, bool taken)
{
	(void)taken;
	copied_is_heard(&l->piped);
}

/* `back` has no streams of its own: it goes through those of `there`, the other way. */
static int join_both(struct leader *l)
{
	uint64_t copied[2] = { 0, 0 };
	int rc = rota_stream_join(&l->there.from, &l->there.to, copied);

	l->there.flow.moved += copied[0];
	l->back.flow.moved += copied[1];
	return one_if(rc);
}

static void say_into_both(struct leader *l)
{
	say(&l->there.flow, l->there.in, SAID);
	say(&l->back.flow, l->back.in, SAID);
}

static void both_were_joined(struct leader *l, bool taken)
{
	size_t buffered;

	expect(taken, ==, false); /* neither has come to its end */
	copied_is_heard(&l->there);
	rota_stream_peek(&l->there.to, &buffered);
	drain(&l->back.flow, l->back.out);
	expect(l->back.flow.heard, ==, l->back.flow.moved);
	expect(buffered + bytes_in(l->back.read_from), ==, l->back.flow.said - l->back.flow.moved);
}

/* --- in memory -------------------------------------------------------------------------------------------------------------- */

static int recall(struct leader *l)
{
	unsigned char bytes[8];
	ssize_t n = rota_stream_read(&l->near, bytes, sizeof(bytes));

	if (n > 0)
		hear(&l->recall, bytes, n);
	return (int)n;
}

/* There is room: nothing is in there before. */
static void remember(struct leader *l)
{
	expect(rota_stream_write_all(&l->far, numbered(l->recall.said), SAID), ==, SAID);
	expect(rota_stream_flush(&l->far), ==, 0);
	l->recall.said += SAID;
}

static void all_was_recalled(struct leader *l, bool taken)
{
	(void)taken;
	while (l->recall.heard < l->recall.said)
		expect(recall(l), >, 0);
}

static int fill_memory(struct leader *l)
{
	ssize_t n = rota_stream_write_all(&l->near, numbered(l->remember.moved), 1 + l->t.dice % 500);

	if (n < 0)
		return (int)n;
	l->remember.moved += (uint64_t)n;
	return one_if(rota_stream_flush(&l->near));
}

/* What is there at once, without waiting for more. */
static void empty_memory(struct leader *l)
{
	struct rota_stream_op read;
	struct rota_yield_op now;
	unsigned char bytes[64];

	rota_op_stream_read(&read, &l->far, bytes, sizeof(bytes));
	rota_yield_init(&now);
	(void)ROTA_AWAIT_ANY_BIASED(NULL, &read.future, &now.future);
	if (read.future.status > 0)
		hear(&l->remember, bytes, read.future.status);
}

static void memory_is_heard_or_kept(struct leader *l, bool taken)
{
	(void)taken;
	while (l->remember.heard < rota_stream_written(&l->near))
		empty_memory(l);
	expect(l->remember.moved - l->remember.heard, ==, rota_stream_unwritten(&l->near));
}

/* --- messages ---------------------------------------------------------------------------------------------------------------- */

static int receive_descriptor(struct leader *l)
{
	struct rota_unix_received received;
	char byte;
	int fd = -1;
	ssize_t n = rota_unix_recv(l->letters[0], &byte, 1, &fd, 1, &received);

	if (n < 0)
		return (int)n;
	expect(n, ==, 1);
	expect(received.fds, ==, 1);
	return take_descriptor(fd);
}

static void send_descriptor(struct leader *l)
{
	expect(rota_unix_send(l->letters[1], "d", 1, &l->null, 1), ==, 1); /* at once: there is room */
}

static void descriptor_once(struct leader *l, bool taken)
{
	if (l->t.come && !taken)
		expect(receive_descriptor(l), ==, 1);
	expect(bytes_in(l->letters[0]), ==, 0);
}

static void fill_letters(struct leader *l)
{
	l->letters_got = 0;
	while (send(l->letters[0], "f", 1, MSG_DONTWAIT) == 1)
		;
}

static int send_letter(struct leader *l)
{
	return (int)rota_unix_send(l->letters[0], "d", 1, &l->null, 1);
}

static void read_letters(struct leader *l)
{
	struct rota_unix_received received;
	char bytes[64];
	int fd;

	while (bytes_in(l->letters[1]) > 0) {
		expect(rota_unix_recv(l->letters[1], bytes, sizeof(bytes), &fd, 1, &received), >, 0);
		expect(received.fds_lost, ==, false);
		l->letters_got += (int)received.fds;
		if (received.fds > 0)
			expect(rota_close(fd), ==, 0);
	}
}

static void letter_has_gone_if_it_says_so(struct leader *l, bool taken)
{
	read_letters(l);
	expect(l->letters_got, ==, taken ? 1 : 0);
}

static int receive_batch(struct leader *l)
{
	char bytes[4][8];
	struct rota_datagram batch[4];
	int n;

	for (int i = 0; i < 4; i++)
		batch[i] = (struct rota_datagram){ .data = bytes[i], .size = sizeof(bytes[i]) };
	n = rota_udp_recv(l->udp[0], batch, 4);
	for (int i = 0; i < n; i++)
		expect(batch[i].len, ==, 3);
	l->datagrams.heard += n > 0 ? (unsigned)n : 0;
	return n;
}

static void send_two(struct leader *l)
{
	for (int i = 0; i < 2; i++)
		expect(send(l->udp[1], "abc", 3, 0), ==, 3);
	l->datagrams.said += 2;
}

static void all_datagrams_came(struct leader *l, bool taken)
{
	(void)taken;
	while (l->datagrams.heard < l->datagrams.said)
		expect(receive_batch(l), >, 0);
	expect(l->datagrams.heard, ==, l->datagrams.said);
}

static int connect_by_name(struct leader *l)
{
	return take_descriptor(rota_tcp_connect("127.0.0.1", l->port));
}

static void accept_all(struct leader *l, bool taken)
{
	int fd;

	(void)taken;
	while ((fd = accept4(l->tcp, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

/* --- children ----------------------------------------------------------------------------------------------------------------- */

static int wait_for_a_child(struct leader *l)
{
	const struct rota_process_config config = { .argv = (char *const[]){ "sleep", "0.002", NULL } };
	struct rota_process child;
	int status = 0, rc = rota_process_spawn(&child, &config);

	(void)l;
	if (rc < 0)
		return rc;
	rc = rota_process_wait(&child, &status);
	if (rc < 0) { /* it goes on, and the handle is as good as before */
		rota_shield_enter();
		expect(rota_process_terminate(&child, ROTA_SECONDS(30), &status), ==, 0);
		rota_shield_leave();
	}
	expect(rc < 0 ? WIFEXITED(status) || WIFSIGNALED(status) : WIFEXITED(status), ==, 1);
	rota_process_close(&child);
	return one_if(rc);
}

static int read_from_a_child(struct leader *l)
{
	const struct rota_process_config config = { .argv = (char *const[]){ "echo", "hey", NULL } };
	char out[8];
	struct rota_process_capture capture = { .out = out, .out_size = sizeof(out) };
	int status = 0, rc = rota_process_output(&config, &capture, &status);

	(void)l;
	if (rc == 0)
		expect(capture.out_len == 4 && memcmp(out, "hey\n", 4) == 0, ==, 1);
	return one_if(rc);
}

static const struct torment_kind kinds[] = {
	{ .suffer = next_connection, .bring = connect_client, .settle = accepted_once },
	{ .carry = carry_next_connection, .bring = connect_client, .settle = accepted_once },
	{ .suffer = next_buffer, .bring = send_to_buffers, .settle = all_were_received },
	{ .suffer = write_all, .bring = drain_written, .settle = written_is_heard },
	{ .suffer = write_stream, .bring = drain_streamed, .settle = streamed_is_heard_or_kept },
	{ .suffer = read_exact, .bring = say_some, .settle = the_rest_is_unread },
	{ .suffer = send_zero_copy, .settle = zeros_arrive, .one_in = 40 },
	{ .suffer = splice_from_silent, .bring = say_into_silent, .settle = spliced_is_heard },
	{ .prepare = fill_pipes,
	  .suffer = splice_into_full,
	  .bring = make_room,
	  .settle = what_left_one_pipe_is_in_the_other },
	{ .suffer = copy_sockets, .bring = say_into_copied, .settle = sockets_were_copied },
	{ .suffer = copy_pipe, .bring = say_into_piped, .settle = pipe_was_copied },
	{ .suffer = join_both, .bring = say_into_both, .settle = both_were_joined },
	{ .suffer = recall, .bring = remember, .settle = all_was_recalled },
	{ .suffer = fill_memory, .bring = empty_memory, .settle = memory_is_heard_or_kept },
	{ .suffer = receive_descriptor, .bring = send_descriptor, .settle = descriptor_once },
	{ .prepare = fill_letters, .suffer = send_letter, .bring = read_letters, .settle = letter_has_gone_if_it_says_so },
	{ .suffer = receive_batch, .bring = send_two, .settle = all_datagrams_came },
	{ .suffer = connect_by_name, .settle = accept_all, .one_in = 40 },
	{ .suffer = wait_for_a_child, .one_in = 400 },
	{ .suffer = read_from_a_child, .one_in = 400 },
};

/* --- the leader ----------------------------------------------------------------------------------------------------------------- */

static void open_pair(int ret_fds[2])
{
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds), ==, 0);
}

/* The least that the kernel allows. */
static void make_narrow(int fd)
{
	expect(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int)), ==, 0);
}

static int bind_loopback(int type)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	expect(bind(fd, (struct sockaddr *)&any, sizeof(any)), ==, 0);
	return fd;
}

static void connect_to(int fd, int other)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	expect(getsockname(other, (struct sockaddr *)&address, &len), ==, 0);
	expect(connect(fd, (struct sockaddr *)&address, len), ==, 0);
}

static void open_inet(struct leader *l)
{
	l->udp[0] = bind_loopback(SOCK_DGRAM);
	l->udp[1] = bind_loopback(SOCK_DGRAM);
	connect_to(l->udp[0], l->udp[1]);
	connect_to(l->udp[1], l->udp[0]);
	l->tcp = bind_loopback(SOCK_STREAM | SOCK_NONBLOCK);
	expect(listen(l->tcp, 64), ==, 0);
	snprintf(l->port, sizeof(l->port), "%d", rota_local_port(l->tcp));
	l->zeros[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	connect_to(l->zeros[0], l->tcp);
	l->zeros[1] = accept4(l->tcp, NULL, NULL, SOCK_CLOEXEC);
	expect(l->zeros[1], >=, 0);
}

static void open_listener(struct leader *l)
{
	l->address.sun_family = AF_UNIX;
	/* An abstract name. */
	snprintf(l->address.sun_path + 1, sizeof(l->address.sun_path) - 1, "rota-cancel-bytes-%d-%u", getpid(),
		 l->t.number);
	l->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(bind(l->listening, (struct sockaddr *)&l->address, sizeof(l->address)), ==, 0);
	expect(listen(l->listening, 8), ==, 0);
	rota_accept_stream_init(&l->accepts, l->listening, l->t.number % 3 == 0 ? 1 : 4);
}

/* From `in` through two streams to `out`. Descriptors are shut by passage_close. */
static void passage_open(struct passage *p, bool from_pipe)
{
	int first[2], second[2];

	if (from_pipe)
		expect(pipe2(first, O_CLOEXEC), ==, 0);
	else
		open_pair(first);
	open_pair(second);
	p->in = first[1];
	p->read_from = first[0];
	p->write_to = second[0];
	p->out = second[1];
	expect(rota_stream_init_fds(&p->from, first[0], from_pipe ? -1 : first[0], NULL), ==, 0);
	expect(rota_stream_init_fds(&p->to, second[0], second[0], NULL), ==, 0);
}

static void passage_close(struct passage *p)
{
	rota_stream_deinit(&p->from);
	rota_stream_deinit(&p->to);
	close(p->in);
	close(p->read_from);
	close(p->write_to);
	close(p->out);
}

static void leader_init(struct leader *l)
{
	open_listener(l);
	open_inet(l);
	open_pair(l->received);
	rota_recv_stream_init(&l->receives, l->received[0]);
	expect(pipe2(l->written, O_CLOEXEC), ==, 0);
	expect(fcntl(l->written[1], F_SETPIPE_SZ, 4096), ==, 4096);
	open_pair(l->streamed);
	make_narrow(l->streamed[0]);
	expect(rota_stream_init_fd(&l->out, l->streamed[0], &(struct rota_stream_buffers){ .out_size = 512 }), ==, 0);
	expect(pipe2(l->exact, O_CLOEXEC), ==, 0);
	/* Half of them as those that rota may write to itself. */
	expect(pipe2(l->silent, O_CLOEXEC), ==, 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (l->t.number % 2 ? SOCK_NONBLOCK : 0), 0, l->spliced),
	       ==, 0);
	expect(pipe2(l->source, O_CLOEXEC), ==, 0);
	expect(pipe2(l->full, O_CLOEXEC | (l->t.number % 2 ? O_NONBLOCK : 0)), ==, 0);
	expect(fcntl(l->full[1], F_SETPIPE_SZ, 4096), ==, 4096);
	open_pair(l->letters);
	make_narrow(l->letters[0]);
	l->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	passage_open(&l->copied, false);
	passage_open(&l->piped, true);
	passage_open(&l->there, false);
	l->back = (struct passage){ .in = l->there.out, .out = l->there.in, .read_from = l->there.write_to };
	expect(rota_duplex_init(&l->duplex, 64), ==, 0);
	expect(rota_stream_init(&l->near, &rota_duplex_ops, &l->duplex.ends[0],
				&(struct rota_stream_buffers){ .out_size = 16 }),
	       ==, 0);
	expect(rota_stream_init(&l->far, &rota_duplex_ops, &l->duplex.ends[1], NULL), ==, 0);
}

/* Nothing is left behind in the two streams that the kernel fills. */
static void leader_finish(struct leader *l)
{
	struct rota_buffer buffer;

	rota_accept_stream_stop(&l->accepts);
	expect(rota_accept_stream_next(&l->accepts), ==, -ECANCELED);
	expect(l->accepts.dropped, ==, 0);
	rota_accept_stream_close(&l->accepts);
	rota_recv_stream_stop(&l->receives);
	expect(rota_recv_stream_next(&l->receives, &buffer), ==, -ECANCELED);
	rota_recv_stream_close(&l->receives);
}

static void close_pair(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void leader_deinit(struct leader *l)
{
	expect(waitpid(-1, NULL, WNOHANG), ==, -1); /* no child is left, not even as a zombie */
	expect(errno, ==, ECHILD);
	rota_stream_deinit(&l->near);
	rota_stream_deinit(&l->far);
	rota_duplex_deinit(&l->duplex);
	rota_stream_deinit(&l->out);
	passage_close(&l->copied);
	passage_close(&l->piped);
	passage_close(&l->there);
	close_pair(l->received);
	close_pair(l->written);
	close_pair(l->streamed);
	close_pair(l->exact);
	close_pair(l->silent);
	close_pair(l->spliced);
	close_pair(l->source);
	close_pair(l->full);
	close_pair(l->letters);
	close_pair(l->zeros);
	close_pair(l->udp);
	close(l->listening);
	close(l->null);
	close(l->tcp);
}

int main(int argc, char **argv)
{
	static const struct torment_plan plan = {
		.kinds = kinds,
		.kind_count = sizeof(kinds) / sizeof(kinds[0]),
		.cancels = STRESS_FEWER(160000u),
		.leader_size = sizeof(struct leader),
		.init = leader_init,
		.deinit = leader_deinit,
		.finish = leader_finish,
	};

	flow_number();
	return torment_main(argc, argv, &plan);
}
