/* SPDX-License-Identifier: MIT */
/*
 * A worker: a thread that runs tasks, with a run queue, a timer wheel and a ring of its own. Fields are grouped by
 * who writes them.
 */
#ifndef ROTA_RUNTIME_WORKER_INTERNAL_H
#define ROTA_RUNTIME_WORKER_INTERNAL_H

#include <pthread.h>

#include "deque_internal.h"
#include "extra_internal.h"
#include "fiber_internal.h"
#include "next_internal.h"
#include "stack_internal.h"
#include "stall_internal.h"
#include "task_pool_internal.h"
#include "wheel_internal.h"

/* What is left to do for the fiber that ran last, by whoever runs after it: only then is it off its stack. */
enum rota__verdict {
	ROTA__VERDICT_NONE,
	ROTA__VERDICT_WAIT,  /* it rests, unless it was woken meanwhile */
	ROTA__VERDICT_YIELD, /* it is queued */
	ROTA__VERDICT_EXIT,  /* it has ended: its stack is given back */
};

/* What a worker has stolen last, until it looks for more: then it knows whether that paid. */
struct rota__loot {
	struct rota__worker *from; /* NULL: nothing since the last look */
	unsigned tasks;
	uint64_t at;                    /* clock */
	uint64_t runs, finished, parks; /* the worker's own */
	bool weighed;                   /* whether it pays to share was looked at */
	uint64_t from_mean, from_runs, from_parks;
	uint32_t submits, from_submits;
};

struct rota__worker {
	/* the worker's thread only */
	rota_runtime *rt;
	unsigned index;
	struct rota__fiber_host host;
	rota_task *current;   /* the task that runs, NULL between tasks */
	uint64_t shares_next; /* how tasks are put into the next slot: next_internal.h */
	enum rota__verdict verdict;
	union {
		rota_task *left; /* WAIT and YIELD are about this one */
		struct rota__stack *left_stack;
	};
	rota_task *picked;           /* what a fiber took from the queue and may not switch to */
	bool switches;               /* fibers may switch to others themselves */
	struct rota_scope *ended_in; /* children of it have ended here and are still counted there: scope_internal.h */
	unsigned ended;              /* how many */
	const rota_task *until;      /* with its end the loop is to stop; NULL: there is no such task */
	unsigned budget;             /* operations that the current task may find ready before it yields */
	unsigned next_streak;        /* tasks run from the next slot in a row */
	unsigned ahead;        /* at most so many tasks at the head of the run queue were put ahead of the others */
	unsigned ahead_streak; /* times in a row that some were */
	unsigned fresh_runs;   /* tasks run since the last poll that had not run before */
	bool spare;
	bool searching;
	bool fork_refused;    /* a frame could not be stolen: not again before the next park */
	bool again;           /* the current task has woken itself */
	bool unsubmitted;     /* operations wait in the ring for the next poll */
	uint64_t polled_at;   /* clock at the last poll */
	uint64_t polled_runs; /* `runs` then */
	uint64_t poll_at;     /* `runs` at which the next one is due */
	uint64_t look_at;    /* `runs` at which the worker looks whether others have left it tasks: not after poll_at */
	uint64_t free_until; /* below this value of `runs` who yields goes on without a look: see rota__worker_goes_on */
	unsigned look_every;  /* tasks between two such looks */
	uint64_t gave_way_at; /* a spare: clock when it last let others have its CPU */
	uint64_t woke_at;     /* clock at the end of the last park, or of what is like one (rota__worker_submit) */
	uint64_t woke_runs;   /* `runs` then */
	uint64_t random;
	uint64_t next_id, last_id; /* block of task numbers */
	rota_task *pinned_first, *pinned_last;
	bool pinned_turn; /* where both wait, the last task that was taken was a pinned one, not one of the run queue */
	struct rota__task_cache tasks;
	struct rota__stack_cache stacks;
	uint32_t trims;       /* those of the runtime's that the worker has followed */
	unsigned alloc_cache; /* alloc.c: which of jemalloc's caches is the worker's, plus one; 0: none yet */
	pthread_t thread;
	bool has_thread;
	pthread_t self;     /* the thread again, for who sees the worker awake */
	bool hears_sigpipe; /* the thread has SIGPIPE not blocked: before what may raise it rota__worker_hush is called */
	bool hushed;        /* it was called, and has blocked the signal */
	bool writes;        /* it was called once, by whichever thread */
	unsigned valgrind_stack;
	uint64_t keeps_seen; /* `keeps_until` at the last account */
	bool on_trial;       /* it was new then: the next account tells what tasks take that are left together */
	bool has_sequences;  /* of its thread: rseq_internal.h */

