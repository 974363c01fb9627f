/* SPDX-License-Identifier: MIT */
/*
 * Where operations of the epoll back end wait: for their descriptors, for a moment, or for a pool thread.
 *
 * An operation waits in one place, which its `mail_` names; its owner writes that before it goes there. Each place is a list
 * under a lock of its own. Who takes an operation out of a list, under that lock, ends the wait: who looks at the poll set
 * when the descriptor is ready (the slot fires with ROTA__OP_RESUME, and the owner makes the call), a pool thread that has
 * made the call (it fires with the result), or a cancel (-ECANCELED). After that only its owner touches it. Order of locks:
 * list, then slot.
 *
 * Descriptors: the poll set of who waits (poll_set_internal.h), and a list for each number, found by the number's lower bits
 * (a plain array for numbers below ROTA__POLLER_BUCKETS; above, descriptors share). A descriptor is registered with a set for
 * one report, of all the events that its operations wait for there. What is registered is decided, and the kernel told, with
 * the list's lock held, so that the last word is the right one. The kernel itself says whether a number is registered: it may
 * have been closed and given out again behind rota's back. What was reported and finds nobody does no harm.
 *
 * Closing: `closing` of the list is counted up, and so is how often the number was closed (fd_closes_internal.h); the
 * operations that wait for it end with -ECANCELED, calls of pool threads that may wait for ever are cut off, and the close is
 * resumed when these are over; the calls that are being made on it are waited for, the descriptor is closed without a lock
 * held, and `closing` is counted down. Each operation remembers how often the number was closed when it began, and looks
 * before each call and each wait whether that has changed: then the number means another descriptor, or none, and the
 * operation ends with -ECANCELED, too. Before it looks it counts `calls` up, and down after the call: so either it sees the
 * close, or the close sees the call, which does not wait for anything, and lets it end. What begins while the close may still
 * wait ends with -ECANCELED at once; after that, while close(2) is called, the number may be another one's already, and who
 * wants to wait naps. Numbers that share a list are not counted: who shares it with a close naps.
 *
 * A pair (pairs_internal.h) waits for its first descriptor in the list of that one, and stands in `pairs` so that a close of
 * the second finds it. It stays there until its owner goes on, who does so in any case: what ends its wait, be it a cancel or
 * a close, marks it as cancelled and has it resumed.
 *
 * Calls of pool threads: poller_pool_internal.h.
 */
#ifndef ROTA_IO_POLLER_INTERNAL_H
#define ROTA_IO_POLLER_INTERNAL_H

#include "interrupt_internal.h"
#include "op_list_internal.h"
#include "pairs_internal.h"
#include "poll_set_internal.h"
#include "reactor_internal.h"

#define ROTA__POLLER_BUCKETS ((unsigned)1 << 20)
#define ROTA__NAP_NS 1000000u

struct rota__poller_bucket;

struct rota__poller {
	struct rota__poll_set set; /* first: rt->io; the reactor's */
	rota_runtime *rt;
	struct rota__poller_bucket *buckets;
	struct rota__reactor reactor;
	struct rota__pairs pairs; /* that wait for their first descriptor, or did; their owners take them out */
	/* anybody */
	__attribute__((
		aligned(ROTA__CACHE_LINE))) struct rota_atomic_u32 memory_taken; /* rota_register_memory was called */
	struct rota_atomic_u64 ended;       /* operations of threads outside, not yet counted by the reactor */
	struct rota_atomic_u32 lock;        /* guards the rest */
	struct rota__op_list naps;          /* to be tried again at nap_until */
	uint64_t nap_until;                 /* ROTA_NEVER */
	struct rota__op_list for_pool;      /* for pool threads, an errand each */
	struct rota__op_list for_beside;    /* for threads beside the pool */
	struct rota__interrupts interrupts; /* what those have that may wait for ever */
	struct rota__op_list closers;       /* closes that have cut some of that off */
};

/* 0, or a negative errno. */
int rota__poller_init(struct rota__poller *poller, rota_runtime *rt);
void rota__poller_deinit(struct rota__poller *poller);

/* Waits for events and serves them; the reactor. How many operations ended since the last time. */
unsigned rota__poller_turn(struct rota__poller *poller, uint64_t timeout_ns);

/* Ends the reactor's present turn, or its next. Any thread. */
static inline void rota__poller_wake(struct rota__poller *poller)
{
	rota__poll_set_wake(&poller->set);
}

/* The descriptor has events in the set: resumes what waits for them, how many, and has the kernel told what the rest waits for
 * there. A full batch is submitted. */
unsigned rota__poller_report(struct rota__poll_set *set, int fd, uint32_t events, struct rota__wake_batch *batch);

/*
 * The owner leaves an operation, with its waker, to wait: for its descriptor, in the set that is its carrier; for a moment.
 * 0: it waits, and may have been woken already. Else it was not left: -EAGAIN, the call is to be made again in a moment;
 * -EPERM, its descriptor cannot be waited for; another negative errno is its result. `again`: only if it was waited for in
 * this set before, else -ENOENT.
 */
int rota__poller_wait(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker, bool again);
int rota__poller_nap(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker);

/* Ends the wait of an operation with -ECANCELED. false: it waits no more; or a pool thread has it, which is told to end the
 * call where that may wait for ever. */
bool rota__poller_cancel(struct rota__poller *poller, struct rota_op *op);

/* Ends all that wait for the descriptor of a close, with -ECANCELED. true: the close, with its waker, was left to wait for
 * calls of other threads that were cut off. Then the end is due, as close(2). */
bool rota__poller_close_begin(struct rota__poller *poller, struct rota_op *closer, const struct rota_waker *waker);
int rota__poller_close_end(struct rota__poller *poller, const struct rota_op *closer);

/* For a close that is made without these two, and was counted: whether operations wait for the descriptor, or calls are being
 * made on it. If so it takes the two to end them. */
bool rota__poller_waited_for(struct rota__poller *poller, int fd);

/* Around a call, which does not wait, on a descriptor. false: it was closed since `closes`, or is being closed, and there is
 * no call to make. */
bool rota__poller_call_begin(struct rota__poller *poller, int fd, uint16_t closes);
void rota__poller_call_end(struct rota__poller *poller, int fd);

#endif
