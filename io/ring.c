/* SPDX-License-Identifier: MIT */
/* A ring's beginning and end, its entries, and its owner's turn. */
#include "ring_parts_internal.h"

#include <poll.h>

#include "../runtime/sys_internal.h"
#include "../runtime/worker_internal.h"
#include "fd_hint_internal.h"
#include "sys_internal.h"

#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif

#define FILES_AT_ONCE 4u
#define NO_OPCODE UINT8_MAX

#define CQ_PER_SQ 8u
#define SMALLEST_CQ 2u

int rota__ring_init(struct rota__ring *ring, unsigned entries, bool shared)
{
	struct io_uring_params params = {
		.flags = ROTA__RING_FLAGS | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = entries > 1 ? entries * CQ_PER_SQ : SMALLEST_CQ,
	};
	int rc;

	*ring = (struct rota__ring){ .carrier = { &rota__ring_carrier_ops }, .exclusive = !shared };
	ring->wake_fd = rota__sys_eventfd();
	if (ring->wake_fd < 0)
		return ring->wake_fd;
	rc = rota__sys_ring_init(&ring->uring, entries, &params);
	if (rc < 0) {
		rota__sys_close(ring->wake_fd);
		return rc;
	}
	ring->features = params.features;
	if (ring->exclusive)
		io_uring_register_ring_fd(&ring->uring); /* saves a look-up per enter; may fail */
	return 0;
}

/* The registration is the thread's: another thread that undid it would undo one of its own. */
void rota__ring_leave(struct rota__ring *ring)
{
	if (ring->exclusive)
		io_uring_unregister_ring_fd(&ring->uring);
}

struct rota__buffers *rota__ring_buffers(struct rota__ring *ring, const struct rota_config *config)
{
	if (ring->buffers == NULL && !ring->no_buffers) {
		ring->buffers = rota__buffers_new(&ring->uring, config);
		ring->no_buffers = ring->buffers == NULL;
	}
	return ring->buffers;
}

void rota__ring_deinit(struct rota__ring *ring)
{
	rota__sys_ring_exit(&ring->uring);
	rota__buffers_free(ring->buffers);
	rota__sys_close(ring->wake_fd);
}

/* --- entering the kernel -------------------------------------------------------------------------------------- */

/* Errors (EINTR, EAGAIN, EBUSY, ENOMEM) all mean: take what is complete and come again; nothing is lost, since the
 * kernel consumed what it says it did and no more. */
void rota__ring_enter(struct rota__ring *ring, uint64_t timeout_ns)
{
	unsigned submit = rota__ring_unconsumed(ring);
	unsigned wait = timeout_ns > 0 ? 1 : 0;
	unsigned flags = 0;

	ring->files = 0;
	if (wait == 0 && rota__ring_has_news(ring))
		flags |= IORING_ENTER_GETEVENTS;
	if (submit == 0 && wait == 0 && flags == 0)
		return;
	if (wait > 0 && ring->features & IORING_FEAT_NO_IOWAIT)
		flags |= IORING_ENTER_NO_IOWAIT;
	rota__store(&ring->entered, 1, RELAXED); /* a hint: rota__ring_rescue */
	rota__sys_enter(&ring->uring, submit, wait, flags, timeout_ns);
	rota__store(&ring->entered, 0, RELAXED);
}

/* --- entries ---------------------------------------------------------------------------------------------------- */

struct io_uring_sqe *rota__ring_entry(struct rota__ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (sqe == NULL) {
		rota__ring_enter(ring, 0);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	return sqe;
}

void rota__ring_publish(struct rota__ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;

	sq->sqe_head = sq->sqe_tail;
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail); /* partner: the kernel's, in whose thread it may be */
}

static bool arm_wake(struct rota__ring *ring)
{
	struct io_uring_sqe *sqe = rota__ring_entry(ring);

	if (sqe == NULL)
		return false;
	io_uring_prep_poll_multishot(sqe, ring->wake_fd, POLLIN);
	sqe->user_data = ROTA__DATA_WAKE;
	rota__ring_publish(ring);
	return true;
}

