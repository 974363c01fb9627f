/* SPDX-License-Identifier: MIT */
/*
 * Child processes: what they get and what they do not, how they end, what they wrote; that none is left behind, whatever
 * happened to who waited for it, with pidfds and without.
 */
#define _GNU_SOURCE
#include "../../io/process.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

#define ARGV(...) ((char *[]){ __VA_ARGS__, NULL })
#define SHELL(script) ARGV("sh", "-c", (script))

/* errno belongs to a thread, and a fiber may be on another than before: its address is not kept across a wait. */
static __attribute__((noinline)) bool no_child(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

static int carry_run(const struct place *place, const struct rota_process_config *config, int *ret_status)
{
	struct rota_process_run_op op;
	int rc;

	rota_op_process_run(&op, config, NULL);
	rc = place->carry(place, &op.future);
	if (rc == 0)
		*ret_status = op.exit_status;
	return rc;
}

struct text {
	char out[4096], err[4096];
};

/* What a command writes, which has to end well. */
static void output(const struct rota_process_config *config, struct text *ret)
{
	struct rota_process_capture capture = {
		.out = ret->out,
		.out_size = sizeof(ret->out) - 1,
		.err = ret->err,
		.err_size = sizeof(ret->err) - 1,
	};
	int status = -1;

	expect(rota_process_output(config, &capture, &status), ==, 0);
	ret->out[capture.out_len] = '\0';
	ret->err[capture.err_len] = '\0';
	expect(status, ==, 0);
}

/* --- how it ends ------------------------------------------------------------------------------------------------------ */

static void end_script(const struct place *place)
{
	struct rota_process_config config = { .argv = SHELL("exit 7") };
	int status = -1;

	expect(carry_run(place, &config, &status), ==, 0);
	expect(WIFEXITED(status), ==, true);
	expect(WEXITSTATUS(status), ==, 7);
	config.argv = SHELL("kill -9 $$");
	expect(carry_run(place, &config, &status), ==, 0);
	expect(WIFSIGNALED(status), ==, true);
	expect(WTERMSIG(status), ==, SIGKILL);
	expect(no_child(), ==, true);
}

UNIT_TEST(process, end)
{
	everyhow(end_script);
}

static void refused_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("true") };
	const int closed[] = { plain_closed() };
	struct rota_process process;
	int status = 4711;

	config.file = "/nonexistent/program";
	expect(carry_run(place, &config, &status), ==, -ENOENT);
	config.file = "no-such-program-anywhere";
	expect(carry_run(place, &config, &status), ==, -ENOENT);
	config.file = "/etc/passwd";
	expect(carry_run(place, &config, &status), ==, -EACCES);
	config.file = NULL;
	config.directory = "/nonexistent";
	expect(carry_run(place, &config, &status), ==, -ENOENT);
	config.directory = NULL;
	config.out = (struct rota_process_stream){ ROTA_PROCESS_FD, closed[0] };
	expect(carry_run(place, &config, &status), ==, -EBADF);
	config.out = (struct rota_process_stream){ ROTA_PROCESS_PIPE, 0 };
	expect(carry_run(place, &config, &status), ==, -EINVAL);
	config.out = (struct rota_process_stream){ ROTA_PROCESS_OUT, 0 };
	expect(carry_run(place, &config, &status), ==, -EINVAL);
	config.out = (struct rota_process_stream){ ROTA_PROCESS_INHERIT, 0 };
	config.fds = closed;
	config.fd_count = 1;
	expect(carry_run(place, &config, &status), ==, -EBADF);
	config.fd_count = ROTA_PROCESS_MAX_FDS + 1;
	expect(carry_run(place, &config, &status), ==, -EINVAL);
	config.fd_count = 0;
	config.flags = 16;
	expect(carry_run(place, &config, &status), ==, -EINVAL);
	config.flags = 0;
	config.argv = NULL;
	expect(carry_run(place, &config, &status), ==, -EINVAL);
	expect(rota_process_spawn(&process, &config), ==, -EINVAL);
	expect(carry_run(place, NULL, &status), ==, -EINVAL);
	expect(rota_process_spawn(&process, NULL), ==, -EINVAL);
	expect(rota_process_run(NULL, &status), ==, -EINVAL);
	expect(status, ==, 4711);
	expect(no_child(), ==, true);
}

UNIT_TEST(process, refused)
{
	everyhow(refused_script);
}

