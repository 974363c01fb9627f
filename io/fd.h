/* SPDX-License-Identifier: MIT */
/*
 * Reading, writing, polling and closing descriptors of any kind. Names and results are POSIX's, with a negative
 * errno in place of -1. All of them wait, and may be called from a fiber, from a blocking job, and from any plain
 * thread (outside of a runtime they are the plain blocking calls); inside the poll of a stackless task they answer
 * -EDEADLK: await the operation of the same name there. A non-blocking descriptor is waited for all the same. Nor does a blocking
 * one hold up a worker, whoever else reads or writes it; the calls on a terminal, or another character device, that is not
 * O_NONBLOCK are made by a thread of the kernel's, or of the blocking pool, one for each that waits in its call.
 *
 * A cancelled call returns -ECANCELED and has moved no byte, or returns the count of what it did move. A call that a signal
 * interrupts is made again, so nothing returns -EINTR; however many operations there are, they wait their turn. After other
 * errors (-ENOSPC, -ENOBUFS, -ENOMEM, ...) nothing has moved, and the call may be repeated.
 */
#ifndef ROTA_IO_FD_H
#define ROTA_IO_FD_H

#include "../runtime/types.h"

struct iovec;

ROTA_BEGIN_DECLS

/* At the descriptor's own position. 0 from a read: end of file. A count above INT_MAX is cut to it. Nothing (`len` 0, or empty
 * parts) is moved at once; a directory says -EISDIR to a read of it. -EINVAL, at once: it cannot be read, or not be written (an
 * epoll descriptor, a pidfd). What the page cache has of a file is read at once, and the task is not suspended. Of several that
 * write to one file at the same time none is written over another, and several that read get different bytes; but their calls
 * should take offsets if one may fail or be cancelled, or the file grows or is in part in the page cache: with io_uring the
 * others do not wait for what it has got. */
ROTA_API ssize_t rota_read(int fd, void *buf, size_t len) ROTA_MUST_USE;
ROTA_API ssize_t rota_write(int fd, const void *buf, size_t len) ROTA_MUST_USE;

/* Into and from up to 1024 parts, in order. */
ROTA_API ssize_t rota_readv(int fd, const struct iovec *iov, int iovcnt) ROTA_MUST_USE;
ROTA_API ssize_t rota_writev(int fd, const struct iovec *iov, int iovcnt) ROTA_MUST_USE;

/* At an offset, which must not be negative (-EINVAL); -ESPIPE for what has no offset (a pipe, a socket,
 * a terminal, an eventfd, ...). */
ROTA_API ssize_t rota_pread(int fd, void *buf, size_t len, off_t offset) ROTA_MUST_USE;
ROTA_API ssize_t rota_pwrite(int fd, const void *buf, size_t len, off_t offset) ROTA_MUST_USE;
ROTA_API ssize_t rota_preadv(int fd, const struct iovec *iov, int iovcnt, off_t offset) ROTA_MUST_USE;
ROTA_API ssize_t rota_pwritev(int fd, const struct iovec *iov, int iovcnt, off_t offset) ROTA_MUST_USE;

/*
 * Until `len` bytes have moved. read_exact: the count is below `len` only at end of file. write_all never raises
 * SIGPIPE: -EPIPE. When an error (or a cancellation) comes after some bytes have moved, the count so far is the
 * result, and the error is met again by the next call.
 */
ROTA_API ssize_t rota_read_exact(int fd, void *buf, size_t len) ROTA_MUST_USE;
ROTA_API ssize_t rota_write_all(int fd, const void *buf, size_t len) ROTA_MUST_USE;

/* Waits until one of `events` (POLLIN, POLLOUT, ...) holds; returns those that do. As with poll(2), POLLERR and POLLHUP end the
 * wait in any case, POLLRDHUP (the other side of a connection sends no more) if it was asked for.
 * The way to adopt a descriptor of another library. Regular files are always ready for POLLIN and POLLOUT, and never for
 * anything else: -EINVAL (outside of a runtime there is no end to such a wait). */
ROTA_API int rota_poll_fd(int fd, short events) ROTA_MUST_USE;

/* Closes. The descriptor is gone when this returns, whatever it returns save -EBADF. What others of the same runtime wait
 * for on it ends with -ECANCELED, first, and so does a call of theirs that is between two operations; one that begins in the
 * same moment is a mistake of the program. Not a cancellation point: a task that was cancelled still closes. */
ROTA_API int rota_close(int fd);

ROTA_END_DECLS

#endif
