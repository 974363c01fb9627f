/* SPDX-License-Identifier: MIT */
/* The runtime: what its parts share. */
#ifndef ROTA_RUNTIME_RUNTIME_INTERNAL_H
#define ROTA_RUNTIME_RUNTIME_INTERNAL_H

#include "after_fork_internal.h"
#include "blocking_internal.h"
#include "driver_internal.h"
#include "fork_internal.h"
#include "idle_internal.h"
#include "inject_internal.h"
#include "monitor_internal.h"
#include "runtime.h"
#include "spare_internal.h"
#include "worker_internal.h"

struct rota_runtime {
	/* constant once started */
	struct rota_config config; /* resolved: no field is 0 that means a default */
	const struct rota__driver *driver;
	unsigned forks_before; /* its start: rota__forks_since_load */
	unsigned worker_count;
	unsigned worker_places;       /* of them and of spares */
	struct rota__worker *workers; /* the configured ones, then spares */
	void *io;                     /* the driver's reactor */

	/* each with its own rules */
	struct rota__idle idle;
	struct rota__inject inject;
	struct rota__task_pool tasks;
	struct rota__stack_pool stacks;
	struct rota__blocking blocking;
	struct rota__wheel outside; /* timers of threads that are not workers; the reactor expires them */
	struct rota__monitor monitor;
	struct rota__spares spares;
	struct rota__fork_registry forks;

	struct rota_atomic_u32 closing;            /* no new tasks */
	struct rota_atomic_u32 stopping;           /* workers leave */
	struct rota_atomic_u32 stopped;            /* whether everything has been stopped (shutdown.c); futex */
	struct rota_atomic_u32 drained;            /* futex of shutdown: changes when a task has ended while closing */
	struct rota_atomic_u32 occupied;           /* current-thread flavour: a thread is inside */
	struct rota_atomic_u64 spawned, finished;  /* by threads that are not workers */
	struct rota_atomic_u32 guests;             /* threads inside rota_block_on_future or rota_register_memory */
	struct rota_atomic_u32 visitors;           /* threads that wake a worker, and are as a rule none of them */
	struct rota_atomic_u32 trims;              /* calls of rota_runtime_trim that workers have to follow */
	struct rota_atomic_u64 reactor_operations; /* that the reactor reaped, its own and in others' place */
	struct rota_atomic_u64 reactor_wakeups;    /* times the reactor returned from its wait */
};

/* How many workers there are to look at: the configured ones, and the spares that have been started. */
static inline unsigned rota__worker_total(const rota_runtime *rt)
{
	return rt->worker_count + rota__load(&rt->spares.ready, ACQUIRE); /* partner: spare_main, which made its ring */
}

/* config.c: fills in defaults and the environment. 0, or -EINVAL and one line on standard error. */
int rota__config_resolve(struct rota_config *config);

/* The runtime that the calling thread belongs to, or NULL. */
rota_runtime *rota__runtime_self(void);

/* The calling plain thread enters (NULL: leaves) a runtime; returns the former one. */
rota_runtime *rota__runtime_enter(rota_runtime *rt);

/*
 * Each task is admitted, and in the end dismissed; or withdrawn, when it could not be made after all. It is counted before
 * `closing` is looked at, while shutdown sets `closing` before it counts: so shutdown either sees the newcomer or turns it
 * away. 0, -ESHUTDOWN. A thread inside rota_block_on_future is a guest, by the same rules.
 */
int rota__runtime_admit_slow(rota_runtime *rt, struct rota__worker *worker);
void rota__runtime_dismiss(rota_runtime *rt);
void rota__runtime_withdraw(rota_runtime *rt);
int rota__runtime_admit_guest(rota_runtime *rt);
void rota__runtime_dismiss_guest(rota_runtime *rt);

/* `worker` is the calling thread's, if it is one of `rt`. Its own tasks keep the runtime alive: no fence is needed. */
static inline int rota__runtime_admit(rota_runtime *rt, struct rota__worker *worker)
{
	if (__builtin_expect(worker == NULL || rota__load(&rt->closing, RELAXED) != 0, 0))
		return rota__runtime_admit_slow(rt, worker);
	rota__count(&worker->spawned, 1);
	return 0;
}

/* Whether it was started before a fork(2) that made this process: it cannot be used here. */
static inline bool rota__runtime_is_parents(const rota_runtime *rt)
{
	return rt->forks_before != rota__forks_since_load();
}

/* Gives the pools' reserves back to the system. Any thread. */
void rota__runtime_trim_pools(rota_runtime *rt);

/* The current-thread flavour (current_thread.c): one thread at a time may play the worker; false: another one does. */
bool rota__runtime_occupy(rota_runtime *rt);
bool rota__runtime_occupy_to_trim(rota_runtime *rt); /* for a moment: who wants to play waits for that */
void rota__runtime_vacate(rota_runtime *rt);
bool rota__runtime_is_played(const rota_runtime *rt); /* not by who trims */

/* The calling thread, which occupies the runtime, plays the only worker until done(arg) or the deadline. */
void rota__runtime_play_worker(rota_runtime *rt, bool (*done)(void *arg), void *arg, uint64_t deadline);

/* rota_block_on, once its arguments are known to be good. */
int rota__runtime_block_on_alone(rota_runtime *rt, rota_fn *fn, void *arg);

/* All threads end. */
void rota__runtime_threads_stop(rota_runtime *rt);

/* Tasks that have been spawned and have not ended. */
uint64_t rota__runtime_alive(rota_runtime *rt);

/* Reports stack overflows by the fiber's name. For the process, once; and for each thread that is a worker: it is given a
 * stack for its signals, if it has none, which goes with the stop or the thread. */
void rota__overflow_install(void);
void rota__overflow_thread_start(void);
void rota__overflow_thread_stop(void);

#endif
