/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets: streams, datagrams, packets; descriptors that are passed along; who the peer is. Reading and writing are
 * those of fd.h and tcp.h, datagrams those of socket.h. Who may call, and what cancellation does: see fd.h.
 *
 * A path is a pathname, or "@name" for a name outside of the file system (abstract), which is gone with its last socket.
 * `type` is SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. Every descriptor is close-on-exec.
 */
#ifndef ROTA_IO_UNIX_H
#define ROTA_IO_UNIX_H

#include <sys/un.h>

#include "../runtime/time.h"
#include "op.h"

ROTA_BEGIN_DECLS

/*
 * A socket that is bound to `path`: one of `type` SOCK_STREAM or SOCK_SEQPACKET that listens there, backlog <= 0: SOMAXCONN;
 * or one for datagrams, whose path may be NULL: an abstract name that the kernel chooses. A pathname that a listener left
 * behind, where nobody listens any more, is taken over. Never waits. Returns the descriptor; -EADDRINUSE, -EACCES, -ENOENT,
 * ...; -ENAMETOOLONG: 107 bytes are the limit; -EINVAL: no path, or an empty one, or another type.
 */
ROTA_API int rota_unix_listen(const char *path, int type, int backlog) ROTA_MUST_USE;
ROTA_API int rota_unix_bind(const char *path) ROTA_MUST_USE;

/* Removes the pathname of a socket of the two above, if it has one, and closes it, as rota_close does. The name goes whoever
 * has bound another socket to it meanwhile: after a handover of the name use rota_close. */
ROTA_API int rota_unix_unbind(int fd);

/* Connects; waits while the listener's queue is full. Returns the descriptor; -ECONNREFUSED, -ENOENT, -EPROTOTYPE (the
 * other side is of another type), ... */
ROTA_API int rota_unix_connect(const char *path, int type) ROTA_MUST_USE;

/* The same as a future. path need not stay in place. */
struct rota_unix_connect_op {
	struct rota_future future;
	/* private */
	struct sockaddr_un address_;
	socklen_t len_;
	int fd_, type_;
	uint64_t pause_;
	bool waits_, cancelled_;
	struct rota_timer timer_;
};
ROTA_API void rota_op_unix_connect(struct rota_unix_connect_op *op, const char *path, int type);

/* Two sockets that are connected to each other. 0, -EMFILE, ... Never waits. */
ROTA_API int rota_socketpair(int type, int ret_fds[2]) ROTA_MUST_USE;

/* What rota_sendto, bind(2) and connect(2) take for a path. 0; -EINVAL: no path, or an empty one; -ENAMETOOLONG. */
ROTA_API int rota_unix_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_len) ROTA_MUST_USE;

struct rota_unix_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* Who connected, or listened, or made the pair: as it was then. 0, or a negative errno. Never waits. */
ROTA_API int rota_unix_peer(int fd, struct rota_unix_peer *ret);

#define ROTA_UNIX_MAX_FDS 253 /* the kernel's limit for one message */

/*
 * Sends bytes, and with them copies of `n` descriptors; the caller keeps its own. Returns the count of bytes, with which all
 * descriptors have gone; an error: none has gone. -EINVAL: more than ROTA_UNIX_MAX_FDS, or descriptors without at least one
 * byte on a stream, or fds NULL and n not 0. -ETOOMANYREFS: too many under way.
 */
ROTA_API ssize_t rota_unix_send(int fd, const void *buf, size_t len, const int *fds, unsigned n) ROTA_MUST_USE;

struct rota_unix_received {
	unsigned fds;   /* descriptors that were written to ret_fds: the caller's now */
	bool fds_lost;  /* more came than `max`, or than this process may have: those were closed */
	bool truncated; /* a datagram or packet was longer than `size` */
};

/*
 * Receives bytes and up to `max` descriptors, close-on-exec. ret and ret_fds may be NULL when max is 0, else -EINVAL. Returns the
 * count of bytes; 0 at the end of a stream. No descriptor is left open that is not in ret_fds.
 */
ROTA_API ssize_t rota_unix_recv(int fd, void *buf, size_t size, int *ret_fds, unsigned max,
				struct rota_unix_received *ret) ROTA_MUST_USE;

/* The same as futures. What is pointed to must stay in place until ready. */
struct rota_unix_op {
	struct rota_future future;
	/* private */
	int *fds_;
	unsigned max_;
	struct rota_unix_received *received_;
	struct rota_op op_;
	struct iovec part_;
	struct msghdr message_;
	uint64_t control_[(ROTA_UNIX_MAX_FDS * sizeof(int) + 16 + 7) / 8];
};
ROTA_API void rota_op_unix_send(struct rota_unix_op *op, int fd, const void *buf, size_t len, const int *fds,
				unsigned n);
ROTA_API void rota_op_unix_recv(struct rota_unix_op *op, int fd, void *buf, size_t size, int *ret_fds, unsigned max,
				struct rota_unix_received *ret);

ROTA_END_DECLS

#endif
