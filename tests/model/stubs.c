/* SPDX-License-Identifier: MIT */
/*
 * Functions of the library that are called in a model and mean nothing to it. They are defined without their arguments, so
 * that this file need not follow when those change; an answer is 0.
 */
#define NOTHING(name) \
	__attribute__((weak)) long name(void); \
	__attribute__((weak)) long name(void) \
	{ \
		return 0; \
	}

/* Tasks are not counted, nobody is a blocking job, and nobody yields for having found too much ready. */
NOTHING(rota__runtime_dismiss)
NOTHING(rota__blocking_cancelled)
NOTHING(rota__worker_spend)
/* Reports and spare workers are not looked at. */
NOTHING(rota__log)
NOTHING(rota__stall_moved)
NOTHING(rota__stall_stuck)
NOTHING(rota__stall_flush)
NOTHING(rota__spares_call)
NOTHING(rota__spares_dismiss)
/* No process forks. */
NOTHING(rota__after_fork_install)
NOTHING(rota__forks_since_load)
/* Nor forks: no task has any. */
NOTHING(rota__fork_steal)
NOTHING(rota__fork_visible)
NOTHING(rota__fork_tell_cancelled)
