/* SPDX-License-Identifier: MIT */
#include "ring_internal.h"

#include <errno.h>
#include <poll.h>

#include "../runtime/slot_internal.h"
#include "../runtime/sys_internal.h"
#include "multishot_internal.h"
#include "sys_internal.h"

#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif
#ifndef IORING_SQ_TASKRUN
#define IORING_SQ_TASKRUN (1U << 2)
#endif

/* user_data of what is not an operation; operations are aligned. */
#define DATA_WAKE 1u
#define DATA_IGNORE 2u

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
	io_uring_queue_exit(&ring->uring);
	rota__buffers_free(ring->buffers);
	rota__sys_close(ring->wake_fd);
}

/* --- entering the kernel -------------------------------------------------------------------------------------- */

/* Entries that were published and that the kernel has not consumed. Any thread. */
static unsigned unconsumed(const struct rota__ring *ring)
{
	const struct io_uring_sq *sq = &ring->uring.sq;

	return IO_URING_READ_ONCE(*sq->ktail) - io_uring_smp_load_acquire(sq->khead);
}

static bool kernel_has_news(const struct rota__ring *ring)
{
	const unsigned news = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;

	return (IO_URING_READ_ONCE(*ring->uring.sq.kflags) & news) != 0;
}

static bool completions_ready(const struct rota__ring *ring)
{
	return IO_URING_READ_ONCE(*ring->uring.cq.khead) != io_uring_smp_load_acquire(ring->uring.cq.ktail);
}

/* Errors (EINTR, EAGAIN, EBUSY, ENOMEM) all mean: take what is complete and come again; nothing is lost, since the
 * kernel consumed what it says it did and no more. */
static void enter(struct rota__ring *ring, uint64_t timeout_ns)
{
	unsigned submit = unconsumed(ring);
	unsigned wait = timeout_ns > 0 ? 1 : 0;
	unsigned flags = 0;

	if (wait == 0 && kernel_has_news(ring))
		flags |= IORING_ENTER_GETEVENTS;
	if (submit == 0 && wait == 0 && flags == 0)
		return;
	if (wait > 0 && ring->features & IORING_FEAT_NO_IOWAIT)
		flags |= IORING_ENTER_NO_IOWAIT;
	rota__store(&ring->entered, 1, RELAXED); /* a hint: rota__ring_rescue */
	rota__sys_enter(&ring->uring, submit, wait, flags, timeout_ns);
	rota__store(&ring->entered, 0, RELAXED);
}

/* --- submitting ----------------------------------------------------------------------------------------------- */

/* A free entry; NULL when the queue is full even after handing it to the kernel. */
static struct io_uring_sqe *get_entry(struct rota__ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (sqe == NULL) {
		enter(ring, 0);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	return sqe;
}

/* An entry is filled in: from here on whoever enters the kernel for this ring submits it. */
static void publish(struct rota__ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;

	sq->sqe_head = sq->sqe_tail;
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail); /* partner: the kernel's, in whose thread it may be */
}

static bool arm_wake(struct rota__ring *ring)
{
	struct io_uring_sqe *sqe = get_entry(ring);

	if (sqe == NULL)
		return false;
	io_uring_prep_poll_multishot(sqe, ring->wake_fd, POLLIN);
	sqe->user_data = DATA_WAKE;
	publish(ring);
	return true;
}

static bool put_op(struct rota__ring *ring, struct rota_op *op)
{
	struct io_uring_sqe *sqe = get_entry(ring);

	if (sqe == NULL)
		return false;
	if (op->polling_ == ROTA__POLL_NOW) {
		io_uring_prep_poll_add(sqe, op->fd_, (unsigned)rota__op_poll_events(op));
	} else {
		io_uring_prep_rw(op->opcode_, sqe, op->fd_, (const void *)(uintptr_t)op->addr_, op->len_, op->offset_);
		sqe->rw_flags = (__kernel_rwf_t)op->flags_;
		sqe->ioprio = op->ioprio_;
		sqe->flags = op->entry_flags_;
		sqe->splice_fd_in = op->opcode_ == IORING_OP_SPLICE ? op->second_fd_ : 0;
	}
	sqe->user_data = (uintptr_t)op;
	publish(ring);
	return true;
}

