/* SPDX-License-Identifier: MIT */
/*
 * Reads that the page cache can answer are made in place, without a suspend: preadv2(2) with RWF_NOWAIT costs what a
 * plain pread costs, a turn through the ring half as much again. Only regular files are asked, and not those that were
 * opened with O_DIRECT, for which the call would wait for the disk.
 *
 * A worker stays answerable: what is larger than ROTA__CACHED_MAX goes to the ring (from ROTA__CACHED_ELSEWHERE on to a
 * thread of the kernel's, since else the submission itself would copy it), and each read in place spends of the task's
 * budget, so that also a future that never has to wait comes to one that does.
 */
#ifndef ROTA_IO_CACHED_INTERNAL_H
#define ROTA_IO_CACHED_INTERNAL_H

#include "op_internal.h"

#define ROTA__CACHED_MAX (64u * 1024)
#define ROTA__CACHED_ELSEWHERE (256u * 1024)

/* Tries a read that is about to start. true: it is over, op->future.status is its result. Else the operation was left as
 * it was, or without the part that is counted in `moved_`. */
bool rota__cached_read(struct rota_op *op);

/* Adds what was moved before the ring was asked to what the ring said. */
static inline int rota__cached_result(const struct rota_op *op, int res)
{
	if (op->moved_ == 0)
		return res;
	return (int)op->moved_ + (res > 0 ? res : 0); /* an error is met again by the next read */
}

#endif
