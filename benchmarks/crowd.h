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

/* A crowd that is there all the while: each member hears value after value, and the last one to have heard it answers. */
struct crowd_asking {
	const char *name; /* of the row: time per value and member */
	size_t members;
	rota_fn *hear; /* a member; its argument is this. Calls crowd_answer for each value, and ends when no more come */
	int (*send)(void *arg, uint64_t value);
	void (*close)(void *arg); /* no more values */
	void *arg;                /* of the two */
	/* private */
	_Atomic size_t left; /* who have still to hear the latest */
	struct rota_notify heard;
};

/* Measures, and reports. The first error. */
int crowd_ask(struct crowd_asking *asking) ROTA_MUST_USE;

void crowd_answer(struct crowd_asking *asking);

#endif
