/* SPDX-License-Identifier: MIT */
/*
 * Signals as streams: a task waits for one as for anything else.
 *
 *     struct rota_signal stop;
 *
 *     rc = rota_signal_open(&stop, SIGTERM);
 *     if (rc == 0) {
 *             rc = rota_signal_wait(&stop);
 *             rota_signal_close(&stop);
 *     }
 *
 * As POSIX has it, a signal that comes several times before it is taken counts once, real-time signals too. Each stream
 * sees each signal, however many there are for the same one. It does not matter which thread the kernel picks; a thread
 * of rota's own, which is there as long as a stream is open, lets through what streams wait for, so a program may block
 * the signal in all of its threads. Only what is sent to one thread that blocks it (pthread_kill, raise) does not arrive.
 *
 * While streams for a signal are open, what the program had said about it (handler, ignored, default) does not hold; the
 * last one to close puts it back, unless the program has installed a handler of its own meanwhile. System calls of the
 * program that the signal meets go on (SA_RESTART).
 *
 * In a child of fork(2) the parent's streams are closed, and what the program had said about their signals holds, also for
 * one that is sent to the child while it is still inside of fork(2), which arrives when that returns, at the latest. The
 * threads of a runtime block nearly all signals, and so does what is forked inside of a task, until it is told otherwise.
 *
 * SIGCHLD tells of every child, processes of process.h included. Wait for your own children by their pid, never for any:
 * waitpid(-1) would take the status of the others.
 */
#ifndef ROTA_IO_SIGNAL_H
#define ROTA_IO_SIGNAL_H

#include "../runtime/future.h"
#include "../runtime/waitlist.h"

ROTA_BEGIN_DECLS

struct rota_signal {
	/* private */
	struct rota_signal *next_;
	struct rota_waitlist waiters_;
	uint32_t seen_;
	int signo_; /* 0: closed */
};

/*
 * Opens a stream; it sees what comes from now on, and maybe what came just before. It stays in place until it is closed.
 * Never waits; any thread. -EINVAL: no such signal, or one that cannot be waited for: SIGKILL, SIGSTOP, and what a thread
 * does to itself (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS). -EAGAIN, -ENOMEM: no thread can be had.
 */
ROTA_API int rota_signal_open(struct rota_signal *stream, int signo) ROTA_MUST_USE;

/*
 * Waits until the signal has come since the stream was opened or this last returned 0. From a fiber, a blocking job or
 * any plain thread. -ECANCELED: the caller was cancelled, or the stream closed; a signal that had come is not lost: then
 * it is 0. Several waiters of one stream share its signals. -EBADF: the stream is closed.
 */
ROTA_API int rota_signal_wait(struct rota_signal *stream) ROTA_MUST_USE;

/* The same as a future. */
struct rota_signal_op {
	struct rota_future future;
	/* private */
	struct rota_signal *stream_;
	struct rota_waiter waiter_;
	bool cancelled_;
};
ROTA_API void rota_signal_wait_init(struct rota_signal_op *op, struct rota_signal *stream);

/* Closes; whoever waits gets -ECANCELED. Any thread; waits for no task, and no longer than a thread takes to wake. A
 * stream that is closed stays so. */
ROTA_API void rota_signal_close(struct rota_signal *stream);

ROTA_END_DECLS

#endif
