/* SPDX-License-Identifier: MIT */
/* A program that takes part in a session, and one round of it in a process of its own. */
#ifndef BENCHMARKS_CONTENDER_H
#define BENCHMARKS_CONTENDER_H

#include <stdbool.h>

#include "figures.h"

enum { CONTENDER_ARGS = 64 };

struct contender {
	char *argv[CONTENDER_ARGS]; /* ends with NULL */
	bool out;                   /* takes no further part */
	bool failed;                /* and that is an error, which figures has */
};

/* Runs one round of contender number `index` of `figures`, and takes its lines. The round and all processes that it leaves
 * behind are killed when it is over, after `timeout_s` seconds at the latest, or when this process is told to end.
 * Negative: no further round can be run. */
int contender_round(struct contender *c, struct figures *figures, unsigned index, unsigned timeout_s);

#endif
