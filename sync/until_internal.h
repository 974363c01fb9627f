/* SPDX-License-Identifier: MIT */
/*
 * The one way in which calls of sync/ wait with a deadline: any future, beside a timer that cancels it. So a call with a
 * deadline keeps what its future promises about a cancel: what was granted in the last moment is the result.
 */
#ifndef ROTA_SYNC_UNTIL_INTERNAL_H
#define ROTA_SYNC_UNTIL_INTERNAL_H

#include "../runtime/future.h"

/* As rota_await, and -ETIMEDOUT when the future was cancelled because `deadline` (CLOCK_MONOTONIC, ns; ROTA_NEVER: none)
 * had passed. The future is polled once even then. */
int rota__await_until(struct rota_future *future, uint64_t deadline);

#endif
