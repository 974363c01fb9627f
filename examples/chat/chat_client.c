/* SPDX-License-Identifier: MIT */
/*
 * The chat's client: what is typed goes to the server, what comes from there is printed, each in a task of its own.
 *
 *   chat_client [host] [port]     default 127.0.0.1 7778
 *
 *   join GROUP          leave GROUP
 *   post GROUP TEXT     help
 *
 * At the end of standard input it takes what the server still has for it, and ends with 0. When the server ends first,
 * with 1.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rota.h>

#include "wire.h"

static const char help[] = "join GROUP | leave GROUP | post GROUP TEXT | help";

struct client {
	struct chat_wire wire;
	struct rota_stream keyboard, screen;
	atomic_bool said_all;
};

/* --- what is typed ------------------------------------------------------------------------------------------------ */

static bool copy(char *ret, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len >= size)
		return false;
	memcpy(ret, text, len + 1);
	return true;
}

/* Cuts `line` into pieces. */
static bool parse_line(struct chat_message *ret, char *line)
{
	char *rest = line, *command = strsep(&rest, " "), *group = strsep(&rest, " ");

	if (group == NULL || !copy(ret->group, sizeof(ret->group), group))
		return false;
	if (strcmp(command, "post") == 0) {
		ret->type = CHAT_POST;
		return rest != NULL && copy(ret->text, sizeof(ret->text), rest);
	}
	ret->type = strcmp(command, "join") == 0 ? CHAT_JOIN : CHAT_LEAVE;
	return rest == NULL && (ret->type == CHAT_JOIN || strcmp(command, "leave") == 0);
}

static int say(struct client *c, char *line)
{
	struct chat_message message = { 0 };
	int rc;

	if (!parse_line(&message, line)) {
		fprintf(stderr, "%s\n", help);
		return 0;
	}
	rc = chat_send(&c->wire, &message);
	if (rc == -EMSGSIZE)
		fprintf(stderr, "that is too long\n");
	return rc == -EMSGSIZE ? 0 : rc;
}

static int talk(void *arg)
{
	struct client *c = arg;
	char line[CHAT_LINE_MAX];
	int rc;

	do {
		rc = rota_stream_read_line(&c->keyboard, line, sizeof(line), NULL);
		if (rc > 0) {
			rc = say(c, line) < 0 ? -EPIPE : 1;
		} else if (rc == -EMSGSIZE) {
			fprintf(stderr, "that is too long\n");
			rc = chat_skip_line(&c->keyboard);
		}
	} while (rc > 0);
	if (rc < 0)
		return rc;
	c->said_all = true;
	return rota_stream_shutdown(&c->wire.stream);
}

/* --- what comes --------------------------------------------------------------------------------------------------- */

/* What others wrote must not command the terminal. */
static void disarm(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

static int print(struct client *c, struct chat_message *m)
{
	struct rota_stream *screen = &c->screen;
	int rc = 0;

	disarm(m->group);
	disarm(m->text);
	if (m->type == CHAT_JOINED)
		rc = rota_stream_printf(screen, "joined %s\n", m->group);
	else if (m->type == CHAT_LEFT)
		rc = rota_stream_printf(screen, "left %s\n", m->group);
	else if (m->type == CHAT_MESSAGE)
		rc = rota_stream_printf(screen, "%s, %llu: %s\n", m->group, (unsigned long long)m->from, m->text);
	else if (m->type == CHAT_MISSED)
		rc = rota_stream_printf(screen, "%s: %llu missed\n", m->group, (unsigned long long)m->count);
	else
		rc = rota_stream_printf(screen, "error: %s\n", m->text);
	return rc < 0 ? rc : rota_stream_flush(screen);
}

static int complain(struct client *c, const char *reason)
{
	int rc = rota_stream_printf(&c->screen, "the server sent what is no message: %s\n", reason);

	return rc < 0 ? rc : rota_stream_flush(&c->screen);
}

static int listen_to_server(void *arg)
{
	struct client *c = arg;
	struct chat_message message;
	const char *reason;
	int rc;

	for (;;) {
		rc = chat_receive(&c->wire, &message, &reason);
		if (rc == 0)
			return c->said_all ? 0 : -EPIPE;
		if (rc > 0)
			rc = print(c, &message);
		else if (rc == -EBADMSG)
			rc = complain(c, reason);
		if (rc < 0)
			return rc;
	}
}

/* --- both --------------------------------------------------------------------------------------------------------- */

static int converse(struct client *c)
{
	struct rota_scope scope;
	int closed, rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&scope, NULL, listen_to_server, c);
	if (rc == 0)
		rc = rota_scope_spawn(&scope, NULL, talk, c);
	if (rc < 0)
		rota_scope_cancel(&scope);
	closed = rota_scope_close(&scope); /* the first that fails ends the other */
	return closed < 0 ? closed : rc;
}

/* The process's standard input and output are shared with others: these are descriptors of its own. */
static int open_stdio(struct client *c)
{
	int in = rota_stdio_open(STDIN_FILENO), out = rota_stdio_open(STDOUT_FILENO);
	int rc = in < 0 ? in : out < 0 ? out : rota_stream_init_fds(&c->keyboard, in, -1, NULL);

	if (rc == 0) {
		rc = rota_stream_init_fds(&c->screen, -1, out, NULL);
		if (rc < 0)
			rota_stream_deinit(&c->keyboard);
	}
	if (rc < 0 && in >= 0)
		rota_close(in);
	if (rc < 0 && out >= 0)
		rota_close(out);
	return rc;
}

static int run(struct client *c, const char *host, const char *port)
{
	int rc, fd = rota_tcp_connect(host, port);

	if (fd < 0)
		return fd;
	rc = chat_wire_init(&c->wire, fd);
	if (rc < 0)
		return rc;
	rc = open_stdio(c);
	if (rc == 0) {
		rc = converse(c);
		rota_stream_close(&c->keyboard);
		rota_stream_close(&c->screen);
	}
	rota_stream_close(&c->wire.stream);
	return rc;
}

static int async_main(int argc, char **argv)
{
	const char *host = argc > 1 ? argv[1] : "127.0.0.1", *port = argc > 2 ? argv[2] : "7778";
	struct client *c;
	int rc = -ENOMEM;

	if (argc > 3 || host[0] == '-') {
		fprintf(stderr, "usage: %s [host] [port]\n%s\n", argv[0], help);
		return 2;
	}
	c = calloc(1, sizeof(*c));
	if (c != NULL)
		rc = run(c, host, port);
	free(c);
	if (rc == -EPIPE || rc == -ECONNRESET)
		fprintf(stderr, "chat_client: the server has closed the connection\n");
	else if (rc < 0)
		fprintf(stderr, "chat_client: %s port %s: %s\n", host, port, strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
