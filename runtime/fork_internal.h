/* SPDX-License-Identifier: MIT */
/*
 * Fork and join inside: the forks of a fiber, and who may touch them.
 *
 * Each fiber that forks has a struct rota__forks, a split deque after Lace (van Dijk, van de Pol: "Lace: non-blocking
 * split deque for work-stealing") whose elements are frames on the fiber's own stack, linked by `prev_` from the latest
 * to the oldest. From head_ to the end of this chain there are
 *
 *	private frames, shared frames, taken frames          (and frames that were given up, anywhere)
 *
 * Private frames are the fiber's alone: forking and joining them needs no atomic read-modify-write and no fence.
 * Shared frames can be taken, the oldest first, and taken back by the fiber, the latest first; both under `lock`. The
 * boundary moves when a thief has found nothing to take and leaves a request in `asked`, and takes the fiber's credit away,
 * so that it looks at its next fork: it then shares the older half of its private frames. Joining a shared frame takes it
 * back, and makes the younger half of what is left private again.
 *
 * A frame's state:
 *
 *	a function   private                                        only the fiber touches the frame
 *	SHARED       in the list `first`..`last`, linked by link_   under `lock`; all but state_ and link_ are constant
 *	TAKEN        run_ is being carried out, link_ is the forks of the fiber that does, the thief; result and done_
 *	             are the thief's until it fires done_ (slot_internal.h), which is the last that it does with the frame
 *	GIVEN_UP     the task was cancelled before it started       only the fiber touches the frame
 *
 * done_ is a slot; the waker of whoever joins lies in `held`, since one frame at a time is waited for.
 *
 * Where thieves look. The forks follow their fiber: while it runs they are published in worker->forks; while it waits
 * and has frames these are all shared and the forks are in the registry's list of resting ones, save that one which has
 * only let others run (fork_turns.c) keeps what is private, since it goes on soon; so nothing is tied to the
 * worker that forked, and a fiber may suspend and migrate between a fork and its join. The memory of forks is
 * reused for other fibers, and freed only with the runtime: a thief that looks at forks that have changed hands takes a
 * frame of their new owner, which is as good.
 *
 * A thief that is a worker carries out the frame in a fiber of its own, so that it may wait. A fiber that joins a taken
 * frame helps ("leapfrogging", Wagner and Calder): it takes from the thief's forks, and only while the thief has not
 * fired done_, looked at under the thief's lock: what lies there then descends from the frame that is joined. So its stack
 * stays within the depth that the same computation has without thieves, its cancellation is theirs too, and when it
 * suspends inside it waits for nothing else than it would have waited for anyway. If there is nothing to take, it suspends.
 *
 * In the poll of a stackless task nobody may suspend. Its forks are `bounded`, and so are those of the fibers that take
 * from them (ROTA__TASK_NO_WAIT): waits are refused there, joins spin. Such a frame is always being run by some
 * thread, so every spin ends.
 *
 * No parallelism is lost to sleep: forks are published with a request in `asked`. A worker that found nothing leaves
 * requests, registers as asleep, and looks again (idle_internal.h); a fiber that answers a request shares, fences, and
 * wakes a sleeper if nobody searches. It holds that back until the wake is likely to pay: FORK_WAKE_NS after the fiber's
 * first fork, and FORK_WAKE_AGAIN_NS after its last wake (fork.c).
 *
 * Cancellation comes as a bit in `asked`, which whoever cancels a task or a scope sets in the forks of all fibers that
 * run, and which is set when a fiber resumes. The fiber then looks whether it is meant. If so, it gives up what is private
 * or shared and was forked inside of what was cancelled, and cancels the tasks of the thieves of the rest, which do the
 * same.
 */
#ifndef ROTA_RUNTIME_FORK_INTERNAL_H
#define ROTA_RUNTIME_FORK_INTERNAL_H

#include "fork.h"
#include "opaque_internal.h"
#include "spin_internal.h"
#include "waker_internal.h"

struct rota__worker;

enum rota__frame_state { ROTA__FRAME_SHARED = 1, ROTA__FRAME_TAKEN, ROTA__FRAME_GIVEN_UP };

enum { ROTA__ASKED_SHARE = 1, ROTA__ASKED_CANCEL = 2 };

#define ROTA__FORK_FIRST_CREDIT 16u /* nobody knows yet how much comes between two forks */

struct rota__forks {
	struct rota_forks outer; /* first: what programs have is a pointer to it */

	/* the fiber; constant while it has frames, save the last of them */
	rota_runtime *rt;
	struct rota_atomic_u64 stack_size; /* of a thief's fiber; 0: the runtime's */
	bool bounded;                      /* nobody may suspend here */
	bool local;                        /* of a task that never leaves its thread: nobody else may run its frames */
	bool rests;                        /* was put among the resting ones */
	uint64_t wake_at;                  /* clock before which nobody is woken */
	uint32_t refill;                   /* forks between two looks (fork_turns.c) */
	uint64_t looked_at;                /* clock of the latest */
	uint64_t gave_way;                 /* clock when the fiber let others run; 0: it did not */
	uint64_t turn_ends;                /* clock before which it does not */
	struct rota_fork_base *mended;     /* from this frame down to `floor` all have been given up */
	struct rota_fork_base *floor;
	struct rota_waker held; /* of the join, by the protocol of the joined frame's done_ */

	/* anybody */
	__attribute__((aligned(ROTA__CACHE_LINE))) struct rota_atomic_u32 asked; /* somebody wants something */

