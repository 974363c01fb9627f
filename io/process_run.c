/* SPDX-License-Identifier: MIT */
/*
 * A child from start to end, as one future.
 *
 *   SPAWN  it is being started. A cancel may come too late to prevent that: then it is killed at once.
 *   RUN    up to three transfers (what it reads, its output, its errors) at once, then the wait for its end: its status
 *          is left alone as long as a signal may have to reach what is left of its group.
 *
 * What ends it early (a cancel, a buffer that is full, an error of a transfer) stops it: SIGKILL, and a cancel of the
 * transfers, since a grandchild may hold the other end of a pipe for as long as it likes. It is over when the child was
 * waited for and no transfer is under way.
 */
#include <errno.h>
#include <signal.h>

#include "../runtime/runtime_internal.h"
#include "../runtime/sys_internal.h"
#include "fd_hint_internal.h"
#include "process.h"

enum { RUN_NEW, RUN_SPAWN, RUN_RUN };
enum { IN, OUT, ERR };

static struct rota_process_run_op *op_of(struct rota_future *future)
{
	return (struct rota_process_run_op *)(void *)future;
}

static void stop(struct rota_process_run_op *op, int error)
{
	if (op->error_ == 0)
		op->error_ = error;
	if (op->stopped_)
		return;
	op->stopped_ = true;
	if (rota_process_kill(&op->process_, SIGKILL) == -EPERM && !op->waited_)
		rota_future_cancel(&op->wait_.future); /* it has become another user's: nobody can wait for its end */
	for (int i = IN; i <= ERR; i++) {
		if (op->channel_[i].fd >= 0)
			rota_future_cancel(&op->channel_[i].op.future);
	}
}

/* --- transfers -------------------------------------------------------------------------------------------------- */

static void channel_close(struct rota_process_channel_ *channel)
{
	rota__fd_forget(channel->fd);
	rota__sys_close(channel->fd);
	channel->fd = -1;
}

static size_t channel_size(const struct rota_process_run_op *op, int which)
{
	return which == OUT ? op->capture_->out_size : op->capture_->err_size;
}

/* A transfer has ended: what came, and whether another byte would have followed. */
static void channel_ended(struct rota_process_run_op *op, int which)
{
	struct rota_process_channel_ *channel = &op->channel_[which];
	const int status = channel->op.future.status;
	const size_t done = channel->op.done;

	if (which != IN && !channel->extra) {
		*(which == OUT ? &op->capture_->out_len : &op->capture_->err_len) = done;
		if (status == 0 && done == channel_size(op, which) && !op->stopped_) {
			channel->extra = true;
			rota_op_read_exact(&channel->op, channel->fd, &channel->byte, 1);
			return;
		}
	}
	channel_close(channel);
	if (which != IN && channel->extra && done == 1)
		stop(op, -EMSGSIZE);
	else if (status < 0 && !(which == IN && status == -EPIPE)) /* it need not read all */
		stop(op, status);
}

static bool channels_pending(struct rota_process_run_op *op, struct rota_context *cx)
{
	bool pending = false;

	for (int i = IN; i <= ERR; i++) {
		struct rota_process_channel_ *channel = &op->channel_[i];

		while (channel->fd >= 0) {
			if (rota_future_poll(&channel->op.future, cx) == ROTA_PENDING) {
				pending = true;
				break;
			}
			channel_ended(op, i);
		}
	}
	return pending;
}

static void channels_start(struct rota_process_run_op *op)
{
	const struct rota_process_capture *capture = op->capture_;
	int *const ends[] = { &op->process_.in, &op->process_.out, &op->process_.err };

	for (int i = IN; i <= ERR; i++) {
		op->channel_[i].fd = *ends[i]; /* closed by the channel from here on */
		*ends[i] = -1;
	}
	if (op->channel_[IN].fd >= 0)
		rota_op_write_all(&op->channel_[IN].op, op->channel_[IN].fd, capture->in, capture->in_len);
	if (op->channel_[OUT].fd >= 0)
		rota_op_read_exact(&op->channel_[OUT].op, op->channel_[OUT].fd, capture->out, capture->out_size);
	if (op->channel_[ERR].fd >= 0)
		rota_op_read_exact(&op->channel_[ERR].op, op->channel_[ERR].fd, capture->err, capture->err_size);
}

/* --- the future ------------------------------------------------------------------------------------------------- */

static bool is_pipe(const struct rota_process_stream *stream)
{
	return stream->kind == ROTA_PROCESS_PIPE;
}

