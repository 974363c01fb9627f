/* SPDX-License-Identifier: MIT */
/*
 * Random cancels, by torment.h, of work under way: forks and loops, jobs and offloads that wait for a place in a queue
 * which is short, children that wait for a place in their scope, rendezvous, places in a channel, waits with a
 * deadline, several waits at once, files. What says that it was done was done once and as a whole; what says that it
 * was cancelled is at an end, and uses nobody's memory any more.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "torment.h"

#define LEAVES 8u
#define LINES 40u

struct leader {
	struct torment t;
	struct rota_atomic_u32 begun, finished, inside; /* of what the victim had forked or spawned */
	struct rota_channel meeting, narrow;
	rota_task *partner;
	int met, sent, got;
	struct rota_cond cond;
	struct rota_mutex mutex;
	struct rota_rwlock rwlock;
	struct rota_semaphore permits;
	struct rota_watch watch;
	struct rota_watch_receiver watcher;
	int pair[2];
	struct rota_offload_op offload;
	struct rota_interval interval;
	struct rota_interval_op tick;
	uint64_t due;
	char directory[64], path[96];
	int version; /* what the file says */
};

static void start_counting(struct leader *l)
{
	rota__store(&l->begun, 0, SEQ_CST);
	rota__store(&l->finished, 0, SEQ_CST);
}

/* One piece of work, which waits. */
static int work(struct leader *l, int (*wait)(void))
{
	int rc;

	rota__fetch_add(&l->begun, 1, SEQ_CST);
	rota__fetch_add(&l->inside, 1, SEQ_CST);
	rc = wait();
	if (rc == 0)
		rota__fetch_add(&l->finished, 1, SEQ_CST);
	rota__fetch_sub(&l->inside, 1, SEQ_CST);
	return rc;
}

static int nap(void)
{
	return rota_sleep(ROTA_US(20));
}

/* All of it was done, or something was given up; nothing goes on. */
static int all_or_cancelled(struct leader *l, int rc, unsigned all)
{
	expect(rota__load(&l->inside, SEQ_CST), ==, 0);
	expect(rota__load(&l->begun, SEQ_CST), <=, all);
	expect(rota__load(&l->finished, SEQ_CST) == all, ==, rc >= 0);
	if (rc < 0)
		expect(rc == -ECANCELED || rc == -ETIMEDOUT, ==, 1);
	return rc >= 0 ? 1 : -ECANCELED;
}

/* --- forks ------------------------------------------------------------------------------------------------------------- */

struct branch {
	struct leader *l;
	unsigned leaves;
};

static int grow(void *arg)
{
	struct branch *branch = arg;
	struct branch half = { branch->l, branch->leaves / 2 };
	struct rota_frame frame;
	int here, there;

	if (branch->leaves == 1)
		return work(branch->l, branch->l->t.dice % 2 ? nap : rota_yield);
	rota_fork(&frame, grow, &half);
	here = grow(&half);
	there = rota_fork_join(&frame);
	return here < 0 ? here : there;
}

static int fork_a_tree(struct leader *l)
{
	struct branch trunk = { l, LEAVES };

	return all_or_cancelled(l, grow(&trunk), LEAVES);
}

/* The scope's end comes from the clock, as well as from the leader. */
static int fork_in_a_scope(struct leader *l)
{
	struct branch trunk = { l, LEAVES };
	struct rota_scope scope;
	int rc;

	expect(rota_scope_open(&scope, ROTA_US(1 + l->t.dice % 200)), ==, 0);
	rc = grow(&trunk);
	rc = all_or_cancelled(l, rc, LEAVES);
	(void)rota_scope_close(&scope);
	return rc;
}

static int do_range(size_t begin, size_t end, void *arg)
{
	struct leader *l = arg;
	int rc = 0;

	for (size_t i = begin; i < end && rc == 0; i++)
		rc = work(l, i % 4 == 0 ? nap : rota_yield);
	return rc;
}

static int loop_in_parallel(struct leader *l)
{
	return all_or_cancelled(l, rota_parallel_for(0, 16, 1 + l->t.dice % 4, do_range, l), 16);
}

/* A sum, each element of which is a piece of work. */
static int fold(size_t begin, size_t end, void *acc, void *arg)
{
	for (size_t i = begin; i < end; i++)
		*(uint64_t *)acc += i;
	return do_range(begin, end, arg);
}

