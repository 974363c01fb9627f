/* SPDX-License-Identifier: MIT */
/* A million cancels over the kinds of wait, by torment.h. What comes rarely, or slowly, is in cancel_more.c. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "torment.h"

struct leader {
	struct torment t;
	int pair[2];
	int listener, client;
	int file;
	struct sockaddr_un address;
	struct rota_channel channel;
	struct rota_semaphore permits;
	struct rota_notify notify;
	struct rota_mutex mutex;
	struct rota_rwlock rwlock;
	struct rota_cond cond;
	struct rota_oneshot oneshot;
	/* the victim's */
	struct rota_op op;
	struct rota_channel_op receive;
	struct rota_semaphore_op acquire;
	char byte;
	int element;
	struct rota_atomic_u32 ran;    /* offloaded functions */
	struct rota_atomic_u32 inside; /* children of a scope */
};

/* --- time and tasks ------------------------------------------------------------------------------------------------------ */

static int nap(void *arg)
{
	return rota_sleep((uintptr_t)arg);
}

static int sleep_a_while(struct leader *l)
{
	return rota_sleep(l->t.dice);
}

static int yield(struct leader *l)
{
	(void)l;
	return rota_yield();
}

static int tick(struct leader *l)
{
	struct rota_interval interval;
	int rc = rota_interval_init(&interval, ROTA_US(70), ROTA_MISSED_SKIP);

	(void)l;
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = rota_interval_tick(&interval, NULL);
	return rc;
}

static int join_a_napper(struct leader *l)
{
	rota_task *task;
	int status, rc;

	(void)l;
	rc = rota_spawn(&task, nap, (void *)(uintptr_t)ROTA_US(20));
	expect(rc, ==, 0);
	rc = rota_join(task, &status);
	if (rc == 0) {
		expect(status, ==, 0);
		return 1;
	}
	rota_cancel(task);
	rota_shield_enter();
	expect(rota_join(task, &status), ==, 0);
	rota_shield_leave();
	expect(status == 0 || status == -ECANCELED, ==, 1);
	return rc;
}

static int stay_inside(void *arg)
{
	struct leader *l = arg;
	int rc;

	rota__fetch_add(&l->inside, 1, SEQ_CST);
	rc = rota_sleep(ROTA_US(30));
	rota__fetch_sub(&l->inside, 1, SEQ_CST);
	return rc;
}

static int open_a_scope(struct leader *l)
{
	struct rota_scope scope;
	int rc = rota_scope_open(&scope, ROTA_US(l->t.dice % 2 ? 10000 : 20));

	expect(rc, ==, 0);
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, stay_inside, l);
	rc = rota_scope_close(&scope);
	expect(rota__load(&l->inside, SEQ_CST), ==, 0);
	return rc == 0 ? 1 : -ECANCELED;
}

static void no_run(struct leader *l)
{
	rota__store(&l->ran, 0, SEQ_CST);
}

static int count_run(void *arg)
{
	rota__fetch_add(&((struct leader *)arg)->ran, 1, SEQ_CST);
	return 7;
}

static int offload(struct leader *l)
{
	return rota_offload(count_run, l);
}

static void ran_if_it_says_so(struct leader *l, bool taken)
{
	expect(rota__load(&l->ran, SEQ_CST), ==, taken ? 1 : 0);
}

/* --- descriptors --------------------------------------------------------------------------------------------------------- */

static int receive_byte(struct leader *l)
{
	return (int)rota_recv(l->pair[0], &l->byte, 1, 0);
}

static struct rota_future *carry_receive_byte(struct leader *l)
{
	rota_op_recv(&l->op, l->pair[0], &l->byte, 1, 0);
	return &l->op.future;
}

static void send_byte(struct leader *l)
{
	expect(send(l->pair[1], "x", 1, 0), ==, 1);
}

static void byte_once(struct leader *l, bool taken)
{
	char rest[4];

	expect(recv(l->pair[0], rest, sizeof(rest), MSG_DONTWAIT), ==, l->t.come && !taken ? 1 : -1);
}

static int accept_one(struct leader *l)
{
	return take_descriptor(rota_accept(l->listener, NULL, NULL));
}

static void connect_client(struct leader *l)
{
	l->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(connect(l->client, (struct sockaddr *)&l->address, sizeof(l->address)), ==, 0);
}

static void accepted_once(struct leader *l, bool taken)
{
	if (l->t.come && !taken)
		close(accept(l->listener, NULL, NULL));
	if (l->t.come)
		close(l->client);
}

static int open_one(struct leader *l)
{
	(void)l;
	return take_descriptor(rota_open("/dev/null", O_RDONLY, 0));
}

