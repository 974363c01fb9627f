/* SPDX-License-Identifier: MIT */
/*
 * What a call that wakes touches, and whom it wakes. Who was woken may end what it waited for, though the call is still
 * on its way out: it touches nothing once it has begun to wake the last of those who wait. As many wait as one batch of
 * wakes holds, more, fewer; their wakers are an executor's, and the last wake overwrites the primitive. A call that
 * came back to it would write there, or wait for ever for a lock. And who waits anew as soon as it is woken is not
 * woken by the same call again. The call drops its lock between two batches: when the others leave meanwhile, so that nobody
 * waits, who ends the primitive has to wait for it.
 */
#define _GNU_SOURCE
#include "waiters.h"

#define MOST (2 * ROTA__WAKE_BATCH + 1)

static struct rota_mutex mutex;
static struct rota_rwlock rwlock;
static struct rota_cond cond;
static struct rota_semaphore semaphore;
static struct rota_notify notify;
static struct rota_barrier barrier;
static struct rota_wait_group group;
static struct rota_once once;
static struct rota_oneshot oneshot;
static struct rota_channel channel;
static ROTA_BROADCAST_STORAGE(uint64_t, 2) ring;
static struct rota_broadcast broadcast;
static ROTA_WATCH_STORAGE(uint64_t) first_value;
static struct rota_watch watch;

static union {
	struct rota_mutex_lock_op mutex;
	struct rota_rwlock_op rwlock;
	struct rota_cond_op cond;
	struct rota_semaphore_op semaphore;
	struct rota_notify_op notify;
	struct rota_barrier_op barrier;
	struct rota_wait_group_op group;
	struct rota_once_op once;
	struct rota_oneshot_op oneshot;
	struct rota_channel_op channel;
	struct rota_broadcast_op broadcast;
	struct rota_watch_op watch;
} ops[2 * MOST];
static struct rota_broadcast_receiver listeners[2 * MOST];
static struct rota_watch_receiver watchers[2 * MOST];
static uint64_t values[2 * MOST];

/* --- each of them: it begins, one waits, all are woken -------------------------------------------------------------------- */

static void mutex_begin(unsigned n)
{
	(void)n;
	rota_mutex_init(&mutex);
	rota_mutex_lock(&mutex);
}

static struct rota_future *mutex_wait(unsigned i)
{
	rota_mutex_lock_init(&ops[i].mutex, &mutex);
	return &ops[i].mutex.future;
}

static void mutex_wake(unsigned n)
{
	(void)n;
	rota_mutex_unlock(&mutex);
}

static void rwlock_begin(unsigned n)
{
	(void)n;
	rota_rwlock_init(&rwlock);
	expect(rota_rwlock_wrlock(&rwlock), ==, 0);
}

static struct rota_future *rwlock_wait(unsigned i)
{
	rota_rwlock_rdlock_init(&ops[i].rwlock, &rwlock);
	return &ops[i].rwlock.future;
}

static void rwlock_wake(unsigned n)
{
	(void)n;
	expect(rota_rwlock_unlock(&rwlock), ==, 0);
}

static void rwlock_wake_downgrading(unsigned n)
{
	(void)n;
	expect(rota_rwlock_downgrade(&rwlock), ==, 0);
}

static void cond_begin(unsigned n)
{
	(void)n;
	rota_mutex_init(&mutex);
	rota_cond_init(&cond);
}

static struct rota_future *cond_wait(unsigned i)
{
	rota_mutex_lock(&mutex);
	rota_cond_wait_init(&ops[i].cond, &cond, &mutex);
	return &ops[i].cond.future;
}

static void cond_wake(unsigned n)
{
	(void)n;
	rota_cond_broadcast(&cond);
}

static void cond_wake_each(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rota_cond_signal(&cond);
}

static void semaphore_begin(unsigned n)
{
	(void)n;
	rota_semaphore_init(&semaphore, 0);
}

static struct rota_future *semaphore_wait(unsigned i)
{
	rota_semaphore_acquire_init(&ops[i].semaphore, &semaphore, 1);
	return &ops[i].semaphore.future;
}

