/* SPDX-License-Identifier: MIT */
#include "fork_internal.h"

#include "scope_internal.h"

#define TAKE_BACK_MAX 32u /* frames made private again at a time */

static unsigned count_private(const struct rota__forks *forks)
{
	unsigned n = 0;

	for (struct rota_fork_base *f = forks->outer.head_; f != NULL && rota__fork_is_private(f); f = f->prev_)
		n++;
	return n;
}

/* From `latest` on, all private frames become shared; returns the oldest. Thieves do not see them yet. */
static struct rota_fork_base *mark_shared(struct rota_fork_base *latest)
{
	struct rota_fork_base *younger = NULL;

	for (struct rota_fork_base *f = latest; f != NULL && rota__fork_is_private(f); f = f->prev_) {
		f->run_ = (rota_fork_run *)(uintptr_t)rota__load(&f->state_, RELAXED);
		f->link_ = younger;
		rota__store(&f->done_, 0, RELAXED);
		rota__store(&f->state_, ROTA__FRAME_SHARED, RELAXED); /* the lock publishes it */
		younger = f;
	}
	return younger;
}

void rota__fork_share(struct rota__forks *forks, bool all)
{
	struct rota_fork_base *latest = forks->outer.head_;
	struct rota_fork_base *first;
	unsigned n = count_private(forks);
	unsigned kept = all ? 0 : n / 2;

	if (n == 0 || forks->local)
		return;
	for (unsigned i = 0; i < kept; i++)
		latest = latest->prev_;
	rota__scope_share_all(forks->task);
	first = mark_shared(latest);
	rota__spin_lock(&forks->lock);
	if (forks->shared > 0) {
		forks->last->link_ = first;
	} else {
		rota__store(&forks->first, first, RELAXED);
	}
	forks->last = latest;
	forks->shared += n - kept;
	rota__spin_unlock(&forks->lock);
}

/* Takes the latest frame off the list. Under the lock. */
static void drop_last(struct rota__forks *forks)
{
	struct rota_fork_base *last = forks->last;

	if (--forks->shared == 0) {
		rota__store(&forks->first, NULL, RELAXED);
		forks->last = NULL;
		return;
	}
	do {
		last = last->prev_; /* past what was given up */
	} while (rota__load(&last->state_, RELAXED) != ROTA__FRAME_SHARED);
	last->link_ = NULL;
	forks->last = last;
}

bool rota__fork_take_back(struct rota__forks *forks, struct rota_fork_base *base)
{
	unsigned more;

	rota__spin_lock(&forks->lock);
	if (rota__load(&base->state_, RELAXED) != ROTA__FRAME_SHARED) {
		rota__spin_unlock(&forks->lock);
		return false;
	}
	drop_last(forks);
	more = forks->shared / 2;
	if (more > TAKE_BACK_MAX)
		more = TAKE_BACK_MAX;
	for (; more > 0; more--) {
		struct rota_fork_base *f = forks->last;

		drop_last(forks);
		rota__store(&f->state_, (uint64_t)(uintptr_t)f->run_, RELAXED); /* the fiber's own from here on */
	}
	rota__spin_unlock(&forks->lock);
	return true;
}

void rota__fork_forget(struct rota__forks *forks)
{
	rota__spin_lock(&forks->lock);
	rota__store(&forks->first, NULL, RELAXED);
	forks->last = NULL;
	forks->shared = 0;
	rota__spin_unlock(&forks->lock);
}

bool rota__fork_give_up_shared(struct rota__forks *forks, struct rota_fork_base *base)
{
	bool ours;

	rota__spin_lock(&forks->lock);
	ours = rota__load(&base->state_, RELAXED) == ROTA__FRAME_SHARED;
	if (ours) {
		drop_last(forks);
		rota__store(&base->state_, ROTA__FRAME_GIVEN_UP, RELAXED);
	}
	rota__spin_unlock(&forks->lock);
	return ours;
}

struct rota_fork_base *rota__fork_take(struct rota__forks *forks, struct rota__forks *thief)
{
	struct rota_fork_base *base = rota__load(&forks->first, RELAXED);

	if (base == NULL)
		return NULL;
	rota__store(&forks->first, base->link_, RELAXED);
	if (--forks->shared == 0)
		forks->last = NULL;
	base->link_ = thief;
	/* Partner: the ACQUIRE in rota_fork_settle and in rota__fork_give_up: link_, and what the thief is. */
	rota__store(&base->state_, ROTA__FRAME_TAKEN, RELEASE);
	return base;
}
