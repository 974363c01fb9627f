/* SPDX-License-Identifier: MIT */
/* The epoll back end, for where io_uring is not: the reactor waits in epoll, workers on a futex. */
#ifndef ROTA_IO_BACKEND_EPOLL_INTERNAL_H
#define ROTA_IO_BACKEND_EPOLL_INTERNAL_H

#include "../runtime/driver_internal.h"
#include "carrier_internal.h"

extern const struct rota__driver rota__driver_epoll;
extern const struct rota__carrier_ops rota__epoll_carrier_ops;

#endif
