/* SPDX-License-Identifier: MIT */
/*
 * The life of an operation (struct rota_op).
 *
 *   stage_  NEW (NEXT: and part of a wait that began with another operation), then STARTED by the first poll. Its owner's only.
 *   state_  the wake slot (runtime/slot_internal.h): ARMED at the start with the waker of the first poll, FIRED when the
 *           last completion was reaped. Until then the kernel, or a mailbox, holds the operation. Taking the slot
 *           (BUSY) is the operation's lock; `mail_` and `cancelled_` are written under it once it is started.
 *   mail_   the operation is linked in its ring's mailbox: to be submitted, to be polled for first (its descriptor is
 *           non-blocking and said "not now"), or to be cancelled. It may not fire before it was taken out.
 *
 * A cancel is an entry of its own in the ring that holds the operation, written by that ring's owner. It is ahead, in
 * the ring, of anything that may later use the same address, so it can only meet the operation that it means; its own
 * completion is ignored, the operation's completion tells how it went.
 */
#ifndef ROTA_IO_OP_INTERNAL_H
#define ROTA_IO_OP_INTERNAL_H

#include <liburing.h>

#include "fd_closes_internal.h"
#include "op.h"

enum rota__op_stage {
	ROTA__OP_NEW,
	ROTA__OP_NEXT, /* rota__op_goes_on */
	ROTA__OP_STARTED,
};
enum rota__op_mail { ROTA__MAIL_NONE, ROTA__MAIL_SUBMIT, ROTA__MAIL_POLL, ROTA__MAIL_CANCEL };

/* changes_: nothing that the operation asks for holds, and what does would end each further poll at once. So its entry in the
 * ring is a multishot poll, which is told of changes, until one brings what was asked for; that is kept as the status until
 * the poll was cancelled. It is cleared when what comes next is the operation itself. */

/* polling_: whether the entry in the ring is a poll that comes before the operation itself. */
enum rota__op_polling { ROTA__POLL_NEVER, ROTA__POLL_NOW, ROTA__POLL_DONE };

/* Opcodes that the headers of liburing may be too old for, and calls that no ring has, which only a thread performs. */
enum rota__op_code {
	ROTA__OP_SEND_ZC = 47,
	ROTA__OP_SENDMSG_ZC = 48,
	ROTA__OP_FTRUNCATE = 55,
	ROTA__OP_CALLS = 128,
	ROTA__OP_READLINKAT = ROTA__OP_CALLS,
	ROTA__OP_GETDENTS,
	ROTA__OP_COPY_FILE_RANGE
};

/* more_: what completions that are not the last one mean. */
enum rota__op_more {
	ROTA__MORE_NONE,         /* there are none */
	ROTA__MORE_NOTIFICATION, /* a zero-copy send: the count; the last one says that the buffer is free */
	ROTA__MORE_ACCEPT,       /* a connection for the stream around the operation (multishot_internal.h) */
	ROTA__MORE_RECV,         /* a buffer for it */
};

static inline struct rota_op *rota__op_of(struct rota_future *future)
{
	return (struct rota_op *)(void *)future;
}

/* Fills in a request as the kernel's submission queue entry has it; the rota_op_* functions are made of this. */
void rota__op_prepare(struct rota_op *op, unsigned opcode, int fd, const void *addr, size_t len, uint64_t offset,
		      uint32_t flags);

/* A prepared operation is the next one of a wait that took down `closes` (rota__fd_closes) when it began: it ends with
 * -ECANCELED if the number was closed since. */
static inline void rota__op_goes_on(struct rota_op *op, uint16_t closes)
{
	op->stage_ = ROTA__OP_NEXT;
	op->closes_ = closes;
}

/* Whether a descriptor of an operation that has taken down `closes_` was closed since. Certain with a lock held that a close takes
 * after it was counted. */
static inline bool rota__op_was_closed(const struct rota_op *op)
{
	return rota__fd_closes(op->fd_) != op->closes_ ||
	       (op->pair_ && rota__fd_closes(op->second_fd_) != op->second_closes_);
}

/* Whether it is about the descriptor, which may be the second one of a pair (pairs_internal.h). */
static inline bool rota__op_is_about(const struct rota_op *op, int fd)
{
	return op->fd_ == fd || (op->pair_ && op->second_fd_ == fd);
}

/* As recv(2) has them: what is asked of the error queue is there or is not, and nothing waits for it. */
uint32_t rota__op_receive_flags(int flags);

/* Makes a prepared operation fail before it starts: its first poll is ready with the error. */
void rota__op_refuse(struct rota_op *op, int error);

/* Asked before an operation starts: 0, or the error that a test has armed. A test may also cut what a transfer moves. */
int rota__op_fault(struct rota_op *op);

/* What is to be told of `events`, to an operation that polls: what it asked for, and errors. Rings tell POLLRDHUP, too, to
 * whoever polls. */
int rota__op_asked_events(const struct rota_op *op, int events);

/* The events to poll for before trying again, 0 when the operation is not of a kind that says EAGAIN. */
short rota__op_poll_events(const struct rota_op *op);

/* Whether `res` means: not now, the descriptor is non-blocking. */
bool rota__op_would_block(const struct rota_op *op, int res);

/* Turns a read or write that was sent as recv or send, to what turned out to be no socket, back into itself. false:
 * `res` does not mean that. */
bool rota__op_was_no_socket(struct rota_op *op, int res);

/* Of one that is about to be made: it would most likely find out that it has to wait, so it need not try first. */
bool rota__op_polls_first(const struct rota_op *op);

/* Whether it reads or writes at an offset: a file. */
bool rota__op_is_at_offset(const struct rota_op *op);

/*
 * Reads and writes of files at the descriptor's own position. Rings do not always move it: not for what is done later
 * (O_DIRECT), nor when an error ends the rest of what was cut short (a disk that is full); nor do they keep two apart that
 * meet there. So each takes its place as it starts in a ring (placed_): the position moves past it, it is made at an offset,
 * and what it does not move is given back at its end, if nobody has gone on from there, or all who did are beyond the file's end. Of a write
 * in append mode, and a read of what has no size, it is taken down where the position stood; at the end it is moved if it still
 * stands there. positioned_: in offset_ there is such a position, and none that was asked for.
 */
void rota__op_note_position(struct rota_op *op);

/* Before an operation is handed to a ring: false if it would wait for the descriptor to find out that it cannot be read, or not
 * be written; the status is set. */
bool rota__op_can_move(struct rota_op *op);

/* Before an operation becomes an entry: whether its call may wait for ever, so that a thread of the kernel's is to make it
 * (elsewhere_internal.h). */
bool rota__op_goes_elsewhere(const struct rota_op *op);

/* What a ring has to do after a completion with *res: nothing (the operation is over, *res is its result), submit it
 * again, or poll for its descriptor first. */
enum rota__op_mail rota__op_again(struct rota_op *op, int *res);

#endif
