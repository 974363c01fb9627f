/* SPDX-License-Identifier: MIT */
#ifndef ROTA_RUNTIME_AFTER_FORK_INTERNAL_H
#define ROTA_RUNTIME_AFTER_FORK_INTERNAL_H

#include "types.h"

/* How many forks lie between the process that loaded the library and this one (after_fork.c). A runtime notes it at its start. */
unsigned rota__forks_since_load(void);

/* Before the first runtime, and before a lock of the process is taken; each time. */
void rota__after_fork_install(void);

/* Misuse: the runtime is the parent's, and none of its threads is in this process. -ESHUTDOWN. */
int rota__after_fork_refuse(void);

/* Locks of the process that other threads held. */
void rota__alloc_forked(void);
void rota__parkers_forked(void);
void rota__bias_forked(void);

/* The calling thread, the only one of the child, is none of the parent's runtime any more. */
void rota__worker_forked(void);
void rota__runtime_forked(void);
void rota__blocking_forked(void);

#endif
