/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "udp.h"

#include <errno.h>
#include <poll.h>

#include "carrier_internal.h"
#include "sys_net_internal.h"

/* --- sockets -------------------------------------------------------------------------------------------------------- */

static struct rota_udp_op *udp_of(struct rota_future *future)
{
	return (struct rota_udp_op *)(void *)future;
}

/* Binding and connecting do not wait. */
static rota_poll udp_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_udp_op *op = udp_of(self);
	int fd = -EADDRNOTAVAIL;

	if (self->status < 0)
		return ROTA_READY; /* refused */
	if (rota_future_poll(&op->resolve_.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	if (op->resolve_.future.status < 0)
		fd = op->resolve_.future.status;
	for (int i = 0; i < op->resolve_.future.status && fd < 0; i++)
		fd = rota__sys_udp_socket(&op->addresses_[i], op->options_, op->connects_);
	self->status = fd;
	return ROTA_READY;
}

static void udp_cancel(struct rota_future *self)
{
	rota_future_cancel(&udp_of(self)->resolve_.future);
}

static const struct rota_future_ops udp_ops = { .poll = udp_poll, .cancel = udp_cancel, .name = "udp socket" };

static void prepare(struct rota_udp_op *op, const char *host, const char *port, unsigned flags,
		    const struct rota_udp_options *options)
{
	static const struct rota_udp_options defaults;

	rota_future_init(&op->future, &udp_ops);
	if (port == NULL)
		op->future.status = -EINVAL; /* the first poll finds it */
	op->options_ = options != NULL ? options : &defaults;
	op->connects_ = !(flags & ROTA_RESOLVE_PASSIVE);
	rota_op_resolve(&op->resolve_, host, port, flags | ROTA_RESOLVE_DATAGRAM, op->addresses_, ROTA_RESOLVE_MAX);
}

void rota_op_udp_bind(struct rota_udp_op *op, const char *host, const char *port, const struct rota_udp_options *options)
{
	prepare(op, host, port, ROTA_RESOLVE_PASSIVE, options);
}

void rota_op_udp_connect(struct rota_udp_op *op, const char *host, const char *port,
			 const struct rota_udp_options *options)
{
	prepare(op, host, port, 0, options);
}

int rota_udp_bind(const char *host, const char *port, const struct rota_udp_options *options)
{
	struct rota_udp_op op;

	rota_op_udp_bind(&op, host, port, options);
	return rota_await(&op.future);
}

int rota_udp_connect(const char *host, const char *port, const struct rota_udp_options *options)
{
	struct rota_udp_op op;

	rota_op_udp_connect(&op, host, port, options);
	return rota_await(&op.future);
}

/* --- batches -------------------------------------------------------------------------------------------------------- */
/*
 * No ring has sendmmsg(2) and recvmmsg(2), but one call for 16 datagrams costs less than 16 entries. So the calls are
 * made here, without waiting, and the back end waits until the socket is ready.
 */

static struct rota_udp_batch_op *batch_of(struct rota_future *future)
{
	return (struct rota_udp_batch_op *)(void *)future;
}

/* What has moved is the result, whatever came after it. */
static rota_poll finish(struct rota_udp_batch_op *op, int status)
{
	op->future.status = op->done_ > 0 ? (int)op->done_ : status;
	return ROTA_READY;
}

/* PENDING: the socket has to be waited for. */
static rota_poll move(struct rota_udp_batch_op *op)
{
	while (op->done_ < op->n_) {
		struct rota_datagram *at = op->datagrams_ + op->done_;
		unsigned left = op->n_ - op->done_;
		int rc;

		if (!rota__call_begin(op->fd_, op->closes_))
			return finish(op, -ECANCELED);
		rc = op->sends_ ? rota__sys_udp_send(op->fd_, at, left) : rota__sys_udp_recv(op->fd_, at, left);
		rota__call_end(op->fd_);
		if (rc == -EAGAIN && (op->sends_ || op->done_ == 0))
			return ROTA_PENDING;
		if (rc < 0)
			return finish(op, rc);
		op->done_ += (unsigned)rc;
	}
	return finish(op, -EINVAL);
}

static rota_poll batch_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_udp_batch_op *op = batch_of(self);

	if (!op->begun_)
		op->closes_ = rota__fd_closes(op->fd_);
	op->begun_ = true;
	for (;;) {
		if (!op->waits_) {
			if (op->cancelled_)
				return finish(op, -ECANCELED);
			if (move(op) == ROTA_READY)
				return ROTA_READY;
			rota_op_poll(&op->op_, op->fd_, op->sends_ ? POLLOUT : POLLIN);
			rota__op_goes_on(&op->op_, op->closes_);
			op->waits_ = true;
		}
		if (rota_future_poll(&op->op_.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		op->waits_ = false;
		if (op->op_.future.status < 0)
			return finish(op, op->op_.future.status);
	}
}

static void batch_cancel(struct rota_future *self)
{
	struct rota_udp_batch_op *op = batch_of(self);

	op->cancelled_ = true;
	if (op->waits_)
		rota_future_cancel(&op->op_.future);
}

static const struct rota_future_ops batch_ops = { .poll = batch_poll, .cancel = batch_cancel, .name = "udp batch" };

static void prepare_batch(struct rota_udp_batch_op *op, int fd, struct rota_datagram *datagrams, unsigned n, bool sends)
{
	rota_future_init(&op->future, &batch_ops);
	op->datagrams_ = datagrams;
	op->n_ = datagrams != NULL ? n : 0;
	op->done_ = 0;
	op->fd_ = fd;
	op->sends_ = sends;
	op->waits_ = false;
	op->cancelled_ = false;
	op->begun_ = false;
}

void rota_op_udp_send(struct rota_udp_batch_op *op, int fd, struct rota_datagram *datagrams, unsigned n)
{
	prepare_batch(op, fd, datagrams, n, true);
}

void rota_op_udp_recv(struct rota_udp_batch_op *op, int fd, struct rota_datagram *datagrams, unsigned n)
{
	prepare_batch(op, fd, datagrams, n, false);
}

int rota_udp_send(int fd, struct rota_datagram *datagrams, unsigned n)
{
	struct rota_udp_batch_op op;

	rota_op_udp_send(&op, fd, datagrams, n);
	return rota_await(&op.future);
}

int rota_udp_recv(int fd, struct rota_datagram *datagrams, unsigned n)
{
	struct rota_udp_batch_op op;

	rota_op_udp_recv(&op, fd, datagrams, n);
	return rota_await(&op.future);
}

/* --- multicast ------------------------------------------------------------------------------------------------------ */

int rota_udp_join(int fd, const struct rota_address *group, const char *interface)
{
	return rota__sys_multicast_member(fd, group, interface, true);
}

int rota_udp_leave(int fd, const struct rota_address *group, const char *interface)
{
	return rota__sys_multicast_member(fd, group, interface, false);
}

int rota_udp_join_source(int fd, const struct rota_address *group, const struct rota_address *source,
			 const char *interface)
{
	return rota__sys_multicast_source(fd, group, source, interface, true);
}

int rota_udp_leave_source(int fd, const struct rota_address *group, const struct rota_address *source,
			  const char *interface)
{
	return rota__sys_multicast_source(fd, group, source, interface, false);
}

int rota_udp_multicast_ttl(int fd, int ttl)
{
	return rota__sys_multicast_ttl(fd, ttl);
}

int rota_udp_multicast_loop(int fd, bool on)
{
	return rota__sys_multicast_loop(fd, on);
}

int rota_udp_multicast_interface(int fd, const char *interface)
{
	return rota__sys_multicast_interface(fd, interface);
}
