/* SPDX-License-Identifier: MIT */
/* splice(2), with and without waiting. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "../runtime/sys_internal.h"
#include "sys_internal.h"

bool rota__sys_is_pipe(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

enum rota__splice_side rota__sys_splice_waits(int from, int to)
{
	struct pollfd sides[2] = { { .fd = from, .events = POLLIN }, { .fd = to, .events = POLLOUT } };

	if (poll(sides, 2, 0) < 0 || from < 0 || to < 0)
		return ROTA__SPLICE_READY; /* the call says what is wrong */
	if (sides[0].revents == 0)
		return ROTA__SPLICE_FROM;
	return sides[1].revents == 0 ? ROTA__SPLICE_TO : ROTA__SPLICE_READY;
}

int rota__sys_splice_check(int from, int to)
{
	const int from_flags = fcntl(from, F_GETFL), to_flags = fcntl(to, F_GETFL);
	struct stat source, sink;
	bool from_pipe, to_pipe;

	if (from_flags < 0 || (from_flags & O_PATH) || (from_flags & O_ACCMODE) == O_WRONLY || fstat(from, &source) < 0)
		return -EBADF;
	if (to_flags < 0 || (to_flags & O_PATH) || (to_flags & O_ACCMODE) == O_RDONLY || fstat(to, &sink) < 0)
		return -EBADF;
	from_pipe = S_ISFIFO(source.st_mode);
	to_pipe = S_ISFIFO(sink.st_mode);
	if (from_pipe && to_pipe) /* not into itself */
		return source.st_ino == sink.st_ino && source.st_dev == sink.st_dev ? -EINVAL : 0;
	return to_pipe || (from_pipe && !(to_flags & O_APPEND)) ? 0 : -EINVAL;
}

int rota__sys_make_splice(const struct rota_op *op, bool nowait)
{
	const bool hushed = rota__sys_hush();
	off64_t from = (off64_t)op->addr_, to = (off64_t)op->offset_;
	int rc;

	do
		rc = rota__sys_result(splice(op->second_fd_, from != -1 ? &from : NULL, op->fd_, to != -1 ? &to : NULL,
					     op->len_, op->flags_));
	while (rc == -EINTR &&
	       nowait); /* which it is not told: it has a flag of its own for pipes, files take their time */
	if (hushed)
		rota__sys_unblock_sigpipe();
	return rc;
}

/* SPLICE_F_NONBLOCK speaks for pipes, a socket goes by its own flag, and nothing speaks for the rest. */
static bool never_blocks(int fd, bool *ret_socket)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return true; /* the call says what is wrong */
	*ret_socket = S_ISSOCK(status.st_mode);
	return *ret_socket ? !rota__sys_is_blocking(fd) : S_ISFIFO(status.st_mode);
}

enum rota__splice_way rota__sys_splice_way(int from, int to)
{
	bool socket = false;

	if (!never_blocks(to, &socket))
		return socket ? ROTA__SPLICE_IN_PIECES : ROTA__SPLICE_ELSEWHERE;
	return never_blocks(from, &socket) ? ROTA__SPLICE_HERE : ROTA__SPLICE_ELSEWHERE;
}
