/* SPDX-License-Identifier: MIT */
/*
 * Each misuse that sync/ detects, by a fiber and by a stackless task on one worker and on two, and by a plain thread. It is
 * reported with the task's name and number. Debug builds abort there, so each is made in a child; release builds return
 * the error, and what was misused goes on as if nothing had been. A send to what is closed may be meant: -EPIPE in any
 * build, and debug builds report the first one and go on.
 */
#define _GNU_SOURCE
#include "waiters.h"

static struct rota_mutex mutex = ROTA_MUTEX_INIT;
static struct rota_rwlock rwlock = ROTA_RWLOCK_INIT;
static struct rota_cond cond = ROTA_COND_INIT;
static struct rota_semaphore semaphore = ROTA_SEMAPHORE_INIT(1);
static struct rota_notify notify = ROTA_NOTIFY_INIT;
static struct rota_barrier barrier = ROTA_BARRIER_INIT(2);
static struct rota_wait_group group = ROTA_WAIT_GROUP_INIT;
static struct rota_once once = ROTA_ONCE_INIT;
static struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
static int places[2];
static struct rota_channel channel = ROTA_CHANNEL_INIT(places);
static ROTA_BROADCAST_STORAGE(int, 2) ring;
static struct rota_broadcast broadcast = ROTA_BROADCAST_INIT(ring);
static ROTA_WATCH_STORAGE(int) first_value;
static struct rota_watch watch = ROTA_WATCH_INIT(first_value);

/* --- what another thread does before: it locks, or waits ------------------------------------------------------------------- */

static union {
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
} op;
static struct rota_broadcast_receiver listener;
static struct rota_watch_receiver watcher;
static int value;

static void waits(struct rota_future *future)
{
	expect(poll_by_hand(future), ==, ROTA_PENDING);
}

static void lock_mutex(void)
{
	rota_mutex_lock(&mutex);
}

static void lock_mutex_by_trying(void)
{
	expect(rota_mutex_trylock(&mutex), ==, 0);
}

static void lock_mutex_in_time(void)
{
	expect(rota_mutex_lock_until(&mutex, ROTA_NEVER), ==, 0);
}

static void lock_mutex_by_waiting(void)
{
	rota_mutex_lock(&mutex);
	expect(rota_cond_wait_until(&cond, &mutex, 0), ==, -ETIMEDOUT);
}

static void lock_to_read(void)
{
	expect(rota_rwlock_rdlock(&rwlock), ==, 0);
}

static void lock_to_write(void)
{
	expect(rota_rwlock_wrlock(&rwlock), ==, 0);
}

static void lock_to_write_by_trying(void)
{
	expect(rota_rwlock_trywrlock(&rwlock), ==, 0);
}

static void wait_for_cond(void)
{
	rota_mutex_lock(&mutex);
	rota_cond_wait_init(&op.cond, &cond, &mutex);
	waits(&op.cond.future);
}

static void wait_for_semaphore(void)
{
	rota_semaphore_acquire_init(&op.semaphore, &semaphore, 2);
	waits(&op.semaphore.future);
}

static void wait_for_notify(void)
{
	rota_notify_wait_init(&op.notify, &notify);
	waits(&op.notify.future);
}

static void wait_for_barrier(void)
{
	rota_barrier_wait_init(&op.barrier, &barrier);
	waits(&op.barrier.future);
}

static void begin_one(void)
{
	expect(rota_wait_group_add(&group, 1), ==, 0);
}

static void wait_for_group(void)
{
	rota_wait_group_add(&group, 1);
	rota_wait_group_wait_init(&op.group, &group);
	waits(&op.group.future);
}

static void wait_for_once(void)
{
	static struct rota_once_op turn;

	rota_once_begin_init(&turn, &once);
	expect(poll_by_hand(&turn.future), ==, ROTA_READY);
	rota_once_begin_init(&op.once, &once);
	waits(&op.once.future);
}

static void wait_for_oneshot(void)
{
	rota_oneshot_recv_init(&op.oneshot, &oneshot);
	waits(&op.oneshot.future);
}

static void send_oneshot(void)
{
	expect(rota_oneshot_send(&oneshot, &mutex), ==, 0);
}

static void wait_for_channel(void)
{
	rota_channel_recv_init(&op.channel, &channel, &value);
	waits(&op.channel.future);
}

static void wait_for_room(void)
{
	for (int i = 0; i < 2; i++)
		expect(rota_channel_try_send(&channel, &i), ==, 0);
	rota_channel_send_init(&op.channel, &channel, &value);
	waits(&op.channel.future);
}

