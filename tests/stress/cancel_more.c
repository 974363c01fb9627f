/* SPDX-License-Identifier: MIT */
/*
 * Random cancels, by torment.h, over kinds of wait that cancel.c does not have: the rest of sync/, datagrams, pipes,
 * readiness, streams, connects, names, signals, children, children of a scope, running jobs that have said how to interrupt
 * them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "torment.h"

struct leader {
	struct torment t;
	struct rota_rwlock rwlock;
	struct rota_barrier barrier;
	struct rota_wait_group group;
	struct rota_broadcast broadcast;
	struct rota_broadcast_receiver listener;
	struct rota_watch watch;
	struct rota_watch_receiver watcher;
	struct rota_once once;
	struct rota_channel channel;
	struct rota_signal signal;
	struct rota_stream stream;
	int datagrams[2], pipe[2], full[2], lines[2], server;
	struct sockaddr_un address;
	int value;
	char line[16];
	struct rota_atomic_u32 interrupted;
};

/* --- the rest of sync/ ----------------------------------------------------------------------------------------------- */

static void write_lock(struct leader *l)
{
	expect(rota_rwlock_trywrlock(&l->rwlock), ==, 0);
}

static int read_lock(struct leader *l)
{
	int rc = rota_rwlock_rdlock(&l->rwlock);

	if (rc == 0)
		expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
	return one_if(rc);
}

static void unlock(struct leader *l)
{
	expect(rota_rwlock_unlock(&l->rwlock), ==, 0);
}

static void lock_is_free(struct leader *l, bool taken)
{
	(void)taken;
	if (!l->t.come)
		unlock(l);
	write_lock(l);
	unlock(l);
}

/* Of two, the second never comes: whoever has given up does not count. */
static int wait_at_barrier(struct leader *l)
{
	return rota_barrier_wait(&l->barrier);
}

static void add_to_group(struct leader *l)
{
	rota_wait_group_add(&l->group, 1);
}

static int wait_for_group(struct leader *l)
{
	return one_if(rota_wait_group_wait(&l->group));
}

static void group_done(struct leader *l)
{
	expect(rota_wait_group_done(&l->group), ==, 0);
}

static void group_is_empty(struct leader *l, bool taken)
{
	expect(taken && !l->t.come, ==, false);
	if (!l->t.come)
		group_done(l);
	expect(rota_wait_group_count(&l->group), ==, 0);
}

static int hear(struct leader *l)
{
	return one_if(rota_broadcast_recv(&l->listener, &l->value));
}

static void say(struct leader *l)
{
	expect(rota_broadcast_send(&l->broadcast, &(int){ 3 }), ==, 0);
}

static void heard_once(struct leader *l, bool taken)
{
	int value = 0;

	expect(rota_broadcast_try_recv(&l->listener, &value), ==, l->t.come && !taken ? 0 : -EAGAIN);
	expect(taken ? l->value : 3, ==, 3);
}

static int watch_change(struct leader *l)
{
	return one_if(rota_watch_changed(&l->watcher, &l->value));
}

static void change(struct leader *l)
{
	expect(rota_watch_send(&l->watch, &(int){ 4 }), ==, 0);
}

static void seen_once(struct leader *l, bool taken)
{
	expect(rota_watch_try_changed(&l->watcher, NULL), ==, l->t.come && !taken ? 0 : -EAGAIN);
}

static void take_turn(struct leader *l)
{
	struct rota_once_op op;

	rota_once_init(&l->once);
	rota_once_begin_init(&op, &l->once);
	expect(rota_await(&op.future), ==, ROTA_ONCE_TURN);
}

static int never_called(void *arg)
{
	(void)arg;
	return -EPROTO; /* the leader has the turn */
}

static int wait_for_turn(struct leader *l)
{
	return rota_once_run(&l->once, never_called, NULL);
}

static void do_once(struct leader *l)
{
	expect(rota_once_end(&l->once, 9), ==, 0);
}