/* It is to have more descriptors than this process may. */
static void many_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("true"), .fd_count = ROTA_PROCESS_MAX_FDS };
	int fds[ROTA_PROCESS_MAX_FDS], status = 0;
	struct rlimit before, few;

	for (int i = 0; i < ROTA_PROCESS_MAX_FDS; i++)
		fds[i] = STDERR_FILENO;
	config.fds = fds;
	expect(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
	few = (struct rlimit){ .rlim_cur = ROTA_PROCESS_MAX_FDS, .rlim_max = before.rlim_max };
	expect(setrlimit(RLIMIT_NOFILE, &few), ==, 0);
	expect(carry_run(place, &config, &status), ==, -EMFILE);
	expect(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
	expect(carry_run(place, &config, &status), ==, 0);
	expect(status, ==, 0);
}

UNIT_TEST(process, more_descriptors_than_there_may_be)
{
	everyhow(many_script);
}

/* Each descriptor, allocation and system call on the way may fail: nothing stays behind. */
static void faults_script(const struct place *place)
{
	struct rota_process_config config = {
		.argv = ARGV("true"),
		.in = { ROTA_PROCESS_PIPE, 0 },
		.out = { ROTA_PROCESS_PIPE, 0 },
		.err = { ROTA_PROCESS_FD, STDERR_FILENO },
	};
	struct rota_process process;

	(void)place;
	for (uint32_t nth = 1; nth <= 7; nth++) { /* of 2 pipes, 4 ends and a copy */
		rota__fault_arm(ROTA__FAULT_SOCKET, nth, -EMFILE);
		expect(rota_process_spawn(&process, &config), ==, -EMFILE);
	}
	rota__fault_arm(ROTA__FAULT_SPAWN, 1, -EAGAIN);
	expect(rota_process_spawn(&process, &config), ==, -EAGAIN);
	expect(rota_process_spawn(&process, &config), ==, 0);
	expect(rota_process_wait(&process, NULL), ==, 0);
	rota_process_close(&process);
	expect(no_child(), ==, true);
}

UNIT_TEST(process, faults)
{
	everywhere(faults_script);
}

/* --- what it gets ------------------------------------------------------------------------------------------------------ */

static void surroundings_script(const struct place *place)
{
	struct rota_process_config config = {
		.argv = ARGV("called so", "-c", "printf '%s|%s|%s|%s' \"$0\" \"$1\" \"$VALUE\" \"$PWD\"", "zero", "one"),
		.file = "/bin/sh",
		.envp = (char *[]){ "VALUE=a value", NULL },
		.directory = "/proc",
	};
	struct text text;

	(void)place;
	output(&config, &text);
	expect_text(text.out, "zero|one|a value|/proc");
	expect_text(text.err, "");
	setenv("VALUE", "inherited", 1);
	config.envp = NULL;
	config.directory = NULL;
	config.argv = SHELL("printf %s \"$VALUE\"");
	output(&config, &text);
	expect_text(text.out, "inherited");
}

UNIT_TEST(process, arguments_environment_directory)
{
	in_fibers(surroundings_script, 0);
}

/* Neither what is close-on-exec nor what is not. */
static void descriptors_script(const struct place *place)
{
	struct rota_process_config config = { .argv = SHELL("cd /proc/$$/fd; echo *"), .in = { ROTA_PROCESS_NULL, 0 } };
	int fds[2], open_end = dup(STDERR_FILENO);
	struct text text;

	(void)place;
	plain_pipe(fds);
	output(&config, &text);
	/* The shell's own look at the directory is one of them. */
	if (strcmp(text.out, "0 1 2 3\n") != 0)
		expect_text(text.out, "0 1 2\n");
	config.argv = SHELL("echo here >&4; cd /proc/$$/fd; echo *");
	config.fds = (const int[]){ open_end, fds[1] };
	config.fd_count = 2;
	output(&config, &text);
	if (strcmp(text.out, "0 1 2 3 4 5\n") != 0)
		expect_text(text.out, "0 1 2 3 4\n");
	expect(read(fds[0], text.out, sizeof(text.out)), ==, 5);
	close(open_end);
	plain_close(fds);
}

UNIT_TEST(process, no_descriptor_that_was_not_asked_for)
{
	in_fibers(descriptors_script, 0);
}

/* This process goes without some of the standard three: what it makes then gets their numbers. */
static void closed_streams_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("cat") };
	struct rota_process_capture capture = { .in = "through", .in_len = 7 };
	struct rota_process process;
	char out[16] = "";
	int status = -1, saved[2];

	(void)place;
	capture.out = out;
	capture.out_size = sizeof(out);
	for (int i = 0; i < 2; i++) {
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
		close(i);
	}
	expect(rota_process_output(&config, &capture, &status), ==, 0);
	expect(status, ==, 0);
	expect_text(out, "through");
	expect(rota_process_spawn(&process, &config), ==, 0);
	expect(process.pidfd_, >, STDERR_FILENO); /* the program may put something in the place of those */
	expect(rota_process_wait(&process, NULL), ==, 0);
	rota_process_close(&process);
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
}

UNIT_TEST(process, standard_streams_that_are_closed)
{
	in_fibers(closed_streams_script, 0);
}

