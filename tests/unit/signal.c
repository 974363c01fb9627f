/* SPDX-License-Identifier: MIT */
/*
 * Signals as streams: who sees what, how often, what is refused, and that everything is as before when the last stream
 * was closed.
 */
#define _GNU_SOURCE
#include "../../io/signal.h"

#include <pthread.h>

#include "../../runtime/sys_internal.h"
#include "places.h"

static int carry_wait(const struct place *place, struct rota_signal *stream)
{
	struct rota_signal_op op;

	rota_signal_wait_init(&op, stream);
	return place->carry(place, &op.future);
}

static bool is_default(int signo)
{
	struct sigaction action;

	expect(sigaction(signo, NULL, &action), ==, 0);
	return action.sa_handler == SIG_DFL;
}

static void send_one(void *arg)
{
	(void)arg;
	expect(kill(getpid(), SIGUSR1), ==, 0);
}

static void wait_script(const struct place *place)
{
	struct rota_signal stream, other;
	struct party party;

	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	expect(rota_signal_open(&other, SIGUSR1), ==, 0);
	party_start(&party, send_one, NULL);
	party_go(&party);
	expect(carry_wait(place, &stream), ==, 0);
	party_join(&party);
	expect(carry_wait(place, &other), ==, 0); /* each sees it, also when it looks later */
	expect(kill(getpid(), SIGUSR1), ==, 0);
	rota_signal_close(&other);
	expect(carry_wait(place, &stream), ==, 0);
	rota_signal_close(&stream);
	rota_signal_close(&stream);
	expect(carry_wait(place, &stream), ==, -EBADF);
	expect(is_default(SIGUSR1), ==, true);
}

UNIT_TEST(signal, wait)
{
	everyhow(wait_script);
}

/* Many that nobody takes are one, and another comes after it. */
static int wait_once(void *arg)
{
	return rota_signal_wait(arg);
}

static void expect_none_left(struct rota_signal *stream)
{
	rota_task *task = unit_spawn(wait_once, stream);

	for (int i = 0; i < 100; i++)
		expect(rota_yield(), ==, 0);
	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, -ECANCELED);
}

static void coalesce_script(const struct place *place)
{
	struct rota_signal stream, marker;
	rota_task *task;

	(void)place;
	expect(rota_signal_open(&stream, SIGRTMIN), ==, 0);
	expect(rota_signal_open(&marker, SIGUSR2), ==, 0);
	for (int i = 0; i < 10; i++)
		expect(kill(getpid(), SIGRTMIN), ==, 0);
	/* They have all arrived, and been delivered, when something that comes later has. */
	for (int i = 0; i < 2; i++) {
		expect(kill(getpid(), SIGUSR2), ==, 0);
		expect(rota_signal_wait(&marker), ==, 0);
	}
	expect(rota_signal_wait(&stream), ==, 0);
	expect_none_left(&stream);
	task = unit_spawn(wait_once, &stream);
	unit_until_resting(task);
	expect(kill(getpid(), SIGRTMIN), ==, 0);
	unit_expect_join(task, 0);
	expect_none_left(&stream);
	rota_signal_close(&stream);
	rota_signal_close(&marker);
}

UNIT_TEST(signal, several_are_one)
{
	in_fibers(coalesce_script, 0);
}

static void refused_script(const struct place *place)
{
	static const int signals[] = { -1,     0,      65,      1000,    SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,
				       SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS,  32,      33 };
	struct rota_signal stream;

	(void)place;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		expect(rota_signal_open(&stream, signals[i]), ==, -EINVAL);
}

UNIT_TEST(signal, refused)
{
	everywhere(refused_script);
}

static void cancel_script(const struct place *place)
{
	struct rota_signal stream;
	rota_task *task, *other;

	(void)place;
	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	task = unit_spawn(wait_once, &stream);
	other = unit_spawn(wait_once, &stream);
	unit_until_resting(task);
	unit_until_resting(other);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	rota_signal_close(&stream); /* which tells those who wait */
	unit_expect_join(other, -ECANCELED);
}