void rota__ring_submit(struct rota__ring *ring, struct rota_op *op)
{
	if (ring->backlog_first == NULL && put_op(ring, op))
		return;
	rota__store(&ring->backlogged, 1, RELAXED); /* a hint: cancel_for */
	op->backlog_next_ = NULL;
	if (ring->backlog_last != NULL)
		ring->backlog_last->backlog_next_ = op;
	else
		ring->backlog_first = op;
	ring->backlog_last = op;
}

/* Whether the operation waits in the backlog; takes it out. */
static bool leave_backlog(struct rota__ring *ring, struct rota_op *op)
{
	struct rota_op *before = NULL;

	for (struct rota_op *at = ring->backlog_first; at != NULL; before = at, at = at->backlog_next_) {
		if (at != op)
			continue;
		if (before != NULL)
			before->backlog_next_ = op->backlog_next_;
		else
			ring->backlog_first = op->backlog_next_;
		if (ring->backlog_last == op)
			ring->backlog_last = before;
		return true;
	}
	return false;
}

static bool put_cancel(struct rota__ring *ring, struct rota_op *op)
{
	struct io_uring_sqe *sqe = get_entry(ring);

	if (sqe == NULL)
		return false;
	io_uring_prep_cancel64(sqe, (uintptr_t)op, 0);
	sqe->user_data = DATA_IGNORE;
	publish(ring);
	return true;
}

/* --- the mailbox ---------------------------------------------------------------------------------------------- */

void rota__ring_mail(struct rota__ring *ring, struct rota_op *op, enum rota__op_mail mail)
{
	void *head = rota__load(&ring->mail, RELAXED);

	op->mail_ = (uint8_t)mail;
	do {
		op->mail_next_ = head;
	} while (!rota__cas(&ring->mail, &head, op, RELEASE)); /* partner: the swap in take_mail */
}

/* --- closing (closing_internal.h) ------------------------------------------------------------------------------- */

void rota__ring_set_closing(struct rota__ring *ring, struct rota__closing *closing)
{
	ring->closing = closing;
	ring->closing_seen = rota__load(&closing->sequence, ACQUIRE);
	ring->rescuer_seen = ring->closing_seen;
}

void rota__ring_closing_leave(struct rota__ring *ring, const struct rota_op *op)
{
	struct rota_op *closer = ring->closing != NULL ? rota__closing_leave(ring->closing, op) : NULL;

	if (closer == NULL)
		return;
	struct rota__ring *to = rota__load(&closer->carrier_, RELAXED); /* who waits has it constant */

	rota__ring_mail(to, closer, ROTA__MAIL_SUBMIT);
	rota__ring_wake(to);
}

static bool is_closing(const struct rota__ring *ring, const struct rota_op *op)
{
	return ring->closing != NULL && rota__closing_marked(ring->closing, op);
}

/* Whether closes have begun whose operations were not cancelled yet. */
static bool closes_unseen(const struct rota__ring *ring)
{
	/* partner: the RELEASE in rota__closing_begin */
	return ring->closing != NULL && rota__load(&ring->closing->sequence, ACQUIRE) != ring->closing_seen;
}

/* Cancels what the kernel has of the ring on descriptors that are being closed. */
static void cancel_for_closes(struct rota__ring *ring)
{
	while (closes_unseen(ring)) {
		struct io_uring_sqe *sqe = get_entry(ring);
		int fd;

		if (sqe == NULL)
			return; /* again in the next turn */
		fd = rota__closing_next(ring->closing, &ring->closing_seen);
		if (fd >= 0)
			io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
		else
			io_uring_prep_nop(sqe);
		sqe->user_data = DATA_IGNORE;
		publish(ring);
	}
}

/* An operation that the kernel does not hold ends. Its slot is taken. */
static void end_here(struct rota__ring *ring, struct rota_op *op, int result)
{
	struct rota__wake_batch batch;

	ring->ended_here++;
	rota__ring_closing_leave(ring, op);
	op->future.status = result;
	rota__wake_batch_init(&batch);
	rota__slot_fire_taken(&op->state_, &op->waker_, &batch);
	rota__wake_batch_submit(&batch);
}

