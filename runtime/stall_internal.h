/* SPDX-License-Identifier: MIT */
/*
 * Reports of stalled tasks, one for each place of spawning and second at most: which task, since when, where it was
 * spawned, what it is doing.
 *
 * The monitor finds the stall, takes a reference to the task for as long as it reads it, and prints: all on the
 * reactor's thread. A thread that runs cannot be unwound by another, so the stack is captured by the stuck thread
 * itself, in a handler of SIGURG: a signal that is ignored by default, that debuggers pass on, and that nobody counts
 * on to be rare (Go's choice, for the same reasons). With ROTA_STALL_REPORT_BRIEF no signal is sent or handled.
 *
 * capture.state of a worker:
 *
 *   IDLE --monitor--> WANTED --handler--> BUSY --handler--> TAKEN --monitor--> IDLE
 *    ^------------------'  the monitor gives up: the thread is in the kernel, or does not take signals
 *
 * The handler touches its own thread's worker and capture, and calls backtrace(). That one is called once when the
 * handler is installed, which loads what it needs; after that it allocates nothing, and finds unwind tables by
 * _dl_find_object, which is async-signal-safe (glibc 2.35; before that it may wait for a thread that is in dlopen). It
 * runs on the signal stack of the thread, since a fiber's may be nearly full.
 */
#ifndef ROTA_RUNTIME_STALL_INTERNAL_H
#define ROTA_RUNTIME_STALL_INTERNAL_H

#include "atomic_internal.h"
#include "task.h"

struct rota__worker;

#define ROTA__STALL_FRAMES 24
#define ROTA__STALL_SITES 16

enum rota__capture_state { ROTA__CAPTURE_IDLE, ROTA__CAPTURE_WANTED, ROTA__CAPTURE_BUSY, ROTA__CAPTURE_TAKEN };

/* In each worker. */
struct rota__capture {
	struct rota_atomic_u32 state;
	int count; /* handed over by `state`, as the frames */
	void *frames[ROTA__STALL_FRAMES];
};

/* A stall that is about to be reported. */
struct rota__stall {
	uint64_t task;
	const void *spawned_at;
	const char *kind;
	char name[ROTA_TASK_NAME_MAX + 1];
	uint64_t ns, cpu_ns, ready_ns; /* in all, on a CPU, in wait for one */
	char state;                    /* of its thread */
	unsigned unreported;           /* of the same place since its last report */
};

/* What the monitor keeps of each worker for this; the reactor's thread only. */
struct rota__stall_watch {
	uint64_t since;                  /* the first look at which the worker was in its present task */
	uint64_t cpu_since, ready_since; /* times of its thread at the first look that found it stuck */
	bool stuck;                      /* was found stuck in this task */
	bool behind;                     /* and something waited */
	uint64_t wanted_at;              /* a capture was asked for; 0: none */
	struct rota__stall stall;
};

/* What it keeps of places. */
struct rota__stall_sites {
	struct {
		const void *place;
		uint64_t at;
		unsigned unreported;
	} site[ROTA__STALL_SITES];
};

/* Once for the process, before workers start; and on each worker's thread. They do nothing unless stacks are wanted. */
void rota__stall_install(const rota_runtime *rt);
void rota__stall_thread_start(const rota_runtime *rt);

/* Whether the task is to blame: it has been at work for half of `report_ns`, or blocks. One whose thread was not given a
 * CPU holds nobody up that would have run. */
bool rota__stall_blames(const struct rota__stall *stall, uint64_t report_ns);

/* Whether a report of a stall that was spawned at `place` may be made now; else it is counted. */
bool rota__stall_admit(struct rota__stall_sites *sites, const void *place, uint64_t now, unsigned *ret_unreported);

/* At each look, of each worker: it has begun a task since the last one; it is stuck, and whether others wait. */
void rota__stall_moved(struct rota__stall_watch *watch, uint64_t now);
void rota__stall_stuck(rota_runtime *rt, struct rota__worker *worker, struct rota__stall_watch *watch, bool behind,
		       uint64_t now);

/* At each look: prints what has waited for its stack. */
void rota__stall_flush(rota_runtime *rt, struct rota__worker *worker, struct rota__stall_watch *watch, uint64_t now);

#endif
