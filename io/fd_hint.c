/* SPDX-License-Identifier: MIT */
#include "fd_hint_internal.h"

#include <errno.h>

#include "sys_internal.h"

struct rota__fd_hints rota__fd_sockets;
struct rota__fd_hints rota__fd_connections;
struct rota__fd_hints rota__fd_ready;
struct rota__fd_hints rota__fd_seekables;
struct rota__fd_hints rota__fd_asked;
struct rota__fd_hints rota__fd_cached;
struct rota__fd_hints rota__fd_direct;
struct rota__fd_hints rota__fd_devices;
struct rota__fd_hints rota__fd_odd;

static bool is_odd(int fd, enum rota__sys_kind kind)
{
	return (kind == ROTA__KIND_ANONYMOUS || kind == ROTA__KIND_DEVICE) &&
	       (rota__sys_move_nothing(fd, false) == -EINVAL || rota__sys_move_nothing(fd, true) == -EINVAL);
}

bool rota__fd_is_odd(int fd)
{
	if ((unsigned)fd >= ROTA__HINTED_FDS)
		return is_odd(fd, rota__sys_kind(fd));
	return rota__fd_is(&rota__fd_odd, fd);
}

bool rota__fd_is(const struct rota__fd_hints *hints, int fd)
{
	struct rota_atomic_u64 *asked;
	uint64_t bit;

	if ((unsigned)fd >= ROTA__HINTED_FDS)
		return false;
	asked = &rota__fd_asked.bits[fd / 64];
	bit = (uint64_t)1 << (fd % 64);
	if (!(rota__load(asked, ACQUIRE) & bit)) { /* partner: below */
		const enum rota__sys_kind kind = rota__sys_kind(fd);

		if (kind == ROTA__KIND_NONE) /* who has the number next is to be asked */
			return false;
		rota__fd_hint(&rota__fd_cached, fd, kind == ROTA__KIND_CACHED);
		rota__fd_hint(&rota__fd_direct, fd, kind == ROTA__KIND_DIRECT);
		rota__fd_hint(&rota__fd_devices, fd, kind == ROTA__KIND_DEVICE);
		rota__fd_hint(&rota__fd_odd, fd, is_odd(fd, kind));
		rota__fetch_or(asked, bit, RELEASE); /* whoever sees it sees the answer */
	}
	return rota__fd_hinted(hints, fd);
}

bool rota__fd_has_position(int fd)
{
	if ((unsigned)fd >= ROTA__HINTED_FDS)
		return rota__sys_is_file(fd);
	return rota__fd_is(&rota__fd_cached, fd) || rota__fd_hinted(&rota__fd_direct, fd);
}

void rota__fd_forget(int fd)
{
	rota__fd_hint(&rota__fd_sockets, fd, false);
	rota__fd_hint(&rota__fd_connections, fd, false);
	rota__fd_hint(&rota__fd_ready, fd, false);
	rota__fd_hint(&rota__fd_seekables, fd, false);
	rota__fd_hint(&rota__fd_cached, fd, false);
	rota__fd_hint(&rota__fd_direct, fd, false);
	rota__fd_hint(&rota__fd_devices, fd, false);
	rota__fd_hint(&rota__fd_odd, fd, false);
	rota__fd_hint(&rota__fd_asked, fd, false);
}
