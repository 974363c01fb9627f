/* SPDX-License-Identifier: MIT */
/*
 * The chat's server.
 *
 *   chat_server [--clients N] [host] [port]     default 1024 clients at most, 127.0.0.1 7778; port 0: any free one
 *
 * It prints where it listens. SIGINT and SIGTERM end it: clients get what is on its way to them, within two seconds.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <rota.h>

#include "server.h"

enum { MAX_CLIENTS = 100000 };

struct options {
	const char *host, *port;
	unsigned long clients;
};

struct service {
	const struct options *options;
	int listener;
};

static int serve(void *arg)
{
	const struct service *service = arg;

	return chat_serve(service->listener, (unsigned)service->options->clients);
}

/* Waits for a signal, or for the server to fail. */
static int wait_for_end(rota_task *server)
{
	struct rota_signal interrupt, terminate;
	struct rota_signal_op interrupted, terminated;
	struct rota_join_op failed;
	int rc = rota_signal_open(&interrupt, SIGINT);

	if (rc < 0)
		return rc;
	rc = rota_signal_open(&terminate, SIGTERM);
	if (rc == 0) {
		rota_signal_wait_init(&interrupted, &interrupt);
		rota_signal_wait_init(&terminated, &terminate);
		rota_join_init(&failed, server);
		rc = ROTA_AWAIT_ANY(NULL, &interrupted.future, &terminated.future, &failed.future);
		rota_signal_close(&terminate);
	}
	rota_signal_close(&interrupt);
	return rc;
}

static int run(struct service *service)
{
	rota_task *server;
	int status = 0, rc = rota_spawn(&server, serve, service);

	if (rc < 0)
		return rc;
	rc = wait_for_end(server);
	rota_cancel(server);
	rota_join(server, &status);
	return rc < 0 || status == -ECANCELED ? rc : status;
}

/* Clients are small: what the kernel holds of each for sending is bounded too, and those that vanished are found out. */
static const struct rota_tcp_options tcp_options = { .send_buffer = 32 * 1024,
						     .keepalive = true,
						     .keepalive_idle_s = 60 };

/* A descriptor for each: as many as this process may have. When they are too few all the same, clients have to wait. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int listen_and_serve(const struct options *o)
{
	struct service service = { .options = o, .listener = rota_tcp_listen_with(o->host, o->port, &tcp_options) };
	int rc = service.listener;

	if (rc < 0)
		return rc;
	rc = rota_local_port(service.listener);
	if (rc >= 0) {
		printf("listening on %s port %d\n", o->host, rc);
		fflush(stdout);
		rc = run(&service);
	}
	rota_close(service.listener);
	return rc;
}

static bool parse(struct options *o, int argc, char **argv)
{
	int i = 1;

	if (argc > 1 && strcmp(argv[1], "--clients") == 0) {
		char *end;

		if (argc == 2)
			return false;
		o->clients = strtoul(argv[2], &end, 10);
		if (*end != '\0' || o->clients == 0 || o->clients > MAX_CLIENTS)
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
	struct options o = { .host = "127.0.0.1", .port = "7778", .clients = 1024 };
	int rc;

	if (!parse(&o, argc, argv)) {
		fprintf(stderr, "usage: %s [--clients N] [host] [port]\n", argv[0]);
		return 2;
	}
	allow_descriptors();
	rc = listen_and_serve(&o);
	if (rc < 0)
		fprintf(stderr, "chat_server: %s port %s: %s\n", o.host, o.port, strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
