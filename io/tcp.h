/* SPDX-License-Identifier: MIT */
/* TCP: listen, connect, accept, and the socket calls. Who may call, and what cancellation does: see fd.h. */
#ifndef ROTA_IO_TCP_H
#define ROTA_IO_TCP_H

#include <sys/socket.h>

#include "../runtime/time.h"
#include "op.h"
#include "resolve.h"

ROTA_BEGIN_DECLS

/*
 * A listening socket on host:port, the first address that can be bound; close-on-exec, SO_REUSEADDR. host NULL: every
 * address. port: a number or a service name; "0": any free one (getsockname tells). backlog <= 0: SOMAXCONN. Returns
 * the descriptor; -EADDRINUSE, -EADDRNOTAVAIL, ...; -ENOENT for a host or service that does not exist,
 * -EAGAIN for a resolver that failed for now.
 */
ROTA_API int rota_tcp_listen(const char *host, const char *port, int backlog) ROTA_MUST_USE;

/*
 * Connects to host:port; resolves as rota_resolve does, and returns the last error when every address fails. Addresses
 * are tried as RFC 8305 has it (happy eyeballs): the families in turn, each with a head start of 250 ms on the next, which
 * begins at once when one fails; the first connection wins, the others are called off and closed. Outside of any runtime
 * one address is tried after the other. host NULL: loopback. Close-on-exec, TCP_NODELAY. Returns the descriptor.
 */
ROTA_API int rota_tcp_connect(const char *host, const char *port) ROTA_MUST_USE;

/* The port that a socket is bound to, in host order, or a negative errno. Never waits. */
ROTA_API int rota_local_port(int fd);

/* Accepts a connection: a close-on-exec descriptor. addr and len as in accept(2), both may be NULL. Other processes may accept
 * from the same listener, be it O_NONBLOCK or not: who comes too late for a connection waits for the next one. */
ROTA_API int rota_accept(int fd, struct sockaddr *addr, socklen_t *len) ROTA_MUST_USE;

/* As connect(2). After an error, or a cancellation, close the socket: it is of no more use. */
ROTA_API int rota_connect(int fd, const struct sockaddr *addr, socklen_t len) ROTA_MUST_USE;

/* As recv(2) and send(2), with their flags (MSG_PEEK, MSG_WAITALL, MSG_ERRQUEUE, ...); send never raises SIGPIPE. */
ROTA_API ssize_t rota_recv(int fd, void *buf, size_t len, int flags) ROTA_MUST_USE;
ROTA_API ssize_t rota_send(int fd, const void *buf, size_t len, int flags) ROTA_MUST_USE;

/* As shutdown(2). Never waits. */
ROTA_API int rota_shutdown(int fd, int how);

/* Options at listen and connect. All zero, or NULL in its place: the defaults. Fields marked with one of the two calls
 * are ignored by the other. Connections that a listener accepts inherit its options. */
struct rota_tcp_options {
	bool nagle;                /* Nagle's algorithm stays on; default: TCP_NODELAY */
	bool keepalive;            /* SO_KEEPALIVE */
	unsigned keepalive_idle_s; /* 0 in each: what the system says */
	unsigned keepalive_interval_s;
	unsigned keepalive_count;
	bool reuse_port;                  /* SO_REUSEPORT: several listeners share a port */
	bool v6only;                      /* IPv6 sockets take no IPv4; default: what the system says */
	int send_buffer, receive_buffer;  /* bytes, which the kernel doubles; 0: what the system says */
	int backlog;                      /* listen; <= 0: SOMAXCONN */
	int fast_open;                    /* listen: TCP_FASTOPEN, how many requests may wait; 0: none */
	const struct rota_address *local; /* connect: bind to this first, where the family is the same; NULL: no */
	uint64_t attempt_delay_ns;        /* connect: the head start of each address; 0: 250 ms */
};

/* The first two, with options, which must stay in place until the call returns. An option that the kernel refuses is the
 * call's error. */
ROTA_API int rota_tcp_listen_with(const char *host, const char *port,
				  const struct rota_tcp_options *options) ROTA_MUST_USE;
ROTA_API int rota_tcp_connect_with(const char *host, const char *port,
				   const struct rota_tcp_options *options) ROTA_MUST_USE;

/* Connects to one of `n` addresses, which are treated as those of a name are. -EINVAL: n is 0 or above ROTA_RESOLVE_MAX,
 * or there are none. */
ROTA_API int rota_tcp_connect_to(const struct rota_address *addresses, unsigned n,
				 const struct rota_tcp_options *options) ROTA_MUST_USE;

#define ROTA_TCP_ATTEMPTS 8 /* connections of one call that are under way at once */

/*
 * The same as futures: status is the descriptor, or the error. host, port and options must stay in place until ready,
 * `addresses` need not. A cancelled one leaves no descriptor behind.
 */
struct rota_tcp_op {
	struct rota_future future;
	/* private: the question to the resolver, then the attempts */
	const struct rota_tcp_options *options_;
	int backlog_, winner_;
	unsigned count_, tried_, pending_; /* addresses; a bit for each that was tried; attempts under way */
	uint8_t stage_, last_;
	bool listens_, cancelled_, delayed_;
	struct rota_resolve_op resolve_;
	struct rota_timer delay_;
	struct rota_address addresses_[ROTA_RESOLVE_MAX];
	struct rota_tcp_attempt_ {
		struct rota_op op;
		int fd; /* -1: none */
	} attempts_[ROTA_TCP_ATTEMPTS];
};
ROTA_API void rota_op_tcp_listen(struct rota_tcp_op *op, const char *host, const char *port, int backlog);
ROTA_API void rota_op_tcp_connect(struct rota_tcp_op *op, const char *host, const char *port);
ROTA_API void rota_op_tcp_listen_with(struct rota_tcp_op *op, const char *host, const char *port,
				      const struct rota_tcp_options *options);
ROTA_API void rota_op_tcp_connect_with(struct rota_tcp_op *op, const char *host, const char *port,
				       const struct rota_tcp_options *options);
ROTA_API void rota_op_tcp_connect_to(struct rota_tcp_op *op, const struct rota_address *addresses, unsigned n,
				     const struct rota_tcp_options *options);

ROTA_END_DECLS

#endif
