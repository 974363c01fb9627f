/* SPDX-License-Identifier: MIT */
/*
 * How a child is made: posix_spawn(3), which does not copy the address space and can do all that is asked for.
 *
 * The child's descriptors 0 to 2 + fd_count come from `sources`, each of which is numbered above all of those, so that no
 * step overwrites what a later one needs; whatever is above is closed in the child. The sources are this process's for
 * the duration of the call only, and close-on-exec, for the sake of children that others start meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "../runtime/sys_internal.h"
#include "fd_hint_internal.h"
#include "process_internal.h"
#include "sys_process_internal.h"

#define ALL_FLAGS \
	(ROTA_PROCESS_NEW_GROUP | ROTA_PROCESS_NEW_SESSION | ROTA_PROCESS_KILL_ON_CLOSE | ROTA_PROCESS_KEEP_IGNORED)

struct plan {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int source[3 + ROTA_PROCESS_MAX_FDS];
	unsigned sources;
	int least;  /* the first descriptor that the child does not get */
	int own[3]; /* this process's ends of pipes */
};

static int check(const struct rota_process_config *config)
{
	const struct rota_process_stream *streams[3];

	if (config == NULL)
		return -EINVAL;
	if (config->argv == NULL || config->argv[0] == NULL || config->fd_count > ROTA_PROCESS_MAX_FDS ||
	    (config->fd_count > 0 && config->fds == NULL) || config->flags & ~(unsigned)ALL_FLAGS)
		return -EINVAL;
	streams[0] = &config->in, streams[1] = &config->out, streams[2] = &config->err;
	for (int i = 0; i < 3; i++) {
		unsigned kind = streams[i]->kind;

		if (kind > ROTA_PROCESS_OUT || (kind == ROTA_PROCESS_OUT && i != 2))
			return -EINVAL;
	}
	return 0;
}

/* The child's `target` becomes the open file of `fd`. */
static int give(struct plan *plan, int fd, int target)
{
	int source = rota__sys_dup_above(fd, plan->least);

	if (source < 0)
		return source;
	plan->source[plan->sources++] = source;
	return -posix_spawn_file_actions_adddup2(&plan->actions, source, target);
}

static int give_pipe(struct plan *plan, int target)
{
	const int childs = target == STDIN_FILENO ? 0 : 1;
	int fds[2];
	int rc = rota__sys_pipe(fds);

	if (rc < 0)
		return rc;
	/* Not among the standard three, should this process go without some of them. */
	plan->own[target] = rota__sys_dup_above(fds[1 - childs], 3);
	rc = plan->own[target] < 0 ? plan->own[target] : give(plan, fds[childs], target);
	rota__sys_close(fds[0]);
	rota__sys_close(fds[1]);
	return rc;
}

static int give_stream(struct plan *plan, const struct rota_process_stream *stream, int target)
{
	switch (stream->kind) {
	case ROTA_PROCESS_NULL:
		return -posix_spawn_file_actions_addopen(&plan->actions, target, "/dev/null", O_RDWR, 0);
	case ROTA_PROCESS_PIPE:
		return give_pipe(plan, target);
	case ROTA_PROCESS_FD:
		return give(plan, stream->fd, target);
	case ROTA_PROCESS_OUT:
		return -posix_spawn_file_actions_adddup2(&plan->actions, STDOUT_FILENO, target);
	default:
		return 0; /* as exec(2) has it: with the number goes what is not close-on-exec */
	}
}

static int fill_actions(struct plan *plan, const struct rota_process_config *config)
{
	const struct rota_process_stream *streams[] = { &config->in, &config->out, &config->err };
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = give_stream(plan, streams[i], i);
	for (int i = 0; i < (int)config->fd_count && rc == 0; i++)
		rc = give(plan, config->fds[i], 3 + i);
	if (rc == 0)
		rc = -posix_spawn_file_actions_addclosefrom_np(&plan->actions, plan->least);
	if (rc == 0 && config->directory != NULL)
		rc = -posix_spawn_file_actions_addchdir_np(&plan->actions, config->directory);
	return rc;
}

