/* SPDX-License-Identifier: MIT */
/*
 * Idle TCP connections as stackless tasks, each waiting for its first bytes: resident memory for each, the benchmark's own
 * structs included, the kernel's sockets not. Nobody joins the tasks, so there are no handles. The peers are plain sockets
 * of this process. As many as were asked for, or as descriptors allow: each takes two; clients connect from several
 * addresses of the loopback, so that ports suffice.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "connections", 100000, 200, "at most so many" },
	{ NULL, 0, 0, NULL },
};

enum { PER_ADDRESS = 20000 };

/* A connection: a future that drinks what comes until the peer closes, then stops its stream. Which of the two it is at,
 * its table of functions says. It waits without a buffer, and takes one when there is one to take. */
struct connection {
	struct rota_future future;
	struct rota_recv_stream stream;
};

struct crowd {
	size_t wanted, made;
	struct connection *connections;
	int *clients, *servers;
	struct rota_wait_group alive;
	atomic_int error; /* the first that a connection ended with */
};

static struct crowd *crowd_here; /* one at a time; a pointer in each connection would be memory, too */

static rota_poll stop_poll(struct rota_future *self, struct rota_context *cx)
{
	struct connection *c = (struct connection *)self; /* its first member */

	if (rota_future_poll(&c->stream.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	rota_recv_stream_close(&c->stream);
	rota_wait_group_done(&crowd_here->alive); /* nobody joins it, and its memory is freed after the runtime */
	return ROTA_READY;
}

static const struct rota_future_ops stop_ops = { .poll = stop_poll };

/* What the wait has found: it is there at once. */
static int take(struct connection *c, struct rota_context *cx)
{
	struct rota_buffer buffer;

	rota_recv_stream_next_init(&c->stream, &buffer);
	if (rota_future_poll(&c->stream.future, cx) == ROTA_PENDING)
		abort();
	if (c->stream.future.status > 0)
		rota_buffer_release(&buffer);
	return c->stream.future.status;
}

static rota_poll drink_poll(struct rota_future *self, struct rota_context *cx)
{
	struct connection *c = (struct connection *)self;
	int none = 0;

	while (rota_future_poll(&c->stream.future, cx) == ROTA_READY) {
		int status = c->stream.future.status;

		if (status > 0)
			status = take(c, cx);
		if (status > 0) {
			rota_recv_stream_next_init(&c->stream, NULL);
			continue;
		}
		if (status < 0)
			atomic_compare_exchange_strong(&crowd_here->error, &none, status);
		rota_recv_stream_stop_init(&c->stream);
		self->ops = &stop_ops;
		return stop_poll(self, cx);
	}
	return ROTA_PENDING;
}

static void drink_cancel(struct rota_future *self)
{
	rota_future_cancel(&((struct connection *)self)->stream.future);
}

static const struct rota_future_ops drink_ops = { .poll = drink_poll, .cancel = drink_cancel };

/* The i-th pair, by plain calls. */
static int connect_pair(struct crowd *crowd, int listener, struct sockaddr_in *server, size_t i)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int late = 1; /* connect finds the port, among those that are free for this server: bind is slow at it */
	int peer;

	if (fd < 0)
		return -errno;
	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(i / PER_ADDRESS));
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late)) < 0 ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
	    connect(fd, (struct sockaddr *)server, sizeof(*server)) < 0 ||
	    (peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	crowd->clients[i] = fd;
	crowd->servers[i] = peer;
	crowd->made++;
	return 0;
}

static int connect_all(struct crowd *crowd)
{
	struct sockaddr_in server;
	socklen_t len = sizeof(server);
	int listener = rota_tcp_listen("127.0.0.1", "0", 0);
	int rc = listener < 0 ? listener : 0;

	if (rc == 0 && getsockname(listener, (struct sockaddr *)&server, &len) < 0)
		rc = -errno;
	while (rc == 0 && crowd->made < crowd->wanted)
		rc = connect_pair(crowd, listener, &server, crowd->made);
	if (listener >= 0)
		rota_close(listener);
	return rc;
}

static int start_all(struct crowd *crowd)
{
	int rc = 0;

	for (size_t i = 0; i < crowd->made && rc == 0; i++) {
		struct connection *c = &crowd->connections[i];

		rota_future_init(&c->future, &drink_ops);
		rota_recv_stream_init(&c->stream, crowd->servers[i]);
		rota_recv_stream_next_init(&c->stream, NULL);
		rota_wait_group_add(&crowd->alive, 1);
		rc = rota_spawn_future(NULL, &c->future);
		if (rc < 0)
			rota_wait_group_done(&crowd->alive);
	}
	return rc;
}

/* The peers hang up; every task ends by that. */
static int end_all(struct crowd *crowd)
{
	int rc;

	for (size_t i = 0; i < crowd->made; i++)
		close(crowd->clients[i]);
	rc = rota_wait_group_wait(&crowd->alive);
	for (size_t i = 0; i < crowd->made; i++)
		close(crowd->servers[i]);
	return rc < 0 ? rc : atomic_load(&crowd->error);
}

static int idle(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t before, after;
	int rc = connect_all(crowd), ended;

	before = bench_rss_bytes();
	if (rc == 0)
		rc = start_all(crowd);
	if (rc == 0)
		rc = rota_sleep(ROTA_MS(500)); /* all have been polled, and what they asked for was submitted */
	after = bench_rss_bytes();
	ended = end_all(crowd);
	if (rc < 0 || ended < 0)
		return rc < 0 ? rc : ended;
	bench_report("connections", (double)crowd->made, "count");
	bench_report("rss", (double)(after - before) / (double)crowd->made, "B");
	return 0;
}

static int round_of_connections(void)
{
	struct crowd crowd = { .wanted = bench_connections_allowed((size_t)bench_param("connections")),
			       .alive = ROTA_WAIT_GROUP_INIT };
	int rc = -ENOMEM;

	if (crowd.wanted == 0)
		return -EMFILE;
	crowd.connections = malloc(crowd.wanted * sizeof(*crowd.connections)); /* untouched: it counts once it is used */
	crowd.clients = calloc(crowd.wanted, sizeof(*crowd.clients));
	crowd.servers = calloc(crowd.wanted, sizeof(*crowd.servers));
	crowd_here = &crowd;
	if (crowd.connections && crowd.clients && crowd.servers)
		rc = bench_run(idle, &crowd);
	crowd_here = NULL;
	free(crowd.servers);
	free(crowd.clients);
	free(crowd.connections);
	return rc;
}

static const struct bench bench = {
	.name = "connections",
	.about = "idle TCP connections as stackless tasks: memory for each",
	.round = round_of_connections,
	.params = params,
	.rounds = 3,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
