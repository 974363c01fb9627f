/* SPDX-License-Identifier: MIT */
/* Tasks that do the same work together, or plain threads in their place, for the benchmarks of sync/. */
#ifndef BENCHMARKS_CROWD_H
#define BENCHMARKS_CROWD_H

#include <rota.h>
#include <stdatomic.h>

enum { CROWD_MAX = 1000 };

/* Begins `members` (at most CROWD_MAX) fibers of fn(arg) and, in between, runs meanwhile(arg) (NULL: nothing); waits for
 * all. The first error, after which tasks are cancelled. With --plain 1 they are threads, which nobody can cancel: there
 * `meanwhile` must not fail and leave them waiting. */
int crowd_run(size_t members, rota_fn *fn, rota_fn *meanwhile, void *arg) ROTA_MUST_USE;

/* How many of a crowd have still to answer; the last one wakes who waits for them. */
struct crowd_tally {
	_Atomic size_t left;
	struct rota_notify done;
};

void crowd_tally_init(struct crowd_tally *tally);
void crowd_tally_expect(struct crowd_tally *tally, size_t members);
void crowd_tally_answer(struct crowd_tally *tally);
int crowd_tally_wait(struct crowd_tally *tally) ROTA_MUST_USE;

#endif