UNIT_TEST(signal, cancel_and_close)
{
	in_fibers(cancel_script, 0);
}

/* Cancelled about when the signal comes: taken, or still there. */
static void cancel_race_script(const struct place *place)
{
	struct rota_signal stream;
	int taken = 0;

	(void)place;
	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	for (int i = 0; i < 200; i++) {
		rota_task *task = unit_spawn(wait_once, &stream);
		int status;

		expect(kill(getpid(), SIGUSR1), ==, 0);
		for (int k = 0; k < i % 20; k++)
			rota_yield();
		rota_cancel(task);
		expect(rota_join(task, &status), ==, 0);
		if (status == 0)
			taken++;
		else
			expect(status, ==, -ECANCELED);
		if (status < 0)
			expect(rota_signal_wait(&stream), ==, 0);
	}
	expect(taken, <=, 200);
	rota_signal_close(&stream);
}

UNIT_TEST(signal, cancelled_when_it_comes)
{
	in_fibers(cancel_race_script, 0);
}

static struct rota_atomic_u32 handled;

static void own_handler(int signo)
{
	(void)signo;
	rota__fetch_add(&handled, 1, SEQ_CST);
}

/* What held before holds again. */
UNIT_TEST(signal, former_disposition)
{
	struct sigaction action = { .sa_handler = own_handler }, other = { .sa_handler = SIG_IGN }, now;
	struct rota_signal stream, second;

	sigaction(SIGUSR1, &action, NULL);
	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	expect(rota_signal_open(&second, SIGUSR1), ==, 0);
	kill(getpid(), SIGUSR1);
	expect(rota_signal_wait(&stream), ==, 0);
	rota_signal_close(&stream);
	kill(getpid(), SIGUSR1);
	expect(rota_signal_wait(&second), ==, 0);
	expect(rota__load(&handled, SEQ_CST), ==, 0);
	rota_signal_close(&second);
	kill(getpid(), SIGUSR1);
	expect(rota__load(&handled, SEQ_CST), ==, 1);

	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	sigaction(SIGUSR1, &other, NULL); /* the program has the last word */
	rota_signal_close(&stream);
	sigaction(SIGUSR1, NULL, &now);
	expect(now.sa_handler == SIG_IGN, ==, true);
}