static void done_once(struct leader *l, bool taken)
{
	expect(taken && !l->t.come, ==, false);
	if (!l->t.come)
		do_once(l);
	expect(rota_once_done(&l->once), ==, true);
}

static int receive_many(struct leader *l)
{
	int values[4];

	return (int)rota_channel_recv_many(&l->channel, values, 4);
}

static void send_three(struct leader *l)
{
	for (int i = 0; i < 3; i++)
		expect(rota_channel_try_send(&l->channel, &i), ==, 0);
}

/* Between two of the three the victim may have taken what was there. */
static void drain(struct leader *l, bool taken)
{
	unsigned n = 0;
	int value;

	while (rota_channel_try_recv(&l->channel, &value) == 0)
		n++;
	if (!taken)
		expect(n, ==, l->t.come ? 3u : 0u);
	else
		expect(n, <, 3u);
}

/* --- descriptors ------------------------------------------------------------------------------------------------------- */

static int receive_datagram(struct leader *l)
{
	return (int)rota_recvfrom(l->datagrams[0], l->line, sizeof(l->line), 0, NULL, NULL);
}

static void send_datagram(struct leader *l)
{
	expect(send(l->datagrams[1], "abc", 3, 0), ==, 3);
}

static void datagram_once(struct leader *l, bool taken)
{
	char rest[8];

	expect(recv(l->datagrams[0], rest, sizeof(rest), MSG_DONTWAIT), ==, l->t.come && !taken ? 3 : -1);
}

static int read_pipe(struct leader *l)
{
	return (int)rota_read(l->pipe[0], l->line, 1);
}

static int wait_readable(struct leader *l)
{
	int rc = rota_poll_fd(l->pipe[0], POLLIN);

	return rc > 0 ? (int)rota_read(l->pipe[0], l->line, 1) : rc;
}

static void write_byte(struct leader *l)
{
	expect(write(l->pipe[1], "p", 1), ==, 1);
}

static void byte_once(struct leader *l, bool taken)
{
	char rest[4];

	expect(fcntl(l->pipe[0], F_SETFL, O_NONBLOCK), ==, 0);
	expect(read(l->pipe[0], rest, sizeof(rest)), ==, l->t.come && !taken ? 1 : -1);
	expect(fcntl(l->pipe[0], F_SETFL, 0), ==, 0);
}

static int write_into_full(struct leader *l)
{
	static const char page[4096] = "w";

	return (int)rota_write(l->full[1], page, sizeof(page));
}

static void make_room(struct leader *l)
{
	char page[4096];

	expect(read(l->full[0], page, sizeof(page)), ==, (ssize_t)sizeof(page));
}

static void full_again(struct leader *l, bool taken)
{
	static const char page[4096] = "f";

	expect(bytes_in(l->full[0]), ==, 65536 - (l->t.come ? sizeof(page) : 0) + (taken ? sizeof(page) : 0));
	if (l->t.come && !taken)
		expect(write(l->full[1], page, sizeof(page)), ==, (ssize_t)sizeof(page));
}

static int read_line(struct leader *l)
{
	size_t len;
	int rc = rota_stream_read_line(&l->stream, l->line, sizeof(l->line), &len);

	return rc;
}

static void write_line(struct leader *l)
{
	expect(send(l->lines[1], "he", 2, 0), ==, 2);
	expect(send(l->lines[1], "y\n", 2, 0), ==, 2);
}

/* A line that was half read when the cancel came is whole all the same. */
static void line_once(struct leader *l, bool taken)
{
	if (l->t.come && !taken) {
		memset(l->line, 0, sizeof(l->line));
		expect(read_line(l), >, 0);
	}
	if (l->t.come)
		expect(strncmp(l->line, "hey", 3), ==, 0);
	expect(recv(l->lines[0], l->line, sizeof(l->line), MSG_DONTWAIT), ==, -1);
}