static int sync_file(struct leader *l)
{
	return rota_fsync(l->file);
}

/* --- what tasks share ---------------------------------------------------------------------------------------------------- */

static int receive(struct leader *l)
{
	return one_if(rota_channel_recv(&l->channel, &l->element));
}

static struct rota_future *carry_receive(struct leader *l)
{
	rota_channel_recv_init(&l->receive, &l->channel, &l->element);
	return &l->receive.future;
}

static void send_element(struct leader *l)
{
	expect(rota_channel_try_send(&l->channel, &(int){ 5 }), ==, 0);
}

static void element_once(struct leader *l, bool taken)
{
	int got;

	expect(rota_channel_try_recv(&l->channel, &got), ==, l->t.come && !taken ? 0 : -EAGAIN);
	expect(taken ? l->element : 5, ==, 5);
}

static void fill_channel(struct leader *l)
{
	expect(rota_channel_try_send(&l->channel, &(int){ 1 }), ==, 0);
}

static int send_to_full(struct leader *l)
{
	return one_if(rota_channel_send(&l->channel, &(int){ 8 }));
}

static void take_first(struct leader *l)
{
	int got;

	expect(rota_channel_try_recv(&l->channel, &got), ==, 0);
}

static void first_and_sent(struct leader *l, bool taken)
{
	int got;

	expect(rota_channel_length(&l->channel), ==, (l->t.come ? 0u : 1u) + (taken ? 1u : 0u));
	while (rota_channel_try_recv(&l->channel, &got) == 0)
		expect(got == 1 || got == 8, ==, 1);
}

static int acquire(struct leader *l)
{
	return one_if(rota_semaphore_acquire(&l->permits, 1));
}

static struct rota_future *carry_acquire(struct leader *l)
{
	rota_semaphore_acquire_init(&l->acquire, &l->permits, 1);
	return &l->acquire.future;
}

static void release(struct leader *l)
{
	expect(rota_semaphore_release(&l->permits, 1), ==, 0);
}

static void permit_once(struct leader *l, bool taken)
{
	expect(rota_semaphore_available(&l->permits), ==, l->t.come && !taken ? 1 : 0);
	if (l->t.come && !taken)
		expect(rota_semaphore_try_acquire(&l->permits, 1), ==, 0);
}

static int wait_for_notification(struct leader *l)
{
	return one_if(rota_notify_wait(&l->notify));
}

static void notify(struct leader *l)
{
	rota_notify_one(&l->notify);
}

static bool notified(struct rota_notify *notify)
{
	struct rota_notify_op op;
	struct rota_yield_op now;
	size_t which;

	rota_notify_wait_init(&op, notify);
	rota_yield_init(&now);
	(void)ROTA_AWAIT_ANY_BIASED(&which, &op.future, &now.future);
	return op.future.status == 0;
}

static void notification_once(struct leader *l, bool taken)
{
	expect(notified(&l->notify), ==, l->t.come && !taken);
}

static void lock(struct leader *l)
{
	rota_mutex_lock(&l->mutex);
}

static int lock_it(struct leader *l)
{
	struct rota_mutex_lock_op op;
	int rc;

	rota_mutex_lock_init(&op, &l->mutex);
	rc = rota_await(&op.future);
	if (rc < 0)
		return rc;
	rota_mutex_unlock(&l->mutex);
	return 1;
}

static void unlock(struct leader *l)
{
	rota_mutex_unlock(&l->mutex);
}

static void mutex_is_free(struct leader *l, bool taken)
{
	(void)taken;
	if (!l->t.come)
		rota_mutex_unlock(&l->mutex);
	expect(rota_mutex_trylock(&l->mutex), ==, 0);
	rota_mutex_unlock(&l->mutex);
}

static void read_lock(struct leader *l)
{
	expect(rota_rwlock_tryrdlock(&l->rwlock), ==, 0);
}

static int lock_for_writing(struct leader *l)
{
	int rc = rota_rwlock_wrlock(&l->rwlock);

	if (rc == 0)
		expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
	return one_if(rc);
}

static void read_unlock(struct leader *l)
{
	expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
}

static void rwlock_is_free(struct leader *l, bool taken)
{
	(void)taken;
	if (!l->t.come)
		read_unlock(l);
	expect(rota_rwlock_trywrlock(&l->rwlock), ==, 0);
	expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
}

static int wait_for_cond(struct leader *l)
{
	int rc;

	rota_mutex_lock(&l->mutex);
	rc = rota_cond_wait(&l->cond, &l->mutex);
	/* The mutex is the waiter's again in any case. */
	expect(rota_mutex_trylock(&l->mutex), ==, -EBUSY);
	rota_mutex_unlock(&l->mutex);
	return one_if(rc);
}