static void add(void *acc, const void *later, void *arg)
{
	(void)arg;
	*(uint64_t *)acc += *(const uint64_t *)later;
}

static int reduce_in_parallel(struct leader *l)
{
	uint64_t sum = 0;
	int rc = rota_parallel_reduce(0, 16, 1 + l->t.dice % 4, sizeof(sum), fold, add, l, &sum);

	expect(sum, ==, rc < 0 ? 0 : 16 * 15 / 2);
	return all_or_cancelled(l, rc, 16);
}

/* Waits now and then, and must not stop for a cancel: what it returns is no status. */
static void linger(struct leader *l, unsigned value)
{
	rota__fetch_add(&l->inside, 1, SEQ_CST);
	if (value % 8 == 0)
		(void)rota_yield();
	rota__fetch_sub(&l->inside, 1, SEQ_CST);
}

static void add_slowly(void *acc, const void *later, void *arg)
{
	linger(arg, (unsigned)*(const uint64_t *)later);
	add(acc, later, NULL);
}

static int scan_in_parallel(struct leader *l)
{
	uint64_t array[64];
	int rc;

	for (unsigned i = 0; i < 64; i++)
		array[i] = i;
	rc = rota_parallel_scan(array, 64, sizeof(array[0]), 1 + l->t.dice % 16, add_slowly, l);
	expect(rota__load(&l->inside, SEQ_CST), ==, 0);
	for (unsigned i = 0; i < 64 && rc == 0; i++)
		expect(array[i], ==, i * (i + 1) / 2);
	return one_if(rc);
}

static int compare_slowly(const void *a, const void *b, void *arg)
{
	const unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	linger(arg, x + y);
	return x < y ? -1 : x > y;
}

static int sort_in_parallel(struct leader *l)
{
	enum { N = 500 };
	unsigned *array = malloc(N * sizeof(*array));
	int rc;

	for (unsigned i = 0; i < N; i++)
		array[i] = (i * 2654435761u + l->t.dice) % 1000;
	rc = rota_parallel_sort(array, N, sizeof(array[0]), compare_slowly, l);
	expect(rota__load(&l->inside, SEQ_CST), ==, 0);
	for (unsigned i = 1; i < N && rc == 0; i++)
		expect(array[i - 1], <=, array[i]);
	free(array);
	return one_if(rc);
}

static int call(void *arg)
{
	return work(arg, nap);
}

static int invoke(struct leader *l)
{
	struct rota_call calls[3] = { { call, l, 1 }, { call, l, 1 }, { call, l, 1 } };
	unsigned well = 0;
	int rc = rota_invoke(calls, 3);

	for (int i = 0; i < 3; i++)
		well += calls[i].status == 0;
	expect(rota__load(&l->finished, SEQ_CST), ==, well);
	return all_or_cancelled(l, rc, 3);
}

/* --- places ------------------------------------------------------------------------------------------------------------ */

/* On a thread of the pool, of which there are two, with room for two that wait. */
static int job(void *arg)
{
	struct leader *l = arg;
	struct rota_atomic_u32 never = { 0 };

	rota__fetch_add(&l->begun, 1, SEQ_CST);
	rota__sys_futex_wait(&never, 0, ROTA_US(20));
	rota__fetch_add(&l->finished, 1, SEQ_CST);
	return 7;
}

/* What was spawned has a handle, and runs or does not as its status says. */
static int spawn_jobs(struct leader *l)
{
	rota_task *jobs[3];
	unsigned n = 0, ran = 0;
	int rc = 0, status;

	while (n < 3 && (rc = rota_spawn_blocking(&jobs[n], job, l)) == 0)
		n++;
	rota_shield_enter();
	for (unsigned i = 0; i < n; i++) {
		if (l->t.dice % 3 == 0)
			expect(rota_cancel(jobs[i]), ==, 0);
		expect(rota_join(jobs[i], &status), ==, 0);
		expect(status == 7 || status == -ECANCELED, ==, 1);
		ran += status == 7;
	}
	rota_shield_leave();
	expect(rota__load(&l->begun, SEQ_CST), ==, ran);
	return one_if(rc);
}

static int offload(struct leader *l)
{
	return rota_offload(job, l);
}

