/* SPDX-License-Identifier: MIT */
/*
 * Messages on sockets of any kind. Who may call, and what cancellation does: see fd.h. More of what all sockets share
 * stands in tcp.h (accept, connect, send, recv, shutdown).
 */
#ifndef ROTA_IO_SOCKET_H
#define ROTA_IO_SOCKET_H

#include "op.h"
#include "resolve.h"

ROTA_BEGIN_DECLS

/*
 * As sendmsg(2) and recvmsg(2); send never raises SIGPIPE. The message and all that it points to must stay in place until
 * the call, or the operation, has ended. Descriptors that a recvmsg brings are the caller's business (unix.h has calls
 * that care for them): MSG_CMSG_CLOEXEC is set always.
 */
ROTA_API ssize_t rota_sendmsg(int fd, const struct msghdr *message, int flags) ROTA_MUST_USE;
ROTA_API ssize_t rota_recvmsg(int fd, struct msghdr *message, int flags) ROTA_MUST_USE;
ROTA_API void rota_op_sendmsg(struct rota_op *op, int fd, const struct msghdr *message, int flags);
ROTA_API void rota_op_recvmsg(struct rota_op *op, int fd, struct msghdr *message, int flags);

/*
 * As sendto(2) and recvfrom(2). addr may be NULL. *len is room before a recvfrom, and the length of the address after
 * it. With MSG_TRUNC recvfrom returns the length of the datagram, also when buf was too small for it.
 */
ROTA_API ssize_t rota_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
			     socklen_t addr_len) ROTA_MUST_USE;
ROTA_API ssize_t rota_recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *addr,
			       socklen_t *len) ROTA_MUST_USE;

/* The same as futures. What is pointed to must stay in place until ready. */
struct rota_message_op {
	struct rota_future future;
	/* private */
	socklen_t *len_;
	struct rota_op op_;
	struct iovec part_;
	struct msghdr message_;
};
ROTA_API void rota_op_sendto(struct rota_message_op *op, int fd, const void *buf, size_t len, int flags,
			     const struct sockaddr *addr, socklen_t addr_len);
ROTA_API void rota_op_recvfrom(struct rota_message_op *op, int fd, void *buf, size_t size, int flags,
			       struct sockaddr *addr, socklen_t *len);

/* As accept4(2): flags 0 or SOCK_NONBLOCK. The descriptor is close-on-exec always. */
ROTA_API int rota_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags) ROTA_MUST_USE;
ROTA_API void rota_op_accept4(struct rota_op *op, int fd, struct sockaddr *addr, socklen_t *len, int flags);

/*
 * Sends without copying, where kernel and socket can (TCP, UDP); else as rota_send. Ready when the kernel has let go of
 * the buffer, which for TCP is when the other side has acknowledged it: later than rota_send, so worth it for large
 * buffers only (tens of kilobytes). status: the count, as for rota_send.
 *
 * What the kernel has taken it does not give back sooner: a cancel, a deadline and rota_close wait for that too, and a peer
 * that takes nothing any more holds them up. The socket option TCP_USER_TIMEOUT sets a limit to that, and connect(2) to an
 * address of AF_UNSPEC resets the connection at once.
 */
ROTA_API ssize_t rota_send_zero_copy(int fd, const void *buf, size_t len, int flags) ROTA_MUST_USE;
ROTA_API ssize_t rota_sendmsg_zero_copy(int fd, const struct msghdr *message, int flags) ROTA_MUST_USE;
ROTA_API void rota_op_send_zero_copy(struct rota_op *op, int fd, const void *buf, size_t len, int flags);
ROTA_API void rota_op_sendmsg_zero_copy(struct rota_op *op, int fd, const struct msghdr *message, int flags);

#define ROTA_ADDRESS_TEXT 80 /* bytes that are enough for rota_address_format */

/* Writes an address as people do, with its port and its scope: "127.0.0.1:80", "[fe80::1%eth0]:80". Returns the length;
 * -EAFNOSUPPORT, -ENOSPC. Never waits. */
ROTA_API int rota_address_format(const struct rota_address *address, char *ret, size_t size);

ROTA_END_DECLS

#endif
