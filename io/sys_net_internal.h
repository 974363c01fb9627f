/* SPDX-License-Identifier: MIT */
/* The seam to the system for sockets: what does not wait. Everything returns a negative errno on failure. */
#ifndef ROTA_IO_SYS_NET_INTERNAL_H
#define ROTA_IO_SYS_NET_INTERNAL_H

#include "tcp.h"

/* A listener, ready to accept. options may be NULL; backlog <= 0: SOMAXCONN. */
int rota__sys_tcp_listen(const struct rota_address *address, int backlog, const struct rota_tcp_options *options);

/* A socket to connect to `address` with. */
int rota__sys_tcp_socket(const struct rota_address *address, const struct rota_tcp_options *options);

int rota__sys_local_port(int fd);
int rota__sys_shutdown(int fd, int how);

#endif