static struct rota_future *carry_offload(struct leader *l)
{
	rota_offload_init(&l->offload, job, l);
	return &l->offload.future;
}

static void done_if_it_says_so(struct leader *l, bool taken)
{
	expect(rota__load(&l->begun, SEQ_CST), ==, taken ? 1 : 0);
	expect(rota__load(&l->finished, SEQ_CST), ==, taken ? 1 : 0);
}

/* One child at a time: the next is spawned when it has ended. */
static int take_turns_in_a_scope(struct leader *l)
{
	const struct rota_scope_attr attr = { .limit = 1 };
	struct rota_scope scope;
	unsigned spawned = 0;
	int rc = 0, closed;

	expect(rota_scope_open_with(&scope, &attr), ==, 0);
	while (spawned < 3 && (rc = rota_scope_spawn(&scope, NULL, call, l)) == 0)
		spawned++;
	closed = rota_scope_close(&scope);
	expect(rota__load(&l->begun, SEQ_CST), ==, spawned);
	return all_or_cancelled(l, rc < 0 ? rc : closed, 3);
}

/* --- channels ---------------------------------------------------------------------------------------------------------- */

static int partner(void *arg)
{
	struct leader *l = arg;

	return one_if(rota_channel_recv(&l->meeting, &l->got));
}

static int meet(struct leader *l)
{
	return one_if(rota_channel_send(&l->meeting, &l->sent));
}

static void send_partner(struct leader *l)
{
	l->sent++;
	expect(rota_spawn(&l->partner, partner, l), ==, 0);
}

/* Both may be cancelled: they have met for both of them, or for neither. */
static void both_have_met(struct leader *l, bool taken)
{
	int met = 0;

	if (l->t.come) {
		expect(rota_cancel(l->partner), ==, 0);
		expect(rota_join(l->partner, &met), ==, 0);
	}
	expect(met == 1, ==, taken);
	if (taken)
		expect(l->got, ==, l->sent);
}

static void fill_channel(struct leader *l)
{
	for (int i = 0; i < 2; i++)
		expect(rota_channel_try_send(&l->narrow, &(int){ 1 }), ==, 0);
}

static void take_one(struct leader *l)
{
	int value;

	expect(rota_channel_try_recv(&l->narrow, &value), ==, 0);
}

static int reserve(struct leader *l)
{
	int rc = rota_channel_reserve(&l->narrow);

	if (rc == 0 && l->t.dice % 2)
		expect(rota_channel_unreserve(&l->narrow), ==, 0);
	else if (rc == 0)
		expect(rota_channel_send_reserved(&l->narrow, &(int){ 2 }), ==, 0);
	return one_if(rc);
}

/* A place that was lost would make the channel narrower for the next. */
static void places_are_free(struct leader *l, bool taken)
{
	unsigned n = 0;
	int value;

	while (rota_channel_try_recv(&l->narrow, &value) == 0)
		n++;
	expect(n, ==, (l->t.come ? 1u : 2u) + (taken && l->t.dice % 2 == 0 ? 1u : 0u));
	fill_channel(l);
	while (rota_channel_try_recv(&l->narrow, &value) == 0)
		;
}

static int send_many(struct leader *l)
{
	const int values[5] = { 10, 11, 12, 13, 14 };

	l->sent = (int)rota_channel_send_many(&l->narrow, values, 5);
	return l->sent;
}

static void as_many_were_sent(struct leader *l, bool taken)
{
	int value, next = l->t.come && taken ? 11 : 10; /* the first was taken, if it was there to be taken */

	if (l->t.come && taken && l->got == 0)
		next = 10;
	while (rota_channel_try_recv(&l->narrow, &value) == 0)
		expect(value, ==, next++);
	expect(next, ==, 10 + (taken ? l->sent : 0));
}

static void maybe_take_one(struct leader *l)
{
	int value;

	l->got = rota_channel_try_recv(&l->narrow, &value) == 0;
	if (l->got)
		expect(value, ==, 10);
}

static void nothing_taken(struct leader *l)
{
	l->got = 0;
}

/* --- with a deadline --------------------------------------------------------------------------------------------------- */

/* Deadline, cancel, and what it waits for meet. */
static int unless_late(int rc)
{
	return rc == -ETIMEDOUT ? 0 : one_if(rc);
}

