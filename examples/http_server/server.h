/* SPDX-License-Identifier: MIT */
/*
 * A web server, in five files: main.c listens and stops, connection.c is the task of a connection, request.c parses and
 * sets limits, answer.c knows what there is, file.c sends files.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdatomic.h>

#include <http_parser.h>
#include <rota.h>

enum {
	TARGET_MAX = 1023,    /* bytes of what a request asks for; beyond: 414 */
	HEAD_MAX = 8 * 1024,  /* bytes of a request without its body; beyond: 431 */
	BODY_MAX = 64 * 1024, /* beyond: 413 */
};

struct connection;

struct server {
	/* nanoseconds */
	uint64_t request_limit; /* from a request's first byte to its last; beyond: 408 */
	uint64_t idle_limit;    /* between requests */
	uint64_t send_limit;    /* for each piece that the client has to take */
	uint64_t grace;         /* after SIGTERM, for requests that are under way */
	int root;               /* descriptor of the directory of /files/; -1: there is none */
	atomic_bool stopping;

	struct rota_mutex lock; /* guards the list and what is noted in it */
	struct connection *connections;
	struct rota_wait_group alive;
};

/* A request while it is parsed, and until it is answered. */
struct request {
	char target[TARGET_MAX + 1];
	size_t target_len;
	char *body; /* BODY_MAX bytes, or NULL as long as none came */
	size_t body_len;
	char name[16]; /* of the header field that is being parsed; those that matter fit */
	size_t name_len;
	bool name_ended;
	unsigned hosts;       /* header fields of that name */
	bool begun, complete; /* its first byte, its last was seen */
	bool expects;         /* there is an Expect field */
	bool continues;       /* the client waits for "100 Continue" before it sends the body */
	int refusal;          /* a status, or 0 */
};

struct connection {
	struct server *server;
	int fd;
	rota_task *task;
	struct connection *next, *prev;
	struct rota_stream stream;
	struct http_parser parser;
	struct request request;
	bool keep; /* another request may follow */
	time_t date_second;
	char date[32];
};

/* connection.c */

/* Starts a task for a connection, which owns `fd` from now on, whatever the result. */
int connection_start(struct server *server, int fd);

/* Those who wait for a request see the end of it, the others when they have answered. Returns 0 when all are gone, which
 * they are at the latest a moment after the grace. */
int connections_stop(struct server *server);

/* Waits until all that was written is on its way; -ETIMEDOUT: the client does not take it. */
int connection_flush(struct connection *c);

/* request.c */

void request_init(struct connection *c);
void request_deinit(struct connection *c);

/* Parses what is there; returns how much of it was. Then the request is complete, or refused, or `len` bytes were
 * not enough. */
size_t request_parse(struct connection *c, const char *bytes, size_t len);

/* answer.c; both return 0, or the error that ends the connection. */

int answer(struct connection *c);
int answer_status(struct connection *c, int status);

/* The parts of an answer, for who makes one. `fields`: more header fields, each with its end of line. */
int write_head(struct connection *c, int status, const char *type, const char *fields, uint64_t len);
int reply_status(struct connection *c, int status, const char *fields);

/* file.c: what is under /files/. */
int get_file(struct connection *c, const char *name);

#endif
