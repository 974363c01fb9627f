/* SPDX-License-Identifier: MIT */
/* A runtime: its configuration, start, block_on, shutdown. */
#ifndef ROTA_RUNTIME_RUNTIME_H
#define ROTA_RUNTIME_RUNTIME_H

#include "future.h"
#include "types.h"

ROTA_BEGIN_DECLS

enum rota_backend { ROTA_BACKEND_AUTO, ROTA_BACKEND_IO_URING, ROTA_BACKEND_EPOLL };

enum rota_flavor {
	ROTA_FLAVOR_MULTI_THREAD, /* worker threads run the tasks */
	/* No worker threads: tasks run inside rota_block_on, on its caller, and while nobody is inside they stand still. */
	ROTA_FLAVOR_CURRENT_THREAD,
};

/* Whether a line on standard error tells of each task that keeps others waiting for long; at most one a second for each
 * place where tasks are spawned. */
enum rota_stall_report {
	ROTA_STALL_REPORT_AUTO,
	ROTA_STALL_REPORT_OFF,
	ROTA_STALL_REPORT_BRIEF, /* the task's number and name, where it was spawned, for how long, CPU time of it */
	/* And the stack: the worker's thread is sent SIGURG, on which it writes down where it is. A blocking call that it is
	 * in may return EINTR, where it is one that SA_RESTART does not restart. */
	ROTA_STALL_REPORT_STACK,
};

#define ROTA_MAX_WORKERS 1024u
#define ROTA_MIN_STACK_SIZE ((size_t)8 * 1024)
#define ROTA_MAX_STACK_SIZE ((size_t)1 << 30)

/*
 * All zero means: the defaults. A field that is zero may be set by its environment variable; a field that is not
 * zero wins over the environment.
 */
struct rota_config {
	unsigned workers;              /* 0: ROTA_WORKERS, else usable CPUs (affinity, cgroup quota) */
	unsigned max_blocking_threads; /* 0: 512 */
	size_t stack_size;             /* bytes; 0: 64 KiB, of which only touched pages cost memory */
	enum rota_backend backend;     /* AUTO: ROTA_BACKEND=io_uring|epoll|auto, else what the kernel offers */
	enum rota_flavor flavor;       /* MULTI_THREAD: ROTA_FLAVOR=multi_thread|current_thread may change it */
	unsigned max_blocking_queue; /* jobs that may wait for a pool thread; 0: 4096. A full queue makes callers wait */
	uint64_t blocking_idle_ns;   /* how long an idle pool thread stays; 0: 10 s */
	unsigned ring_entries;       /* submission queue entries per worker; 0: ROTA_RING_ENTRIES, else 256 */
	unsigned recv_buffers;       /* of recv_stream.h, per worker; rounded up to a power of two; 0: 256 */
	unsigned recv_buffer_size;   /* bytes of each; 0: 4096 */
	uint64_t seed;               /* of the victims' order when stealing; 0: random */
	uint64_t stall_ns;           /* a task that runs longer counts as stalled while others wait; 0: 1 ms */
	enum rota_stall_report stall_report; /* AUTO: ROTA_STALL_REPORT=off|brief|stack, else brief; in debug builds stack */
	/* A stalled task that runs longer is reported, if it blocks or its thread was on a CPU for half of it; 0: 100 ms. */
	uint64_t stall_report_ns;
};

/*
 * Runs `main` as a fiber on a runtime with the default configuration and returns what it returned; tasks that are
 * still alive then are cancelled and drained (for at most 10 s). A negative errno when no runtime could be started, and
 * one line on standard error. From a plain thread.
 */
ROTA_API int rota_run(int (*main)(int argc, char **argv), int argc, char **argv);

/*
 * Starts a runtime. `config` NULL: defaults. Any thread, also inside a task.
 * -EINVAL: a field or an environment variable that makes no sense; one line on standard error says which and why.
 * -ENOTSUP: the back end is not available, and one line says why; -ENOMEM, -EAGAIN: no memory, no thread; -EMFILE,
 * -ENFILE: no descriptor.
 */
ROTA_API int rota_runtime_new(rota_runtime **ret, const struct rota_config *config) ROTA_MUST_USE;

