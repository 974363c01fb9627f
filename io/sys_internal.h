/* SPDX-License-Identifier: MIT */
/* The seam to the system for I/O; see runtime/sys_internal.h. Everything returns a negative errno on failure. */
#ifndef ROTA_IO_SYS_INTERNAL_H
#define ROTA_IO_SYS_INTERNAL_H

#include <liburing.h>

#include "op_internal.h"
#include "resolve.h"

/* io_uring_enter(2) for a ring of liburing's. timeout_ns only counts when wait > 0; UINT64_MAX: none. Returns how many
 * entries were consumed; -ETIME is 0. */
int rota__sys_enter(struct io_uring *ring, unsigned submit, unsigned wait, unsigned flags, uint64_t timeout_ns);

/* The same for another thread's ring, without waiting. */
void rota__sys_enter_for(struct io_uring *ring, unsigned submit, unsigned flags);

/* Cancels the request with these user data in another thread's ring; or all on a descriptor, when fd >= 0; without
 * waiting for its end. 0, -ENOENT: there is none; -EALREADY, -ETIME: it runs and may end as it likes; -EINVAL: not
 * before Linux 6.0. */
int rota__sys_cancel_for(struct io_uring *ring, uint64_t user_data, int fd);

/* One buffer that is registered with a ring, also with another thread's; see io_uring_register(2). */
int rota__sys_register_memory(struct io_uring *ring, const struct iovec *memory);
void rota__sys_unregister_memory(struct io_uring *ring);

int rota__sys_ring_init(struct io_uring *ring, unsigned entries, struct io_uring_params *params);
void rota__sys_ring_exit(struct io_uring *ring);

/* Makes completions of a thread that is stuck in user space appear: an interrupt to every CPU that runs the process. */
void rota__sys_nudge_threads(void);
void rota__sys_nudge_threads_register(void);

/*
 * What an operation is as a plain system call: a row for each opcode in sys_call.c. Threads outside of a runtime, pool
 * threads, and the epoll back end make it.
 */
struct rota__call {
	/* Makes the call. With `nowait` only as far as that needs no waiting: -EAGAIN when it would wait, ROTA__CALL_UNSURE
	 * when only a thread that may block can find out, ROTA__CALL_TAKEN. */
	int (*make)(const struct rota_op *op, bool nowait);
	short events; /* what to poll for when the answer is "not now" */
	enum rota__call_kind {
		ROTA__CALL_BLOCKS,  /* waits for no descriptor, and may take its time: `nowait` is not known to it */
		ROTA__CALL_AT_ONCE, /* takes no time */
		ROTA__CALL_WAITS,   /* for the events on its descriptor */
		ROTA__CALL_MOVES,   /* the same; but on what has offsets (a file) it blocks */
	} kind;
};
#define ROTA__CALL_UNSURE (-4096) /* no errno */
#define ROTA__CALL_TAKEN \
	(-4097) /* nor this: somebody else has the turn, or has the connection; try again after a nap */

const struct rota__call *rota__sys_call(const struct rota_op *op);

/* Whether it opens by name, and finds a file, a directory, or nothing, as things are: none of these waits for somebody, as a
 * rule. */
bool rota__sys_opens_file(const struct rota_op *op);

/* The turn of an accept on a listener that is not O_NONBLOCK. false: somebody else has it. Who makes the call `nowait` and gets
 * ROTA__CALL_UNSURE has it until the call was made, or will not be. */
bool rota__accept_turn_begin(int fd);
void rota__accept_turn_end(int fd);

/* Ends the turn of an operation that has it: while its number cannot be another one's yet, and nobody else has the operation. */
void rota__accept_turn_pass(struct rota_op *op);

/* `make` of the opcodes of op_file.c. */
int rota__sys_make_file_call(const struct rota_op *op, bool nowait);

/* `make` of a splice: from second_fd_ at addr_ to fd_ at offset_. */
int rota__sys_make_splice(const struct rota_op *op, bool nowait);

/* Who may make a splice: whoever asks, since with SPLICE_F_NONBLOCK it cannot block; or a thread that may be kept, which
 * for a blocking socket to write to had better be given little at a time. */
enum rota__splice_way { ROTA__SPLICE_HERE, ROTA__SPLICE_ELSEWHERE, ROTA__SPLICE_IN_PIECES };
enum rota__splice_way rota__sys_splice_way(int from, int to);

/* Which side of a splice has to be waited for. What is wrong with one is left to the call. */
enum rota__splice_side { ROTA__SPLICE_READY, ROTA__SPLICE_FROM, ROTA__SPLICE_TO };
enum rota__splice_side rota__sys_splice_waits(int from, int to);

/* What the call would say of two descriptors if there were something to move: 0, -EBADF, -EINVAL. Not all: some only it knows. */
int rota__sys_splice_check(int from, int to);

/* One end of a pipe, or a FIFO. */
bool rota__sys_is_pipe(int fd);