static void wait_for_broadcast(void)
{
	rota_broadcast_subscribe(&broadcast, &listener);
	rota_broadcast_recv_init(&op.broadcast, &listener, &value);
	waits(&op.broadcast.future);
}

static void wait_for_watch(void)
{
	rota_watch_subscribe(&watch, &watcher);
	rota_watch_changed_init(&op.watch, &watcher, &value);
	waits(&op.watch.future);
}

/* --- the misuse, and what must hold after it in a release build ------------------------------------------------------------ */

static int unlock_mutex(void)
{
	rota_mutex_unlock(&mutex);
	return 0;
}

static int end_mutex(void)
{
	return rota_mutex_deinit(&mutex);
}

static void mutex_is_locked(void)
{
	expect(rota_mutex_trylock(&mutex), ==, -EBUSY);
}

static void mutex_is_free(void)
{
	expect(rota_mutex_trylock(&mutex), ==, 0);
	rota_mutex_unlock(&mutex);
}

/* A wait on a condition variable that ends has it again. */
static void mutex_is_had_again(void)
{
	mutex_is_locked();
	rota_mutex_unlock(&mutex);
	mutex_is_free();
}

static int unlock_rwlock(void)
{
	return rota_rwlock_unlock(&rwlock);
}

static int downgrade(void)
{
	return rota_rwlock_downgrade(&rwlock);
}

static int end_rwlock(void)
{
	return rota_rwlock_deinit(&rwlock);
}

static void rwlock_is_free(void)
{
	expect(rota_rwlock_trywrlock(&rwlock), ==, 0);
	expect(rota_rwlock_unlock(&rwlock), ==, 0);
}

static void rwlock_is_read(void)
{
	expect(rota_rwlock_trywrlock(&rwlock), ==, -EBUSY);
	expect(rota_rwlock_tryrdlock(&rwlock), ==, 0);
	expect(rota_rwlock_unlock(&rwlock), ==, 0);
	expect(rota_rwlock_trywrlock(&rwlock), ==, -EBUSY);
}

static void rwlock_is_written(void)
{
	expect(rota_rwlock_tryrdlock(&rwlock), ==, -EBUSY);
}

static int wait_with_another_ones_mutex(void)
{
	return rota_cond_wait(&cond, &mutex);
}

static int end_cond(void)
{
	return rota_cond_deinit(&cond);
}

static int end_semaphore(void)
{
	return rota_semaphore_deinit(&semaphore);
}

static int release_too_many(void)
{
	return rota_semaphore_release(&semaphore, ROTA_SEMAPHORE_MAX);
}

static int acquire_too_many(void)
{
	rota_semaphore_acquire_init(&op.semaphore, &semaphore, (uint64_t)ROTA_SEMAPHORE_MAX + 1);
	expect(poll_by_hand(&op.semaphore.future), ==, ROTA_READY);
	return op.semaphore.future.status;
}

static int begin_with_too_many(void)
{
	rota_semaphore_init(&semaphore, (uint64_t)ROTA_SEMAPHORE_MAX + 1);
	return 0;
}

static void all_permits_are_there(void)
{
	expect(rota_semaphore_available(&semaphore), ==, ROTA_SEMAPHORE_MAX);
	rota_semaphore_init(&semaphore, 1);
}

static void one_permit_is_there(void)
{
	expect(rota_semaphore_available(&semaphore), ==, 1);
}

static int end_notify(void)
{
	return rota_notify_deinit(&notify);
}

static int end_barrier(void)
{
	return rota_barrier_deinit(&barrier);
}

static int wait_for_nobody(void)
{
	static struct rota_barrier for_nobody = ROTA_BARRIER_INIT(0);

	rota_barrier_wait_init(&op.barrier, &for_nobody);
	expect(poll_by_hand(&op.barrier.future), ==, ROTA_READY);
	return op.barrier.future.status;
}

static int end_group(void)
{
	return rota_wait_group_deinit(&group);
}

static int done_with_nothing(void)
{
	return rota_wait_group_done(&group);
}

static void nothing_is_under_way(void)
{
	expect(rota_wait_group_count(&group), ==, 0);
}

static int add_too_many(void)
{
	return rota_wait_group_add(&group, ROTA_WAIT_GROUP_MAX);
}

static void one_is_under_way(void)
{
	expect(rota_wait_group_count(&group), ==, 1);
	expect(rota_wait_group_done(&group), ==, 0);
}

static int end_once(void)
{
	return rota_once_deinit(&once);
}

static int end_without_a_turn(void)
{
	return rota_once_end(&once, 1);
}

static void once_is_not_done(void)
{
	expect(rota_once_done(&once), ==, false);
}

