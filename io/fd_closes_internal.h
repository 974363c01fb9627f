/* SPDX-License-Identifier: MIT */
/*
 * How often each number was closed: one table for the process, as there is one table of descriptors.
 *
 * What goes on with a descriptor after a moment in which it had nothing under way takes the count down when it begins: a call
 * that is a row of operations, a stream. When the count has changed the number means another descriptor, or none, whoever has
 * closed it: the same runtime, another one, or a thread outside of any. A stream may so outlive its runtime and go on in the
 * next. A child of fork(2) has copies of both tables, and goes on with them.
 *
 * Who closes counts before close(2) is called, hence before the number can be given out again. What is under way is a back
 * end's to know, for its runtime (closing_internal.h, poller_internal.h): who closes counts here first, SEQ_CST, and then looks
 * there; who goes on is seen there first, and then looks here, SEQ_CST. So one of the two sees the other.
 *
 * A close(2) behind rota's back is not counted. Only the lower 16 bits are compared.
 */
#ifndef ROTA_IO_FD_CLOSES_INTERNAL_H
#define ROTA_IO_FD_CLOSES_INTERNAL_H

#include "../runtime/atomic_internal.h"

#define ROTA__COUNTED_FDS ((unsigned)1 << 20) /* of higher ones nothing is ever known */

/* 4 MiB, of which a page for 1,024 numbers is touched when one of them is closed. */
extern struct rota_atomic_u32 rota__fd_closes_table[ROTA__COUNTED_FDS];

/* So far. Any thread. */
static inline uint16_t rota__fd_closes(int fd)
{
	if ((unsigned)fd >= ROTA__COUNTED_FDS)
		return 0;
	return (uint16_t)rota__load(&rota__fd_closes_table[fd], SEQ_CST); /* partner: below */
}

/* It is about to be closed, one time more. Any thread. */
static inline void rota__fd_count_close(int fd)
{
	if ((unsigned)fd < ROTA__COUNTED_FDS)
		rota__fetch_add(&rota__fd_closes_table[fd], 1, SEQ_CST); /* partner: above */
}

/* Before the first of them is closed by a runtime: keeps the table from taking huge pages. */
void rota__fd_closes_prepare(void);

#endif
