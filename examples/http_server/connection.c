/* SPDX-License-Identifier: MIT */
/*
 * The task of a connection: reads a request, answers it, until one side has had enough. Every wait for the client has a
 * limit, which a scope keeps. What was answered is written out when the client has sent no more, so that a client that
 * sends many requests at once (pipelining) gets the answers in few packets.
 */
#include "server.h"

#include <errno.h>
#include <stdlib.h>

#define LINGER ROTA_SECONDS(2)

/* Waits until there is something to parse: how much, 0 at the end; -ETIMEDOUT at the deadline. */
static ssize_t wait_for_input(struct connection *c, uint64_t deadline)
{
	uint64_t now = rota_now();
	struct rota_scope scope;
	ssize_t n;
	int rc;

	if (deadline <= now)
		return -ETIMEDOUT;
	rc = rota_scope_open(&scope, deadline - now);
	if (rc < 0)
		return rc;
	n = rota_stream_fill(&c->stream, 1);
	rota_scope_close(&scope);
	return n;
}

int connection_flush(struct connection *c)
{
	struct rota_scope scope;
	int rc = 0;

	if (rota_stream_unwritten(&c->stream) == 0)
		return 0;
	rc = rota_scope_open(&scope, c->server->send_limit);
	if (rc < 0)
		return rc;
	rc = rota_stream_flush(&c->stream);
	rota_scope_close(&scope);
	return rc;
}

/* Before a wait for the client: what it waits for goes out. */
static int hand_over(struct connection *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	ssize_t n;
	int rc = connection_flush(c);

	if (rc < 0 || !c->request.continues)
		return rc;
	c->request.continues = false;
	n = rota_stream_write_all(&c->stream, text, sizeof(text) - 1); /* into the buffer, which is empty */
	return n < 0 ? (int)n : connection_flush(c);
}

/* 1: the next request is there, or refused; 0: there is none. -ETIMEDOUT: it did not come, or not to its end. */
static int read_request(struct connection *c)
{
	struct request *r = &c->request;
	uint64_t deadline = rota_now() + c->server->idle_limit;

	r->begun = r->complete = false;
	while (!r->complete && r->refusal == 0) {
		bool had_begun = r->begun;
		size_t len;
		const char *bytes = rota_stream_peek(&c->stream, &len);

		if (len == 0) {
			ssize_t n = hand_over(c);

			n = n < 0 ? n : wait_for_input(c, deadline);
			if (n <= 0)
				return (int)n;
			bytes = rota_stream_peek(&c->stream, &len);
		}
		rota_stream_consume(&c->stream, request_parse(c, bytes, len));
		if (r->begun && !had_begun)
			deadline = rota_now() + c->server->request_limit;
	}
	return 1;
}

/*
 * Closes so that the client gets the last answer even though it sends on: a close with unread bytes would reset the
 * connection, and the answer could be lost on the other side.
 */
static void linger(struct connection *c)
{
	struct rota_scope scope;
	char rest[1024];

	if (connection_flush(c) < 0 || rota_stream_shutdown(&c->stream) < 0 || rota_scope_open(&scope, LINGER) < 0)
		return;
	while (rota_stream_read(&c->stream, rest, sizeof(rest)) > 0)
		;
	rota_scope_close(&scope);
}

static void serve_requests(struct connection *c)
{
	int rc;

	do {
		rc = read_request(c);
		if (rc == 1)
			rc = c->request.refusal != 0 ? answer_status(c, c->request.refusal) : answer(c);
		else if (rc == -ETIMEDOUT && c->request.begun)
			rc = answer_status(c, HTTP_STATUS_REQUEST_TIMEOUT);
		else
			return; /* there is nobody, or nobody who would listen */
	} while (rc == 0 && c->keep);
	if (rc == 0)
		linger(c);
}

/* --- beginning and end ------------------------------------------------------------------------------------------ */

static void link_connection(struct connection *c)
{
	c->next = c->server->connections;
	if (c->next != NULL)
		c->next->prev = c;
	c->server->connections = c;
}

static void unlink_connection(struct connection *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		c->server->connections = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
}

static int serve(void *arg)
{
	struct connection *c = arg;
	struct server *server = c->server;

	if (rota_stream_init_fd(&c->stream, c->fd, NULL) == 0) {
		request_init(c);
		serve_requests(c);
		request_deinit(c);
	}
	/* From here on nobody finds the descriptor, or the task. It was started with the lock held, so that both are
	 * noted. */
	rota_mutex_lock(&server->lock);
	unlink_connection(c);
	rota_mutex_unlock(&server->lock);
	rota_close(c->fd);
	rota_stream_deinit(&c->stream);
	rota_detach(c->task);
	free(c);
	rota_wait_group_done(&server->alive);
	return 0;
}

int connection_start(struct server *server, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	if (c != NULL) {
		c->server = server;
		c->fd = fd;
		rota_wait_group_add(&server->alive, 1);
		rota_mutex_lock(&server->lock);
		rc = rota_spawn(&c->task, serve, c);
		if (rc == 0)
			link_connection(c);
		rota_mutex_unlock(&server->lock);
	}
	if (rc < 0) {
		if (c != NULL)
			rota_wait_group_done(&server->alive);
		free(c);
		rota_close(fd);
	}
	return rc;
}

/* --- stopping --------------------------------------------------------------------------------------------------- */

static void end_input(struct connection *c)
{
	rota_shutdown(c->fd, SHUT_RD);
}

static void cancel(struct connection *c)
{
	rota_cancel(c->task);
}

static void for_each_connection(struct server *server, void (*what)(struct connection *c))
{
	rota_mutex_lock(&server->lock);
	for (struct connection *c = server->connections; c != NULL; c = c->next)
		what(c);
	rota_mutex_unlock(&server->lock);
}

int connections_stop(struct server *server)
{
	struct rota_scope grace;
	int rc;

	atomic_store(&server->stopping, true);
	for_each_connection(server, end_input);
	rc = rota_scope_open(&grace, server->grace);
	if (rc < 0)
		return rc;
	rc = rota_wait_group_wait(&server->alive);
	rota_scope_close(&grace);
	if (rc < 0) {
		for_each_connection(server, cancel);
		rc = rota_wait_group_wait(&server->alive);
	}
	return rc;
}
