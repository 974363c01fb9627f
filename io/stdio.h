/* SPDX-License-Identifier: MIT */
/*
 * Standard input, output and error.
 *
 * They are shared with other processes: the shell, the rest of the pipeline. O_NONBLOCK on such a descriptor, or another
 * mode of the terminal, changes it for all of them, and stays when this process is gone. rota never sets either. Instead
 * a terminal or a pipe is opened once more, which gives a descriptor of the process's own, of the same terminal or pipe;
 * that one is non-blocking. So nothing has to be restored at exit, however the process ends.
 */
#ifndef ROTA_IO_STDIO_H
#define ROTA_IO_STDIO_H

#include "../runtime/types.h"

ROTA_BEGIN_DECLS

/*
 * A descriptor of the caller's own (close it with rota_close; it is close-on-exec) for `fd`, which is 0, 1 or 2 and stays
 * as it is. The calls of fd.h on it never block a worker, whatever it is: terminal, pipe, file, socket, /dev/null. What
 * cannot be opened again (a file, whose position is shared with other processes; a socket; a terminal of another user, or
 * its other side) is duplicated. Never waits; any thread. -EBADF: fd is not open. -EINVAL: not 0, 1 or 2. -EMFILE, -ENFILE.
 *
 * - A read that was cancelled takes no input away: what comes later is there for the next read, or the next process.
 * - As long as one's own descriptor of a pipe's writing end is open the reader of the pipe meets no end.
 * - In the background of a terminal, reading gives -EIO from a worker thread: it blocks SIGTTIN, which would stop the
 *   process.
 */
ROTA_API int rota_stdio_open(int fd) ROTA_MUST_USE;

ROTA_END_DECLS

#endif
