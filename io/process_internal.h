/* SPDX-License-Identifier: MIT */
/*
 * What the files of processes share.
 *
 * A process is RUNNING, until one of the callers finds that it has ended and takes its status (ENDED), or finds that
 * somebody else has (LOST). Taking the status frees the pid, so signals are sent and the status taken under the handle's
 * lock: a signal never meets a stranger who got the number.
 */
#ifndef ROTA_IO_PROCESS_INTERNAL_H
#define ROTA_IO_PROCESS_INTERNAL_H

#include "process.h"

enum rota__process_state { ROTA__PROCESS_CLOSED, ROTA__PROCESS_RUNNING, ROTA__PROCESS_ENDED, ROTA__PROCESS_LOST };

/* Starts a child. Blocks until the program has been loaded. */
int rota__process_start(struct rota_process *ret, const struct rota_process_config *config);

/* Takes the status if there is one. 1: the process has ended; 0: it runs; -ECHILD. */
int rota__process_reap(struct rota_process *process);

/* A child whose handle is gone. It is allocated with the handle, so that closing cannot fail. */
struct rota__orphan {
	struct rota__orphan *next;
	pid_t pid;
	int pidfd; /* -1: none. The orphan's own */
};

struct rota__orphan *rota__orphan_new(void);
void rota__orphan_free(struct rota__orphan *orphan);

/* Sees to it that the child will be waited for, and frees the orphan then. */
void rota__orphan_leave(struct rota__orphan *orphan);

#endif
