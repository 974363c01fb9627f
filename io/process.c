/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a child, and killing it.
 *
 * A pidfd becomes readable when the child ends, whoever is told of it first: the wait is a poll of that. Where there are
 * no pidfds (an old kernel, a seccomp filter, no descriptor left) it is a stream of SIGCHLD, and a look after each; and so
 * for a child that a debugger has, whose status is not to be had yet when the pidfd is readable already.
 */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "../runtime/runtime_internal.h"
#include "../runtime/spin_internal.h"
#include "../runtime/sys_internal.h"
#include "carrier_internal.h"
#include "fd.h"
#include "fd_hint_internal.h"
#include "process_internal.h"
#include "sys_process_internal.h"

/* --- the handle ------------------------------------------------------------------------------------------------- */

int rota__process_reap(struct rota_process *process)
{
	int rc = 0;

	rota__spin_lock(&process->lock_);
	if (process->state_ == ROTA__PROCESS_RUNNING) {
		rc = rota__sys_reap(process->pid, process->pidfd_, &process->status_);
		if (rc > 0)
			process->state_ = ROTA__PROCESS_ENDED;
		else if (rc < 0)
			process->state_ = ROTA__PROCESS_LOST;
	}
	if (process->state_ == ROTA__PROCESS_ENDED)
		rc = 1;
	else if (process->state_ != ROTA__PROCESS_RUNNING)
		rc = process->state_ == ROTA__PROCESS_LOST ? -ECHILD : -EBADF;
	rota__spin_unlock(&process->lock_);
	return rc;
}

int rota_process_kill(struct rota_process *process, int signo)
{
	const bool group = (process->flags_ & (ROTA_PROCESS_NEW_GROUP | ROTA_PROCESS_NEW_SESSION)) != 0;
	int rc = -ESRCH;

	rota__spin_lock(&process->lock_);
	/* Until its status is taken the number is the child's, and its group's, also when it has ended by itself. */
	if (process->state_ == ROTA__PROCESS_RUNNING && rota__sys_is_child(process->pid, process->pidfd_))
		rc = rota__sys_kill(process->pid, process->pidfd_, group, signo);
	rota__spin_unlock(&process->lock_);
	return rc;
}

static int close_as_others_do(void *fd)
{
	return rota_close((int)(intptr_t)fd);
}

/* What is under way on it has to end first. That is left to a task, since the caller may not wait. */
static void close_end(int *fd)
{
	if (*fd < 0)
		return;
	if (rota__fd_may_close(*fd) || rota_spawn(NULL, close_as_others_do, (void *)(intptr_t)*fd) < 0) {
		rota__fd_forget(*fd);
		rota__sys_close(*fd);
	}
	*fd = -1;
}

void rota_process_close(struct rota_process *process)
{
	struct rota__orphan *orphan = process->orphan_;

	if (process->state_ == ROTA__PROCESS_CLOSED)
		return;
	if (process->flags_ & ROTA_PROCESS_KILL_ON_CLOSE)
		rota_process_kill(process, SIGKILL);
	close_end(&process->in);
	close_end(&process->out);
	close_end(&process->err);
	if (rota__process_reap(process) == 0) {
		orphan->pid = process->pid;
		orphan->pidfd = process->pidfd_;
		rota__orphan_leave(orphan);
	} else {
		close_end(&process->pidfd_);
		rota__orphan_free(orphan);
	}
	process->pidfd_ = -1;
	process->orphan_ = NULL;
	process->state_ = ROTA__PROCESS_CLOSED;
}

/* --- wait ------------------------------------------------------------------------------------------------------- */

enum { WAIT_NEW, WAIT_POLL, WAIT_SIGNAL };

static struct rota_process_wait_op *wait_of(struct rota_future *future)
{
	return (struct rota_process_wait_op *)(void *)future;
}

/* Whether the wait is over: the child has ended, or there is an `error`. */
static bool wait_over(struct rota_process_wait_op *op, int error)
{
	int rc = rota__process_reap(op->process_);

	if (rc == 0 && error == 0)
		return false;
	if (rc > 0)
		op->exit_status = op->process_->status_;
	op->future.status = rc > 0 ? 0 : rc < 0 ? rc : error;
	return true;
}

static void arm(struct rota_process_wait_op *op)
{
	if (op->stage_ == WAIT_POLL)
		rota_op_poll(&op->poll_, op->process_->pidfd_, POLLIN);
	else
		rota_signal_wait_init(&op->signal_, &op->children_);
}

/* true: it was over before it began. */
static bool listen_for_signal(struct rota_process_wait_op *op)
{
	int rc = rota_signal_open(&op->children_, SIGCHLD);

	/* It may have ended before the stream was there. */
	if (wait_over(op, rc)) {
		if (rc == 0)
			rota_signal_close(&op->children_);
		return true;
	}
	op->stage_ = WAIT_SIGNAL;
	return false;
}

/* true: it was over before it began. */
static bool wait_start(struct rota_process_wait_op *op)
{
	if (op->cancelled_) {
		op->future.status = -ECANCELED;
		return true;
	}
	if (wait_over(op, 0))
		return true;
	if (op->process_->pidfd_ >= 0)
		op->stage_ = WAIT_POLL;
	else if (listen_for_signal(op))
		return true;
	arm(op);
	return false;
}

