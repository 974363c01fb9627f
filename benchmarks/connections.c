/* SPDX-License-Identifier: MIT */
/*
 * Idle TCP connections as stackless tasks, each waiting for its first bytes: resident memory for each, the benchmark's own
 * structs included, the kernel's sockets not. Nobody joins the tasks, so there are no handles.
 *
 * All of them are there at the same time, in one server process if it may have so many descriptors, else in as many
 * processes as it takes: then the memory that the connections took in each is summed up. The other ends are plain sockets
 * of a process beside each server, which connects from several addresses of the loopback, so that ports suffice. One
 * server after the other fills itself, looks how much it has grown, and tells; they keep their connections until `hold`, a
 * pipe, comes to its end. Then the other ends hang up, and by that every task ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "connections", 100000, 200, "all at the same time" },
	{ NULL, 0, 0, NULL },
};

enum { PER_ADDRESS = 10000, SERVERS_MAX = 64, ACCEPT_TIMEOUT_S = 10 };

/* A connection: a future that drinks what comes until the peer closes, then stops its stream. Which of the two it is at,
 * its table of functions says. It waits without a buffer, and takes one when there is one to take. */
struct connection {
	struct rota_future future;
	struct rota_recv_stream stream;
};

/* A server process. */
struct crowd {
	size_t wanted, made;
	struct connection *connections;
	int *fds;
	int hold, report;
	struct rota_wait_group alive;
	atomic_int error; /* the first that a connection ended with */
};

/* What it tells. */
struct growth {
	uint64_t connections, bytes;
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

/* --- the other ends ------------------------------------------------------------------------------------------------- */

static int connect_one(const struct sockaddr_in *server, size_t i)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int late = 1; /* connect finds the port, among those that are free for this server: bind is slow at it */

	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(i / PER_ADDRESS));
	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof(late)) < 0 ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
		return -errno;
	return connect(fd, (const struct sockaddr *)server, sizeof(*server)) < 0 ? -errno : 0;
}

/* A process that connects, and hangs up by its end. */
static int peers_main(const struct sockaddr_in *server, size_t wanted, int hold)
{
	char byte;
	int rc = 0;

	for (size_t i = 0; i < wanted && rc == 0; i++)
		rc = connect_one(server, i);
	if (rc < 0)
		bench_note("connect: error %d", -rc);
	fflush(stdout);
	return rc < 0 || read(hold, &byte, 1) != 0;
}

/* --- a server ------------------------------------------------------------------------------------------------------- */

