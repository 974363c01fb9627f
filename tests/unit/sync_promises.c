/* SPDX-License-Identifier: MIT */
/*
 * What is promised of all primitives alike: static initialisers, no allocation on any wait path, and reports of misuse that
 * name the task.
 */
#define _GNU_SOURCE
#include "../../runtime/sys_internal.h"
#include "waiters.h"

/* --- static initialisers -------------------------------------------------------------------------------------------------- */

static struct rota_mutex mutex = ROTA_MUTEX_INIT;
static struct rota_rwlock rwlock = ROTA_RWLOCK_INIT;
static struct rota_cond cond = ROTA_COND_INIT;
static struct rota_semaphore semaphore = ROTA_SEMAPHORE_INIT(2);
static struct rota_notify notify = ROTA_NOTIFY_INIT;
static struct rota_barrier barrier = ROTA_BARRIER_INIT(1);
static struct rota_wait_group group = ROTA_WAIT_GROUP_INIT;
static struct rota_once once = ROTA_ONCE_INIT;
static struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;

struct odd { /* not a number of words */
	uint16_t a[5];
};
static struct odd places[3];
static struct rota_channel bounded = ROTA_CHANNEL_INIT(places);
static struct rota_channel unbounded = ROTA_CHANNEL_UNBOUNDED_INIT(sizeof(struct odd));
static struct rota_channel rendezvous = ROTA_CHANNEL_RENDEZVOUS_INIT(sizeof(struct odd));
static ROTA_BROADCAST_STORAGE(struct odd, 4) ring;
static struct rota_broadcast broadcast = ROTA_BROADCAST_INIT(ring);
static ROTA_WATCH_STORAGE(struct odd) first = { { { 1, 2, 3, 4, 5 } } };
static struct rota_watch watch = ROTA_WATCH_INIT(first);

static int seven(void *arg)
{
	(void)arg;
	return 7;
}

UNIT_TEST(sync, static_initialisers)
{
	void *value;

	rota_mutex_lock(&mutex);
	rota_cond_signal(&cond);
	expect(rota_cond_wait_until(&cond, &mutex, 0), ==, -ETIMEDOUT);
	rota_mutex_unlock(&mutex);
	expect(rota_rwlock_wrlock(&rwlock), ==, 0);
	expect(rota_rwlock_unlock(&rwlock), ==, 0);
	expect(rota_semaphore_acquire(&semaphore, 2), ==, 0);
	rota_notify_one(&notify);
	expect(rota_notify_wait(&notify), ==, 0);
	expect(rota_barrier_wait(&barrier), ==, ROTA_BARRIER_LEADER);
	expect(rota_wait_group_wait(&group), ==, 0);
	expect(rota_once_run(&once, seven, NULL), ==, 7);
	expect(rota_oneshot_send(&oneshot, &value), ==, 0);
	expect(rota_oneshot_recv(&oneshot, &value), ==, 0);
	expect(value == &value, ==, 1);
}

static int send_odd(void *arg)
{
	const struct odd odd = { { 0, 0, 0, 0, 42 } };

	return rota_channel_send(arg, &odd);
}

/* Through `channel`, `n` that find room, in three rounds, so that they lie in each place; then those that do not. */
static void use_channel(struct rota_channel *channel, uint16_t n)
{
	for (int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < n; i++)
			expect(rota_channel_try_send(channel, &(struct odd){ { i, 0, 0, 0, (uint16_t)~i } }), ==, 0);
		expect(rota_channel_length(channel), ==, n);
		for (uint16_t i = 0; i < n; i++) {
			struct odd odd;

			expect(rota_channel_recv(channel, &odd), ==, 0);
			expect(odd.a[0], ==, i);
			expect(odd.a[4], ==, (uint16_t)~i);
		}
	}
}

