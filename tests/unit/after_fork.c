/* SPDX-License-Identifier: MIT */
/*
 * Children of fork(2), as of a server that forks its workers: what the parent did with names, signals and processes is none
 * of theirs, a runtime of their own is like any other, and one of the parent's is refused.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../../io/file.h"
#include "../../io/op.h"
#include "../../io/process.h"
#include "../../io/resolve.h"
#include "../../io/signal.h"
#include "../../io/sys_internal.h"
#include "../../runtime/runtime_internal.h"
#include "places.h"
#include "resolver.h"

static const char *const one_address[] = { "127.0.0.2", NULL };

/* fn(arg) as a task of a runtime that a child starts. The child goes with its parent, should it wait for ever. */
struct trial {
	int (*fn)(void *arg);
	void *arg;
};

static void begin_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void try_it(void *arg)
{
	const struct trial *trial = arg;
	rota_runtime *rt = unit_runtime(unit_flavor);

	begin_child();
	expect(rota_block_on(rt, trial->fn, trial->arg), ==, 0);
	rota_runtime_free(rt);
}

static void expect_child(int (*fn)(void *arg), void *arg)
{
	struct trial trial = { fn, arg };
	struct unit_child child;

	unit_child_run(&child, try_it, &trial);
	expect_text(child.text, "");
	expect(child.status, ==, 0);
}

/* --- what belongs to the process -------------------------------------------------------------------------------- */

static int ask(void *arg)
{
	struct rota_address found[2];

	(void)arg;
	expect(rota_resolve("name.test", "80", 0, found, 2), ==, 1);
	return 0;
}

/* The parent's thread, which waits for the next question, is not there. */
RUNTIME_TEST(after_fork, names)
{
	resolver_set(0, one_address);
	expect(rota_block_on(rt, ask, NULL), ==, 0);
	expect_child(ask, NULL);
	expect(rota_block_on(rt, ask, NULL), ==, 0);
}

static int hear(void *arg)
{
	struct rota_signal stream;

	(void)arg;
	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	kill(getpid(), SIGUSR1);
	expect(rota_signal_wait(&stream), ==, 0);
	rota_signal_close(&stream);
	return 0;
}

static int hear_nothing_of(void *stream)
{
	expect(rota_signal_wait(stream), ==, -EBADF);
	rota_signal_close(stream);
	return hear(NULL);
}

RUNTIME_TEST(after_fork, signals)
{
	struct rota_signal streams[2];

	for (unsigned i = 0; i < 2; i++)
		expect(rota_signal_open(&streams[i], SIGUSR1), ==, 0);
	expect_child(hear_nothing_of, &streams[0]);
	kill(getpid(), SIGUSR1);
	for (unsigned i = 0; i < 2; i++) {
		expect(rota_signal_wait(&streams[i]), ==, 0);
		rota_signal_close(&streams[i]);
	}
}

static unsigned heard; /* by the program's own handler */
static bool to_be_sent;

static void hear_it(int signo)
{
	(void)signo;
	__atomic_add_fetch(&heard, 1, __ATOMIC_SEQ_CST);
}

static void send_it(void)
{
	if (to_be_sent)
		kill(getpid(), SIGUSR1);
}

static void expect_heard(void *stream)
{
	sigset_t blocked;

	expect(__atomic_load_n(&heard, __ATOMIC_SEQ_CST), ==, 1);
	expect(rota_signal_wait(stream), ==, -EBADF);
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	expect(sigismember(&blocked, SIGUSR1), ==, 0);
}