/*
 * Runs fn(arg) as a fiber of `rt` and blocks the calling plain thread until it has ended; returns its status.
 * Several threads may do so at once with the multi-thread flavour; with the current-thread flavour the caller
 * becomes the worker, and a second thread gets -EBUSY. Inside a task of any runtime it is refused: -EDEADLK with
 * a message (debug builds abort). -EINVAL: rt or fn NULL. -ESHUTDOWN after rota_runtime_shutdown. -ENOMEM.
 *
 * In a child of fork(2) the runtimes of the parent have no threads: this, rota_block_on_future and the calls that spawn on a
 * named runtime answer -ESHUTDOWN there, with a message (debug builds abort). The child may start runtimes of its own, also
 * when its parent was inside of a task: the thread that has forked is a plain one there.
 */
ROTA_API int rota_block_on(rota_runtime *rt, rota_fn *fn, void *arg);

/*
 * Refuses new work, cancels every task, waits until all (and threads inside rota_block_on_future) have ended, at most
 * timeout_ns (0: does not wait), then stops the threads. 0 when all is gone; -ETIMEDOUT when tasks or blocking jobs are
 * left: each is reported on standard error by id and name, and the call may be repeated. From a plain thread that is
 * not the runtime's own, or several at once, all of which wait; inside a task, a blocking job of the runtime or
 * rota_block_on_future it is refused: -EDEADLK with a message (debug builds abort). In a child of fork(2) a runtime of
 * the parent is left alone: 0.
 */
ROTA_API int rota_runtime_shutdown(rota_runtime *rt, uint64_t timeout_ns);

/*
 * Shuts down if that was not done (waiting without limit), then frees everything. NULL does nothing. Afterwards handles
 * and wakers of its tasks must not be used, and no thread may still be inside of a call that was given `rt` or one of them.
 * (A thread that wakes tasks by something that both share, a channel for example, may be about it: that is waited for.)
 * From a plain thread; where rota_runtime_shutdown is refused, so is this, and frees nothing. Nor does it free a runtime of the
 * parent in a child of fork(2).
 */
ROTA_API void rota_runtime_free(rota_runtime *rt);

/* The runtime of the calling task, blocking job or rota_block_on_future; NULL elsewhere. */
ROTA_API rota_runtime *rota_runtime_current(void);

struct rota_metrics {
	unsigned workers;
	unsigned blocking_threads; /* alive now */
	uint64_t tasks_alive;
	uint64_t tasks_spawned;
	uint64_t polls;          /* times a task was run */
	uint64_t steals;         /* tasks taken from another worker */
	uint64_t parks;          /* times a worker went to sleep */
	uint64_t wakeups;        /* times a worker or the reactor was woken or woke */
	uint64_t operations;     /* I/O operations completed for tasks and for threads outside */
	size_t memory_bytes;     /* held by rota in this process: tasks, queues, channels; not stacks */
	size_t stack_bytes;      /* address space of stacks; only touched pages cost memory */
	unsigned spare_threads;  /* started so far; they stay until the runtime stops */
	unsigned spares_on_duty; /* of them, those that run tasks now, since all workers are stuck */
	uint64_t spare_calls;    /* times a spare was called */
	uint64_t stalls;         /* tasks that ran for longer than stall_ns while others waited */
	uint64_t stall_reports;  /* of them, those that were reported */
};

/* A snapshot of counters since the start; together they are not one instant, and a task that was just joined may still
 * count as alive. Any thread. rt NULL: zeros. For a runtime of the parent, in a child of fork(2): zeros, and it says so (debug
 * builds abort). */
ROTA_API void rota_runtime_metrics(rota_runtime *rt, struct rota_metrics *ret);

/* Gives memory that the runtime holds in reserve (task and stack pools) back to the system. What a worker keeps for itself (some
 * of each, and what its run queue has grown by) follows when the worker has nothing to do, which may be after the return. Any
 * thread, also during a shutdown and after it. NULL does nothing. For a runtime of the parent, in a child of fork(2), it does
 * nothing but say so (debug builds abort). */
ROTA_API void rota_runtime_trim(rota_runtime *rt);

/* Which back end runs: ROTA_BACKEND_IO_URING or ROTA_BACKEND_EPOLL; rt NULL: ROTA_BACKEND_AUTO. Any thread. */
ROTA_API enum rota_backend rota_runtime_backend(const rota_runtime *rt);

ROTA_END_DECLS

#endif