static void buffers_script(const struct place *place)
{
	struct rota_broadcast_receiver receiver;
	struct rota_watch_receiver watcher;
	struct odd odd = { { 7, 0, 0, 0, 7 } };
	rota_task *task;

	rota_broadcast_subscribe(&broadcast, &receiver);
	rota_watch_subscribe(&watch, &watcher);
	use_channel(&bounded, 3);
	use_channel(&bounded, 2);
	use_channel(&unbounded, 100);
	expect(rota_channel_try_send(&rendezvous, &odd), ==, -EAGAIN);
	expect(rota_spawn_on(place->rt, &task, send_odd, &rendezvous), ==, 0);
	expect(rota_channel_recv(&rendezvous, &odd), ==, 0);
	expect(odd.a[4], ==, 42);
	expect(rota_join(task, NULL), ==, 0);

	for (uint16_t i = 0; i < 6; i++)
		expect(rota_broadcast_send(&broadcast, &(struct odd){ { i, 0, 0, 0, i } }), ==, 0);
	expect(rota_broadcast_recv(&receiver, &odd), ==, -EOVERFLOW);
	expect(receiver.missed, ==, 2);
	for (uint16_t i = 2; i < 6; i++) {
		expect(rota_broadcast_recv(&receiver, &odd), ==, 0);
		expect(odd.a[0] + odd.a[4], ==, 2 * i);
	}

	rota_watch_get(&watch, &odd);
	expect(odd.a[0] * 10 + odd.a[4], ==, 15);
	expect(rota_watch_try_changed(&watcher, &odd), ==, -EAGAIN);
	expect(rota_watch_send(&watch, &(struct odd){ { 6, 7, 8, 9, 10 } }), ==, 0);
	expect(rota_watch_changed(&watcher, &odd), ==, 0);
	expect(odd.a[0] * 10 + odd.a[4], ==, 70);
}

/* Those with a buffer have it in the program's memory, which their ends leave alone. */
UNIT_TEST(sync, static_initialisers_with_buffers)
{
	struct odd odd;

	place_run(&place_kinds[1], 0, buffers_script, NULL);
	for (int twice = 0; twice < 2; twice++) {
		expect(rota_channel_deinit(&bounded), ==, 0);
		expect(rota_channel_deinit(&unbounded), ==, 0);
		expect(rota_channel_deinit(&rendezvous), ==, 0);
		expect(rota_broadcast_deinit(&broadcast), ==, 0);
		expect(rota_watch_deinit(&watch), ==, 0);
	}
	expect(rota_channel_try_recv(&bounded, &odd), ==, -EPIPE);
}

/* --- no allocation --------------------------------------------------------------------------------------------------------- */

/* Two tasks that hand a turn to and fro by each primitive, so that each of them waits there. */
struct table {
	struct rota_mutex mutex, inner;
	struct rota_cond cond;
	bool flag; /* under the mutex */
	struct rota_rwlock rwlock;
	struct rota_semaphore semaphore;
	struct rota_notify notify;
	struct rota_barrier barrier;
	struct rota_wait_group group;
	struct rota_once once;
	struct rota_oneshot oneshot;
	struct rota_channel full, empty;
	struct rota_broadcast broadcast;
	struct rota_watch watch;
	struct rota_broadcast_receiver listener;
	struct rota_watch_receiver watcher;
	struct rota_mutex held;
	struct rota_rwlock read, written;
	struct rota_channel meeting; /* without room */
	struct rota_channel done;    /* of one step */
	bool begun;                  /* atomic: the thread that waits */
};

/* What is waited for, one after another: each once, those with a deadline that does not come, other ways to wait for the same. */
enum step {
	STEP_COND,
	STEP_RDLOCK,
	STEP_ACQUIRE,
	STEP_NOTIFY,
	STEP_BARRIER,
	STEP_GROUP,
	STEP_ONCE,
	STEP_ONESHOT,
	STEP_RECV,
	STEP_SEND,
	STEP_BROADCAST,
	STEP_CHANGED,
	STEP_ACQUIRE_UNTIL,
	STEP_LOCK_UNTIL,
	STEP_RDLOCK_UNTIL,
	STEP_WRLOCK_UNTIL,
	STEP_COND_UNTIL,
	STEP_SEND_UNTIL,
	STEP_RECV_UNTIL,
	STEP_LOCK,
	STEP_WRLOCK,
	STEP_RESERVE,
	STEP_SEND_MANY,
	STEP_RECV_MANY,
	STEP_MEETING_SEND,
	STEP_MEETING_RECV,
	STEP_WATCH_UNTIL_TWO,
	STEPS
};

#define FAR (rota_now() + ROTA_SECONDS(3600))