static int end_oneshot(void)
{
	return rota_oneshot_deinit(&oneshot);
}

static int send_again(void)
{
	return rota_oneshot_send(&oneshot, &rwlock);
}

static void the_first_one_is_had(void)
{
	void *got = NULL;

	expect(rota_oneshot_try_recv(&oneshot, &got), ==, 0);
	expect(got == &mutex, ==, 1);
}

static int end_channel(void)
{
	return rota_channel_deinit(&channel);
}

static int send_unreserved(void)
{
	return rota_channel_send_reserved(&channel, &value);
}

static int unreserve(void)
{
	return rota_channel_unreserve(&channel);
}

static void channel_is_empty(void)
{
	expect(rota_channel_length(&channel), ==, 0);
	for (int i = 0; i < 3; i++)
		expect(rota_channel_try_send(&channel, &i), ==, i < 2 ? 0 : -EAGAIN);
}

static void channel_is_full(void)
{
	int got = -1;

	expect(rota_channel_length(&channel), ==, 2);
	expect(rota_channel_try_recv(&channel, &got), ==, 0);
	expect(got, ==, 0);
}

static void close_channel(void)
{
	expect(rota_channel_try_send(&channel, &value), ==, 0);
	rota_channel_close(&channel);
}

static int send_to_closed(void)
{
	expect(rota_channel_try_send_many(&channel, &value, 1), ==, -EPIPE);
	rota_channel_close(&channel);
	expect(rota_channel_try_reserve(&channel), ==, -EPIPE);
	return rota_channel_try_send(&channel, &value);
}

static int reserve_in_closed(void)
{
	return rota_channel_try_reserve(&channel);
}

static void channel_can_be_drained(void)
{
	expect(rota_channel_try_recv(&channel, &value), ==, 0);
	expect(rota_channel_try_recv(&channel, &value), ==, -EPIPE);
}

static void close_broadcast(void)
{
	rota_broadcast_subscribe(&broadcast, &listener);
	expect(rota_broadcast_send(&broadcast, &value), ==, 0);
	rota_broadcast_close(&broadcast);
}

static int broadcast_to_closed(void)
{
	expect(rota_broadcast_send(&broadcast, &value), ==, -EPIPE);
	rota_broadcast_close(&broadcast);
	return rota_broadcast_send(&broadcast, &value);
}

static void broadcast_can_be_drained(void)
{
	expect(rota_broadcast_try_recv(&listener, &value), ==, 0);
	expect(rota_broadcast_try_recv(&listener, &value), ==, -EPIPE);
}

static void close_watch(void)
{
	value = 5;
	expect(rota_watch_send(&watch, &value), ==, 0);
	rota_watch_close(&watch);
}

static int set_closed(void)
{
	const int other = 6;

	expect(rota_watch_send(&watch, &other), ==, -EPIPE);
	rota_watch_close(&watch);
	return rota_watch_send(&watch, &other);
}

static void watch_has_the_last(void)
{
	rota_watch_get(&watch, &value);
	expect(value, ==, 5);
}

static int end_broadcast(void)
{
	return rota_broadcast_deinit(&broadcast);
}

static int end_watch(void)
{
	return rota_watch_deinit(&watch);
}

static void nothing(void)
{
}

/* --- the table ------------------------------------------------------------------------------------------------------------- */

