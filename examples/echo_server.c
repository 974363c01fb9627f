/* SPDX-License-Identifier: MIT */
/*
 * An echo server for netcat: a task for each connection sends back what comes, until the peer closes.
 *
 *   echo_server [--once N] [host] [port]     default 127.0.0.1 7777; port 0: any free one, which it prints
 *   nc 127.0.0.1 7777
 *
 * A peer that closes one direction only gets all its bytes back; one that resets ends its own task; one that does not
 * read stops its own task, which holds one buffer. With --once N the server ends after N connections.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { BUFFER_BYTES = 16 * 1024, MAX_ONCE = 1000000 };

struct options {
	const char *host;
	const char *port;
	unsigned long once; /* 0: for ever */
};

struct connection {
	unsigned long number;
	int fd;
	uint64_t echoed;
};

/* Until the peer has closed its direction (0), or an error. */
static int echo(struct connection *c)
{
	unsigned char buffer[BUFFER_BYTES];
	ssize_t n;

	while ((n = rota_read(c->fd, buffer, sizeof(buffer))) > 0) {
		ssize_t written = rota_write_all(c->fd, buffer, (size_t)n);

		if (written != n)
			return written < 0 ? (int)written : -EPIPE;
		c->echoed += (uint64_t)written;
	}
	return (int)n;
}

/* A connection's task. Its end, whatever it was, is the business of this connection only. */
static int serve(void *arg)
{
	struct connection *c = arg;
	int rc = echo(c);

	rota_close(c->fd);
	printf("connection %lu: %" PRIu64 " bytes echoed, %s\n", c->number, c->echoed,
	       rc < 0 ? strerror(-rc) : "closed by the peer");
	fflush(stdout);
	free(c);
	return 0;
}

/* Whether accept may succeed later: the peer is gone already, or descriptors or memory are short for now. */
static bool is_passing(int rc)
{
	return rc == -ECONNABORTED || rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

static int accept_next(int listener)
{
	for (;;) {
		int rc = rota_accept(listener, NULL, NULL);

		if (rc >= 0 || !is_passing(rc))
			return rc;
		fprintf(stderr, "accept: %s\n", strerror(-rc));
		rc = rota_sleep(ROTA_MS(100));
		if (rc < 0)
			return rc;
	}
}

static int start_connection(int fd, unsigned long number, rota_task **ret_task)
{
	struct connection *c = malloc(sizeof(*c));
	int rc = c ? 0 : -ENOMEM;

	if (c) {
		*c = (struct connection){ .number = number, .fd = fd };
		rc = rota_spawn(ret_task, serve, c);
	}
	if (rc < 0) {
		free(c);
		rota_close(fd);
	}
	return rc;
}

/* For ever: a connection that cannot be served is closed, the others go on. */
static int serve_all(int listener)
{
	for (unsigned long number = 1;; number++) {
		int rc = accept_next(listener);

		if (rc < 0)
			return rc;
		rc = start_connection(rc, number, NULL);
		if (rc < 0)
			fprintf(stderr, "connection %lu: %s\n", number, strerror(-rc));
	}
}

static int serve_some(int listener, unsigned long count)
{
	rota_task **tasks = calloc(count, sizeof(*tasks));
	unsigned long started = 0;
	int rc = 0;

	if (!tasks)
		return -ENOMEM;
	while (started < count && rc >= 0) {
		rc = accept_next(listener);
		if (rc >= 0)
			rc = start_connection(rc, started + 1, &tasks[started]);
		started += rc >= 0;
	}
	for (unsigned long i = 0; i < started; i++) {
		int joined = rota_join(tasks[i], NULL);

		rc = rc < 0 ? rc : joined;
	}
	free(tasks);
	return rc;
}

static int listen_and_serve(const struct options *o)
{
	int port, rc, listener = rota_tcp_listen(o->host, o->port, 0);

	if (listener < 0)
		return listener;
	port = rc = rota_local_port(listener);
	if (rc >= 0) {
		printf("listening on %s port %d\n", o->host, port);
		rc = fflush(stdout) != 0 ? -errno : 0;
	}
	if (rc == 0)
		rc = o->once > 0 ? serve_some(listener, o->once) : serve_all(listener);
	rota_close(listener);
	return rc;
}

static bool parse(struct options *o, int argc, char **argv)
{
	int i = 1;

	if (argc > 1 && strcmp(argv[1], "--once") == 0) {
		char *end;

		if (argc == 2)
			return false;
		o->once = strtoul(argv[2], &end, 10);
		if (*end != '\0' || o->once == 0 || o->once > MAX_ONCE)
			return false;
		i = 3;
	}
	if (i < argc)
		o->host = argv[i++];
	if (i < argc)
		o->port = argv[i++];
	return i == argc && o->host[0] != '-';
}

static int async_main(int argc, char **argv)
{
	struct options o = { .host = "127.0.0.1", .port = "7777" };
	int rc;

	if (!parse(&o, argc, argv)) {
		fprintf(stderr, "usage: %s [--once N] [host] [port]\n", argv[0]);
		return 2;
	}
	rc = listen_and_serve(&o);
	if (rc < 0)
		fprintf(stderr, "echo_server: %s port %s: %s\n", o.host, o.port, strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
