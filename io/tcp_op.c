/* SPDX-License-Identifier: MIT */
/*
 * From a name to a socket: resolve, then try one address after the other, as one future.
 *
 *   RESOLVE  the addresses (resolve.h).
 *   ADDRESS  make the next address's socket: a listener is then done, a connector goes on to
 *   CONNECT  wait for the connection; when it fails, close the socket (which was never connected, so that does not
 *            wait) and go back to ADDRESS.
 */
#define _GNU_SOURCE
#include <errno.h>

#include "../runtime/sys_internal.h"
#include "sys_internal.h"
#include "tcp.h"

enum stage { STAGE_RESOLVE, STAGE_ADDRESS, STAGE_CONNECT };

static struct rota_tcp_op *tcp_of(struct rota_future *future)
{
	return (struct rota_tcp_op *)(void *)future;
}

static bool listens(const struct rota_tcp_op *op)
{
	return (op->flags_ & ROTA_RESOLVE_PASSIVE) != 0;
}

static rota_poll finish(struct rota_tcp_op *op, int status)
{
	op->future.status = status;
	return ROTA_READY;
}

/* Listens, or begins to connect, at the next address. READY: the operation is over. */
static rota_poll try_address(struct rota_tcp_op *op)
{
	const struct rota_address *address = &op->addresses_[op->next_];

	if (op->cancelled_)
		return finish(op, -ECANCELED);
	if (op->next_ == op->count_)
		return finish(op, op->future.status); /* the last error */
	op->next_++;
	op->fd_ = listens(op) ? rota__sys_listen(address, op->backlog_) : rota__sys_socket(address->addr.any.sa_family);
	if (listens(op) && op->fd_ >= 0)
		return finish(op, op->fd_);
	op->future.status = op->fd_;
	if (op->fd_ >= 0) {
		rota_op_connect(&op->op_, op->fd_, &address->addr.any, address->len);
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

	if (op->stage_ == STAGE_RESOLVE) {
		if (op->future.status < 0)
			return ROTA_READY;
		if (rota_future_poll(&op->resolve_.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		if (op->resolve_.future.status < 0)
			return finish(op, op->resolve_.future.status);
		op->count_ = (unsigned)op->resolve_.future.status;
		op->stage_ = STAGE_ADDRESS;
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

static void prepare(struct rota_tcp_op *op, const char *host, const char *port, unsigned flags, int backlog)
{
	rota_future_init(&op->future, &tcp_ops);
	if (port == NULL)
		op->future.status = -EINVAL; /* the first poll finds it */
	op->flags_ = flags;
	op->backlog_ = backlog;
	op->next_ = 0;
	op->stage_ = STAGE_RESOLVE;
	op->cancelled_ = false;
	rota_op_resolve(&op->resolve_, host, port, flags, op->addresses_, ROTA_RESOLVE_MAX);
}

void rota_op_tcp_listen(struct rota_tcp_op *op, const char *host, const char *port, int backlog)
{
	prepare(op, host, port, ROTA_RESOLVE_PASSIVE, backlog);
}

void rota_op_tcp_connect(struct rota_tcp_op *op, const char *host, const char *port)
{
	prepare(op, host, port, 0, 0);
}
