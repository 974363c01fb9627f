/* SPDX-License-Identifier: MIT */
/* Pipes. Their ends are read and written with the calls of fd.h. None of the calls here waits; any thread. */
#ifndef ROTA_IO_PIPE_H
#define ROTA_IO_PIPE_H

#include "../runtime/types.h"

ROTA_BEGIN_DECLS

/*
 * ret_fds[0] is read from, ret_fds[1] written to; both are the caller's, and close-on-exec: a child process gets one
 * only if it is asked to (process.h). -EMFILE, -ENFILE: nothing was made. Both are blocking descriptors, fit for other
 * programs; the calls of rota wait for them without blocking a worker all the same.
 */
ROTA_API int rota_pipe(int ret_fds[2]) ROTA_MUST_USE;

/* How many bytes a pipe holds before a writer waits: 65536 unless the system says otherwise. -EBADF: not a pipe. */
ROTA_API ssize_t rota_pipe_size(int fd);

/* Asks for room for `bytes`; returns how much there is now, which may be more. -EBUSY: more is in it. -EPERM: above
 * /proc/sys/fs/pipe-max-size. -EINVAL, -ENOMEM. */
ROTA_API ssize_t rota_pipe_set_size(int fd, size_t bytes);

ROTA_END_DECLS

#endif
