/* SPDX-License-Identifier: MIT */
#include "extra_internal.h"
#include "fork_internal.h"
#include "runtime_internal.h"
#include "scope_internal.h"
#include "slot_internal.h"
#include "task_internal.h"

void rota__fork_tell_cancelled(rota_runtime *rt)
{
	const unsigned total = rota__worker_total(rt);

	rota__fence(SEQ_CST); /* partner: the one in heed_cancel: one of the two sees what the other wrote */
	if (rota__load(&rt->forks.made, RELAXED) == NULL)
		return; /* nobody has ever forked */
	for (unsigned i = 0; i < total; i++) {
		struct rota__forks *forks =
			rota__load(&rt->workers[i].forks, ACQUIRE); /* partner: forks_attach, resume */

		if (forks != NULL)
			rota__fork_ask(forks, ROTA__ASKED_CANCEL);
	}
}

void rota__fork_cancel_thief(struct rota_fork_base *base)
{
	struct rota__forks *thief = base->link_;
	rota_task *claimed = NULL;

	/* Under its lock a thief that has not fired is at work on this very frame, and cannot end. One that helps is not
	 * told: the frame is a descendant of one of its own, and comes to its end as that does. */
	rota__spin_lock(&thief->lock);
	if (!rota__slot_fired(&base->done_) && thief->task != NULL && thief->frame == base) {
		if (rota__state_cancel(&thief->task->state) == ROTA__WAKE_SUBMIT)
			claimed = thief->task;
		rota__fork_ask(thief, ROTA__ASKED_CANCEL); /* the lock orders it */
	}
	rota__spin_unlock(&thief->lock);
	if (claimed != NULL)
		rota__task_submit(claimed); /* it cannot run before this, so it cannot end */
}

void rota__fork_give_up(struct rota__forks *forks, struct rota_fork_base *floor)
{
	struct rota_fork_base *mended = floor == forks->floor ? forks->mended : NULL;

	for (struct rota_fork_base *f = forks->outer.head_; f != NULL && f != floor && f != mended; f = f->prev_) {
		uint64_t state = rota__load(&f->state_, ACQUIRE); /* partner: rota__fork_take: link_ */

		/* From the latest on: a shared frame is the latest that is shared. */
		if (rota__fork_is_private(f))
			rota__store(&f->state_, ROTA__FRAME_GIVEN_UP, RELAXED);
		else if (state == ROTA__FRAME_SHARED && rota__fork_give_up_shared(forks, f))
			continue;
		else if (state != ROTA__FRAME_GIVEN_UP)
			rota__fork_cancel_thief(f);
	}
	forks->mended = forks->outer.head_;
	forks->floor = floor;
}

/* Whether the task, or a scope that it has open, was cancelled, and no shield is between. *ret_floor: the latest frame that
 * was forked outside of that, or NULL. */
static bool find_floor(const rota_task *task, struct rota_fork_base **ret_floor)
{
	const struct rota__extra *extra = rota__task_extra(task);
	const struct rota_scope *around = rota__task_scope(task);
	bool found = false;

	*ret_floor = NULL;
	if (task->shield == 0 && rota__state_cancelled(&task->state))
		return true;
	if (task->shield == 0 && around != NULL && rota__scope_reason(around) != 0)
		return true;
	for (const struct rota_scope *scope = extra != NULL ? extra->opened : NULL;
	     scope != NULL && scope->shields_ >= task->shield; scope = scope->outer_) {
		if (rota__scope_reason(scope) != 0) {
			*ret_floor = scope->forked_;
			found = true;
		}
	}
	return found;
}

void rota__fork_heed_cancel(struct rota__forks *forks)
{
	rota_task *task = forks->task;
	struct rota_fork_base *floor;

	rota__fetch_and(&forks->asked, ~(uint32_t)ROTA__ASKED_CANCEL, RELAXED);
	rota__fence(SEQ_CST); /* partner: tell_cancelled */
	if (!rota__state_asked(&task->state))
		return;
	if (rota__task_look(task) == 0 && !rota__state_asked(&task->state))
		return;
	/* As long as it is so, each fork comes here. */
	rota__fork_ask(forks, ROTA__ASKED_CANCEL);
	if (find_floor(task, &floor))
		rota__fork_give_up(forks, floor);
}
