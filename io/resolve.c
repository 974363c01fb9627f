/* SPDX-License-Identifier: MIT */
/*
 * From a name to a socket: resolve, then try one address after the other, as one future.
 *
 *   RESOLVE  numbers are read in place; a name goes to getaddrinfo(3) in the blocking pool.
 *   ADDRESS  make the next address's socket: a listener is then done, a connector goes on to
 *   CONNECT  wait for the connection; when it fails, close the socket (which was never connected, so that does not
 *            wait) and go back to ADDRESS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>

#include "../runtime/sys_internal.h"
#include "sys_internal.h"
#include "tcp.h"

enum stage { STAGE_START, STAGE_RESOLVE, STAGE_ADDRESS, STAGE_CONNECT };

static struct rota_tcp_op *tcp_of(struct rota_future *future)
{
	return (struct rota_tcp_op *)(void *)future;
}

static bool listens(const struct rota_tcp_op *op)
{
	return (op->flags_ & AI_PASSIVE) != 0;
}

/* Runs on a pool thread; the operation stays in place until it has ended. */
static int ask(void *arg)
{
	struct rota_tcp_op *op = arg;

	return rota__sys_resolve(op->host_, op->port_, op->flags_, &op->list_);
}

static rota_poll finish(struct rota_tcp_op *op, int status)
{
	if (op->list_ != NULL)
		freeaddrinfo(op->list_);
	op->list_ = NULL;
	op->future.status = status;
	return ROTA_READY;
}

/* The addresses are known. */
static void begin_addresses(struct rota_tcp_op *op)
{
	op->address_ = op->list_;
	op->future.status = -EADDRNOTAVAIL;
	op->stage_ = STAGE_ADDRESS;
}

static rota_poll resolve(struct rota_tcp_op *op, struct rota_context *cx)
{
	int rc;

	if (op->stage_ == STAGE_START) {
		if (op->port_ == NULL)
			return finish(op, -EINVAL);
		rc = rota__sys_resolve(op->host_, op->port_, op->flags_ | AI_NUMERICHOST | AI_NUMERICSERV, &op->list_);
		if (rc == 0) {
			begin_addresses(op);
			return ROTA_READY;
		}
		op->list_ = NULL;
		rota_offload_init(&op->resolve_, ask, op);
		op->stage_ = STAGE_RESOLVE;
	}
	if (rota_future_poll(&op->resolve_.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	rc = op->resolve_.future.status;
	if (rc < 0)
		return finish(op, rc);
	begin_addresses(op);
	return ROTA_READY;
}

/* Listens, or begins to connect, at the next address. READY: the operation is over. */
static rota_poll try_address(struct rota_tcp_op *op)
{
	const struct addrinfo *address = op->address_;

	if (op->cancelled_)
		return finish(op, -ECANCELED);
	if (address == NULL)
		return finish(op, op->future.status); /* the last error */
	op->address_ = address->ai_next;
	op->fd_ = listens(op) ? rota__sys_listen(address, op->backlog_) : rota__sys_socket(address);
	if (listens(op) && op->fd_ >= 0)
		return finish(op, op->fd_);
	op->future.status = op->fd_;
	if (op->fd_ >= 0) {
		rota_op_connect(&op->op_, op->fd_, address->ai_addr, address->ai_addrlen);
		op->stage_ = STAGE_CONNECT;
	}
	return ROTA_PENDING;
}

static rota_poll connected(struct rota_tcp_op *op)
{
	int rc = op->op_.future.status;

	if (rc == 0) {
		rota__sys_set_nodelay(op->fd_);
		return finish(op, op->fd_);
	}
	rota__sys_close(op->fd_);
	if (rc == -ECANCELED)
		return finish(op, rc);
	op->future.status = rc;
	op->stage_ = STAGE_ADDRESS;
	return ROTA_PENDING;
}

static rota_poll tcp_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_tcp_op *op = tcp_of(self);

	if (op->stage_ <= STAGE_RESOLVE) {
		if (op->cancelled_ && op->stage_ == STAGE_START)
			return finish(op, -ECANCELED);
		if (resolve(op, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		if (op->stage_ != STAGE_ADDRESS)
			return ROTA_READY;
	}
	for (;;) {
		if (op->stage_ == STAGE_ADDRESS) {
			if (try_address(op) == ROTA_READY)
				return ROTA_READY;
		} else {
			if (rota_future_poll(&op->op_.future, cx) == ROTA_PENDING)
				return ROTA_PENDING;
			if (connected(op) == ROTA_READY)
				return ROTA_READY;
		}
	}
}

static void tcp_cancel(struct rota_future *self)
{
	struct rota_tcp_op *op = tcp_of(self);

	op->cancelled_ = true;
	if (op->stage_ == STAGE_RESOLVE)
		rota_future_cancel(&op->resolve_.future);
	else if (op->stage_ == STAGE_CONNECT)
		rota_future_cancel(&op->op_.future);
}

static const struct rota_future_ops tcp_ops = { .poll = tcp_poll, .cancel = tcp_cancel };

static void prepare(struct rota_tcp_op *op, const char *host, const char *port, int flags, int backlog)
{
	rota_future_init(&op->future, &tcp_ops);
	op->host_ = host;
	op->port_ = port;
	op->list_ = NULL;
	op->flags_ = flags;
	op->backlog_ = backlog;
	op->stage_ = STAGE_START;
	op->cancelled_ = false;
}

void rota_op_tcp_listen(struct rota_tcp_op *op, const char *host, const char *port, int backlog)
{
	prepare(op, host, port, AI_PASSIVE, backlog);
}

void rota_op_tcp_connect(struct rota_tcp_op *op, const char *host, const char *port)
{
	prepare(op, host, port, 0, 0);
}
