/* SPDX-License-Identifier: MIT */
/*
 * Names of files: rename, unlink, directories, links. Each is its namesake of POSIX with a negative errno in place of -1;
 * those without a descriptor of a directory mean the working directory. Who may call, and what cancellation does: see
 * fd.h. A cancelled call may have been carried out all the same: then its result says so.
 */
#ifndef ROTA_IO_FS_H
#define ROTA_IO_FS_H

#include "file.h"

ROTA_BEGIN_DECLS

/* flags as of renameat2(2): RENAME_NOREPLACE, RENAME_EXCHANGE. */
ROTA_API int rota_rename(const char *from, const char *to) ROTA_MUST_USE;
ROTA_API int rota_renameat2(int from_dirfd, const char *from, int to_dirfd, const char *to,
			    unsigned flags) ROTA_MUST_USE;

/* flags: 0, or AT_REMOVEDIR. */
ROTA_API int rota_unlink(const char *path) ROTA_MUST_USE;
ROTA_API int rota_rmdir(const char *path) ROTA_MUST_USE;
ROTA_API int rota_unlinkat(int dirfd, const char *path, int flags) ROTA_MUST_USE;

ROTA_API int rota_mkdir(const char *path, mode_t mode) ROTA_MUST_USE;
ROTA_API int rota_mkdirat(int dirfd, const char *path, mode_t mode) ROTA_MUST_USE;

ROTA_API int rota_symlink(const char *target, const char *path) ROTA_MUST_USE;
ROTA_API int rota_symlinkat(const char *target, int dirfd, const char *path) ROTA_MUST_USE;

/* flags as of linkat(2): AT_SYMLINK_FOLLOW, AT_EMPTY_PATH. */
ROTA_API int rota_link(const char *from, const char *to) ROTA_MUST_USE;
ROTA_API int rota_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags) ROTA_MUST_USE;

/* What a symbolic link says, without a NUL at its end: the count, which is `size` when it was cut. No ring has this call: a
 * thread of the blocking pool makes it. */
ROTA_API ssize_t rota_readlink(const char *path, char *buf, size_t size) ROTA_MUST_USE;
ROTA_API ssize_t rota_readlinkat(int dirfd, const char *path, char *buf, size_t size) ROTA_MUST_USE;

/* The same as operations. */
ROTA_API void rota_op_renameat2(struct rota_op *op, int from_dirfd, const char *from, int to_dirfd, const char *to,
				unsigned flags);
ROTA_API void rota_op_unlinkat(struct rota_op *op, int dirfd, const char *path, int flags);
ROTA_API void rota_op_mkdirat(struct rota_op *op, int dirfd, const char *path, mode_t mode);
ROTA_API void rota_op_symlinkat(struct rota_op *op, const char *target, int dirfd, const char *path);
ROTA_API void rota_op_linkat(struct rota_op *op, int from_dirfd, const char *from, int to_dirfd, const char *to,
			     int flags);
ROTA_API void rota_op_readlinkat(struct rota_pooled_op *op, int dirfd, const char *path, char *buf, size_t size);

ROTA_END_DECLS

#endif
