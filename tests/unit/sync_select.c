/* SPDX-License-Identifier: MIT */
/*
 * A select over the waits of sync/: the first one wins, and the others, which are cancelled, have taken nothing: what they
 * would have been given is there for whoever comes next.
 */
#define _GNU_SOURCE
#include "waiters.h"

enum {
	CHANNEL,
	SENDER,
	PLACE,
	MEETING,
	SEMAPHORE,
	NOTIFY,
	READER,
	WRITER,
	MUTEX,
	BROADCAST,
	WATCH,
	PREDICATE,
	ONESHOT,
	ONCE,
	WAIT_GROUP,
	BARRIER,
	COND,
	TIMER,
	WAITS
};

struct things {
	struct rota_channel channel;
	struct rota_channel full, full_too;
	struct rota_channel meeting; /* without room */
	struct rota_channel_op visitor;
	struct rota_semaphore semaphore;
	struct rota_notify notify;
	struct rota_rwlock lock, shared;
	struct rota_mutex mutex;
	struct rota_oneshot oneshot;
	struct rota_once once;
	struct rota_wait_group group;
	struct rota_barrier barrier;
	struct rota_barrier_op partner;
	struct rota_cond cond;
	struct rota_mutex box;
	bool flag;          /* under the box's mutex */
	rota_task *present; /* who comes to the barrier or to the meeting, or signals */
	struct rota_broadcast broadcast;
	struct rota_watch watch, goal;
	struct rota_broadcast_receiver listener;
	struct rota_watch_receiver watcher, seeker;
};

struct waits {
	struct rota_channel_op channel, sender, place, meeting;
	struct rota_semaphore_op semaphore;
	struct rota_notify_op notify;
	struct rota_rwlock_op lock, shared;
	struct rota_mutex_lock_op mutex;
	struct rota_oneshot_op oneshot;
	struct rota_once_op once;
	struct rota_wait_group_op group;
	struct rota_barrier_op barrier;
	struct rota_cond_op cond;
	struct rota_broadcast_op broadcast;
	struct rota_watch_op watch, predicate;
	struct rota_timer timer;
	uint64_t received, met, heard, seen, sought;
	struct rota_future *futures[WAITS];
};

/* What all wait for is somebody's: locks by futures, which leave no owner, so another may unlock; the turn of `once`; a
 * piece of work of the group's. */
static void hold(struct things *t, int which)
{
	struct rota_rwlock_op lock;
	struct rota_mutex_lock_op mutex;
	struct rota_once_op once;
	const uint64_t seven = 7, zero = 0;

	switch (which) {
	case PREDICATE:
		expect(rota_watch_send(&t->goal, &zero), ==, 0);
		break;
	case SENDER:
		expect(rota_channel_try_send(&t->full, &seven), ==, 0);
		break;
	case PLACE:
		expect(rota_channel_try_send(&t->full_too, &seven), ==, 0);
		break;
	case READER:
		rota_rwlock_wrlock_init(&lock, &t->lock);
		expect(rota_await(&lock.future), ==, 0);
		break;
	case WRITER:
		rota_rwlock_rdlock_init(&lock, &t->shared);
		expect(rota_await(&lock.future), ==, 0);
		break;
	case MUTEX:
		rota_mutex_lock_init(&mutex, &t->mutex);
		expect(rota_await(&mutex.future), ==, 0);
		break;
	case ONESHOT:
		rota_oneshot_init(&t->oneshot);
		break;
	case ONCE:
		rota_once_init(&t->once);
		rota_once_begin_init(&once, &t->once);
		expect(rota_await(&once.future), ==, ROTA_ONCE_TURN);
		break;
	case WAIT_GROUP:
		rota_wait_group_add(&t->group, 1);
		break;
	default:
		break;
	}
}

static void things_init(struct things *t)
{
	const uint64_t first = 0;

	expect(rota_channel_init(&t->channel, 8, 1), ==, 0);
	expect(rota_channel_init(&t->full, 8, 1), ==, 0);
	expect(rota_channel_init(&t->full_too, 8, 1), ==, 0);
	expect(rota_channel_init(&t->meeting, 8, 0), ==, 0);
	expect(rota_watch_init(&t->goal, 8, &first), ==, 0);
	rota_semaphore_init(&t->semaphore, 0);
	rota_notify_init(&t->notify);
	rota_rwlock_init(&t->lock);
	rota_rwlock_init(&t->shared);
	rota_mutex_init(&t->mutex);
	rota_wait_group_init(&t->group);
	expect(rota_barrier_init(&t->barrier, 2), ==, 0);
	rota_cond_init(&t->cond);
	rota_mutex_init(&t->box);
	t->flag = false;
	for (int i = 0; i < WAITS; i++)
		hold(t, i);
	expect(rota_broadcast_init(&t->broadcast, 8, 4), ==, 0);
	expect(rota_watch_init(&t->watch, 8, &first), ==, 0);
	rota_broadcast_subscribe(&t->broadcast, &t->listener);
	rota_watch_subscribe(&t->watch, &t->watcher);
	rota_watch_subscribe(&t->goal, &t->seeker);
}

