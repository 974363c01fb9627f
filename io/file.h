/* SPDX-License-Identifier: MIT */
/*
 * Files by descriptor: open, sync, status, size. What works on names is in fs.h, whole files are in whole_file.h. Who may
 * call, and what cancellation does: see fd.h. Paths and structs that are passed must stay in place until the call, or
 * the operation, is over.
 */
#ifndef ROTA_IO_FILE_H
#define ROTA_IO_FILE_H

#include "../runtime/blocking.h"
#include "op.h"

struct statx;
struct open_how;

ROTA_BEGIN_DECLS

/* As open(2) and openat(2), always close-on-exec. A cancelled open leaves no descriptor behind. */
ROTA_API int rota_open(const char *path, int flags, mode_t mode) ROTA_MUST_USE;
ROTA_API int rota_openat(int dirfd, const char *path, int flags, mode_t mode) ROTA_MUST_USE;

/* As openat2(2), which can refuse symbolic links, mount points and what lies outside of dirfd (<linux/openat2.h>).
 * `how` is taken as it is: O_CLOEXEC is for the caller to set. */
ROTA_API int rota_openat2(int dirfd, const char *path, const struct open_how *how) ROTA_MUST_USE;

/* As fsync(2) and fdatasync(2). */
ROTA_API int rota_fsync(int fd) ROTA_MUST_USE;
ROTA_API int rota_fdatasync(int fd) ROTA_MUST_USE;

/* As statx(2), whose struct <sys/stat.h> has with _GNU_SOURCE; with AT_EMPTY_PATH, path NULL is the descriptor itself on any
 * kernel. */
ROTA_API int rota_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret) ROTA_MUST_USE;

/* As fallocate(2). -EINVAL for a range that is empty or begins below 0. */
ROTA_API int rota_fallocate(int fd, int mode, off_t offset, off_t len) ROTA_MUST_USE;

/* As ftruncate(2): the file is then `length` bytes long. */
ROTA_API int rota_ftruncate(int fd, off_t length) ROTA_MUST_USE;

/*
 * As copy_file_range(2): from one file to another inside the kernel, which may share the blocks instead. An offset of -1
 * is the descriptor's own position. A count, at most 16 MiB of one call; 0: the end of `from`. -EXDEV, -EINVAL: these two
 * files cannot; read and write then. A thread of the blocking pool makes the call.
 */
ROTA_API ssize_t rota_copy_file_range(int from, off_t from_offset, int to, off_t to_offset, size_t len) ROTA_MUST_USE;

/*
 * Registers memory for reads and writes of files: io_uring then pins its pages once, and not for each call, which is worth
 * something with O_DIRECT and a fast device. rota_read, rota_pread, rota_write, rota_pwrite and their operations use it when
 * all of their buffer lies in it; nothing else about them changes. It stays mapped until the runtime was freed.
 *
 * Any thread, once for a runtime (-EBUSY); it waits for nothing, but touches each page. Each ring, of which there is one for a
 * worker and one more, counts it against RLIMIT_MEMLOCK: -ENOMEM. -EFAULT, -EOPNOTSUPP: no memory, or of a file. -EINVAL:
 * nothing, or more than 1 GiB. -ESHUTDOWN: the runtime has been shut down, or is the parent's, of a child of fork(2). Then none
 * is registered. The epoll back end has no use for it: 0.
 */
ROTA_API int rota_register_memory(rota_runtime *rt, void *memory, size_t size) ROTA_MUST_USE;

/* The same as operations; see op.h for rota_op_open, rota_op_fsync and rota_op_statx. */
ROTA_API void rota_op_openat(struct rota_op *op, int dirfd, const char *path, int flags, mode_t mode);
ROTA_API void rota_op_openat2(struct rota_op *op, int dirfd, const char *path, const struct open_how *how);
ROTA_API void rota_op_fallocate(struct rota_op *op, int fd, int mode, off_t offset, off_t len);

/*
 * An operation that not every kernel has in its rings. Where it has, it is one like any other; else a thread of the
 * blocking pool makes the call, and a cancel ends it only while it is queued there.
 */
struct rota_pooled_op {
	struct rota_future future; /* status as of the call */
	/* private */
	struct rota_op op_;
	union {
		struct rota_offload_op offload_;
		struct rota_op *links_[2]; /* of a splice, in a list of its back end's */
	};
	bool begun_, pooled_;
};
ROTA_API void rota_op_copy_file_range(struct rota_pooled_op *op, int from, off_t from_offset, int to, off_t to_offset,
				      size_t len);                                /* in no ring */
ROTA_API void rota_op_ftruncate(struct rota_pooled_op *op, int fd, off_t length); /* in rings since Linux 6.9 */

ROTA_END_DECLS

#endif
