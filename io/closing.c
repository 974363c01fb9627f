/* SPDX-License-Identifier: MIT */
#include "closing_internal.h"

#include "../runtime/spin_internal.h"
#include "../runtime/sys_internal.h"
#include "sys_internal.h"

#define CLOSING ((uint32_t)1 << 31)
#define COUNTS_SIZE (ROTA__COUNTED_FDS * sizeof(struct rota_atomic_u32))

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

/* NULL: operations of its kind, or on its descriptor, are not counted. */
static struct rota_atomic_u32 *count_of(const struct rota__closing *closing, const struct rota_op *op)
{
	const enum rota__call_kind kind = rota__sys_call(op)->kind;

	if ((kind != ROTA__CALL_WAITS && kind != ROTA__CALL_MOVES) || (unsigned)op->fd_ >= ROTA__COUNTED_FDS)
		return NULL;
	return &closing->counts[op->fd_];
}

bool rota__closing_enter(struct rota__closing *closing, const struct rota_op *op)
{
	struct rota_atomic_u32 *count = count_of(closing, op);

	/* ACQ_REL: partner is the fetch_or in begin; whoever comes first is seen by the other. */
	return count == NULL || (rota__fetch_add(count, 1, ACQ_REL) & CLOSING) == 0;
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
	}
	return closer;
}

struct rota_op *rota__closing_leave(struct rota__closing *closing, const struct rota_op *op)
{
	struct rota_atomic_u32 *count = count_of(closing, op);
	struct rota_op *closer;

	if (count == NULL || rota__fetch_sub(count, 1, ACQ_REL) != (CLOSING | 1)) /* partner: as in enter */
		return NULL;
	rota__spin_lock(&closing->lock);
	closer = take_closer(closing, op->fd_); /* NULL: one that was refused has come between */
	if (closer != NULL)
		rota__fetch_and(count, ~CLOSING, ACQ_REL);
	rota__spin_unlock(&closing->lock);
	return closer;
}

bool rota__closing_begin(struct rota__closing *closing, struct rota_op *closer)
{
	const unsigned fd = (unsigned)closer->fd_;
	bool waits = false;

	if (fd >= ROTA__COUNTED_FDS || rota__load(&closing->counts[fd], ACQUIRE) == 0)
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

bool rota__closing_marked(const struct rota__closing *closing, const struct rota_op *op)
{
	const struct rota_atomic_u32 *count = count_of(closing, op);

	return count != NULL && (rota__load(count, ACQUIRE) & CLOSING) != 0; /* partner: the fetch_or in begin */
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