static void semaphore_wake(unsigned n)
{
	expect(rota_semaphore_release(&semaphore, n), ==, 0);
}

static void semaphore_wake_closing(unsigned n)
{
	(void)n;
	rota_semaphore_close(&semaphore);
}

static void notify_begin(unsigned n)
{
	(void)n;
	rota_notify_init(&notify);
}

static struct rota_future *notify_wait(unsigned i)
{
	rota_notify_wait_init(&ops[i].notify, &notify);
	return &ops[i].notify.future;
}

static void notify_wake(unsigned n)
{
	(void)n;
	rota_notify_all(&notify);
}

static void notify_wake_each(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rota_notify_one(&notify);
}

static void barrier_begin(unsigned n)
{
	expect(rota_barrier_init(&barrier, n + 1), ==, 0);
}

static struct rota_future *barrier_wait(unsigned i)
{
	rota_barrier_wait_init(&ops[i].barrier, &barrier);
	return &ops[i].barrier.future;
}

static void barrier_wake(unsigned n)
{
	(void)n;
	expect(rota_barrier_wait(&barrier), ==, ROTA_BARRIER_LEADER);
}

static void group_begin(unsigned n)
{
	(void)n;
	rota_wait_group_init(&group);
	rota_wait_group_add(&group, 1);
}

static struct rota_future *group_wait(unsigned i)
{
	rota_wait_group_wait_init(&ops[i].group, &group);
	return &ops[i].group.future;
}

static void group_wake(unsigned n)
{
	(void)n;
	expect(rota_wait_group_done(&group), ==, 0);
}

static void once_begin(unsigned n)
{
	struct rota_once_op turn;

	(void)n;
	rota_once_init(&once);
	rota_once_begin_init(&turn, &once);
	expect(poll_by_hand(&turn.future), ==, ROTA_READY);
}

static struct rota_future *once_wait(unsigned i)
{
	rota_once_begin_init(&ops[i].once, &once);
	return &ops[i].once.future;
}

static void once_wake(unsigned n)
{
	(void)n;
	expect(rota_once_end(&once, 0), ==, 0);
}

static void oneshot_begin(unsigned n)
{
	(void)n;
	rota_oneshot_init(&oneshot);
}

static struct rota_future *oneshot_wait(unsigned i)
{
	rota_oneshot_recv_init(&ops[i].oneshot, &oneshot);
	return &ops[i].oneshot.future;
}

static void oneshot_wake(unsigned n)
{
	(void)n;
	expect(rota_oneshot_send(&oneshot, &oneshot), ==, 0);
}

static void oneshot_wake_closing(unsigned n)
{
	(void)n;
	rota_oneshot_close(&oneshot);
}

static void channel_begin(unsigned n)
{
	(void)n;
	channel = (struct rota_channel)ROTA_CHANNEL_RENDEZVOUS_INIT(sizeof(uint64_t));
}

static struct rota_future *receiver_wait(unsigned i)
{
	rota_channel_recv_init(&ops[i].channel, &channel, &values[i]);
	return &ops[i].channel.future;
}

static void receivers_wake(unsigned n)
{
	static const uint64_t sent[MOST];

	expect(rota_channel_try_send_many(&channel, sent, n), ==, n);
}

static struct rota_future *sender_wait(unsigned i)
{
	rota_channel_send_init(&ops[i].channel, &channel, &values[i]);
	return &ops[i].channel.future;
}

static void senders_wake(unsigned n)
{
	static uint64_t received;

	for (unsigned i = 0; i < n; i++)
		expect(rota_channel_try_recv(&channel, &received), ==, 0);
}

static void senders_wake_together(unsigned n)
{
	static uint64_t received[MOST];
	unsigned done = 0;

	while (done < n) {
		ssize_t count = rota_channel_try_recv_many(&channel, received, n - done);

		expect(count, >, 0);
		done += (unsigned)count;
	}
}

static void channel_wake_closing(unsigned n)
{
	(void)n;
	rota_channel_close(&channel);
}

static void broadcast_begin(unsigned n)
{
	(void)n;
	memset(&ring, 0, sizeof(ring));
	broadcast = (struct rota_broadcast)ROTA_BROADCAST_INIT(ring);
}

