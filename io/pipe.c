/* SPDX-License-Identifier: MIT */
#include "pipe.h"

#include <errno.h>
#include <limits.h>

#include "fd_hint_internal.h"
#include "sys_process_internal.h"

int rota_pipe(int ret_fds[2])
{
	int fds[2];
	int rc = rota__sys_pipe(fds);

	if (rc < 0)
		return rc;
	for (int i = 0; i < 2; i++) {
		rota__fd_forget(fds[i]);
		ret_fds[i] = fds[i];
	}
	return 0;
}

ssize_t rota_pipe_size(int fd)
{
	return rota__sys_pipe_size(fd);
}

ssize_t rota_pipe_set_size(int fd, size_t bytes)
{
	if (bytes > INT_MAX)
		return -EINVAL;
	return rota__sys_pipe_resize(fd, (int)bytes);
}