/* What is close-on-exec is not passed on by its number alone, but when it is asked for. */
static void close_on_exec_script(const struct place *place)
{
	struct rota_process_config config = { .argv = SHELL("[ -e /proc/$$/fd/0 ]") };
	int saved = fcntl(0, F_DUPFD_CLOEXEC, 100), fds[2], status;

	plain_pipe(fds);
	expect(dup3(fds[0], 0, O_CLOEXEC), ==, 0);
	expect(carry_run(place, &config, &status), ==, 0);
	expect(WEXITSTATUS(status), ==, 1);
	config.in = (struct rota_process_stream){ ROTA_PROCESS_FD, 0 };
	expect(carry_run(place, &config, &status), ==, 0);
	expect(WEXITSTATUS(status), ==, 0);
	dup2(saved, 0);
	close(saved);
	plain_close(fds);
}

UNIT_TEST(process, standard_stream_that_is_close_on_exec)
{
	everyhow(close_on_exec_script);
}

/* Streams crosswise: output where the errors go here, errors where the output goes. */
static void crossed_script(const struct place *place)
{
	struct rota_process_config config = { .argv = SHELL("echo out; echo err >&2"), .in = { ROTA_PROCESS_NULL, 0 } };
	int one[2], two[2], saved[2], status;
	char text[16] = "";

	plain_pipe(one);
	plain_pipe(two);
	for (int i = 0; i < 2; i++)
		saved[i] = fcntl(1 + i, F_DUPFD_CLOEXEC, 100);
	dup2(one[1], 1);
	dup2(two[1], 2);
	expect_output_ = saved[1];
	config.out = (struct rota_process_stream){ ROTA_PROCESS_FD, 2 };
	config.err = (struct rota_process_stream){ ROTA_PROCESS_FD, 1 };
	expect(carry_run(place, &config, &status), ==, 0);
	expect(read(one[0], text, sizeof(text)), ==, 4);
	expect_text(text, "err\n");
	expect(read(two[0], text, sizeof(text)), ==, 4);
	expect_text(text, "out\n");
	config.out = (struct rota_process_stream){ ROTA_PROCESS_NULL, 0 };
	config.err = (struct rota_process_stream){ ROTA_PROCESS_OUT, 0 };
	expect(carry_run(place, &config, &status), ==, 0);
	config.out = (struct rota_process_stream){ ROTA_PROCESS_FD, one[1] };
	expect(carry_run(place, &config, &status), ==, 0);
	expect(read(one[0], text, sizeof(text)), ==, 8);
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], 1 + i);
		close(saved[i]);
	}
	expect_output_ = STDERR_FILENO;
	plain_close(one);
	plain_close(two);
}

UNIT_TEST(process, streams)
{
	everyhow(crossed_script);
}

/* Those from 32 on the C library keeps for itself. */
static void expect_masks(const char *text, unsigned blocked, unsigned ignored)
{
	unsigned long long is_blocked, is_ignored;

	expect(sscanf(text, "SigBlk: %llx SigIgn: %llx", &is_blocked, &is_ignored), ==, 2);
	expect(is_blocked & 0x7fffffff, ==, blocked);
	expect(is_ignored & 0x7fffffff, ==, ignored);
}

/* The shell that runs the tests may have had some ignored. */
static unsigned ignored_here(void)
{
	struct sigaction action;
	unsigned mask = 0;

	for (int signo = 1; signo < 32; signo++) {
		if (sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			mask |= 1u << (signo - 1);
	}
	return mask;
}

/* rota's threads block signals, and this program ignores some. */
static void signals_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status") };
	struct text text;

	(void)place;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	output(&config, &text);
	expect_masks(text.out, 0, 0);
	config.flags = ROTA_PROCESS_KEEP_IGNORED;
	output(&config, &text);
	expect_masks(text.out, 0, ignored_here());
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

UNIT_TEST(process, signals_are_as_after_login)
{
	in_fibers(signals_script, 0);
}

static void group_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("cut", "-d ", "-f1,5,6", "/proc/self/stat") };
	struct text text;
	int pid, group, session;

	(void)place;
	output(&config, &text);
	expect(sscanf(text.out, "%d %d %d", &pid, &group, &session), ==, 3);
	expect(group, ==, getpgrp());
	expect(session, ==, getsid(0));
	config.flags = ROTA_PROCESS_NEW_GROUP;
	output(&config, &text);
	expect(sscanf(text.out, "%d %d %d", &pid, &group, &session), ==, 3);
	expect(group, ==, pid);
	expect(session, ==, getsid(0));
	config.flags = ROTA_PROCESS_NEW_SESSION;
	output(&config, &text);
	expect(sscanf(text.out, "%d %d %d", &pid, &group, &session), ==, 3);
	expect(group, ==, pid);
	expect(session, ==, pid);
}

UNIT_TEST(process, group_and_session)
{
	in_fibers(group_script, 0);
}

/* --- what it writes ------------------------------------------------------------------------------------------------------ */