/* This program's handler of forks comes before rota's: it was there first. */
RUNTIME_TEST(after_fork, early_signals)
{
	struct rota_signal stream;
	struct unit_child child;
	sigset_t blocked;

	signal(SIGUSR1, hear_it);
	pthread_atfork(NULL, NULL, send_it);
	expect(rota_signal_open(&stream, SIGUSR1), ==, 0);
	to_be_sent = true;
	unit_child_run(&child, expect_heard, &stream);
	to_be_sent = false;
	expect_text(child.text, "");
	expect(child.status, ==, 0);
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	expect(sigismember(&blocked, SIGUSR1), ==, 0);
	kill(getpid(), SIGUSR1);
	expect(rota_signal_wait(&stream), ==, 0);
	rota_signal_close(&stream);
	expect(__atomic_load_n(&heard, __ATOMIC_SEQ_CST), ==, 0);
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

static int leave_a_child(void *arg)
{
	const struct rota_process_config config = { .argv = (char *[]){ "true", NULL } };
	struct rota_process process;
	pid_t pid;

	(void)arg;
	expect(rota_process_spawn(&process, &config), ==, 0);
	pid = process.pid;
	rota_process_close(&process);
	expect_eventually(is_gone(pid));
	return 0;
}

RUNTIME_TEST(after_fork, orphans)
{
	const struct rota_process_config config = { .argv = (char *[]){ "sleep", "1000", NULL } };
	struct rota_process process;
	pid_t pid;

	expect(rota_process_spawn(&process, &config), ==, 0);
	pid = process.pid;
	rota_process_close(&process);
	expect_child(leave_a_child, NULL);
	kill(pid, SIGKILL);
	expect_eventually(is_gone(pid));
}

/* As the epoll back end asks: nobody has connected. */
static int ask_for_connection(int fd)
{
	struct rota_op op;

	rota_op_accept(&op, fd, NULL, NULL);
	return rota__sys_call(&op)->make(&op, true);
}

static void take_turn(void *arg)
{
	begin_child();
	expect(rota__accept_turn_begin(*(const int *)arg), ==, true);
}

/* A turn that another thread of the parent has at the fork is not taken in the child, where that thread is not. */
UNIT_TEST(after_fork, accept_turns)
{
	struct unit_child child;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	expect(fd, >=, 0);
	expect(listen(fd, 1), ==, 0);
	expect(ask_for_connection(fd), ==, -EAGAIN);
	expect(rota__accept_turn_begin(fd), ==, true);
	unit_child_run(&child, take_turn, &fd);
	expect_text(child.text, "");
	expect(child.status, ==, 0);
	expect(rota__accept_turn_begin(fd), ==, false);
	rota__accept_turn_end(fd);
	close(fd);
}

/* --- runtimes --------------------------------------------------------------------------------------------------- */

static int give(void *arg)
{
	(void)arg;
	return 42;
}

struct use {
	rota_runtime *rt;
	int (*fn)(rota_runtime *rt);
};

static int block_on(rota_runtime *rt)
{
	return rota_block_on(rt, give, NULL);
}

static int block_on_future(rota_runtime *rt)
{
	struct rota_timer timer;

	rota_timer_init(&timer, 0);
	return rota_block_on_future(rt, &timer.future);
}

static int spawn_on(rota_runtime *rt)
{
	return rota_spawn_on(rt, NULL, give, NULL);
}

static int register_memory(rota_runtime *rt)
{
	static char memory[4096];

	return rota_register_memory(rt, memory, sizeof(memory));
}

static int trim(rota_runtime *rt)
{
	rota_runtime_trim(rt);
	return -ESHUTDOWN;
}

static int metrics(rota_runtime *rt)
{
	struct rota_metrics m = { .workers = 1 };

	rota_runtime_metrics(rt, &m);
	expect(m.workers, ==, 0);
	return -ESHUTDOWN;
}

static void use_it(void *arg)
{
	const struct use *use = arg;

	begin_child();
	expect(use->fn(use->rt), ==, -ESHUTDOWN);
}

RUNTIME_TEST(after_fork, the_parents_runtime_is_refused)
{
	int (*const fns[])(rota_runtime *) = { block_on, block_on_future, spawn_on, register_memory, trim, metrics };

	for (unsigned i = 0; i < sizeof(fns) / sizeof(fns[0]); i++) {
		struct use use = { rt, fns[i] };
		struct unit_child child;

		unit_child_run(&child, use_it, &use);
		expect(WIFSIGNALED(child.status) ? WTERMSIG(child.status) : 0, ==, UNIT_MISUSE_SIGNAL);
		expect_contains(child.text, "a runtime of the parent process cannot be used after fork(2)");
	}
	expect(rota_block_on(rt, give, NULL), ==, 42);
}

static void free_it(void *rt)
{
	begin_child();
	expect(rota_runtime_shutdown(rt, ROTA_NEVER), ==, 0);
	rota_runtime_free(rt);
}

/* As the destructors of a C++ program do it, in a child that calls exit. */
RUNTIME_TEST(after_fork, the_parents_runtime_is_not_freed)
{
	struct unit_child child;

	unit_child_run(&child, free_it, rt);
	expect_text(child.text, "");
	expect(child.status, ==, 0);
	expect(rota_block_on(rt, give, NULL), ==, 42);
}

/* Tasks of the parent that wait, and a job that runs. */
struct parents {
	rota_runtime *rt;
	rota_task *sleeper, *waiter, *job;
	struct unit_event event;
	int ends[2];
};

static unsigned told; /* in the child: what the parent's threads would hear of */

static void tell_worker(struct rota__worker *worker)
{
	(void)worker;
	told++;
}

static void tell_reactor(rota_runtime *rt)
{
	(void)rt;
	told++;
}

static void wake_and_cancel(void *arg)
{
	struct parents *parents = arg;
	struct rota__driver driver = *parents->rt->driver;

	begin_child();
	driver.wake = tell_worker;
	driver.wake_reactor = tell_reactor;
	parents->rt->driver = &driver;
	unit_event_set(&parents->event);
	expect(rota_cancel(parents->sleeper), ==, 0);
	rota__blocking_lock(&parents->rt->blocking); /* as another thread may have at the fork */
	expect(rota_cancel(parents->job), ==, 0);
	expect(told, ==, 0);
}

static int sleep_for_ever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_NEVER);
}

