/* SPDX-License-Identifier: MIT */
/*
 * An operation: an I/O call as a future. Each call of io/ has a direct form (rota_read) and an operation
 * (rota_op_read), which fills in a struct rota_op that the caller then awaits: rota_await(&op.future), or a poll.
 *
 * Ownership: the operation, the buffer and what else it points to belong to the kernel from the first poll until
 * the future is ready, and must stay in place. Cancelling asks the kernel to stop and ends when the kernel has let
 * go; bytes that had arrived, or a descriptor that was produced, are then still the result. Once ready the operation
 * may be filled in again. The rota_op_* functions may be called from any thread, start nothing and cannot fail: bad
 * arguments are the operation's result.
 */
#ifndef ROTA_IO_OP_H
#define ROTA_IO_OP_H

#include <sys/socket.h>

#include "../runtime/future.h"

ROTA_BEGIN_DECLS

struct statx;

struct rota_op {
	struct rota_future future; /* status: a count, a descriptor, 0, or a negative errno */
	/* private: the request, in the shape of a submission queue entry */
	uint8_t opcode_;
	uint8_t stage_;
	union {
		uint16_t ioprio_;
		uint16_t second_closes_; /* of a pair */
	};
	int32_t fd_;
	uint64_t offset_;
	uint64_t addr_;
	uint32_t len_;
	uint32_t flags_;
	/* private: the wait */
	struct rota_atomic_u32 state_;
	union {
		int32_t second_fd_; /* of a pair */
		uint32_t moved_;    /* of the others: what came before what is under way */
	};
	struct rota_waker waker_;
	struct rota_atomic_ptr carrier_;
	struct rota_op *mail_next_;
	union {
		struct rota_op *backlog_next_;
		uint32_t turn_; /* in the ring: the turn in which it was put there */
	};
	uint8_t mail_;
	uint8_t cancelled_;
	uint8_t polling_;
	uint8_t as_socket_ : 1, changes_ : 1, pair_ : 1, has_turn_ : 1, elsewhere_ : 1, positioned_ : 1, placed_ : 1;
	uint8_t entry_flags_;
	uint8_t more_;
	uint16_t closes_;
};

/* offset -1: the descriptor's own position, and the only choice for sockets and pipes. */
ROTA_API void rota_op_read(struct rota_op *op, int fd, void *buf, size_t len, off_t offset);
ROTA_API void rota_op_write(struct rota_op *op, int fd, const void *buf, size_t len, off_t offset);
struct iovec;
ROTA_API void rota_op_readv(struct rota_op *op, int fd, const struct iovec *iov, int iovcnt, off_t offset);
ROTA_API void rota_op_writev(struct rota_op *op, int fd, const struct iovec *iov, int iovcnt, off_t offset);
ROTA_API void rota_op_recv(struct rota_op *op, int fd, void *buf, size_t len, int flags);
ROTA_API void rota_op_send(struct rota_op *op, int fd, const void *buf, size_t len, int flags);
ROTA_API void rota_op_accept(struct rota_op *op, int fd, struct sockaddr *addr, socklen_t *len);
ROTA_API void rota_op_connect(struct rota_op *op, int fd, const struct sockaddr *addr, socklen_t len);
ROTA_API void rota_op_poll(struct rota_op *op, int fd, short events);
ROTA_API void rota_op_open(struct rota_op *op, const char *path, int flags, mode_t mode);
ROTA_API void rota_op_close(struct rota_op *op, int fd);
ROTA_API void rota_op_fsync(struct rota_op *op, int fd, bool data_only);
ROTA_API void rota_op_statx(struct rota_op *op, int dirfd, const char *path, int flags, unsigned mask,
			    struct statx *ret);

/*
 * Several operations one after the other, until `len` bytes have moved: rota_read_exact and rota_write_all as futures.
 * status: 0, also at end of file; or the error (-ECANCELED too) that ended it. `done`: bytes moved, valid in any case.
 */
struct rota_transfer_op {
	struct rota_future future;
	size_t done;
	/* private */
	size_t len_;
	unsigned char *buf_;
	int fd_;
	bool writes_ : 1, begun_ : 1, started_ : 1, cancelled_ : 1;
	uint16_t closes_; /* of the descriptor, when it began */
	struct rota_op op_;
};
ROTA_API void rota_op_read_exact(struct rota_transfer_op *op, int fd, void *buf, size_t len);
ROTA_API void rota_op_write_all(struct rota_transfer_op *op, int fd, const void *buf, size_t len);

ROTA_END_DECLS

#endif
