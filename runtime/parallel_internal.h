/* SPDX-License-Identifier: MIT */
/* What the parallel algorithms share. */
#ifndef ROTA_RUNTIME_PARALLEL_INTERNAL_H
#define ROTA_RUNTIME_PARALLEL_INTERNAL_H

#include "fork_task.h"
#include "parallel.h"

/* The grain for n elements when the caller does not say: several parts for each worker. */
size_t rota__parallel_grain(size_t n);

/* Why parts are left out: the calling task's reason, or -ECANCELED. */
int rota__parallel_reason(void);

#endif
