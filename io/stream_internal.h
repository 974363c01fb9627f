/* SPDX-License-Identifier: MIT */
/*
 * A stream's buffers and its source.
 *
 * The reader owns `in_`, the writer `out_`. While a read of the source is under way, the source owns the bytes of `in_`
 * behind `end`, and the reader touches neither; while a write is, it owns those from `start` to `end` of `out_`. Bytes are
 * taken off a buffer only when what they were wanted for is complete, so an operation may end between any two waits.
 */
#ifndef ROTA_IO_STREAM_INTERNAL_H
#define ROTA_IO_STREAM_INTERNAL_H

#include "stream.h"

/* A count that a status can tell. */
#define ROTA__STREAM_MAX ((size_t)0x7ffff000)

extern const struct rota_stream_ops rota__stream_fd_ops;

static inline size_t rota__half_filled(const struct rota_stream_half *half)
{
	return half->end - half->start;
}

static inline const unsigned char *rota__half_first(const struct rota_stream_half *half)
{
	return half->bytes + half->start;
}

static inline void rota__half_drop(struct rota_stream_half *half, size_t len)
{
	half->start += len;
	if (half->start == half->end)
		half->start = half->end = 0;
}

/* Moves what is filled to the beginning, so that all room is behind it. */
void rota__half_compact(struct rota_stream_half *half);

/* Prepares the operation's future; `ops` are one of the async functions of stream_read.c, stream_write.c. */
void rota__stream_op_init(struct rota_stream_op *op, const struct rota_future_ops *ops, struct rota_stream *s,
			  const void *buf, size_t len);

/* One read, or write, of the source, as a future: a count, or a negative errno. */
void rota__stream_io_init(struct rota_stream_io *io, struct rota_stream *s, const void *buf, size_t len, bool writes);

/* A call of the stream is about to use its source for the first time, which a read or write of the source says for itself:
 * once a descriptor was closed, the rest of the call is refused with -ECANCELED. */
void rota__stream_io_begin(struct rota_stream_io *io, struct rota_stream *s, bool writes);

/* One read into what is free of the buffer, which must not be full; and what it brought: 1, 0 at the end, an error. */
void rota__stream_fill_init(struct rota_stream_io *io, struct rota_stream *s);
int rota__stream_filled(struct rota_stream_io *io);

/* One write of what is filled, which must not be nothing; and what it did: 0, an error. */
void rota__stream_drain_init(struct rota_stream_io *io, struct rota_stream *s);
int rota__stream_drained(struct rota_stream_io *io);

/* The rest of a copy by splices, both buffers being empty: 0, or an error; ROTA__SPLICE_UNABLE: the rest of it is for the
 * buffer. *copied counts. */
#define ROTA__SPLICE_UNABLE 1
struct rota_stream_splice;
void rota__stream_splice_init(struct rota_stream_splice *op, struct rota_stream *from, struct rota_stream *to,
			      uint64_t limit, uint64_t *copied);

#endif
