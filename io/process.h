/* SPDX-License-Identifier: MIT */
/*
 * Child processes: start, wait, kill, and capture what they write.
 *
 *     struct rota_process_config config = { .argv = (char *[]){ "ls", "-l", NULL } };
 *
 *     rc = rota_process_run(&config, &status);      starts it and waits; a cancel kills it
 *
 * A child gets what it was asked to get and nothing else: its standard streams, the descriptors listed, an empty signal
 * mask, every signal at its default. Every other descriptor of this process is closed in it, close-on-exec or not.
 *
 * No child is left as a zombie once its handle is waited for or closed: a child that still runs when its handle is closed
 * is waited for by a thread of rota's, which is there as long as there are such children, runtime or not; if none can be
 * made, the next child that is closed so has it tried again. Status values are those of waitpid(2): WIFEXITED, WEXITSTATUS,
 * WTERMSIG. Do not wait for any child with waitpid(-1) elsewhere in the program, nor ignore SIGCHLD: the status then goes
 * there, and is -ECHILD here.
 *
 * Calls that wait do so from a fiber, a blocking job or a plain thread. A handle may be used by several tasks at once, save
 * that nobody may be inside a call on it when it is closed.
 */
#ifndef ROTA_IO_PROCESS_H
#define ROTA_IO_PROCESS_H

#include <sys/types.h>

#include "../runtime/blocking.h"
#include "../runtime/time.h"
#include "op.h"
#include "signal.h"

ROTA_BEGIN_DECLS

#define ROTA_PROCESS_MAX_FDS 64

/* What one of the child's standard streams is. */
enum rota_process_stream_kind {
	ROTA_PROCESS_INHERIT, /* this process's own; none if that is closed, or close-on-exec */
	ROTA_PROCESS_NULL,    /* /dev/null */
	ROTA_PROCESS_PIPE,    /* a pipe, whose other end is in the handle */
	ROTA_PROCESS_FD,      /* the open file of `fd`, which stays the caller's */
	ROTA_PROCESS_OUT,     /* for `err` only: wherever `out` goes */
};

struct rota_process_stream {
	enum rota_process_stream_kind kind;
	int fd;
};

enum rota_process_flags {
	ROTA_PROCESS_NEW_GROUP = 1,     /* a process group of its own, and signals below go to all of it */
	ROTA_PROCESS_NEW_SESSION = 2,   /* a session, and so a group, of its own, without a terminal */
	ROTA_PROCESS_KILL_ON_CLOSE = 4, /* rota_process_close kills it, or, with one of the two above, its group */
	ROTA_PROCESS_KEEP_IGNORED = 8,  /* signals that this process ignores are ignored in the child, as after nohup */
};

/* All zero but argv: the defaults. */
struct rota_process_config {
	char *const *argv;     /* ends with NULL; argv[0] is the name it is called by */
	const char *file;      /* NULL: argv[0]. Without a slash it is searched in this process's PATH */
	char *const *envp;     /* NULL: this process's environment */
	const char *directory; /* NULL: this process's; a relative `file` with a slash is looked up there */
	struct rota_process_stream in, out, err;
	const int *fds; /* the child's descriptors from 3 on; they stay the caller's */
	unsigned fd_count;
	unsigned flags; /* enum rota_process_flags */
};

struct rota_process {
	pid_t pid;
	/* The caller's ends of ROTA_PROCESS_PIPE, else -1. Closed with the handle; who closes or keeps one sets it to -1. */
	int in, out, err;
	/* private */
	int pidfd_, status_;
	unsigned flags_;
	uint8_t state_;
	struct rota_atomic_u32 lock_;
	void *orphan_;
};

/*
 * Starts a child, on a thread of the blocking pool, since it takes until the program file has been read. 0, and the handle
 * is the caller's, to be given to rota_process_close in the end. -ENOENT, -EACCES, -ENOEXEC: of the program or the
 * directory; -EBADF: a descriptor that is not open; -EINVAL: no config, no argv, too many descriptors, an unknown flag or
 * kind; -EMFILE, -ENFILE, -EAGAIN, -ENOMEM. -ECANCELED: cancelled before it began; later a child that was made is the
 * result.
 */
ROTA_API int rota_process_spawn(struct rota_process *ret, const struct rota_process_config *config) ROTA_MUST_USE;

/* Waits until the child has ended; *ret_status (may be NULL) is how, also when asked again. 0. -ECANCELED: it goes on, and
 * the handle too. -ECHILD: somebody else has taken its status. */