static void fill_in(struct rota__ring *ring, struct rota_op *op, struct io_uring_sqe *sqe)
{
	if (op->polling_ == ROTA__POLL_NOW) {
		io_uring_prep_poll_add(sqe, op->fd_, (unsigned)rota__op_poll_events(op));
	} else {
		io_uring_prep_rw(op->opcode_, sqe, op->fd_, (const void *)(uintptr_t)op->addr_, op->len_,
				 op->positioned_ && !op->placed_ ? UINT64_MAX : op->offset_);
		sqe->rw_flags = (__kernel_rwf_t)op->flags_;
		sqe->flags = op->entry_flags_;
		if (rota__ring_has_registered(ring, op)) /* the first of one buffer */
			sqe->opcode = op->opcode_ == IORING_OP_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
		if (rota__sys_ring_hides(op))
			sqe->opcode = NO_OPCODE;
	}
	if (op->opcode_ == IORING_OP_CLOSE)
		rota__fd_forget(op->fd_); /* again: somebody may have asked since */
	if (op->changes_)
		sqe->len = IORING_POLL_ADD_MULTI;
	sqe->user_data = (uintptr_t)op;
	op->elsewhere_ = op->polling_ != ROTA__POLL_NOW && rota__op_goes_elsewhere(op);
	if (op->elsewhere_) {
		sqe->flags |= IOSQE_ASYNC;
		if (op->opcode_ == IORING_OP_SPLICE)
			sqe->splice_fd_in = op->second_fd_;
		rota__elsewhere_add(&ring->elsewhere, op);
		return;
	}
	if (op->pair_) {
		rota__pairs_add(&ring->pairs, op);
		return;
	}
	if (op->polling_ != ROTA__POLL_NOW) {
		if (rota__op_polls_first(op))
			op->ioprio_ |= IORING_RECVSEND_POLL_FIRST;
		sqe->ioprio = op->ioprio_;
	}
	op->turn_ = ring->turn;
}

bool rota__ring_put_op(struct rota__ring *ring, struct rota_op *op)
{
	struct rota__worker *worker = rota__worker_self();
	struct io_uring_sqe *sqe = rota__ring_entry(ring);

	if (sqe == NULL)
		return false;
	if (worker != NULL)
		rota__worker_hush(worker); /* its ring: some operations raise SIGPIPE in the thread */
	fill_in(ring, op, sqe);
	ring->files += rota__op_is_at_offset(op);
	rota__ring_publish(ring);
	return true;
}

void rota__ring_submit_files(struct rota__ring *ring)
{
	if (ring->files >= FILES_AT_ONCE)
		rota__ring_enter(ring, 0);
}

bool rota__ring_put_cancel(struct rota__ring *ring, struct rota_op *op)
{
	struct io_uring_sqe *sqe;

	if (op->elsewhere_ && rota__fault(ROTA__FAULT_INTERRUPT) != 0)
		return true; /* it misses */
	sqe = rota__ring_entry(ring);
	if (sqe == NULL)
		return false;
	io_uring_prep_cancel64(sqe, (uintptr_t)op, 0);
	sqe->user_data = ROTA__DATA_IGNORE;
	rota__ring_publish(ring);
	return true;
}

bool rota__ring_put_pause(struct rota__ring *ring, struct __kernel_timespec *pause)
{
	struct io_uring_sqe *sqe = rota__ring_entry(ring);

	if (sqe == NULL)
		return false;
	io_uring_prep_timeout(sqe, pause, 0, 0);
	sqe->user_data = ROTA__DATA_PAUSE;
	rota__ring_publish(ring);
	return true;
}

/* --- the owner's turn ------------------------------------------------------------------------------------------- */

unsigned rota__ring_turn(struct rota__ring *ring, uint64_t timeout_ns)
{
	struct rota__reaping reaping = { .rescue = false };

	if (!rota__load(&ring->wake_armed, RELAXED))
		rota__store(&ring->wake_armed, arm_wake(ring), RELAXED);
	rota__ring_repeat_cancels(ring);
	rota__ring_take_mail(ring);
	rota__ring_submit_backlog(ring);
	rota__ring_cancel_for_closes(ring);
	rota__ring_pause_cancels(ring);
	/* Who cannot be woken, has not submitted all, or has woken a task of its own, must not wait. */
	if (!rota__load(&ring->wake_armed, RELAXED) || rota__ring_has_mail(ring) || ring->backlog_first != NULL ||
	    ring->ended_here > 0 || rota__ring_completed(ring) || rota__ring_closes_unseen(ring) ||
	    rota__elsewhere_is_due(&ring->elsewhere))
		timeout_ns = 0;
	rota__ring_enter(ring, timeout_ns);
	rota__ring_reap(ring, &reaping);
	if (rota__ring_has_mail(ring)) { /* what said "not now", and completions that waited for the mail */
		rota__ring_take_mail(ring);
		rota__ring_enter(ring, 0);
		rota__ring_reap(ring, &reaping);
	}
	reaping.ended += ring->ended_here;
	ring->ended_here = 0;
	ring->turn++;
	return reaping.ended;
}

bool rota__ring_is_due(const struct rota__ring *ring)
{
	return rota__ring_has_news(ring) || rota__ring_completed(ring) || rota__ring_has_mail(ring) ||
	       rota__elsewhere_is_due(&ring->elsewhere);
}

bool rota__ring_unsubmitted(const struct rota__ring *ring)
{
	return rota__ring_has_mail(ring) || ring->backlog_first != NULL || rota__ring_unconsumed(ring) > 0;
}

void rota__ring_wake(struct rota__ring *ring)
{
	if (rota__swap(&ring->notified, 1, ACQ_REL) == 0) /* partner: woken */
		rota__sys_eventfd_write(ring->wake_fd);
}
