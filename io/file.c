/* SPDX-License-Identifier: MIT */
#include "file.h"

#include "op.h"

int rota_open(const char *path, int flags, mode_t mode)
{
	struct rota_op op;

	rota_op_open(&op, path, flags, mode);
	return rota_await(&op.future);
}

int rota_fsync(int fd)
{
	struct rota_op op;

	rota_op_fsync(&op, fd, false);
	return rota_await(&op.future);
}

int rota_fdatasync(int fd)
{
	struct rota_op op;

	rota_op_fsync(&op, fd, true);
	return rota_await(&op.future);
}

int rota_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret)
{
	struct rota_op op;

	rota_op_statx(&op, dirfd, path, flags, mask, ret);
	return rota_await(&op.future);
}
