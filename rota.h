/* SPDX-License-Identifier: MIT */
/*
 * rota: a work-stealing task runtime for Linux. This header includes every public one; each of them also
 * compiles alone, as C11 and as C++17.
 *
 * Rules that hold for every call:
 *  - A call that can fail returns 0 or a count, or a negative errno. No result is in errno, which calls may change.
 *  - Output parameters are named ret_* and are written only on success.
 *  - "Waits" means: a fiber is suspended, a plain thread blocks. A wait is a cancellation point (-ECANCELED, or
 *    -ETIMEDOUT in a scope whose time is over) unless its comment says otherwise. Inside the poll of a stackless task it
 *    is refused, -EDEADLK: await the future of the same name there (and see rota_mutex_lock).
 *  - Any thread may make a call, in a task or outside of tasks, unless its comment says otherwise; a signal handler may
 *    call rota_now only.
 *  - What a call works on is there: with NULL in place of a primitive, a stream, an operation, a memory for results, it
 *    crashes, as C does. A runtime, a task or a function that is NULL is -EINVAL; a call that has no error to return does
 *    nothing. All of that unless its comment says otherwise.
 *  - What is passed stays the caller's, unless its comment says otherwise; what a future points to stays in place until
 *    that is ready.
 */
#ifndef ROTA_H
#define ROTA_H

#include "io/accept_stream.h"
#include "io/dir.h"
#include "io/duplex.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/fs.h"
#include "io/op.h"
#include "io/pipe.h"
#include "io/process.h"
#include "io/recv_stream.h"
#include "io/resolve.h"
#include "io/signal.h"
#include "io/socket.h"
#include "io/splice.h"
#include "io/stdio.h"
#include "io/stream.h"
#include "io/stream_copy.h"
#include "io/tcp.h"
#include "io/udp.h"
#include "io/unix.h"
#include "io/whole_file.h"
#include "runtime/async.h"
#include "runtime/blocking.h"
#include "runtime/fork.h"
#include "runtime/fork_task.h"
#include "runtime/future.h"
#include "runtime/local.h"
#include "runtime/parallel.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/select.h"
#include "runtime/sort.h"
#include "runtime/task.h"
#include "runtime/time.h"
#include "runtime/types.h"
#include "runtime/waker.h"
#include "sync/barrier.h"
#include "sync/broadcast.h"
#include "sync/channel.h"
#include "sync/cond.h"
#include "sync/mutex.h"
#include "sync/notify.h"
#include "sync/once.h"
#include "sync/oneshot.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"
#include "sync/wait_group.h"
#include "sync/watch.h"

#endif
