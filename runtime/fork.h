/* SPDX-License-Identifier: MIT */
/*
 * Fork and join: CPU-bound divide and conquer on the runtime's workers, at a few nanoseconds a fork.
 *
 *	struct rota_frame left;
 *
 *	rota_fork(&left, count, tree->left);            other workers may take it from here on
 *	status = count(tree->right);
 *	left_status = rota_fork_join(&left);            runs it here if nobody has
 *
 * fork_task.h has the typed form, which is several times faster; parallel.h has loops, reduction, scan, sort.
 *
 * Rules:
 *  - Each frame that is forked is joined, by the fiber that forked it, the latest first. A frame lives where its caller
 *    puts it, on the stack as a rule, and stays there until its join has returned. Nothing is allocated.
 *  - A frame starts at its join, unless another worker was free to take it before. While its forker waits for
 *    something else, anybody may take it, the same worker too. So a frame may run beside its forker, and need not: the
 *    two must not wait for each other.
 *  - A frame that another worker took runs in a fiber of its own, with a stack as large as the forker's: it may wait,
 *    and rota_task_id tells another number. Its join helps with what that frame has forked in turn, and otherwise
 *    suspends; it never blocks a worker. It is no cancellation point by itself: it returns when the frame has ended.
 *  - A fork may let the other tasks of its worker run, as rota_yield does, when something waits there: I/O that is
 *    complete, timers, tasks. So do not hold a lock of pthread across it, nor the address of a thread-local variable.
 *  - Inside the poll of a stackless task the join of a frame that was taken cannot suspend: it helps, and otherwise
 *    spins until the frame has ended. The rule of polls holds for such frames wherever they run: a wait is refused
 *    (-EDEADLK).
 *  - What a local task (rota_spawn_local) forks stays on its thread.
 *  - Task-local values (local.h) are the task's: a frame that was taken does not see its forker's.
 *  - Outside of tasks (plain threads, blocking jobs) everything runs at its join, on the caller.
 *  - Cancellation: once the calling task is cancelled, or a scope that it has open, and no shield (task.h) is between, its
 *    next fork (one soon after, if the cancel came in the middle of a fork) gives up what
 *    it has forked inside of that and has not started, and cancels what has been taken, waits and all. So does a join
 *    that has to wait. The join of a frame that was given up returns -ECANCELED or -ETIMEDOUT, as waits do (a typed
 *    one, zero). Direct calls are not affected.
 *  - Stacks grow with the depth of the recursion as they would without forks. rota_task_attr.stack_size sets their
 *    size; an overflow is reported.
 *  - Joins out of order, and frames that are left when their task ends, are misuse: reported, debug builds abort.
 */
#ifndef ROTA_RUNTIME_FORK_H
#define ROTA_RUNTIME_FORK_H

#include "types.h"

ROTA_BEGIN_DECLS

struct rota_forks;
struct rota_fork_base;

/* Carries out a frame on the calling fiber, whose forks are given. */
typedef void rota_fork_run(struct rota_forks *forks, struct rota_fork_base *base);

/* What every frame begins with. All fields are rota's. */
struct rota_fork_base {
	struct rota_atomic_u64 state_; /* the function that runs it while it is private; else enum rota__frame_state */
	struct rota_fork_base *prev_;  /* the frame forked before it */
	rota_fork_run *run_;           /* these three are valid once it was shared */
	void *link_;
	struct rota_atomic_u32 done_;
};

/* The forks of one fiber. Programs only pass it on. */
struct rota_forks {
	struct rota_fork_base *head_;   /* the latest frame that is not joined; only the fiber touches it */
	struct rota_atomic_u32 credit_; /* forks before the fiber looks around; others write 0 to be seen at the next */
};

/* What is to be done with a frame that is joined. */
enum rota_fork_outcome {
	ROTA_FORK_RUN,     /* nobody has taken it: run it here */
	ROTA_FORK_DONE,    /* it was run elsewhere */
	ROTA_FORK_SKIPPED, /* it was given up, since its task was cancelled */
};

#define ROTA_FORK_STATES_ 16u /* no function has so low an address */

/* Slow paths of the two below. */
ROTA_API void rota_fork_heed(struct rota_forks *forks);
ROTA_API enum rota_fork_outcome rota_fork_settle(struct rota_forks *forks, struct rota_fork_base *base);
ROTA_API void rota_fork_disorder(const struct rota_forks *forks, const struct rota_fork_base *base);

/* The forks of the calling fiber. It may be kept as long as the fiber lives. */
ROTA_API struct rota_forks *rota_forks_self(void);

/* Takes one off; true: there was none. RELAXED, and a 0 that is written meanwhile may be lost: whoever asks is content with
 * an answer at a later fork. The compiler would make three instructions of what is one, without a lock. */
static inline bool rota_fork_spend_(struct rota_atomic_u32 *credit)
{
#if defined(__x86_64__)
	bool none;

	__asm__("subl $1, %0" : "+m"(credit->value), "=@ccc"(none));
	return none;
#else
	const uint32_t before = __atomic_load_n(&credit->value, __ATOMIC_RELAXED);

	__atomic_store_n(&credit->value, before - 1, __ATOMIC_RELAXED);
	return before == 0;
#endif
}

/* A fork, for those who have a frame and a function of their own (fork_task.h). */
static inline void rota_fork_push(struct rota_forks *forks, struct rota_fork_base *base, rota_fork_run *run)
{
	base->prev_ = forks->head_;
	__atomic_store_n(&base->state_.value, (uint64_t)(uintptr_t)run, __ATOMIC_RELAXED);
	forks->head_ = base;
	if (__builtin_expect(rota_fork_spend_(&forks->credit_), 0))
		rota_fork_heed(forks);
}

/* The join of such a frame. After ROTA_FORK_RUN the caller runs it. */
static inline enum rota_fork_outcome rota_fork_pop(struct rota_forks *forks, struct rota_fork_base *base)
{
#ifdef ROTA_DEBUG
	if (forks->head_ != base)
		rota_fork_disorder(forks, base);
#endif
	/* RELAXED: a private frame is nobody else's, and what is shared is looked at again under its lock. */
	if (__builtin_expect(__atomic_load_n(&base->state_.value, __ATOMIC_RELAXED) < ROTA_FORK_STATES_, 0))
		return rota_fork_settle(forks, base);
	forks->head_ = base->prev_;
	return ROTA_FORK_RUN;
}

/* A frame without types of its own: fn(arg), with a status as that of a task. */
struct rota_frame {
	struct rota_fork_base base_;
	rota_fn *fn_;
	void *arg_;
	int status_;
};

/* Forks fn(arg). The frame's former content does not matter. Anywhere; never waits for anything, never fails. fn NULL would
 * crash where the frame is run, on any thread: debug builds report it, and abort. */
ROTA_API void rota_fork(struct rota_frame *frame, rota_fn *fn, void *arg);

/* Joins the latest frame that was forked: its status, or why it was given up. Runs it, or waits for it.
 * -EINVAL, with a message: it is not the latest (debug builds abort). */
ROTA_API int rota_fork_join(struct rota_frame *frame);

ROTA_END_DECLS

#endif
