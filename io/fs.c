/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fs.h"

#include <fcntl.h>

int rota_renameat2(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
	struct rota_op op;

	rota_op_renameat2(&op, from_dirfd, from, to_dirfd, to, flags);
	return rota_await(&op.future);
}

int rota_rename(const char *from, const char *to)
{
	return rota_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int rota_unlinkat(int dirfd, const char *path, int flags)
{
	struct rota_op op;

	rota_op_unlinkat(&op, dirfd, path, flags);
	return rota_await(&op.future);
}

int rota_unlink(const char *path)
{
	return rota_unlinkat(AT_FDCWD, path, 0);
}

int rota_rmdir(const char *path)
{
	return rota_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int rota_mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct rota_op op;

	rota_op_mkdirat(&op, dirfd, path, mode);
	return rota_await(&op.future);
}

int rota_mkdir(const char *path, mode_t mode)
{
	return rota_mkdirat(AT_FDCWD, path, mode);
}

int rota_symlinkat(const char *target, int dirfd, const char *path)
{
	struct rota_op op;

	rota_op_symlinkat(&op, target, dirfd, path);
	return rota_await(&op.future);
}

int rota_symlink(const char *target, const char *path)
{
	return rota_symlinkat(target, AT_FDCWD, path);
}

int rota_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags)
{
	struct rota_op op;

	rota_op_linkat(&op, from_dirfd, from, to_dirfd, to, flags);
	return rota_await(&op.future);
}

int rota_link(const char *from, const char *to)
{
	return rota_linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

ssize_t rota_readlinkat(int dirfd, const char *path, char *buf, size_t size)
{
	struct rota_pooled_op op;

	rota_op_readlinkat(&op, dirfd, path, buf, size);
	return rota_await(&op.future);
}

ssize_t rota_readlink(const char *path, char *buf, size_t size)
{
	return rota_readlinkat(AT_FDCWD, path, buf, size);
}
