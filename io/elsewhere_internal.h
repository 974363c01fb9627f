/* SPDX-License-Identifier: MIT */
/*
 * Operations of a ring that a thread of the kernel's makes, since their call may wait for ever: opens; splices; reads and writes
 * on terminals, and on other character devices, that are not O_NONBLOCK (fd_hint_internal.h).
 *
 * A cancel may miss them. A call that waits may go on though the kernel says that it was found and told (on Linux 6.18, on a busy
 * machine, four of four million splices to a full socket, one of five million opens of a FIFO; in what moment is not known). Of a
 * device that thread first tries, then leaves the operation to a poll: a cancel that comes between the two finds neither, and ends
 * nothing (one in a thousand, some 5 us after the start; by descriptor, one in twelve). By descriptor a splice is not found before
 * it has begun. The kernel says the same as of a call that is about to end. So a ring lists these operations, and repeats the
 * cancels of those that are still there after a pause of 1 ms, then of twice as long, up to 64 ms.
 *
 *   the owner         adds an operation when it fills its entry in. When it has cancelled one it doubts, and puts a timeout into
 *                     the ring: the pause.
 *   who reaps         the last completion takes the operation out, before that says anything to anybody: so what is listed is in
 *                     the kernel, or about to be, and a cancel by its address means no other. The end of the pause makes the
 *                     owner look.
 *   the owner         then mails a cancel of each that is to end, which begins the next pause. When a descriptor is being closed
 *                     it does so at once.
 *   who rescues       cancels in the owner's place, and doubts; the pause is left to the owner.
 *
 * Order of locks: the list's, then those of slots. (One that is added is in a slot of its own then, as whoever fills it in has it:
 * nobody else finds it in the list before, nor waits for the list with a slot that is listed.)
 */
#ifndef ROTA_IO_ELSEWHERE_INTERNAL_H
#define ROTA_IO_ELSEWHERE_INTERNAL_H

#include <liburing.h>

#include "../runtime/atomic_internal.h"
#include "op.h"

enum rota__elsewhere_state {
	ROTA__ELSEWHERE_DOUBTED = 1, /* cancels were sent since the owner looked */
	ROTA__ELSEWHERE_PAUSE = 2,   /* the ring has it */
	ROTA__ELSEWHERE_PAUSED = 4,  /* the owner is to look */
};

#define ROTA__ELSEWHERE_LISTS 64u

struct rota__elsewhere {
	struct rota_atomic_u32 state;                 /* bits */
	struct rota_atomic_u32 lock;                  /* guards the lists, and the number */
	unsigned looks;                               /* that found some, since one has ended */
	struct __kernel_timespec pause;               /* owner only */
	struct rota_op *lists[ROTA__ELSEWHERE_LISTS]; /* by address; linked by backlog_next_ */
};

/* Owner, for one that is in no backlog. */
void rota__elsewhere_add(struct rota__elsewhere *elsewhere, struct rota_op *op);

/* Who reaps a completion of one that was added; it may have been met before. */
void rota__elsewhere_remove(struct rota__elsewhere *elsewhere, struct rota_op *op);

/* Cancels were sent that may have missed. The owner's thread, or in its place. */
static inline void rota__elsewhere_doubt(struct rota__elsewhere *elsewhere)
{
	rota__fetch_or(&elsewhere->state, ROTA__ELSEWHERE_DOUBTED, ACQ_REL); /* partner: rota__ring_repeat_cancels */
}

/* Who reaps the end of the pause. */
static inline void rota__elsewhere_pause_over(struct rota__elsewhere *elsewhere)
{
	rota__fetch_add(&elsewhere->state, ROTA__ELSEWHERE_PAUSED - ROTA__ELSEWHERE_PAUSE, RELAXED); /* in one step */
}

/* Whether the owner has something to do about it in its next turn, which is not to wait before. */
static inline bool rota__elsewhere_is_due(const struct rota__elsewhere *elsewhere)
{
	const uint32_t state = rota__load(&elsewhere->state, RELAXED); /* who changes it otherwise wakes the owner */

	return state >= ROTA__ELSEWHERE_PAUSED || state == ROTA__ELSEWHERE_DOUBTED;
}

#endif
