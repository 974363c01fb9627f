/* SPDX-License-Identifier: MIT */
/* Every wait of runtime/ and sync/, awaited by an async function. async_io.c has those of io/. */
#define _GNU_SOURCE
#include "async_steps.h"

static struct {
	struct rota_rwlock rwlock;
	struct rota_mutex mutex;
	struct rota_cond cond;
	struct rota_semaphore semaphore;
	struct rota_notify notify;
	struct rota_barrier barrier;
	struct rota_once once;
	struct rota_oneshot oneshot;
	struct rota_wait_group group;
	struct rota_broadcast broadcast;
	struct rota_broadcast_receiver listener;
	struct rota_watch watch;
	struct rota_watch_receiver watcher;
	struct rota_channel bounded, rendezvous, unbounded;
	struct rota_interval interval;
	struct unit_event event;
	struct rota_atomic_u32 released; /* a job */
	rota_task *task;
	int value, values[4];
} s;

/* The one that is awaited. */
static union {
	struct rota_timer timer;
	struct rota_yield_op yield;
	struct rota_interval_op interval;
	struct rota_join_op join;
	struct rota_offload_op offload;
	struct rota_rwlock_op rwlock;
	struct rota_mutex_lock_op mutex;
	struct rota_cond_op cond;
	struct rota_semaphore_op semaphore;
	struct rota_notify_op notify;
	struct rota_barrier_op barrier;
	struct rota_once_op once;
	struct rota_oneshot_op oneshot;
	struct rota_wait_group_op group;
	struct rota_broadcast_op broadcast;
	struct rota_watch_op watch;
	struct rota_channel_op channel;
	struct {
		struct rota_notify_op notify;
		struct rota_oneshot_op oneshot;
		struct rota_timer timer;
		struct rota_any_op any;
		struct rota_all_op all;
		struct rota_future *arms[2];
	} several;
} op;

/* --- time and tasks ------------------------------------------------------------------------------------------------------ */

static struct rota_future *begin_timer(void)
{
	rota_timer_init(&op.timer, rota_now() + ROTA_US(300));
	return &op.timer.future;
}

static struct rota_future *begin_yield(void)
{
	rota_yield_init(&op.yield);
	return &op.yield.future;
}

static struct rota_future *begin_tick(void)
{
	rota_interval_tick_init(&op.interval, &s.interval);
	return &op.interval.future;
}

static int wait_for_event(void *arg)
{
	(void)arg;
	return unit_event_wait(&s.event);
}

static struct rota_future *begin_join(void)
{
	s.task = unit_spawn(wait_for_event, NULL);
	rota_join_init(&op.join, s.task);
	return &op.join.future;
}

static void end_task(void)
{
	unit_event_set(&s.event);
}

static void joined(void)
{
	int status = -1;

	expect(rota_join(s.task, &status), ==, 0); /* at once */
	expect(status, ==, 0);
}

static int job(void *arg)
{
	(void)arg;
	expect_eventually(rota__load(&s.released, SEQ_CST) != 0);
	return 9;
}

static struct rota_future *begin_offload(void)
{
	rota_offload_init(&op.offload, job, NULL);
	return &op.offload.future;
}

static void release_job(void)
{
	rota__store(&s.released, 1, SEQ_CST);
}

/* --- several ------------------------------------------------------------------------------------------------------------- */

static void begin_arms(void)
{
	rota_notify_wait_init(&op.several.notify, &s.notify);
	op.several.arms[1] = &op.several.notify.future;
}

static struct rota_future *begin_any(void)
{
	begin_arms();
	rota_timer_init(&op.several.timer, ROTA_NEVER);
	op.several.arms[0] = &op.several.timer.future;
	rota_any_init(&op.several.any, op.several.arms, 2);
	return &op.several.any.future;
}

static struct rota_future *begin_any_biased(void)
{
	begin_any();
	rota_any_init_biased(&op.several.any, op.several.arms, 2);
	return &op.several.any.future;
}

static void second_won(void)
{
	expect(op.several.any.index, ==, 1);
	expect(op.several.timer.future.status, ==, -ECANCELED);
}

static struct rota_future *begin_all(void)
{
	begin_arms();
	rota_oneshot_init(&s.oneshot);
	rota_oneshot_recv_init(&op.several.oneshot, &s.oneshot);
	op.several.arms[0] = &op.several.oneshot.future;
	rota_all_init(&op.several.all, op.several.arms, 2);
	return &op.several.all.future;
}