static void signal_cond(struct leader *l)
{
	rota_cond_signal(&l->cond);
}

static void new_oneshot(struct leader *l)
{
	rota_oneshot_init(&l->oneshot);
}

static int wait_for_value(struct leader *l)
{
	void *value;

	return one_if(rota_oneshot_recv(&l->oneshot, &value));
}

static void send_value(struct leader *l)
{
	expect(rota_oneshot_send(&l->oneshot, l), ==, 0);
}

static void value_once(struct leader *l, bool taken)
{
	void *value;

	expect(rota_oneshot_try_recv(&l->oneshot, &value), ==, taken ? -EPIPE : l->t.come ? 0 : -EAGAIN);
}

/* --- any ----------------------------------------------------------------------------------------------------------------- */

static int wait_for_any(struct leader *l)
{
	struct rota_timer timer;
	size_t which;
	int status;

	rota_op_recv(&l->op, l->pair[0], &l->byte, 1, 0);
	rota_channel_recv_init(&l->receive, &l->channel, &l->element);
	rota_timer_init(&timer, rota_now() + ROTA_US(50));
	status = ROTA_AWAIT_ANY(&which, &l->op.future, &timer.future, &l->receive.future);
	expect(l->receive.future.status, ==, -ECANCELED); /* nobody sends to it here */
	/* Whatever won, the losers may have something as well. */
	return l->op.future.status == 1 ? 1 : status;
}

static const struct torment_kind kinds[] = {
	{ .suffer = sleep_a_while },
	{ .suffer = yield },
	{ .suffer = tick },
	{ .suffer = join_a_napper },
	{ .suffer = open_a_scope },
	{ .prepare = no_run, .suffer = offload, .settle = ran_if_it_says_so },
	{ .suffer = receive_byte, .bring = send_byte, .settle = byte_once },
	{ .carry = carry_receive_byte, .bring = send_byte, .settle = byte_once },
	{ .suffer = accept_one, .bring = connect_client, .settle = accepted_once },
	{ .suffer = open_one },
	{ .suffer = sync_file },
	{ .suffer = receive, .bring = send_element, .settle = element_once },
	{ .carry = carry_receive, .bring = send_element, .settle = element_once },
	{ .prepare = fill_channel, .suffer = send_to_full, .bring = take_first, .settle = first_and_sent },
	{ .suffer = acquire, .bring = release, .settle = permit_once },
	{ .carry = carry_acquire, .bring = release, .settle = permit_once },
	{ .suffer = wait_for_notification, .bring = notify, .settle = notification_once },
	{ .prepare = lock, .suffer = lock_it, .bring = unlock, .settle = mutex_is_free },
	{ .prepare = read_lock, .suffer = lock_for_writing, .bring = read_unlock, .settle = rwlock_is_free },
	{ .suffer = wait_for_cond, .bring = signal_cond },
	{ .prepare = new_oneshot, .suffer = wait_for_value, .bring = send_value, .settle = value_once },
	{ .suffer = wait_for_any, .bring = send_byte, .settle = byte_once },
};

/* --- the leader ---------------------------------------------------------------------------------------------------------- */

static void leader_init(struct leader *l)
{
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->pair), ==, 0);
	l->address.sun_family = AF_UNIX;
	/* An abstract name. */
	snprintf(l->address.sun_path + 1, sizeof(l->address.sun_path) - 1, "rota-cancel-%d-%u", getpid(), l->t.number);
	l->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(bind(l->listener, (struct sockaddr *)&l->address, sizeof(l->address)), ==, 0);
	expect(listen(l->listener, 8), ==, 0);
	l->file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	expect(l->file, >=, 0);
	expect(rota_channel_init(&l->channel, sizeof(int), 1), ==, 0);
	rota_semaphore_init(&l->permits, 0);
	rota_notify_init(&l->notify);
	rota_mutex_init(&l->mutex);
	rota_rwlock_init(&l->rwlock);
	rota_cond_init(&l->cond);
}

static void leader_deinit(struct leader *l)
{
	rota_channel_deinit(&l->channel);
	close(l->pair[0]);
	close(l->pair[1]);
	close(l->listener);
	close(l->file);
}

int main(int argc, char **argv)
{
	static const struct torment_plan plan = {
		.kinds = kinds,
		.kind_count = sizeof(kinds) / sizeof(kinds[0]),
		.cancels = STRESS_FEWER(1000000u),
		.leader_size = sizeof(struct leader),
		.init = leader_init,
		.deinit = leader_deinit,
	};

	return torment_main(argc, argv, &plan);
}