/* Waits with a deadline that does not come. */
static int wait_step_until(struct table *t, int step)
{
	uint64_t value = 0;
	int rc = 0;

	switch (step) {
	case STEP_ACQUIRE_UNTIL:
		return rota_semaphore_acquire_until(&t->semaphore, 1, FAR);
	case STEP_LOCK_UNTIL:
		rc = rota_mutex_lock_until(&t->held, FAR);
		rota_mutex_unlock(&t->held);
		return rc;
	case STEP_RDLOCK_UNTIL:
		rc = rota_rwlock_rdlock_until(&t->written, FAR);
		return rc < 0 ? rc : rota_rwlock_unlock(&t->written);
	case STEP_WRLOCK_UNTIL:
		rc = rota_rwlock_wrlock_until(&t->read, FAR);
		return rc < 0 ? rc : rota_rwlock_unlock(&t->read);
	case STEP_COND_UNTIL:
		rota_mutex_lock(&t->mutex);
		while (t->flag && rc == 0)
			rc = rota_cond_wait_until(&t->cond, &t->mutex, FAR);
		rota_mutex_unlock(&t->mutex);
		return rc;
	case STEP_SEND_UNTIL:
		return rota_channel_send_until(&t->full, &value, FAR);
	default: /* STEP_RECV_UNTIL */
		return rota_channel_recv_until(&t->empty, &value, FAR);
	}
}

static bool is_two(const void *value, void *arg)
{
	(void)arg;
	return *(const uint64_t *)value == 2;
}

/* Other ways to wait for the same. */
static int wait_step_otherwise(struct table *t, int step)
{
	uint64_t values[2] = { 0, 0 };
	ssize_t n;
	int rc;

	switch (step) {
	case STEP_LOCK:
		rota_mutex_lock(&t->held);
		rota_mutex_unlock(&t->held);
		return 0;
	case STEP_WRLOCK:
		rc = rota_rwlock_wrlock(&t->read);
		return rc < 0 ? rc : rota_rwlock_unlock(&t->read);
	case STEP_RESERVE:
		rc = rota_channel_reserve(&t->full);
		return rc < 0 ? rc : rota_channel_send_reserved(&t->full, values);
	case STEP_SEND_MANY:
		n = rota_channel_send_many(&t->full, values, 2);
		return n == 2 ? 0 : -EBADMSG;
	case STEP_RECV_MANY:
		n = rota_channel_recv_many(&t->empty, values, 2);
		return n == 1 ? 0 : -EBADMSG;
	case STEP_MEETING_SEND:
		return rota_channel_send(&t->meeting, values);
	case STEP_MEETING_RECV:
		return rota_channel_recv(&t->meeting, values);
	case STEP_WATCH_UNTIL_TWO:
		return rota_watch_wait_for(&t->watcher, is_two, NULL, values);
	default:
		return -ENOENT;
	}
}

/* One step a call: waits for what the other one gives. */
static int wait_step(struct table *t, int step)
{
	uint64_t value = 0;
	void *sent;
	int rc = 0;

	switch (step) {
	case STEP_COND:
		rota_mutex_lock(&t->mutex);
		while (!t->flag && rc == 0)
			rc = rota_cond_wait(&t->cond, &t->mutex);
		rota_mutex_unlock(&t->mutex);
		return rc;
	case STEP_RDLOCK:
		rc = rota_rwlock_rdlock(&t->rwlock);
		return rc < 0 ? rc : rota_rwlock_unlock(&t->rwlock);
	case STEP_ACQUIRE:
		return rota_semaphore_acquire(&t->semaphore, 1);
	case STEP_NOTIFY:
		return rota_notify_wait(&t->notify);
	case STEP_BARRIER:
		rc = rota_barrier_wait(&t->barrier);
		return rc < 0 ? rc : 0;
	case STEP_GROUP:
		return rota_wait_group_wait(&t->group);
	case STEP_ONCE:
		rc = rota_once_run(&t->once, seven, NULL);
		return rc == 5 ? 0 : -EBADMSG;
	case STEP_ONESHOT:
		return rota_oneshot_recv(&t->oneshot, &sent);
	case STEP_RECV:
		return rota_channel_recv(&t->empty, &value);
	case STEP_SEND:
		return rota_channel_send(&t->full, &value);
	case STEP_BROADCAST:
		return rota_broadcast_recv(&t->listener, &value);
	case STEP_CHANGED:
		return rota_watch_changed(&t->watcher, &value);
	default:
		return step <= STEP_RECV_UNTIL ? wait_step_until(t, step) : wait_step_otherwise(t, step);
	}
}

