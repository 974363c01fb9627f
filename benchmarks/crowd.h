/* SPDX-License-Identifier: MIT */
/* Tasks that do the same work together, or plain threads in their place, for the benchmarks of sync/. */
#ifndef BENCHMARKS_CROWD_H
#define BENCHMARKS_CROWD_H

#include <rota.h>

enum { CROWD_MAX = 256 };

/* Begins `members` (at most CROWD_MAX) fibers of fn(arg) and, in between, runs meanwhile(arg) (NULL: nothing); waits for
 * all. The first error, after which tasks are cancelled. With --plain 1 they are threads, which nobody can cancel: there
 * `meanwhile` must not fail and leave them waiting. */
int crowd_run(size_t members, rota_fn *fn, rota_fn *meanwhile, void *arg) ROTA_MUST_USE;

#endif