static int fill_attributes(struct plan *plan, unsigned flags)
{
	short which = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, defaults;

	if (flags & ROTA_PROCESS_NEW_SESSION)
		which |= POSIX_SPAWN_SETSID;
	else if (flags & ROTA_PROCESS_NEW_GROUP)
		which |= POSIX_SPAWN_SETPGROUP; /* to 0: its own */
	sigemptyset(&none);
	if (flags & ROTA_PROCESS_KEEP_IGNORED)
		sigemptyset(&defaults); /* handlers become defaults by themselves */
	else
		sigfillset(&defaults);
	posix_spawnattr_setsigmask(&plan->attributes, &none);
	posix_spawnattr_setsigdefault(&plan->attributes, &defaults);
	return -posix_spawnattr_setflags(&plan->attributes, which);
}

static int spawn(struct plan *plan, const struct rota_process_config *config, pid_t *ret_pid)
{
	const char *file = config->file != NULL ? config->file : config->argv[0];
	char *const *envp = config->envp != NULL ? config->envp : environ;
	int rc = fill_attributes(plan, config->flags);

	if (rc == 0)
		rc = fill_actions(plan, config);
	if (rc == 0)
		rc = rota__fault(ROTA__FAULT_SPAWN);
	if (rc == 0)
		rc = -posix_spawnp(ret_pid, file, &plan->actions, &plan->attributes, config->argv, envp);
	return rc;
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rota__sys_close(fds[i]);
}

static int follow_plan(struct plan *plan, const struct rota_process_config *config, pid_t *ret_pid)
{
	int rc = -posix_spawn_file_actions_init(&plan->actions);

	if (rc < 0)
		return rc;
	rc = -posix_spawnattr_init(&plan->attributes);
	if (rc == 0) {
		rc = spawn(plan, config, ret_pid);
		posix_spawnattr_destroy(&plan->attributes);
	}
	posix_spawn_file_actions_destroy(&plan->actions);
	close_all(plan->source, plan->sources);
	if (rc < 0)
		close_all(plan->own, 3);
	return rc;
}

int rota__process_start(struct rota_process *ret, const struct rota_process_config *config)
{
	struct plan plan = { .own = { -1, -1, -1 } };
	struct rota__orphan *orphan;
	pid_t pid = -1;
	int rc = check(config);

	if (rc < 0)
		return rc;
	plan.least = 3 + (int)config->fd_count;
	orphan = rota__orphan_new();
	if (orphan == NULL)
		return -ENOMEM;
	rc = follow_plan(&plan, config, &pid);
	if (rc < 0) {
		rota__orphan_free(orphan);
		return rc;
	}
	for (int i = 0; i < 3; i++)
		rota__fd_forget(plan.own[i]);
	*ret = (struct rota_process){
		.pid = pid,
		.in = plan.own[0],
		.out = plan.own[1],
		.err = plan.own[2],
		.pidfd_ = rota__sys_pidfd(pid),
		.flags_ = config->flags,
		.state_ = ROTA__PROCESS_RUNNING,
		.orphan_ = orphan,
	};
	return 0;
}

/* --- as a future ------------------------------------------------------------------------------------------------ */

static struct rota_process_spawn_op *op_of(struct rota_future *future)
{
	return (struct rota_process_spawn_op *)(void *)future;
}

static int start(void *arg)
{
	struct rota_process_spawn_op *op = arg;

	return rota__process_start(op->ret_, op->config_);
}

static rota_poll spawn_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_process_spawn_op *op = op_of(self);

	if (rota_future_poll(&op->offload_.future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = op->offload_.future.status;
	return ROTA_READY;
}

static void spawn_cancel(struct rota_future *self)
{
	rota_future_cancel(&op_of(self)->offload_.future);
}

static const struct rota_future_ops spawn_ops = { .poll = spawn_poll, .cancel = spawn_cancel, .name = "process spawn" };

void rota_op_process_spawn(struct rota_process_spawn_op *op, struct rota_process *ret,
			   const struct rota_process_config *config)
{
	rota_future_init(&op->future, &spawn_ops);
	op->ret_ = ret;
	op->config_ = config;
	rota_offload_init(&op->offload_, start, op);
}

int rota_process_spawn(struct rota_process *ret, const struct rota_process_config *config)
{
	struct rota_process_spawn_op op;

	rota_op_process_spawn(&op, ret, config);
	return rota_await(&op.future);
}
