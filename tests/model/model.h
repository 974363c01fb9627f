/* SPDX-License-Identifier: MIT */
/*
 * A model checker for the lock-free parts: the real sources, compiled unchanged, under every interleaving and every
 * value that the memory model lets a load return, within bounds.
 *
 * How the sources get here. They are compiled with -fsanitize=thread and linked with this directory in place of the
 * sanitizer's run time. The compiler then calls us for each atomic operation and fence, with its order as written, and
 * for each plain access to memory that might be shared. The seams for time, futexes, memory and spinning are supplied by
 * seams.c. ROTA__MODEL only says that stand-alone fences are understood (atomic_internal.h).
 *
 * Each atomic operation, fence, futex call and spin is a step. Threads are contexts that one process switches between;
 * a depth-first search over whose step comes next, and over what a load returns, runs the program anew for each path
 * (explore.c). A state that was reached before by another order of independent steps is not searched again.
 *
 * What is covered: stores are seen late, and in different orders by different threads, as relaxed, release, acquire and
 * SEQ_CST allow (memory.c); data races, by which all plain data is held against the orderings that protect it, and uses
 * after free (shadow.c); deadlocks and lost wake-ups, as "all are blocked", by futex or by a spin on a word that nobody
 * will change; assertions.
 *
 * What is not: loads that are fulfilled by later stores (load buffering), and two stores to one word that take effect in
 * another order than they were executed in (2+2W). Those that no one waits for: progress is only checked as the absence
 * of deadlock. SEQ_CST operations are totally ordered as they were executed, which is slightly stronger than C11
 * on some programs that mix them with weaker ones on the same word. Programs are small: up to four threads, a few
 * operations each; what holds for more is for the argument in the sources' heads and for the stress programs.
 */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_THREADS 4

struct model_scenario {
	const char *name;
	void (*setup)(void);                     /* before the threads are created; all memory must be set anew */
	void (*thread[MODEL_THREADS + 1])(void); /* up to four */
	void (*finish)(void);                    /* after all were joined; may be NULL */
	uint64_t outcomes;    /* what model_outcome must have reported over all executions, as bits */
	unsigned spurious;    /* weak exchanges that fail, and futex waits that return, for nothing; an execution */
	unsigned preemptions; /* of a thread that could go on; an execution. 0: any number */
};

/* What a program defines; the last has no name. */
extern const struct model_scenario model_scenarios[];

/* Reports the execution and ends the process with exit code 1. */
#define model_check(condition) ((condition) ? (void)0 : model_failed(__FILE__, __LINE__, #condition))
_Noreturn void model_failed(const char *file, int line, const char *what);

/* This execution had outcome k, below 64. */
void model_outcome(unsigned k);

/* The memory must not be touched any more, in this execution. */
void model_free(const void *memory, size_t size);

/* Called by setup. Words in the memory are atomic in form only: one access happens before the other, as with plain data.
 * So a load that must be over before somebody stores anew is checked, though no load here returns what is stored later. */
void model_ordered(const void *memory, size_t size);

/* For seams.c. A variable that each thread has one of, zero at first; called once, before anything runs. */
void model_thread_local(void *variable, size_t size);
/* Called at the begin of each execution. */
void model_reset_seams(void);
/* The calling thread spins on the word that it read last: it goes on when that has changed. */
void model_spin(void);
void model_futex_wait(const uint32_t *word, uint32_t expected, bool forever);
void model_futex_wake(const uint32_t *word, unsigned count);
/* What other threads do between the look of model_replace and its store is not looked at again, so it may be overwritten; but
 * a barrier of another thread's cuts off who is between the two, and the store is not made. */
bool model_replace(uint64_t *word, uint64_t expected, uint64_t desired);
void model_barrier(void);

#endif
