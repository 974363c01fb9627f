/* SPDX-License-Identifier: MIT */
/* Files: open, sync, status. Who may call, and what cancellation does: see fd.h. */
#ifndef ROTA_IO_FILE_H
#define ROTA_IO_FILE_H

#include "../runtime/types.h"

struct statx;

ROTA_BEGIN_DECLS

/* As open(2), always close-on-exec. A cancelled open leaves no descriptor behind. */
ROTA_API int rota_open(const char *path, int flags, mode_t mode) ROTA_MUST_USE;

/* As fsync(2) and fdatasync(2). */
ROTA_API int rota_fsync(int fd) ROTA_MUST_USE;
ROTA_API int rota_fdatasync(int fd) ROTA_MUST_USE;

/* As statx(2). */
ROTA_API int rota_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret) ROTA_MUST_USE;

ROTA_END_DECLS

#endif