static uint64_t soon(const struct leader *l)
{
	return rota_now() + ROTA_US(l->t.dice % 100);
}

static int receive_until(struct leader *l)
{
	return unless_late(rota_channel_recv_until(&l->narrow, &l->got, soon(l)));
}

static void send_one(struct leader *l)
{
	expect(rota_channel_try_send(&l->narrow, &(int){ 6 }), ==, 0);
}

static void element_once(struct leader *l, bool taken)
{
	int value;

	expect(rota_channel_try_recv(&l->narrow, &value), ==, l->t.come && !taken ? 0 : -EAGAIN);
}

static int acquire_until(struct leader *l)
{
	return unless_late(rota_semaphore_acquire_until(&l->permits, 2, soon(l)));
}

static void release(struct leader *l)
{
	expect(rota_semaphore_release(&l->permits, 2), ==, 0);
}

static void permits_once(struct leader *l, bool taken)
{
	expect(rota_semaphore_try_acquire(&l->permits, 2), ==, l->t.come && !taken ? 0 : -EAGAIN);
}

static int lock_until(struct leader *l)
{
	int rc = rota_mutex_lock_until(&l->mutex, soon(l));

	if (rc == 0)
		rota_mutex_unlock(&l->mutex);
	return unless_late(rc);
}

static void lock(struct leader *l)
{
	rota_mutex_lock(&l->mutex);
}

static void unlock(struct leader *l)
{
	rota_mutex_unlock(&l->mutex);
}

static void mutex_is_free(struct leader *l, bool taken)
{
	(void)taken;
	if (!l->t.come)
		unlock(l);
	expect(rota_mutex_trylock(&l->mutex), ==, 0);
	unlock(l);
}

static int write_lock_until(struct leader *l)
{
	int rc = rota_rwlock_wrlock_until(&l->rwlock, soon(l));

	if (rc == 0)
		expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
	return unless_late(rc);
}

static void read_lock(struct leader *l)
{
	expect(rota_rwlock_tryrdlock(&l->rwlock), ==, 0);
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
	read_unlock(l);
}

static int wait_for_cond_until(struct leader *l)
{
	int rc;

	rota_mutex_lock(&l->mutex);
	rc = rota_cond_wait_until(&l->cond, &l->mutex, soon(l));
	/* The mutex is the waiter's again in any case. */
	expect(rota_mutex_trylock(&l->mutex), ==, -EBUSY);
	rota_mutex_unlock(&l->mutex);
	return unless_late(rc);
}

static void signal_cond(struct leader *l)
{
	rota_cond_signal(&l->cond);
}

static bool is_seven(const void *value, void *arg)
{
	(void)arg;
	return *(const int *)value == 7;
}

static void watch_anew(struct leader *l)
{
	expect(rota_watch_send(&l->watch, &(int){ 0 }), ==, 0);
}

static int wait_for_seven(struct leader *l)
{
	int value = 0, rc = rota_watch_wait_for(&l->watcher, is_seven, NULL, &value);

	if (rc == 0)
		expect(value, ==, 7);
	return one_if(rc);
}

static void show_seven(struct leader *l)
{
	expect(rota_watch_send(&l->watch, &(int){ 6 }), ==, 0);
	expect(rota_watch_send(&l->watch, &(int){ 7 }), ==, 0);
}

static void seven_if_it_came(struct leader *l, bool taken)
{
	int value;

	rota_watch_get(&l->watch, &value);
	expect(value, ==, l->t.come ? 7 : 0);
	expect(taken && !l->t.come, ==, false);
}

static struct rota_future *carry_tick(struct leader *l)
{
	l->due = l->interval.next;
	rota_interval_tick_init(&l->tick, &l->interval);
	return &l->tick.future;
}

static void tick_once(struct leader *l, bool taken)
{
	expect(l->interval.next, ==, l->due + (taken ? l->interval.period : 0)); /* bursts */
}

/* --- several at once --------------------------------------------------------------------------------------------------- */