static void submit_backlog(struct rota__ring *ring)
{
	if (ring->backlog_first == NULL)
		return;
	while (ring->backlog_first != NULL) {
		struct rota_op *op = ring->backlog_first;
		struct rota_op *next = op->backlog_next_;
		const bool ends = is_closing(ring, op);

		if (!ends && !put_op(ring, op))
			return;
		ring->backlog_first = next;
		if (next == NULL)
			ring->backlog_last = NULL;
		if (ends) {
			rota__slot_take(&op->state_);
			end_here(ring, op, -ECANCELED);
		}
	}
	rota__store(&ring->backlogged, 0, RELAXED);
}

/* An operation that was in the mailbox cannot have fired: its slot can be taken. */
static void open_letter(struct rota__ring *ring, struct rota_op *op)
{
	enum rota__op_mail mail;

	rota__slot_take(&op->state_);
	mail = (enum rota__op_mail)op->mail_;
	op->mail_ = ROTA__MAIL_NONE;
	if ((op->cancelled_ || is_closing(ring, op)) && (mail != ROTA__MAIL_CANCEL || leave_backlog(ring, op))) {
		end_here(ring, op, -ECANCELED);
		return;
	}
	if (mail == ROTA__MAIL_CANCEL) {
		if (!put_cancel(ring, op))
			rota__ring_mail(ring, op, mail); /* no entry: again in the next turn */
	} else {
		if (mail == ROTA__MAIL_POLL)
			op->polling_ = ROTA__POLL_NOW;
		else if (op->polling_ != ROTA__POLL_NEVER)
			op->polling_ = ROTA__POLL_DONE;
		rota__ring_submit(ring, op);
	}
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
}

static bool has_mail(const struct rota__ring *ring)
{
	return rota__load(&ring->mail, RELAXED) != NULL; /* who sends wakes the owner afterwards */
}

static void take_mail(struct rota__ring *ring)
{
	struct rota_op *op;

	if (!has_mail(ring))
		return;
	op = rota__swap(&ring->mail, NULL, ACQUIRE); /* partner: rota__ring_mail */
	while (op != NULL) {
		struct rota_op *next = op->mail_next_;

		open_letter(ring, op);
		op = next;
	}
}

/* --- reaping -------------------------------------------------------------------------------------------------- */

/* One round of taking completions, by the owner or in its place. */
struct reaping {
	bool rescue;
	struct rota__ring *rescuer; /* where to submit what the owner cannot; NULL: it waits for the owner */
	bool owner_needed;          /* something was left that only the owner can do */
	unsigned ended;             /* operations */
	struct rota__wake_batch batch;
};

/* Whether an operation may be submitted to another ring than its own: it uses nothing that is registered there. */
static bool may_move(const struct rota_op *op)
{
	return (op->entry_flags_ & (IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE)) == 0 &&
	       op->opcode_ != IORING_OP_READ_FIXED && op->opcode_ != IORING_OP_WRITE_FIXED;
}

static bool take_result(struct rota__ring *ring, struct rota_op *op, int *res, unsigned flags, bool last)
{
	if (op->more_ == ROTA__MORE_RECV)
		return rota__recv_stream_take(op, ring->buffers, res, flags, last);
	return rota__accept_stream_take(op, res, last);
}

/* A completion after which others come; the slot is taken. */
static void complete_in_part(struct rota__ring *ring, struct rota_op *op, const struct io_uring_cqe *cqe,
			     struct reaping *reaping)
{
	op->future.status = cqe->res;
	if (!rota__op_is_multishot(op))
		return;
	if (take_result(ring, op, &op->future.status, cqe->flags, false) && !op->cancelled_ &&
	    op->mail_ == ROTA__MAIL_NONE) {
		op->cancelled_ = 1; /* enough for now */
		rota__ring_mail(ring, op, ROTA__MAIL_CANCEL);
		reaping->owner_needed = true;
	}
	if (op->waker_.ops != NULL) {
		rota__wake_batch_add(&reaping->batch, &op->waker_);
		op->waker_.ops = NULL;
	}
}

/* What a completion means for its operation. Returns false when the operation still lies in the mailbox: then the
 * completion has to wait until the owner has taken it out. */
static bool complete(struct rota__ring *ring, struct rota_op *op, const struct io_uring_cqe *cqe,
		     struct reaping *reaping)
{
	enum rota__op_mail again;
	int res = cqe->res;