static struct rota_future *broadcast_wait(unsigned i)
{
	rota_broadcast_subscribe(&broadcast, &listeners[i]);
	rota_broadcast_recv_init(&ops[i].broadcast, &listeners[i], &values[i]);
	return &ops[i].broadcast.future;
}

static void broadcast_wake(unsigned n)
{
	(void)n;
	expect(rota_broadcast_send(&broadcast, values), ==, 0);
}

static void broadcast_wake_closing(unsigned n)
{
	(void)n;
	rota_broadcast_close(&broadcast);
}

static void watch_begin(unsigned n)
{
	(void)n;
	watch = (struct rota_watch)ROTA_WATCH_INIT(first_value);
}

static struct rota_future *watch_wait(unsigned i)
{
	rota_watch_subscribe(&watch, &watchers[i]);
	rota_watch_changed_init(&ops[i].watch, &watchers[i], &values[i]);
	return &ops[i].watch.future;
}

static void watch_wake(unsigned n)
{
	(void)n;
	expect(rota_watch_send(&watch, values), ==, 0);
}

static void watch_wake_closing(unsigned n)
{
	(void)n;
	rota_watch_close(&watch);
}

static const struct primitive {
	const char *name;
	void *memory;
	size_t size;
	unsigned most; /* of those who wait that one call wakes */
	void (*begin)(unsigned n);
	struct rota_future *(*wait)(unsigned i);
	void (*wake)(unsigned n);
} primitives[] = {
	{ "mutex", &mutex, sizeof(mutex), 1, mutex_begin, mutex_wait, mutex_wake },
	{ "rwlock", &rwlock, sizeof(rwlock), MOST, rwlock_begin, rwlock_wait, rwlock_wake },
	{ "rwlock, downgraded", &rwlock, sizeof(rwlock), MOST, rwlock_begin, rwlock_wait, rwlock_wake_downgrading },
	{ "cond, broadcast", &cond, sizeof(cond), MOST, cond_begin, cond_wait, cond_wake },
	{ "cond, signals", &cond, sizeof(cond), MOST, cond_begin, cond_wait, cond_wake_each },
	{ "semaphore", &semaphore, sizeof(semaphore), MOST, semaphore_begin, semaphore_wait, semaphore_wake },
	{ "semaphore, closed", &semaphore, sizeof(semaphore), MOST, semaphore_begin, semaphore_wait,
	  semaphore_wake_closing },
	{ "notify all", &notify, sizeof(notify), MOST, notify_begin, notify_wait, notify_wake },
	{ "notify each", &notify, sizeof(notify), MOST, notify_begin, notify_wait, notify_wake_each },
	{ "barrier", &barrier, sizeof(barrier), MOST, barrier_begin, barrier_wait, barrier_wake },
	{ "wait group", &group, sizeof(group), MOST, group_begin, group_wait, group_wake },
	{ "once", &once, sizeof(once), MOST, once_begin, once_wait, once_wake },
	{ "oneshot", &oneshot, sizeof(oneshot), MOST, oneshot_begin, oneshot_wait, oneshot_wake },
	{ "oneshot, closed", &oneshot, sizeof(oneshot), MOST, oneshot_begin, oneshot_wait, oneshot_wake_closing },
	{ "receivers", &channel, sizeof(channel), MOST, channel_begin, receiver_wait, receivers_wake },
	{ "receivers, closed", &channel, sizeof(channel), MOST, channel_begin, receiver_wait, channel_wake_closing },
	{ "senders", &channel, sizeof(channel), MOST, channel_begin, sender_wait, senders_wake },
	{ "senders, together", &channel, sizeof(channel), MOST, channel_begin, sender_wait, senders_wake_together },
	{ "senders, closed", &channel, sizeof(channel), MOST, channel_begin, sender_wait, channel_wake_closing },
	{ "broadcast", &broadcast, sizeof(broadcast), MOST, broadcast_begin, broadcast_wait, broadcast_wake },
	{ "broadcast, closed", &broadcast, sizeof(broadcast), MOST, broadcast_begin, broadcast_wait,
	  broadcast_wake_closing },
	{ "watch", &watch, sizeof(watch), MOST, watch_begin, watch_wait, watch_wake },
	{ "watch, closed", &watch, sizeof(watch), MOST, watch_begin, watch_wait, watch_wake_closing },
};