static int connect_there(struct leader *l)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = rota_connect(fd, (struct sockaddr *)&l->address, sizeof(l->address));

	close(fd);
	return one_if(rc);
}

static void accept_all(struct leader *l, bool taken)
{
	int fd;

	(void)taken;
	while ((fd = accept4(l->server, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

/* --- the world outside ------------------------------------------------------------------------------------------------- */

static int find_localhost(struct leader *l)
{
	struct rota_address found[2];

	(void)l;
	return rota_resolve("localhost", "80", 0, found, 2);
}

/* SIGUSR2 may come of other leaders: a victim may be woken at any time. */
static int wait_for_signal(struct leader *l)
{
	int rc = rota_signal_wait(&l->signal);

	return rc < 0 ? rc : 0;
}

static void send_signal(struct leader *l)
{
	(void)l;
	expect(kill(getpid(), SIGUSR2), ==, 0);
}

static int run_a_child(struct leader *l)
{
	const struct rota_process_config config = { .argv = (char *const[]){ "sleep", "0.002", NULL } };
	int status = 0;
	int rc = rota_process_run(&config, &status);

	(void)l;
	if (rc == 0)
		expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, ==, 1);
	return one_if(rc);
}

/* --- tasks and jobs ----------------------------------------------------------------------------------------------------- */

static int nap(void *arg)
{
	return rota_sleep((uintptr_t)arg);
}

static int next_of_scope(struct leader *l)
{
	struct rota_scope scope;
	int status = 0, rc, closed;

	(void)l;
	expect(rota_scope_open(&scope, 0), ==, 0);
	expect(rota_scope_spawn(&scope, NULL, nap, (void *)(uintptr_t)ROTA_US(20)) <= 0, ==, 1);
	rc = rota_scope_next(&scope, &status);
	closed = rota_scope_close(&scope);
	return rc == 0 && status == 0 ? 1 : closed < 0 ? closed : -ECANCELED;
}

static void wake_the_job(void *arg)
{
	rota__store((struct rota_atomic_u32 *)arg, 1, SEQ_CST);
	rota__sys_futex_wake(arg, 1);
}

/* Blocks until it is interrupted, or for a moment. */
static int blocking_job(void *arg)
{
	struct leader *l = arg;
	struct rota_interrupter interrupter;
	int rc = rota_interrupter_enter(&interrupter, wake_the_job, &l->interrupted);

	if (rc < 0)
		return rc;
	if (rota__load(&l->interrupted, SEQ_CST) == 0)
		rota__sys_futex_wait(&l->interrupted, 0, ROTA_US(50));
	rota_interrupter_leave(&interrupter);
	return rota__load(&l->interrupted, SEQ_CST) ? -ECANCELED : 1;
}

static int join_a_job(struct leader *l)
{
	rota_task *job;
	int status = 0, rc;

	rota__store(&l->interrupted, 0, SEQ_CST);
	rc = rota_spawn_blocking(&job, blocking_job, l);
	if (rc < 0)
		return rc;
	rc = rota_join(job, &status);
	if (rc == 0)
		return status;
	expect(rota_cancel(job), ==, 0);
	rota_shield_enter();
	expect(rota_join(job, &status), ==, 0);
	rota_shield_leave();
	expect(status == 1 || status == -ECANCELED, ==, 1);
	return rc;
}

static const struct torment_kind kinds[] = {
	{ .prepare = write_lock, .suffer = read_lock, .bring = unlock, .settle = lock_is_free },
	{ .suffer = wait_at_barrier },
	{ .prepare = add_to_group, .suffer = wait_for_group, .bring = group_done, .settle = group_is_empty },
	{ .suffer = hear, .bring = say, .settle = heard_once },
	{ .suffer = watch_change, .bring = change, .settle = seen_once },
	{ .prepare = take_turn, .suffer = wait_for_turn, .bring = do_once, .settle = done_once },
	{ .suffer = receive_many, .bring = send_three, .settle = drain },
	{ .suffer = receive_datagram, .bring = send_datagram, .settle = datagram_once },
	{ .suffer = read_pipe, .bring = write_byte, .settle = byte_once },
	{ .suffer = wait_readable, .bring = write_byte, .settle = byte_once },
	{ .suffer = write_into_full, .bring = make_room, .settle = full_again },
	{ .suffer = read_line, .bring = write_line, .settle = line_once },
	{ .suffer = connect_there, .settle = accept_all },
	{ .suffer = find_localhost, .one_in = 20 },
	{ .suffer = wait_for_signal, .bring = send_signal, .one_in = 4 },
	{ .suffer = run_a_child, .one_in = 400 },
	{ .suffer = next_of_scope },
	{ .suffer = join_a_job, .one_in = 4 },
};

/* --- the leader ---------------------------------------------------------------------------------------------------------- */

static void open_descriptors(struct leader *l)
{
	static const char page[4096] = "f";

	expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, l->datagrams), ==, 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->lines), ==, 0);
	expect(pipe2(l->pipe, O_CLOEXEC), ==, 0);
	expect(pipe2(l->full, O_CLOEXEC), ==, 0);
	expect(fcntl(l->full[1], F_SETPIPE_SZ, 65536), ==, 65536);
	for (int i = 0; i < 16; i++)
		expect(write(l->full[1], page, sizeof(page)), ==, (ssize_t)sizeof(page));
	l->address.sun_family = AF_UNIX;
	/* An abstract name. */
	snprintf(l->address.sun_path + 1, sizeof(l->address.sun_path) - 1, "rota-cancel-more-%d-%u", getpid(),
		 l->t.number);
	l->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	expect(bind(l->server, (struct sockaddr *)&l->address, sizeof(l->address)), ==, 0);
	expect(listen(l->server, 8), ==, 0);
}

