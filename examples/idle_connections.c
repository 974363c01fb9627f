/* SPDX-License-Identifier: MIT */
/*
 * As many idle TCP connections as the machine's limits allow, each served by a task without a stack that waits for a first
 * byte. What each of them costs: time to connect, accept and spawn, and to end; memory of the process while all are idle.
 *
 *   idle_connections [most]     default: as many as the limit on descriptors allows, at most 1000000
 *
 * Each takes two descriptors, since both ends are in this process; the soft limit is raised to the hard one. What the
 * kernel keeps for its sockets is not the process's memory, and not in the figure.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rota.h>

/* From one address there are some 28,000 ports to a listener, so that more connections need more listeners. */
enum { MOST = 1000000, PER_LISTENER = 20000, MAX_LISTENERS = MOST / PER_LISTENER, SPARE_FDS = 128 };

/* --- the server ------------------------------------------------------------------------------------------------- */

struct connection {
	struct rota_async async;
	union {
		struct rota_op recv;
		struct rota_transfer_op send;
	};
	struct crowd *crowd;
	rota_task *task;
	int fd;
	char buffer[64];
};

struct crowd {
	size_t wanted, accepted, connected;
	struct rota_wait_group starting; /* connections that do not wait for a byte yet */
	struct connection *connections;
	int *clients;
	int listeners[MAX_LISTENERS];
	size_t listening;
};

/* Echoes until the peer closes. (This one's peers never say a word.) */
static rota_poll connection_poll(struct rota_future *self, struct rota_context *cx)
{
	struct connection *c = (struct connection *)self; /* its first member */

	ROTA_ASYNC_BEGIN(c);
	rota_wait_group_done(&c->crowd->starting);
	for (;;) {
		rota_op_recv(&c->recv, c->fd, c->buffer, sizeof(c->buffer), 0);
		ROTA_AWAIT(c, cx, &c->recv.future);
		if (c->recv.future.status <= 0)
			ROTA_ASYNC_RETURN(c, c->recv.future.status);
		rota_op_write_all(&c->send, c->fd, c->buffer, (size_t)c->recv.future.status);
		ROTA_AWAIT(c, cx, &c->send.future);
		if (c->send.future.status < 0)
			ROTA_ASYNC_RETURN(c, c->send.future.status);
	}
	ROTA_ASYNC_END(c);
}

static const struct rota_future_ops connection_ops = ROTA_ASYNC_OPS(connection_poll, "connection");

static int start_connection(struct crowd *crowd, int fd)
{
	struct connection *c = &crowd->connections[crowd->accepted];
	int rc;

	rota_async_init(&c->async, &connection_ops);
	c->crowd = crowd;
	c->fd = fd;
	rc = rota_spawn_future(&c->task, &c->async.future);
	if (rc < 0)
		rota_close(fd);
	crowd->accepted += rc == 0;
	return rc;
}

static int accept_all(void *arg)
{
	struct crowd *crowd = arg;
	int rc = 0;

	while (crowd->accepted < crowd->wanted && rc == 0) {
		int fd = rota_accept(crowd->listeners[crowd->accepted / PER_LISTENER], NULL, NULL);

		rc = fd < 0 ? fd : start_connection(crowd, fd);
	}
	return rc;
}

/* --- the crowd -------------------------------------------------------------------------------------------------- */

static int connect_next(struct crowd *crowd)
{
	char port[12];
	int rc = rota_local_port(crowd->listeners[crowd->connected / PER_LISTENER]);

	if (rc < 0)
		return rc;
	snprintf(port, sizeof(port), "%d", rc);
	rc = rota_tcp_connect("127.0.0.1", port);
	if (rc < 0)
		return rc;
	crowd->clients[crowd->connected++] = rc;
	return 0;
}

