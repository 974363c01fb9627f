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
 * One outside leaves it to the pool, whose thread steps aside for it (rota__blocking_step_aside). A job must not, since all
 * threads of the pool may be kept by jobs that wait for one more.
 * It leaves the operation in `for_beside`, in the same way, for a thread beside the pool that has nothing else to do
 * (rota__blocking_errand_beside), and that one is free for its next call before it is told of the end of this one. So does
 * everybody with an accept, whose connection is there already, as a rule: it waits for no job, and where it was robbed of its
 * connection, and waits for the next, it keeps no thread of the pool from files. Where there is no thread to be had both make the
 * call in place all the same; but an accept for a millisecond: then it passes the turn on, and waits for its listener again.
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

struct rota__beside_thread;

/* The owner leaves an operation, with its waker, to a pool thread. As rota__poller_wait; no -EAGAIN. */
int rota__poller_to_pool(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker);

/* The same, of a call that may wait for ever, to a thread beside the pool. 0, or a negative errno: there is no thread, and the
 * operation was not left. */
int rota__poller_beside(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker);

/* Performs the longest waiting operation of those for the pool, or for threads beside it, if there is one. Such a thread. */
void rota__poller_errand(struct rota__poller *poller);
void rota__poller_errand_beside(struct rota__poller *poller, struct rota__beside_thread *thread);

/* Makes such a call in place, for want of a thread: then only a close of its descriptor ends it. Returns the result, or
 * ROTA__CALL_TAKEN: it is an accept that has nothing to accept any more. */
int rota__poller_in_place(struct rota__poller *poller, struct rota_op *op);

/* Cuts off the calls that may wait for ever for the descriptor of a close. true: there are some, and the close was left to wait
 * for their end. */
bool rota__poller_cut_off(struct rota__poller *poller, struct rota_op *closer, const struct rota_waker *waker);

#endif
