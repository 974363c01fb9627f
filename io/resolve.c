/* SPDX-License-Identifier: MIT */
/* The resolution of a name: what can be read as numbers in place, else a question to the resolver's lane (resolver.c). */
#include "resolve.h"

#include <errno.h>
#include <string.h>

#include "resolve_internal.h"
#include "sys_internal.h"

#define NAME_MAX_LEN 1024

static struct rota_resolve_op *op_of(struct rota_future *future)
{
	return (struct rota_resolve_op *)(void *)future;
}

/* The number that a port is, which is no port above UINT16_MAX: getaddrinfo would take its lower bits. -1: a name. */
static int port_number(const char *text)
{
	int port = 0;

	if (text == NULL || *text == '\0')
		return -1;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (port <= UINT16_MAX)
			port = port * 10 + (*text - '0');
	}
	return *text == '\0' ? port : -1;
}

/* Names of services begin so, too. getaddrinfo would take "" for 0, and " +80" for 80. */
static bool begins_as_a_port(const char *text)
{
	return (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
}

static bool is_too_long(const char *name)
{
	return name != NULL && strlen(name) > NAME_MAX_LEN;
}

/* 0: the asker is queued, or was answered already. */
static int ask(struct rota_resolve_op *op, const struct rota_waker *waker)
{
	const int number = port_number(op->port_);
	/* A number is no part of the question. */
	const char *service = op->host_ != NULL && number >= 0 ? NULL : op->port_;

	op->port_number_ = service == NULL && number >= 0 ? (uint16_t)number : 0;
	return rota__resolver_ask(op, service, waker);
}

static int check(const struct rota_resolve_op *op)
{
	const unsigned families = ROTA_RESOLVE_IPV4 | ROTA_RESOLVE_IPV6;

	if (op->max_ == 0 || op->ret_ == NULL || (op->host_ == NULL && op->port_ == NULL) ||
	    (op->flags_ & families) == families || op->flags_ >= ROTA_RESOLVE_IPV6 * 2 || is_too_long(op->host_) ||
	    is_too_long(op->port_))
		return -EINVAL;
	if ((op->port_ != NULL && !begins_as_a_port(op->port_)) || port_number(op->port_) > UINT16_MAX)
		return -ENOENT;
	return op->cancelled_ ? -ECANCELED : 0;
}

static rota_poll resolve_start(struct rota_resolve_op *op, const struct rota_waker *waker)
{
	int rc = check(op);

	if (rc == 0) {
		rc = rota__sys_resolve(op->host_, op->port_, op->flags_ | ROTA__RESOLVE_NUMERIC, op->ret_, op->max_);
		if (rc < 0 && (rc = ask(op, waker)) == 0)
			return ROTA_PENDING;
	}
	op->future.status = rc;
	return ROTA_READY;
}

static rota_poll resolve_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_resolve_op *op = op_of(self);

	if (op->question_ == NULL)
		return resolve_start(op, cx->waker);
	return rota__resolver_poll(op, cx->waker);
}

static void resolve_cancel(struct rota_future *self)
{
	op_of(self)->cancelled_ = true;
}

static const struct rota_future_ops resolve_ops = { resolve_poll, resolve_cancel, "name resolution" };

void rota_op_resolve(struct rota_resolve_op *op, const char *host, const char *port, unsigned flags,
		     struct rota_address *ret, unsigned max)
{
	*op = (struct rota_resolve_op){ .host_ = host, .port_ = port, .flags_ = flags, .ret_ = ret, .max_ = max };
	rota_future_init(&op->future, &resolve_ops);
}

int rota_resolve(const char *host, const char *port, unsigned flags, struct rota_address *ret, unsigned max)
{
	struct rota_resolve_op op;

	rota_op_resolve(&op, host, port, flags, ret, max);
	return rota_await(&op.future);
}
