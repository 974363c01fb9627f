/* SPDX-License-Identifier: MIT */
/* Requests: parsed as they come, in pieces of any size; what is too large or makes no sense is refused. */
#include "server.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static struct connection *connection_of(struct http_parser *parser)
{
	return parser->data;
}

/* Ends the parse: a callback that returns this makes the parser stop. */
static int refuse(struct connection *c, int status)
{
	c->request.refusal = status;
	return 1;
}

static int on_message_begin(struct http_parser *parser)
{
	struct request *r = &connection_of(parser)->request;

	request_deinit(connection_of(parser));
	memset(r, 0, sizeof(*r));
	r->begun = true;
	return 0;
}

static int on_url(struct http_parser *parser, const char *at, size_t len)
{
	struct connection *c = connection_of(parser);
	struct request *r = &c->request;

	if (len > TARGET_MAX - r->target_len)
		return refuse(c, HTTP_STATUS_URI_TOO_LONG);
	memcpy(r->target + r->target_len, at, len);
	r->target_len += len;
	r->target[r->target_len] = '\0';
	return 0;
}

static int on_header_field(struct http_parser *parser, const char *at, size_t len)
{
	struct connection *c = connection_of(parser);
	struct request *r = &c->request;

	/* The parser lets it pass, as others do not: who sees two fields where we see one could be led astray. */
	if (memchr(at, ' ', len) != NULL)
		return refuse(c, HTTP_STATUS_BAD_REQUEST);
	if (r->name_ended)
		r->name_len = 0;
	r->name_ended = false;
	/* One that is too long is none of those that matter, also when it is cut. */
	for (size_t i = 0; i < len && r->name_len < sizeof(r->name); i++)
		r->name[r->name_len++] = (char)tolower((unsigned char)at[i]);
	return 0;
}

static bool name_is(const struct request *r, const char *name)
{
	return r->name_len == strlen(name) && memcmp(r->name, name, r->name_len) == 0;
}

/* Of a value that comes in pieces, the first piece. */
static int on_header_value(struct http_parser *parser, const char *at, size_t len)
{
	struct request *r = &connection_of(parser)->request;

	(void)at;
	(void)len;
	if (!r->name_ended) {
		r->hosts += name_is(r, "host");
		r->expects |= name_is(r, "expect");
	}
	r->name_ended = true;
	return 0;
}

static int on_headers_complete(struct http_parser *parser)
{
	struct connection *c = connection_of(parser);
	bool is_1_1 = parser->http_major == 1 && parser->http_minor == 1;

	parser->upgrade = 0; /* to no other protocol */
	if (c->request.hosts > 1 || (is_1_1 && c->request.hosts == 0))
		return refuse(c, HTTP_STATUS_BAD_REQUEST);
	if ((parser->flags & F_CONTENTLENGTH) != 0 && parser->content_length > BODY_MAX)
		return refuse(c, HTTP_STATUS_PAYLOAD_TOO_LARGE);
	c->request.continues = c->request.expects && is_1_1;
	return 0;
}

static int on_body(struct http_parser *parser, const char *at, size_t len)
{
	struct connection *c = connection_of(parser);
	struct request *r = &c->request;

	if (len > BODY_MAX - r->body_len)
		return refuse(c, HTTP_STATUS_PAYLOAD_TOO_LARGE);
	if (r->body == NULL)
		r->body = malloc(BODY_MAX);
	if (r->body == NULL)
		return refuse(c, HTTP_STATUS_SERVICE_UNAVAILABLE);
	memcpy(r->body + r->body_len, at, len);
	r->body_len += len;
	return 0;
}

/* What follows is another request: it waits until this one is answered. */
static int on_message_complete(struct http_parser *parser)
{
	struct connection *c = connection_of(parser);

	c->request.complete = true;
	c->request.continues = false;
	c->keep = http_should_keep_alive(parser) != 0;
	http_parser_pause(parser, 1);
	return 0;
}

static const struct http_parser_settings settings = {
	.on_message_begin = on_message_begin,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

/* The status that tells the client what the parser did not like. */
static int refusal_of(enum http_errno error)
{
	switch (error) {
	case HPE_HEADER_OVERFLOW:
		return HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
	case HPE_INVALID_VERSION:
		return HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED;
	default:
		return HTTP_STATUS_BAD_REQUEST;
	}
}

void request_init(struct connection *c)
{
	http_parser_init(&c->parser, HTTP_REQUEST);
	c->parser.data = c;
	memset(&c->request, 0, sizeof(c->request));
}

void request_deinit(struct connection *c)
{
	free(c->request.body);
	c->request.body = NULL;
}

size_t request_parse(struct connection *c, const char *bytes, size_t len)
{
	size_t parsed = http_parser_execute(&c->parser, &settings, bytes, len);
	enum http_errno error = HTTP_PARSER_ERRNO(&c->parser);

	if (error == HPE_PAUSED)
		http_parser_pause(&c->parser, 0);
	else if (error != HPE_OK && c->request.refusal == 0)
		c->request.refusal = refusal_of(error);
	return parsed;
}
