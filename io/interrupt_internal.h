/* SPDX-License-Identifier: MIT */
/*
 * Calls of threads that may wait for ever: the open of a FIFO without its other side, the read of a terminal, a splice
 * whose bytes or room somebody else has taken, an accept whose connection another process has taken. A signal cuts them off.
 *
 *   who makes the call  is in the list with its thread from before the call until after it, and lets the signal through in
 *                       between. When a call was interrupted it looks whether it was asked to end; else it calls again.
 *   who cancels         finds the call in the list, asks it to end and sends the signal. So does who closes its descriptor,
 *                       or either one of a splice.
 *   the reactor         sends the signal again to all that were asked and are still in the list, after 1 ms at first, 64 ms in
 *                       the end: one that came before the thread was in the kernel is lost, since its handler does nothing.
 *   who may not be kept  has a timer send it the signal, every millisecond, until the call is over.
 *
 * So the signal is sent only to a thread that makes such a call, and before the thread does anything else it stops the
 * signal again, which also takes in one that is on its way.
 *
 * The signal is the highest of the real-time ones that the program has no handler for when the first of these calls is begun:
 * chosen before an operation can be in the list, so that whoever finds one there knows the signal. Its handler restarts
 * nothing: that is a property of a signal for the whole process, which is why it is not SIGURG.
 *
 * A lock of the owner's, the poller's, guards the list and all calls below but five.
 */
#ifndef ROTA_IO_INTERRUPT_INTERNAL_H
#define ROTA_IO_INTERRUPT_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct rota_op;

/* On the stack of who makes the call. */
struct rota__interruptible {
	struct rota__interruptible *next;
	const struct rota_op *op;
	pthread_t thread;
	bool asked;
};

struct rota__interrupts {
	struct rota__interruptible *first;
	uint64_t again; /* when to send the signal again; ROTA_NEVER */
	uint64_t pause;
};

void rota__interrupts_init(struct rota__interrupts *interrupts);

/* Whether an operation is one of these calls. Without the lock. */
bool rota__op_waits_for_ever(const struct rota_op *op);

/* Chooses the signal, once. Before such an operation is given to a thread; without the lock. */
void rota__interrupts_prepare(void);

/* The calling thread is about to make the call; it has been made. */
void rota__interrupts_enter(struct rota__interrupts *interrupts, struct rota__interruptible *self,
			    const struct rota_op *op);
void rota__interrupts_leave(struct rota__interrupts *interrupts, struct rota__interruptible *self);

/* Lets the signal through, or stops it. The thread that makes the call, without the lock. */
void rota__interrupts_let(bool through);

/* Sends the signal to the calling thread after 1 ms, and again, until the end. false: there is no timer or no signal to be had.
 * Without the lock. */
bool rota__interrupts_alarm(timer_t *ret);
void rota__interrupts_alarm_end(timer_t alarm);

/* Whether the operation was in the list; then it is told, and `again` is set. */
bool rota__interrupts_ask(struct rota__interrupts *interrupts, const struct rota_op *op);

/* The descriptor is being closed: the same for all operations in the list that wait for it. Whether there are any that will
 * end by it: there may be no signal to be had. */
bool rota__interrupts_ask_all(struct rota__interrupts *interrupts, int fd);

/* Whether there are any such operations in the list; with `asked`: that were told. */
bool rota__interrupts_any(const struct rota__interrupts *interrupts, int fd, bool asked);

/* The reactor, from time to time. */
void rota__interrupts_repeat(struct rota__interrupts *interrupts);

#endif
