/* SPDX-License-Identifier: MIT */
/*
 * A TCP echo server and a thousand clients in one process, a task for each end of each connection. Every client
 * checks every byte of every answer.
 *
 *   echo_clients [--seconds N] [clients] [messages]     default 1000 clients, 100 messages each
 *
 * With --seconds N the clients go on for N seconds instead. Prints round trips per second, CPU time, peak memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <rota.h>

enum { MESSAGE_BYTES = 64, SERVER_BYTES = 1024, MAX_CLIENTS = 1000000, SPARE_FDS = 64 };

struct options {
	uint64_t clients, messages, seconds;
};

struct party {
	const struct options *options;
	char port[16];
	int listener;
	uint64_t deadline; /* 0: so many messages */
	struct client *clients;
	rota_task **connections; /* of the server's tasks, in the order of accept */
	uint64_t accepted;
};

struct client {
	struct party *party;
	rota_task *task;
	uint64_t number;
	uint64_t trips;
};

/* ---- the server ---- */

static int serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	unsigned char buffer[SERVER_BYTES];
	ssize_t n;

	while ((n = rota_read(fd, buffer, sizeof(buffer))) > 0) {
		n = rota_write_all(fd, buffer, (size_t)n);
		if (n < 0)
			break;
	}
	rota_close(fd);
	return (int)n;
}

static int accept_all(void *arg)
{
	struct party *p = arg;
	int rc = 0;

	while (rc == 0 && p->accepted < p->options->clients) {
		int fd = rota_accept(p->listener, NULL, NULL);

		if (fd < 0) {
			rc = fd;
			break;
		}
		rc = rota_spawn(&p->connections[p->accepted], serve, (void *)(intptr_t)fd);
		if (rc < 0)
			rota_close(fd);
		else
			p->accepted++;
	}
	if (rc < 0)
		rota_shutdown(p->listener, SHUT_RD); /* whoever has connected and was not accepted would wait for ever */
	return rc;
}

/* ---- the clients ---- */

/* Every message is another one: its bytes depend on the client, the message and their place. */
static void fill(unsigned char *message, uint64_t client, uint64_t number)
{
	uint64_t seed = client * 0x9e3779b97f4a7c15u + number * 0xd1342543de82ef95u;

	for (size_t i = 0; i < MESSAGE_BYTES; i++)
		message[i] = (unsigned char)(seed >> (i % 8 * 8)) ^ (unsigned char)i;
}

static int round_trip(int fd, uint64_t client, uint64_t number)
{
	unsigned char message[MESSAGE_BYTES], answer[MESSAGE_BYTES];
	ssize_t n;

	fill(message, client, number);
	n = rota_write_all(fd, message, sizeof(message));
	if (n == MESSAGE_BYTES)
		n = rota_read_exact(fd, answer, sizeof(answer));
	if (n < 0)
		return (int)n;
	if (n != MESSAGE_BYTES)
		return -EPIPE; /* the server closed within a message */
	return memcmp(message, answer, sizeof(message)) == 0 ? 0 : -EBADMSG;
}

static bool goes_on(const struct client *c)
{
	return c->party->deadline ? rota_now() < c->party->deadline : c->trips < c->party->options->messages;
}

static int client_run(void *arg)
{
	struct client *c = arg;
	int rc = 0, fd = rota_tcp_connect("127.0.0.1", c->party->port);

	if (fd < 0)
		return fd;
	while (rc == 0 && goes_on(c)) {
		rc = round_trip(fd, c->number, c->trips);
		c->trips += rc == 0;
	}
	rota_close(fd);
	return rc;
}

/* ---- both ---- */

static int join(rota_task *task, int rc)
{
	int status = 0, joined = rota_join(task, &status);

	joined = joined < 0 ? joined : status;
	return rc < 0 ? rc : joined;
}

/* Spawns all clients and waits for them. */
static int run_clients(struct party *p)
{
	uint64_t spawned = 0;
	int rc = 0;

	for (; spawned < p->options->clients && rc == 0; spawned += rc == 0) {
		struct client *c = &p->clients[spawned];

		*c = (struct client){ .party = p, .number = spawned };
		rc = rota_spawn(&c->task, client_run, c);
	}
	for (uint64_t i = 0; i < spawned; i++)
		rc = join(p->clients[i].task, rc);
	return rc;
}