/* Blocked in every thread that is the program's. */
UNIT_TEST(signal, blocked_by_the_program)
{
	struct rota_signal stream;
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	kill(getpid(), SIGUSR2); /* pending since before there was a stream */
	expect(rota_signal_open(&stream, SIGUSR2), ==, 0);
	expect(rota_signal_wait(&stream), ==, 0);
	kill(getpid(), SIGUSR2);
	expect(rota_signal_wait(&stream), ==, 0);
	rota_signal_close(&stream);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* A system call of the program's is not cut short, and errno stays what it was. */
static void *read_byte(void *arg)
{
	char byte;

	return (void *)(intptr_t)read(*(int *)arg, &byte, 1);
}

UNIT_TEST(signal, does_not_disturb_the_program)
{
	struct rota_signal stream;
	pthread_t reader;
	void *count;
	int fds[2];

	expect(pipe2(fds, O_CLOEXEC), ==, 0);
	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	expect(pthread_create(&reader, NULL, read_byte, &fds[0]), ==, 0);
	for (int i = 0; i < 20; i++) {
		errno = 4711;
		expect(raise(SIGUSR1), ==, 0);
		expect(errno, ==, 4711);
		expect(rota_signal_wait(&stream), ==, 0);
		pthread_kill(reader, SIGUSR1);
		expect(rota_signal_wait(&stream), ==, 0);
	}
	expect(write(fds[1], "x", 1), ==, 1);
	pthread_join(reader, &count);
	expect((intptr_t)count, ==, 1);
	rota_signal_close(&stream);
}

/* Children of the program's own are seen, and are its own to wait for. */
static void child_script(const struct place *place)
{
	struct rota_signal stream;
	int status;
	pid_t pid;

	expect(rota_signal_open(&stream, SIGCHLD), ==, 0);
	pid = fork();
	if (pid == 0)
		_exit(7);
	expect(carry_wait(place, &stream), ==, 0);
	expect(waitpid(pid, &status, 0), ==, pid);
	expect(WEXITSTATUS(status), ==, 7);
	rota_signal_close(&stream);
}

UNIT_TEST(signal, foreign_children)
{
	everyhow(child_script);
}

/* Who does not want to wait for children need not. */
UNIT_TEST(signal, ignored_children)
{
	struct rota_signal stream;
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	expect(rota_signal_open(&stream, SIGCHLD), ==, 0);
	pid = fork();
	if (pid == 0)
		_exit(7);
	expect(rota_signal_wait(&stream), ==, 0);
	expect_eventually(waitpid(pid, NULL, 0) < 0 && errno == ECHILD);
	rota_signal_close(&stream);
}

/* A fork has nothing to do with its parent's streams: neither does the parent see its signals, nor are they caught. */
UNIT_TEST(signal, of_a_fork)
{
	struct rota_signal stream, marker;
	struct rota_signal_op op;
	struct poll_once once;
	int status;
	pid_t pid;

	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	expect(rota_signal_open(&marker, SIGUSR2), ==, 0);
	pid = fork();
	if (pid == 0) {
		raise(SIGUSR1);
		_exit(0);
	}
	expect(waitpid(pid, &status, 0), ==, pid);
	expect(WIFSIGNALED(status) ? WTERMSIG(status) : 0, ==, SIGUSR1);
	raise(SIGUSR2);
	expect(rota_signal_wait(&marker), ==, 0);
	rota_signal_wait_init(&op, &stream);
	once = (struct poll_once){ .child = &op.future };
	rota_future_init(&once.future, &poll_once_ops);
	expect(rota_await(&once.future), ==, ROTA_PENDING);
	rota_future_cancel(&op.future);
	expect(rota_await(&op.future), ==, -ECANCELED);
	rota_signal_close(&stream);
	rota_signal_close(&marker);
}

UNIT_TEST(signal, no_thread)
{
	const unsigned before = unit_threads();
	struct rota_signal stream;

	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	expect(rota_signal_open(&stream, SIGUSR1), ==, -EAGAIN);
	expect(is_default(SIGUSR1), ==, true);
	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	rota_signal_close(&stream);
	expect_eventually(unit_threads() == before);
}

/* More streams than a wake batch holds of threads. */
#define THREADS 40

static void *wait_in_thread(void *arg)
{
	return (void *)(intptr_t)rota_signal_wait(arg);
}

UNIT_TEST(signal, many_threads)
{
	static struct rota_signal stream[THREADS];
	pthread_t thread[THREADS];
	void *status;

	for (int i = 0; i < THREADS; i++) {
		expect(rota_signal_open(&stream[i], SIGUSR1), ==, 0);
		expect(pthread_create(&thread[i], NULL, wait_in_thread, &stream[i]), ==, 0);
	}
	usleep(10000);
	expect(kill(getpid(), SIGUSR1), ==, 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &status);
		expect((intptr_t)status, ==, 0);
		rota_signal_close(&stream[i]);
	}
	expect(rota_signal_open(&stream[0], SIGUSR1), ==, 0);
	for (int i = 0; i < THREADS; i++)
		expect(pthread_create(&thread[i], NULL, wait_in_thread, &stream[0]), ==, 0);
	while (__atomic_load_n(&stream[0].waiters_.count_, __ATOMIC_RELAXED) < THREADS)
		usleep(100);
	rota_signal_close(&stream[0]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &status);
		expect((intptr_t)status, ==, -ECANCELED);
	}
}
