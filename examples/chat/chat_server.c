/* SPDX-License-Identifier: MIT */
/*
 * The chat's server.
 *
 *   chat_server [--clients N] [--patience SECONDS] [host] [port]
 *
 * Default 127.0.0.1 7778; port 0: any free one. --clients: so many at most (1024). --patience: a client that leaves a group
 * and does not take what it still gets of it is cut off after that time (30 s).
 *
 * It prints where it listens. SIGINT and SIGTERM end it: clients get what is on its way to them, within two seconds.
 */
#include <errno.h>
#include <getopt.h>
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
	double patience; /* seconds */
};

struct service {
	const struct options *options;
	int listener;
};

static int serve(void *arg)
{
	const struct service *service = arg;
	const struct options *o = service->options;

	return chat_serve(service->listener, (unsigned)o->clients, (uint64_t)(o->patience * 1e9));
}

/* Waits for a signal, or for the server to fail. */
static int wait_for_end(rota_task *server, struct rota_signal *interrupt, struct rota_signal *terminate)
{
	struct rota_signal_op interrupted, terminated;
	struct rota_join_op failed;

	rota_signal_wait_init(&interrupted, interrupt);
	rota_signal_wait_init(&terminated, terminate);
	rota_join_init(&failed, server);
	return ROTA_AWAIT_ANY(NULL, &interrupted.future, &terminated.future, &failed.future);
}

static int run(struct service *service, struct rota_signal *interrupt, struct rota_signal *terminate)
{
	rota_task *server;
	int status = 0, rc;

	/* Who comes before anybody accepts waits in the backlog. */
	printf("listening on %s port %d\n", service->options->host, rota_local_port(service->listener));
	if (fflush(stdout) != 0)
		return -errno;
	rc = rota_spawn(&server, serve, service);
	if (rc < 0)
		return rc;
	rc = wait_for_end(server, interrupt, terminate);
	rota_cancel(server);
	rota_join(server, &status);
	return rc < 0 || status == -ECANCELED ? rc : status;
}

/* Signals are taken before anybody is told that the server is there: who knows of it may stop it. */
static int run_until_told(struct service *service)
{
	struct rota_signal interrupt, terminate;
	int rc = rota_signal_open(&interrupt, SIGINT);

	if (rc < 0)
		return rc;
	rc = rota_signal_open(&terminate, SIGTERM);
	if (rc == 0) {
		rc = run(service, &interrupt, &terminate);
		rota_signal_close(&terminate);
	}
	rota_signal_close(&interrupt);
	return rc;
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
	rc = run_until_told(&service);
	rota_close(service.listener);
	return rc;
}

static bool parse(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{ "clients", required_argument, NULL, 'c' },
		{ "patience", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		char *end = "";

		if (option == 'c')
			o->clients = strtoul(optarg, &end, 10);
		else if (option == 'p')
			o->patience = strtod(optarg, &end);
		else
			return false;
		if (*end != '\0')
			return false;
	}
	if (optind < argc)
		o->host = argv[optind++];
	if (optind < argc)
		o->port = argv[optind++];
	return optind == argc && o->clients > 0 && o->clients <= MAX_CLIENTS && o->patience > 0 && o->patience < 1e6;
}

static int async_main(int argc, char **argv)
{
	struct options o = { .host = "127.0.0.1", .port = "7778", .clients = 1024, .patience = 30 };
	int rc;

	if (!parse(&o, argc, argv)) {
		fprintf(stderr, "usage: %s [--clients N] [--patience SECONDS] [host] [port]\n", argv[0]);
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