static void notify(void)
{
	rota_notify_one(&s.notify);
}

static void send_value(void)
{
	expect(rota_oneshot_send(&s.oneshot, &s), ==, 0);
}

static void give_both(void)
{
	notify();
	send_value();
}

static void both_came(void)
{
	expect(op.several.notify.future.status, ==, 0);
	expect_pointer(op.several.oneshot.value, ==, &s);
}

/* --- locks --------------------------------------------------------------------------------------------------------------- */

/* The fiber has it for writing. */
static struct rota_future *begin_rdlock(void)
{
	rota_rwlock_rdlock_init(&op.rwlock, &s.rwlock);
	return &op.rwlock.future;
}

/* The step before has it for reading. */
static struct rota_future *begin_wrlock(void)
{
	rota_rwlock_wrlock_init(&op.rwlock, &s.rwlock);
	return &op.rwlock.future;
}

static void unlock_rwlock(void)
{
	expect(rota_rwlock_unlock(&s.rwlock), ==, 0);
}

static void has_wrlock(void)
{
	expect(rota_rwlock_tryrdlock(&s.rwlock), ==, -EBUSY);
	unlock_rwlock();
}

static struct rota_future *begin_lock(void)
{
	rota_mutex_lock_init(&op.mutex, &s.mutex);
	return &op.mutex.future;
}

static void unlock_mutex(void)
{
	rota_mutex_unlock(&s.mutex);
}

static void has_mutex(void)
{
	expect(rota_mutex_trylock(&s.mutex), ==, -EBUSY);
}

/* With the mutex of the step before. */
static struct rota_future *begin_cond(void)
{
	rota_cond_wait_init(&op.cond, &s.cond, &s.mutex);
	return &op.cond.future;
}

static void signal_cond(void)
{
	expect(rota_mutex_trylock(&s.mutex), ==, 0); /* who waits has given it up */
	rota_cond_signal(&s.cond);
	rota_mutex_unlock(&s.mutex);
}

static void has_mutex_again(void)
{
	has_mutex();
	unlock_mutex();
}

static struct rota_future *begin_acquire(void)
{
	rota_semaphore_acquire_init(&op.semaphore, &s.semaphore, 2);
	return &op.semaphore.future;
}

static void release(void)
{
	expect(rota_semaphore_release(&s.semaphore, 2), ==, 0);
}

/* --- events -------------------------------------------------------------------------------------------------------------- */

static struct rota_future *begin_notified(void)
{
	rota_notify_wait_init(&op.notify, &s.notify);
	return &op.notify.future;
}

static struct rota_future *begin_barrier(void)
{
	rota_barrier_wait_init(&op.barrier, &s.barrier);
	return &op.barrier.future;
}

static void come_last(void)
{
	expect(rota_barrier_wait(&s.barrier), ==, ROTA_BARRIER_LEADER);
}

/* It is somebody's turn. */
static struct rota_future *begin_once(void)
{
	rota_once_begin_init(&op.once, &s.once);
	return &op.once.future;
}

static void end_once(void)
{
	expect(rota_once_end(&s.once, 3), ==, 0);
}

static struct rota_future *begin_oneshot(void)
{
	rota_oneshot_init(&s.oneshot);
	rota_oneshot_recv_init(&op.oneshot, &s.oneshot);
	return &op.oneshot.future;
}

static void has_value(void)
{
	expect_pointer(op.oneshot.value, ==, &s);
}

static struct rota_future *begin_group(void)
{
	rota_wait_group_add(&s.group, 1);
	rota_wait_group_wait_init(&op.group, &s.group);
	return &op.group.future;
}

static void group_done(void)
{
	expect(rota_wait_group_done(&s.group), ==, 0);
}

static struct rota_future *begin_hear(void)
{
	rota_broadcast_recv_init(&op.broadcast, &s.listener, &s.value);
	return &op.broadcast.future;
}

static void say(void)
{
	expect(rota_broadcast_send(&s.broadcast, &(int){ 21 }), ==, 0);
}

static void heard(void)
{
	expect(s.value, ==, 21);
}

static struct rota_future *begin_changed(void)
{
	rota_watch_changed_init(&op.watch, &s.watcher, &s.value);
	return &op.watch.future;
}

