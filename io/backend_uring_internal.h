/* SPDX-License-Identifier: MIT */
/* The io_uring back end: a ring per worker, and the reactor's. */
#ifndef ROTA_IO_BACKEND_URING_INTERNAL_H
#define ROTA_IO_BACKEND_URING_INTERNAL_H

#include "../runtime/driver_internal.h"

extern const struct rota__driver rota__driver_uring;

/* Whether it works here: a real no-op and a real timed wait. 0, or the negative errno that stands in the way. */
int rota__uring_try(void);

#endif