static const struct misuse {
	const char *report;
	void (*before)(void); /* by another thread, which lives on */
	int (*misuse)(void);
	int error;
	void (*after)(void);
	struct rota_future *future; /* who waited before does so afterwards, and can be cancelled */
} misuses[] = {
	{ "rota_mutex_unlock of a mutex that is not locked", nothing, unlock_mutex, 0, mutex_is_free, NULL },
	{ "rota_mutex_unlock of a mutex that another task locked", lock_mutex, unlock_mutex, 0, mutex_is_locked, NULL },
	{ "rota_mutex_unlock of a mutex that another task locked", lock_mutex_by_trying, unlock_mutex, 0,
	  mutex_is_locked, NULL },
	{ "rota_mutex_unlock of a mutex that another task locked", lock_mutex_in_time, unlock_mutex, 0, mutex_is_locked,
	  NULL },
	{ "rota_mutex_unlock of a mutex that another task locked", lock_mutex_by_waiting, unlock_mutex, 0,
	  mutex_is_locked, NULL },
	{ "rota_mutex_deinit of a mutex that is locked", lock_mutex, end_mutex, -EBUSY, mutex_is_locked, NULL },
	{ "rota_rwlock_unlock of a lock that is not locked", nothing, unlock_rwlock, -EPERM, rwlock_is_free, NULL },
	{ "rota_rwlock_unlock of a lock that another task locked", lock_to_write, unlock_rwlock, -EPERM,
	  rwlock_is_written, NULL },
	{ "rota_rwlock_unlock of a lock that another task locked", lock_to_write_by_trying, unlock_rwlock, -EPERM,
	  rwlock_is_written, NULL },
	{ "rota_rwlock_downgrade by one who is not the writer", lock_to_write, downgrade, -EPERM, rwlock_is_written,
	  NULL },
	{ "rota_rwlock_downgrade by one who is not the writer", lock_to_read, downgrade, -EPERM, rwlock_is_read, NULL },
	{ "rota_rwlock_deinit of a lock that is locked", lock_to_read, end_rwlock, -EBUSY, rwlock_is_read, NULL },
	{ "rota_rwlock_deinit of a lock that is locked", lock_to_write, end_rwlock, -EBUSY, rwlock_is_written, NULL },
	{ "rota_cond_wait with a mutex that another task locked", lock_mutex, wait_with_another_ones_mutex, -EPERM,
	  mutex_is_locked, NULL },
	{ "rota_cond_deinit while somebody waits", wait_for_cond, end_cond, -EBUSY, mutex_is_had_again,
	  &op.cond.future },
	{ "rota_semaphore_init: more permits than", nothing, begin_with_too_many, 0, all_permits_are_there, NULL },
	{ "rota_semaphore_release: more permits than", nothing, release_too_many, -EOVERFLOW, one_permit_is_there,
	  NULL },
	{ "rota_semaphore_acquire: more permits than", nothing, acquire_too_many, -EOVERFLOW, one_permit_is_there,
	  NULL },
	{ "rota_semaphore_deinit while somebody waits", wait_for_semaphore, end_semaphore, -EBUSY, one_permit_is_there,
	  &op.semaphore.future },
	{ "rota_notify_deinit while somebody waits", wait_for_notify, end_notify, -EBUSY, nothing, &op.notify.future },
	{ "rota_barrier_wait at a barrier for nobody", nothing, wait_for_nobody, -EINVAL, nothing, NULL },
	{ "rota_barrier_deinit while somebody waits", wait_for_barrier, end_barrier, -EBUSY, nothing,
	  &op.barrier.future },
	{ "rota_wait_group_done: nothing is under way", nothing, done_with_nothing, -EINVAL, nothing_is_under_way,
	  NULL },
	{ "rota_wait_group_add: more than ROTA_WAIT_GROUP_MAX", begin_one, add_too_many, -EOVERFLOW, one_is_under_way,
	  NULL },
	{ "rota_wait_group_deinit while somebody waits", wait_for_group, end_group, -EBUSY, nothing, &op.group.future },
	{ "rota_once_end without a turn", nothing, end_without_a_turn, -EINVAL, once_is_not_done, NULL },
	{ "rota_once_deinit while somebody waits", wait_for_once, end_once, -EBUSY, nothing, &op.once.future },
	{ "rota_oneshot_send: a value was sent before", send_oneshot, send_again, -EEXIST, the_first_one_is_had, NULL },
	{ "rota_oneshot_deinit while somebody waits", wait_for_oneshot, end_oneshot, -EBUSY, nothing,
	  &op.oneshot.future },
	{ "rota_channel_send_reserved: no place is reserved", nothing, send_unreserved, -EPERM, channel_is_empty, NULL },
	{ "rota_channel_unreserve: no place is reserved", nothing, unreserve, -EPERM, channel_is_empty, NULL },
	{ "rota_channel_deinit while somebody waits", wait_for_channel, end_channel, -EBUSY, nothing,
	  &op.channel.future },
	{ "rota_channel_deinit while somebody waits", wait_for_room, end_channel, -EBUSY, channel_is_full,
	  &op.channel.future },
	{ "rota_channel_send: the channel is closed", close_channel, send_to_closed, -EPIPE, channel_can_be_drained,
	  NULL },
	{ "rota_channel_send: the channel is closed", close_channel, reserve_in_closed, -EPIPE, channel_can_be_drained,
	  NULL },
	{ "rota_broadcast_send: the broadcast is closed", close_broadcast, broadcast_to_closed, -EPIPE,
	  broadcast_can_be_drained, NULL },
	{ "rota_watch_send: the watch is closed", close_watch, set_closed, -EPIPE, watch_has_the_last, NULL },
	{ "rota_broadcast_deinit while somebody waits", wait_for_broadcast, end_broadcast, -EBUSY, nothing,
	  &op.broadcast.future },
	{ "rota_watch_deinit while somebody waits", wait_for_watch, end_watch, -EBUSY, nothing, &op.watch.future },
};

