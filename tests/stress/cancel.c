/* SPDX-License-Identifier: MIT */
/*
 * A million cancels over the kinds of wait; what comes rarely, or slowly, is in cancel_more.c. A leader spawns one victim after the other, which waits once; whether what
 * it waits for comes, and when, is left to chance, as is who cancels it: the leader or a plain thread. However the two
 * meet, the victim's status tells the truth: a byte, an element, a permit, a notification, a descriptor was taken by
 * it, or is still there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "runtime_report.h"
#include "stress.h"

#define LEADERS 6u
#define CANCELS STRESS_FEWER(1000000u) /* all together */
#define CONFIGS 4u

static rota_runtime *runtime_now;
static struct rota_atomic_u64 cancels, ended_well, ended_cancelled;

static void report(void)
{
	if (runtime_now != NULL)
		runtime_report(runtime_now);
}

/* --- what a leader and its victims share ---------------------------------------------------------------------------------- */

enum kind {
	SLEEP,
	YIELD,
	RECV,
	RECV_FUTURE, /* a stackless task */
	ACCEPT,
	OPEN,
	FSYNC,
	RECEIVE, /* from a channel */
	RECEIVE_FUTURE,
	SEND,
	ACQUIRE,
	ACQUIRE_FUTURE,
	NOTIFY,
	LOCK,
	WRITE_LOCK,
	COND,
	ONESHOT,
	JOIN,
	OFFLOAD,
	ANY,
	SCOPE,
	INTERVAL,
	KINDS,
};

struct leader {
	struct stress_random random;
	enum kind kind;
	bool come;     /* what the victim waits for: it comes, or will */
	uint32_t dice; /* the victim's */
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
	struct rota_atomic_u32 waits;  /* a cond's waiter has the mutex */
	struct rota_atomic_u64 napped;
	/* a plain thread may take the handle to cancel it, and says when it is done */
	struct rota_atomic_ptr offered;
	struct rota_atomic_u32 done;
};

/* --- the victims ---------------------------------------------------------------------------------------------------------- */

static int nap(void *arg)
{
	return rota_sleep((uintptr_t)arg);
}