	rota__slot_take(&op->state_);
	if (cqe->flags & IORING_CQE_F_MORE) { /* the kernel keeps the operation */
		complete_in_part(ring, op, cqe, reaping);
		rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE);
		return true;
	}
	if (op->mail_ != ROTA__MAIL_NONE) {
		rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE);
		return false;
	}
	if (cqe->flags & IORING_CQE_F_NOTIF)
		res = op->future.status;
	if (rota__op_is_multishot(op))
		take_result(ring, op, &res, cqe->flags, true);
	again = rota__op_again(op, &res);
	if (again != ROTA__MAIL_NONE && !op->cancelled_ && !is_closing(ring, op)) {
		if (reaping->rescuer != NULL && may_move(op)) {
			ring = reaping->rescuer;
			rota__store(&op->carrier_, ring, RELAXED); /* under the slot */
		} else {
			reaping->owner_needed = true;
		}
		rota__ring_mail(ring, op, again);
		rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE);
		return true;
	}
	rota__ring_closing_leave(ring, op);
	op->future.status = again != ROTA__MAIL_NONE ? -ECANCELED : res;
	rota__slot_fire_taken(&op->state_, &op->waker_, &reaping->batch);
	reaping->ended++;
	return true;
}

/* false: it has to wait for the owner, who alone can arm the poll again. */
static bool woken(struct rota__ring *ring, const struct io_uring_cqe *cqe, struct reaping *reaping)
{
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		if (reaping->rescue)
			return false;
		rota__store(&ring->wake_armed, 0, RELAXED); /* the owner's */
	}
	rota__swap(&ring->notified, 0, ACQ_REL); /* partner: the swap in rota__ring_wake */
	reaping->owner_needed = true;
	return true;
}

/* Takes completions until there is none, the batch is full, or one has to wait. With cq_lock held. Returns whether to
 * come again. */
static bool reap_batch(struct rota__ring *ring, struct reaping *reaping)
{
	struct io_uring_cq *cq = &ring->uring.cq;
	unsigned head = *cq->khead;
	const unsigned tail = io_uring_smp_load_acquire(cq->ktail);
	bool taken = true;

	for (; head != tail && !rota__wake_batch_full(&reaping->batch); head++) {
		const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];

		if (cqe->user_data == DATA_WAKE)
			taken = woken(ring, cqe, reaping);
		else if (cqe->user_data != DATA_IGNORE)
			taken = complete(ring, (struct rota_op *)(uintptr_t)cqe->user_data, cqe, reaping);
		if (!taken)
			break;
	}
	io_uring_smp_store_release(cq->khead, head);
	return rota__wake_batch_full(&reaping->batch);
}

static void reap(struct rota__ring *ring, struct reaping *reaping)
{
	bool more = true;

	rota__wake_batch_init(&reaping->batch);
	while (more && completions_ready(ring)) {
		if (!rota__spin_trylock(&ring->cq_lock))
			break; /* the other one takes them */
		more = reap_batch(ring, reaping);
		rota__spin_unlock(&ring->cq_lock);
		rota__wake_batch_submit(&reaping->batch);
	}
}

unsigned rota__ring_turn(struct rota__ring *ring, uint64_t timeout_ns)
{
	struct reaping reaping = { .rescue = false };

	if (!rota__load(&ring->wake_armed, RELAXED))
		rota__store(&ring->wake_armed, arm_wake(ring), RELAXED);
	take_mail(ring);
	submit_backlog(ring);
	cancel_for_closes(ring);
	/* Who cannot be woken, has not submitted all, or has woken a task of its own, must not wait. */
	if (!rota__load(&ring->wake_armed, RELAXED) || has_mail(ring) || ring->backlog_first != NULL ||
	    ring->ended_here > 0 || completions_ready(ring) || closes_unseen(ring))
		timeout_ns = 0;
	enter(ring, timeout_ns);
	reap(ring, &reaping);
	if (has_mail(ring)) { /* what said "not now", and completions that waited for the mail */
		take_mail(ring);
		enter(ring, 0);
		reap(ring, &reaping);
	}
	reaping.ended += ring->ended_here;
	ring->ended_here = 0;
	return reaping.ended;
}

bool rota__ring_unsubmitted(const struct rota__ring *ring)
{
	return has_mail(ring) || ring->backlog_first != NULL || unconsumed(ring) > 0;
}