/* What the steps wait for, by one who is not to wait. */
static void hold_for_steps(struct table *t)
{
	rota_mutex_lock(&t->held);
	expect(rota_rwlock_rdlock(&t->read), ==, 0);
	expect(rota_rwlock_wrlock(&t->written), ==, 0);
}

/* Locks that are waited for once more, while the waiter is at a step between. */
static void hold_again(struct table *t, int step)
{
	if (step == STEP_SEND_UNTIL)
		rota_mutex_lock(&t->held);
	else if (step == STEP_RECV_UNTIL)
		expect(rota_rwlock_rdlock(&t->read), ==, 0);
}

/* The other one, once it waits. */
static void give_step(struct table *t, int step)
{
	uint64_t value = 1;

	switch (step) {
	case STEP_LOCK_UNTIL:
	case STEP_LOCK:
		rota_mutex_unlock(&t->held);
		break;
	case STEP_RDLOCK_UNTIL:
		expect(rota_rwlock_unlock(&t->written), ==, 0);
		break;
	case STEP_WRLOCK_UNTIL:
	case STEP_WRLOCK:
		expect(rota_rwlock_unlock(&t->read), ==, 0);
		break;
	case STEP_COND_UNTIL:
		rota_mutex_lock(&t->mutex);
		t->flag = false;
		rota_cond_signal(&t->cond);
		rota_mutex_unlock(&t->mutex);
		break;
	case STEP_SEND_UNTIL:
	case STEP_RESERVE:
		expect(rota_channel_recv(&t->full, &value), ==, 0);
		break;
	case STEP_SEND_MANY:
		for (int i = 0; i < 2; i++)
			expect(rota_channel_recv(&t->full, &value), ==, 0);
		break;
	case STEP_RECV_UNTIL:
	case STEP_RECV_MANY:
		expect(rota_channel_send(&t->empty, &value), ==, 0);
		break;
	case STEP_MEETING_SEND:
		expect(rota_channel_recv(&t->meeting, &value), ==, 0);
		break;
	case STEP_MEETING_RECV:
		expect(rota_channel_send(&t->meeting, &value), ==, 0);
		break;
	case STEP_WATCH_UNTIL_TWO:
		value = 2;
		expect(rota_watch_send(&t->watch, &value), ==, 0);
		break;
	case STEP_COND:
		rota_mutex_lock(&t->mutex);
		t->flag = true;
		rota_cond_signal(&t->cond);
		rota_mutex_unlock(&t->mutex);
		break;
	case STEP_RDLOCK:
		expect(rota_rwlock_unlock(&t->rwlock), ==, 0);
		break;
	case STEP_ACQUIRE:
	case STEP_ACQUIRE_UNTIL:
		expect(rota_semaphore_release(&t->semaphore, 1), ==, 0);
		break;
	case STEP_NOTIFY:
		rota_notify_one(&t->notify);
		break;
	case STEP_BARRIER:
		expect(rota_barrier_wait(&t->barrier), ==, ROTA_BARRIER_LEADER);
		break;
	case STEP_GROUP:
		expect(rota_wait_group_done(&t->group), ==, 0);
		break;
	case STEP_ONCE:
		expect(rota_once_end(&t->once, 5), ==, 0);
		break;
	case STEP_ONESHOT:
		expect(rota_oneshot_send(&t->oneshot, t), ==, 0);
		break;
	case STEP_RECV:
		expect(rota_channel_send(&t->empty, &value), ==, 0);
		break;
	case STEP_SEND:
		expect(rota_channel_recv(&t->full, &value), ==, 0);
		break;
	case STEP_BROADCAST:
		expect(rota_broadcast_send(&t->broadcast, &value), ==, 0);
		break;
	default: /* STEP_CHANGED */
		expect(rota_watch_send(&t->watch, &value), ==, 0);
		break;
	}
}

static int waiter(void *arg)
{
	struct table *t = arg;
	int rc = 0;

	for (int step = 0; rc == 0; step++) {
		rc = wait_step(t, step);
		if (rc == 0)
			rc = rota_channel_send(&t->done, &step);
	}
	return rc;
}

static void *waiting_thread(void *arg)
{
	struct table *t = arg;

	rota_thread_waker(); /* the first wait of a thread makes what it sleeps by */
	__atomic_store_n(&t->begun, true, __ATOMIC_RELEASE);
	return (void *)(intptr_t)waiter(arg);
}

