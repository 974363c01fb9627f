/* SPDX-License-Identifier: MIT */
/* Files and names, awaited by an async function: from the making of a directory to its removal. async_io.c has more of
 * io/. */
#define _GNU_SOURCE
#include <linux/openat2.h>
#include <sys/stat.h>

#include "async_steps.h"

static char directory[64];
static int at, file, copy;

static union {
	struct rota_op op;
	struct rota_pooled_op pooled;
} op;

static struct rota_future *begin_mkdir(void)
{
	rota_op_mkdirat(&op.op, AT_FDCWD, directory, 0700);
	return &op.op.future;
}

static struct rota_future *begin_openat(void)
{
	rota_op_openat(&op.op, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
	return &op.op.future;
}

static void has_directory(void)
{
	at = op.op.future.status;
}

static struct rota_future *begin_openat2(void)
{
	static const struct open_how how = { .flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, .mode = 0600 };

	rota_op_openat2(&op.op, at, "file", &how);
	return &op.op.future;
}

static void has_file(void)
{
	file = op.op.future.status;
}

static struct rota_future *begin_open_copy(void)
{
	rota_op_openat(&op.op, at, "copy", O_RDWR | O_CREAT, 0600);
	return &op.op.future;
}

static void has_copy(void)
{
	copy = op.op.future.status;
}

static struct rota_future *begin_fallocate(void)
{
	rota_op_fallocate(&op.op, file, 0, 0, 4096);
	return &op.op.future;
}

static off_t size_of(int fd)
{
	struct stat status;

	expect(fstat(fd, &status), ==, 0);
	return status.st_size;
}

static void has_4096(void)
{
	expect(size_of(file), ==, 4096);
}

static struct rota_future *begin_ftruncate(void)
{
	rota_op_ftruncate(&op.pooled, file, 100);
	return &op.pooled.future;
}

static void has_100(void)
{
	expect(size_of(file), ==, 100);
}

static struct rota_future *begin_copy(void)
{
	rota_op_copy_file_range(&op.pooled, file, 0, copy, 0, 100);
	return &op.pooled.future;
}

static void copy_has_100(void)
{
	expect(size_of(copy), ==, 100);
}

static struct rota_future *begin_fsync(void)
{
	rota_op_fsync(&op.op, file, true);
	return &op.op.future;
}

static struct rota_future *begin_symlink(void)
{
	rota_op_symlinkat(&op.op, "file", at, "symbolic");
	return &op.op.future;
}

static struct rota_future *begin_link(void)
{
	rota_op_linkat(&op.op, at, "file", at, "hard", 0);
	return &op.op.future;
}

static void are_there(void)
{
	expect(faccessat(at, "symbolic", F_OK, 0), ==, 0);
	expect(faccessat(at, "hard", F_OK, 0), ==, 0);
}

static struct rota_future *begin_rename(void)
{
	rota_op_renameat2(&op.op, at, "hard", at, "symbolic", 0);
	return &op.op.future;
}

static void was_renamed(void)
{
	expect(faccessat(at, "hard", F_OK, 0), ==, -1);
}

static struct rota_future *unlinks(const char *name)
{
	rota_op_unlinkat(&op.op, at, name, 0);
	return &op.op.future;
}

static struct rota_future *begin_unlink_file(void)
{
	return unlinks("file");
}

static struct rota_future *begin_unlink_copy(void)
{
	return unlinks("copy");
}

static struct rota_future *begin_unlink_last(void)
{
	return unlinks("symbolic");
}

static struct rota_future *begin_rmdir(void)
{
	rota_op_unlinkat(&op.op, AT_FDCWD, directory, AT_REMOVEDIR);
	return &op.op.future;
}

static const struct step steps[] = {
	{ "make a directory", begin_mkdir, NULL, 0, NULL },
	{ "openat", begin_openat, NULL, ANY_STATUS, has_directory },
	{ "openat2", begin_openat2, NULL, ANY_STATUS, has_file },
	{ "openat, a file", begin_open_copy, NULL, ANY_STATUS, has_copy },
	{ "fallocate", begin_fallocate, NULL, 0, has_4096 },
	{ "ftruncate", begin_ftruncate, NULL, 0, has_100 },
	{ "copy a range", begin_copy, NULL, 100, copy_has_100 },
	{ "fsync", begin_fsync, NULL, 0, NULL },
	{ "symbolic link", begin_symlink, NULL, 0, NULL },
	{ "hard link", begin_link, NULL, 0, are_there },
	{ "rename", begin_rename, NULL, 0, was_renamed },
	{ "unlink", begin_unlink_file, NULL, 0, NULL },
	{ "unlink the copy", begin_unlink_copy, NULL, 0, NULL },
	{ "unlink the last name", begin_unlink_last, NULL, 0, NULL },
	{ "remove the directory", begin_rmdir, NULL, 0, NULL },
};

TASK_TEST(async_fs, every_wait_is_a_future_that_it_can_await)
{
	snprintf(directory, sizeof(directory), "/tmp/rota-async-fs-%d", getpid());
	walk(steps, sizeof(steps) / sizeof(steps[0]));
	close(copy);
	close(file);
	close(at);
}
