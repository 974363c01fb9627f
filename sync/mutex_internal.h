/* SPDX-License-Identifier: MIT */
/* What the condition variable needs of the mutex. */
#ifndef ROTA_SYNC_MUTEX_INTERNAL_H
#define ROTA_SYNC_MUTEX_INTERNAL_H

#include "mutex.h"

/* Unlocks for somebody else: the owner was cleared, or is not known. */
void rota__mutex_release(struct rota_mutex *m);

#endif
