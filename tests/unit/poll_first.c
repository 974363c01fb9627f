/* SPDX-License-Identifier: MIT */
/*
 * With epoll, a receive on a connection whose last one had to wait, and has left nothing, waits without a try. What is known
 * of the number may be wrong: then it is tried. Calls of recv(2) are counted, by one that stands in its place.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>

#include "../../io/fd_hint_internal.h"
#include "epoll_here.h"
#include "plain.h"

static int counted_fd = -1;
static unsigned calls; /* of recv(2) on it; by the one worker */

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	calls += fd == counted_fd;
	return syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}

static unsigned calls_since(unsigned before)
{
	return calls - before;
}

static int send_later(void *arg)
{
	const int fd = *(const int *)arg;

	expect(rota_send(fd, "abc", 3, 0), ==, 3);
	return 0;
}

/* A receive that has to wait, and is sent three bytes. How often recv(2) was called. */
static unsigned wait_for_three(const int fds[2], void *buf, size_t room, int flags)
{
	const unsigned before = calls;
	rota_task *sender;

	expect(rota_spawn(&sender, send_later, (void *)(uintptr_t)&fds[1]), ==, 0);
	expect(rota_recv(fds[0], buf, room, flags), ==, (ssize_t)(room < 3 ? room : 3));
	expect(rota_join(sender, NULL), ==, 0);
	return calls_since(before);
}

/* fds[0] has received something after a wait, and nothing is left. */
static void connect_and_drain(int fds[2])
{
	char buf[16];
	char port[8];
	int listener = rota_tcp_listen("127.0.0.1", "0", 1);

	expect(listener, >=, 0);
	snprintf(port, sizeof(port), "%d", rota_local_port(listener));
	fds[1] = rota_tcp_connect("127.0.0.1", port);
	expect(fds[1], >=, 0);
	fds[0] = rota_accept(listener, NULL, NULL);
	expect(fds[0], >=, 0);
	expect(rota_close(listener), ==, 0);
	counted_fd = fds[0];
	expect(wait_for_three(fds, buf, sizeof(buf), 0), ==, 2);
}

typedef void script_fn(int fds[2]); /* what it has closed is -1 when it returns */

static int run_script(void *arg)
{
	script_fn *const *script = arg;
	int fds[2];

	connect_and_drain(fds);
	(*script)(fds);
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			expect(rota_close(fds[i]), ==, 0);
	}
	return 0;
}

static void with_connection(script_fn *script)
{
	in_fiber_on_epoll(run_script, &script);
}

/* --- one call for each message ------------------------------------------------------------------------------------------ */

static void receive_messages(int fds[2])
{
	char buf[16];

	for (int i = 0; i < 5; i++)
		expect(wait_for_three(fds, buf, sizeof(buf), 0), ==, 1);
	plain_expect_bytes(buf, "abc", 3);
	expect(rota_send(fds[1], "d", 1, 0), ==, 1);
	expect(rota_recv(fds[0], buf, sizeof(buf), 0), ==, 1); /* it was there: the wait is over at once */
	expect(buf[0], ==, 'd');
}

UNIT_TEST(poll_first, what_has_left_nothing_is_followed_by_a_wait)
{
	with_connection(receive_messages);
}

/* --- and where something may be left, a try ----------------------------------------------------------------------------- */

static void receive_parts(int fds[2])
{
	unsigned before;
	char buf[16];

	expect(wait_for_three(fds, buf, 2, 0), ==, 1); /* all that there was room for */
	before = calls;
	expect(rota_recv(fds[0], buf, 2, 0), ==, 1);
	expect(rota__fd_hinted(&rota__fd_ready, fds[0]), ==, true); /* found without a wait */
	expect(calls_since(before), ==, 1);
	expect(wait_for_three(fds, buf, sizeof(buf), MSG_PEEK), ==, 2);
	expect(rota__fd_hinted(&rota__fd_ready, fds[0]), ==, true);
	expect(rota_recv(fds[0], buf, sizeof(buf), 0), ==, 3);
}

UNIT_TEST(poll_first, what_may_have_left_something_is_followed_by_a_try)
{
	with_connection(receive_parts);
}

static void receive_at_once(int fds[2])
{
	unsigned before;
	char buf[16];

	before = calls;
	expect(rota_recv(fds[0], buf, sizeof(buf), MSG_DONTWAIT), ==, -EAGAIN);
	expect(calls_since(before), ==, 1);
}

UNIT_TEST(poll_first, who_does_not_wait_is_told_at_once)
{
	with_connection(receive_at_once);
}

/* --- how it ends -------------------------------------------------------------------------------------------------------- */

static void receive_end(int fds[2])
{
	char byte;

	expect(rota_shutdown(fds[1], SHUT_WR), ==, 0);
	expect(rota_recv(fds[0], &byte, 1, 0), ==, 0);
}

UNIT_TEST(poll_first, the_end_is_told)
{
	with_connection(receive_end);
}

static int receive_one(void *arg)
{
	char byte;

	return (int)rota_recv(*(const int *)arg, &byte, 1, 0);
}

static void cancel_and_close(int fds[2])
{
	rota_task *receiver;
	int status;

	for (int closes = 0; closes < 2; closes++) {
		expect(rota_spawn(&receiver, receive_one, &fds[0]), ==, 0);
		unit_until_resting(receiver);
		expect(closes ? rota_close(fds[0]) : rota_cancel(receiver), ==, 0);
		expect(rota_join(receiver, &status), ==, 0);
		expect(status, ==, -ECANCELED);
	}
	fds[0] = -1;
}

UNIT_TEST(poll_first, a_cancel_and_a_close_end_it)
{
	with_connection(cancel_and_close);
}

/* --- the number means something else ------------------------------------------------------------------------------------ */

/* The new one takes the number of the connection behind rota's back. */
static void put_in_place(int fd, int other)
{
	expect(dup2(other, fd), ==, fd);
	expect(close(other), ==, 0);
	expect(rota__fd_hinted(&rota__fd_connections, fd), ==, true);
	expect(rota__fd_hinted(&rota__fd_ready, fd), ==, false);
}

static void receive_from_another(int fds[2])
{
	char buf[16];
	int pair[2];

	plain_pair(pair);
	expect(write(pair[1], "xy", 2), ==, 2);
	put_in_place(fds[0], pair[0]);
	expect(rota_recv(fds[0], buf, sizeof(buf), 0), ==, 2);
	expect(rota_close(fds[1]), ==, 0);
	fds[1] = pair[1];
	expect(wait_for_three(fds, buf, sizeof(buf), 0), ==, 2); /* a try, and a wait */
	expect(wait_for_three(fds, buf, sizeof(buf), 0), ==, 1);
}

UNIT_TEST(poll_first, another_socket_is_tried)
{
	with_connection(receive_from_another);
}

static void read_a_file(int fds[2])
{
	char buf[16];

	put_in_place(fds[0], open("/proc/self/comm", O_RDONLY | O_CLOEXEC));
	expect(rota_recv(fds[0], buf, sizeof(buf), 0), ==, -ENOTSOCK);
	expect(rota_read(fds[0], buf, sizeof(buf)), >, 0);
}

UNIT_TEST(poll_first, a_file_is_told_or_read)
{
	with_connection(read_a_file);
}