/* --- the executor ----------------------------------------------------------------------------------------------------------- */

static const struct primitive *present;
static unsigned asleep;

static void *keep(void *data)
{
	return data;
}

static void woken(void *data)
{
	(void)data;
	if (--asleep == 0)
		memset(present->memory, 0xff, present->size);
}

static void dropped(void *data)
{
	(void)data;
}

static const struct rota_waker_ops executor_ops = { keep, woken, woken, dropped };

static void try_it(unsigned n)
{
	const struct rota_waker waker = { &executor_ops, &asleep };
	struct rota_context cx = { &waker };

	present->begin(n);
	asleep = n;
	for (unsigned i = 0; i < n; i++)
		expect(rota_future_poll(present->wait(i), &cx), ==, ROTA_PENDING);
	present->wake(n);
	expect(asleep, ==, 0);
	for (size_t i = 0; i < present->size; i++)
		expect(((unsigned char *)present->memory)[i], ==, 0xff);
}

static unsigned wakes, first_ones;

static void wait_anew(void *data);

static const struct rota_waker_ops eager_ops = { keep, wait_anew, wait_anew, dropped };
static const struct rota_waker eager = { &eager_ops, &wakes };

static void eager_wait(unsigned i)
{
	struct rota_context cx = { &eager };

	expect(rota_future_poll(present->wait(i), &cx), ==, ROTA_PENDING);
}

static void wait_anew(void *data)
{
	(void)data;
	if (wakes++ < first_ones)
		eager_wait(first_ones + wakes - 1);
}

UNIT_TEST(sync, no_touch_after_the_last_wake)
{
	static const unsigned counts[] = {
		1, ROTA__WAKE_BATCH - 1, ROTA__WAKE_BATCH, ROTA__WAKE_BATCH + 1, 2 * ROTA__WAKE_BATCH, MOST
	};

	for (size_t i = 0; i < sizeof(primitives) / sizeof(primitives[0]); i++) {
		present = &primitives[i];
		expect_about = present->name;
		for (size_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++) {
			if (counts[j] <= present->most)
				try_it(counts[j]);
		}
	}
	expect_about = NULL;
}

UNIT_TEST(sync, who_waits_anew_waits_for_the_next_time)
{
	static const char *const names[] = { "cond, broadcast", "notify all", "barrier", "broadcast", "watch" };
	unsigned tried = 0;

	first_ones = MOST;
	for (size_t i = 0; i < sizeof(primitives) / sizeof(primitives[0]); i++) {
		present = &primitives[i];
		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
			if (strcmp(present->name, names[j]) != 0)
				continue;
			expect_about = present->name;
			wakes = 0;
			present->begin(first_ones);
			for (unsigned k = 0; k < first_ones; k++)
				eager_wait(k);
			present->wake(first_ones);
			expect(wakes, ==, first_ones);
			tried++;
		}
	}
	expect_about = NULL;
	expect(tried, ==, sizeof(names) / sizeof(names[0]));
}

/* --- an end between two batches -------------------------------------------------------------------------------------------- */

static int rwlock_end(void)
{
	for (unsigned i = 0; i < ROTA__WAKE_BATCH; i++)
		expect(rota_rwlock_unlock(&rwlock), ==, 0);
	return rota_rwlock_deinit(&rwlock);
}

static int rwlock_end_downgraded(void)
{
	expect(rota_rwlock_unlock(&rwlock), ==, 0);
	return rwlock_end();
}

static int semaphore_end(void)
{
	return rota_semaphore_deinit(&semaphore);
}

static int notify_end(void)
{
	return rota_notify_deinit(&notify);
}

static int cond_end(void)
{
	return rota_cond_deinit(&cond);
}

static int once_end(void)
{
	return rota_once_deinit(&once);
}

static int oneshot_end(void)
{
	return rota_oneshot_deinit(&oneshot);
}

