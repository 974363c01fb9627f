/* SPDX-License-Identifier: MIT */
#include "fd_hint_internal.h"

struct rota__fd_hints rota__fd_sockets;
struct rota__fd_hints rota__fd_connections;
struct rota__fd_hints rota__fd_ready;
struct rota__fd_hints rota__fd_seekables;
struct rota__fd_hints rota__fd_asked;
struct rota__fd_hints rota__fd_cached;

void rota__fd_forget(int fd)
{
	rota__fd_hint(&rota__fd_sockets, fd, false);
	rota__fd_hint(&rota__fd_connections, fd, false);
	rota__fd_hint(&rota__fd_ready, fd, false);
	rota__fd_hint(&rota__fd_seekables, fd, false);
	rota__fd_hint(&rota__fd_cached, fd, false);
	rota__fd_hint(&rota__fd_asked, fd, false);
}