static void table_init(struct table *t)
{
	struct rota_once_op turn;
	uint64_t value = 0;

	*t = (struct table){ .mutex = ROTA_MUTEX_INIT,
			     .inner = ROTA_MUTEX_INIT,
			     .cond = ROTA_COND_INIT,
			     .rwlock = ROTA_RWLOCK_INIT,
			     .semaphore = ROTA_SEMAPHORE_INIT(0),
			     .notify = ROTA_NOTIFY_INIT,
			     .barrier = ROTA_BARRIER_INIT(2),
			     .group = ROTA_WAIT_GROUP_INIT,
			     .once = ROTA_ONCE_INIT,
			     .oneshot = ROTA_ONESHOT_INIT,
			     .held = ROTA_MUTEX_INIT,
			     .read = ROTA_RWLOCK_INIT,
			     .written = ROTA_RWLOCK_INIT };
	expect(rota_channel_init(&t->meeting, 8, 0), ==, 0);
	expect(rota_channel_init(&t->done, sizeof(int), 1), ==, 0);
	expect(rota_channel_init(&t->full, 8, 1), ==, 0);
	expect(rota_channel_init(&t->empty, 8, 1), ==, 0);
	expect(rota_broadcast_init(&t->broadcast, 8, 2), ==, 0);
	expect(rota_watch_init(&t->watch, 8, &value), ==, 0);
	rota_broadcast_subscribe(&t->broadcast, &t->listener);
	rota_watch_subscribe(&t->watch, &t->watcher);
	expect(rota_channel_send(&t->full, &value), ==, 0);
	expect(rota_rwlock_wrlock(&t->rwlock), ==, 0);
	rota_wait_group_add(&t->group, 1);
	rota_once_begin_init(&turn, &t->once);
	expect(rota_await(&turn.future), ==, ROTA_ONCE_TURN);
}

static void table_deinit(struct table *t)
{
	expect(rota_channel_deinit(&t->meeting), ==, 0);
	expect(rota_channel_deinit(&t->done), ==, 0);
	expect(rota_channel_deinit(&t->full), ==, 0);
	expect(rota_channel_deinit(&t->empty), ==, 0);
	expect(rota_broadcast_deinit(&t->broadcast), ==, 0);
	expect(rota_watch_deinit(&t->watch), ==, 0);
}

/* Step by step, with somebody who does the waiting. From the first wait on nobody may allocate. */
static void give_steps(struct table *t)
{
	int step;

	for (int i = 0; i < STEPS; i++) {
		rota_sleep(ROTA_MS(2)); /* most likely it waits by now; what is asked holds either way */
		if (i == STEP_COND)
			rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
		hold_again(t, i);
		give_step(t, i);
		expect(rota_channel_recv(&t->done, &step), ==, 0);
		expect(step, ==, i);
	}
}

/* The fault is still there for the next one. */
static void expect_nobody_allocated(void)
{
	struct rota_channel never;

	expect(rota_channel_init(&never, 8, 1), ==, -ENOMEM);
}

static void no_allocation_script(const struct place *place)
{
	struct table t;
	rota_task *task;

	unit_no_more_spares(place->rt);
	table_init(&t);
	hold_for_steps(&t);
	expect(rota_spawn(&task, waiter, &t), ==, 0);
	give_steps(&t);
	unit_expect_join(task, -ENOENT);
	expect_nobody_allocated();
	table_deinit(&t);
}

static void no_allocation_of_a_thread_script(const struct place *place)
{
	struct table t;
	pthread_t thread;
	void *status;

	unit_no_more_spares(place->rt);
	rota_thread_waker();
	table_init(&t);
	hold_for_steps(&t);
	expect(pthread_create(&thread, NULL, waiting_thread, &t), ==, 0);
	while (!__atomic_load_n(&t.begun, __ATOMIC_ACQUIRE))
		sched_yield();
	give_steps(&t);
	expect(pthread_join(thread, &status), ==, 0);
	expect((intptr_t)status, ==, -ENOENT);
	expect_nobody_allocated();
	table_deinit(&t);
}

UNIT_TEST(sync, no_wait_allocates)
{
	in_fibers(no_allocation_script, 0);
}

UNIT_TEST(sync, no_wait_of_a_thread_allocates)
{
	place_run(&place_kinds[0], 0, no_allocation_of_a_thread_script, NULL);
	in_fibers(no_allocation_of_a_thread_script, 0);
}

