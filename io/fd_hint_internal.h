/* SPDX-License-Identifier: MIT */
/*
 * What is known of descriptors by their numbers.
 *
 *   SOCKET      on a socket recv and send cost the kernel a tenth less than read and write, so an operation on a known
 *               socket is sent as those.
 *   CONNECTION  a socket that accept or connect has made. READY: the last receive has found something in the turn of its
 *               ring in which it was submitted, or (epoll) without a wait, or has left something. If not, the next one waits
 *               first, since a try would most likely be in vain.
 *   SEEKABLE    a ring reads a pipe at any offset, where pread(2) says ESPIPE; what is not known to have offsets is asked
 *               once.
 *   CACHED      a regular file with a page cache: its reads are first tried in place (cached_internal.h).
 *   DIRECT      a file without one, or that does not say what it has: opened with O_DIRECT, a block device, or of a file system
 *               without RWF_NOWAIT (tmpfs, those of a network), which the first try has shown.
 *   DEVICE      a terminal, or another character device. The kernel asks one whether it is ready and then calls it as any
 *               program does: where somebody else was quicker, or it takes less than there is to write, that call waits, and
 *               would hold up the owner of a ring. So unless it is O_NONBLOCK at that moment a thread of the kernel's makes
 *               the call (elsewhere_internal.h).
 *   ODD         what can be polled, but not read, or not written: an epoll descriptor or a pidfd; a timerfd, to who writes. A
 *               ring waits until it is ready before it finds that out, so it is asked first.
 *   ASKED       tells what is none of these four from what was not asked yet.
 *
 * Only hints, learned from calls that succeeded: a descriptor may have been closed behind rota's back and its number given to
 * something else. A wrong SOCKET is answered by the kernel with ENOTSOCK: the hint is dropped and the operation is made again
 * as it was asked for. So it is, on a ring, with a wrong CONNECTION on what cannot be polled, and EAGAIN; with epoll it costs a
 * call, since what was not waited for before is tried first. A wrong READY costs a try or a poll. A wrong SEEKABLE costs an
 * ESPIPE that is not reported. A wrong CACHED costs a system call that the kernel refuses, or, on a file opened with O_DIRECT,
 * the wait for one read. A wrong DEVICE costs a system call, and a detour; a terminal whose number was asked when it was
 * something else may hold up the owner of a ring.
 */
#ifndef ROTA_IO_FD_HINT_INTERNAL_H
#define ROTA_IO_FD_HINT_INTERNAL_H

#include "../runtime/atomic_internal.h"

#define ROTA__HINTED_FDS 65536u /* of higher ones nothing is ever known */

struct rota__fd_hints {
	struct rota_atomic_u64 bits[ROTA__HINTED_FDS / 64];
};

extern struct rota__fd_hints rota__fd_sockets;
extern struct rota__fd_hints rota__fd_connections;
extern struct rota__fd_hints rota__fd_ready;
extern struct rota__fd_hints rota__fd_seekables;
extern struct rota__fd_hints rota__fd_asked;
extern struct rota__fd_hints rota__fd_cached;
extern struct rota__fd_hints rota__fd_direct;
extern struct rota__fd_hints rota__fd_devices;
extern struct rota__fd_hints rota__fd_odd;

static inline bool rota__fd_hinted(const struct rota__fd_hints *hints, int fd)
{
	if ((unsigned)fd >= ROTA__HINTED_FDS)
		return false;
	return (rota__load(&hints->bits[fd / 64], RELAXED) >> (fd % 64) & 1) != 0; /* a hint orders nothing */
}

static inline void rota__fd_hint(struct rota__fd_hints *hints, int fd, bool is)
{
	if ((unsigned)fd >= ROTA__HINTED_FDS || rota__fd_hinted(hints, fd) == is)
		return;
	if (is)
		rota__fetch_or(&hints->bits[fd / 64], (uint64_t)1 << (fd % 64), RELAXED);
	else
		rota__fetch_and(&hints->bits[fd / 64], ~((uint64_t)1 << (fd % 64)), RELAXED);
}

/* Whether it is one of the CACHED, DIRECT, DEVICEs, or ODD, asked once. */
bool rota__fd_is(const struct rota__fd_hints *hints, int fd);
bool rota__fd_is_odd(int fd); /* of high numbers, too */

/* Whether it is a file, CACHED or DIRECT, whose reads and writes begin where the last one has ended. Of high numbers, too. */
bool rota__fd_has_position(int fd);

/* The number means a socket that was just connected. */
static inline void rota__fd_connected(int fd)
{
	rota__fd_hint(&rota__fd_sockets, fd, true);
	rota__fd_hint(&rota__fd_connections, fd, true);
	rota__fd_hint(&rota__fd_ready, fd, false);
}

/* The number is about to mean something else. */
void rota__fd_forget(int fd);

#endif