ROTA_API int rota_process_wait(struct rota_process *process, int *ret_status) ROTA_MUST_USE;

/* Sends a signal, to the whole group when the child has one of its own. Never waits. -ESRCH: it has ended and was waited
 * for; -EPERM, -EINVAL. */
ROTA_API int rota_process_kill(struct rota_process *process, int signo);

/* Sends SIGTERM, then SIGKILL when it has not ended after grace_ns, or when the caller is cancelled; waits for the end in
 * any case. Results as rota_process_wait. */
ROTA_API int rota_process_terminate(struct rota_process *process, uint64_t grace_ns, int *ret_status);

/* Ends the handle: closes its pipe ends, kills the child if that was asked for, and leaves it to be waited for by rota. The
 * rest of a group of its own is killed with it, also when the child has ended by itself, unless it was waited for. Never
 * waits; any thread. A handle that is closed stays so. A pipe end on which operations of the runtime are under way is closed by
 * a task of it, as by rota_close: they end with -ECANCELED, and the number is free when they have. */
ROTA_API void rota_process_close(struct rota_process *process);

/*
 * Starts a child and waits for its end. 0: *ret_status (may be NULL) is how it ended. When the caller is cancelled the
 * child is killed, and -ECANCELED returned when it is gone: so a scope, or a task, takes its children with it. Other
 * errors as rota_process_spawn; -EINVAL also for a pipe, which nobody would read.
 */
ROTA_API int rota_process_run(const struct rota_process_config *config, int *ret_status) ROTA_MUST_USE;

/* What a child is given to read, and room for what it writes. A buffer that is NULL leaves that stream to the config. */
struct rota_process_capture {
	const void *in;
	size_t in_len;
	void *out, *err;
	size_t out_size, err_size;
	size_t out_len, err_len; /* written by the call: how much there is, in any case */
};

/*
 * The same, and captures: standard output and error are read at the same time, until both have come to their end.
 * -EMSGSIZE: the child wrote more than there is room for; the buffers hold what came first, and the child was killed.
 * A cancel, too, kills the child, and what is left of its group when it has one of its own and has ended itself.
 * Inside of a runtime only (a task, a blocking job, rota_block_on_future), else -ENXIO.
 */
ROTA_API int rota_process_output(const struct rota_process_config *config, struct rota_process_capture *capture,
				 int *ret_status) ROTA_MUST_USE;

/* All of them as futures. What is pointed to must stay in place until the future is ready. */

struct rota_process_spawn_op {
	struct rota_future future;
	/* private */
	struct rota_process *ret_;
	const struct rota_process_config *config_;
	struct rota_offload_op offload_;
};
ROTA_API void rota_op_process_spawn(struct rota_process_spawn_op *op, struct rota_process *ret,
				    const struct rota_process_config *config);

struct rota_process_wait_op {
	struct rota_future future;
	int exit_status; /* valid with status 0 */
	/* private */
	struct rota_process *process_;
	uint8_t stage_;
	bool cancelled_;
	struct rota_op poll_;
	struct rota_signal children_;
	struct rota_signal_op signal_;
};
ROTA_API void rota_op_process_wait(struct rota_process_wait_op *op, struct rota_process *process);

struct rota_process_terminate_op {
	struct rota_future future;
	int exit_status; /* valid with status 0 */
	/* private */
	uint64_t grace_;
	bool started_, timed_, ended_, cancelled_;
	struct rota_process_wait_op wait_;
	struct rota_timer timer_;
};
ROTA_API void rota_op_process_terminate(struct rota_process_terminate_op *op, struct rota_process *process,
					uint64_t grace_ns);

/* rota_process_output; with `capture` NULL, rota_process_run. */
struct rota_process_run_op {
	struct rota_future future;
	int exit_status; /* valid with status 0 */
	/* private */
	struct rota_process_config config_;
	struct rota_process_capture *capture_;
	struct rota_process process_;
	struct rota_process_spawn_op spawn_;
	struct rota_process_wait_op wait_;
	struct rota_process_channel_ {
		struct rota_transfer_op op;
		int fd; /* -1: not in use any more */
		bool extra;
		char byte;
	} channel_[3];
	uint8_t stage_;
	bool waited_, stopped_, cancelled_;
	int error_;
};
ROTA_API void rota_op_process_run(struct rota_process_run_op *op, const struct rota_process_config *config,
				  struct rota_process_capture *capture);

ROTA_END_DECLS

#endif