static void change(void)
{
	expect(rota_watch_send(&s.watch, &(int){ 5 }), ==, 0);
}

static void changed(void)
{
	expect(s.value, ==, 5);
}

static bool is_seven(const void *value, void *arg)
{
	(void)arg;
	return *(const int *)value == 7;
}

static struct rota_future *begin_wait_for(void)
{
	rota_watch_wait_for_init(&op.watch, &s.watcher, is_seven, NULL, &s.value);
	return &op.watch.future;
}

static void become_seven(void)
{
	expect(rota_watch_send(&s.watch, &(int){ 6 }), ==, 0);
	expect(rota_watch_send(&s.watch, &(int){ 7 }), ==, 0);
}

static void is_seven_now(void)
{
	expect(s.value, ==, 7);
}

/* --- channels ------------------------------------------------------------------------------------------------------------ */

static struct rota_future *begin_recv(void)
{
	rota_channel_recv_init(&op.channel, &s.bounded, &s.value);
	return &op.channel.future;
}

static void give_element(void)
{
	expect(rota_channel_try_send(&s.bounded, &(int){ 4 }), ==, 0);
}

static void has_element(void)
{
	expect(s.value, ==, 4);
}

/* It has room for one, which is not the one that is to be sent. */
static struct rota_future *begin_send(void)
{
	give_element();
	s.values[0] = 11;
	rota_channel_send_init(&op.channel, &s.bounded, &s.values[0]);
	return &op.channel.future;
}

static void take_elements(int first, int n)
{
	int value;

	for (int i = 0; i <= n; i++) {
		expect(rota_channel_recv(&s.bounded, &value), ==, 0);
		expect(value, ==, i == 0 ? 4 : first + i - 1);
	}
}

static void take_one(void)
{
	take_elements(11, 1);
}

static struct rota_future *begin_send_many(void)
{
	give_element();
	for (int i = 0; i < 3; i++)
		s.values[i] = 30 + i;
	rota_channel_send_many_init(&op.channel, &s.bounded, s.values, 3);
	return &op.channel.future;
}

static void take_three(void)
{
	take_elements(30, 3);
}

static struct rota_future *begin_recv_many(void)
{
	rota_channel_recv_many_init(&op.channel, &s.unbounded, s.values, 4);
	return &op.channel.future;
}

static void give_unbounded(void)
{
	expect(rota_channel_try_send(&s.unbounded, &(int){ 8 }), ==, 0);
}

static void has_unbounded(void)
{
	expect(s.values[0], ==, 8);
}

static struct rota_future *begin_reserve(void)
{
	give_element();
	rota_channel_reserve_init(&op.channel, &s.bounded);
	return &op.channel.future;
}

static void make_room(void)
{
	take_elements(0, 0);
}

static void has_place(void)
{
	expect(rota_channel_try_send(&s.bounded, &(int){ 1 }), ==, -EAGAIN);
	expect(rota_channel_send_reserved(&s.bounded, &(int){ 2 }), ==, 0);
	expect(rota_channel_try_recv(&s.bounded, &s.value), ==, 0);
}

static struct rota_future *begin_meet_receiver(void)
{
	s.values[0] = 12;
	rota_channel_send_init(&op.channel, &s.rendezvous, &s.values[0]);
	return &op.channel.future;
}

static void meet_sender(void)
{
	int value;

	expect(rota_channel_recv(&s.rendezvous, &value), ==, 0);
	expect(value, ==, 12);
}

static struct rota_future *begin_meet_sender(void)
{
	rota_channel_recv_init(&op.channel, &s.rendezvous, &s.value);
	return &op.channel.future;
}

static void meet_receiver(void)
{
	expect(rota_channel_send(&s.rendezvous, &(int){ 4 }), ==, 0);
}

/* --- all of them --------------------------------------------------------------------------------------------------------- */

