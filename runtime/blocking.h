/* SPDX-License-Identifier: MIT */
/* Calls of the blocking pool beyond rota_spawn_blocking, which stands in task.h. */
#ifndef ROTA_RUNTIME_BLOCKING_H
#define ROTA_RUNTIME_BLOCKING_H

#include "types.h"

ROTA_BEGIN_DECLS

/*
 * Runs fn(arg) on a pool thread and waits for it: spawn_blocking and join in one, for code that must block inside a
 * fiber. Returns fn's status. When the caller is cancelled while the job is queued it never runs and -ECANCELED is
 * returned; a job that has started is waited for, since it may use the caller's stack. On a plain thread fn runs in
 * place.
 */
ROTA_API int rota_offload(rota_fn *fn, void *arg);

ROTA_END_DECLS

#endif
