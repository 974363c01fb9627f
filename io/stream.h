/* SPDX-License-Identifier: MIT */
/*
 * A stream: buffered reading and writing over a descriptor, or over functions of the caller's (TLS, compression, a test).
 *
 * The two directions are independent: one task may read while another writes. Two that read at once, or two that write,
 * are a mistake. Every call waits and may be called from wherever rota_read may (fd.h); in the poll of a stackless task
 * await the operation of the same name.
 *
 * Memory. The buffers are the caller's or allocated by init; nothing is allocated later, and what does not fit is an
 * error, -EMSGSIZE, that has consumed nothing.
 *
 * Cancellation and errors lose nothing: bytes that came stay in the buffer for the next call, bytes that were to be
 * written stay too, and the counts say how far it went.
 *
 * A stream stays where it is from its init until it is closed: one over a descriptor is its own source, so a copy of it, or
 * one that a function returns, would go on in the place of the first.
 */
#ifndef ROTA_IO_STREAM_H
#define ROTA_IO_STREAM_H

#include "../runtime/async.h"
#include "op.h"

ROTA_BEGIN_DECLS

#define ROTA_STREAM_BUFFER ((size_t)8 * 1024) /* size of a buffer unless said otherwise */

/*
 * What a stream is over. `read` and `write` move up to len bytes (len is not 0) and are polled as a future is: READY with
 * *ret the count, 0 from a read for the end, or a negative errno; or PENDING, with the context's waker kept; then they are
 * called again with the same arguments. Functions that simply call what waits (rota_recv, a TLS library over such
 * calls) and return READY are right, too, when the stream is only used by fibers and plain threads.
 */
struct rota_stream_ops {
	rota_poll (*read)(void *source, struct rota_context *cx, void *buf, size_t len, ssize_t *ret);
	rota_poll (*write)(void *source, struct rota_context *cx, const void *buf, size_t len, ssize_t *ret);
	/* Asks a read (or write) that is pending to become ready soon. NULL: it cannot. */
	void (*cancel)(void *source, bool writes);
	/* No more will be written: the other side is told. NULL: nothing is. */
	rota_poll (*shutdown)(void *source, struct rota_context *cx, int *ret);
	/* The source is let go, whatever the result. NULL: nothing is done. */
	rota_poll (*close)(void *source, struct rota_context *cx, int *ret);
};

/* For init: where the buffers are. NULL: they are allocated, of the given size (0: ROTA_STREAM_BUFFER). */
struct rota_stream_buffers {
	void *in;
	size_t in_size;
	void *out;
	size_t out_size;
};

struct rota_stream_half {
	unsigned char *bytes; /* from start to end is filled */
	size_t size, start, end;
	bool allocated;
};

struct rota_stream {
	/* private */
	const struct rota_stream_ops *ops_;
	void *source_;
	struct rota_stream_half in_, out_;
	uint64_t written_;
	int in_error_; /* to be met by the next read */
	int in_fd_, out_fd_;
	bool in_busy_, out_busy_;
	uint16_t in_closes_, out_closes_; /* of the descriptors, when the call under way began */
	struct rota_op in_op_, out_op_;
};

/* Begins a stream; buffers NULL: two are allocated. -ENOMEM. -EINVAL: ops without read or write. */
ROTA_API int rota_stream_init(struct rota_stream *s, const struct rota_stream_ops *ops, void *source,
			      const struct rota_stream_buffers *buffers) ROTA_MUST_USE;

/* Over a descriptor, or over one for each direction (a pair of pipes; -1: none). The stream owns them from now on; when
 * this fails they are still the caller's. */
ROTA_API int rota_stream_init_fd(struct rota_stream *s, int fd, const struct rota_stream_buffers *buffers) ROTA_MUST_USE;
ROTA_API int rota_stream_init_fds(struct rota_stream *s, int in_fd, int out_fd,
				  const struct rota_stream_buffers *buffers) ROTA_MUST_USE;

/* Frees the buffers, with what is in them. Neither flushes nor closes. May be repeated. */
ROTA_API void rota_stream_deinit(struct rota_stream *s);

/* Flushes (not when cancelled), closes the source in any case, frees the buffers. The first error. */
ROTA_API int rota_stream_close(struct rota_stream *s);

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* What is in the buffer. The bytes stay valid until the next call that reads. Never waits. */
ROTA_API const void *rota_stream_peek(const struct rota_stream *s, size_t *ret_len);

/* Takes bytes off the buffer, at most what is in it. Never waits. */
ROTA_API void rota_stream_consume(struct rota_stream *s, size_t len);

/* Waits until `len` bytes are in the buffer; returns how many are: fewer only at the end. -EMSGSIZE: the buffer is
 * smaller. */
ROTA_API ssize_t rota_stream_fill(struct rota_stream *s, size_t len) ROTA_MUST_USE;

/* As rota_read: what is in the buffer, else what comes. 0: the end. */
ROTA_API ssize_t rota_stream_read(struct rota_stream *s, void *buf, size_t len) ROTA_MUST_USE;

/* Until `len` bytes have been read: a count below that only at the end. After an error (or a cancellation) that came when
 * some had been read, the count so far is the result and the error is met by the next read. */
ROTA_API ssize_t rota_stream_read_exact(struct rota_stream *s, void *buf, size_t len) ROTA_MUST_USE;

