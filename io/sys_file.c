/* SPDX-License-Identifier: MIT */
/* Operations on files and their names as plain system calls: the rows that sys_call.c has for op_file.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys_internal.h"

static int result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

int rota__sys_make_file_call(const struct rota_op *op, bool nowait)
{
	void *addr = (void *)(uintptr_t)op->addr_;
	void *second = (void *)(uintptr_t)op->offset_;

	(void)nowait; /* these take their time, and wait for no descriptor */
	switch (op->opcode_) {
	case IORING_OP_OPENAT2:
		return result(syscall(SYS_openat2, op->fd_, addr, second, (size_t)op->len_));
	case IORING_OP_FALLOCATE:
		return result(fallocate(op->fd_, (int)op->len_, (off_t)op->offset_, (off_t)op->addr_));
	case ROTA__OP_FTRUNCATE:
		return result(ftruncate(op->fd_, (off_t)op->offset_));
	case IORING_OP_RENAMEAT:
		return result(renameat2(op->fd_, addr, (int)op->len_, second, op->flags_));
	case IORING_OP_UNLINKAT:
		return result(unlinkat(op->fd_, addr, (int)op->flags_));
	case IORING_OP_MKDIRAT:
		return result(mkdirat(op->fd_, addr, (mode_t)op->len_));
	case IORING_OP_SYMLINKAT:
		return result(symlinkat(addr, op->fd_, second));
	case IORING_OP_LINKAT:
		return result(linkat(op->fd_, addr, (int)op->len_, second, (int)op->flags_));
	case ROTA__OP_READLINKAT:
		return result(readlinkat(op->fd_, addr, second, op->len_));
	case ROTA__OP_GETDENTS:
		return result(syscall(SYS_getdents64, op->fd_, addr, op->len_));
	default:
		return -ENOSYS;
	}
}
