/* SPDX-License-Identifier: MIT */
/*
 * What the files of a ring share: ring.c, the owner's turn and its entries; ring_mail.c, what waits to become one; elsewhere.c,
 * cancels that may have missed; ring_reap.c, completions; ring_rescue.c, all of it in a stuck owner's place.
 */
#ifndef ROTA_IO_RING_PARTS_INTERNAL_H
#define ROTA_IO_RING_PARTS_INTERNAL_H

#include "../runtime/waker_internal.h"
#include "ring_internal.h"

#ifndef IORING_SQ_TASKRUN
#define IORING_SQ_TASKRUN (1U << 2)
#endif

/* user_data of what is not an operation; operations are aligned. */
#define ROTA__DATA_WAKE 1u
#define ROTA__DATA_IGNORE 2u
#define ROTA__DATA_PAUSE 3u

/* --- entries: ring.c ---------------------------------------------------------------------------------------------- */

/* Entries that were published and that the kernel has not consumed. Any thread. */
static inline unsigned rota__ring_unconsumed(const struct rota__ring *ring)
{
	const struct io_uring_sq *sq = &ring->uring.sq;

	return IO_URING_READ_ONCE(*sq->ktail) - io_uring_smp_load_acquire(sq->khead);
}

static inline bool rota__ring_has_news(const struct rota__ring *ring)
{
	const unsigned news = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;

	return (IO_URING_READ_ONCE(*ring->uring.sq.kflags) & news) != 0;
}

/* Completions that found no room are kept by the kernel, until somebody enters it for them. */
static inline bool rota__ring_overflown(const struct rota__ring *ring)
{
	return (IO_URING_READ_ONCE(*ring->uring.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
}

static inline bool rota__ring_completed(const struct rota__ring *ring)
{
	return IO_URING_READ_ONCE(*ring->uring.cq.khead) != io_uring_smp_load_acquire(ring->uring.cq.ktail);
}

/* Hands what was published to the kernel, and waits there for a completion when timeout_ns > 0. Owner. */
void rota__ring_enter(struct rota__ring *ring, uint64_t timeout_ns);

/* A free entry; NULL when the queue is full even after handing it to the kernel. Owner. */
struct io_uring_sqe *rota__ring_entry(struct rota__ring *ring);

/* The entry is filled in: from here on whoever enters the kernel for this ring submits it. Owner. */
void rota__ring_publish(struct rota__ring *ring);

/* An operation, or the cancel of one, as an entry. false: there is none free. Owner. */
bool rota__ring_put_op(struct rota__ring *ring, struct rota_op *op);
bool rota__ring_put_cancel(struct rota__ring *ring, struct rota_op *op);

/* A pause, as an entry; the time stays in place. false: there is none free. Owner. */
bool rota__ring_put_pause(struct rota__ring *ring, struct __kernel_timespec *pause);

/* --- what waits for the owner's turn: ring_mail.c -------------------------------------------------------------------- */

static inline bool rota__ring_has_mail(const struct rota__ring *ring)
{
	return rota__load(&ring->mail, RELAXED) != NULL; /* who sends wakes the owner afterwards */
}

/* Whether the operation's descriptor is being closed. */
static inline bool rota__ring_is_closing(const struct rota__ring *ring, const struct rota_op *op)
{
	return ring->closing != NULL && rota__closing_marked(ring->closing, op);
}

/* Whether closes have begun whose operations were not cancelled yet. */
bool rota__ring_closes_unseen(const struct rota__ring *ring);

/* Turn into entries: the mail, the backlog, and cancels of what the kernel has on descriptors that are being closed. What
 * finds no entry is left for the next turn. Owner. */
void rota__ring_take_mail(struct rota__ring *ring);
void rota__ring_submit_backlog(struct rota__ring *ring);
void rota__ring_cancel_for_closes(struct rota__ring *ring);

/* Mails a cancel of an operation that is in one of the ring's lists, with the lock of that, so that it cannot end meanwhile. Whether
 * it is to end: else nothing is done. */
bool rota__ring_cancel_listed(struct rota__ring *ring, struct rota_op *op);

/* The descriptor is being closed: mails a cancel of each poll that has it for its second one, and is found by no cancel by this
 * descriptor. The owner, or in its place; the mail is taken afterwards. */
void rota__ring_cancel_pairs(struct rota__ring *ring, int fd);

/* --- cancels that may have missed: elsewhere.c ----------------------------------------------------------------------- */

/* Mails a cancel of each that is to end. The owner, or in its place; the mail is taken afterwards. */
void rota__ring_cancel_elsewhere(struct rota__ring *ring);

/* The pause is over: mails the cancels again. Before the mail is taken. Owner. */
void rota__ring_repeat_cancels(struct rota__ring *ring);

/* Begins the pause after which those that were sent may have to be sent again. Behind all that sends them. Owner. */
void rota__ring_pause_cancels(struct rota__ring *ring);

/* --- completions: ring_reap.c ---------------------------------------------------------------------------------------- */

/* One round of taking completions, by the owner or in its place. */
struct rota__reaping {
	bool rescue;
	struct rota__ring *rescuer; /* where to submit what the owner cannot; NULL: it waits for the owner */
	bool owner_needed;          /* something was left that only the owner can do */
	unsigned ended;             /* operations */
	struct rota__wake_batch batch;
	struct rota__wake_batch sent; /* who waited for a send */
};

/* Takes all completions that are there, and wakes. By the owner, or in its place. */
void rota__ring_reap(struct rota__ring *ring, struct rota__reaping *reaping);

/* Whether an operation may be submitted to another ring than its own: it uses no buffers that are registered there. */
static inline bool rota__ring_may_move(const struct rota_op *op)
{
	return (op->entry_flags_ & IOSQE_BUFFER_SELECT) == 0;
}

/* Whether a read or a write is from, or to, memory that is registered with the ring, all of it. */
static inline bool rota__ring_has_registered(const struct rota__ring *ring, const struct rota_op *op)
{
	const struct iovec *memory = &ring->memory;
	uint64_t at;

	if ((op->opcode_ != IORING_OP_READ && op->opcode_ != IORING_OP_WRITE) ||
	    rota__load(&ring->memory_known, ACQUIRE) == 0) /* partner: rota__ring_register_memory */
		return false;
	at = op->addr_ - (uintptr_t)memory->iov_base; /* huge, should it lie before */
	return at <= memory->iov_len && op->len_ <= memory->iov_len - at;
}

#endif
