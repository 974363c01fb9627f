/* SPDX-License-Identifier: MIT */
#include "next_internal.h"

#include "sys_internal.h"

rota_task *rota__next_push(struct rota__next *next, rota_task *task, uint64_t shared)
{
	uint64_t word;

	do {
		word = rota__load(&next->task, RELAXED);
		if (word & ROTA__NEXT_MARKED)
			return task;
		if (word == 0) {
			rota__next_fill(next, task, shared);
			return NULL;
		}
	} while (!rota__next_change(next, word, (uintptr_t)task | shared));
	return rota__next_task(word);
}

/* With the lock of thieves: takes what was seen there. */
static bool mark_and_take(struct rota__next *next, uint64_t word)
{
	if (!rota__cas_strong(&next->task, &word, word | ROTA__NEXT_MARKED, RELAXED)) /* the barrier orders it */
		return false;
	rota__sys_cut_sequences();
	if (rota__load(&next->task, RELAXED) != (word | ROTA__NEXT_MARKED)) /* the same */
		return false;
	rota__store(&next->task, 0, RELAXED); /* the owner learns nothing by it */
	return true;
}

rota_task *rota__next_steal(struct rota__next *next, struct rota_atomic_u32 *marking)
{
	uint64_t word = rota__load(&next->task, RELAXED);
	rota_task *const task = rota__next_task(word);
	bool taken;

	if (word == 0)
		return NULL;
	if (word & ROTA__NEXT_SHARED) /* ACQUIRE, partner: rota__next_fill */
		return rota__cas_strong(&next->task, &word, 0, ACQUIRE) ? task : NULL;
	if (!rota__spin_trylock(marking))
		return NULL;
	word = rota__load(&next->task, RELAXED);
	taken = word == (uintptr_t)task && mark_and_take(next, word);
	rota__spin_unlock(marking);
	return taken ? task : NULL;
}
