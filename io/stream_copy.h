/* SPDX-License-Identifier: MIT */
/* From one stream to another: one way, or both ways between two. Who may call, and what cancellation does: see stream.h. */
#ifndef ROTA_IO_STREAM_COPY_H
#define ROTA_IO_STREAM_COPY_H

#include "splice.h"
#include "stream.h"

ROTA_BEGIN_DECLS

/*
 * Between descriptors of which one is a pipe both calls move the bytes inside the kernel (splice.h), once what the buffers
 * hold was written.
 *
 * Copies what comes from `from`, at most `limit` bytes (UINT64_MAX: until its end), to `to`, and flushes. Returns 0; or the
 * error (of either) that ended it. *ret_copied (may be NULL), set in any case: how many bytes were written to `to`.
 * Those that were read and not written are still in the buffer of `from`. Neither is shut down or closed.
 */
ROTA_API int rota_stream_copy(struct rota_stream *from, struct rota_stream *to, uint64_t limit,
			      uint64_t *ret_copied) ROTA_MUST_USE;

/*
 * Joins two streams: copies in both directions until both have ended. The end of one direction is passed on
 * (rota_stream_shutdown) while the other goes on; a descriptor that knows no such thing is left alone. An error in
 * one direction ends both, and is the result; each keeps what it has read and not written. ret_copied[0] (ret_copied
 * may be NULL): bytes from a to b; [1]: from b to a.
 */
ROTA_API int rota_stream_join(struct rota_stream *a, struct rota_stream *b, uint64_t ret_copied[2]) ROTA_MUST_USE;

struct rota_stream_splice {
	struct rota_async async;
	/* private */
	struct rota_stream *from_, *to_;
	uint64_t limit_, *copied_;
	struct rota_splice_op splice_;
};

/* The same as futures. `copied` is valid in any case once the future is ready. */
struct rota_stream_copy_op {
	union {
		struct rota_future future;
		struct rota_async async; /* private */
	};
	uint64_t copied;
	/* private */
	struct rota_stream *from_, *to_;
	uint64_t limit_;
	int error_;
	bool ends_, unable_;
	struct rota_stream_io io_;
	struct rota_stream_splice splice_;
	struct rota_stream_op shutdown_;
};
ROTA_API void rota_op_stream_copy(struct rota_stream_copy_op *op, struct rota_stream *from, struct rota_stream *to,
				  uint64_t limit);

struct rota_stream_join_op {
	struct rota_future future;
	uint64_t copied[2]; /* from a to b, from b to a */
	/* private */
	struct rota_stream_copy_op ways_[2];
	bool ready_[2], told_[2];
};
ROTA_API void rota_op_stream_join(struct rota_stream_join_op *op, struct rota_stream *a, struct rota_stream *b);

ROTA_END_DECLS

#endif
