/* SPDX-License-Identifier: MIT */
#include "fork_internal.h"

#include "alloc_internal.h"
#include "log_internal.h"
#include "opaque_internal.h"
#include "runtime_internal.h"

/* What forks use that are on no fiber: plain threads and blocking jobs. Nobody asks anything of it. */
static _Thread_local struct rota_forks outside;

static ROTA__OPAQUE struct rota_forks *outside_here(void)
{
	return rota__of_this_thread(&outside);
}

struct rota_forks rota__fork_without_memory;

void rota__fork_registry_deinit(struct rota__fork_registry *registry)
{
	struct rota__forks *forks;

	while ((forks = rota__load(&registry->made, RELAXED)) != NULL) {
		rota__store(&registry->made, forks->next_made, RELAXED);
		rota__free(forks, sizeof(*forks), ROTA__CACHE_LINE);
	}
}

static struct rota__forks *make(struct rota__fork_registry *registry)
{
	struct rota__forks *forks = rota__alloc(sizeof(*forks), ROTA__CACHE_LINE);

	if (forks == NULL)
		return NULL;
	rota__spin_lock(&registry->lock);
	forks->next_made = rota__load(&registry->made, RELAXED);
	rota__store(&registry->made, forks, RELAXED);
	rota__spin_unlock(&registry->lock);
	return forks;
}

struct rota__forks *rota__forks_new(rota_task *task, size_t stack_size)
{
	struct rota__fork_registry *registry = &task->rt->forks;
	struct rota__forks *forks;

	rota__spin_lock(&registry->lock);
	forks = registry->free;
	if (forks != NULL)
		registry->free = forks->next;
	rota__spin_unlock(&registry->lock);
	if (forks == NULL)
		forks = make(registry);
	if (forks == NULL)
		return NULL;
	forks->rt = task->rt;
	forks->outer.head_ = NULL;
	rota__store(&forks->stack_size, stack_size, RELAXED);
	forks->bounded = !rota__task_may_wait(task);
	forks->local = (task->flags & ROTA__TASK_PINNED) != 0;
	forks->rests = false;
	forks->wake_at = 0;
	forks->refill = ROTA__FORK_FIRST_CREDIT;
	forks->gave_way = 0;
	forks->mended = NULL;
	forks->floor = NULL;
	/* Whoever wanted something before this did not find it. */
	rota__store(&forks->asked, ROTA__ASKED_SHARE | ROTA__ASKED_CANCEL, RELAXED);
	rota__fork_hurry(forks);
	rota__spin_lock(&forks->lock);
	forks->task = task;
	forks->frame = NULL;
	forks->victim = NULL;
	rota__spin_unlock(&forks->lock);
	return forks;
}

void rota__forks_free(struct rota__forks *forks)
{
	struct rota__fork_registry *registry = &forks->rt->forks;

	rota__spin_lock(&forks->lock);
	forks->task = NULL; /* nobody cancels it on our account any more */
	rota__spin_unlock(&forks->lock);
	rota__spin_lock(&registry->lock);
	forks->next = registry->free;
	registry->free = forks;
	rota__spin_unlock(&registry->lock);
}

void rota__forks_attach(struct rota__forks *forks)
{
	struct rota__worker *worker = rota__worker_self();
	rota_task *task = worker->current;

	if (task->kind == ROTA__TASK_FIBER) {
		task->stack->forks = forks;
		task->flags |= ROTA__TASK_FORKED;
	}
	rota__fork_take_turn(forks);
	rota__worker_disturb(worker);
	rota__store(&worker->forks, forks, RELEASE); /* partner: thieves, who find its memory made */
}

static struct rota__forks *first_fork(struct rota__worker *worker)
{
	rota_task *task = worker->current;
	struct rota__forks *forks;

	/* Once without, always without: the frames of a chain must have one head. */
	if (task->flags & ROTA__TASK_FORKLESS)
		return NULL;
	forks = rota__forks_new(task, task->flags & ROTA__TASK_OWN_STACK ? task->stack->size : 0);
	if (forks != NULL)
		rota__forks_attach(forks);
	else
		task->flags |= ROTA__TASK_FORKLESS;
	return forks;
}

struct rota_forks *rota_forks_self(void)
{
	struct rota__worker *worker = rota__worker_self();
	struct rota__forks *forks;

	if (worker == NULL || worker->current == NULL)
		return outside_here();
	forks = rota__load(&worker->forks, RELAXED);
	if (__builtin_expect(forks == NULL, 0))
		forks = first_fork(worker);
	return forks != NULL ? &forks->outer : &rota__fork_without_memory;
}

/* --- the fiber leaves its worker, and comes back ------------------------------------------------------------------ */

static void enlist(struct rota__fork_registry *registry, struct rota__forks *forks)
{
	rota__spin_lock(&registry->lock);
	forks->prev = NULL;
	forks->next = rota__load(&registry->resting, RELAXED);
	if (forks->next != NULL)
		forks->next->prev = forks;
	rota__store(&registry->resting, forks, RELAXED);
	rota__spin_unlock(&registry->lock);
	forks->rests = true;
}

static void delist(struct rota__fork_registry *registry, struct rota__forks *forks)
{
	rota__spin_lock(&registry->lock);
	if (forks->prev != NULL)
		forks->prev->next = forks->next;
	else
		rota__store(&registry->resting, forks->next, RELAXED);
	if (forks->next != NULL)
		forks->next->prev = forks->prev;
	rota__spin_unlock(&registry->lock);
	forks->rests = false;
}

void rota__forks_resume(struct rota__worker *worker, rota_task *task)
{
	struct rota__forks *forks = task->stack->forks;

	if (forks->rests)
		delist(&worker->rt->forks, forks);
	/* On behalf of those who did not find it. */
	rota__fork_ask(forks, ROTA__ASKED_SHARE | ROTA__ASKED_CANCEL);
	rota__fork_take_turn(forks);
	rota__store(&worker->forks, forks, RELEASE); /* partner: thieves */
}

void rota__forks_end(struct rota__worker *worker, rota_task *task)
{
	struct rota__forks *forks = rota__load(&worker->forks, RELAXED);

	rota__store(&worker->forks, NULL, RELAXED); /* a hint; who read it before may go on with it */
	task->flags &= (uint8_t)~ROTA__TASK_FORKED;
	if (forks->outer.head_ != NULL) {
		rota__misuse("task %llu \"%s\" ended with frames that were forked and not joined",
			     (unsigned long long)task->id, rota__task_name(task));
		rota__fork_forget(forks);
	}
	rota__forks_free(forks);
}

void rota__forks_rest(struct rota__worker *worker)
{
	struct rota__forks *forks = rota__load(&worker->forks, RELAXED);

	rota__store(&worker->forks, NULL, RELAXED); /* as above */
	if (forks->outer.head_ == NULL)
		return;
	if (forks->gave_way == 0) /* else it goes on soon */
		rota__fork_share(forks, true);
	if (rota__fork_any(forks))
		enlist(&worker->rt->forks, forks);
}

struct rota_fork_base *rota__fork_latest(void)
{
	struct rota__worker *worker = rota__worker_self();
	struct rota__forks *forks = worker != NULL ? rota__load(&worker->forks, RELAXED) : NULL;

	return forks != NULL ? forks->outer.head_ : NULL;
}
