/* SPDX-License-Identifier: MIT */
/* The operations on files and their names: how each is filled in. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>

#include "fs.h"
#include "op_internal.h"
#include "pooled_op_internal.h"

/* The kernel would first try with O_NONBLOCK, which opens a FIFO without waiting for its other side. */
static void open_elsewhere(struct rota_op *op, uint64_t flags)
{
	if (!(flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)))
		op->entry_flags_ = IOSQE_ASYNC;
}

void rota_op_openat(struct rota_op *op, int dirfd, const char *path, int flags, mode_t mode)
{
	rota__op_prepare(op, IORING_OP_OPENAT, dirfd, path, 0, 0, (uint32_t)(flags | O_CLOEXEC));
	op->len_ = mode; /* not a length */
	open_elsewhere(op, (unsigned)flags);
}

void rota_op_open(struct rota_op *op, const char *path, int flags, mode_t mode)
{
	rota_op_openat(op, AT_FDCWD, path, flags, mode);
}

void rota_op_openat2(struct rota_op *op, int dirfd, const char *path, const struct open_how *how)
{
	rota__op_prepare(op, IORING_OP_OPENAT2, dirfd, path, sizeof(*how), (uintptr_t)how, 0);
	if (how == NULL)
		rota__op_refuse(op, -EFAULT);
	else
		open_elsewhere(op, how->flags);
}

void rota_op_fsync(struct rota_op *op, int fd, bool data_only)
{
	rota__op_prepare(op, IORING_OP_FSYNC, fd, NULL, 0, 0, data_only ? IORING_FSYNC_DATASYNC : 0);
}

void rota_op_statx(struct rota_op *op, int dirfd, const char *path, int flags, unsigned mask, struct statx *ret)
{
	if (path == NULL && flags & AT_EMPTY_PATH)
		path = ""; /* which kernels before 6.11 want, and rings */
	rota__op_prepare(op, IORING_OP_STATX, dirfd, path, 0, (uintptr_t)ret, (uint32_t)flags);
	op->len_ = mask; /* not a length */
}

void rota_op_fallocate(struct rota_op *op, int fd, int mode, off_t offset, off_t len)
{
	rota__op_prepare(op, IORING_OP_FALLOCATE, fd, NULL, 0, (uint64_t)offset, 0);
	op->addr_ = (uint64_t)len;
	op->len_ = (uint32_t)mode; /* not a length */
	if (offset < 0 || len <= 0)
		rota__op_refuse(op, -EINVAL);
}

void rota_op_ftruncate(struct rota_pooled_op *op, int fd, off_t length)
{
	rota__op_prepare(&op->op_, ROTA__OP_FTRUNCATE, fd, NULL, 0, (uint64_t)length, 0);
	if (length < 0)
		rota__op_refuse(&op->op_, -EINVAL);
	rota__pooled_op_init(op);
}

void rota_op_renameat2(struct rota_op *op, int from_dirfd, const char *from, int to_dirfd, const char *to,
		       unsigned flags)
{
	rota__op_prepare(op, IORING_OP_RENAMEAT, from_dirfd, from, 0, (uintptr_t)to, flags);
	op->len_ = (uint32_t)to_dirfd; /* not a length */
}

void rota_op_unlinkat(struct rota_op *op, int dirfd, const char *path, int flags)
{
	rota__op_prepare(op, IORING_OP_UNLINKAT, dirfd, path, 0, 0, (uint32_t)flags);
}

void rota_op_mkdirat(struct rota_op *op, int dirfd, const char *path, mode_t mode)
{
	rota__op_prepare(op, IORING_OP_MKDIRAT, dirfd, path, 0, 0, 0);
	op->len_ = mode; /* not a length */
}

void rota_op_symlinkat(struct rota_op *op, const char *target, int dirfd, const char *path)
{
	rota__op_prepare(op, IORING_OP_SYMLINKAT, dirfd, target, 0, (uintptr_t)path, 0);
}

void rota_op_linkat(struct rota_op *op, int from_dirfd, const char *from, int to_dirfd, const char *to, int flags)
{
	rota__op_prepare(op, IORING_OP_LINKAT, from_dirfd, from, 0, (uintptr_t)to, (uint32_t)flags);
	op->len_ = (uint32_t)to_dirfd; /* not a length */
}

void rota_op_readlinkat(struct rota_pooled_op *op, int dirfd, const char *path, char *buf, size_t size)
{
	rota__op_prepare(&op->op_, ROTA__OP_READLINKAT, dirfd, path, size, (uintptr_t)buf, 0);
	rota__pooled_op_init(op);
}

#define COPY_MAX (16u * 1024 * 1024) /* of one call, which holds a thread of the pool */

void rota_op_copy_file_range(struct rota_pooled_op *op, int from, off_t from_offset, int to, off_t to_offset, size_t len)
{
	rota__op_prepare(&op->op_, ROTA__OP_COPY_FILE_RANGE, from, NULL, len < COPY_MAX ? len : COPY_MAX,
			 (uint64_t)from_offset, (uint32_t)to);
	op->op_.addr_ = (uint64_t)to_offset; /* not an address */
	if (from_offset < -1 || to_offset < -1)
		rota__op_refuse(&op->op_, -EINVAL);
	rota__pooled_op_init(op);
}
