/* SPDX-License-Identifier: MIT */
#include "fork_internal.h"

#include "runtime_internal.h"
#include "slot_internal.h"
#include "task_internal.h"

#define ANSWER_SPINS 64u /* looks at others' forks while waiting for one to answer a request */

void rota__fork_finish(struct rota__forks *victim, struct rota_fork_base *base)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__slot_fire(&base->done_, &victim->held, &batch);
	rota__wake_batch_submit(&batch);
}

/* The body of a thief's fiber. */
static int carry_out(void *arg)
{
	struct rota__forks *forks = arg;
	struct rota_fork_base *base = forks->frame;

	rota__forks_attach(forks);
	base->run_(&forks->outer, base);
	rota__fork_finish(forks->victim, base);
	return 0;
}

/* The forks of a new task, which has nothing to carry out yet. */
static struct rota__forks *make_thief(struct rota__worker *worker, size_t stack_size)
{
	const struct rota_task_attr attr = { .name = "fork", .stack_size = stack_size };
	struct rota__forks *thief;
	rota_task *task;

	if (rota__spawn_make(&task, worker, &attr, carry_out) < 0)
		return NULL;
	thief = rota__forks_new(task, stack_size);
	if (thief == NULL)
		rota__spawn_discard(worker, task);
	else
		task->arg = thief;
	return thief;
}

static void discard_thief(struct rota__worker *worker, struct rota__forks *thief)
{
	rota_task *task = thief->task;

	rota__forks_free(thief);
	rota__spawn_discard(worker, task);
}

/* The thief is made first: once a frame was taken there is no way back. */
static rota_task *steal_from(struct rota__worker *worker, struct rota__forks *victim)
{
	const size_t stack_size = rota__load(&victim->stack_size, RELAXED);
	struct rota__forks *thief = make_thief(worker, stack_size);
	struct rota_fork_base *base = NULL;

	if (thief == NULL) {
		worker->fork_refused = true;
		return NULL;
	}
	rota__spin_lock(&victim->lock);
	if (rota__load(&victim->stack_size, RELAXED) == stack_size) /* else it has changed hands */
		base = rota__load(&victim->first, RELAXED);
	if (base != NULL) {
		thief->frame = base;
		thief->victim = victim;
		if (victim->bounded) {
			thief->task->flags |= ROTA__TASK_NO_WAIT;
			thief->bounded = true;
		}
		/* Last: from here on the victim may cancel the thief, which has to know its frame by then. */
		rota__fork_take(victim, thief);
	}
	rota__spin_unlock(&victim->lock);
	if (base == NULL) {
		discard_thief(worker, thief);
		return NULL;
	}
	rota__count(&worker->steals, 1);
	return thief->task;
}

/* One that has something to take; asks the others. *ret_any: there are others. */
static struct rota__forks *look_at_workers(struct rota__worker *worker, bool *ret_any)
{
	rota_runtime *rt = worker->rt;
	const unsigned total = rota__worker_total(rt);

	for (unsigned i = 1; i < total; i++) {
		struct rota__worker *other = &rt->workers[(worker->index + i) % total];
		struct rota__forks *forks = rota__load(&other->forks, ACQUIRE); /* partner: forks_attach, resume */

		if (forks == NULL)
			continue;
		if (rota__fork_any(forks))
			return forks;
		rota__fork_ask(forks, ROTA__ASKED_SHARE);
		*ret_any = true;
	}
	return NULL;
}

/* Forks whose frames have all been taken stay in the list until their fiber goes on. */
static struct rota__forks *look_at_resting(rota_runtime *rt)
{
	struct rota__forks *forks;

	if (rota__load(&rt->forks.resting, RELAXED) == NULL)
		return NULL;
	rota__spin_lock(&rt->forks.lock);
	for (forks = rota__load(&rt->forks.resting, RELAXED); forks != NULL; forks = forks->next) {
		if (rota__fork_any(forks))
			break;
	}
	rota__spin_unlock(&rt->forks.lock);
	return forks;
}

rota_task *rota__fork_steal(struct rota__worker *worker)
{
	/* A spare is there for what waits while the workers compute: it must not get stuck in the same. */
	if (worker->spare)
		return NULL;
	for (unsigned spins = 0; spins < ANSWER_SPINS; spins++) {
		bool any = false;
		struct rota__forks *victim = look_at_resting(worker->rt);
		rota_task *task;

		if (victim == NULL && worker->searching)
			victim = look_at_workers(worker, &any);
		if (victim != NULL) {
			task = steal_from(worker, victim);
			if (task != NULL || worker->fork_refused)
				return task;
		} else if (!any) {
			break;
		}
		rota__cpu_relax();
	}
	return NULL;
}

bool rota__fork_visible(struct rota__worker *worker)
{
	bool any;

	/* Refused: no memory, or the runtime is closing: their fibers will run them. */
	if (worker->fork_refused || worker->spare)
		return false;
	return look_at_resting(worker->rt) != NULL || look_at_workers(worker, &any) != NULL;
}