static int prepare(struct rota_process_run_op *op)
{
	const struct rota_process_stream pipe = { .kind = ROTA_PROCESS_PIPE };
	struct rota_process_capture *capture = op->capture_;

	if (capture != NULL)
		capture->out_len = capture->err_len = 0;
	if (op->cancelled_)
		return -ECANCELED;
	if (is_pipe(&op->config_.in) || is_pipe(&op->config_.out) || is_pipe(&op->config_.err))
		return -EINVAL;
	op->config_.flags |= ROTA_PROCESS_KILL_ON_CLOSE;
	if (capture == NULL)
		return 0;
	if (rota__runtime_self() == NULL)
		return -ENXIO;
	if (capture->in != NULL)
		op->config_.in = pipe;
	if (capture->out != NULL)
		op->config_.out = pipe;
	if (capture->err != NULL)
		op->config_.err = pipe;
	return 0;
}

/* READY: the child runs, or cannot. */
static rota_poll spawn(struct rota_process_run_op *op, struct rota_context *cx)
{
	if (op->stage_ == RUN_NEW) {
		op->error_ = prepare(op);
		if (op->error_ < 0)
			return ROTA_READY;
		rota_op_process_spawn(&op->spawn_, &op->process_, &op->config_);
		op->stage_ = RUN_SPAWN;
	}
	if (rota_future_poll(&op->spawn_.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	op->error_ = op->spawn_.future.status;
	if (op->error_ < 0)
		return ROTA_READY;
	op->stage_ = RUN_RUN;
	rota_op_process_wait(&op->wait_, &op->process_);
	channels_start(op);
	if (op->cancelled_)
		stop(op, -ECANCELED);
	return ROTA_READY;
}

static bool wait_pending(struct rota_process_run_op *op, struct rota_context *cx)
{
	if (!op->waited_ && rota_future_poll(&op->wait_.future, cx) == ROTA_READY) {
		op->waited_ = true;
		op->exit_status = op->wait_.exit_status;
		if (op->wait_.future.status < 0)
			stop(op, op->wait_.future.status);
	}
	return !op->waited_;
}

static rota_poll run_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_process_run_op *op = op_of(self);
	bool pending, stopped;

	if (op->stage_ != RUN_RUN) {
		if (spawn(op, cx) == ROTA_PENDING)
			return ROTA_PENDING;
		if (op->stage_ != RUN_RUN) {
			self->status = op->error_;
			return ROTA_READY;
		}
	}
	do {
		stopped = op->stopped_;
		pending = channels_pending(op, cx) || wait_pending(op, cx);
	} while (op->stopped_ != stopped); /* what was cancelled in this round wants to be polled once more */
	if (pending)
		return ROTA_PENDING;
	rota_process_close(&op->process_);
	self->status = op->error_;
	return ROTA_READY;
}

static void run_cancel(struct rota_future *self)
{
	struct rota_process_run_op *op = op_of(self);

	op->cancelled_ = true;
	if (op->stage_ == RUN_SPAWN)
		rota_future_cancel(&op->spawn_.future);
	else if (op->stage_ == RUN_RUN)
		stop(op, -ECANCELED);
}

static const struct rota_future_ops run_ops = { .poll = run_poll, .cancel = run_cancel, .name = "process run" };

void rota_op_process_run(struct rota_process_run_op *op, const struct rota_process_config *config,
			 struct rota_process_capture *capture)
{
	rota_future_init(&op->future, &run_ops);
	op->exit_status = 0;
	op->config_ = config != NULL ? *config : (struct rota_process_config){ .argv = NULL };
	op->capture_ = capture;
	op->stage_ = RUN_NEW;
	op->waited_ = false;
	op->stopped_ = false;
	op->cancelled_ = false;
	op->error_ = 0;
	for (int i = IN; i <= ERR; i++)
		op->channel_[i].fd = -1, op->channel_[i].extra = false;
}

static int run(const struct rota_process_config *config, struct rota_process_capture *capture, int *ret_status)
{
	struct rota_process_run_op op;
	int rc;

	rota_op_process_run(&op, config, capture);
	rc = rota_await(&op.future);
	if (rc == 0 && ret_status != NULL)
		*ret_status = op.exit_status;
	return rc;
}

int rota_process_run(const struct rota_process_config *config, int *ret_status)
{
	return run(config, NULL, ret_status);
}

int rota_process_output(const struct rota_process_config *config, struct rota_process_capture *capture, int *ret_status)
{
	if (capture == NULL)
		return -EINVAL;
	capture->out_len = capture->err_len = 0; /* also when the wait is refused */
	return run(config, capture, ret_status);
}