/* More of both than pipes hold. */
static void both_script(const struct place *place)
{
	static char out[200000], err[100000];
	struct rota_process_config config = {
		.argv = SHELL("head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2; head -c 100000 /dev/zero"),
	};
	struct rota_process_capture capture = {
		.out = out,
		.out_size = sizeof(out), /* as it happens there is room for just that */
		.err = err,
		.err_size = sizeof(err),
	};
	struct rota_process_run_op op;

	rota_op_process_run(&op, &config, &capture);
	if (place->rt == NULL) {
		expect(place->carry(place, &op.future), ==, -ENXIO);
		return;
	}
	memset(out, 1, sizeof(out));
	expect(place->carry(place, &op.future), ==, 0);
	expect(op.exit_status, ==, 0);
	expect(capture.out_len, ==, sizeof(out));
	expect(capture.err_len, ==, sizeof(err));
	plain_expect_filled(out, 0, sizeof(out));
}

UNIT_TEST(process, output)
{
	everyhow(both_script);
}

static void limit_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("yes") };
	char out[5] = "1234", err[8];
	struct rota_process_capture capture = { .out = out, .out_size = 4, .err = err, .err_size = sizeof(err) };
	int status = 4711;

	(void)place;
	expect(rota_process_output(&config, &capture, &status), ==, -EMSGSIZE);
	expect(capture.out_len, ==, 4);
	expect(capture.err_len, ==, 0);
	expect_text(out, "y\ny\n");
	expect(status, ==, 4711);
	config.argv = SHELL("echo first; echo much more >&2; exec sleep 1000");
	capture.out_size = 5;
	capture.err_size = 0;
	expect(rota_process_output(&config, &capture, &status), ==, -EMSGSIZE);
	expect(capture.err_len, ==, 0);
	expect(no_child(), ==, true);
	expect(rota_process_output(&config, NULL, &status), ==, -EINVAL);
	expect(rota_process_output(NULL, &capture, &status), ==, -EINVAL);
}

UNIT_TEST(process, limits)
{
	in_fibers(limit_script, 0);
}

static void input_script(const struct place *place)
{
	static char in[300000], out[300000];
	struct rota_process_config config = { .argv = ARGV("cat") };
	struct rota_process_capture capture = {
		.in = in,
		.in_len = sizeof(in),
		.out = out,
		.out_size = sizeof(out),
	};
	int status = -1;

	(void)place;
	memset(in, 'x', sizeof(in));
	expect(rota_process_output(&config, &capture, &status), ==, 0);
	expect(status, ==, 0);
	expect(capture.out_len, ==, sizeof(in));
	plain_expect_filled(out, 'x', sizeof(out));
	config.argv = ARGV("true"); /* which reads none of it */
	expect(rota_process_output(&config, &capture, &status), ==, 0);
	expect(capture.out_len, ==, 0);
	config.argv = ARGV("cat");
	capture.in_len = 0; /* an end, at once */
	expect(rota_process_output(&config, &capture, &status), ==, 0);
	expect(capture.out_len, ==, 0);
}

UNIT_TEST(process, input)
{
	in_fibers(input_script, 0);
}

/* A conversation by way of the handle's ends. */
static void talk_script(const struct place *place)
{
	struct rota_process_config config = {
		.argv = ARGV("cat"),
		.in = { ROTA_PROCESS_PIPE, 0 },
		.out = { ROTA_PROCESS_PIPE, 0 },
	};
	struct rota_process process;
	struct rota_process_wait_op op;
	char text[8] = "";

	expect(rota_process_spawn(&process, &config), ==, 0);
	expect(process.err, ==, -1);
	expect(fcntl(process.in, F_GETFD), ==, FD_CLOEXEC);
	for (int i = 0; i < 3; i++) {
		expect(rota_write_all(process.in, "ping", 4), ==, 4);
		expect(rota_read_exact(process.out, text, 4), ==, 4);
		expect_text(text, "ping");
	}
	expect(rota_close(process.in), ==, 0);
	process.in = -1;
	expect(rota_read(process.out, text, 4), ==, 0);
	rota_op_process_wait(&op, &process);
	expect(place->carry(place, &op.future), ==, 0);
	expect(op.exit_status, ==, 0);
	expect(rota_process_wait(&process, NULL), ==, 0); /* again */
	expect(rota_process_kill(&process, SIGTERM), ==, -ESRCH);
	rota_process_close(&process);
	rota_process_close(&process);
	expect(rota_process_wait(&process, NULL), ==, -EBADF);
}

UNIT_TEST(process, talk)
{
	everyhow(talk_script);
}

/* --- cancelled ------------------------------------------------------------------------------------------------------ */

struct victim {
	struct rota_process_config config;
	struct rota_process_capture capture;
	char out[64];
};

static int run_victim(void *arg)
{
	struct victim *victim = arg;

	victim->capture.out = victim->out;
	victim->capture.out_size = sizeof(victim->out) - 1;
	return rota_process_output(&victim->config, &victim->capture, NULL);
}