static bool is_seven(const void *value, void *arg)
{
	(void)arg;
	return *(const uint64_t *)value == 7;
}

static void waits_init(struct waits *w, struct things *t, uint64_t deadline)
{
	static const uint64_t seven = 7;

	rota_channel_recv_init(&w->channel, &t->channel, &w->received);
	rota_channel_send_init(&w->sender, &t->full, &seven);
	rota_channel_reserve_init(&w->place, &t->full_too);
	rota_channel_recv_init(&w->meeting, &t->meeting, &w->met);
	rota_semaphore_acquire_init(&w->semaphore, &t->semaphore, 1);
	rota_notify_wait_init(&w->notify, &t->notify);
	rota_rwlock_rdlock_init(&w->lock, &t->lock);
	rota_rwlock_wrlock_init(&w->shared, &t->shared);
	rota_mutex_lock_init(&w->mutex, &t->mutex);
	rota_oneshot_recv_init(&w->oneshot, &t->oneshot);
	rota_once_begin_init(&w->once, &t->once);
	rota_wait_group_wait_init(&w->group, &t->group);
	rota_barrier_wait_init(&w->barrier, &t->barrier);
	rota_cond_wait_init(&w->cond, &t->cond, &t->box);
	rota_broadcast_recv_init(&w->broadcast, &t->listener, &w->heard);
	rota_watch_changed_init(&w->watch, &t->watcher, &w->seen);
	rota_watch_wait_for_init(&w->predicate, &t->seeker, is_seven, NULL, &w->sought);
	rota_timer_init(&w->timer, deadline);
	w->futures[CHANNEL] = &w->channel.future;
	w->futures[SENDER] = &w->sender.future;
	w->futures[PLACE] = &w->place.future;
	w->futures[MEETING] = &w->meeting.future;
	w->futures[SEMAPHORE] = &w->semaphore.future;
	w->futures[NOTIFY] = &w->notify.future;
	w->futures[READER] = &w->lock.future;
	w->futures[WRITER] = &w->shared.future;
	w->futures[MUTEX] = &w->mutex.future;
	w->futures[ONESHOT] = &w->oneshot.future;
	w->futures[ONCE] = &w->once.future;
	w->futures[WAIT_GROUP] = &w->group.future;
	w->futures[BARRIER] = &w->barrier.future;
	w->futures[COND] = &w->cond.future;
	w->futures[BROADCAST] = &w->broadcast.future;
	w->futures[WATCH] = &w->watch.future;
	w->futures[PREDICATE] = &w->predicate.future;
	w->futures[TIMER] = &w->timer.future;
}

static int set_and_signal(void *arg)
{
	struct things *t = arg;

	rota_mutex_lock(&t->box);
	t->flag = true;
	rota_cond_signal(&t->cond);
	rota_mutex_unlock(&t->box);
	return 0;
}

/* Where who gives has to wait for who takes, it is given by a task: to the barrier, another one comes, and so to the
 * meeting; the condition is signalled once the mutex was given up for it. */
