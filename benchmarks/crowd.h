/* SPDX-License-Identifier: MIT */
/* Tasks that do the same work together, for the benchmarks of sync/. */
#ifndef BENCHMARKS_CROWD_H
#define BENCHMARKS_CROWD_H

#include <rota.h>

enum { CROWD_MAX = 256 };

/* Spawns `tasks` (at most CROWD_MAX) fibers of fn(arg) and, in between, runs meanwhile(arg) (NULL: nothing); waits for
 * all. The first error. */
static inline int crowd_run(size_t tasks, rota_fn *fn, rota_fn *meanwhile, void *arg)
{
	rota_task *handles[CROWD_MAX];
	size_t spawned = 0;
	int rc = 0;

	while (spawned < tasks && rc == 0) {
		rc = rota_spawn(&handles[spawned], fn, arg);
		spawned += rc == 0;
	}
	if (rc == 0 && meanwhile)
		rc = meanwhile(arg);
	for (size_t i = 0; i < spawned; i++) {
		int status = 0, joined;

		if (rc < 0)
			rota_cancel(handles[i]);
		joined = rota_join(handles[i], &status);
		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	return rc;
}

#endif