static void until_text(const char *text)
{
	while (*(const volatile char *)text == '\0')
		rota_sleep(ROTA_US(100));
}

static __attribute__((noinline)) bool is_gone(const char *pid)
{
	return kill(atoi(pid), 0) < 0 && errno == ESRCH;
}

static void cancel_script(const struct place *place)
{
	const bool without = place->data != NULL;
	struct victim victim = { .config.argv = SHELL("echo $$; exec sleep 1000") };
	rota_task *task;

	if (without)
		rota__fault_arm(ROTA__FAULT_PIDFD, 1, -ENOSYS);
	task = unit_spawn(run_victim, &victim);
	until_text(victim.out);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	expect(is_gone(victim.out), ==, true); /* at once */
	expect(no_child(), ==, true);

	/* With what it has started, which holds the pipe. */
	memset(&victim.out, 0, sizeof(victim.out));
	victim.config.flags = ROTA_PROCESS_NEW_GROUP;
	victim.config.argv = SHELL("sleep 1000 & echo $!; wait");
	if (without)
		rota__fault_arm(ROTA__FAULT_PIDFD, 1, -ENOSYS);
	task = unit_spawn(run_victim, &victim);
	until_text(victim.out);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	expect(no_child(), ==, true);
}

UNIT_TEST(process, cancel_kills)
{
	in_fibers(cancel_script, 0);
}

UNIT_TEST(process, cancel_kills_without_pidfd)
{
	place_run(&place_kinds[1], 0, cancel_script, "");
	place_run(&place_kinds[2], 0, cancel_script, "");
}

/* A scope that ends early takes the processes along that its children wait for: when its time is over, when it is
 * cancelled, and when another child fails. */
enum scope_end { SCOPE_TIME, SCOPE_CANCEL, SCOPE_FAILURE, SCOPE_ENDS };

static int fail_after(void *arg)
{
	until_text(arg);
	return -EPROTO;
}

static void scope_script(const struct place *place)
{
	static const int statuses[] = { -ETIMEDOUT, -ECANCELED, -EPROTO };

	(void)place;
	for (enum scope_end end = SCOPE_TIME; end < SCOPE_ENDS; end++) {
		struct victim victim = { .config.argv = SHELL("echo $$; exec sleep 1000") };
		struct rota_scope scope;

		expect(rota_scope_open(&scope, end == SCOPE_TIME ? ROTA_MS(200) : 0), ==, 0);
		expect(rota_scope_spawn(&scope, NULL, run_victim, &victim), ==, 0);
		if (end == SCOPE_FAILURE)
			expect(rota_scope_spawn(&scope, NULL, fail_after, victim.out), ==, 0);
		if (end == SCOPE_CANCEL) {
			until_text(victim.out);
			rota_scope_cancel(&scope);
		}
		expect(rota_scope_close(&scope), ==, statuses[end]);
		if (victim.out[0] != '\0') /* it may not have come so far in its time */
			expect(is_gone(victim.out), ==, true);
		expect(no_child(), ==, true);
	}
}

UNIT_TEST(process, the_end_of_a_scope_kills)
{
	in_fibers(scope_script, 0);
}

/* A grandchild that nobody kills does not hold up who was cancelled. */
static void grandchild_script(const struct place *place)
{
	struct victim victim = { .config.argv = SHELL("sleep 1000 & echo $!; exit 0") };
	rota_task *task = unit_spawn(run_victim, &victim);

	(void)place;
	until_text(victim.out);
	rota_cancel(task);
	unit_expect_join(task, -ECANCELED);
	kill(atoi(victim.out), SIGKILL);
	expect(no_child(), ==, true);
}

UNIT_TEST(process, grandchildren)
{
	in_fibers(grandchild_script, 0);
}

static int wait_for(void *arg)
{
	return rota_process_wait(arg, NULL);
}

/* A wait that is cancelled leaves the child alone; others wait on. */
static void wait_cancel_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("sleep", "1000") };
	struct rota_process process;
	rota_task *one, *other;
	int status;

	if (place->data != NULL)
		rota__fault_arm(ROTA__FAULT_PIDFD, 1, -EPERM);
	expect(rota_process_spawn(&process, &config), ==, 0);
	one = unit_spawn(wait_for, &process);
	other = unit_spawn(wait_for, &process);
	unit_until_resting(one);
	unit_until_resting(other);
	rota_cancel(one);
	unit_expect_join(one, -ECANCELED);
	expect(rota_process_kill(&process, 1000), ==, -EINVAL);
	expect(rota_process_kill(&process, SIGTERM), ==, 0);
	unit_expect_join(other, 0);
	expect(rota_process_wait(&process, &status), ==, 0);
	expect(WTERMSIG(status), ==, SIGTERM);
	rota_process_close(&process);
}

UNIT_TEST(process, waits_are_cancelled)
{
	in_fibers(wait_cancel_script, 0);
}

