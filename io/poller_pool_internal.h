/* SPDX-License-Identifier: MIT */
/*
 * Calls that block, which pool threads make for the epoll back end: on files, on names, and on what cannot be waited for by
 * a poll.
 *
 *   its owner      leaves the operation in `for_pool`, then asks for a thread (rota__blocking_errand). Each of these errands
 *                  takes one operation, the one that waits longest. So when there is no thread to be had, another errand may
 *                  have taken it all the same, and its owner asks once more, for those that are left; if not, its owner takes
 *                  it back.
 *   a pool thread  takes it out, makes the call, and fires the slot with the result.
 *   who cancels,   takes an operation out that is still in the list. One that a pool thread has is waited for, unless its call
 *   or closes      may wait for ever (ROTA__PLACE_LONG_CALL): then it is in `interrupts` from when it was taken out, under one
 *                  lock for both, so that it is found in one of the two, and the call is cut off (interrupt_internal.h).
 *
 * A thread that may be kept (a job of the pool, one outside) makes the call in place, unless it may wait for ever, which the open
 * of what is a file does not, as a rule: such a thread may have more to wait for, whatever comes first, as a worker's tasks do.
 * One outside leaves it to the pool. A job must not, since all threads of the pool may be kept by jobs that wait for one more.
 * It has the call made by a thread beside the pool (rota__blocking_beside), and waits until that one has entered itself in
 * `interrupts`. That one is free for the job's next call before the job is told of the end of this one. Where there is none to be had it makes the call all the same.
 * The same holds for an accept by anybody while all threads of the pool have something to do, since its connection is there, as a
 * rule, and is not to wait for a job.
 *
 * A close waits for the calls that it has cut off: it is in `closers` from then on, under the same lock, and whoever takes the
 * last of them out of `interrupts` resumes it. For calls that wait for a disk no close waits. A pool thread looks before it
 * begins whether the descriptor was closed; between that look and the call lie a few instructions in which a close on another
 * thread is not seen. A program that closes a file while a read of it is under way, and opens another at once, may have the
 * bytes of the other read there, as with read(2) and close(2) on two threads.
 */
#ifndef ROTA_IO_POLLER_POOL_INTERNAL_H
#define ROTA_IO_POLLER_POOL_INTERNAL_H

#include "poller_internal.h"

/* The owner leaves an operation, with its waker, to a pool thread. As rota__poller_wait; no -EAGAIN. */
int rota__poller_to_pool(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker);

/* Performs the longest waiting operation of those for the pool, if there is one. A pool thread. */
void rota__poller_errand(struct rota__poller *poller);

/* The same, of a call that may wait for ever, to a thread beside the pool. By a job of that. false: there is no thread, and the
 * operation was not left. */
bool rota__poller_beside(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker);

/* Makes such a call in place: then only a close of its descriptor ends it. By a job of the pool. Returns the result. */
int rota__poller_in_place(struct rota__poller *poller, struct rota_op *op);

/* Cuts off the calls that may wait for ever for the descriptor of a close. true: there are some, and the close was left to wait
 * for their end. */
bool rota__poller_cut_off(struct rota__poller *poller, struct rota_op *closer, const struct rota_waker *waker);

#endif
