/* SPDX-License-Identifier: MIT */
/* Operations on files and their names as plain system calls: the rows that sys_call.c has for op_file.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../runtime/sys_internal.h"
#include "sys_internal.h"

size_t rota__sys_size(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? (size_t)status.st_size : 0;
}

bool rota__sys_opens_file(const struct rota_op *op)
{
	const char *path = (const char *)(uintptr_t)op->addr_;
	struct stat status;

	if (op->opcode_ != IORING_OP_OPENAT)
		return false;
	return fstatat(op->fd_, path, &status, 0) < 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode);
}

/* From fd_ at offset_ to the descriptor in flags_ at addr_. */
static int copy_range(const struct rota_op *op)
{
	off64_t from = (off64_t)op->offset_, to = (off64_t)op->addr_;

	return rota__sys_result(copy_file_range(op->fd_, from != -1 ? &from : NULL, (int)op->flags_,
						to != -1 ? &to : NULL, op->len_, 0));
}

int rota__sys_make_file_call(const struct rota_op *op, bool nowait)
{
	void *addr = (void *)(uintptr_t)op->addr_;
	void *second = (void *)(uintptr_t)op->offset_;

	(void)nowait; /* these take their time, and wait for no descriptor */
	switch (op->opcode_) {
	case IORING_OP_OPENAT2:
		return rota__sys_result(syscall(SYS_openat2, op->fd_, addr, second, (size_t)op->len_));
	case IORING_OP_FALLOCATE:
		return rota__sys_result(fallocate(op->fd_, (int)op->len_, (off_t)op->offset_, (off_t)op->addr_));
	case ROTA__OP_FTRUNCATE:
		return rota__sys_result(ftruncate(op->fd_, (off_t)op->offset_));
	case IORING_OP_RENAMEAT:
		return rota__sys_result(renameat2(op->fd_, addr, (int)op->len_, second, op->flags_));
	case IORING_OP_UNLINKAT:
		return rota__sys_result(unlinkat(op->fd_, addr, (int)op->flags_));
	case IORING_OP_MKDIRAT:
		return rota__sys_result(mkdirat(op->fd_, addr, (mode_t)op->len_));
	case IORING_OP_SYMLINKAT:
		return rota__sys_result(symlinkat(addr, op->fd_, second));
	case IORING_OP_LINKAT:
		return rota__sys_result(linkat(op->fd_, addr, (int)op->len_, second, (int)op->flags_));
	case ROTA__OP_READLINKAT:
		return rota__sys_result(readlinkat(op->fd_, addr, second, op->len_));
	case ROTA__OP_COPY_FILE_RANGE:
		return copy_range(op);
	case ROTA__OP_GETDENTS:
		return rota__sys_result(syscall(SYS_getdents64, op->fd_, addr, op->len_));
	default:
		return -ENOSYS;
	}
}
