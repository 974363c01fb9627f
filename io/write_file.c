/* SPDX-License-Identifier: MIT */
/*
 * Replacing a file. The steps may fail or be cancelled until the rename; then what was made is removed. From the rename on
 * there is no way back, so what follows is not cancelled.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../runtime/sys_internal.h"
#include "fs.h"
#include "whole_file.h"

#define KEPT 200u /* bytes of the name, at most, that the temporary one begins with */

/* Splits the path; 0, or what is wrong with it. */
static int split(struct rota_write_file_op *op)
{
	const char *slash = op->path_ != NULL ? strrchr(op->path_, '/') : NULL;
	size_t len = slash != NULL ? (size_t)(slash - op->path_) : 0;

	if (op->path_ == NULL)
		return -EFAULT;
	op->name_ = slash != NULL ? slash + 1 : op->path_;
	if (*op->name_ == '\0' || strcmp(op->name_, ".") == 0 || strcmp(op->name_, "..") == 0)
		return -EINVAL;
	if (len + 2 > sizeof(op->directory_) || strlen(op->name_) > ROTA_FILE_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(op->directory_, op->path_, len);
	if (slash == NULL)
		op->directory_[len++] = '.';
	else if (len == 0)
		op->directory_[len++] = '/';
	op->directory_[len] = '\0';
	return 0;
}

/* How much of the name is kept: whole characters of UTF-8, which a file system may insist on. */
static int kept(const char *name)
{
	size_t n = strlen(name);

	if (n > KEPT)
		for (n = KEPT; n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80; n--) {
		}
	return (int)n;
}

static void begin_temporary(struct rota_write_file_op *op)
{
	snprintf(op->temporary_, sizeof(op->temporary_), ".%.*s.%016llx", kept(op->name_), op->name_,
		 (unsigned long long)rota__sys_random());
	rota_op_openat(&op->op_, op->dirfd_, op->temporary_, O_WRONLY | O_CREAT | O_EXCL, op->mode_);
}

static rota_poll write_file_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_write_file_op *op = (struct rota_write_file_op *)(void *)self;

	ROTA_ASYNC_BEGIN(op);
	op->error_ = split(op);
	if (op->error_ < 0)
		ROTA_ASYNC_RETURN(op, op->error_);
	rota_op_open(&op->op_, op->directory_, O_RDONLY | O_DIRECTORY, 0);
	ROTA_AWAIT(op, cx, &op->op_.future);
	op->dirfd_ = op->op_.future.status;
	if (op->dirfd_ < 0)
		ROTA_ASYNC_RETURN(op, op->dirfd_);
	do {
		begin_temporary(op);
		ROTA_AWAIT(op, cx, &op->op_.future);
		op->fd_ = op->error_ = op->op_.future.status;
	} while (op->fd_ == -EEXIST);
	op->made_ = op->fd_ >= 0;
	while (op->error_ >= 0 && op->done_ < op->len_) {
		rota_op_write(&op->op_, op->fd_, op->bytes_ + op->done_, op->len_ - op->done_, -1);
		ROTA_AWAIT(op, cx, &op->op_.future);
		op->error_ = op->op_.future.status;
		if (op->error_ > 0)
			op->done_ += (size_t)op->error_;
		else if (op->error_ == 0)
			op->error_ = -EIO; /* a file system that takes nothing and does not say why */
	}
	if (op->error_ >= 0) {
		rota_op_fsync(&op->op_, op->fd_, false);
		ROTA_AWAIT(op, cx, &op->op_.future);
		op->error_ = op->op_.future.status;
	}
	if (op->made_) {
		rota_op_close(&op->op_, op->fd_);
		ROTA_AWAIT_SHIELDED(op, cx, &op->op_.future);
		if (op->error_ >= 0)
			op->error_ = op->op_.future.status;
	}
	if (op->error_ >= 0) {
		rota_op_renameat2(&op->op_, op->dirfd_, op->temporary_, op->dirfd_, op->name_, 0);
		ROTA_AWAIT(op, cx, &op->op_.future);
		op->error_ = op->op_.future.status;
		op->made_ = op->error_ < 0;
	}
	if (op->made_) {
		rota_op_unlinkat(&op->op_, op->dirfd_, op->temporary_, 0);
		ROTA_AWAIT_SHIELDED(op, cx, &op->op_.future);
	} else if (op->error_ >= 0) {
		rota_op_fsync(&op->op_, op->dirfd_, false);
		ROTA_AWAIT_SHIELDED(op, cx, &op->op_.future);
		op->error_ = op->op_.future.status;
	}
	rota_op_close(&op->op_, op->dirfd_);
	ROTA_AWAIT_SHIELDED(op, cx, &op->op_.future);
	ROTA_ASYNC_RETURN(op, op->error_ < 0 ? op->error_ : 0);
	ROTA_ASYNC_END(op);
}

void rota_op_write_file(struct rota_write_file_op *op, const char *path, const void *bytes, size_t len, mode_t mode)
{
	static const struct rota_future_ops ops = ROTA_ASYNC_OPS(write_file_poll, "write file");

	rota_async_init(&op->async, &ops);
	op->path_ = path;
	op->bytes_ = bytes;
	op->len_ = len;
	op->done_ = 0;
	op->mode_ = mode;
	op->dirfd_ = op->fd_ = -1;
	op->error_ = 0;
	op->made_ = false;
}

int rota_write_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
	struct rota_write_file_op op;

	rota_op_write_file(&op, path, bytes, len, mode);
	return rota_await(&op.future);
}
