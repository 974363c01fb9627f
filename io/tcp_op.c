/* SPDX-License-Identifier: MIT */
/*
 * From a name to a socket, as one future: the addresses are asked for (resolve.h), then a listener takes the first that
 * can be bound, and a connector races them (RFC 8305, happy eyeballs).
 *
 * The race. Attempts start one after the other, families in turn; each has a head start (`delay_`) on the next, which
 * begins at once when one fails. The first connection wins; then, or when the operation is cancelled, no attempt
 * starts any more and those under way are cancelled. The race is over when none is under way: the kernel holds
 * nothing then. A loser that connected all the same is closed like the others.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "../runtime/sys_internal.h"
#include "sys_net_internal.h"

enum stage { STAGE_RESOLVE, STAGE_SOCKETS };

#define ATTEMPT_DELAY ROTA_MS(250)
#define NONE (-1)

static struct rota_tcp_op *tcp_of(struct rota_future *future)
{
	return (struct rota_tcp_op *)(void *)future;
}

static rota_poll finish(struct rota_tcp_op *op, int status)
{
	op->future.status = status;
	return ROTA_READY;
}

static rota_poll listen_at_first(struct rota_tcp_op *op)
{
	int fd = -EADDRNOTAVAIL;

	if (op->cancelled_)
		return finish(op, -ECANCELED);
	for (unsigned i = 0; i < op->count_ && fd < 0; i++)
		fd = rota__sys_tcp_listen(&op->addresses_[i], op->backlog_, op->options_);
	return finish(op, fd);
}

/* --- the race ------------------------------------------------------------------------------------------------- */

static bool is_over(const struct rota_tcp_op *op)
{
	return op->winner_ >= 0 || op->cancelled_;
}

/* The first address that was not tried, of another family than the last one if there is any; NONE. */
static int next_address(const struct rota_tcp_op *op)
{
	int first = NONE;

	for (unsigned i = 0; i < op->count_; i++) {
		if (op->tried_ >> i & 1)
			continue;
		if (op->tried_ == 0 ||
		    op->addresses_[i].addr.any.sa_family != op->addresses_[op->last_].addr.any.sa_family)
			return (int)i;
		if (first == NONE)
			first = (int)i;
	}
	return first;
}

static void drop_delay(struct rota_tcp_op *op, struct rota_context *cx)
{
	if (!op->delayed_)
		return;
	rota_future_cancel(&op->delay_.future);
	rota_future_poll(&op->delay_.future, cx); /* a timer that was cancelled is ready */
	op->delayed_ = false;
}

static void start_delay(struct rota_tcp_op *op)
{
	const uint64_t delay = op->options_->attempt_delay_ns;

	rota_timer_init(&op->delay_, rota__later(rota_now(), delay > 0 ? delay : ATTEMPT_DELAY));
	op->delayed_ = true;
}

/* Begins to connect to an address. A socket that cannot be had counts as an attempt that failed. */
static void start_attempt(struct rota_tcp_op *op, int index)
{
	const struct rota_address *address = &op->addresses_[index];
	struct rota_tcp_attempt_ *attempt = op->attempts_;
	int fd = rota__sys_tcp_socket(address, op->options_);

	op->tried_ |= 1u << index;
	op->last_ = (uint8_t)index;
	if (fd < 0) {
		op->future.status = fd;
		return;
	}
	while (attempt->fd != NONE)
		attempt++;
	attempt->fd = fd;
	rota_op_connect(&attempt->op, fd, &address->addr.any, address->len);
	op->pending_++;
	start_delay(op);
}

/* Looks at the attempts; whether one has failed, so that the next may start. */
static bool poll_attempts(struct rota_tcp_op *op, struct rota_context *cx)
{
	bool failed = false;

	for (unsigned i = 0; i < ROTA_TCP_ATTEMPTS; i++) {
		struct rota_tcp_attempt_ *attempt = &op->attempts_[i];
		int rc;

		if (attempt->fd == NONE || rota_future_poll(&attempt->op.future, cx) == ROTA_PENDING)
			continue;
		rc = attempt->op.future.status;
		op->pending_--;
		if (rc == 0 && op->winner_ == NONE) {
			op->winner_ = attempt->fd;
		} else {
			rota__sys_close(attempt->fd);
			failed = true;
		}
		if (rc < 0)
			op->future.status = rc;
		attempt->fd = NONE;
	}
	return failed;
}

/* Asks all attempts to end; they are polled until they have. */
static void call_off(struct rota_tcp_op *op)
{
	for (unsigned i = 0; i < ROTA_TCP_ATTEMPTS; i++) {
		if (op->attempts_[i].fd != NONE)
			rota_future_cancel(&op->attempts_[i].op.future);
	}
}

