/* SPDX-License-Identifier: MIT */
#include "fork_internal.h"

#include <errno.h>

#include "log_internal.h"
#include "runtime_internal.h"
#include "slot_internal.h"
#include "sys_internal.h"
#include "task_internal.h"

#define FORK_WAKE_NS 10000u /* as much as a wake costs */
#define FORK_WAKE_AGAIN_NS 50000u
#define HELP_SPINS 128u /* looks at a taken frame and at its thief before the fiber suspends */

/* --- fork: somebody has asked -------------------------------------------------------------------------------------- */

/* Wakes a sleeper for what was shared; when it is too early for that, the next fork looks again. */
static void wake_when_it_pays(struct rota__forks *forks)
{
	uint64_t now;

	rota__fence(SEQ_CST); /* partner: rota__idle_sleep, after which a worker asks once more */
	if (!rota__idle_wakeable(&forks->rt->idle))
		return;
	now = rota__sys_clock();
	if (forks->wake_at == 0)
		forks->wake_at = now + FORK_WAKE_NS; /* nobody knows how much will come */
	if (now < forks->wake_at) {
		rota__fork_ask(forks, ROTA__ASKED_SHARE);
		return;
	}
	forks->wake_at = now + FORK_WAKE_AGAIN_NS;
	rota__idle_wake_one(forks->rt);
}

static void heed_thieves(struct rota__forks *forks)
{
	rota__fetch_and(&forks->asked, ~(uint32_t)ROTA__ASKED_SHARE, RELAXED);
	if (forks->rt->worker_count < 2)
		return;
	if (!rota__fork_any(forks))
		rota__fork_share(forks, false);
	wake_when_it_pays(forks);
}

void rota_fork_heed(struct rota_forks *outer)
{
	struct rota__worker *worker = rota__worker_self();
	struct rota__forks *forks = worker != NULL ? rota__load(&worker->forks, RELAXED) : NULL;
	uint32_t asked;

	if (forks == NULL || &forks->outer != outer) { /* no fiber's: nobody asks */
		rota__store(&outer->credit_, UINT32_MAX, RELAXED);
		return;
	}
	rota__store(&outer->credit_, forks->refill, RELAXED); /* first: who asks from here on takes it away again */
	asked = rota__load(&forks->asked, RELAXED);
	if (asked & ROTA__ASKED_CANCEL)
		rota__fork_heed_cancel(forks);
	if (asked & ROTA__ASKED_SHARE)
		heed_thieves(forks);
	rota__fork_look_around(forks, asked != 0);
}

/* --- join: the frame is not private ------------------------------------------------------------------------------- */

struct join {
	struct rota_future future;
	struct rota_fork_base *base;
	struct rota__forks *forks;
};

static rota_poll join_poll(struct rota_future *self, struct rota_context *cx)
{
	struct join *join = (struct join *)(void *)self;

	return rota__slot_register(&join->base->done_, &join->forks->held, cx->waker);
}

static void join_cancel(struct rota_future *self)
{
	rota__fork_cancel_thief(((struct join *)(void *)self)->base);
}

static const struct rota_future_ops join_ops = { .poll = join_poll, .cancel = join_cancel, .name = "fork join" };

static void suspend_until_done(struct rota__forks *forks, struct rota_fork_base *base)
{
	struct join join = { .base = base, .forks = forks };

	rota_future_init(&join.future, &join_ops);
	rota_await(&join.future);
}

/* Carries out a frame that the thief of `base` has forked, if there is one. */
static bool help(struct rota__forks *forks, struct rota_fork_base *base)
{
	struct rota__forks *thief = base->link_;
	struct rota_fork_base *other = NULL;

	if (!rota__fork_any(thief)) {
		rota__fork_ask(thief, ROTA__ASKED_SHARE);
		return false;
	}
	rota__spin_lock(&thief->lock);
	if (!rota__slot_fired(&base->done_))
		other = rota__fork_take(thief, forks);
	rota__spin_unlock(&thief->lock);
	if (other == NULL)
		return false;
	other->run_(&forks->outer, other);
	rota__fork_finish(thief, other);
	return true;
}

/* Until the thief has done with it. */
static void wait_for_thief(struct rota__forks *forks, struct rota_fork_base *base)
{
	unsigned spins = 0;

	if (rota__task_cancelled(forks->task))
		rota__fork_cancel_thief(base);
	while (!rota__slot_fired(&base->done_)) {
		if (help(forks, base)) {
			spins = 0;
		} else if (forks->bounded) {
			rota__spin_pause(&spins);
		} else if (++spins < HELP_SPINS) {
			rota__cpu_relax();
		} else {
			suspend_until_done(forks, base);
		}
	}
}

void rota_fork_disorder(const struct rota_forks *forks, const struct rota_fork_base *base)
{
	if (forks == &rota__fork_without_memory)
		return;
	rota__misuse("a frame (%p) is joined out of order: the latest fork of task %llu \"%s\" is %p",
		     (const void *)base, (unsigned long long)rota_task_id(), rota_task_name(),
		     (const void *)forks->head_);
}

enum rota_fork_outcome rota_fork_settle(struct rota_forks *outer, struct rota_fork_base *base)
{
	struct rota__forks *forks = rota__forks_of(outer);
	uint64_t state = rota__load(&base->state_, ACQUIRE); /* partner: rota__fork_take: link_ */
	enum rota_fork_outcome outcome = ROTA_FORK_DONE;

	if (state == ROTA__FRAME_SHARED) {
		if (rota__fork_take_back(forks, base))
			outcome = ROTA_FORK_RUN;
		else
			state = ROTA__FRAME_TAKEN;
	}
	if (state == ROTA__FRAME_TAKEN)
		wait_for_thief(forks, base);
	else if (state == ROTA__FRAME_GIVEN_UP)
		outcome = ROTA_FORK_SKIPPED;
	outer->head_ = base->prev_;
	if (forks->mended == base)
		forks->mended = base->prev_;
	return outcome;
}

/* --- frames without types ------------------------------------------------------------------------------------------- */

static void run_frame(struct rota_forks *forks, struct rota_fork_base *base)
{
	struct rota_frame *frame = (struct rota_frame *)(void *)base;

	(void)forks;
	frame->status_ = frame->fn_(frame->arg_);
}

void rota_fork(struct rota_frame *frame, rota_fn *fn, void *arg)
{
#ifdef ROTA_DEBUG
	if (fn == NULL)
		rota__misuse("rota_fork of no function (task %llu \"%s\")", (unsigned long long)rota_task_id(),
			     rota_task_name());
#endif
	frame->fn_ = fn;
	frame->arg_ = arg;
	rota_fork_push(rota_forks_self(), &frame->base_, run_frame);
}

int rota_fork_join(struct rota_frame *frame)
{
	struct rota_forks *forks = rota_forks_self();

	if (forks->head_ != &frame->base_ && forks != &rota__fork_without_memory) {
		rota_fork_disorder(forks, &frame->base_);
		return -EINVAL;
	}
	switch (rota_fork_pop(forks, &frame->base_)) {
	case ROTA_FORK_RUN:
		return frame->fn_(frame->arg_);
	case ROTA_FORK_SKIPPED:
		return rota__task_told_reason(rota__task_current());
	case ROTA_FORK_DONE:
		break;
	}
	return frame->status_;
}