/* Notes which opcodes the kernel has; and whether it has one: false before a ring was ever probed. Any thread. */
void rota__sys_ring_probe(struct io_uring *ring);
bool rota__sys_ring_has(unsigned opcode);

/* For tests: a kernel without these opcodes, one bit for each; the last bit is for multishot requests. Its rings answer
 * -EINVAL, as those of older kernels do. */
#define ROTA__RING_MULTISHOT 63 /* no opcode */
void rota__sys_ring_hide(uint64_t opcodes);
bool rota__sys_ring_hides(const struct rota_op *op);

/* Keeps SIGPIPE from the calling thread for a call. true: rota__sys_unblock_sigpipe is to follow it, as on no worker. */
bool rota__sys_hush(void);

/* Executes an operation as the plain, blocking system call that it stands for. */
int rota__sys_perform(struct rota_op *op);

/* The same, but -EINTR when a signal came first. */
int rota__sys_perform_once(struct rota_op *op);

/* epoll(7). `events` is armed for one report, whose data is `fd`. -EPERM: not a descriptor that can be waited for. `again`: only
 * of what was armed before, else -ENOENT. */
int rota__sys_epoll(void);
int rota__sys_epoll_arm(int epoll_fd, int fd, uint32_t events, bool again);
/* For good: `fd` is an eventfd, each write to it is reported. */
int rota__sys_epoll_add_bell(int epoll_fd, int fd);
/* timeout_ns UINT64_MAX: none. How many were reported, 0 also when interrupted. */
struct epoll_event;
int rota__sys_epoll_wait(int epoll_fd, struct epoll_event *events, int room, uint64_t timeout_ns);
/* Whether the next wait is likely to have something to report. */
bool rota__sys_epoll_ready(int epoll_fd);

/* Whether it carries a stream of bytes or of records, which MSG_WAITALL means. */
bool rota__sys_is_connection(int fd);
bool rota__sys_is_stream(int fd);

/* Of a call at an offset, or -1, the descriptor's own position: 0; -EINVAL, it is negative; -ESPIPE, the descriptor has none. */
int rota__sys_check_offset(int fd, int64_t offset);

/* Where the descriptor's own position is; or a negative errno. */
int64_t rota__sys_position(int fd);

/* Moves it on by so many bytes in one step. Where it was; or a negative errno. The last of these bytes are given back, if it
 * still stands at `end`; or, where the file has ended before them, beyond its end. */
int64_t rota__sys_take_position(int fd, int64_t bytes);
void rota__sys_give_back_position(int fd, int64_t end, int64_t bytes, bool at_end);

/* Moves it by the `count` bytes that were moved, if it still stands at `from`. A write to what is in append mode: to the end. */
void rota__sys_move_position(int fd, int64_t from, int count, bool writes);

/* Whether it has offsets: not a pipe, a socket, a terminal; nor what only pretends to have some (eventfd, timerfd, inotify and
 * their like, which wait as a pipe does). What is no descriptor at all is left to the operation: true. */
bool rota__sys_is_file(int fd);

bool rota__sys_is_directory(int fd);

/* CACHED: a regular file that was opened without O_DIRECT. DIRECT: one that was opened with it, or a block device. DEVICE: a
 * character device; but /dev/null and its like, whose calls do not wait, are OTHER. ANONYMOUS: an eventfd, a timerfd, an epoll
 * descriptor, and their like. */
enum rota__sys_kind {
	ROTA__KIND_OTHER,
	ROTA__KIND_CACHED,
	ROTA__KIND_DIRECT,
	ROTA__KIND_DEVICE,
	ROTA__KIND_SOCKET,
	ROTA__KIND_ANONYMOUS,
	ROTA__KIND_NONE
};
enum rota__sys_kind rota__sys_kind(int fd);

/* A read, or a write, of nothing, which never waits: 0; -EBADF, it is not open for that; -EINVAL, there is no such call. */
int rota__sys_move_nothing(int fd, bool writes);

/* As read(2) of no byte. */
int rota__sys_read_nothing(int fd);

/* A regular file that has bytes, as far as is known here. */
bool rota__sys_has_size(int fd);

/* true: it is in append mode, or not open. */
bool rota__sys_appends(int fd);

/* true: it is open, without O_NONBLOCK. */
bool rota__sys_is_blocking(int fd);

/* Of a regular file; 0 of anything else. */
size_t rota__sys_size(int fd);

/* preadv2(2) that does not wait for a disk: -EAGAIN. offset -1: the descriptor's own position. */
int rota__sys_read_cached(int fd, const struct iovec *iov, int iovcnt, off_t offset);

/* getaddrinfo(3): how many addresses were found, at most `max`. flags: enum rota_resolve_flags, and NUMERIC: then it reads
 * numbers only and does not block. */
#define ROTA__RESOLVE_NUMERIC (1u << 16)
int rota__sys_resolve(const char *host, const char *port, unsigned flags, struct rota_address *ret, unsigned max);

#endif
