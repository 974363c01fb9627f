/* SPDX-License-Identifier: MIT */
/* TCP echo with nothing but epoll: what a hand-written event loop reaches, level-triggered, non-blocking. See
 * echo_loops.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "echo_loops.h"

enum { MAX_EVENTS = 256 };

const char loop_about[] = "epoll, level-triggered";

/* Sends `len` bytes; there is always room for one message a connection, so that a short send is an error. */
static int send_all(struct loop *loop, struct end *end, size_t len)
{
	ssize_t n = send(end->fd, loop->buffer, len, MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EPROTO;
}

/* An end is readable: the server sends back what came, the client counts and starts the next round trip. */
static int end_ready(struct loop *loop, struct end *end)
{
	ssize_t n = recv(end->fd, loop->buffer, loop->bytes, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	if (!end->is_client)
		return send_all(loop, end, (size_t)n);
	return end_has_answer(loop, end, (size_t)n) ? send_all(loop, end, loop->bytes) : 0;
}

int loop_init(struct loop *loop)
{
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll < 0 ? -errno : 0;
}

int loop_watch(struct loop *loop, struct end *end)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = end };

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, end->fd, &event) < 0 ? -errno : 0;
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[MAX_EVENTS];
	int rc = 0;

	for (size_t i = 0; i < loop->end_count && rc == 0; i++)
		if (loop->ends[i].is_client)
			rc = send_all(loop, &loop->ends[i], loop->bytes);
	while (rc == 0 && !atomic_load_explicit(loop->stop, memory_order_relaxed)) {
		int n = epoll_wait(loop->epoll, events, MAX_EVENTS, 100);

		if (n < 0 && errno != EINTR)
			rc = -errno;
		for (int i = 0; i < n && rc == 0; i++)
			rc = end_ready(loop, events[i].data.ptr);
	}
	return rc;
}
