/* SPDX-License-Identifier: MIT */
/*
 * A select over the waits of sync/: the first one wins, and the others, which are cancelled, have taken nothing: what they
 * would have been given is there for whoever comes next.
 */
#define _GNU_SOURCE
#include "waiters.h"

enum { CHANNEL, SEMAPHORE, NOTIFY, RWLOCK, BROADCAST, WATCH, TIMER, WAITS };

struct things {
	struct rota_channel channel;
	struct rota_semaphore semaphore;
	struct rota_notify notify;
	struct rota_rwlock lock;
	struct rota_broadcast broadcast;
	struct rota_watch watch;
	struct rota_broadcast_receiver listener;
	struct rota_watch_receiver watcher;
};

struct waits {
	struct rota_channel_op channel;
	struct rota_semaphore_op semaphore;
	struct rota_notify_op notify;
	struct rota_rwlock_op lock;
	struct rota_broadcast_op broadcast;
	struct rota_watch_op watch;
	struct rota_timer timer;
	uint64_t received, heard, seen;
	struct rota_future *futures[WAITS];
};

/* By a future, which leaves no owner: so another may unlock. */
static void lock_for_another(struct rota_rwlock *lock)
{
	struct rota_rwlock_op op;

	rota_rwlock_wrlock_init(&op, lock);
	expect(rota_await(&op.future), ==, 0);
}

static void things_init(struct things *t)
{
	const uint64_t first = 0;

	expect(rota_channel_init(&t->channel, 8, 1), ==, 0);
	rota_semaphore_init(&t->semaphore, 0);
	rota_notify_init(&t->notify);
	rota_rwlock_init(&t->lock);
	lock_for_another(&t->lock);
	expect(rota_broadcast_init(&t->broadcast, 8, 4), ==, 0);
	expect(rota_watch_init(&t->watch, 8, &first), ==, 0);
	rota_broadcast_subscribe(&t->broadcast, &t->listener);
	rota_watch_subscribe(&t->watch, &t->watcher);
}

static void waits_init(struct waits *w, struct things *t, uint64_t deadline)
{
	rota_channel_recv_init(&w->channel, &t->channel, &w->received);
	rota_semaphore_acquire_init(&w->semaphore, &t->semaphore, 1);
	rota_notify_wait_init(&w->notify, &t->notify);
	rota_rwlock_rdlock_init(&w->lock, &t->lock);
	rota_broadcast_recv_init(&w->broadcast, &t->listener, &w->heard);
	rota_watch_changed_init(&w->watch, &t->watcher, &w->seen);
	rota_timer_init(&w->timer, deadline);
	w->futures[CHANNEL] = &w->channel.future;
	w->futures[SEMAPHORE] = &w->semaphore.future;
	w->futures[NOTIFY] = &w->notify.future;
	w->futures[RWLOCK] = &w->lock.future;
	w->futures[BROADCAST] = &w->broadcast.future;
	w->futures[WATCH] = &w->watch.future;
	w->futures[TIMER] = &w->timer.future;
}

static void give(struct things *t, int which)
{
	const uint64_t value = 7;

	switch (which) {
	case CHANNEL:
		expect(rota_channel_send(&t->channel, &value), ==, 0);
		break;
	case SEMAPHORE:
		expect(rota_semaphore_release(&t->semaphore, 1), ==, 0);
		break;
	case NOTIFY:
		rota_notify_one(&t->notify);
		break;
	case RWLOCK:
		expect(rota_rwlock_unlock(&t->lock), ==, 0);
		break;
	case BROADCAST:
		expect(rota_broadcast_send(&t->broadcast, &value), ==, 0);
		break;
	case WATCH:
		expect(rota_watch_send(&t->watch, &value), ==, 0);
		break;
	default:
		break;
	}
}

/* What was given is had, by a plain wait. */
static void take(struct things *t, int which)
{
	uint64_t value = 7;

	switch (which) {
	case CHANNEL:
		expect(rota_channel_recv(&t->channel, &value), ==, 0);
		break;
	case SEMAPHORE:
		expect(rota_semaphore_acquire(&t->semaphore, 1), ==, 0);
		break;
	case NOTIFY:
		expect(rota_notify_wait(&t->notify), ==, 0);
		break;
	case RWLOCK:
		expect(rota_rwlock_rdlock(&t->lock), ==, 0);
		break;
	case BROADCAST:
		expect(rota_broadcast_recv(&t->listener, &value), ==, 0);
		break;
	case WATCH:
		expect(rota_watch_changed(&t->watcher, &value), ==, 0);
		break;
	default:
		break;
	}
	expect(value, ==, 7);
}

static void give_lock_back(struct things *t)
{
	expect(rota_rwlock_unlock(&t->lock), ==, 0);
	lock_for_another(&t->lock);
}

static void things_deinit(struct things *t)
{
	expect(rota_rwlock_unlock(&t->lock), ==, 0);
	expect(rota_rwlock_deinit(&t->lock), ==, 0);
	expect(rota_semaphore_deinit(&t->semaphore), ==, 0);
	expect(rota_notify_deinit(&t->notify), ==, 0);
	rota_channel_deinit(&t->channel);
	expect(rota_broadcast_deinit(&t->broadcast), ==, 0);
	expect(rota_watch_deinit(&t->watch), ==, 0);
}

struct giver {
	struct things *things;
	int which;
};

static int give_later(void *arg)
{
	struct giver *giver = arg;

	give(giver->things, giver->which);
	return 0;
}

/* Each of them wins once, with the thing there before, or given while all are waited for. */
static void select_script(const struct place *place)
{
	struct things t;
	struct waits w;

	(void)place;
	things_init(&t);
	for (int round = 0; round < 2 * WAITS; round++) {
		const int which = round / 2;
		struct giver giver = { &t, which };
		rota_task *task = NULL;
		size_t winner = WAITS;

		waits_init(&w, &t, which == TIMER ? rota_now() + ROTA_MS(1) : ROTA_NEVER);
		if (round % 2 == 0)
			give(&t, which);
		else
			expect(rota_spawn(&task, give_later, &giver), ==, 0);
		expect(rota_await_any(w.futures, WAITS, &winner), ==, 0);
		expect(winner, ==, which);
		for (int i = 0; i < WAITS; i++)
			expect(w.futures[i]->status, ==, i == which ? 0 : -ECANCELED);
		if (task != NULL)
			expect(rota_join(task, NULL), ==, 0);
		if (which == RWLOCK)
			give_lock_back(&t);
		/* The losers left no trace: each gets what is given now. */
		for (int i = 0; i < TIMER; i++) {
			give(&t, i);
			take(&t, i);
			if (i == RWLOCK)
				give_lock_back(&t);
		}
	}
	things_deinit(&t);
}

UNIT_TEST(select, the_first_one_wins_and_the_others_take_nothing)
{
	place_run(&place_kinds[1], 0, select_script, NULL);
	place_run(&place_kinds[2], 0, select_script, NULL);
}