/*
 * A line: 1, and in `buf` its text with a NUL behind it but without the line's end, which is LF or CRLF; *ret_len (may
 * be NULL) is its length, since the text may have NULs in it. The last line needs no end. 0: there is none left.
 * -EMSGSIZE: the text does not fit into size - 1 bytes, or the line with its end into the stream's buffer; it is all
 * still there, for rota_stream_read or rota_stream_consume. -EINVAL: size 0.
 */
ROTA_API int rota_stream_read_line(struct rota_stream *s, char *buf, size_t size, size_t *ret_len) ROTA_MUST_USE;

/*
 * Up to and including a delimiter of one or more bytes: 1, and *ret_len is the count in `buf`. What follows the last
 * delimiter is delivered too, without one. 0: nothing is left. -EMSGSIZE: it does not fit into `buf`, or into the
 * stream's buffer; it is all still there. -EINVAL: no delimiter.
 */
ROTA_API int rota_stream_read_until(struct rota_stream *s, const void *delimiter, size_t delimiter_len, void *buf,
				    size_t size, size_t *ret_len) ROTA_MUST_USE;

/* All that comes. *len: the room in `buf` before, the bytes in it after, whatever the result. 0: that was all.
 * -EMSGSIZE: there is more than room; the rest is still to be read. */
ROTA_API int rota_stream_read_to_end(struct rota_stream *s, void *buf, size_t *len) ROTA_MUST_USE;

/* --- writing ----------------------------------------------------------------------------------------------------- */

/* Puts all bytes into the buffer, writing it out when it is full (and what is larger than the buffer, directly).
 * Returns len; a lower count when an error, or a cancellation, came after that many were taken: they will be written,
 * the others not, and the error is met again. */
ROTA_API ssize_t rota_stream_write_all(struct rota_stream *s, const void *buf, size_t len) ROTA_MUST_USE;

/* As printf(3), into the buffer; it waits only when the buffer has to be written out first. All of the text or nothing
 * was taken. Returns its length; -EMSGSIZE when it is not shorter than the buffer, which vsnprintf(3) finds out by formatting: a
 * width or a precision that is not the program's own should be checked before. */
ROTA_API int rota_stream_printf(struct rota_stream *s, const char *format, ...)
	__attribute__((format(printf, 2, 3))) ROTA_MUST_USE;

/* Writes the buffer out, until it has room for `len` bytes; -EMSGSIZE: it is smaller. After this rota_stream_printf of
 * a text shorter than len does not wait. */
ROTA_API int rota_stream_reserve(struct rota_stream *s, size_t len) ROTA_MUST_USE;

/* Writes all of the buffer out. After an error the rest is still in it. */
ROTA_API int rota_stream_flush(struct rota_stream *s) ROTA_MUST_USE;

/* Flushes, and tells the other side that this was all; reading goes on. On descriptors: shutdown(2), or, where there is
 * one for writing only, close(2). */
ROTA_API int rota_stream_shutdown(struct rota_stream *s) ROTA_MUST_USE;

/* Bytes in the buffer that were not written out yet; bytes that ever were. Never wait. */
ROTA_API size_t rota_stream_unwritten(const struct rota_stream *s);
ROTA_API uint64_t rota_stream_written(const struct rota_stream *s);

/* --- as futures -------------------------------------------------------------------------------------------------- */

/* One call of the stream's source. */
struct rota_stream_io {
	struct rota_future future;
	/* private */
	struct rota_stream *stream_;
	unsigned char *buf_;
	size_t len_;
	bool writes_, started_, cancelled_;
	bool begun_[2]; /* a call of the stream has been to the source: to read, to write */
};

/*
 * status: as the direct call returns it; of read_exact and write_all: 0, or the error that ended it. `done`: bytes that were
 * moved to or from the caller's buffer, valid in any case; of read_line and read_until the *ret_len.
 */
struct rota_stream_op {
	union {
		struct rota_future future;
		struct rota_async async; /* private */
	};
	size_t done;
	/* private */
	struct rota_stream *stream_;
	unsigned char *buf_;
	size_t len_, scanned_, delimiter_len_;
	const unsigned char *delimiter_;
	int error_;
	bool direct_, line_;
	struct rota_stream_io io_;
};
ROTA_API void rota_op_stream_fill(struct rota_stream_op *op, struct rota_stream *s, size_t len);
ROTA_API void rota_op_stream_read(struct rota_stream_op *op, struct rota_stream *s, void *buf, size_t len);
ROTA_API void rota_op_stream_read_exact(struct rota_stream_op *op, struct rota_stream *s, void *buf, size_t len);
ROTA_API void rota_op_stream_read_line(struct rota_stream_op *op, struct rota_stream *s, char *buf, size_t size);
ROTA_API void rota_op_stream_read_until(struct rota_stream_op *op, struct rota_stream *s, const void *delimiter,
					size_t delimiter_len, void *buf, size_t size);
ROTA_API void rota_op_stream_read_to_end(struct rota_stream_op *op, struct rota_stream *s, void *buf, size_t size);
ROTA_API void rota_op_stream_write_all(struct rota_stream_op *op, struct rota_stream *s, const void *buf, size_t len);
ROTA_API void rota_op_stream_reserve(struct rota_stream_op *op, struct rota_stream *s, size_t len);
ROTA_API void rota_op_stream_flush(struct rota_stream_op *op, struct rota_stream *s);
ROTA_API void rota_op_stream_shutdown(struct rota_stream_op *op, struct rota_stream *s);
ROTA_API void rota_op_stream_close(struct rota_stream_op *op, struct rota_stream *s);

ROTA_END_DECLS

#endif
