/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets: streams, datagrams and packets, by pathname and by abstract name; descriptors that are passed along, of
 * which none is lost and none left open; who the peer is; names that were left behind.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../../io/fd.h"
#include "../../io/socket.h"
#include "../../io/tcp.h"
#include "../../io/unix.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

/* A name that nobody else has. */
static const char *abstract_name(void)
{
	static char name[64];
	static unsigned n;

	snprintf(name, sizeof(name), "@rota-test-%d-%u", (int)getpid(), n++);
	return name;
}

static int carry_connect(const struct place *place, const char *path, int type)
{
	struct rota_unix_connect_op op;

	rota_op_unix_connect(&op, path, type);
	return place->carry(place, &op.future);
}

/* --- names ---------------------------------------------------------------------------------------------------------------- */

static void meet(const struct place *place, const char *path, int type)
{
	struct rota_op op;
	char buf[8];

	int listener = rota_unix_listen(path, type, 0);
	expect(listener, >=, 0);
	expect(fcntl(listener, F_GETFD), ==, FD_CLOEXEC);
	expect(rota_unix_listen(path, type, 0), ==, -EADDRINUSE);
	int fd = carry_connect(place, path, type);
	expect(fd, >=, 0);
	expect(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	expect(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, 0);
	rota_op_accept(&op, listener, NULL, NULL);
	int peer = place->carry(place, &op.future);
	expect(peer, >=, 0);
	rota_op_send(&op, fd, "hello", 5, 0);
	expect(place->carry(place, &op.future), ==, 5);
	rota_op_recv(&op, peer, buf, 3, 0);
	expect(place->carry(place, &op.future), ==, 3);
	rota_op_recv(&op, peer, buf, sizeof(buf), MSG_DONTWAIT);
	expect(place->carry(place, &op.future), ==, type == SOCK_STREAM ? 2 : -EAGAIN); /* a packet is cut */
	close(fd);
	rota_op_recv(&op, peer, buf, sizeof(buf), 0);
	expect(place->carry(place, &op.future), ==, 0);
	close(peer);
	/* Of another type; abstract names are apart for each type. */
	expect(carry_connect(place, path, type == SOCK_STREAM ? SOCK_SEQPACKET : SOCK_STREAM), ==,
	       path[0] == '@' ? -ECONNREFUSED : -EPROTOTYPE);
	expect(rota_unix_unbind(listener), ==, 0);
	expect(carry_connect(place, path, type), ==, path[0] == '@' ? -ECONNREFUSED : -ENOENT);
}

static int accept_here(void *arg)
{
	return rota_accept(*(int *)arg, NULL, NULL);
}

static void unbind_script(const struct place *place)
{
	int listener = rota_unix_listen(abstract_name(), SOCK_STREAM, 0);
	rota_task *task = unit_spawn(accept_here, &listener);

	unit_until_resting(task);
	expect(rota_unix_unbind(listener), ==, 0);
	unit_expect_join(task, -ECANCELED);
	(void)place;
}

UNIT_TEST(unix_socket, unbind_ends_what_waits)
{
	in_fibers(unbind_script, 0);
}

static void names_script(const struct place *place)
{
	char directory[256], path[300], long_path[200];
	struct sockaddr_un address;
	socklen_t len;

	plain_directory(directory);
	snprintf(path, sizeof(path), "%s/socket", directory);
	meet(place, path, SOCK_STREAM);
	meet(place, path, SOCK_SEQPACKET);
	meet(place, abstract_name(), SOCK_STREAM);
	meet(place, abstract_name(), SOCK_SEQPACKET);
	memset(long_path, 'x', sizeof(long_path));
	long_path[108] = '\0';
	expect(rota_unix_listen(long_path, SOCK_STREAM, 0), ==, -ENAMETOOLONG);
	expect(carry_connect(place, long_path, SOCK_STREAM), ==, -ENAMETOOLONG);
	expect(rota_unix_listen("", SOCK_STREAM, 0), ==, -EINVAL);
	expect(rota_unix_listen(NULL, SOCK_STREAM, 0), ==, -EINVAL);
	expect(rota_unix_listen(path, SOCK_DGRAM, 0), ==, -EINVAL);
	expect(carry_connect(place, NULL, SOCK_STREAM), ==, -EINVAL);
	expect(rota_unix_address(NULL, &address, &len), ==, -EINVAL);
	expect(rota_unix_unbind(plain_closed()), ==, -EBADF);
	rota__fault_arm(ROTA__FAULT_SOCKET, 1, -EMFILE);
	expect(carry_connect(place, path, SOCK_STREAM), ==, -EMFILE);
	rota__fault_arm(ROTA__FAULT_SOCKET, 1, -EMFILE);
	expect(rota_unix_listen(path, SOCK_STREAM, 0), ==, -EMFILE);
	expect(rmdir(directory), ==, 0); /* nothing is left in it */
}

UNIT_TEST(unix_socket, names)
{
	everyhow(names_script);
}

UNIT_TEST(unix_socket, name_left_behind)
{
	char directory[256], path[300];

	plain_directory(directory);
	snprintf(path, sizeof(path), "%s/socket", directory);
	for (int i = 0; i < 2; i++) {
		int old = rota_unix_listen(path, SOCK_STREAM, 0);

		expect(old, >=, 0);
		close(old); /* as a process does that dies */
	}
	/* What is no socket stays. */
	expect(unlink(path), ==, 0);
	int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	expect(rota_unix_listen(path, SOCK_STREAM, 0), ==, -EADDRINUSE);
	close(file);
	expect(unlink(path), ==, 0);
	int fd = rota_unix_listen(path, SOCK_STREAM, 0);
	expect(fd, >=, 0);
	expect(rota_unix_unbind(fd), ==, 0);
	expect(rmdir(directory), ==, 0);
}

/* A new listener takes the name from one that still runs; that one ends, and who connects meets the new one. */
static void handed_over_script(const struct place *place)
{
	char directory[256], path[300], next[300];

	plain_directory(directory);
	snprintf(path, sizeof(path), "%s/socket", directory);
	snprintf(next, sizeof(next), "%s/next", directory);
	int old = rota_unix_listen(path, SOCK_STREAM, 0);
	expect(old, >=, 0);
	int now = rota_unix_listen(next, SOCK_STREAM, 0);
	expect(now, >=, 0);
	expect(rename(next, path), ==, 0);
	expect(rota_close(old), ==, 0);
	int client = carry_connect(place, path, SOCK_STREAM);
	expect(client, >=, 0);
	int fd = rota_accept(now, NULL, NULL);
	expect(fd, >=, 0);
	close(fd);
	close(client);
	expect(rota_close(now), ==, 0);
	expect(unlink(path), ==, 0);
	expect(rmdir(directory), ==, 0);
}

UNIT_TEST(unix_socket, name_handed_over)
{
	everywhere(handed_over_script);
}

static void datagrams_script(const struct place *place)
{
	const char *name = abstract_name();
	struct sockaddr_un address, from;
	socklen_t len = 0, from_len = sizeof(from);
	struct rota_message_op op;
	char buf[8];

	int server = rota_unix_bind(name);
	expect(server, >=, 0);
	int client = rota_unix_bind(NULL);
	expect(client, >=, 0);
	expect(rota_unix_address(name, &address, &len), ==, 0);
	rota_op_sendto(&op, client, "ping", 4, 0, (struct sockaddr *)&address, len);
	expect(place->carry(place, &op.future), ==, 4);
	rota_op_recvfrom(&op, server, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len);
	expect(place->carry(place, &op.future), ==, 4);
	rota_op_sendto(&op, server, "pong", 4, 0, (struct sockaddr *)&from, from_len);
	expect(place->carry(place, &op.future), ==, 4);
	rota_op_recvfrom(&op, client, buf, 2, MSG_TRUNC, NULL, NULL);
	expect(place->carry(place, &op.future), ==, 4);
	int connected = carry_connect(place, name, SOCK_DGRAM);
	expect(connected, >=, 0);
	expect(send(connected, "x", 1, 0), ==, 1);
	expect(recv(server, buf, sizeof(buf), 0), ==, 1);
	close(connected);
	close(client);
	close(server);
}

UNIT_TEST(unix_socket, datagrams)
{
	everyhow(datagrams_script);
}

static void accept_late(void *arg)
{
	const int listener = *(int *)arg;

	usleep(5000);
	for (int i = 0; i < 2; i++)
		close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

/* The queue of the listener is full: who connects waits for room. */
static void full_script(const struct place *place)
{
	const char *name = abstract_name();
	int listener = rota_unix_listen(name, SOCK_STREAM, 1);
	int waiting[2] = { carry_connect(place, name, SOCK_STREAM), carry_connect(place, name, SOCK_STREAM) };
	struct party party;

	party_start(&party, accept_late, &listener);
	party_go(&party);
	int fd = carry_connect(place, name, SOCK_STREAM);
	expect(fd, >=, 0);
	party_join(&party);
	close(fd);
	plain_close(waiting);
	close(listener);
}

UNIT_TEST(unix_socket, queue_is_full)
{
	everyhow(full_script);
}

UNIT_TEST(unix_socket, pair_and_peer)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	struct rota_unix_peer peer = { 0 };
	int fds[2] = { -5, -5 };

	for (unsigned i = 0; i < 3; i++) {
		expect(rota_socketpair(types[i], fds), ==, 0);
		expect(fcntl(fds[0], F_GETFD), ==, FD_CLOEXEC);
		expect(fcntl(fds[1], F_GETFD), ==, FD_CLOEXEC);
		expect(rota_unix_peer(fds[0], &peer), ==, 0);
		expect(peer.pid, ==, getpid());
		expect(peer.uid, ==, getuid());
		expect(peer.gid, ==, getgid());
		plain_close(fds);
	}
	fds[0] = -5;
	rota__fault_arm(ROTA__FAULT_SOCKET, 1, -ENFILE);
	expect(rota_socketpair(SOCK_STREAM, fds), ==, -ENFILE);
	expect(rota_socketpair(99, fds), <, 0);
	expect(fds[0], ==, -5);
	expect(rota_unix_peer(plain_closed(), &peer), ==, -EBADF);
	int alone = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(rota_unix_peer(alone, &peer), ==, -ENOTCONN);
	close(alone);
}

/* --- descriptors that are passed --------------------------------------------------------------------------------------- */

/* Whether writing to one end comes out at the other. */
static void expect_pipe(int in, int out)
{
	char byte = 0;

	expect(write(in, "p", 1), ==, 1);
	expect(read(out, &byte, 1), ==, 1);
	expect(byte, ==, 'p');
}

static int carry_send(const struct place *place, int fd, const char *text, const int *fds, unsigned n)
{
	struct rota_unix_op op;

	rota_op_unix_send(&op, fd, text, strlen(text), fds, n);
	return place->carry(place, &op.future);
}

static int carry_recv(const struct place *place, int fd, char *buf, size_t size, int *fds, unsigned max,
		      struct rota_unix_received *ret)
{
	struct rota_unix_op op;

	rota_op_unix_recv(&op, fd, buf, size, fds, max, ret);
	return place->carry(place, &op.future);
}

static void pass(const struct place *place, int type)
{
	const unsigned before = unit_own_descriptors();
	struct rota_unix_received received = { 0 };
	int pair[2], ends[2], fds[ROTA_UNIX_MAX_FDS], many[ROTA_UNIX_MAX_FDS + 1];
	char buf[16];

	expect(rota_socketpair(type, pair), ==, 0);
	plain_pipe(ends);
	expect(carry_send(place, pair[0], "two", ends, 2), ==, 3);
	expect(carry_recv(place, pair[1], buf, sizeof(buf), fds, 2, &received), ==, 3);
	expect(received.fds, ==, 2);
	expect(received.fds_lost, ==, false);
	expect(received.truncated, ==, false);
	expect(fcntl(fds[0], F_GETFD), ==, FD_CLOEXEC);
	expect_pipe(fds[1], ends[0]);
	expect_pipe(ends[1], fds[0]);
	plain_close(fds);
	/* More than there is room for: the rest is closed, and said. */
	expect(carry_send(place, pair[0], "two", ends, 2), ==, 3);
	expect(carry_recv(place, pair[1], buf, sizeof(buf), fds, 1, &received), ==, 3);
	expect(received.fds, ==, 1);
	expect(received.fds_lost, ==, true);
	close(fds[0]);
	expect(carry_send(place, pair[0], "two", ends, 2), ==, 3);
	expect(carry_recv(place, pair[1], buf, sizeof(buf), NULL, 0, NULL), ==, 3);
	expect(unit_own_descriptors(), ==, before + 4);
	/* As many as there can be; one more. */
	for (unsigned i = 0; i <= ROTA_UNIX_MAX_FDS; i++)
		many[i] = ends[1];
	expect(carry_send(place, pair[0], "all", many, ROTA_UNIX_MAX_FDS + 1), ==, -EINVAL);
	/* On a stream they go with a byte; else they have gone with an empty message. */
	expect(carry_send(place, pair[0], "", ends, 2), ==, type == SOCK_STREAM ? -EINVAL : 0);
	if (type != SOCK_STREAM) {
		expect(carry_recv(place, pair[1], buf, sizeof(buf), fds, 2, &received), ==, 0);
		expect(received.fds, ==, 2);
		plain_close(fds);
	}
	expect(carry_send(place, pair[0], "all", many, ROTA_UNIX_MAX_FDS), ==, 3);
	expect(carry_recv(place, pair[1], buf, 2, fds, ROTA_UNIX_MAX_FDS, &received), ==, 2);
	expect(received.fds, ==, ROTA_UNIX_MAX_FDS);
	expect(received.truncated, ==, type != SOCK_STREAM);
	for (unsigned i = 0; i < received.fds; i++)
		close(fds[i]);
	many[1] = plain_closed();
	expect(carry_send(place, pair[0], "bad", many, 2), ==, -EBADF);
	/* Without descriptors it is a message like another. */
	if (type == SOCK_STREAM)
		expect(read(pair[1], buf, 1), ==, 1);
	expect(carry_send(place, pair[0], "none", NULL, 0), ==, 4);
	expect(carry_send(place, pair[0], "none", NULL, 1), ==, -EINVAL);
	expect(carry_recv(place, pair[1], buf, sizeof(buf), fds, 2, NULL), ==, -EINVAL);
	expect(carry_recv(place, pair[1], buf, sizeof(buf), NULL, 2, &received), ==, -EINVAL);
	expect(carry_recv(place, pair[1], buf, sizeof(buf), fds, 2, &received), ==, 4);
	expect(received.fds, ==, 0);
	plain_close(ends);
	plain_close(pair);
	expect(unit_own_descriptors(), ==, before);
}

static void pass_script(const struct place *place)
{
	pass(place, SOCK_STREAM);
	pass(place, SOCK_SEQPACKET);
	pass(place, SOCK_DGRAM);
}

UNIT_TEST(unix_socket, descriptors)
{
	everyhow(pass_script);
}

static void late_pass(void *arg)
{
	const struct place fake = { .carry = carry_await };
	int *pair = arg;

	expect(carry_send(&fake, pair[0], "x", &pair[0], 1), ==, 1);
}

static void calls_script(const struct place *place)
{
	struct rota_unix_received received;
	struct party party;
	int pair[2], fd;
	char byte;

	(void)place;
	expect(rota_socketpair(SOCK_STREAM, pair), ==, 0);
	party_start(&party, late_pass, pair);
	party_go(&party);
	expect(rota_unix_recv(pair[1], &byte, 1, &fd, 1, &received), ==, 1);
	party_join(&party);
	expect(received.fds, ==, 1);
	expect(rota_unix_send(fd, "y", 1, &fd, 1), ==, 1);
	close(fd);
	expect(rota_unix_recv(pair[1], &byte, 1, &fd, 1, &received), ==, 1);
	close(fd);
	int direct = rota_unix_connect("@rota-nobody", SOCK_STREAM);
	expect(direct, ==, -ECONNREFUSED);
	plain_close(pair);
}

UNIT_TEST(unix_socket, calls)
{
	everywhere(calls_script);
}

/* This process may have no more descriptors: those that do not fit are dropped, which is told. */
static void exhausted_script(const struct place *place)
{
	struct rota_unix_received received = { 0 };
	struct rlimit old, low;
	int pair[2], fds[4], sent[4];
	char byte;

	expect(rota_socketpair(SOCK_STREAM, pair), ==, 0);
	for (int i = 0; i < 4; i++)
		sent[i] = pair[0];
	expect(rota_unix_send(pair[0], "x", 1, sent, 4), ==, 1);
	int next = dup(pair[0]);
	close(next);
	expect(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
	low = (struct rlimit){ (rlim_t)next + 2, old.rlim_max };
	expect(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
	int n = carry_recv(place, pair[1], &byte, 1, fds, 4, &received);
	expect(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
	expect(n, ==, 1);
	expect(received.fds, <=, 2);
	expect(received.fds_lost, ==, true);
	for (unsigned i = 0; i < received.fds; i++)
		close(fds[i]);
	plain_close(pair);
}

UNIT_TEST(unix_socket, no_descriptor_left)
{
	everyhow(exhausted_script);
}

/* --- cancelling ---------------------------------------------------------------------------------------------------------- */

struct caller {
	int fd;
	const char *path;
	rota_task *task;
	int status;
};

static int call_recv(void *arg)
{
	struct caller *caller = arg;
	struct rota_unix_received received = { 0 };
	int fd = -1;
	char byte;
	ssize_t n = rota_unix_recv(caller->fd, &byte, 1, &fd, 1, &received);

	expect(received.fds, ==, n > 0 ? 1 : 0);
	if (n > 0)
		expect(close(fd), ==, 0);
	return (int)n;
}

/* A descriptor that comes while the cancel is under way is handed out, or is still under way. */
static void race_script(const struct place *place)
{
	const unsigned before = unit_own_descriptors();
	struct caller caller;
	int pair[2];

	(void)place;
	expect(rota_socketpair(SOCK_STREAM, pair), ==, 0);
	caller.fd = pair[1];
	for (unsigned i = 0; i < 300; i++) {
		expect(rota_spawn(&caller.task, call_recv, &caller), ==, 0);
		for (unsigned yields = 0; yields < i % 7; yields++)
			rota_yield();
		if (i % 3 != 0)
			expect(rota_unix_send(pair[0], "x", 1, &pair[0], 1), ==, 1);
		expect(rota_cancel(caller.task), ==, 0);
		expect(rota_join(caller.task, &caller.status), ==, 0);
		if (caller.status < 0) {
			expect(caller.status, ==, -ECANCELED);
			if (i % 3 != 0)
				expect(call_recv(&caller), ==, 1);
		}
		expect(unit_own_descriptors(), ==, before + 2);
	}
	plain_close(pair);
}

UNIT_TEST(unix_socket, cancel_that_races_with_a_descriptor)
{
	in_fibers(race_script, 0);
	in_fibers(race_script, 1);
}

static int call_connect(void *arg)
{
	return rota_unix_connect(((struct caller *)arg)->path, SOCK_STREAM);
}

static void cancelled_connect_script(const struct place *place)
{
	struct caller caller = { .path = abstract_name() };
	int listener = rota_unix_listen(caller.path, SOCK_STREAM, 1);
	int waiting[2] = { carry_connect(place, caller.path, SOCK_STREAM),
			   carry_connect(place, caller.path, SOCK_STREAM) };

	for (uint64_t i = 0; i < 6; i++) {
		expect(rota_spawn(&caller.task, call_connect, &caller), ==, 0);
		rota_sleep(i * ROTA_MS(1));
		expect(rota_cancel(caller.task), ==, 0);
		expect(rota_join(caller.task, &caller.status), ==, 0);
		expect(caller.status, ==, -ECANCELED);
	}
	plain_close(waiting);
	close(listener);
}

UNIT_TEST(unix_socket, cancelled_connect)
{
	in_fibers(cancelled_connect_script, 0);
}

/* The operation on a socket of the caller's own, as opposed to rota_unix_connect. */
static int call_op_connect(void *arg)
{
	struct caller *caller = arg;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t len = strlen(caller->path);
	struct rota_op op;

	memcpy(address.sun_path + 1, caller->path + 1, len - 1); /* abstract */
	rota_op_connect(&op, caller->fd, (struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	return rota_await(&op.future);
}

/* As connect(2) does on a blocking socket: it waits until the listener's queue has room. */
static void full_queue_script(const struct place *place, int flags)
{
	struct caller caller = { .path = abstract_name() };
	int listener = rota_unix_listen(caller.path, SOCK_STREAM, 1);
	int waiting[2] = { carry_connect(place, caller.path, SOCK_STREAM),
			   carry_connect(place, caller.path, SOCK_STREAM) };
	int accepted[3];
	char byte;

	caller.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	expect(rota_spawn(&caller.task, call_op_connect, &caller), ==, 0);
	rota_sleep(ROTA_MS(5)); /* it has the time to be wrong */
	expect(getpeername(caller.fd, (struct sockaddr *)&(struct sockaddr_un){ 0 },
			   &(socklen_t){ sizeof(struct sockaddr_un) }),
	       ==, -1);
	for (int i = 0; i < 3; i++) {
		accepted[i] = rota_accept(listener, NULL, NULL);
		expect(accepted[i], >=, 0);
	}
	expect(rota_join(caller.task, &caller.status), ==, 0);
	expect(caller.status, ==, 0);
	expect(fcntl(caller.fd, F_GETFL) & O_NONBLOCK, ==, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
	expect(rota_send(caller.fd, "x", 1, 0), ==, 1);
	expect(rota_recv(accepted[2], &byte, 1, 0), ==, 1);
	/* Again full, and cancelled: it was not connected. */
	for (int i = 0; i < 3; i++)
		close(accepted[i]);
	close(caller.fd);
	plain_close(waiting);
	for (int i = 0; i < 2; i++)
		waiting[i] = carry_connect(place, caller.path, SOCK_STREAM);
	caller.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	expect(rota_spawn(&caller.task, call_op_connect, &caller), ==, 0);
	rota_sleep(ROTA_MS(2));
	expect(rota_cancel(caller.task), ==, 0);
	expect(rota_join(caller.task, &caller.status), ==, 0);
	expect(caller.status, ==, -ECANCELED);
	/* And closed: that ends the wait like any other on the descriptor. */
	expect(rota_spawn(&caller.task, call_op_connect, &caller), ==, 0);
	rota_sleep(ROTA_MS(2));
	expect(rota_close(caller.fd), ==, 0);
	expect(rota_join(caller.task, &caller.status), ==, 0);
	expect(caller.status, ==, -ECANCELED);
	plain_close(waiting);
	close(listener);
}

static void blocking_full_queue_script(const struct place *place)
{
	full_queue_script(place, 0);
}

static void nonblocking_full_queue_script(const struct place *place)
{
	full_queue_script(place, SOCK_NONBLOCK);
}

UNIT_TEST(unix_socket, connect_op_waits_while_the_queue_is_full)
{
	in_fibers(blocking_full_queue_script, 0);
	in_fibers(blocking_full_queue_script, 1);
}

UNIT_TEST(unix_socket, connect_op_of_a_nonblocking_socket_waits_as_well)
{
	in_fibers(nonblocking_full_queue_script, 0);
	in_fibers(nonblocking_full_queue_script, 1);
}
