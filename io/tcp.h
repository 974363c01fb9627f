/* SPDX-License-Identifier: MIT */
/* TCP: listen, connect, accept, and the socket calls. Who may call, and what cancellation does: see fd.h. */
#ifndef ROTA_IO_TCP_H
#define ROTA_IO_TCP_H

#include <sys/socket.h>

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
 * Connects to host:port; resolves as rota_resolve does, tries each address in turn, returns the last error when all
 * fail. host NULL: loopback. Close-on-exec, TCP_NODELAY. Returns the descriptor.
 */
ROTA_API int rota_tcp_connect(const char *host, const char *port) ROTA_MUST_USE;

/* The port that a socket is bound to, in host order, or a negative errno. Never waits. */
ROTA_API int rota_local_port(int fd);

/* Accepts a connection: a close-on-exec descriptor. addr and len as in accept(2), both may be NULL. */
ROTA_API int rota_accept(int fd, struct sockaddr *addr, socklen_t *len) ROTA_MUST_USE;

ROTA_API int rota_connect(int fd, const struct sockaddr *addr, socklen_t len) ROTA_MUST_USE;

/* As recv(2) and send(2); send never raises SIGPIPE. */
ROTA_API ssize_t rota_recv(int fd, void *buf, size_t len, int flags) ROTA_MUST_USE;
ROTA_API ssize_t rota_send(int fd, const void *buf, size_t len, int flags) ROTA_MUST_USE;

/* As shutdown(2). Never waits. */
ROTA_API int rota_shutdown(int fd, int how);

/*
 * The first two as futures: status is the descriptor, or the error. host and port must stay in place until ready. A
 * cancelled one leaves no descriptor behind.
 */
struct rota_tcp_op {
	struct rota_future future;
	/* private: the question to the resolver, then one address after the other */
	unsigned flags_, count_, next_;
	int backlog_, fd_;
	uint8_t stage_;
	bool cancelled_;
	struct rota_resolve_op resolve_;
	struct rota_op op_;
	struct rota_address addresses_[ROTA_RESOLVE_MAX];
};
ROTA_API void rota_op_tcp_listen(struct rota_tcp_op *op, const char *host, const char *port, int backlog);
ROTA_API void rota_op_tcp_connect(struct rota_tcp_op *op, const char *host, const char *port);

ROTA_END_DECLS

#endif