static int channel_end(void)
{
	return rota_channel_deinit(&channel);
}

static int broadcast_end(void)
{
	return rota_broadcast_deinit(&broadcast);
}

static int watch_end(void)
{
	return rota_watch_deinit(&watch);
}

static struct rota_future *last_to_wait;
static int (*end)(void);
static pthread_t ender;
static bool ended_early;
static unsigned waking; /* atomic: the first batch is being woken; the one that is left has left */
static unsigned left;

static void woken_in_batches(void *data);

static const struct rota_waker_ops slow_ops = { keep, woken_in_batches, woken_in_batches, dropped };

static rota_poll poll_slow(struct rota_future *future)
{
	const struct rota_waker waker = { &slow_ops, &waking };
	struct rota_context cx = { &waker };

	return rota_future_poll(future, &cx);
}

static void *leave_and_end(void *arg)
{
	rota_future_cancel(last_to_wait);
	expect(poll_slow(last_to_wait), ==, ROTA_READY);
	__atomic_store_n(&left, 1, __ATOMIC_SEQ_CST);
	expect(end(), ==, 0);
	ended_early = __atomic_load_n(&waking, __ATOMIC_SEQ_CST) != 0;
	return arg;
}

/* Gives the end time to come too early. */
static void woken_in_batches(void *data)
{
	(void)data;
	if (--asleep > 1)
		return;
	__atomic_store_n(&waking, 1, __ATOMIC_SEQ_CST);
	expect(pthread_create(&ender, NULL, leave_and_end, NULL), ==, 0);
	while (!__atomic_load_n(&left, __ATOMIC_SEQ_CST))
		usleep(100);
	usleep(10000);
	__atomic_store_n(&waking, 0, __ATOMIC_SEQ_CST);
}

UNIT_TEST(sync, an_end_between_two_batches_of_wakes_waits)
{
	static const struct ending {
		const char *name;
		int (*end)(void);
		unsigned batch;
	} endings[] = {
		{ "rwlock", rwlock_end, ROTA__WAKE_BATCH },
		{ "rwlock, downgraded", rwlock_end_downgraded, ROTA__WAKE_BATCH },
		{ "semaphore", semaphore_end, ROTA__WAKE_BATCH },
		{ "semaphore, closed", semaphore_end, ROTA__WAKE_BATCH },
		{ "notify all", notify_end, ROTA__WAKE_BATCH },
		{ "cond, broadcast", cond_end, ROTA__WAKE_BATCH },
		{ "once", once_end, ROTA__WAKE_BATCH },
		{ "oneshot, closed", oneshot_end, ROTA__WAKE_BATCH },
		{ "receivers, closed", channel_end, ROTA__WAKE_BATCH },
		{ "senders, closed", channel_end, ROTA__WAKE_BATCH - 1 },
		/* and a receiver */ { "broadcast", broadcast_end, ROTA__WAKE_BATCH },
		{ "broadcast, closed", broadcast_end, ROTA__WAKE_BATCH },
		{ "watch", watch_end, ROTA__WAKE_BATCH },
		{ "watch, closed", watch_end, ROTA__WAKE_BATCH },
	};
	unsigned tried = 0;

	for (size_t i = 0; i < sizeof(primitives) / sizeof(primitives[0]); i++) {
		present = &primitives[i];
		for (size_t j = 0; j < sizeof(endings) / sizeof(endings[0]); j++) {
			if (strcmp(present->name, endings[j].name) != 0)
				continue;
			expect_about = present->name;
			end = endings[j].end;
			asleep = endings[j].batch + 1;
			left = 0;
			present->begin(asleep);
			for (unsigned k = 0; k < asleep; k++) {
				last_to_wait = present->wait(k);
				expect(poll_slow(last_to_wait), ==, ROTA_PENDING);
			}
			present->wake(asleep);
			expect(asleep, ==, 1);
			expect(pthread_join(ender, NULL), ==, 0);
			expect(ended_early, ==, false);
			tried++;
		}
	}
	expect_about = NULL;
	expect(tried, ==, sizeof(endings) / sizeof(endings[0]));
}
