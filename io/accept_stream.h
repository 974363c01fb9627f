/* SPDX-License-Identifier: MIT */
/*
 * Connections as they come: one request of the kernel that accepts again and again (multishot), and a queue of what it
 * accepted. Where there is none (another back end, a thread outside of the runtime's) each connection is a request.
 *
 * Who may call, and what cancellation does: see fd.h.
 *
 * The stream belongs to one task at a time, which waits for one connection at a time. From the first wait until
 * rota_accept_stream_close it must stay in place. Nothing that was accepted is lost: not when a wait is cancelled, not
 * when the stream is stopped.
 */
#ifndef ROTA_IO_ACCEPT_STREAM_H
#define ROTA_IO_ACCEPT_STREAM_H

#include "../runtime/time.h"
#include "op.h"

ROTA_BEGIN_DECLS

struct rota_accept_stream {
	struct rota_future future; /* of the wait for the next; see rota_accept_stream_next_init */
	unsigned exhausted;        /* times that no descriptor (or memory) was left for a connection */
	unsigned dropped;          /* connections that were closed, since there was no memory to note them */
	/* private */
	int fd_, *fds_;
	unsigned capacity_, room_, head_, count_;
	uint8_t stage_;
	bool single_, cancelled_, stopped_, untold_;
	uint16_t closes_; /* of the descriptor, when the stream was initialised */
	uint64_t pause_, told_;
	struct rota_timer timer_;
	struct rota_op op_;
};

/*
 * Of the listening socket `fd`, which stays the caller's. capacity: when so many connections wait to be taken the kernel is
 * told to stop, until they were; those that are still to come wait in the listener's backlog. But what is in
 * the backlog when the kernel begins, it accepts at once, so that up to backlog + capacity may be held. 1: each connection
 * is accepted when it is asked for, and no sooner. 0: 64. Starts nothing. A stream is stopped
 * before the runtime in which it has waited is shut down; but one with a capacity of 1 has nothing under way between two waits,
 * and may go on in the next runtime.
 */
ROTA_API void rota_accept_stream_init(struct rota_accept_stream *stream, int fd, unsigned capacity);

/*
 * Waits for the next connection: a close-on-exec descriptor. A peer that left again is passed over. When descriptors or
 * memory run out (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM) a line on standard error says so, once per shortage and at most once a
 * second, `exhausted` counts, and accept is tried again, after 10 ms at first, a second in the end: connections wait in the
 * backlog. -ECANCELED: the caller was cancelled, or nothing is left and the stream was stopped, or the listener closed
 * (rota_close) since it was initialised. Other errors are those of accept(2); the call may be repeated.
 */
ROTA_API int rota_accept_stream_next(struct rota_accept_stream *stream) ROTA_MUST_USE;

/* The same as a future: stream->future, whose status is the descriptor. */
ROTA_API void rota_accept_stream_next_init(struct rota_accept_stream *stream);

/*
 * Makes the kernel stop, and waits until it has. What was accepted until then can still be taken. Not a cancellation
 * point. As a future: stream->future, status 0; it cannot be cancelled.
 */
ROTA_API void rota_accept_stream_stop(struct rota_accept_stream *stream);
ROTA_API void rota_accept_stream_stop_init(struct rota_accept_stream *stream);

/* Closes the connections that nobody has taken and frees what the stream holds. It has been stopped, by one of the two
 * above; this call never waits. */
ROTA_API void rota_accept_stream_close(struct rota_accept_stream *stream);

ROTA_END_DECLS

#endif
