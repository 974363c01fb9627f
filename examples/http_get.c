/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 by hand: connect, write the request, shut that direction down, read to the end. Many at once; each is printed as
 * it arrives.
 *
 *   http_get [host port path...]     without arguments: from a small server of its own, in another order than asked for
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { OWN_REQUESTS = 4, STEP_MS = 60, LIMIT = 256 * 1024 };

struct request {
	const char *host, *port, *path;
	int status; /* when it has ended */
};

/* --- the client --------------------------------------------------------------------------------------------------- */

static int ask(struct rota_stream *s, const struct request *r)
{
	int rc = rota_stream_printf(s, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", r->path, r->host);

	return rc < 0 ? rc : rota_stream_shutdown(s);
}

static int print_answer(struct rota_stream *s, const struct request *r)
{
	char status[256], line[1024], *body = malloc(LIMIT);
	size_t len = LIMIT;
	int rc = body != NULL ? rota_stream_read_line(s, status, sizeof(status), NULL) : -ENOMEM;

	if (rc == 0)
		rc = -EPROTO; /* it ended without a word */
	while (rc > 0) {
		rc = rota_stream_read_line(s, line, sizeof(line), NULL);
		if (rc > 0 && line[0] == '\0') /* the end of the head */
			break;
	}
	if (rc >= 0)
		rc = rota_stream_read_to_end(s, body, &len);
	if (rc == 0)
		printf("%s: %s, %zu bytes\n", r->path, status, len);
	if (rc == 0 && fflush(stdout) != 0)
		rc = -errno;
	free(body);
	return rc;
}

static int get(const struct request *r)
{
	struct rota_stream s;
	int rc, fd = rota_tcp_connect(r->host, r->port);

	if (fd < 0)
		return fd;
	rc = rota_stream_init_fd(&s, fd, NULL);
	if (rc < 0) {
		rota_close(fd);
		return rc;
	}
	rc = ask(&s, r);
	if (rc == 0)
		rc = print_answer(&s, r);
	rota_stream_close(&s);
	return rc;
}

/* A task's own status would end the others of its scope. */
static int get_apart(void *arg)
{
	struct request *r = arg;

	r->status = get(r);
	if (r->status < 0)
		fprintf(stderr, "%s port %s, %s: %s\n", r->host, r->port, r->path, strerror(-r->status));
	return 0;
}

/* All at once. The first error, when all have ended. */
static int get_all(struct request *requests, int n)
{
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	for (int i = 0; i < n && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, get_apart, &requests[i]);
	closed = rota_scope_close(&scope);
	rc = rc < 0 ? rc : closed;
	for (int i = 0; i < n && rc == 0; i++)
		rc = requests[i].status;
	return rc;
}

/* --- the server ----------------------------------------------------------------------------------------------------- */

/* /N is answered after N steps. */
static int serve(void *arg)
{
	struct rota_stream s;
	char line[1024];
	unsigned steps = 0;
	int rc = rota_stream_init_fd(&s, (int)(intptr_t)arg, NULL);

	if (rc < 0)
		return rota_close((int)(intptr_t)arg);
	while ((rc = rota_stream_read_line(&s, line, sizeof(line), NULL)) > 0 && line[0] != '\0') {
		if (strncmp(line, "GET /", 5) == 0)
			steps = (unsigned)strtoul(line + 5, NULL, 10);
	}
	if (rc > 0)
		rc = rota_sleep(ROTA_MS(STEP_MS * (steps % 100)));
	if (rc == 0)
		rc = rota_stream_printf(&s, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nafter %u steps\n", steps);
	rota_stream_close(&s);
	return rc < 0 ? rc : 0;
}

static int serve_all(void *arg)
{
	int fd, listener = *(int *)arg;

	while ((fd = rota_accept(listener, NULL, NULL)) >= 0) {
		if (rota_spawn(NULL, serve, (void *)(intptr_t)fd) < 0)
			rota_close(fd);
	}
	return fd;
}

static int get_from_own(void)
{
	static const char *const paths[OWN_REQUESTS] = { "/3", "/1", "/4", "/2" };
	struct request requests[OWN_REQUESTS];
	char port[12];
	rota_task *server;
	int rc, listener = rota_tcp_listen("127.0.0.1", "0", 0);

	if (listener < 0)
		return listener;
	rc = rota_local_port(listener);
	if (rc >= 0) {
		snprintf(port, sizeof(port), "%d", rc);
		rc = rota_spawn(&server, serve_all, &listener);
	}
	if (rc == 0) {
		for (int i = 0; i < OWN_REQUESTS; i++)
			requests[i] = (struct request){ .host = "127.0.0.1", .port = port, .path = paths[i] };
		rc = get_all(requests, OWN_REQUESTS);
		rota_cancel(server);
		rota_join(server, NULL);
	}
	rota_close(listener);
	return rc;
}

static int async_main(int argc, char **argv)
{
	int rc = -ENOMEM;

	if (argc == 1) {
		rc = get_from_own();
	} else if (argc < 4 || argv[1][0] == '-') {
		fprintf(stderr, "usage: %s [host port path...]\n", argv[0]);
		return 2;
	} else {
		struct request *requests = calloc((size_t)argc, sizeof(*requests));

		for (int i = 3; i < argc && requests != NULL; i++)
			requests[i - 3] = (struct request){ .host = argv[1], .port = argv[2], .path = argv[i] };
		if (requests != NULL)
			rc = get_all(requests, argc - 3);
		free(requests);
	}
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "http_get: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