UNIT_TEST(process, waits_are_cancelled_without_pidfd)
{
	place_run(&place_kinds[1], 0, wait_cancel_script, "");
	place_run(&place_kinds[2], 0, wait_cancel_script, "");
}

static void without_pidfd_script(const struct place *place)
{
	struct rota_process_config config = { .argv = SHELL("exit 3") };
	int status;

	for (int i = 0; i < 5; i++) {
		rota__fault_arm(ROTA__FAULT_PIDFD, 1, -ENOSYS);
		expect(carry_run(place, &config, &status), ==, 0);
		expect(WEXITSTATUS(status), ==, 3);
	}
	expect(no_child(), ==, true);
}

UNIT_TEST(process, without_pidfd)
{
	everyhow(without_pidfd_script);
}

/* --- terminate ------------------------------------------------------------------------------------------------------ */

static void terminate_script(const struct place *place)
{
	struct rota_process_config config = {
		.argv = SHELL("trap '' TERM; echo; sleep 1000 & wait"),
		.out = { ROTA_PROCESS_PIPE, 0 },
		.flags = ROTA_PROCESS_NEW_GROUP,
	};
	struct rota_process_terminate_op op;
	struct rota_process process;
	char byte;
	int status;

	expect(rota_process_spawn(&process, &config), ==, 0);
	expect(rota_read(process.out, &byte, 1), ==, 1);
	rota_op_process_terminate(&op, &process, ROTA_MS(20));
	expect(place->carry(place, &op.future), ==, 0);
	expect(WTERMSIG(op.exit_status), ==, SIGKILL);
	rota_process_close(&process);

	config.argv = SHELL("trap 'exit 9' TERM; echo; while :; do sleep 0.01; done");
	expect(rota_process_spawn(&process, &config), ==, 0);
	expect(rota_read(process.out, &byte, 1), ==, 1);
	expect(rota_process_terminate(&process, ROTA_NEVER, &status), ==, 0);
	expect(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), ==, WIFSIGNALED(status) ? SIGTERM : 9);
	expect(rota_process_terminate(&process, 0, &status), ==, 0); /* it is over already */
	rota_process_close(&process);
}

UNIT_TEST(process, terminate)
{
	everyhow(terminate_script);
}

static int terminate_slowly(void *arg)
{
	int status = 0;
	int rc = rota_process_terminate(arg, ROTA_NEVER, &status);

	return rc < 0 ? rc : WTERMSIG(status);
}

static void hurry_script(const struct place *place)
{
	struct rota_process_config config = {
		.argv = SHELL("trap '' TERM; echo; exec sleep 1000"),
		.out = { ROTA_PROCESS_PIPE, 0 },
	};
	struct rota_process process;
	rota_task *task;
	char byte;

	(void)place;
	expect(rota_process_spawn(&process, &config), ==, 0);
	expect(rota_read(process.out, &byte, 1), ==, 1);
	task = unit_spawn(terminate_slowly, &process);
	unit_until_resting(task);
	rota_cancel(task);
	unit_expect_join(task, SIGKILL);
	rota_process_close(&process);
}

UNIT_TEST(process, a_cancel_ends_the_grace)
{
	in_fibers(hurry_script, 0);
}

/* --- left alone ------------------------------------------------------------------------------------------------------ */

static void closed_script(const struct place *place)
{
	struct rota_process_config killed = { .argv = ARGV("sleep", "1000"), .flags = ROTA_PROCESS_KILL_ON_CLOSE };
	struct rota_process_config goes_on = { .argv = ARGV("sleep", "0.05"), .in = { ROTA_PROCESS_PIPE, 0 } };
	const unsigned before = unit_own_descriptors();
	struct rota_process process[6];

	for (int i = 0; i < 6; i++) {
		if (place->data != NULL)
			rota__fault_arm(ROTA__FAULT_PIDFD, 1, -ENOSYS);
		expect(rota_process_spawn(&process[i], i % 2 == 0 ? &killed : &goes_on), ==, 0);
	}
	for (int i = 0; i < 6; i++)
		rota_process_close(&process[i]);
	for (int i = 0; i < 6; i += 2)
		expect_eventually(kill(process[i].pid, 0) < 0); /* no zombie either */
	expect_eventually(no_child());
	expect_eventually(unit_own_descriptors() == before);
}

UNIT_TEST(process, closed_before_their_end)
{
	everywhere(closed_script);
}

UNIT_TEST(process, closed_before_their_end_without_pidfd)
{
	for (int i = 0; i < PLACES_FOR_CALLS; i++)
		place_run(&place_kinds[i], 0, closed_script, "");
}