	/* thieves too, under the lock; `first` is also peeped at */
	__attribute__((aligned(ROTA__CACHE_LINE))) struct rota_atomic_u32 lock;
	unsigned shared;              /* frames in the list */
	struct rota_atomic_ptr first; /* oldest */
	struct rota_fork_base *last;  /* latest */
	rota_task *task;              /* NULL: these forks are nobody's */
	struct rota_fork_base *frame; /* of a thief's fiber: what it carries out */
	struct rota__forks *victim;   /* and whose that is */

	/* under the registry's lock */
	struct rota__forks *next; /* free, or resting */
	struct rota__forks *prev; /* resting */
	struct rota__forks *next_made;
};

/* All forks of a runtime. */
struct rota__fork_registry {
	struct rota_atomic_u32 lock;
	struct rota_atomic_ptr made; /* first of the list; peeped at */
	struct rota__forks *free;
	struct rota_atomic_ptr resting; /* first of the list; peeped at */
};

static inline struct rota__forks *rota__forks_of(struct rota_forks *outer)
{
	return (struct rota__forks *)(void *)outer;
}

static inline bool rota__fork_is_private(const struct rota_fork_base *base)
{
	return rota__load(&base->state_, RELAXED) >= ROTA_FORK_STATES_;
}

void rota__fork_registry_deinit(struct rota__fork_registry *registry);

/* What the forks of a task are when there is no memory for its own. Fibers share it, so what its head_ says means nothing.
 * Nobody asks anything of it. */
extern struct rota_forks rota__fork_without_memory __attribute__((visibility("hidden")));

/* --- fork_life.c: the forks of a task, from its first fork to its end ------------------------------------------ */

/* Forks for a task that runs or is about to; stack_size as in the struct. NULL: no memory. */
struct rota__forks *rota__forks_new(rota_task *task, size_t stack_size);
void rota__forks_free(struct rota__forks *forks);

/* The calling fiber's first act with the forks that were made for it. */
void rota__forks_attach(struct rota__forks *forks);

/* The worker is about to run a fiber that has forks; it has run one that has, which is off its stack and not published
 * yet; and the current task, which has, is at its end, or is no fiber. The second is opaque since it stands behind each
 * switch to a fiber. */
void rota__forks_resume(struct rota__worker *worker, rota_task *task);
ROTA__OPAQUE void rota__forks_rest(struct rota__worker *worker);
void rota__forks_end(struct rota__worker *worker, rota_task *task);

/* --- fork_turns.c: beside the other tasks of the worker --------------------------------------------------------------- */

/* The fiber that owns the forks begins to run, or goes on. */
void rota__fork_take_turn(struct rota__forks *forks);

/* Lets others run, if there is something for them and it is their turn. By the fiber, whose credit was used up, or taken
 * away (`hurried`). */
void rota__fork_look_around(struct rota__forks *forks, bool hurried);

/* --- fork_share.c: the boundary ----------------------------------------------------------------------------------- */

/* Shares the older half of the private frames, or all. By the fiber, or in its place while it is off its stack. */
void rota__fork_share(struct rota__forks *forks, bool all);

/* The fiber takes its latest shared frame back; false: a thief was faster. */
bool rota__fork_take_back(struct rota__forks *forks, struct rota_fork_base *base);

/* Takes all off the list without a look at them: their memory is gone. */
void rota__fork_forget(struct rota__forks *forks);

/* Gives up the latest shared frame; false: a thief was faster. */
bool rota__fork_give_up_shared(struct rota__forks *forks, struct rota_fork_base *base);

/* Takes the oldest shared frame for `thief`; NULL: there is none. Under the lock. */
struct rota_fork_base *rota__fork_take(struct rota__forks *forks, struct rota__forks *thief);

static inline bool rota__fork_any(const struct rota__forks *forks)
{
	return rota__load(&forks->first, RELAXED) != NULL; /* a hint: the lock decides */
}

/* Makes the fiber look around at its next fork, or, when that is under way, at a later one. Any thread. */
static inline void rota__fork_hurry(struct rota__forks *forks)
{
	rota__store(&forks->outer.credit_, 0, RELAXED);
}

/* Asks the fiber something, which it sees when it looks around. Any thread. */
static inline void rota__fork_ask(struct rota__forks *forks, uint32_t what)
{
	if ((rota__load(&forks->asked, RELAXED) & what) != what) {
		rota__fetch_or(&forks->asked, what, RELAXED); /* a hint, or ordered by a fence */
		rota__fork_hurry(forks);
	}
}

/* --- fork_steal.c: thieves ------------------------------------------------------------------------------------------ */

/* For a worker that found no task: a new task that carries out somebody's frame, or NULL. */
rota_task *rota__fork_steal(struct rota__worker *worker);

/* Whether there are frames to take; asks those who have none to share. Before a worker sleeps. */
bool rota__fork_visible(struct rota__worker *worker);

/* The frame, taken from `victim`, has been carried out. */
void rota__fork_finish(struct rota__forks *victim, struct rota_fork_base *base);

/* --- fork_cancel.c ---------------------------------------------------------------------------------------------------- */

/* A task or a scope was cancelled: fibers that run and have forks are to look whether that concerns them. Any thread. */
void rota__fork_tell_cancelled(rota_runtime *rt);

/* The fiber was told. */
void rota__fork_heed_cancel(struct rota__forks *forks);

/* Gives up all frames that are younger than `floor` (NULL: all) and have not started; cancels the others' thieves. */
void rota__fork_give_up(struct rota__forks *forks, struct rota_fork_base *floor);

/* The latest frame of the calling fiber, or NULL. */
struct rota_fork_base *rota__fork_latest(void);

/* Cancels the task that carries out a taken frame. By the fiber that forked it. */
void rota__fork_cancel_thief(struct rota_fork_base *base);

#endif