	/* the worker writes, others read */
	__attribute__((aligned(ROTA__CACHE_LINE))) struct rota_atomic_u64 mean; /* recent run time of a task, ns */
	struct rota_atomic_u64 fresh_mean;  /* the same of tasks that had not run before */
	struct rota_atomic_u32 fresh;       /* about how many such tasks are in the run queue */
	struct rota_atomic_u32 keeps_below; /* a thief's, as keeps_until: ... while `mean` is below */
	struct rota_atomic_u64 runs;        /* tasks run; the monitor sees by it whether the worker moves */
	struct rota_atomic_u64 looks;   /* times that a fiber which forks looked around; moves, too, for the monitor */
	struct rota_atomic_ptr running; /* `current` for the monitor's reports: NULL before the task may be freed */
	struct rota_atomic_u64 spawned, finished, steals, parks, operations;
	struct rota_atomic_u32 sparse;  /* wakes in a row that found less work than the wake costs */
	struct rota_atomic_u32 asleep;  /* parked, or about to: whoever leaves something for it must wake it */
	struct rota_atomic_ptr forks;   /* of the fiber that runs, if it has any: where thieves look */
	void *io;                       /* the driver's part; set before the worker is published */
	struct rota_atomic_u32 marking; /* a thief's: the lock of those that mark the next task (next_internal.h) */
	struct rota_atomic_u32 submits; /* times that it submitted because it had nothing else to do (worker_park.c) */
	struct rota_atomic_u32 given; /* a spare's: the CPU that it gives away just now, plus one (turns_internal.h) */

	/* anybody */
	__attribute__((aligned(ROTA__CACHE_LINE))) struct rota__next next; /* the task to run next; may be stolen */
	struct rota_atomic_ptr mail;        /* tasks sent to just this worker: a stack, linked by queue_next */
	struct rota_atomic_u64 stalled_at;  /* the monitor's: value of `runs` at which the worker counts as stalled */
	struct rota_atomic_u64 keeps_until; /* a thief's: below this value of `runs` tasks stay here ... */
	struct rota_atomic_u32 on_duty;     /* the monitor's, of a spare (spare_internal.h) */
	struct rota_atomic_u32 blocked;     /* the worker's: inside rota_block_in_place */
	struct rota__capture capture;       /* stall_internal.h */
	struct rota__wheel wheel;
	__attribute__((aligned(ROTA__CACHE_LINE))) struct rota__deque deque;

	/* the worker's own, seldom used; further up it moved `deque` to a multiple of 4 KiB: a yield took 2 ns more */
	__attribute__((aligned(ROTA__CACHE_LINE))) struct rota__loot loot; /* worker_search.c */
};

/* What rota__worker_self (context_internal.h) reads. */
extern _Thread_local struct rota__worker *rota__worker_tls
	__attribute__((visibility("hidden"), tls_model("initial-exec")));

/* The task whose rota_block_in_place the calling thread is inside of, or NULL. */
extern _Thread_local rota_task *rota__in_place_task __attribute__((visibility("hidden"), tls_model("initial-exec")));

/* The worker that the calling thread is, if it is one of `rt`; or NULL. */
static inline struct rota__worker *rota__worker_of(const rota_runtime *rt)
{
	struct rota__worker *worker = rota__worker_self();

	return worker != NULL && worker->rt == rt ? worker : NULL;
}

/* Something has come up that a task which yields must not pass over. By the worker's thread. */
static inline void rota__worker_disturb(struct rota__worker *worker)
{
	worker->free_until = 0;
}