/* More than the reaper polls for, and no descriptor or thread for it at first. */
static void many_closed_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("sleep", "0.1") };
	const unsigned before = unit_own_descriptors();
	struct rota_process process[100];

	(void)place;
	for (int i = 0; i < 100; i++)
		expect(rota_process_spawn(&process[i], &config), ==, 0);
	rota__fault_arm(ROTA__FAULT_THREAD, 1, -EAGAIN);
	for (int i = 0; i < 100; i++) {
		if (i == 1)
			rota__fault_arm(ROTA__FAULT_EVENTFD, 1, -EMFILE);
		rota_process_close(&process[i]);
	}
	expect_eventually(no_child());
	expect_eventually(unit_own_descriptors() == before);
}

UNIT_TEST(process, many_closed_before_their_end)
{
	place_run(&place_kinds[1], 0, many_closed_script, NULL);
}

/* Somebody else took its status, and then its number was given to another child: that one is not met. */
static void stranger_script(const struct place *place)
{
	struct rota_process_config config = {
		.argv = ARGV("true"),
		.flags = ROTA_PROCESS_KILL_ON_CLOSE | ROTA_PROCESS_NEW_GROUP,
	};
	struct rota_process process, other;
	int status;

	(void)place;
	expect(rota_process_spawn(&process, &config), ==, 0);
	expect(waitpid(process.pid, NULL, 0), ==, process.pid);
	config.argv = ARGV("sleep", "1000");
	expect(rota_process_spawn(&other, &config), ==, 0);
	process.pid = other.pid; /* as the kernel might have it */
	expect(rota_process_kill(&process, SIGTERM), ==, -ESRCH);
	rota_process_close(&process);
	expect(rota_process_terminate(&other, ROTA_NEVER, &status), ==, 0);
	expect(WTERMSIG(status), ==, SIGTERM);
	rota_process_close(&other);
}

UNIT_TEST(process, whose_number_is_another_childs)
{
	everywhere(stranger_script);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* The leader of a group has ended, and nobody has waited for it: what it has started is killed all the same. */
static void ended_leader_script(const struct place *place)
{
	struct rota_process_config config = {
		.argv = SHELL("sleep 1000 & exit 0"),
		.fd_count = 1,
		.flags = ROTA_PROCESS_KILL_ON_CLOSE | ROTA_PROCESS_NEW_GROUP,
	};
	struct rota_process process;
	int fds[2];
	char byte;

	(void)place;
	plain_pipe(fds);
	config.fds = &fds[1];
	if (place->data != NULL)
		rota__fault_arm(ROTA__FAULT_PIDFD, 1, -ENOSYS);
	expect(rota_process_spawn(&process, &config), ==, 0);
	close(fds[1]);
	expect_eventually(has_ended(process.pid));
	rota_process_close(&process);
	expect(rota_read(fds[0], &byte, 1), ==, 0); /* the last who had the other end is gone */
	close(fds[0]);
	expect(no_child(), ==, true);
}

UNIT_TEST(process, closed_when_the_leader_of_a_group_has_ended)
{
	for (int i = 0; i < PLACES_FOR_CALLS; i++) {
		place_run(&place_kinds[i], 0, ended_leader_script, NULL);
		place_run(&place_kinds[i], 0, ended_leader_script, "");
	}
}

struct pipe_user {
	int fd;
	bool writes;
};

static int use_pipe(void *arg)
{
	static char bytes[1 << 20]; /* more than a pipe holds */
	struct pipe_user *user = arg;

	return (int)(user->writes ? rota_write(user->fd, bytes, sizeof(bytes)) : rota_read(user->fd, bytes, 1));
}

static int close_process(void *arg)
{
	rota_process_close(arg);
	return 0;
}

/* Others wait for its pipe ends: they are not left to wait for what the child does with the other ends. */
static void closed_pipes_script(const struct place *place)
{
	struct rota_process_config config = {
		.argv = ARGV("sleep", "1000"),
		.in = { ROTA_PROCESS_PIPE, 0 },
		.out = { ROTA_PROCESS_PIPE, 0 },
	};

	(void)place;
	for (int round = 0; round < 10; round++) {
		const unsigned before = unit_own_descriptors();
		struct pipe_user reader = { -1, false }, writer = { -1, true };
		struct rota_process process;
		rota_task *reads, *writes, *job;
		pid_t pid;

		expect(rota_process_spawn(&process, &config), ==, 0);
		pid = process.pid;
		reader.fd = process.out;
		writer.fd = process.in;
		plain_fill(writer.fd);
		reads = unit_spawn(use_pipe, &reader);
		writes = unit_spawn(use_pipe, &writer);
		unit_until_resting(reads);
		unit_until_resting(writes);
		if (round % 2 == 0) {
			rota_process_close(&process);
		} else {
			expect(rota_spawn_blocking(&job, close_process, &process), ==, 0);
			unit_expect_join(job, 0);
		}
		unit_expect_join(reads, -ECANCELED);
		unit_expect_join(writes, -ECANCELED);
		expect(process.in, ==, -1);
		expect(process.out, ==, -1);
		expect(kill(pid, SIGKILL), ==, 0);
		expect_eventually(rota_yield() == 0 && no_child());
		expect_eventually(rota_yield() == 0 && unit_own_descriptors() == before);
	}
}

UNIT_TEST(process, closed_while_others_wait_for_its_pipes)
{
	in_fibers(closed_pipes_script, 0);
}

struct spliced {
	int from, to;
	bool done; /* atomic */
};

static int splice_to(void *arg)
{
	struct spliced *spliced = arg;
	int rc = (int)rota_splice(spliced->from, -1, spliced->to, -1, 8, 0);

	__atomic_store_n(&spliced->done, true, __ATOMIC_RELEASE);
	return rc;
}

static bool is_done(const struct spliced *spliced)
{
	return __atomic_load_n(&spliced->done, __ATOMIC_ACQUIRE);
}

/* Two splices wait for a line of a terminal, and there is one: a thread that makes the call for the other one waits in it. */
static void closed_pipe_of_call_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("sleep", "1000"), .in = { ROTA_PROCESS_PIPE, 0 } };
	struct rota_process process[2];
	rota_task *tasks[2];

	(void)place;
	for (int round = 0; round < 10; round++) {
		const unsigned before = unit_own_descriptors();
		struct spliced spliced[2];
		int slave, master = plain_terminal(&slave), status[2];
		pid_t pids[2];

		for (int i = 0; i < 2; i++) {
			expect(rota_process_spawn(&process[i], &config), ==, 0);
			pids[i] = process[i].pid;
			spliced[i] = (struct spliced){ slave, process[i].in, false };
			tasks[i] = unit_spawn(splice_to, &spliced[i]);
			unit_until_resting(tasks[i]);
		}
		expect(write(master, "ab\n", 3), ==, 3);
		expect_eventually(rota_yield() == 0 && (is_done(&spliced[0]) || is_done(&spliced[1])));
		rota_sleep(round % 2 * ROTA_MS(1)); /* the other one is on its way into the call, or there */
		for (int i = 0; i < 2; i++)
			rota_process_close(&process[i]);
		for (int i = 0; i < 2; i++)
			expect(rota_join(tasks[i], &status[i]), ==, 0);
		expect(status[0] == 3 ? status[1] : status[0], ==, -ECANCELED);
		expect(status[0] == 3 || status[1] == 3, ==, true);
		close(slave);
		close(master);
		for (int i = 0; i < 2; i++)
			expect(kill(pids[i], SIGKILL), ==, 0);
		expect_eventually(rota_yield() == 0 && no_child());
		expect_eventually(rota_yield() == 0 && unit_own_descriptors() == before);
	}
}

