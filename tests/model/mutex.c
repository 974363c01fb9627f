/* SPDX-License-Identifier: MIT */
/* The mutex: one at a time, nobody is forgotten, a cancelled waiter does not swallow the wake-up; its unlock is its
 * last touch. */
#include "../../sync/mutex.h"

#include <errno.h>

#include "seams.h"

static struct rota_mutex mutex;
static unsigned inside, turns, done;

static void setup_young(void)
{
	rota_mutex_init(&mutex);
	inside = turns = done = 0;
}

/* As most are found, which saves the search what a young one goes through. */
static void setup(void)
{
	setup_young();
	model_share(&mutex.state_);
	mutex.waiters_.lock_.value = 1; /* the hint */
}

/* The word is biased to the first thread. */
static void setup_biased(void)
{
	setup_young();
	mutex.state_.value = ROTA__BIASED | ROTA__OWNER(1);
	model_owners = 1u << 1;
}

/* Held already, by whom nobody knows: the first thread unlocks it. */
static void setup_held(void)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };
	struct rota_mutex_lock_op op;

	setup();
	rota_mutex_lock_init(&op, &mutex);
	model_check(rota_future_poll(&op.future, &cx) == ROTA_READY);
}

static void unlocker(void)
{
	rota_mutex_unlock(&mutex);
}

static void critical(void)
{
	model_check(inside++ == 0);
	turns++;
	inside--;
}

static void locker(void)
{
	rota_mutex_lock(&mutex);
	critical();
	rota_mutex_unlock(&mutex);
}

/* Leaves no owner behind, of whom the checker would have to keep track. */
static void awaiter(void)
{
	struct rota_mutex_lock_op op;

	rota_mutex_lock_init(&op, &mutex);
	model_check(rota_await(&op.future) == 0);
	critical();
	rota_mutex_unlock(&mutex);
}

static void locker_twice(void)
{
	locker();
	locker();
}

static void trier(void)
{
	if (rota_mutex_trylock(&mutex) < 0)
		return;
	critical();
	rota_mutex_unlock(&mutex);
}

static struct rota_mutex_lock_op queued[2];

/* The same, and two wait. */
static void setup_queued(void)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };

	setup_held();
	for (int i = 0; i < 2; i++) {
		rota_mutex_lock_init(&queued[i], &mutex);
		model_check(rota_future_poll(&queued[i].future, &cx) == ROTA_PENDING);
	}
}

/* One after the other: the second one waits, while the first one has not come. */
static void both_queued(void)
{
	for (int i = 0; i < 2; i++) {
		model_check(rota_await(&queued[i].future) == 0);
		critical();
		rota_mutex_unlock(&mutex);
	}
}

/* Past whoever was woken. */
static void unlocker_and_locker(void)
{
	unlocker();
	locker();
}

static void canceller(void)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_context cx = { &waker };
	struct rota_mutex_lock_op op;

	rota_mutex_lock_init(&op, &mutex);
	if (rota_future_poll(&op.future, &cx) == ROTA_PENDING) {
		rota_future_cancel(&op.future);
		model_check(rota_future_poll(&op.future, &cx) == ROTA_READY);
	}
	const int status = op.future.status;
	model_free(&op, sizeof(op));
	model_outcome(status == 0 ? 0 : 1);
	if (status < 0) {
		model_check(status == -ECANCELED);
		return;
	}
	critical();
	rota_mutex_unlock(&mutex);
}

/* Whoever comes second knows that the other is through with it. */
static void locker_who_frees(void)
{
	rota_mutex_lock(&mutex);
	unsigned others = done++;
	rota_mutex_unlock(&mutex);
	if (others == 1)
		model_free(&mutex, sizeof(mutex));
}

static void one_turn_each(void)
{
	model_check(turns == 2);
	model_check(rota_mutex_trylock(&mutex) == 0);
}

static void three_turns(void)
{
	model_check(turns == 3);
	model_check(rota_mutex_trylock(&mutex) == 0);
}

static void nobody_inside(void)
{
	model_check(rota_mutex_trylock(&mutex) == 0);
}

const struct model_scenario model_scenarios[] = {
	{ "mutex: two", setup, { locker, locker }, one_turn_each, 0, 0, 0 },
	{ "mutex: twice and once", setup, { locker_twice, locker }, three_turns, 0, 0, 2 },
	{ "mutex: young", setup_young, { locker, locker }, one_turn_each, 0, 0, 0 },
	{ "mutex: biased", setup_biased, { locker, locker }, one_turn_each, 0, 0, 2 },
	{ "mutex: biased, cancel", setup_biased, { locker, canceller }, nobody_inside, 0x3, 0, 1 },
	{ "mutex: biased, freed by the second", setup_biased, { locker_who_frees, locker_who_frees }, NULL, 0, 0, 1 },
	{ "mutex: held, two wait", setup_held, { unlocker, awaiter, awaiter }, one_turn_each, 0, 0, 1 },
	{ "mutex: held, one waits, locked again", setup_held, { unlocker_and_locker, awaiter }, one_turn_each, 0, 0, 0 },
	{ "mutex: held, two wait, locked again", setup_queued, { unlocker_and_locker, both_queued }, three_turns, 0, 0, 1 },
	{ "mutex: trylock", setup, { locker, trier }, nobody_inside, 0, 0, 0 },
	{ "mutex: cancel", setup, { locker, canceller }, nobody_inside, 0x3, 0, 0 },
	{ "mutex: cancel, another waits", setup_held, { unlocker, canceller, awaiter }, nobody_inside, 0x3, 0, 1 },
	{ "mutex: freed by the second", setup, { locker_who_frees, locker_who_frees }, NULL, 0, 0, 0 },
	{ .name = NULL },
};
