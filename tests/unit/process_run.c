/* SPDX-License-Identifier: MIT */
/* Children from start to end as one future: what ends such a run early, whatever the child has left behind. */
#define _GNU_SOURCE
#include "../../io/process.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "places.h"
#include "plain.h"

#define SHELL(script) ((char *[]){ "sh", "-c", (script), NULL })
#define OUT 1 /* the transfer of the child's output */

/* errno belongs to a thread, and a fiber may be on another than before: its address is not kept across a wait. */
static __attribute__((noinline)) bool no_child(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

/* A run that is cancelled when all that there is room for has come, before it has heard of that. */
struct late_cancel {
	struct rota_future future;
	struct rota_process_run_op run;
	int go; /* lets the child write */
	bool gone, cancelled;
};

static rota_poll late_cancel_poll(struct rota_future *self, struct rota_context *cx)
{
	struct late_cancel *late = (struct late_cancel *)(void *)self;
	struct rota_process_run_op *run = &late->run;

	if (!late->cancelled && run->channel_[OUT].fd >= 0 && rota__slot_fired(&run->channel_[OUT].op.op_.state_)) {
		late->cancelled = true;
		rota_future_cancel(&run->future);
	}
	if (rota_future_poll(&run->future, cx) == ROTA_PENDING) {
		if (!late->gone && run->channel_[OUT].fd >= 0) { /* the read is under way */
			late->gone = true;
			expect(write(late->go, "\n", 1), ==, 1);
		}
		return ROTA_PENDING;
	}
	self->status = run->future.status;
	return ROTA_READY;
}

static const struct rota_future_ops late_cancel_ops = { .poll = late_cancel_poll };

/* The grandchild holds the pipe, and nobody kills it. */
static void full_script(const struct place *place)
{
	int report[2], go[2];

	plain_pipe(report);
	plain_pipe(go);
	struct rota_process_config config = {
		.argv = SHELL("read line <&4; sleep 1000 & printf %07d $! >&3; echo; wait"),
		.err = { ROTA_PROCESS_NULL, 0 },
		.fds = (const int[]){ report[1], go[0] },
		.fd_count = 2,
	};
	char out[1], pid[8] = "";
	struct rota_process_capture capture = { .out = out, .out_size = 1 };
	struct late_cancel late = { .go = go[1] };

	rota_future_init(&late.future, &late_cancel_ops);
	rota_op_process_run(&late.run, &config, &capture);
	expect(place->carry(place, &late.future), ==, -ECANCELED);
	expect(read(report[0], pid, 7), ==, 7);
	expect(kill(atoi(pid), SIGKILL), ==, 0);
	plain_close(report);
	plain_close(go);
	expect(no_child(), ==, true);
}

UNIT_TEST(process_run, cancelled_when_its_buffer_is_full)
{
	everyhow_inside(full_script, 0);
}

/* The same when the child itself has ended: its group is still there, and is killed. */
static void group_script(const struct place *place)
{
	int fds[2];
	struct rota_process_config config = {
		.argv = SHELL("sleep 1000 &"),
		.err = { ROTA_PROCESS_NULL, 0 },
		.fds = &fds[1],
		.fd_count = 1,
		.flags = ROTA_PROCESS_NEW_GROUP,
	};
	char out[8];
	struct rota_process_capture capture = { .out = out, .out_size = sizeof(out) };
	struct rota_process_run_op op;
	struct poll_once once = { .child = &op.future };
	siginfo_t info = { .si_pid = 0 };

	plain_pipe(fds);
	rota_op_process_run(&op, &config, &capture);
	while (info.si_pid == 0) {
		rota_future_init(&once.future, &poll_once_ops);
		expect(place->carry(place, &once.future), ==, ROTA_PENDING);
		if (op.channel_[OUT].fd >= 0) /* so it was started, which this fiber knows */
			expect(waitid(P_PID, (id_t)op.process_.pid, &info, WEXITED | WNOHANG | WNOWAIT), ==, 0);
		rota_sleep(ROTA_US(100));
	}
	rota_future_init(&once.future, &poll_once_ops);
	expect(place->carry(place, &once.future), ==, ROTA_PENDING);
	rota_future_cancel(&op.future);
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	close(fds[1]);
	expect(read(fds[0], out, 1), ==, 0); /* when nobody has the other end any more */
	close(fds[0]);
	expect(no_child(), ==, true);
}

UNIT_TEST(process_run, cancelled_when_only_its_group_is_left)
{
	in_fibers(group_script, 0);
}

static void lengths_script(const struct place *place)
{
	struct rota_process_config config = { .argv = SHELL("echo"), .out.kind = ROTA_PROCESS_PIPE };
	struct rota_process_capture capture = { .out_len = 7, .err_len = 7 };
	struct rota_process_run_op op;

	rota_op_process_run(&op, &config, &capture);
	expect(place->carry(place, &op.future), ==, -EINVAL);
	expect(capture.out_len, ==, 0);
	expect(capture.err_len, ==, 0);
	capture.out_len = capture.err_len = 7;
	rota_op_process_run(&op, &config, &capture);
	rota_future_cancel(&op.future);
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	expect(capture.out_len, ==, 0);
	expect(capture.err_len, ==, 0);
}

UNIT_TEST(process_run, lengths_are_told_in_any_case)
{
	everyhow(lengths_script);
}

/* --- debuggers -------------------------------------------------------------------------------------------------- */

/* Traces one child, whose status is then to be had by nobody else, until it is told to let go. */
struct debugger {
	pid_t pid;
	int to[2], from[2];
};

static void debugger_main(const struct debugger *debugger)
{
	pid_t pid;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(debugger->to[0], &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	rc = (int)ptrace(PTRACE_SEIZE, pid, NULL, NULL);
	if (write(debugger->from[1], &rc, sizeof(rc)) != sizeof(rc) ||
	    read(debugger->to[0], &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	_exit(0);
}

/* Before there are threads. */
static void debugger_start(struct debugger *debugger)
{
	plain_pipe(debugger->to);
	plain_pipe(debugger->from);
	debugger->pid = fork();
	if (debugger->pid == 0)
		debugger_main(debugger);
}

/* false: not allowed here. */
static bool debugger_attach(const struct debugger *debugger, pid_t pid)
{
	int rc = -1;

	expect(write(debugger->to[1], &pid, sizeof(pid)), ==, sizeof(pid));
	expect(read(debugger->from[0], &rc, sizeof(rc)), ==, sizeof(rc));
	return rc == 0;
}

static void debugger_let_go(const struct debugger *debugger)
{
	expect(write(debugger->to[1], &debugger->pid, sizeof(debugger->pid)), ==, sizeof(debugger->pid));
}

static void debugger_end(struct debugger *debugger)
{
	expect(waitpid(debugger->pid, NULL, 0), ==, debugger->pid);
	plain_close(debugger->to);
	plain_close(debugger->from);
}

static void kill_and_see(const struct rota_process *process)
{
	struct pollfd poll_end = { .fd = process->pidfd_, .events = POLLIN };

	expect(kill(process->pid, SIGKILL), ==, 0);
	expect(poll(&poll_end, 1, -1), ==, 1);
}

/* The end can be seen, but the status is not there: others are not held up, and the wait goes on. */
static void traced_script(const struct place *place)
{
	const struct debugger *debugger = place->data;
	const struct rota_process_config config = {
		.argv = SHELL("exec sleep 1000"),
		.flags = ROTA_PROCESS_KILL_ON_CLOSE,
	};
	struct rota_process_wait_op op;
	struct rota_process process;
	rota_task *task;
	int status;

	expect(rota_process_spawn(&process, &config), ==, 0);
	if (debugger_attach(debugger, process.pid)) {
		rota_op_process_wait(&op, &process);
		expect(rota_spawn_future(&task, &op.future), ==, 0);
		unit_until_resting(task);
		kill_and_see(&process);
		for (int i = 0; i < 20; i++)
			rota_sleep(ROTA_US(100));
		debugger_let_go(debugger);
		expect(rota_join(task, &status), ==, 0);
		expect(status, ==, 0);
		expect(WTERMSIG(op.exit_status), ==, SIGKILL);
	} else {
		cr_log_warn("ptrace is not allowed here: not tested");
		debugger_let_go(debugger);
	}
	rota_process_close(&process);
}

UNIT_TEST(process_run, ends_while_a_debugger_has_it)
{
	struct debugger debuggers[2];

	for (int i = 0; i < 2; i++)
		debugger_start(&debuggers[i]);
	for (int i = 0; i < 2; i++) {
		place_run(&place_kinds[1 + i], 0, traced_script, &debuggers[i]); /* fibers of both flavours */
		debugger_end(&debuggers[i]);
	}
}

static rota_poll output_poll(struct rota_future *self, struct rota_context *cx)
{
	const struct rota_process_config config = { .argv = SHELL("exit 0") };
	char room[1];
	struct rota_process_capture capture = { .out = room, .out_size = 1, .out_len = 7, .err_len = 7 };

	(void)cx;
	self->status = rota_process_output(&config, &capture, NULL);
	expect(capture.out_len, ==, 0);
	expect(capture.err_len, ==, 0);
	return ROTA_READY;
}

static int await_output(void *arg)
{
	static const struct rota_future_ops ops = { .poll = output_poll };
	struct rota_future future;

	(void)arg;
	rota_future_init(&future, &ops);
	unit_expect_join(unit_spawn_future(&future), -EDEADLK);
	return 0;
}

/* What there is of a capture is told in any case. */
RUNTIME_TEST(process_run, output_inside_a_poll_is_refused, .signal = UNIT_MISUSE_SIGNAL)
{
	expect(rota_block_on(rt, await_output, NULL), ==, 0);
}