/* An operation waits in the worker's ring. As above. */
static inline void rota__worker_submits(struct rota__worker *worker)
{
	worker->unsubmitted = true;
	rota__worker_disturb(worker);
}

/* Prepares the fields; the thread comes with start. */
void rota__worker_init(struct rota__worker *worker, rota_runtime *rt, unsigned index);
/* Gives back its caches, and what its queue has grown by, if that is empty. It may make new ones. */
void rota__worker_deinit(struct rota__worker *worker);

/* The calling thread becomes the worker until done(arg), or until `deadline`. */
void rota__worker_enter(struct rota__worker *worker);
void rota__worker_leave(struct rota__worker *worker);
void rota__worker_run(struct rota__worker *worker, bool (*done)(void *arg), void *arg, uint64_t deadline);

/* Keeps SIGPIPE from the calling thread, which is `worker`, until it leaves. */
void rota__worker_hush_player(struct rota__worker *worker);

static inline void rota__worker_hush(struct rota__worker *worker)
{
	if (__builtin_expect(worker->hears_sigpipe, 0))
		rota__worker_hush_player(worker);
}

/* What a spare that is off duty does until done(arg) (spare_internal.h). */
void rota__worker_stand_by(struct rota__worker *worker, bool (*done)(void *arg), void *arg);

/* Gives what is queued here to the others, save what is pinned. The worker's thread, also inside a task. */
void rota__worker_hand_over(struct rota__worker *worker);

/* worker_switch.c: the fiber that the one that runs is to give way to, which counts as running from now on. NULL: the
 * worker's loop has to look first. */
rota_task *rota__worker_next(struct rota__worker *worker);
void rota__worker_settle_left(struct rota__worker *worker);

/* Does what the fiber before has left. First thing of whoever runs after it. */
static inline void rota__worker_settle(struct rota__worker *worker)
{
	const enum rota__verdict verdict = worker->verdict;

	if (verdict == ROTA__VERDICT_NONE)
		return;
	if (verdict == ROTA__VERDICT_WAIT) { /* most end here, without a call */
		if (rota__state_rest(&worker->left->state) == ROTA__REST_IDLE) {
			worker->verdict = ROTA__VERDICT_NONE;
			return;
		}
		worker->verdict = ROTA__VERDICT_YIELD;
	}
	rota__worker_settle_left(worker);
}

/* Suspends the calling fiber, which runs on `worker` and waits until it is woken. Opaque since it switches: who calls it
 * needs no registers of its own for that. */
ROTA__OPAQUE void rota__worker_wait(struct rota__worker *worker);

/* Suspends the calling fiber, which runs on `worker`; whoever runs next there publishes it after the switch. The fiber may
 * come back on another worker. */
static inline __attribute__((always_inline)) void rota__worker_suspend(struct rota__worker *worker,
								       enum rota__verdict verdict)
{
	rota_task *const task = worker->current;
	const struct rota__extra *extra = rota__task_extra(task);

	if (__builtin_expect(extra != NULL && extra->unfiled, 0))
		rota__scope_file_timers(task);
	worker->left = task;
	worker->verdict = worker->again ? ROTA__VERDICT_YIELD : verdict;
	rota__fiber_leave(&worker->host, task, rota__worker_next(worker));
	rota__worker_settle(rota__worker_self());
}

/* The calling fiber, which runs on `worker`, lets others run; when nobody else waits there it goes on, save now and then. */
void rota__worker_yield(struct rota__worker *worker);

/* Called for each wait that was over before it began: a fiber that never has to wait yields now and then. */
void rota__worker_spend(void);

/* A task of the runtime that was just made: queues it on the calling worker, and wakes a peer when that pays. */
void rota__worker_spawned(struct rota__worker *worker, rota_task *task);

/* Gives the tasks in a stuck worker's mail to others, save those that may not leave it. On the monitor's thread; returns
 * whether there were any. */
bool rota__worker_forward_mail(struct rota__worker *worker);

/* Whether somebody should come and help: what waits in the queue of `worker` is worth more than `cost` ns. Any
 * thread; a hint. */
bool rota__worker_worth(const struct rota__worker *worker, uint64_t cost);

#endif
