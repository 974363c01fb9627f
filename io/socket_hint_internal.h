/* SPDX-License-Identifier: MIT */
/*
 * Which descriptors are known to be sockets. On a socket recv and send cost the kernel a tenth less per round trip than
 * read and write, so an operation on a known socket is sent as those.
 *
 * Only a hint, learned from calls that succeeded: a descriptor may have been closed behind rota's back and its number
 * given to a file. Then the kernel answers ENOTSOCK, the hint is dropped and the operation is made again as it was
 * asked for.
 */
#ifndef ROTA_IO_SOCKET_HINT_INTERNAL_H
#define ROTA_IO_SOCKET_HINT_INTERNAL_H

#include "../runtime/atomic_internal.h"

#define ROTA__HINTED_FDS 65536u /* higher ones are never known */

extern struct rota_atomic_u64 rota__socket_hints[ROTA__HINTED_FDS / 64];

static inline bool rota__socket_hinted(int fd)
{
	if ((unsigned)fd >= ROTA__HINTED_FDS)
		return false;
	return (rota__load(&rota__socket_hints[fd / 64], RELAXED) >> (fd % 64) & 1) != 0; /* a hint orders nothing */
}

static inline void rota__socket_hint(int fd, bool is_socket)
{
	const uint64_t bit = (uint64_t)1 << (fd % 64);

	if ((unsigned)fd >= ROTA__HINTED_FDS || rota__socket_hinted(fd) == is_socket)
		return;
	if (is_socket)
		rota__fetch_or(&rota__socket_hints[fd / 64], bit, RELAXED);
	else
		rota__fetch_and(&rota__socket_hints[fd / 64], ~bit, RELAXED);
}

#endif
