/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../runtime/alloc_internal.h"
#include "fd.h"
#include "pooled_op_internal.h"

#define BATCH ((size_t)32 * 1024)
#define ALIGN 64u

int rota_dir_init(struct rota_dir *dir, int fd)
{
	*dir = (struct rota_dir){ .fd = fd, .bytes_ = rota__alloc(BATCH, ALIGN) };
	return dir->bytes_ != NULL ? 0 : -ENOMEM;
}

int rota_dir_open(struct rota_dir *dir, int dirfd, const char *path)
{
	int rc, fd = rota_openat(dirfd, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return fd;
	rc = rota_dir_init(dir, fd);
	if (rc < 0)
		rota_close(fd);
	return rc;
}

void rota_dir_deinit(struct rota_dir *dir)
{
	rota__free(dir->bytes_, BATCH, ALIGN);
	dir->bytes_ = NULL;
	dir->start_ = dir->end_ = 0;
}

int rota_dir_close(struct rota_dir *dir)
{
	rota_dir_deinit(dir);
	return rota_close(dir->fd);
}

/* The next entry of the batch. */
static bool take(struct rota_dir *dir, struct rota_dir_entry *ret)
{
	while (dir->start_ < dir->end_) {
		const struct dirent64 *entry = (const void *)(dir->bytes_ + dir->start_);

		dir->start_ += entry->d_reclen;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		*ret = (struct rota_dir_entry){ entry->d_name, entry->d_ino, entry->d_type };
		return true;
	}
	return false;
}

static rota_poll next_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_dir_op *op = (struct rota_dir_op *)(void *)self;

	ROTA_ASYNC_BEGIN(op);
	while (!take(op->dir_, op->ret_)) {
		rota__op_prepare(&op->fetch_.op_, ROTA__OP_GETDENTS, op->dir_->fd, op->dir_->bytes_, BATCH, 0, 0);
		rota__pooled_op_init(&op->fetch_);
		ROTA_AWAIT(op, cx, &op->fetch_.future);
		if (op->fetch_.future.status == -ENOENT)
			ROTA_ASYNC_RETURN(op, 0); /* it was removed, so it was empty */
		if (op->fetch_.future.status <= 0)
			ROTA_ASYNC_RETURN(op, op->fetch_.future.status);
		op->dir_->start_ = 0;
		op->dir_->end_ = (size_t)op->fetch_.future.status;
	}
	ROTA_ASYNC_RETURN(op, 1);
	ROTA_ASYNC_END(op);
}

void rota_op_dir_next(struct rota_dir_op *op, struct rota_dir *dir, struct rota_dir_entry *ret)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(next_poll, "directory");

	rota_async_init(&op->async, &ops);
	op->dir_ = dir;
	op->ret_ = ret;
}

int rota_dir_next(struct rota_dir *dir, struct rota_dir_entry *ret)
{
	struct rota_dir_op op;

	rota_op_dir_next(&op, dir, ret);
	return rota_await(&op.future);
}