static rota_poll end_race(struct rota_tcp_op *op, struct rota_context *cx)
{
	drop_delay(op, cx);
	call_off(op);
	if (op->pending_ > 0)
		poll_attempts(op, cx);
	if (op->pending_ > 0)
		return ROTA_PENDING;
	return finish(op, op->winner_ >= 0 ? op->winner_ : -ECANCELED);
}

static rota_poll race(struct rota_tcp_op *op, struct rota_context *cx)
{
	for (;;) {
		int next;

		if (poll_attempts(op, cx))
			drop_delay(op, cx); /* a failure ends the head start */
		if (is_over(op))
			return end_race(op, cx);
		next = next_address(op);
		if (next == NONE || op->pending_ == ROTA_TCP_ATTEMPTS) {
			drop_delay(op, cx);
			return op->pending_ > 0 ? ROTA_PENDING : finish(op, op->future.status);
		}
		if (op->delayed_ && rota_future_poll(&op->delay_.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		op->delayed_ = false;
		start_attempt(op, next);
	}
}

/* --- the future ------------------------------------------------------------------------------------------------- */

static rota_poll resolved(struct rota_tcp_op *op, struct rota_context *cx)
{
	if (op->count_ == 0) {
		if (op->future.status < 0)
			return ROTA_READY; /* refused */
		if (rota_future_poll(&op->resolve_.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		if (op->resolve_.future.status < 0)
			return finish(op, op->resolve_.future.status);
		op->count_ = (unsigned)op->resolve_.future.status;
	}
	op->stage_ = STAGE_SOCKETS;
	return ROTA_READY;
}

static rota_poll tcp_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_tcp_op *op = tcp_of(self);

	if (op->stage_ == STAGE_RESOLVE) {
		rota_poll polled = resolved(op, cx);

		if (op->stage_ == STAGE_RESOLVE)
			return polled;
	}
	return op->listens_ ? listen_at_first(op) : race(op, cx);
}

static void tcp_cancel(struct rota_future *self)
{
	struct rota_tcp_op *op = tcp_of(self);

	op->cancelled_ = true;
	if (op->stage_ == STAGE_RESOLVE && op->count_ == 0)
		rota_future_cancel(&op->resolve_.future);
	else
		call_off(op);
}

static const struct rota_future_ops tcp_ops = { tcp_poll, tcp_cancel, "TCP set-up" };

static void prepare(struct rota_tcp_op *op, const struct rota_tcp_options *options)
{
	static const struct rota_tcp_options defaults;

	rota_future_init(&op->future, &tcp_ops);
	op->options_ = options != NULL ? options : &defaults;
	op->backlog_ = op->options_->backlog;
	op->winner_ = NONE;
	op->count_ = 0;
	op->tried_ = 0;
	op->pending_ = 0;
	op->stage_ = STAGE_RESOLVE;
	op->last_ = 0;
	op->listens_ = false;
	op->cancelled_ = false;
	op->delayed_ = false;
	for (unsigned i = 0; i < ROTA_TCP_ATTEMPTS; i++)
		op->attempts_[i].fd = NONE;
}

static void ask(struct rota_tcp_op *op, const char *host, const char *port, unsigned flags)
{
	if (port == NULL)
		op->future.status = -EINVAL; /* the first poll finds it */
	rota_op_resolve(&op->resolve_, host, port, flags, op->addresses_, ROTA_RESOLVE_MAX);
}

void rota_op_tcp_listen(struct rota_tcp_op *op, const char *host, const char *port, int backlog)
{
	rota_op_tcp_listen_with(op, host, port, NULL);
	op->backlog_ = backlog;
}

void rota_op_tcp_listen_with(struct rota_tcp_op *op, const char *host, const char *port,
			     const struct rota_tcp_options *options)
{
	prepare(op, options);
	op->listens_ = true;
	ask(op, host, port, ROTA_RESOLVE_PASSIVE);
}

void rota_op_tcp_connect(struct rota_tcp_op *op, const char *host, const char *port)
{
	rota_op_tcp_connect_with(op, host, port, NULL);
}

void rota_op_tcp_connect_with(struct rota_tcp_op *op, const char *host, const char *port,
			      const struct rota_tcp_options *options)
{
	prepare(op, options);
	ask(op, host, port, 0);
}

void rota_op_tcp_connect_to(struct rota_tcp_op *op, const struct rota_address *addresses, unsigned n,
			    const struct rota_tcp_options *options)
{
	prepare(op, options);
	if (addresses == NULL || n == 0 || n > ROTA_RESOLVE_MAX) {
		ask(op, NULL, NULL, 0); /* refused */
		return;
	}
	memcpy(op->addresses_, addresses, n * sizeof(*addresses));
	op->count_ = n;
}
