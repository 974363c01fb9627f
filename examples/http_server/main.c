/* SPDX-License-Identifier: MIT */
/*
 * An HTTP/1.1 server: a task for each connection, requests parsed by http_parser, every wait for a client limited, and on
 * SIGTERM (or SIGINT) it takes no more connections, lets requests finish, and ends with 0.
 *
 *   http_server [--root DIR] [--timeout SECONDS] [--grace SECONDS] [host] [port]
 *
 * Default 127.0.0.1 8080; port 0: any free one, which it prints. GET / and /json answer at once, /delay/SECONDS after that
 * time, /files/NAME with a file of DIR, POST /echo with what was sent. --timeout sets how long a request may take to come
 * (default 10 s), how long a client may take for each piece of an answer (30 s), and how long it may say nothing
 * between requests (60 s). --grace: for requests that are under way when it ends (default 10 s).
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct options {
	const char *host, *port, *root;
};

struct listener {
	struct server *server;
	int fd;
};

/* Until it is cancelled. A connection that cannot be served is closed, the others go on. */
static int accept_all(void *arg)
{
	const struct listener *l = arg;
	struct rota_accept_stream stream;
	int fd, rc;

	rota_accept_stream_init(&stream, l->fd, 0);
	while ((fd = rota_accept_stream_next(&stream)) >= 0) {
		rc = connection_start(l->server, fd);
		if (rc < 0)
			fprintf(stderr, "http_server: a connection was refused: %s\n", strerror(-rc));
	}
	rota_accept_stream_stop(&stream);
	rota_accept_stream_close(&stream);
	return fd;
}

/* Until a signal says to stop (0), or `task` ends: the status of that. */
static int wait_for_end(rota_task *task, struct rota_signal *term, struct rota_signal *interrupt)
{
	struct rota_signal_op by_term, by_interrupt;
	struct rota_join_op by_task;
	size_t which = 0;
	int rc;

	rota_signal_wait_init(&by_term, term);
	rota_signal_wait_init(&by_interrupt, interrupt);
	rota_join_init(&by_task, task);
	rc = ROTA_AWAIT_ANY(&which, &by_term.future, &by_interrupt.future, &by_task.future);
	rota_cancel(task);
	if (which != 2)
		return rota_join(task, NULL);
	rota_join(task, &rc);
	return rc;
}

/* Who comes before anybody accepts waits in the backlog. */
static int say_where(int listener)
{
	printf("listening on port %d\n", rota_local_port(listener));
	return fflush(stdout) != 0 ? -errno : 0;
}

static int serve_until_told(struct listener *l)
{
	struct rota_signal term, interrupt;
	rota_task *task;
	int stopped, rc = rota_signal_open(&term, SIGTERM);

	if (rc < 0)
		return rc;
	rc = rota_signal_open(&interrupt, SIGINT);
	if (rc < 0)
		goto close_term;
	rc = say_where(l->fd);
	if (rc == 0)
		rc = rota_spawn(&task, accept_all, l);
	if (rc != 0)
		goto close_interrupt;
	rc = wait_for_end(task, &term, &interrupt);
	rota_close(l->fd); /* who comes now is told so */
	l->fd = -1;
	stopped = connections_stop(l->server);
	rc = rc < 0 ? rc : stopped;

close_interrupt:
	rota_signal_close(&interrupt);
close_term:
	rota_signal_close(&term);
	return rc;
}

static int serve(const struct options *o, struct server *server)
{
	struct listener l = { .server = server, .fd = -1 };
	int rc = 0;

	if (o->root != NULL) {
		rc = server->root = rota_open(o->root, O_RDONLY | O_DIRECTORY, 0);
		if (rc < 0) {
			fprintf(stderr, "http_server: %s: %s\n", o->root, strerror(-rc));
			return rc;
		}
	}
	rc = l.fd = rota_tcp_listen(o->host, o->port, 0);
	if (rc >= 0)
		rc = serve_until_told(&l);
	if (rc < 0)
		fprintf(stderr, "http_server: %s port %s: %s\n", o->host, o->port, strerror(-rc));
	if (l.fd >= 0)
		rota_close(l.fd);
	if (server->root >= 0)
		rota_close(server->root);
	return rc;
}

/* Each connection is a descriptor: as many as the system lets us have. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Nanoseconds, or 0: not a time. */
static uint64_t parse_seconds(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	return *end == '\0' && seconds > 0 && seconds < 1e6 ? (uint64_t)(seconds * 1e9) : 0;
}

static bool parse(struct options *o, struct server *server, int argc, char **argv)
{
	static const struct option names[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "timeout", required_argument, NULL, 't' },
		{ "grace", required_argument, NULL, 'g' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 'r')
			o->root = optarg;
		else if (option == 't')
			server->request_limit = server->send_limit = server->idle_limit = parse_seconds(optarg);
		else if (option == 'g')
			server->grace = parse_seconds(optarg);
		else
			return false;
	}
	if (optind < argc)
		o->host = argv[optind++];
	if (optind < argc)
		o->port = argv[optind++];
	return optind == argc && server->request_limit != 0 && server->grace != 0;
}

static int async_main(int argc, char **argv)
{
	struct options o = { .host = "127.0.0.1", .port = "8080" };
	struct server server = {
		.request_limit = ROTA_SECONDS(10),
		.idle_limit = ROTA_SECONDS(60),
		.send_limit = ROTA_SECONDS(30),
		.grace = ROTA_SECONDS(10),
		.root = -1,
		.lock = ROTA_MUTEX_INIT,
		.alive = ROTA_WAIT_GROUP_INIT,
	};

	if (!parse(&o, &server, argc, argv)) {
		fprintf(stderr, "usage: %s [--root DIR] [--timeout SECONDS] [--grace SECONDS] [host] [port]\n", argv[0]);
		return 2;
	}
	raise_descriptor_limit();
	http_parser_set_max_header_size(HEAD_MAX);
	return serve(&o, &server) < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
