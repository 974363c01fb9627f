/* SPDX-License-Identifier: MIT */
/*
 * Closing a descriptor that operations of rings wait for: they end with -ECANCELED, and then it is closed.
 *
 * close(2) ends nothing that a ring has under way, and the number may be given out again at once. So each runtime counts,
 * for each descriptor, the operations that its rings (and their mailboxes and backlogs) hold. A close that finds none, as
 * most do, is submitted like any other operation. Else:
 *
 *   who closes   lists the close and marks the descriptor's count CLOSING, under `lock`; makes `sequence` one more; wakes
 *                all rings.
 *   a ring       sees the new sequence in its turn, and cancels all that it has in the kernel on descriptors that are
 *                being closed. What it has not handed to the kernel yet, and what comes back to be made again, ends when
 *                the mark is seen. Since the mark is older than the sequence, and each ring has one owner, nothing gets in
 *                behind the cancel.
 *                By the second descriptor of a pair the kernel finds nothing, and of splices only what has begun: a ring
 *                lists those that it has in the kernel, and cancels them by address (pairs_internal.h, elsewhere_internal.h).
 *   who ends     the last of them (the count falls to the bare mark) takes the close off the list, clears the mark, and
 *                mails it to its ring.
 *
 * A future that makes calls by itself, when a poll has said that it may (udp.c, splice.c, recv_stream.c), is not in that
 * count between poll and call, since nobody but its owner could end it then. It remembers how often the number was
 * closed when it began (fd_closes_internal.h), and is counted only while it makes a call: so it sees the close, or the close
 * waits for the call, which does not wait for anything.
 *
 * A wait that ends one operation and begins the next (the streams of accept_stream.c and recv_stream.c, transfer.c, the calls
 * of stream.h) is not in that count between them either, and remembers the same: the next one is refused if the number was
 * closed meanwhile (rota__op_goes_on).
 *
 * An operation that begins on a marked descriptor is refused with -ECANCELED. One that begins at the same time as a close
 * that found nothing waits for a file that has no number any more: that race is the program's.
 */
#ifndef ROTA_IO_CLOSING_INTERNAL_H
#define ROTA_IO_CLOSING_INTERNAL_H

#include "../runtime/atomic_internal.h"
#include "op_internal.h"

struct rota__closing {
	struct rota_atomic_u32 *counts;  /* per descriptor: operations, and the mark */
	struct rota_atomic_u32 sequence; /* number of the latest close that had to wait; written under `lock` */
	struct rota_atomic_u32 lock;
	struct rota_op *closers; /* linked by backlog_next_, numbered in offset_; under `lock` */
};

/* 0, -ENOMEM. */
int rota__closing_init(struct rota__closing *closing);
void rota__closing_deinit(struct rota__closing *closing);

/* An operation is about to be handed to a ring. false: its descriptor is being closed; or, when it goes on for another, was
 * closed since that one began. */
bool rota__closing_enter(struct rota__closing *closing, const struct rota_op *op);

/* It has ended, or was not handed over after all. Returns the close that may now go to its ring, or NULL; a pair may have
 * kept two, linked by backlog_next_. */
struct rota_op *rota__closing_leave(struct rota__closing *closing, const struct rota_op *op);

/* Around a call, which does not wait, by who has taken down `closes`. false: it was closed since, and there is no call
 * to make; the end, which is as rota__closing_leave, follows all the same. */
bool rota__closing_call_begin(struct rota__closing *closing, int fd, uint16_t closes);
struct rota_op *rota__closing_call_end(struct rota__closing *closing, int fd);

/* Whether operations, or calls, on the number are under way. Certain after its close was counted: who comes later sees that. */
bool rota__closing_busy(const struct rota__closing *closing, int fd);

/* A close is about to be handed to a ring. true: it has to wait until rota__closing_leave returns it; the caller wakes
 * all rings. */
bool rota__closing_begin(struct rota__closing *closing, struct rota_op *closer);

/* Whether the operation's descriptor is being closed. */
bool rota__closing_marked(const struct rota__closing *closing, const struct rota_op *op);

/* The descriptor of the oldest close after the one numbered *seen, which becomes that one; -1: there is none. */
int rota__closing_next(struct rota__closing *closing, uint32_t *seen);

#endif
