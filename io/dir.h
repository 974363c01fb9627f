/* SPDX-License-Identifier: MIT */
/*
 * Listing a directory: an iterator over its entries. No ring has this call: a thread of the blocking pool fetches them,
 * hundreds at a time, so that most steps wait for nothing. Who may call, and what cancellation does: see fd.h.
 *
 *	struct rota_dir dir;
 *	struct rota_dir_entry entry;
 *	int rc = rota_dir_open(&dir, AT_FDCWD, path);
 *
 *	if (rc < 0)
 *		return rc;
 *	while ((rc = rota_dir_next(&dir, &entry)) > 0)
 *		puts(entry.name);
 *	rota_dir_close(&dir);
 */
#ifndef ROTA_IO_DIR_H
#define ROTA_IO_DIR_H

#include "../runtime/async.h"
#include "file.h"

ROTA_BEGIN_DECLS

struct rota_dir {
	int fd; /* for rota_openat, rota_unlinkat and the like */
	/* private */
	unsigned char *bytes_;
	size_t start_, end_;
};

struct rota_dir_entry {
	const char *name; /* valid until the next step */
	uint64_t inode;
	unsigned char type; /* DT_REG, DT_DIR, ... (<dirent.h>); DT_UNKNOWN where the file system does not say */
};

/* Opens a directory, by a path that is relative to dirfd (AT_FDCWD: the working directory). 0; -ENOTDIR; -ENOMEM. */
ROTA_API int rota_dir_open(struct rota_dir *dir, int dirfd, const char *path) ROTA_MUST_USE;

/* The same from a descriptor of a directory, which is the iterator's from then on. Never waits. -ENOMEM: it is still the
 * caller's. */
ROTA_API int rota_dir_init(struct rota_dir *dir, int fd) ROTA_MUST_USE;

/* 1: an entry, never "." or "..". 0: there are no more, or the directory is gone. What is made or removed meanwhile may be
 * listed or not. After an error, or a cancellation, the next step goes on where this one was. */
ROTA_API int rota_dir_next(struct rota_dir *dir, struct rota_dir_entry *ret) ROTA_MUST_USE;

/* Ends the iterator and closes its descriptor. */
ROTA_API int rota_dir_close(struct rota_dir *dir);

/* Ends it without closing: dir->fd is the caller's again. Never waits. */
ROTA_API void rota_dir_deinit(struct rota_dir *dir);

/* A step as a future: status as of rota_dir_next. */
struct rota_dir_op {
	union {
		struct rota_future future;
		struct rota_async async; /* private */
	};
	/* private */
	struct rota_dir *dir_;
	struct rota_dir_entry *ret_;
	struct rota_pooled_op fetch_;
};
ROTA_API void rota_op_dir_next(struct rota_dir_op *op, struct rota_dir *dir, struct rota_dir_entry *ret);

ROTA_END_DECLS

#endif