static void give(struct things *t, int which)
{
	static const uint64_t value = 7;
	uint64_t taken;

	switch (which) {
	case CHANNEL:
		expect(rota_channel_send(&t->channel, &value), ==, 0);
		break;
	case SENDER:
		expect(rota_channel_recv(&t->full, &taken), ==, 0);
		break;
	case PLACE:
		expect(rota_channel_recv(&t->full_too, &taken), ==, 0);
		break;
	case MEETING:
		rota_channel_send_init(&t->visitor, &t->meeting, &value);
		expect(rota_spawn_future(&t->present, &t->visitor.future), ==, 0);
		break;
	case PREDICATE:
		expect(rota_watch_send(&t->goal, &value), ==, 0);
		break;
	case SEMAPHORE:
		expect(rota_semaphore_release(&t->semaphore, 1), ==, 0);
		break;
	case NOTIFY:
		rota_notify_one(&t->notify);
		break;
	case READER:
		expect(rota_rwlock_unlock(&t->lock), ==, 0);
		break;
	case WRITER:
		expect(rota_rwlock_unlock(&t->shared), ==, 0);
		break;
	case MUTEX:
		rota_mutex_unlock(&t->mutex);
		break;
	case ONESHOT:
		expect(rota_oneshot_send(&t->oneshot, t), ==, 0);
		break;
	case ONCE:
		expect(rota_once_end(&t->once, 7), ==, 0);
		break;
	case WAIT_GROUP:
		expect(rota_wait_group_done(&t->group), ==, 0);
		break;
	case BARRIER:
		rota_barrier_wait_init(&t->partner, &t->barrier);
		expect(rota_spawn_future(&t->present, &t->partner.future), ==, 0);
		break;
	case COND:
		expect(rota_spawn(&t->present, set_and_signal, t), ==, 0);
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

static int not_again(void *arg)
{
	(void)arg;
	return -ENOSYS;
}

/* What was given is had, by a plain wait. */
static void take(struct things *t, int which)
{
	uint64_t value = 7;
	void *sent;

	switch (which) {
	case CHANNEL:
		expect(rota_channel_recv(&t->channel, &value), ==, 0);
		break;
	case SENDER:
		expect(rota_channel_send(&t->full, &value), ==, 0);
		break;
	case PLACE:
		expect(rota_channel_reserve(&t->full_too), ==, 0);
		break;
	case MEETING:
		value = 0;
		expect(rota_channel_recv(&t->meeting, &value), ==, 0);
		break;
	case PREDICATE:
		value = 0;
		expect(rota_watch_wait_for(&t->seeker, is_seven, NULL, &value), ==, 0);
		break;
	case SEMAPHORE:
		expect(rota_semaphore_acquire(&t->semaphore, 1), ==, 0);
		break;
	case NOTIFY:
		expect(rota_notify_wait(&t->notify), ==, 0);
		break;
	case READER:
		expect(rota_rwlock_rdlock(&t->lock), ==, 0);
		break;
	case WRITER:
		expect(rota_rwlock_wrlock(&t->shared), ==, 0);
		break;
	case MUTEX:
		expect(rota_mutex_lock_until(&t->mutex, ROTA_NEVER), ==, 0);
		break;
	case ONESHOT:
		expect(rota_oneshot_recv(&t->oneshot, &sent), ==, 0);
		expect(sent == t, ==, 1);
		break;
	case ONCE:
		expect(rota_once_run(&t->once, not_again, NULL), ==, 7);
		break;
	case WAIT_GROUP:
		expect(rota_wait_group_wait(&t->group), ==, 0);
		break;
	case BARRIER:
		expect(rota_barrier_wait(&t->barrier), >=, 0);
		break;
	case COND:
		rota_mutex_lock(&t->box);
		while (!t->flag)
			expect(rota_cond_wait(&t->cond, &t->box), ==, 0);
		rota_mutex_unlock(&t->box);
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

/* It was had, and is somebody's again. */
static void hold_again(struct things *t, int which)
{
	if (which == READER)
		expect(rota_rwlock_unlock(&t->lock), ==, 0);
	if (which == WRITER)
		expect(rota_rwlock_unlock(&t->shared), ==, 0);
	if (which == MUTEX)
		rota_mutex_unlock(&t->mutex);
	if (which == PLACE)
		expect(rota_channel_unreserve(&t->full_too), ==, 0);
	if (which == BARRIER || which == COND || which == MEETING)
		expect(rota_join(t->present, NULL), ==, 0);
	t->flag = false;
	if (which != SENDER) /* what was sent is in the way of the next */
		hold(t, which);
}

static void things_deinit(struct things *t)
{
	expect(rota_rwlock_unlock(&t->lock), ==, 0);
	expect(rota_rwlock_deinit(&t->lock), ==, 0);
	expect(rota_rwlock_unlock(&t->shared), ==, 0);
	expect(rota_rwlock_deinit(&t->shared), ==, 0);
	rota_mutex_unlock(&t->mutex);
	expect(rota_mutex_deinit(&t->mutex), ==, 0);
	expect(rota_oneshot_deinit(&t->oneshot), ==, 0);
	expect(rota_once_deinit(&t->once), ==, 0);
	expect(rota_wait_group_deinit(&t->group), ==, 0);
	expect(rota_barrier_deinit(&t->barrier), ==, 0);
	expect(rota_cond_deinit(&t->cond), ==, 0);
	expect(rota_mutex_deinit(&t->box), ==, 0);
	expect(rota_semaphore_deinit(&t->semaphore), ==, 0);
	expect(rota_notify_deinit(&t->notify), ==, 0);
	expect(rota_channel_deinit(&t->channel), ==, 0);
	expect(rota_channel_deinit(&t->full), ==, 0);
	expect(rota_channel_deinit(&t->full_too), ==, 0);
	expect(rota_channel_deinit(&t->meeting), ==, 0);
	expect(rota_watch_deinit(&t->goal), ==, 0);
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
		rota_mutex_lock(&t.box);
		if (round % 2 == 0)
			give(&t, which);
		else
			expect(rota_spawn(&task, give_later, &giver), ==, 0);
		expect(rota_await_any(w.futures, WAITS, &winner), >=, 0);
		expect(winner, ==, which);
		rota_mutex_unlock(&t.box); /* whoever won: the wait for the condition has it again, or had not begun */
		for (int i = 0; i < WAITS; i++) {
			if (i == BARRIER && i == which)
				expect(w.futures[i]->status, >=, 0);
			else
				expect(w.futures[i]->status, ==, i == which ? 0 : -ECANCELED);
		}
		if (task != NULL)
			expect(rota_join(task, NULL), ==, 0);
		hold_again(&t, which);
		/* The losers left no trace: each gets what is given now. */
		for (int i = 0; i < TIMER; i++) {
			give(&t, i);
			take(&t, i);
			hold_again(&t, i);
		}
	}
	things_deinit(&t);
}

UNIT_TEST(select, the_first_one_wins_and_the_others_take_nothing)
{
	place_run(&place_kinds[1], 0, select_script, NULL);
	place_run(&place_kinds[2], 0, select_script, NULL);
}
