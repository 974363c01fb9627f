/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <errno.h>
#include <sys/uio.h>

#include "carrier_internal.h"

#define MEMORY_MAX ((size_t)1 << 30) /* of one registration: what the kernel takes */

int rota_open(const char *path, int flags, mode_t mode)
{
	struct rota_op op;

	rota_op_open(&op, path, flags, mode);
	return rota_await(&op.future);
}

int rota_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	struct rota_op op;

	rota_op_openat(&op, dirfd, path, flags, mode);
	return rota_await(&op.future);
}

int rota_openat2(int dirfd, const char *path, const struct open_how *how)
{
	struct rota_op op;

	rota_op_openat2(&op, dirfd, path, how);
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

int rota_fallocate(int fd, int mode, off_t offset, off_t len)
{
	struct rota_op op;

	rota_op_fallocate(&op, fd, mode, offset, len);
	return rota_await(&op.future);
}

int rota_ftruncate(int fd, off_t length)
{
	struct rota_pooled_op op;

	rota_op_ftruncate(&op, fd, length);
	return rota_await(&op.future);
}

ssize_t rota_copy_file_range(int from, off_t from_offset, int to, off_t to_offset, size_t len)
{
	struct rota_pooled_op op;

	rota_op_copy_file_range(&op, from, from_offset, to, to_offset, len);
	return rota_await(&op.future);
}

int rota_register_memory(rota_runtime *rt, void *memory, size_t size)
{
	const struct iovec all = { memory, size };
	const struct rota__carrier *carrier;
	int rc;

	if (rt == NULL || memory == NULL || size == 0 || size > MEMORY_MAX)
		return -EINVAL;
	if (size - 1 > UINTPTR_MAX - (uintptr_t)memory)
		return -EFAULT;
	rc = rota__runtime_admit_guest(rt); /* the rings stay meanwhile */
	if (rc < 0)
		return rc;
	carrier = rt->io;
	rc = carrier->ops->register_memory(rt, &all);
	rota__runtime_dismiss_guest(rt);
	return rc;
}
