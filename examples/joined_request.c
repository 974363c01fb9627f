/* SPDX-License-Identifier: MIT */
/*
 * A request that takes 5 s, joined with a task that takes 1 s: the task prints first, and both together take as long as the
 * request alone. The slow server is a task of the same program.
 *
 *   joined_request [--unit-ms N]     default 1000: what a second takes
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

enum { DEFAULT_UNIT_MS = 1000, MAX_UNIT_MS = 100000, SERVER_UNITS = 5, TASK_UNITS = 1 };

#define PUBLISHED_UNITS 5.49 /* of the original, in seconds, over the internet */

struct exchange {
	uint64_t unit_ms;
	uint64_t start;
	int listener;
	char port[12];
};

static double units_since_start(const struct exchange *x)
{
	return (double)(rota_now() - x->start) / (double)ROTA_MS(x->unit_ms);
}

/* --- the server ------------------------------------------------------------------------------------------------------- */

static int answer(int fd, uint64_t delay_ms)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nat last\n";
	char request[512];
	ssize_t n;

	while ((n = rota_read(fd, request, sizeof(request))) > 0) /* to the end: the client shuts its direction down */
		;
	if (n == 0)
		n = rota_sleep(ROTA_MS(delay_ms));
	if (n == 0)
		n = rota_write_all(fd, text, sizeof(text) - 1);
	return n < 0 ? (int)n : 0;
}

static int serve_one(void *arg)
{
	const struct exchange *x = arg;
	int rc, fd = rota_accept(x->listener, NULL, NULL);

	if (fd < 0)
		return fd;
	rc = answer(fd, SERVER_UNITS * x->unit_ms);
	rota_close(fd);
	return rc;
}

/* --- the two that are joined ------------------------------------------------------------------------------------------ */

/* The whole answer, cut to `size` with its 0. */
static int ask(int fd, char *answer_text, size_t size)
{
	static const char request[] = "GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	size_t len = 0;
	ssize_t n = rota_write_all(fd, request, sizeof(request) - 1);

	if (n >= 0)
		n = rota_shutdown(fd, SHUT_WR);
	while (n >= 0 && len < size - 1) {
		n = rota_read(fd, answer_text + len, size - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	answer_text[len] = '\0';
	return n < 0 ? (int)n : 0;
}

static int request(void *arg)
{
	const struct exchange *x = arg;
	char text[512];
	int rc, fd = rota_tcp_connect("127.0.0.1", x->port);

	if (fd < 0)
		return fd;
	rc = ask(fd, text, sizeof(text));
	rota_close(fd);
	if (rc == 0)
		printf("request: \"%.*s\" after %.2f units\n", (int)strcspn(text, "\r"), text, units_since_start(x));
	return rc;
}

static int task(void *arg)
{
	const struct exchange *x = arg;
	int rc = rota_sleep_until(x->start + ROTA_MS(TASK_UNITS * x->unit_ms));

	if (rc == 0)
		printf("task: done after %.2f units\n", units_since_start(x));
	return rc == 0 && fflush(stdout) != 0 ? -errno : rc;
}

/* The first that fails stops the others, and the scope waits for all of them. */
static int join_both(struct exchange *x)
{
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	x->start = rota_now();
	rc = rota_scope_spawn(&scope, NULL, serve_one, x);
	if (rc == 0)
		rc = rota_scope_spawn(&scope, NULL, request, x);
	if (rc == 0)
		rc = rota_scope_spawn(&scope, NULL, task, x);
	if (rc < 0)
		rota_scope_cancel(&scope);
	closed = rota_scope_close(&scope);
	if (rc == 0 && closed == 0)
		printf("together: %.2f units (published for the original: %.2f)\n", units_since_start(x),
		       PUBLISHED_UNITS);
	return rc < 0 ? rc : closed;
}

static int async_main(int argc, char **argv)
{
	struct exchange x = { .unit_ms = DEFAULT_UNIT_MS };
	char *end = "";
	int rc;

	if (argc == 3 && strcmp(argv[1], "--unit-ms") == 0)
		x.unit_ms = strtoul(argv[2], &end, 10);
	else if (argc > 1)
		x.unit_ms = 0;
	if (*end != '\0' || x.unit_ms == 0 || x.unit_ms > MAX_UNIT_MS) {
		fprintf(stderr, "usage: %s [--unit-ms N]\n", argv[0]);
		return 2;
	}
	rc = x.listener = rota_tcp_listen("127.0.0.1", "0", 0);
	if (rc >= 0) {
		rc = rota_local_port(x.listener);
		if (rc >= 0) {
			snprintf(x.port, sizeof(x.port), "%d", rc);
			rc = join_both(&x);
		}
		rota_close(x.listener);
	}
	if (rc >= 0 && fflush(stdout) != 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "joined_request: %s\n", strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
