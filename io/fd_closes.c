/* SPDX-License-Identifier: MIT */
#include "fd_closes_internal.h"

#include "../runtime/sys_internal.h"

struct rota_atomic_u32 rota__fd_closes_table[ROTA__COUNTED_FDS] __attribute__((aligned(4096)));

void rota__fd_closes_prepare(void)
{
	rota__sys_keep_small(rota__fd_closes_table, sizeof(rota__fd_closes_table));
}