/* --- by whom --------------------------------------------------------------------------------------------------------------- */

enum who { FIBER, STACKLESS, THREAD };

struct trial {
	const struct misuse *misuse;
	enum who who;
	unsigned workers;
	rota_runtime *rt;
	unsigned ready; /* atomic */
};

static int offend(void *arg)
{
	const struct misuse *misuse = ((struct trial *)arg)->misuse;

	expect(misuse->misuse(), ==, misuse->error);
	return 0;
}

struct offender {
	struct rota_future future;
	struct trial *trial;
};

static rota_poll offender_poll(struct rota_future *self, struct rota_context *cx)
{
	(void)cx;
	self->status = offend(((struct offender *)(void *)self)->trial);
	return ROTA_READY;
}

static int spawn_clumsy(void *arg)
{
	const struct rota_task_attr attr = { .name = "butterfingers" };
	rota_task *task;

	expect(rota_spawn_with(&task, &attr, offend, arg), ==, 0);
	return rota_join(task, NULL);
}

static int spawn_clumsy_stackless(void *arg)
{
	static const struct rota_future_ops ops = { .poll = offender_poll, .name = "clumsy" };
	struct offender offender = { .trial = arg };
	rota_task *task;

	rota_future_init(&offender.future, &ops);
	expect(rota_spawn_future(&task, &offender.future), ==, 0);
	return rota_join(task, NULL);
}

static void *before_main(void *arg)
{
	struct trial *trial = arg;

	trial->misuse->before();
	__atomic_store_n(&trial->ready, 1, __ATOMIC_RELEASE);
	for (;;)
		pause(); /* a thread that is created later is another one */
	return NULL;
}

/* In a child, which ends with it. */
static void try_it(void *arg)
{
	struct trial *trial = arg;
	const struct rota_config config = { .workers = trial->workers };
	pthread_t before;

	expect(pthread_create(&before, NULL, before_main, trial), ==, 0);
	while (__atomic_load_n(&trial->ready, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	if (trial->who == THREAD) {
		expect(offend(trial), ==, 0);
	} else {
		expect(rota_runtime_new(&trial->rt, &config), ==, 0);
		expect(rota_block_on(trial->rt, trial->who == FIBER ? spawn_clumsy : spawn_clumsy_stackless, trial), ==,
		       0);
	}
	if (trial->misuse->future != NULL) {
		expect(poll_by_hand(trial->misuse->future), ==, ROTA_PENDING);
		rota_future_cancel(trial->misuse->future);
		expect(poll_by_hand(trial->misuse->future), ==, ROTA_READY);
		expect(trial->misuse->future->status, ==, -ECANCELED);
	}
	trial->misuse->after();
}

static void check_report(const struct misuse *misuse, enum who who, const char *text)
{
	const char *line = strstr(text, misuse->report);

	expect_contains(text, misuse->report);
	expect_contains(text, who == FIBER ? "\"butterfingers\")" : who == THREAD ? "(task 0 \"\")" : "(task ");
	expect(who == STACKLESS && strstr(text, "(task 0 ") != NULL, ==, 0);
	expect(strstr(line + 1, misuse->report) == NULL, ==, 1); /* once */
}

static void all_by(enum who who, unsigned workers)
{
	static struct unit_child child;

	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		struct trial trial = { .misuse = &misuses[i], .who = who, .workers = workers };

		expect_about = misuses[i].report;
		unit_child_run(&child, try_it, &trial);
#ifdef ROTA_DEBUG
		check_report(&misuses[i], who, child.text);
		if (misuses[i].error == -EPIPE)
			expect(child.status, ==, 0);
		else
			expect(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT, ==, 1);
#else
		if (misuses[i].error == -EPIPE)
			expect(strstr(child.text, misuses[i].report) == NULL, ==, 1);
		else
			check_report(&misuses[i], who, child.text);
		expect(child.status, ==, 0);
#endif
	}
	expect_about = NULL;
}

UNIT_TEST(misuse, by_fibers_of_one_worker)
{
	all_by(FIBER, 1);
}

UNIT_TEST(misuse, by_fibers_of_two_workers)
{
	all_by(FIBER, 2);
}

UNIT_TEST(misuse, by_stackless_tasks_of_one_worker)
{
	all_by(STACKLESS, 1);
}

UNIT_TEST(misuse, by_stackless_tasks_of_two_workers)
{
	all_by(STACKLESS, 2);
}

UNIT_TEST(misuse, by_plain_threads)
{
	all_by(THREAD, 0);
}