/* --- what is there at once ----------------------------------------------------------------------------------------------------- */

static bool any_value(const void *value, void *arg)
{
	(void)value;
	(void)arg;
	return true;
}

/* What is waited for at once, whenever it is asked for: begin, wait, end. */
enum { ACQUIRE_ONE, READ, WRITE, LOCK, NOTIFIED, SEND, RECV, HEAR, SEE, PASS, NOTHING_TO_DO, DONE_BEFORE, AT_ONCE };

static void begin_at_once(struct table *t, int which)
{
	const uint64_t value = 1;

	if (which == NOTIFIED)
		rota_notify_one(&t->notify);
	else if (which == RECV)
		expect(rota_channel_try_send(&t->empty, &value), ==, 0);
	else if (which == HEAR)
		expect(rota_broadcast_send(&t->broadcast, &value), ==, 0);
	else if (which == SEE)
		expect(rota_watch_send(&t->watch, &value), ==, 0);
	else if (which == PASS)
		expect(rota_barrier_init(&t->barrier, 1), ==, 0);
}

static int wait_at_once(struct table *t, int which)
{
	uint64_t value = 1;

	switch (which) {
	case ACQUIRE_ONE:
		return rota_semaphore_acquire(&t->semaphore, 1);
	case READ:
		return rota_rwlock_rdlock(&t->rwlock);
	case WRITE:
		return rota_rwlock_wrlock(&t->rwlock);
	case LOCK:
		return rota_mutex_lock_until(&t->mutex, ROTA_NEVER);
	case NOTIFIED:
		return rota_notify_wait(&t->notify);
	case SEND:
		return rota_channel_send(&t->empty, &value);
	case RECV:
		return rota_channel_recv(&t->empty, &value);
	case HEAR:
		return rota_broadcast_recv(&t->listener, &value);
	case SEE:
		return rota_watch_changed(&t->watcher, &value);
	case PASS:
		return rota_barrier_wait(&t->barrier);
	case NOTHING_TO_DO:
		return rota_wait_group_wait(&t->group);
	default:
		value = 0;
		return rota_watch_wait_for(&t->watcher, any_value, NULL, &value);
	}
}

static void end_at_once(struct table *t, int which)
{
	uint64_t value;

	if (which == ACQUIRE_ONE)
		expect(rota_semaphore_release(&t->semaphore, 1), ==, 0);
	else if (which == READ || which == WRITE)
		expect(rota_rwlock_unlock(&t->rwlock), ==, 0);
	else if (which == LOCK)
		rota_mutex_unlock(&t->mutex);
	else if (which == SEND)
		expect(rota_channel_try_recv(&t->empty, &value), ==, 0);
}

static void table_of_what_is_there(struct table *t)
{
	table_init(t);
	expect(rota_rwlock_unlock(&t->rwlock), ==, 0);
	expect(rota_semaphore_release(&t->semaphore, 1), ==, 0);
	expect(rota_wait_group_done(&t->group), ==, 0);
}

static bool others_ran; /* on one thread */

static int other(void *arg)
{
	(void)arg;
	others_ran = true;
	return 0;
}

/* A fiber that never has to wait would go on for ever, but for the turn that it leaves to others now and then. */
static void turns_script(const struct place *place)
{
	struct table t;
	rota_task *task;

	(void)place;
	table_of_what_is_there(&t);
	for (int which = 0; which < AT_ONCE; which++) {
		others_ran = false;
		expect(rota_spawn(&task, other, NULL), ==, 0);
		while (!others_ran) {
			begin_at_once(&t, which);
			expect(wait_at_once(&t, which), >=, 0);
			end_at_once(&t, which);
		}
		expect(rota_join(task, NULL), ==, 0);
	}
	table_deinit(&t);
}

UNIT_TEST(sync, who_never_waits_leaves_a_turn_to_others)
{
	place_run(&place_kinds[2], 0, turns_script, NULL);
}

struct asked {
	struct table *table;
	int which;
	bool used_up; /* its share of calls without a turn for others */
};

static int asked_to_stop(void *arg)
{
	struct asked *asked = arg;

	expect(rota_cancelled(), ==, true);
	if (asked->used_up) {
		for (int i = 0; i < 1000; i++)
			expect(rota_wait_group_wait(&asked->table->group), ==, -ECANCELED);
	}
	return wait_at_once(asked->table, asked->which);
}

