/* SPDX-License-Identifier: MIT */
/*
 * The next slot of a worker: the task that it runs next, unless a thief takes it.
 *
 * The owner alone fills it, by a store where it is empty, and says beside the task how that may be taken out again:
 *   shared  by a compare-and-swap, whoever comes first.
 *   own     by the owner's look and store (rota__replace), without a locked instruction. A thief first marks it, by a
 *           compare-and-swap: the owner's looks fail from then on, and it leaves the slot alone. One that came before can still be
 *           followed by its store, and the mark is gone. So all other threads are made to pass a barrier, which cuts off who is
 *           between the look and the store (rota__sys_cut_sequences). If the mark stands after that, such a store cannot come any
 *           more, and the task is the thief's, who empties the slot. If not, the owner was quicker. One thief at a time: else
 *           one might take another's mark for its own, of the same task at another time.
 *
 * The barrier costs a thief some 20 us, and the others their way into the kernel. So tasks are the owner's own where rseq(2) can
 * be had and they are so short of late that no thief would want one alone: only of a worker that is stuck it is taken then.
 */
#ifndef ROTA_RUNTIME_NEXT_INTERNAL_H
#define ROTA_RUNTIME_NEXT_INTERNAL_H

#include "rseq_internal.h"
#include "spin_internal.h"

/* Beside a task, which is aligned. */
#define ROTA__NEXT_MARKED ((uint64_t)1)
#define ROTA__NEXT_SHARED ((uint64_t)2)
#define ROTA__NEXT_BITS ((uint64_t)3)

struct rota__next {
	struct rota_atomic_u64 task; /* 0: none */
};

static inline rota_task *rota__next_task(uint64_t word)
{
	return (rota_task *)(uintptr_t)(word & ~ROTA__NEXT_BITS);
}

/* Whether a task waits there. Any thread; a hint, for the owner only that it is empty. */
static inline bool rota__next_waits(const struct rota__next *next)
{
	return rota__load(&next->task, RELAXED) != 0;
}

/* By the owner, who has found it empty. `shared`: ROTA__NEXT_SHARED, or 0. */
static inline void rota__next_fill(struct rota__next *next, rota_task *task, uint64_t shared)
{
	rota__store(&next->task, (uintptr_t)task | shared, RELEASE); /* partner: who takes */
}

/* By the owner: changes what stands there, which is not marked. false: it has changed, or for nothing. */
static inline __attribute__((always_inline)) bool rota__next_change(struct rota__next *next, uint64_t from, uint64_t to)
{
#ifdef ROTA__REPLACES
	if (__builtin_expect(!(from & ROTA__NEXT_SHARED), 1))
		return rota__replace(&next->task, from, to);
#endif
	return rota__cas(&next->task, &from, to, RELEASE); /* partner: who takes `to` */
}

/* By the owner. NULL: there is none, or it is a thief's. */
static inline __attribute__((always_inline)) rota_task *rota__next_take(struct rota__next *next)
{
	uint64_t word;

	do {
		word = rota__load(&next->task, RELAXED); /* the owner has put it there */
		if (word == 0 || word & ROTA__NEXT_MARKED)
			return NULL;
	} while (!rota__next_change(next, word, 0));
	return rota__next_task(word);
}

/* By the owner: puts `task` there. Returns what stood there; or `task`, where a thief is about to take that. NULL: nothing. */
rota_task *rota__next_push(struct rota__next *next, rota_task *task, uint64_t shared);

/* By another worker; `marking` is the lock of thieves that mark. NULL: there is none, or somebody else was quicker. */
rota_task *rota__next_steal(struct rota__next *next, struct rota_atomic_u32 *marking);

#endif
