/* SPDX-License-Identifier: MIT */
#include "stdio.h"

#include <errno.h>

#include "fd_hint_internal.h"
#include "sys_process_internal.h"

int rota_stdio_open(int fd)
{
	int own;

	if (fd < 0 || fd > 2)
		return -EINVAL;
	own = rota__sys_reopen(fd);
	if (own < 0)
		own = rota__sys_dup_above(fd, 3);
	if (own >= 0)
		rota__fd_forget(own);
	return own;
}