UNIT_TEST(process, closed_while_a_thread_makes_a_call_on_its_pipe)
{
	in_fibers(closed_pipe_of_call_script, 0);
}

static int leave(void *arg)
{
	struct rota_process_config config = { .argv = ARGV("sleep", "0.2") };

	expect(rota_process_spawn(arg, &config), ==, 0);
	rota_process_close(arg);
	return 0;
}

UNIT_TEST(process, outlives_the_runtime)
{
	struct rota_process process;
	rota_runtime *rt = place_runtime(ROTA_FLAVOR_MULTI_THREAD, 0);

	expect(rota_block_on(rt, leave, &process), ==, 0);
	place_runtime_free(rt);
	expect_eventually(no_child());
}

static int run_long(void *arg)
{
	struct rota_process_config config = { .argv = ARGV("sleep", "1000") };

	(void)arg;
	return rota_process_run(&config, NULL);
}

static int abandon(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++)
		rota_detach(unit_spawn(run_long, NULL));
	return rota_sleep(ROTA_MS(5)); /* some are about to be started, some run */
}

UNIT_TEST(process, shutdown_takes_children_along)
{
	static const enum rota_flavor flavors[] = { ROTA_FLAVOR_MULTI_THREAD, ROTA_FLAVOR_CURRENT_THREAD };

	for (int i = 0; i < 2; i++) {
		rota_runtime *rt = place_runtime(flavors[i], 0);

		expect(rota_block_on(rt, abandon, NULL), ==, 0);
		place_runtime_free(rt);
		expect(no_child(), ==, true);
	}
}

/* Somebody else takes the status. */
static void stolen_script(const struct place *place)
{
	struct rota_process_config config = { .argv = ARGV("true") };
	struct rota_process process;

	(void)place;
	expect(rota_process_spawn(&process, &config), ==, 0);
	expect(waitpid(-1, NULL, 0), ==, process.pid);
	expect(rota_process_wait(&process, NULL), ==, -ECHILD);
	expect(rota_process_kill(&process, SIGTERM), ==, -ESRCH);
	rota_process_close(&process);
	signal(SIGCHLD, SIG_IGN);
	expect(rota_process_run(&config, NULL), ==, -ECHILD);
	signal(SIGCHLD, SIG_DFL);
}

UNIT_TEST(process, status_that_somebody_else_took)
{
	everywhere(stolen_script);
}