static const struct step steps[] = {
	{ "timer", begin_timer, NULL, 0, NULL },
	{ "yield", begin_yield, NULL, 0, NULL },
	{ "first tick", begin_tick, NULL, 0, NULL },
	{ "second tick", begin_tick, NULL, 0, NULL },
	{ "join", begin_join, end_task, 0, joined },
	{ "offload", begin_offload, release_job, 9, NULL },
	{ "any", begin_any, notify, 0, second_won },
	{ "any, biased", begin_any_biased, notify, 0, second_won },
	{ "all", begin_all, give_both, 0, both_came },
	{ "read lock", begin_rdlock, unlock_rwlock, 0, NULL },
	{ "write lock", begin_wrlock, unlock_rwlock, 0, has_wrlock },
	{ "mutex", begin_lock, unlock_mutex, 0, has_mutex },
	{ "condition variable", begin_cond, signal_cond, 0, has_mutex_again },
	{ "semaphore", begin_acquire, release, 0, NULL },
	{ "notify", begin_notified, notify, 0, NULL },
	{ "barrier", begin_barrier, come_last, 0, NULL },
	{ "once", begin_once, end_once, 0, NULL },
	{ "oneshot", begin_oneshot, send_value, 0, has_value },
	{ "wait group", begin_group, group_done, 0, NULL },
	{ "broadcast", begin_hear, say, 0, heard },
	{ "watch, changed", begin_changed, change, 0, changed },
	{ "watch, wait for", begin_wait_for, become_seven, 0, is_seven_now },
	{ "channel, receive", begin_recv, give_element, 0, has_element },
	{ "channel, send", begin_send, take_one, 0, NULL },
	{ "channel, send many", begin_send_many, take_three, 3, NULL },
	{ "unbounded channel, receive many", begin_recv_many, give_unbounded, 1, has_unbounded },
	{ "channel, reserve", begin_reserve, make_room, 0, has_place },
	{ "rendezvous, send", begin_meet_receiver, meet_sender, 0, NULL },
	{ "rendezvous, receive", begin_meet_sender, meet_receiver, 0, has_element },
};

static void prepare(void)
{
	struct rota_once_op turn;

	memset(&s, 0, sizeof(s)); /* locks, notify, once and the like begin so */
	expect(rota_interval_init(&s.interval, ROTA_US(300), ROTA_MISSED_BURST), ==, 0);
	expect(rota_barrier_init(&s.barrier, 2), ==, 0);
	expect(rota_broadcast_init(&s.broadcast, sizeof(int), 2), ==, 0);
	rota_broadcast_subscribe(&s.broadcast, &s.listener);
	expect(rota_watch_init(&s.watch, sizeof(int), &(int){ 0 }), ==, 0);
	rota_watch_subscribe(&s.watch, &s.watcher);
	expect(rota_channel_init(&s.bounded, sizeof(int), 1), ==, 0);
	expect(rota_channel_init(&s.rendezvous, sizeof(int), 0), ==, 0);
	expect(rota_channel_init(&s.unbounded, sizeof(int), ROTA_UNBOUNDED), ==, 0);
	rota_mutex_lock(&s.mutex);
	expect(rota_rwlock_wrlock(&s.rwlock), ==, 0);
	rota_once_begin_init(&turn, &s.once);
	expect(rota_await(&turn.future), ==, ROTA_ONCE_TURN);
}

TASK_TEST(async_waits, every_wait_is_a_future_that_it_can_await)
{
	prepare();
	walk(steps, sizeof(steps) / sizeof(steps[0]));
	expect(rota_broadcast_deinit(&s.broadcast), ==, 0);
	expect(rota_watch_deinit(&s.watch), ==, 0);
	expect(rota_channel_deinit(&s.bounded), ==, 0);
	expect(rota_channel_deinit(&s.rendezvous), ==, 0);
	expect(rota_channel_deinit(&s.unbounded), ==, 0);
}

/* --- children of a scope ------------------------------------------------------------------------------------------------- */

static struct rota_scope scope;
static struct rota_scope_next_op next;

static struct rota_future *begin_next(void)
{
	rota_scope_next_init(&next, &scope);
	return &next.future;
}

static void child_has_slept(void)
{
	expect(next.child_status, ==, 0);
}

static int sleep_a_while(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_US(300));
}

/* By the scope's opener, which is a fiber: so it is a fiber that awaits the async function. */
TASK_TEST(async_waits, so_is_the_next_child_of_a_scope)
{
	static const struct step one[] = {
		{ "next child", begin_next, NULL, 0, child_has_slept },
		{ "none left", begin_next, NULL, -ENOENT, NULL },
	};
	struct walker w;

	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, sleep_a_while, NULL), ==, 0);
	walker_init(&w, one, 2);
	expect(rota_await(&w.async.future), ==, 0);
	expect(rota_scope_close(&scope), ==, 0);
}
