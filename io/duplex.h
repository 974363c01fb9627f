/* SPDX-License-Identifier: MIT */
/*
 * Two ends in memory: what is written to one is read from the other. For tests of what speaks over a stream, and between
 * tasks. An end takes part as a stream: rota_stream_init(&s, &rota_duplex_ops, &duplex.ends[0], NULL).
 *
 * Each direction holds at most `capacity` bytes; a writer waits for room, a reader for bytes. When an end is shut down, the
 * other reads what is left and then the end (0). When it is closed, the other's writes are -EPIPE too. One reader and
 * one writer at each end at a time.
 */
#ifndef ROTA_IO_DUPLEX_H
#define ROTA_IO_DUPLEX_H

#include "../runtime/waitlist.h"
#include "stream.h"

ROTA_BEGIN_DECLS

struct rota_duplex_way {
	struct rota_waitlist readers_; /* its lock guards all of the way */
	struct rota_waitlist writers_;
	unsigned char *bytes_;
	size_t capacity_, first_, count_;
	bool ended_;  /* nothing more will be written */
	bool broken_; /* nobody will read */
};

struct rota_duplex_end {
	/* private */
	struct rota_duplex_way *in_, *out_;
	struct rota_waiter reader_, writer_;
	bool read_cancelled_, write_cancelled_;
};

struct rota_duplex {
	struct rota_duplex_end ends[2];
	/* private */
	struct rota_duplex_way ways_[2];
};

extern ROTA_API const struct rota_stream_ops rota_duplex_ops;

/* capacity of each direction, in bytes; 0: ROTA_STREAM_BUFFER. Never waits. -ENOMEM. */
ROTA_API int rota_duplex_init(struct rota_duplex *duplex, size_t capacity) ROTA_MUST_USE;

/* Nobody uses the ends any more. */
ROTA_API void rota_duplex_deinit(struct rota_duplex *duplex);

ROTA_END_DECLS

#endif