static void leader_init(struct leader *l)
{
	open_descriptors(l);
	rota_rwlock_init(&l->rwlock);
	expect(rota_barrier_init(&l->barrier, 2), ==, 0);
	rota_wait_group_init(&l->group);
	expect(rota_broadcast_init(&l->broadcast, sizeof(int), 4), ==, 0);
	rota_broadcast_subscribe(&l->broadcast, &l->listener);
	expect(rota_watch_init(&l->watch, sizeof(int), &(int){ 0 }), ==, 0);
	rota_watch_subscribe(&l->watch, &l->watcher);
	expect(rota_channel_init(&l->channel, sizeof(int), 4), ==, 0);
	expect(rota_stream_init_fd(&l->stream, l->lines[0], NULL), ==, 0);
	expect(rota_signal_open(&l->signal, SIGUSR2), ==, 0);
}

static void leader_deinit(struct leader *l)
{
	const int fds[] = { l->datagrams[0], l->datagrams[1], l->pipe[0],  l->pipe[1], l->full[0],
			    l->full[1],      l->lines[0],     l->lines[1], l->server };

	expect(waitpid(-1, NULL, WNOHANG), ==, -1); /* no child is left, not even as a zombie */
	expect(errno, ==, ECHILD);
	rota_signal_close(&l->signal);
	rota_stream_deinit(&l->stream);
	expect(rota_barrier_deinit(&l->barrier), ==, 0);
	expect(rota_wait_group_deinit(&l->group), ==, 0);
	expect(rota_broadcast_deinit(&l->broadcast), ==, 0);
	expect(rota_watch_deinit(&l->watch), ==, 0);
	rota_channel_deinit(&l->channel);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close(fds[i]);
}

int main(int argc, char **argv)
{
	static const struct torment_plan plan = {
		.kinds = kinds,
		.kind_count = sizeof(kinds) / sizeof(kinds[0]),
		.cancels = STRESS_FEWER(320000u),
		.leader_size = sizeof(struct leader),
		.init = leader_init,
		.deinit = leader_deinit,
	};

	return torment_main(argc, argv, &plan);
}
