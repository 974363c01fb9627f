/* SPDX-License-Identifier: MIT */
#include "fd_hint_internal.h"

#include "sys_internal.h"

struct rota__fd_hints rota__fd_sockets;
struct rota__fd_hints rota__fd_connections;
struct rota__fd_hints rota__fd_ready;
struct rota__fd_hints rota__fd_seekables;
struct rota__fd_hints rota__fd_asked;
struct rota__fd_hints rota__fd_cached;
struct rota__fd_hints rota__fd_devices;

bool rota__fd_is(const struct rota__fd_hints *hints, int fd)
{
	if ((unsigned)fd >= ROTA__HINTED_FDS)
		return false;
	if (!rota__fd_hinted(&rota__fd_asked, fd)) {
		const enum rota__sys_kind kind = rota__sys_kind(fd);

		rota__fd_hint(&rota__fd_cached, fd, kind == ROTA__KIND_CACHED);
		rota__fd_hint(&rota__fd_devices, fd, kind == ROTA__KIND_DEVICE);
		rota__fd_hint(&rota__fd_asked, fd, true);
	}
	return rota__fd_hinted(hints, fd);
}

void rota__fd_forget(int fd)
{
	rota__fd_hint(&rota__fd_sockets, fd, false);
	rota__fd_hint(&rota__fd_connections, fd, false);
	rota__fd_hint(&rota__fd_ready, fd, false);
	rota__fd_hint(&rota__fd_seekables, fd, false);
	rota__fd_hint(&rota__fd_cached, fd, false);
	rota__fd_hint(&rota__fd_devices, fd, false);
	rota__fd_hint(&rota__fd_asked, fd, false);
}