static int count_run(void *arg)
{
	rota__fetch_add(&((struct leader *)arg)->ran, 1, SEQ_CST);
	return 7;
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

/* A descriptor, which is the victim's to close, whatever comes. */
static int take_descriptor(int fd)
{
	if (fd < 0)
		return fd;
	rota_shield_enter();
	expect(rota_close(fd), ==, 0);
	rota_shield_leave();
	return 1;
}

static int join_a_napper(void)
{
	rota_task *task;
	int status, rc;

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

static int wait_for_any(struct leader *l)
{
	struct rota_timer timer;
	size_t which;
	int status;

	rota_op_recv(&l->op, l->pair[0], &l->byte, 1, 0);
	rota_channel_recv_init(&l->receive, &l->channel, &l->element);
	rota_timer_init(&timer, rota_now() + ROTA_US(50));
	status = ROTA_AWAIT_ANY(&which, &l->op.future, &timer.future, &l->receive.future);
	/* Whatever won, the losers may have something as well. */
	return l->op.future.status == 1 ? 1 : status;
}

static int open_a_scope(struct leader *l)
{
	struct rota_scope scope;
	int rc = rota_scope_open(&scope, ROTA_US(l->dice % 2 ? 10000 : 20));

	expect(rc, ==, 0);
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = rota_scope_spawn(&scope, NULL, stay_inside, l);
	rc = rota_scope_close(&scope);
	expect(rota__load(&l->inside, SEQ_CST), ==, 0);
	return rc == 0 ? 1 : -ECANCELED;
}

static int wait_for_cond(struct leader *l)
{
	int rc;

	rota_mutex_lock(&l->mutex);
	rota__store(&l->waits, 1, SEQ_CST);
	rc = rota_cond_wait(&l->cond, &l->mutex);
	/* The mutex is the waiter's again in any case. */
	expect(rota_mutex_trylock(&l->mutex) < 0, ==, 1);
	rota_mutex_unlock(&l->mutex);
	return rc == 0 ? 1 : rc;
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

static int lock_for_writing(struct leader *l)
{
	int rc = rota_rwlock_wrlock(&l->rwlock);

	if (rc < 0)
		return rc;
	expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
	return 1;
}

static int tick(void)
{
	struct rota_interval interval;
	int rc = rota_interval_init(&interval, ROTA_US(70), ROTA_MISSED_SKIP);

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = rota_interval_tick(&interval, NULL);
	return rc;
}

/* 1: it has what it waited for; 0: there was nothing to have; -ECANCELED. */
static int suffer(void *arg)
{
	struct leader *l = arg;
	void *value;
	int rc;

	switch (l->kind) {
	case SLEEP:
		return rota_sleep(l->dice);
	case YIELD:
		return rota_yield();
	case RECV:
		return (int)rota_recv(l->pair[0], &l->byte, 1, 0);
	case ACCEPT:
		return take_descriptor(rota_accept(l->listener, NULL, NULL));
	case OPEN:
		return take_descriptor(rota_open("/dev/null", O_RDONLY, 0));
	case FSYNC:
		return rota_fsync(l->file);
	case RECEIVE:
		rc = rota_channel_recv(&l->channel, &l->element);
		return rc == 0 ? 1 : rc;
	case SEND:
		rc = rota_channel_send(&l->channel, &(int){ 8 });
		return rc == 0 ? 1 : rc;
	case ACQUIRE:
		rc = rota_semaphore_acquire(&l->permits, 1);
		return rc == 0 ? 1 : rc;
	case NOTIFY:
		rc = rota_notify_wait(&l->notify);
		return rc == 0 ? 1 : rc;
	case LOCK:
		return lock_it(l);
	case WRITE_LOCK:
		return lock_for_writing(l);
	case COND:
		return wait_for_cond(l);
	case ONESHOT:
		rc = rota_oneshot_recv(&l->oneshot, &value);
		return rc == 0 ? 1 : rc;
	case JOIN:
		return join_a_napper();
	case OFFLOAD:
		return rota_offload(count_run, l);
	case ANY:
		return wait_for_any(l);
	case SCOPE:
		return open_a_scope(l);
	default:
		return tick();
	}
}

static rota_task *spawn_victim(struct leader *l)
{
	struct rota_future *future = NULL;
	rota_task *task = NULL;

	switch (l->kind) {
	case RECV_FUTURE:
		rota_op_recv(&l->op, l->pair[0], &l->byte, 1, 0);
		future = &l->op.future;
		break;
	case RECEIVE_FUTURE:
		rota_channel_recv_init(&l->receive, &l->channel, &l->element);
		future = &l->receive.future;
		break;
	case ACQUIRE_FUTURE:
		rota_semaphore_acquire_init(&l->acquire, &l->permits, 1);
		future = &l->acquire.future;
		break;
	default:
		expect(rota_spawn(&task, suffer, l), ==, 0);
		return task;
	}
	expect(rota_spawn_future(&task, future), ==, 0);
	return task;
}

/* --- the leader ------------------------------------------------------------------------------------------------------------ */

/* Something that only some kinds wait for is set up. */
static void prepare(struct leader *l)
{
	switch (l->kind) {
	case SEND:
		expect(rota_channel_try_send(&l->channel, &(int){ 1 }), ==, 0); /* full */
		break;
	case LOCK:
		rota_mutex_lock(&l->mutex);
		break;
	case WRITE_LOCK:
		expect(rota_rwlock_tryrdlock(&l->rwlock), ==, 0);
		break;
	case ONESHOT:
		rota_oneshot_init(&l->oneshot);
		break;
	default:
		break;
	}
	rota__store(&l->ran, 0, SEQ_CST);
	rota__store(&l->waits, 0, SEQ_CST);
}

/* What the victim waits for comes. */
static void bring(struct leader *l)
{
	int got;

	switch (l->kind) {
	case RECV:
	case RECV_FUTURE:
	case ANY:
		expect(send(l->pair[1], "x", 1, 0), ==, 1);
		break;
	case ACCEPT:
		l->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		expect(connect(l->client, (struct sockaddr *)&l->address, sizeof(l->address)), ==, 0);
		break;
	case RECEIVE:
	case RECEIVE_FUTURE:
		expect(rota_channel_try_send(&l->channel, &(int){ 5 }), ==, 0);
		break;
	case SEND:
		expect(rota_channel_try_recv(&l->channel, &got), ==, 0);
		break;
	case ACQUIRE:
	case ACQUIRE_FUTURE:
		expect(rota_semaphore_release(&l->permits, 1), ==, 0);
		break;
	case NOTIFY:
		rota_notify_one(&l->notify);
		break;
	case LOCK:
		rota_mutex_unlock(&l->mutex);
		break;
	case WRITE_LOCK:
		expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
		break;
	case COND:
		rota_cond_signal(&l->cond);
		break;
	case ONESHOT:
		expect(rota_oneshot_send(&l->oneshot, l), ==, 0);
		break;
	default:
		break;
	}
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

/* What is still there of what was brought; `taken`: by the victim, as it says. */
static void settle(struct leader *l, bool taken)
{
	char rest[4];
	int got = 0;
	void *value;

	switch (l->kind) {
	case ANY:
		if (l->receive.future.status == 0)
			expect(l->element, ==, 5); /* nobody sends to it here, so it cannot be */
		expect(l->receive.future.status, !=, 0);
		/* fallthrough */
	case RECV:
	case RECV_FUTURE:
		expect(recv(l->pair[0], rest, sizeof(rest), MSG_DONTWAIT), ==, l->come && !taken ? 1 : -1);
		break;
	case ACCEPT:
		if (l->come && !taken)
			close(accept(l->listener, NULL, NULL));
		if (l->come)
			close(l->client);
		break;
	case RECEIVE:
	case RECEIVE_FUTURE:
		expect(rota_channel_try_recv(&l->channel, &got), ==, l->come && !taken ? 0 : -EAGAIN);
		expect(taken ? l->element : 5, ==, 5);
		break;
	case SEND:
		/* The first element, then the victim's. */
		expect(rota_channel_length(&l->channel), ==, (l->come ? 0u : 1u) + (taken ? 1u : 0u));
		while (rota_channel_try_recv(&l->channel, &got) == 0)
			expect(got == 1 || got == 8, ==, 1);
		break;
	case ACQUIRE:
	case ACQUIRE_FUTURE:
		expect(rota_semaphore_available(&l->permits), ==, l->come && !taken ? 1 : 0);
		if (l->come && !taken)
			expect(rota_semaphore_try_acquire(&l->permits, 1), ==, 0);
		break;
	case NOTIFY:
		expect(notified(&l->notify), ==, l->come && !taken);
		break;
	case LOCK:
		if (!l->come)
			rota_mutex_unlock(&l->mutex);
		expect(rota_mutex_trylock(&l->mutex), ==, 0);
		rota_mutex_unlock(&l->mutex);
		break;
	case WRITE_LOCK:
		if (!l->come)
			expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
		expect(rota_rwlock_trywrlock(&l->rwlock), ==, 0);
		expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
		break;
	case ONESHOT:
		expect(rota_oneshot_try_recv(&l->oneshot, &value), ==, taken ? -EPIPE : l->come ? 0 : -EAGAIN);
		break;
	case OFFLOAD:
		expect(rota__load(&l->ran, SEQ_CST), ==, taken ? 1 : 0);
		break;
	default:
		break;
	}
}

static void dawdle(struct stress_random *random)
{
	for (uint32_t n = stress_below(random, 4); n > 0; n--) {
		if (stress_one_in(random, 2))
			rota_yield();
		else
			stress_pause(random);
	}
}

/* Lets a plain thread cancel the victim, for a while; then it is cancelled by nobody but the leader. */
static void offer(struct leader *l, rota_task *task)
{
	rota__store(&l->done, 0, SEQ_CST);
	rota__store(&l->offered, task, SEQ_CST);
	dawdle(&l->random);
	if (rota__swap(&l->offered, NULL, SEQ_CST) != NULL) {
		expect(rota_cancel(task), ==, 0);
		return;
	}
	while (rota__load(&l->done, SEQ_CST) == 0)
		rota_yield();
}

static void torment_one(struct leader *l)
{
	bool before, between, taken;
	rota_task *task;
	int status = 12345;

	l->kind = (enum kind)stress_below(&l->random, KINDS);
	l->come = stress_one_in(&l->random, 2);
	l->dice = stress_below(&l->random, 100000);
	before = l->come && stress_one_in(&l->random, 3);
	between = l->come && !before && stress_one_in(&l->random, 2);
	prepare(l);
	if (before)
		bring(l);
	task = spawn_victim(l);
	dawdle(&l->random);
	if (between)
		bring(l);
	if (stress_one_in(&l->random, 2))
		offer(l, task);
	else
		expect(rota_cancel(task), ==, 0);
	rota__count(&cancels, 1); /* not exact, and need not be */
	if (l->come && !before && !between)
		bring(l);
	expect(rota_join(task, &status), ==, 0);
	if (status != -ECANCELED)
		expect(status, >=, 0);
	/* Stackless ones of a queue say 0. */
	taken = status > 0 || (status == 0 && (l->kind == RECEIVE_FUTURE || l->kind == ACQUIRE_FUTURE));
	settle(l, taken);
	rota__count(status >= 0 ? &ended_well : &ended_cancelled, 1);
	stress_moved();
}

static unsigned turns_each;

static int lead(void *arg)
{
	struct leader *l = arg;

	for (unsigned i = 0; i < turns_each; i++)
		torment_one(l);
	return 0;
}

/* --- plain threads that cancel ----------------------------------------------------------------------------------------------- */

struct canceller {
	struct leader *leaders;
	struct stress_random random;
	struct rota_atomic_u32 over;
};

static void *cancel_what_is_offered(void *arg)
{
	struct canceller *c = arg;

	while (rota__load(&c->over, RELAXED) == 0) {
		struct leader *l = &c->leaders[stress_below(&c->random, LEADERS)];
		rota_task *task =
			rota__load(&l->offered, RELAXED) != NULL ? rota__swap(&l->offered, NULL, SEQ_CST) : NULL;

		if (task == NULL) {
			stress_pause(&c->random);
			continue;
		}
		expect(rota_cancel(task), ==, 0);
		rota__store(&l->done, 1, SEQ_CST);
	}
	return NULL;
}

/* --- a round ------------------------------------------------------------------------------------------------------------------ */

static void leader_init(struct leader *l, struct stress_random *random, unsigned n)
{
	memset(l, 0, sizeof(*l));
	l->random = stress_random_new(stress_next(random));
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->pair), ==, 0);
	l->address.sun_family = AF_UNIX;
	/* An abstract name. */
	snprintf(l->address.sun_path + 1, sizeof(l->address.sun_path) - 1, "rota-cancel-%d-%u", getpid(), n);
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

static int lead_all(void *arg)
{
	struct leader *leaders = arg;
	struct rota_scope scope;

	expect(rota_scope_open(&scope, 0), ==, 0);
	for (unsigned i = 0; i < LEADERS; i++)
		expect(rota_scope_spawn(&scope, NULL, lead, &leaders[i]), ==, 0);
	return rota_scope_close(&scope);
}

static void round_of(struct stress_random *random, enum rota_flavor flavor, unsigned workers)
{
	const struct rota_config config = { .workers = workers, .flavor = flavor, .max_blocking_threads = 2 };
	static struct leader leaders[LEADERS];
	struct canceller canceller = { .leaders = leaders, .random = stress_random_new(stress_next(random)) };
	struct stress_threads threads = { .n = 0 };
	unsigned before = stress_descriptors();
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	runtime_now = rt;
	for (unsigned i = 0; i < LEADERS; i++)
		leader_init(&leaders[i], random, i);
	stress_thread(&threads, cancel_what_is_offered, &canceller);
	expect(rota_block_on(rt, lead_all, leaders), ==, 0);
	rota__store(&canceller.over, 1, RELAXED);
	stress_join(&threads);
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	expect(rota__runtime_alive(rt), ==, 0);
	runtime_now = NULL;
	rota_runtime_free(rt);
	for (unsigned i = 0; i < LEADERS; i++)
		leader_deinit(&leaders[i]);
	expect(stress_descriptors(), ==, before);
}

int main(int argc, char **argv)
{
	struct stress_random random;

	unsetenv("ROTA_FLAVOR");
	stress_start(argc, argv, report);
	random = stress_random_new(0);
	turns_each = CANCELS / CONFIGS / LEADERS + 1;
	for (unsigned i = 0; i < stress_scale; i++) {
		for (unsigned workers = 2; workers <= 4; workers++)
			round_of(&random, ROTA_FLAVOR_MULTI_THREAD, workers);
		round_of(&random, ROTA_FLAVOR_CURRENT_THREAD, 1);
	}
	printf("%u cancels or more: %llu victims ended well, %llu cancelled\n", CONFIGS * LEADERS * turns_each,
	       (unsigned long long)rota__load(&ended_well, RELAXED),
	       (unsigned long long)rota__load(&ended_cancelled, RELAXED));
	return 0;
}