/* By plain calls. Should the other side have given up, it ends by a timeout. */
static int accept_all(struct crowd *crowd, int listener)
{
	const struct timeval timeout = { .tv_sec = ACCEPT_TIMEOUT_S };

	if (setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	for (; crowd->made < crowd->wanted; crowd->made++) {
		crowd->fds[crowd->made] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (crowd->fds[crowd->made] < 0)
			return -errno;
	}
	return 0;
}

static int connect_all(struct crowd *crowd)
{
	struct sockaddr_in server;
	socklen_t len = sizeof(server);
	int listener = rota_tcp_listen("127.0.0.1", "0", 0);
	int rc = listener < 0 ? listener : 0;
	pid_t pid = -1;

	if (rc == 0 && (getsockname(listener, (struct sockaddr *)&server, &len) < 0 || (pid = fork()) < 0))
		rc = -errno;
	if (rc == 0 && pid == 0) {
		close(listener);
		close(crowd->report); /* else nobody would see that the server tells nothing */
		_exit(peers_main(&server, crowd->wanted, crowd->hold));
	}
	if (rc == 0)
		rc = accept_all(crowd, listener);
	if (listener >= 0)
		close(listener);
	return rc;
}

/* They begin to wait as they are spawned, as they would if each had just been accepted: that would be a wait, too. */
static int start_all(struct crowd *crowd)
{
	int rc = 0;

	for (size_t i = 0; i < crowd->made && rc == 0; i++) {
		struct connection *c = &crowd->connections[i];

		rota_future_init(&c->future, &drink_ops);
		rota_recv_stream_init(&c->stream, crowd->fds[i]);
		rota_recv_stream_next_init(&c->stream, NULL);
		rota_wait_group_add(&crowd->alive, 1);
		rc = rota_spawn_future(NULL, &c->future);
		if (rc < 0)
			rota_wait_group_done(&crowd->alive);
		else
			rc = rota_yield();
	}
	return rc;
}

static int tell(const struct crowd *crowd, uint64_t bytes)
{
	const struct growth growth = { crowd->made, bytes };

	return write(crowd->report, &growth, sizeof(growth)) == (ssize_t)sizeof(growth) ? 0 : -EPIPE;
}

static int idle(void *arg)
{
	struct crowd *crowd = arg;
	const uint64_t before = bench_rss_bytes();
	int rc = start_all(crowd), waited;

	if (rc == 0)
		rc = rota_sleep(ROTA_MS(500)); /* all have been polled, and what they asked for was submitted */
	if (rc == 0)
		rc = tell(crowd, bench_rss_bytes() - before);
	/* On an error, too: the process that started this one lets go of `hold` when it is told nothing. */
	close(crowd->report);
	waited = rota_wait_group_wait(&crowd->alive);
	if (rc == 0)
		rc = waited < 0 ? waited : atomic_load(&crowd->error);
	return rc;
}

/* The exit code. What it has allocated ends with it. */
static int server_main(size_t wanted, int hold, int report)
{
	struct crowd crowd = { .wanted = wanted, .hold = hold, .report = report, .alive = ROTA_WAIT_GROUP_INIT };
	int rc = -ENOMEM;

	crowd.connections = malloc(wanted * sizeof(*crowd.connections)); /* untouched: it counts once it is used */
	crowd.fds = malloc(wanted * sizeof(*crowd.fds));
	crowd_here = &crowd;
	if (crowd.connections && crowd.fds)
		rc = connect_all(&crowd);
	if (rc == 0)
		rc = bench_run(idle, &crowd);
	if (rc < 0)
		bench_note("a server process: error %d", -rc);
	fflush(stdout);
	return rc < 0;
}

/* --- all servers ------------------------------------------------------------------------------------------------------ */

/* Starts one, which is one more of `servers` from then on, and adds what it tells. */
static int start_server(size_t wanted, const int hold[2], pid_t *servers, unsigned *count, struct growth *sum)
{
	struct growth growth;
	int report[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		close(report[0]);
		_exit(server_main(wanted, hold[0], report[1]));
	}
	close(report[1]);
	if (pid > 0)
		servers[(*count)++] = pid;
	n = pid > 0 ? read(report[0], &growth, sizeof(growth)) : 0;
	close(report[0]);
	if (n != (ssize_t)sizeof(growth))
		return -ECHILD;
	sum->connections += growth.connections;
	sum->bytes += growth.bytes;
	return 0;
}

static int start_servers(const int hold[2], pid_t *servers, unsigned *count, struct growth *sum)
{
	const size_t wanted = (size_t)bench_param("connections"), allowed = bench_fds_allowed();
	const size_t needed = allowed > 0 ? (wanted + allowed - 1) / allowed : SERVERS_MAX + 1;
	int rc = needed > 0 && needed <= SERVERS_MAX ? 0 : -EMFILE;

	while (rc == 0 && *count < needed)
		rc = start_server(wanted / needed + (*count < wanted % needed), hold, servers, count, sum);
	return rc;
}

static int round_of_connections(void)
{
	pid_t servers[SERVERS_MAX];
	struct growth sum = { 0 };
	unsigned count = 0;
	int hold[2], rc, status;

	fflush(stdout); /* no child is to print it again */
	if (pipe2(hold, O_CLOEXEC) < 0)
		return -errno;
	rc = start_servers(hold, servers, &count, &sum);
	close(hold[1]);
	close(hold[0]);
	for (unsigned i = 0; i < count; i++) {
		if (waitpid(servers[i], &status, 0) < 0 || status != 0)
			rc = rc < 0 ? rc : -ECHILD;
	}
	if (rc < 0)
		return rc;
	bench_report("connections", (double)sum.connections, "count");
	bench_report("processes", count, "count");
	bench_report("rss", (double)sum.bytes / (double)sum.connections, "B");
	return 0;
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