/* The server's task accepts; when the clients are through (or have failed) it is stopped, and its connections end
 * because their clients have closed. */
static int run_server_and_clients(struct party *p)
{
	rota_task *server;
	int rc = rota_spawn(&server, accept_all, p);

	if (rc < 0)
		return rc;
	rc = run_clients(p);
	if (rc < 0)
		rota_cancel(server); /* cannot fail with a handle */
	rc = join(server, rc);
	for (uint64_t i = 0; i < p->accepted; i++)
		rc = join(p->connections[i], rc);
	return rc;
}

struct spent {
	double seconds, cpu;
	long peak_kib;
};

/* What the process has used so far; the time is that of the clock. */
static int look_at_use(struct spent *ret)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return -errno;
	ret->seconds = (double)rota_now() / 1e9;
	ret->cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	ret->peak_kib = usage.ru_maxrss;
	return 0;
}

static void report(const struct party *p, const struct spent *before, const struct spent *after)
{
	double seconds = after->seconds - before->seconds, cpu = after->cpu - before->cpu;
	struct rota_metrics metrics;
	uint64_t trips = 0;

	rota_runtime_metrics(rota_runtime_current(), &metrics);
	for (uint64_t i = 0; i < p->options->clients; i++)
		trips += p->clients[i].trips;
	printf("%" PRIu64 " clients on %u workers: %" PRIu64 " round trips of %d bytes, every byte verified\n",
	       p->options->clients, metrics.workers, trips, MESSAGE_BYTES);
	printf("%.3f s, %.0f round trips/s, CPU %.3f s (%.0f%% of one core), peak memory %ld KiB\n", seconds,
	       (double)trips / seconds, cpu, 100 * cpu / seconds, after->peak_kib);
}

static int run_party(struct party *p)
{
	struct spent before = { 0 }, after = { 0 };
	int rc = rota_local_port(p->listener);

	if (rc < 0)
		return rc;
	snprintf(p->port, sizeof(p->port), "%d", rc);
	rc = look_at_use(&before);
	if (rc < 0)
		return rc;
	if (p->options->seconds)
		p->deadline = rota_now() + ROTA_SECONDS(p->options->seconds);
	rc = run_server_and_clients(p);
	if (rc == 0)
		rc = look_at_use(&after);
	if (rc == 0)
		report(p, &before, &after);
	return rc;
}

static int hold_party(const struct options *options)
{
	struct party p = { .options = options };
	int rc = -ENOMEM;

	p.clients = calloc(options->clients, sizeof(*p.clients));
	p.connections = calloc(options->clients, sizeof(*p.connections));
	if (p.clients && p.connections)
		rc = p.listener = rota_tcp_listen("127.0.0.1", "0", 0);
	if (rc >= 0) {
		rc = run_party(&p);
		rota_close(p.listener);
	}
	free(p.connections);
	free(p.clients);
	return rc;
}

/* Both ends of each connection are descriptors of this process. */
static int allow_descriptors(uint64_t clients)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < 2 * clients + SPARE_FDS) {
		fprintf(stderr, "the hard limit is %" PRIu64 " descriptors\n", (uint64_t)limit.rlim_max);
		return -EMFILE;
	}
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || value == 0 || value > UINT32_MAX)
		return false;
	*ret = value;
	return true;
}

static bool parse(struct options *o, int argc, char **argv)
{
	int i = 1;

	if (argc > 1 && strcmp(argv[1], "--seconds") == 0) {
		if (argc == 2 || !parse_number(argv[2], &o->seconds))
			return false;
		i = 3;
	}
	if (i < argc && !parse_number(argv[i++], &o->clients))
		return false;
	if (i < argc && !parse_number(argv[i++], &o->messages))
		return false;
	return i == argc && o->clients <= MAX_CLIENTS;
}

static int async_main(int argc, char **argv)
{
	struct options o = { .clients = 1000, .messages = 100 };
	int rc;

	if (!parse(&o, argc, argv)) {
		fprintf(stderr, "usage: %s [--seconds N] [clients] [messages]\n", argv[0]);
		return 2;
	}
	rc = allow_descriptors(o.clients);
	if (rc == 0)
		rc = hold_party(&o);
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "echo_clients: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
