/* SPDX-License-Identifier: MIT */
/* An echo server with nothing but epoll, for the benchmark rate: epoll-server --port N [--workers N]. One thread with one
 * level-triggered loop, whatever --workers says. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER = 4096 };

static int listen_at(int port)
{
	static const int one = 1;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return fd;
}

static int watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int take_connections(int epoll, int listener)
{
	static const int one = 1;
	int fd, rc = 0;

	while (rc == 0 && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		rc = watch(epoll, fd);
	}
	return rc;
}

/* There is always room for so little: a short send is an error. */
static void answer(int fd)
{
	char buffer[BUFFER];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
		close(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC), port = 0, listener, rc;

	for (int i = 1; i + 1 < argc; i += 2)
		if (strcmp(argv[i], "--port") == 0)
			port = atoi(argv[i + 1]);
	rc = listener = listen_at(port);
	if (rc >= 0)
		rc = watch(epoll, listener);
	while (rc >= 0) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n && rc >= 0; i++) {
			if (events[i].data.fd == listener)
				rc = take_connections(epoll, listener);
			else
				answer(events[i].data.fd);
		}
	}
	fprintf(stderr, "epoll-server: %s\n", strerror(-rc));
	return 1;
}
