/* SPDX-License-Identifier: MIT */
/* Moving bytes between a pipe and another descriptor inside the kernel. */
#ifndef ROTA_IO_SPLICE_H
#define ROTA_IO_SPLICE_H

#include "../runtime/async.h"
#include "file.h"

ROTA_BEGIN_DECLS

/*
 * As splice(2): up to `len` bytes from one descriptor to another, of which one is a pipe; an offset of -1 is the
 * descriptor's own position, and the only choice for pipes and sockets (-ESPIPE, at once). It waits until `from` has something
 * and `to` has room, whether or not they are O_NONBLOCK, and without keeping a thread. Returns the count, which may be
 * less than `len`; 0: the end of `from`, or `len` is 0. SIGPIPE is not raised: -EPIPE. -EINVAL: none is a pipe, both are the
 * same, or one of the two cannot do it (a file in append mode, many devices): read and write then. -EBADF, at once: `from`
 * cannot be read, or `to` not be written.
 *
 * flags: SPLICE_F_MORE (more follows: a socket may hold back a segment that is not full), SPLICE_F_MOVE,
 * SPLICE_F_NONBLOCK (-EAGAIN instead of a wait for a pipe or a socket).
 *
 * Who may call, and what cancellation does: see fd.h. When both sides are ready, the caller makes the call itself
 * between pipes and sockets that are O_NONBLOCK; else a thread of the kernel's ring does, or one of the blocking pool, and
 * to a blocking socket 16 KiB at most go at a time. That call waits if somebody else takes the bytes or the room first. A
 * cancel, or rota_close of either side, ends it then, as it does before, while one side is waited for: the result is
 * -ECANCELED, and what was not moved is still in `from`. O_NONBLOCK is never changed.
 */
ROTA_API ssize_t rota_splice(int from, off_t from_offset, int to, off_t to_offset, size_t len,
			     unsigned flags) ROTA_MUST_USE;

/* The same as a future. */
struct rota_splice_op {
	union {
		struct rota_future future;
		struct rota_async async; /* private */
	};
	/* private */
	off_t from_offset_, to_offset_;
	size_t len_;
	int from_, to_;
	unsigned flags_;
	uint16_t from_closes_, to_closes_; /* of the two, when it began */
	bool goes_on_;
	struct rota_pooled_op call_; /* or, of its operation, the poll that comes before */
};
ROTA_API void rota_op_splice(struct rota_splice_op *op, int from, off_t from_offset, int to, off_t to_offset,
			     size_t len, unsigned flags);

ROTA_END_DECLS

#endif