static int wait_for_all(struct leader *l)
{
	struct rota_channel_op element;
	struct rota_timer timer;
	struct rota_op byte;
	char got;
	int rc;

	rota_op_recv(&byte, l->pair[0], &got, 1, 0);
	rota_channel_recv_init(&element, &l->narrow, &l->got);
	rota_timer_init(&timer, soon(l));
	rc = ROTA_AWAIT_ALL(&byte.future, &element.future, &timer.future);
	l->sent = (byte.future.status == 1) + 2 * (element.future.status == 0); /* each keeps what it has */
	if (rc == 0)
		expect(l->sent, ==, 3);
	return one_if(rc);
}

static void nothing_has_come(struct leader *l)
{
	l->sent = 0;
}

static void bring_all(struct leader *l)
{
	expect(send(l->pair[1], "x", 1, 0), ==, 1);
	send_one(l);
}

static void all_are_somewhere(struct leader *l, bool taken)
{
	char rest;
	int value;

	(void)taken;
	expect(recv(l->pair[0], &rest, 1, MSG_DONTWAIT), ==, l->t.come && (l->sent & 1) == 0 ? 1 : -1);
	expect(rota_channel_try_recv(&l->narrow, &value), ==, l->t.come && (l->sent & 2) == 0 ? 0 : -EAGAIN);
}

/* --- files ------------------------------------------------------------------------------------------------------------- */

static size_t write_version(char *text, int version)
{
	size_t len = 0;

	for (unsigned i = 0; i < LINES; i++)
		len += (size_t)sprintf(text + len, "%08d\n", version);
	return len;
}

/* All lines are of one version. */
static int version_of(const char *bytes, size_t len)
{
	char text[LINES * 9 + 1];
	int version = atoi(bytes);

	expect(len, ==, LINES * 9);
	write_version(text, version);
	expect(memcmp(bytes, text, len), ==, 0);
	return version;
}

static int read_whole_file(struct leader *l)
{
	char *bytes;
	size_t len;
	int rc = rota_read_file(l->path, 4096, &bytes, &len);

	if (rc == 0) {
		expect(version_of(bytes, len), ==, l->version);
		free(bytes);
	}
	return one_if(rc);
}

static int write_whole_file(struct leader *l)
{
	char text[LINES * 9 + 1];
	size_t len = write_version(text, l->version + 1);

	return one_if(rota_write_file(l->path, text, len, 0600));
}

static int list_directory(struct leader *l)
{
	struct rota_dir_entry entry;
	struct rota_dir dir;
	unsigned n = 0;
	int rc = rota_dir_open(&dir, AT_FDCWD, l->directory);

	if (rc < 0)
		return rc;
	while ((rc = rota_dir_next(&dir, &entry)) > 0)
		n++;
	rota_shield_enter();
	expect(rota_dir_close(&dir), ==, 0);
	rota_shield_leave();
	expect(n, <=, 1);
	if (rc == 0)
		expect(n, ==, 1);
	return one_if(rc);
}

/* The old one or the new one, and none beside it. A cancel while the directory was synced comes too late for the old. */
static void file_is_whole(struct leader *l, bool taken)
{
	char *bytes;
	size_t len;
	int version;

	expect(rota_read_file(l->path, 4096, &bytes, &len), ==, 0);
	version = version_of(bytes, len);
	free(bytes);
	if (taken)
		expect(version, ==, l->version + 1);
	else
		expect(version == l->version || version == l->version + 1, ==, 1);
	l->version = version;
	expect(list_directory(l), ==, 1);
}

/* Calls of the pool, of the ring, and of both. */
static int touch_file(struct leader *l)
{
	char bytes[16];
	int fd = rota_open(l->path, O_RDWR, 0), rc = fd;

	if (fd < 0)
		return fd;
	switch (l->t.dice % 5) {
	case 0:
		rc = rota_ftruncate(fd, LINES * 9);
		break;
	case 1:
		rc = (int)rota_pread(fd, bytes, sizeof(bytes), 0);
		break;
	case 2:
		rc = rota_fallocate(fd, 0, 0, LINES * 9);
		break;
	case 3:
		rc = (int)rota_readlink("/proc/self/exe", bytes, sizeof(bytes));
		break;
	default:
		rc = rota_fdatasync(fd);
		break;
	}
	close_shielded(fd);
	return rc == -EOPNOTSUPP ? 0 : rc; /* some file systems know no fallocate */
}

