/* SPDX-License-Identifier: MIT */
/*
 * The switch between two stacks. It is inline assembly, so that the compiler saves just the registers that live across
 * it, and so that neither side calls or returns: a return on another stack than its call is always mispredicted, and a
 * chain of them costs more than the switch itself.
 *
 * Thread-local words that are wanted often are read in assembly, too, each time anew: a compiler would keep their
 * address across a switch, and a fiber changes threads in the middle (opaque_internal.h). Such a variable must be
 * `used`, or link-time optimisation drops it.
 *
 * The floating-point control words are not saved: they belong to the thread, and a fiber that changes them must restore
 * them before it waits.
 */
#ifndef ROTA_RUNTIME_CONTEXT_INTERNAL_H
#define ROTA_RUNTIME_CONTEXT_INTERNAL_H

#include "atomic_internal.h"

#if defined(__x86_64__)
#include "context_x86_64_internal.h"
#elif defined(__aarch64__)
#include "context_aarch64_internal.h"
#else
#error "rota runs on x86-64 and aarch64"
#endif

/* Saves what lives in registers on the caller's stack and the stack pointer in *save_sp, then continues at `sp`, which
 * an earlier switch saved or rota__context_make made. */
static inline void rota__context_switch(void **save_sp, void *sp);

/*
 * ROTA__COME_BACK1(fn, a), ROTA__COME_BACK2(fn, a, b), ROTA__COME_BACK3(fn, a, b, c): fn(a), where that may switch. It is the
 * last thing that a public call does, with pointers and numbers of 64 bits at most; fn is not inline, and switches in no call
 * of its own.
 *
 * After a switch the processor expects each return to lead where the fiber before has called. From fn all return to one place, so
 * this one is expected; and from there it returns to the caller only if the last one who waited was called from the same place,
 * as among many fibers that run the same loop, or when there was no switch after all. To another place it jumps: so the
 * processor learns where to, as for any other jump. Two tasks that notify each other in turns took 133 ns, then 115.
 */
#ifndef ROTA__COME_BACK1
#define ROTA__COME_BACK1(fn, a) ((fn)(a))
#define ROTA__COME_BACK2(fn, a, b) ((fn)((a), (b)))
#define ROTA__COME_BACK3(fn, a, b, c) ((fn)((a), (b), (c)))
#endif

/* ROTA__THREAD_WORD(name, ret_word): reads the thread-local word `name`. */

/* An address that no other thread has at the same time. */
static inline void *rota__thread_self(void);

struct rota__worker;

/* The worker that the calling thread is, or NULL; a fiber may get another answer after each wait. */
static inline __attribute__((always_inline)) struct rota__worker *rota__worker_self(void)
{
	struct rota__worker *worker;

	ROTA__THREAD_WORD(rota__worker_tls, worker);
	return worker;
}

/* A context on the empty stack that ends below `top` (aligned to 16): its first switch calls entry(arg), which must
 * not return. Returns its stack pointer. */
void *rota__context_make(void *top, void (*entry)(void *arg), void *arg);

#endif
