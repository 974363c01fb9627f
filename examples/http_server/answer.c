/* SPDX-License-Identifier: MIT */
/* What there is, and how it is written: the table of routes is near the end. */
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DELAY_MAX 60.0 /* seconds */

/* --- writing ---------------------------------------------------------------------------------------------------- */

static const char *date_of_now(struct connection *c)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now != c->date_second) {
		c->date_second = now;
		if (gmtime_r(&now, &tm) == NULL ||
		    strftime(c->date, sizeof(c->date), "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
			c->date[0] = '\0';
	}
	return c->date;
}

/* How the client learns whether it may go on. */
static const char *connection_field(struct connection *c)
{
	if (atomic_load_explicit(&c->server->stopping, memory_order_relaxed))
		c->keep = false;
	if (!c->keep)
		return "Connection: close\r\n";
	return c->parser.http_minor == 0 ? "Connection: keep-alive\r\n" : "";
}

int write_head(struct connection *c, int status, const char *type, const char *fields, uint64_t len)
{
	int n = rota_stream_printf(&c->stream,
				   "HTTP/1.1 %d %s\r\n"
				   "Date: %s\r\n"
				   "Content-Type: %s\r\n"
				   "Content-Length: %llu\r\n"
				   "%s%s\r\n",
				   status, http_status_str((enum http_status)status), date_of_now(c), type,
				   (unsigned long long)len, fields, connection_field(c));

	return n < 0 ? n : 0;
}

/* The whole of an answer. It waits for the client when the buffer is full, and no longer than the limit. */
static int reply(struct connection *c, int status, const char *type, const char *fields, const void *body, size_t len)
{
	struct rota_scope scope;
	int rc = rota_scope_open(&scope, c->server->send_limit);

	if (rc < 0)
		return rc;
	rc = write_head(c, status, type, fields, len);
	if (rc == 0 && c->parser.method != HTTP_HEAD) {
		ssize_t n = rota_stream_write_all(&c->stream, body, len);

		rc = n == (ssize_t)len ? 0 : n < 0 ? (int)n : -EIO;
	}
	rota_scope_close(&scope);
	return rc;
}

int reply_status(struct connection *c, int status, const char *fields)
{
	char text[80];
	int len = snprintf(text, sizeof(text), "%d %s\n", status, http_status_str((enum http_status)status));

	return reply(c, status, "text/plain", fields, text, (size_t)len);
}

int answer_status(struct connection *c, int status)
{
	c->keep = false; /* where the next request would begin, nobody knows */
	return reply_status(c, status, "");
}

/* --- routes ----------------------------------------------------------------------------------------------------- */

static int get_root(struct connection *c, const char *rest)
{
	static const char text[] = "Hello, World!\n";

	(void)rest;
	return reply(c, HTTP_STATUS_OK, "text/plain", "", text, sizeof(text) - 1);
}

static int get_json(struct connection *c, const char *rest)
{
	static const char text[] = "{\"message\": \"Hello, World!\"}\n";

	(void)rest;
	return reply(c, HTTP_STATUS_OK, "application/json", "", text, sizeof(text) - 1);
}

static int post_echo(struct connection *c, const char *rest)
{
	(void)rest;
	return reply(c, HTTP_STATUS_OK, "application/octet-stream", "", c->request.body, c->request.body_len);
}

/* /delay/SECONDS; fractions too. */
static int get_delay(struct connection *c, const char *rest)
{
	bool is_number = rest[0] != '\0' && rest[strspn(rest, "0123456789.")] == '\0';
	char *end, text[80];
	double seconds = strtod(rest, &end);
	int rc, len;

	if (!is_number || *end != '\0' || seconds > DELAY_MAX)
		return reply_status(c, HTTP_STATUS_BAD_REQUEST, "");
	rc = connection_flush(c); /* answers to earlier requests need not wait */
	if (rc == 0)
		rc = rota_sleep((uint64_t)(seconds * 1e9));
	if (rc < 0)
		return rc;
	len = snprintf(text, sizeof(text), "after %.3f s\n", seconds);
	return reply(c, HTTP_STATUS_OK, "text/plain", "", text, (size_t)len);
}

/* --- which of them ---------------------------------------------------------------------------------------------- */

static const struct route {
	const char *path; /* one that ends in a slash stands for all that begin so */
	bool posts;       /* POST only; else GET and HEAD */
	int (*handler)(struct connection *c, const char *rest);
} routes[] = {
	{ "/", false, get_root },        { "/json", false, get_json },   { "/echo", true, post_echo },
	{ "/delay/", false, get_delay }, { "/files/", false, get_file },
};

static const struct route *find_route(const char *path, const char **ret_rest)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		size_t len = strlen(routes[i].path);
		bool prefix = len > 1 && routes[i].path[len - 1] == '/';

		if (prefix ? strncmp(path, routes[i].path, len) == 0 : strcmp(path, routes[i].path) == 0) {
			*ret_rest = path + len;
			return &routes[i];
		}
	}
	return NULL;
}

/* The path of what is asked for, without host and query, cut out of it; NULL: it makes no sense. */
static const char *path_of(struct request *r)
{
	struct http_parser_url url;

	http_parser_url_init(&url);
	if (http_parser_parse_url(r->target, r->target_len, 0, &url) != 0 || (url.field_set & 1 << UF_PATH) == 0)
		return NULL;
	r->target[url.field_data[UF_PATH].off + url.field_data[UF_PATH].len] = '\0';
	return r->target + url.field_data[UF_PATH].off;
}

int answer(struct connection *c)
{
	const char *rest, *path = path_of(&c->request);
	const struct route *route = path != NULL ? find_route(path, &rest) : NULL;
	bool posts = c->parser.method == HTTP_POST;

	if (path == NULL)
		return reply_status(c, HTTP_STATUS_BAD_REQUEST, "");
	if (route == NULL)
		return reply_status(c, HTTP_STATUS_NOT_FOUND, "");
	if (route->posts ? !posts : c->parser.method != HTTP_GET && c->parser.method != HTTP_HEAD)
		return reply_status(c, HTTP_STATUS_METHOD_NOT_ALLOWED,
				    route->posts ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n");
	return route->handler(c, rest);
}
