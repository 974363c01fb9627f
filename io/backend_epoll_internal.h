/* SPDX-License-Identifier: MIT */
/* The epoll back end, for where io_uring is not: the reactor and each worker wait in an epoll instance of their own. */
#ifndef ROTA_IO_BACKEND_EPOLL_INTERNAL_H
#define ROTA_IO_BACKEND_EPOLL_INTERNAL_H

#include "../runtime/driver_internal.h"
#include "carrier_internal.h"

extern const struct rota__driver rota__driver_epoll;
extern const struct rota__carrier_ops rota__epoll_carrier_ops; /* epoll_carrier.c */

#endif