/* Who was asked to stop learns it at the next wait, though it would be over at once, and takes nothing. */
static void asked_script(const struct place *place)
{
	struct table t;
	rota_task *task;

	(void)place;
	table_of_what_is_there(&t);
	for (int i = 0; i < 2 * AT_ONCE; i++) {
		struct asked asked = { &t, i / 2, i % 2 != 0 };

		begin_at_once(&t, asked.which);
		expect(rota_spawn(&task, asked_to_stop, &asked), ==, 0);
		expect(rota_cancel(task), ==, 0); /* before it has begun: on one thread */
		unit_expect_join(task, -ECANCELED);
		expect(wait_at_once(&t, asked.which), >=, 0);
		end_at_once(&t, asked.which);
	}
	table_deinit(&t);
}

UNIT_TEST(sync, who_was_asked_to_stop_takes_nothing)
{
	place_run(&place_kinds[2], 0, asked_script, NULL);
}

/* --- deadlines ------------------------------------------------------------------------------------------------------------- */

enum { LOCK_UNTIL, READ_UNTIL, WRITE_UNTIL, ACQUIRE_UNTIL, SEND_UNTIL, RECV_UNTIL, SIGNALLED_UNTIL, DEADLINES };

struct long_wait {
	struct table *table;
	int which;
	uint64_t deadline;
	bool began; /* on one thread */
};

static int wait_long(void *arg)
{
	struct long_wait *w = arg;
	struct table *t = w->table;
	uint64_t value = 0;
	int rc;

	w->began = true;
	switch (w->which) {
	case LOCK_UNTIL:
		return rota_mutex_lock_until(&t->mutex, w->deadline);
	case READ_UNTIL:
		return rota_rwlock_rdlock_until(&t->rwlock, w->deadline);
	case WRITE_UNTIL:
		return rota_rwlock_wrlock_until(&t->rwlock, w->deadline);
	case ACQUIRE_UNTIL:
		return rota_semaphore_acquire_until(&t->semaphore, 1, w->deadline);
	case SEND_UNTIL:
		return rota_channel_send_until(&t->full, &value, w->deadline);
	case RECV_UNTIL:
		return rota_channel_recv_until(&t->empty, &value, w->deadline);
	default:
		rota_mutex_lock(&t->inner);
		rc = rota_cond_wait_until(&t->cond, &t->inner, w->deadline);
		rota_mutex_unlock(&t->inner);
		return rc;
	}
}

/* Who waits until a deadline, long before it, learns that it was asked to stop. */
static void deadlines_script(const struct place *place)
{
	struct table t;
	rota_task *task;

	(void)place;
	table_init(&t); /* which holds what it does, so that all wait */
	rota_mutex_lock(&t.mutex);
	for (int which = 0; which < DEADLINES; which++) {
		struct long_wait w = { &t, which, rota_now() + ROTA_SECONDS(3600), false };

		expect(rota_spawn(&task, wait_long, &w), ==, 0);
		while (!w.began)
			rota_yield();
		rota_yield();
		expect(rota_cancel(task), ==, 0);
		unit_expect_join(task, -ECANCELED);
	}
	rota_mutex_unlock(&t.mutex);
	table_deinit(&t);
}

UNIT_TEST(sync, who_waits_until_a_deadline_can_be_stopped)
{
	place_run(&place_kinds[2], 0, deadlines_script, NULL);
}

/* --- reports --------------------------------------------------------------------------------------------------------------- */

static int clumsy(void *arg)
{
	(void)arg;
	expect(rota_wait_group_done(&group), ==, -EINVAL);
	return 0;
}

static void clumsy_script(const struct place *place)
{
	const struct rota_task_attr attr = { .name = "butterfingers" };
	rota_task *task;

	(void)place;
	expect(rota_spawn_with(&task, &attr, clumsy, NULL), ==, 0);
	expect(rota_join(task, NULL), ==, 0);
}

UNIT_TEST(sync, misuse_names_the_task, .signal = UNIT_MISUSE_SIGNAL)
{
	struct unit_capture capture;

	unit_capture_begin(&capture);
	place_run(&place_kinds[1], 0, clumsy_script, NULL);
	expect_contains(unit_capture_end(&capture), "\"butterfingers\"");
}
