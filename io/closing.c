/* SPDX-License-Identifier: MIT */
#include "closing_internal.h"

#include "../runtime/spin_internal.h"
#include "../runtime/sys_internal.h"
#include "sys_internal.h"

#define CLOSING ((uint32_t)1 << 31)
#define COUNTS_SIZE (ROTA__COUNTED_FDS * sizeof(struct rota_atomic_u32)) /* operations on higher ones are not counted */

int rota__closing_init(struct rota__closing *closing)
{
	void *counts;
	int rc = rota__sys_map(&counts, COUNTS_SIZE);

	if (rc == 0)
		*closing = (struct rota__closing){ .counts = counts };
	return rc;
}

void rota__closing_deinit(struct rota__closing *closing)
{
	rota__sys_unmap(closing->counts, COUNTS_SIZE);
}

/* Operations that may wait for their descriptors are; and splices, on both. */
static bool is_counted(const struct rota_op *op)
{
	const enum rota__call_kind kind = rota__sys_call(op)->kind;

	return kind == ROTA__CALL_WAITS || kind == ROTA__CALL_MOVES || op->opcode_ == IORING_OP_SPLICE;
}

/* One more on the descriptor. false: it is being closed, or, for one that goes on, was closed since `closes`. */
static bool enter(struct rota__closing *closing, int fd, bool goes_on, uint16_t closes)
{
	if ((unsigned)fd >= ROTA__COUNTED_FDS)
		return true;
	/* SEQ_CST: partner is rota__closing_begin, which counts the close, looks at this count, and marks it. Whoever comes
	 * first is seen by the other. */
	if (rota__fetch_add(&closing->counts[fd], 1, SEQ_CST) & CLOSING)
		return false;
	return !goes_on || rota__fd_closes(fd) == closes;
}

bool rota__closing_enter(struct rota__closing *closing, const struct rota_op *op)
{
	const bool goes_on = op->stage_ == ROTA__OP_NEXT;
	bool open;

	if (!is_counted(op))
		return true;
	open = enter(closing, op->fd_, goes_on, op->closes_);
	if (op->pair_ && !enter(closing, op->second_fd_, goes_on, op->second_closes_))
		open = false;
	return open;
}

static struct rota_op *take_closer(struct rota__closing *closing, int fd)
{
	struct rota_op **link = &closing->closers;
	struct rota_op *closer;

	while (*link != NULL && (*link)->fd_ != fd)
		link = &(*link)->backlog_next_;
	closer = *link;
	if (closer != NULL) {
		*link = closer->backlog_next_;
		closer->offset_ = 0; /* as the kernel wants it */
		closer->backlog_next_ = NULL;
	}
	return closer;
}

/* One less on the descriptor. */
static struct rota_op *leave(struct rota__closing *closing, int fd)
{
	struct rota_atomic_u32 *count;
	struct rota_op *closer;

	if ((unsigned)fd >= ROTA__COUNTED_FDS)
		return NULL;
	count = &closing->counts[fd];
	if (rota__fetch_sub(count, 1, ACQ_REL) != (CLOSING | 1)) /* partner: as in enter */
		return NULL;
	rota__spin_lock(&closing->lock);
	/* If one that was refused has come between, the close is its to find; then the number may even be in use again,
	 * and be closed again, by now. */
	closer = rota__load(count, ACQUIRE) == CLOSING ? take_closer(closing, fd) : NULL; /* partner: as in enter */
	if (closer != NULL)
		rota__fetch_and(count, ~CLOSING, ACQ_REL);
	rota__spin_unlock(&closing->lock);
	return closer;
}

struct rota_op *rota__closing_leave(struct rota__closing *closing, const struct rota_op *op)
{
	struct rota_op *closer, *second;

	if (!is_counted(op))
		return NULL;
	closer = leave(closing, op->fd_);
	if (!op->pair_)
		return closer;
	second = leave(closing, op->second_fd_);
	if (second == NULL)
		return closer;
	second->backlog_next_ = closer;
	return second;
}

/* --- calls made in place ------------------------------------------------------------------------------------------ */

bool rota__closing_call_begin(struct rota__closing *closing, int fd, uint16_t closes)
{
	return enter(closing, fd, true, closes);
}

struct rota_op *rota__closing_call_end(struct rota__closing *closing, int fd)
{
	return leave(closing, fd);
}

/* --- closes ------------------------------------------------------------------------------------------------------- */

bool rota__closing_busy(const struct rota__closing *closing, int fd)
{
	/* partner: enter */
	return (unsigned)fd < ROTA__COUNTED_FDS && rota__load(&closing->counts[fd], SEQ_CST) != 0;
}

bool rota__closing_begin(struct rota__closing *closing, struct rota_op *closer)
{
	const int fd = closer->fd_;
	bool waits = false;

	rota__fd_count_close(fd);
	if (!rota__closing_busy(closing, fd))
		return false;
	rota__spin_lock(&closing->lock);
	/* A second close of the same descriptor meets the mark, and is the program's mistake. */
	if ((rota__fetch_or(&closing->counts[fd], CLOSING, ACQ_REL) & CLOSING) == 0) {
		closer->backlog_next_ = closing->closers;
		closing->closers = closer;
		waits = rota__load(&closing->counts[fd], ACQUIRE) != CLOSING;
		if (waits) {
			closer->offset_ = rota__load(&closing->sequence, RELAXED) + 1;
			rota__store(&closing->sequence, (uint32_t)closer->offset_, RELEASE); /* partner: a ring's turn */
		} else { /* the last one has just ended */
			take_closer(closing, closer->fd_);
			rota__fetch_and(&closing->counts[fd], ~CLOSING, ACQ_REL);
		}
	}
	rota__spin_unlock(&closing->lock);
	return waits;
}

static bool is_marked(const struct rota__closing *closing, int fd)
{
	/* partner: the fetch_or in begin */
	return (unsigned)fd < ROTA__COUNTED_FDS && (rota__load(&closing->counts[fd], ACQUIRE) & CLOSING) != 0;
}

bool rota__closing_marked(const struct rota__closing *closing, const struct rota_op *op)
{
	return is_counted(op) && (is_marked(closing, op->fd_) || (op->pair_ && is_marked(closing, op->second_fd_)));
}

int rota__closing_next(struct rota__closing *closing, uint32_t *seen)
{
	const struct rota_op *next = NULL;

	rota__spin_lock(&closing->lock);
	for (const struct rota_op *closer = closing->closers; closer != NULL; closer = closer->backlog_next_) {
		if ((int32_t)((uint32_t)closer->offset_ - *seen) > 0)
			next = closer; /* the list has the latest first */
	}
	if (next != NULL)
		*seen = (uint32_t)next->offset_;
	else
		*seen = rota__load(&closing->sequence, RELAXED); /* under the lock */
	const int fd = next != NULL ? next->fd_ : -1;
	rota__spin_unlock(&closing->lock);
	return fd;
}