static int wait_for_event(void *arg)
{
	return unit_event_wait(arg);
}

static int read_it(void *arg)
{
	char byte;

	return (int)read(*(const int *)arg, &byte, 1);
}

static int begin_parents(void *arg)
{
	struct parents *parents = arg;

	parents->sleeper = unit_spawn(sleep_for_ever, NULL);
	parents->waiter = unit_spawn(wait_for_event, &parents->event);
	expect(rota_spawn_blocking(&parents->job, read_it, &parents->ends[0]), ==, 0);
	unit_until_resting(parents->sleeper);
	unit_until_resting(parents->waiter);
	return 0;
}

static int end_parents(void *arg)
{
	struct parents *parents = arg;

	close(parents->ends[1]);
	unit_expect_join(parents->job, 0);
	unit_event_set(&parents->event);
	unit_expect_join(parents->waiter, 0);
	expect(rota_cancel(parents->sleeper), ==, 0);
	unit_expect_join(parents->sleeper, -ECANCELED);
	return 0;
}

static bool all_asleep(rota_runtime *rt)
{
	for (unsigned i = 0; i < rt->worker_count; i++) {
		if (!rota__load(&rt->workers[i].asleep, SEQ_CST))
			return rt->config.flavor == ROTA_FLAVOR_CURRENT_THREAD;
	}
	return true;
}

/* The descriptors by which they are woken are the parent's. */
RUNTIME_TEST(after_fork, the_parents_tasks_are_left_alone)
{
	static struct parents parents;
	struct unit_child child;

	parents = (struct parents){ .rt = rt };
	expect(pipe2(parents.ends, O_CLOEXEC), ==, 0);
	expect(rota_block_on(rt, begin_parents, &parents), ==, 0);
	expect_eventually(all_asleep(rt) && unit_others_sleep()); /* so that the child can take the pool's lock */
	unit_child_run(&child, wake_and_cancel, &parents);
	expect_text(child.text, "");
	expect(child.status, ==, 0);
	expect(rota_block_on(rt, end_parents, &parents), ==, 0);
	close(parents.ends[0]);
}

static int of_no_task(void *arg)
{
	expect(rota_task_id(), !=, 0);
	return give(arg) - 42;
}

/* Who forks inside of a task is a plain thread in the child. */
static void as_a_plain_thread(void *arg)
{
	struct trial trial = { of_no_task, NULL };

	(void)arg;
	expect(rota_task_id(), ==, 0);
	expect_pointer(rota_runtime_current(), ==, NULL);
	expect(rota_sleep(1), ==, 0);
	try_it(&trial);
}

TASK_TEST(after_fork, in_a_task)
{
	struct unit_child child;

	unit_child_run(&child, as_a_plain_thread, NULL);
	expect(child.status, ==, 0);
	expect(rota_sleep(1), ==, 0);
}

static int fork_in_a_job(void *arg)
{
	struct unit_child *child = arg;

	unit_child_run(child, as_a_plain_thread, NULL);
	return 0;
}

TASK_TEST(after_fork, in_a_job)
{
	struct unit_child child;

	expect(rota_offload(fork_in_a_job, &child), ==, 0);
	expect_text(child.text, "");
	expect(child.status, ==, 0);
}