/* Until every connection waits. Whoever fails first ends both sides. */
static int connect_all(struct crowd *crowd)
{
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rota_wait_group_add(&crowd->starting, (uint32_t)crowd->wanted);
	rc = rota_scope_spawn(&scope, NULL, accept_all, crowd);
	while (rc == 0 && crowd->connected < crowd->wanted)
		rc = connect_next(crowd);
	if (rc < 0)
		rota_scope_cancel(&scope);
	closed = rota_scope_close(&scope);
	rc = closed < 0 && closed != -ECANCELED ? closed : rc;
	return rc < 0 ? rc : rota_wait_group_wait(&crowd->starting);
}

/* The clients hang up, and each task ends by that. */
static int end_all(struct crowd *crowd, int rc)
{
	for (size_t i = 0; i < crowd->connected; i++)
		rota_close(crowd->clients[i]);
	rota_shield_enter(); /* they use what is the caller's */
	for (size_t i = 0; i < crowd->accepted; i++) {
		int status = 0, joined = rota_join(crowd->connections[i].task, &status);

		rota_close(crowd->connections[i].fd);
		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	rota_shield_leave();
	return rc;
}

/* Resident, in bytes; 0: the system does not say. */
static uint64_t memory_in_use(void)
{
	unsigned long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int measure(struct crowd *crowd)
{
	uint64_t memory = memory_in_use(), start = rota_now(), up, down;
	int rc = connect_all(crowd);

	up = rota_now();
	memory = memory_in_use() - memory;
	down = rota_now();
	rc = end_all(crowd, rc);
	if (rc < 0)
		return rc;
	printf("%zu idle connections: %" PRIu64 " B each, %.0f ns to connect and start, %.0f ns to end\n",
	       crowd->connected, memory / crowd->wanted, (double)(up - start) / (double)crowd->wanted,
	       (double)(rota_now() - down) / (double)crowd->wanted);
	return 0;
}

/* --- the limits ------------------------------------------------------------------------------------------------- */

/* Lowers the count to what the descriptors allow. */
static int allow(size_t *count)
{
	struct rlimit limit;
	size_t room;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_max < SPARE_FDS + 2)
		return -EMFILE;
	room = (limit.rlim_max - SPARE_FDS) / 2;
	if (room < *count) {
		printf("the hard limit of %" PRIu64 " descriptors allows %zu connections\n", (uint64_t)limit.rlim_max,
		       room);
		*count = room;
	}
	return 0;
}

static int listen_and_measure(struct crowd *crowd)
{
	int rc = 0;

	while (rc == 0 && crowd->listening * PER_LISTENER < crowd->wanted) {
		int fd = rota_tcp_listen("127.0.0.1", "0", 0);

		rc = fd < 0 ? fd : 0;
		if (rc == 0)
			crowd->listeners[crowd->listening++] = fd;
	}
	if (rc == 0)
		rc = measure(crowd);
	while (crowd->listening > 0)
		rota_close(crowd->listeners[--crowd->listening]);
	return rc;
}

static int run(size_t most)
{
	struct crowd crowd = { .wanted = most, .starting = ROTA_WAIT_GROUP_INIT };
	int rc = allow(&crowd.wanted);

	if (rc < 0)
		return rc;
	crowd.connections = calloc(crowd.wanted, sizeof(*crowd.connections));
	crowd.clients = calloc(crowd.wanted, sizeof(*crowd.clients));
	rc = crowd.connections && crowd.clients ? listen_and_measure(&crowd) : -ENOMEM;
	free(crowd.clients);
	free(crowd.connections);
	return rc;
}

static int async_main(int argc, char **argv)
{
	unsigned long most = MOST;
	char *end = "";
	int rc;

	if (argc > 1)
		most = strtoul(argv[1], &end, 10);
	if (argc > 2 || *end != '\0' || most == 0 || most > MOST) {
		fprintf(stderr, "usage: %s [most, up to %d]\n", argv[0], MOST);
		return 2;
	}
	rc = run(most);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "idle_connections: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
