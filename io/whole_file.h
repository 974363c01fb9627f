/* SPDX-License-Identifier: MIT */
/* Whole files: reading one with a limit; replacing one so that no reader and no crash ever meets half of it. Who may
 * call, and what cancellation does: see fd.h. */
#ifndef ROTA_IO_WHOLE_FILE_H
#define ROTA_IO_WHOLE_FILE_H

#include "../runtime/async.h"
#include "op.h"

ROTA_BEGIN_DECLS

#define ROTA_FILE_NAME_MAX 255 /* as the kernel has it */
#define ROTA_FILE_PATH_MAX 4096

/*
 * Reads a file of at most `limit` bytes. 0: *ret_bytes is memory of malloc's, for the caller to free, with a NUL behind
 * the *ret_len bytes (ret_len may be NULL). -EFBIG: the file is longer; -ENOMEM; the errors of open and read. It may
 * be a pipe or a device too: then it is read to its end.
 */
ROTA_API int rota_read_file(const char *path, size_t limit, char **ret_bytes, size_t *ret_len) ROTA_MUST_USE;

/*
 * Makes the file consist of these bytes, atomically: they are written to a new file in the same directory, which is
 * synced, renamed over `path`, and the directory is synced. A file that was there is replaced, with its mode, owner and
 * links; a symbolic link is replaced itself. 0: it is on the disk. Else the former file is untouched and the new one
 * removed; save when syncing the directory fails, the last step, where the new one is in place and may not survive a
 * crash. -EINVAL: the path ends in "/", "." or ".."; -ENAMETOOLONG. The new file has `mode`, less the umask.
 */
ROTA_API int rota_write_file(const char *path, const void *bytes, size_t len, mode_t mode) ROTA_MUST_USE;

/* The same as futures; what is passed must stay in place. */
struct rota_read_file_op {
	union {
		struct rota_future future;
		struct rota_async async; /* private */
	};
	char *bytes; /* the results, when the status is 0 */
	size_t len;
	/* private */
	const char *path_;
	size_t limit_, room_;
	int fd_, error_;
	struct rota_op op_;
};
ROTA_API void rota_op_read_file(struct rota_read_file_op *op, const char *path, size_t limit);

struct rota_write_file_op {
	union {
		struct rota_future future;
		struct rota_async async; /* private */
	};
	/* private */
	const char *path_, *name_;
	const unsigned char *bytes_;
	size_t len_, done_;
	mode_t mode_;
	int dirfd_, fd_, error_;
	bool made_;
	struct rota_op op_;
	char temporary_[ROTA_FILE_NAME_MAX + 1];
	char directory_[ROTA_FILE_PATH_MAX];
};
ROTA_API void rota_op_write_file(struct rota_write_file_op *op, const char *path, const void *bytes, size_t len,
				 mode_t mode);

ROTA_END_DECLS

#endif