/* Whether the kernel has all that the owner has begun: only then can a cancel from another thread find it. */
static bool all_submitted(const struct rota__ring *ring)
{
	return !rota__load(&ring->entered, RELAXED) && !rota__load(&ring->backlogged, RELAXED) && unconsumed(ring) == 0;
}

/* As cancel_for_closes, by the rescuer. */
static void cancel_for_closes_of(struct rota__ring *ring)
{
	if (ring->closing == NULL || !all_submitted(ring))
		return;
	/* partner: the RELEASE in rota__closing_begin */
	while (rota__load(&ring->closing->sequence, ACQUIRE) != ring->rescuer_seen) {
		const int fd = rota__closing_next(ring->closing, &ring->rescuer_seen);

		if (fd >= 0)
			rota__sys_cancel_for(&ring->uring, 0, fd);
	}
}

/* A cancel in the owner's place. false: it is left to the owner, who may hold the operation in its backlog, or has not
 * submitted it yet. */
static bool cancel_for(struct rota__ring *ring, struct rota_op *op)
{
	int rc;

	if (!all_submitted(ring))
		return false;
	rc = rota__sys_cancel_for(&ring->uring, (uintptr_t)op, -1);
	return rc == 0 || rc == -ENOENT || rc == -EALREADY || rc == -ETIME;
}

/* As open_letter, by the rescuer: what is to be submitted becomes its own. While the letter is not done with, the
 * operation cannot end, so that a cancel by its address means no other. */
static void forward_letter(struct rota__ring *ring, struct rota_op *op, struct reaping *reaping)
{
	const enum rota__op_mail mail = (enum rota__op_mail)op->mail_;
	const bool told = mail == ROTA__MAIL_CANCEL && cancel_for(ring, op);

	rota__slot_take(&op->state_);
	op->mail_ = ROTA__MAIL_NONE;
	if (mail == ROTA__MAIL_CANCEL) {
		if (!told)
			rota__ring_mail(ring, op, mail);
	} else if (op->cancelled_ || is_closing(ring, op)) {
		rota__ring_closing_leave(ring, op);
		op->future.status = -ECANCELED;
		rota__slot_fire_taken(&op->state_, &op->waker_, &reaping->batch);
		reaping->ended++;
		return;
	} else if (!may_move(op)) {
		rota__ring_mail(ring, op, mail);
	} else {
		rota__store(&op->carrier_, reaping->rescuer, RELAXED); /* under the slot */
		rota__ring_mail(reaping->rescuer, op, mail);
	}
	rota__store(&op->state_, ROTA__SLOT_ARMED, RELEASE); /* partner: slot_take */
}

static void forward_mail(struct rota__ring *ring, struct reaping *reaping)
{
	struct rota_op *op;

	if (reaping->rescuer == NULL || !has_mail(ring))
		return;
	rota__wake_batch_init(&reaping->batch);
	op = rota__swap(&ring->mail, NULL, ACQUIRE); /* partner: rota__ring_mail */
	while (op != NULL) {
		struct rota_op *next = op->mail_next_;

		forward_letter(ring, op, reaping);
		if (rota__wake_batch_full(&reaping->batch))
			rota__wake_batch_submit(&reaping->batch);
		op = next;
	}
	rota__wake_batch_submit(&reaping->batch);
}

unsigned rota__ring_rescue(struct rota__ring *ring, struct rota__ring *rescuer)
{
	struct reaping reaping = { .rescue = true, .rescuer = rescuer };
	const unsigned left = unconsumed(ring);

	/* What the owner has not submitted yet: the requests are then those of the calling thread. While the owner is at
	 * it, this would wait for the ring's lock in the kernel. */
	if (left > 0 && !rota__load(&ring->entered, RELAXED))
		rota__sys_submit_for(&ring->uring, left);
	forward_mail(ring, &reaping);
	cancel_for_closes_of(ring);
	if (kernel_has_news(ring))
		rota__sys_nudge_threads();
	reap(ring, &reaping);
	/* The owner may be about to park, without having seen what was taken, or left, here. */
	if (reaping.owner_needed || has_mail(ring))
		rota__ring_wake(ring);
	return reaping.ended;
}

void rota__ring_wake(struct rota__ring *ring)
{
	if (rota__swap(&ring->notified, 1, ACQ_REL) == 0) /* partner: woken */
		rota__sys_eventfd_write(ring->wake_fd);
}