static rota_poll wait_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_process_wait_op *op = wait_of(self);
	struct rota_future *child;

	if (op->stage_ == WAIT_NEW && wait_start(op))
		return ROTA_READY;
	for (;;) {
		child = op->stage_ == WAIT_POLL ? &op->poll_.future : &op->signal_.future;
		if (rota_future_poll(child, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		if (wait_over(op, child->status < 0 ? child->status : 0))
			break;
		/* All can see that it has ended, but a debugger has it; when that lets go the parent is signalled. */
		if (op->stage_ == WAIT_POLL && listen_for_signal(op))
			return ROTA_READY;
		arm(op);
		if (op->cancelled_)
			rota_future_cancel(&op->signal_.future);
	}
	if (op->stage_ == WAIT_SIGNAL)
		rota_signal_close(&op->children_);
	return ROTA_READY;
}

static void wait_cancel(struct rota_future *self)
{
	struct rota_process_wait_op *op = wait_of(self);

	op->cancelled_ = true;
	if (op->stage_ == WAIT_POLL)
		rota_future_cancel(&op->poll_.future);
	else if (op->stage_ == WAIT_SIGNAL)
		rota_future_cancel(&op->signal_.future);
}

static const struct rota_future_ops wait_ops = { .poll = wait_poll, .cancel = wait_cancel, .name = "process wait" };

void rota_op_process_wait(struct rota_process_wait_op *op, struct rota_process *process)
{
	rota_future_init(&op->future, &wait_ops);
	op->exit_status = 0;
	op->process_ = process;
	op->stage_ = WAIT_NEW;
	op->cancelled_ = false;
}

int rota_process_wait(struct rota_process *process, int *ret_status)
{
	struct rota_process_wait_op op;
	int rc;

	rota_op_process_wait(&op, process);
	rc = rota_await(&op.future);
	if (rc == 0 && ret_status != NULL)
		*ret_status = op.exit_status;
	return rc;
}

/* --- terminate -------------------------------------------------------------------------------------------------- */

#define NAP_NS 1000000u

static struct rota_process_terminate_op *terminate_of(struct rota_future *future)
{
	return (struct rota_process_terminate_op *)(void *)future;
}

/* A thread outside of every runtime has no timers: it naps. */
static void let_pass(struct rota_process *process, uint64_t until)
{
	while (rota__process_reap(process) == 0 && rota__sys_clock() < until)
		rota_sleep(NAP_NS);
}

static void kill_at_last(struct rota_process_terminate_op *op)
{
	if (rota_process_kill(op->wait_.process_, SIGKILL) == -EPERM)
		rota_future_cancel(&op->wait_.future); /* it has become another user's, and may take its time */
}

static void terminate_start(struct rota_process_terminate_op *op)
{
	struct rota_process *process = op->wait_.process_;
	const uint64_t until = rota__later(rota__sys_clock(), op->grace_);

	op->started_ = true;
	rota_process_kill(process, SIGTERM);
	op->timed_ = rota__runtime_self() != NULL && !op->cancelled_;
	rota_timer_init(&op->timer_, until);
	if (op->timed_)
		return;
	if (!op->cancelled_)
		let_pass(process, until);
	kill_at_last(op);
}

static rota_poll terminate_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_process_terminate_op *op = terminate_of(self);

	if (!op->started_)
		terminate_start(op);
	if (op->timed_ && rota_future_poll(&op->timer_.future, cx) == ROTA_READY) {
		op->timed_ = false;
		if (!op->ended_)
			kill_at_last(op);
	}
	if (!op->ended_) {
		if (rota_future_poll(&op->wait_.future, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		op->ended_ = true;
		op->exit_status = op->wait_.exit_status;
		self->status = op->wait_.future.status;
		if (op->timed_) {
			rota_future_cancel(&op->timer_.future);
			op->timed_ = rota_future_poll(&op->timer_.future, cx) == ROTA_PENDING;
		}
	}
	return op->timed_ ? ROTA_PENDING : ROTA_READY;
}

/* The grace is over at once. */
static void terminate_cancel(struct rota_future *self)
{
	struct rota_process_terminate_op *op = terminate_of(self);

	op->cancelled_ = true;
	if (op->timed_)
		rota_future_cancel(&op->timer_.future);
}

static const struct rota_future_ops terminate_ops = {
	.poll = terminate_poll,
	.cancel = terminate_cancel,
	.name = "process terminate",
};

void rota_op_process_terminate(struct rota_process_terminate_op *op, struct rota_process *process, uint64_t grace_ns)
{
	rota_future_init(&op->future, &terminate_ops);
	op->exit_status = 0;
	op->grace_ = grace_ns;
	op->started_ = false;
	op->ended_ = false;
	op->timed_ = false;
	op->cancelled_ = false;
	rota_op_process_wait(&op->wait_, process);
}

int rota_process_terminate(struct rota_process *process, uint64_t grace_ns, int *ret_status)
{
	struct rota_process_terminate_op op;
	int rc;

	rota_op_process_terminate(&op, process, grace_ns);
	rc = rota_await(&op.future);
	if (rc == 0 && ret_status != NULL)
		*ret_status = op.exit_status;
	return rc;
}