static const struct torment_kind kinds[] = {
	{ .prepare = start_counting, .suffer = fork_a_tree },
	{ .prepare = start_counting, .suffer = fork_in_a_scope },
	{ .prepare = start_counting, .suffer = loop_in_parallel },
	{ .prepare = start_counting, .suffer = reduce_in_parallel },
	{ .suffer = scan_in_parallel },
	{ .suffer = sort_in_parallel, .one_in = 4 },
	{ .prepare = start_counting, .suffer = invoke },
	{ .prepare = start_counting, .suffer = spawn_jobs, .one_in = 4 },
	{ .prepare = start_counting, .suffer = offload, .settle = done_if_it_says_so },
	{ .prepare = start_counting, .carry = carry_offload, .settle = done_if_it_says_so },
	{ .prepare = start_counting, .suffer = take_turns_in_a_scope },
	{ .suffer = meet, .bring = send_partner, .settle = both_have_met },
	{ .prepare = fill_channel, .suffer = reserve, .bring = take_one, .settle = places_are_free },
	{ .prepare = nothing_taken, .suffer = send_many, .bring = maybe_take_one, .settle = as_many_were_sent },
	{ .suffer = receive_until, .bring = send_one, .settle = element_once },
	{ .suffer = acquire_until, .bring = release, .settle = permits_once },
	{ .prepare = lock, .suffer = lock_until, .bring = unlock, .settle = mutex_is_free },
	{ .prepare = read_lock, .suffer = write_lock_until, .bring = read_unlock, .settle = rwlock_is_free },
	{ .suffer = wait_for_cond_until, .bring = signal_cond },
	{ .prepare = watch_anew, .suffer = wait_for_seven, .bring = show_seven, .settle = seven_if_it_came },
	{ .carry = carry_tick, .settle = tick_once },
	{ .prepare = nothing_has_come, .suffer = wait_for_all, .bring = bring_all, .settle = all_are_somewhere },
	{ .suffer = read_whole_file, .one_in = 4 },
	{ .suffer = write_whole_file, .settle = file_is_whole, .one_in = 20 },
	{ .suffer = list_directory, .one_in = 4 },
	{ .suffer = touch_file, .one_in = 4 },
};

/* --- the leader ---------------------------------------------------------------------------------------------------------- */

static void make_file(struct leader *l)
{
	char text[LINES * 9 + 1];
	size_t len = write_version(text, 0);
	int fd;

	snprintf(l->directory, sizeof(l->directory), "/tmp/rota-cancel-XXXXXX");
	expect_pointer(mkdtemp(l->directory), !=, NULL);
	snprintf(l->path, sizeof(l->path), "%s/file", l->directory);
	fd = open(l->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	expect(write(fd, text, len), ==, (ssize_t)len);
	close(fd);
}

static void leader_init(struct leader *l)
{
	make_file(l);
	expect(rota_channel_init(&l->meeting, sizeof(int), 0), ==, 0);
	expect(rota_channel_init(&l->narrow, sizeof(int), 2), ==, 0);
	rota_cond_init(&l->cond);
	rota_mutex_init(&l->mutex);
	rota_rwlock_init(&l->rwlock);
	rota_semaphore_init(&l->permits, 0);
	expect(rota_watch_init(&l->watch, sizeof(int), &(int){ 0 }), ==, 0);
	rota_watch_subscribe(&l->watch, &l->watcher);
	expect(rota_interval_init(&l->interval, ROTA_US(100), ROTA_MISSED_BURST), ==, 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->pair), ==, 0);
}

static void leader_deinit(struct leader *l)
{
	expect(rota_channel_deinit(&l->meeting), ==, 0);
	expect(rota_channel_deinit(&l->narrow), ==, 0);
	expect(rota_watch_deinit(&l->watch), ==, 0);
	close(l->pair[0]);
	close(l->pair[1]);
	unlink(l->path);
	expect(rmdir(l->directory), ==, 0);
}

int main(int argc, char **argv)
{
	static const struct torment_plan plan = {
		.kinds = kinds,
		.kind_count = sizeof(kinds) / sizeof(kinds[0]),
		.cancels = STRESS_FEWER(320000u),
		.max_blocking_queue = 2,
		.leader_size = sizeof(struct leader),
		.init = leader_init,
		.deinit = leader_deinit,
	};

	return torment_main(argc, argv, &plan);
}
