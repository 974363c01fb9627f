/* SPDX-License-Identifier: MIT */
/*
 * Names of files and what changes the size of files: each call from every place, as POSIX has it; what is refused; that the
 * ring makes the calls and no thread of the pool; that the pool does where the kernel's rings cannot; cancels and faults.
 */
#define _GNU_SOURCE
#include "../../io/fs.h"

#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>

#include <sys/uio.h>

#include "../../io/fd.h"
#include "../../io/pooled_op_internal.h"
#include "../../io/splice.h"
#include "../../io/sys_internal.h"
#include "../../io/whole_file.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

/* A directory of its own for each run of a script. */
struct yard {
	char path[200];
	int fd;
};

static void yard_init(struct yard *yard)
{
	plain_directory(yard->path);
	yard->fd = open(yard->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect(yard->fd, >=, 0);
}

static void yard_deinit(struct yard *yard)
{
	close(yard->fd);
	expect(rmdir(yard->path), ==, 0); /* nothing was left in it */
}

static bool yard_has(const struct yard *yard, const char *name)
{
	return faccessat(yard->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void yard_put(const struct yard *yard, const char *name, const char *text)
{
	int fd = openat(yard->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	expect(fd, >=, 0);
	expect(write(fd, text, strlen(text)), ==, strlen(text));
	close(fd);
}

static off_t size_of(int fd)
{
	struct stat status;

	expect(fstat(fd, &status), ==, 0);
	return status.st_size;
}

/* --- names ---------------------------------------------------------------------------------------------------------- */

static void names_script(const struct place *place)
{
	struct yard yard;
	char from[256], to[256], text[16] = "";

	(void)place;
	yard_init(&yard);
	snprintf(from, sizeof(from), "%s/a", yard.path);
	snprintf(to, sizeof(to), "%s/b", yard.path);
	yard_put(&yard, "a", "A");
	expect(rota_rename(from, to), ==, 0);
	expect(yard_has(&yard, "a"), ==, false);
	expect(yard_has(&yard, "b"), ==, true);
	expect(rota_rename(from, to), ==, -ENOENT);
	yard_put(&yard, "a", "A");
	expect(rota_renameat2(yard.fd, "a", yard.fd, "b", RENAME_NOREPLACE), ==, -EEXIST);
	expect(rota_renameat2(yard.fd, "a", yard.fd, "b", RENAME_EXCHANGE), ==, 0);
	expect(rota_link(from, to), ==, -EEXIST);
	expect(rota_linkat(yard.fd, "a", yard.fd, "c", 0), ==, 0);
	expect(rota_unlink(from), ==, 0);
	expect(rota_unlink(from), ==, -ENOENT);
	expect(rota_unlink(to), ==, 0);
	expect(rota_link(to, from), ==, -ENOENT);
	expect(rota_unlinkat(yard.fd, "c", AT_REMOVEDIR), ==, -ENOTDIR);
	expect(rota_unlinkat(yard.fd, "c", 0), ==, 0);
	expect(rota_symlink("somewhere", from), ==, 0);
	expect(rota_symlinkat("else", yard.fd, "a"), ==, -EEXIST);
	expect(rota_symlinkat("else", yard.fd, "b"), ==, 0);
	expect(rota_readlink(from, text, sizeof(text)), ==, 9);
	expect_text(text, "somewhere");
	expect(rota_readlinkat(yard.fd, "b", text, 2), ==, 2); /* cut */
	expect(rota_readlinkat(yard.fd, "none", text, sizeof(text)), ==, -ENOENT);
	expect(rota_readlinkat(yard.fd, "b", text, 0), ==, -EINVAL);
	expect(rota_unlinkat(yard.fd, "a", 0), ==, 0);
	expect(rota_unlinkat(yard.fd, "b", 0), ==, 0);
	yard_deinit(&yard);
}

UNIT_TEST(fs, names)
{
	everywhere(names_script);
}

static void directories_script(const struct place *place)
{
	struct yard yard;
	char path[256];
	struct stat status;
	mode_t mask = umask(022);

	(void)place;
	yard_init(&yard);
	snprintf(path, sizeof(path), "%s/d", yard.path);
	expect(rota_mkdir(path, 0777), ==, 0);
	expect(stat(path, &status), ==, 0);
	expect(status.st_mode, ==, S_IFDIR | 0755);
	expect(rota_mkdir(path, 0777), ==, -EEXIST);
	expect(rota_unlink(path), ==, -EISDIR);
	expect(rota_mkdirat(yard.fd, "d/e", 0700), ==, 0);
	expect(rota_mkdirat(yard.fd, "none/e", 0700), ==, -ENOENT);
	expect(rota_rmdir(path), ==, -ENOTEMPTY);
	expect(rota_unlinkat(yard.fd, "d/e", AT_REMOVEDIR), ==, 0);
	expect(rota_rmdir(path), ==, 0);
	expect(rota_rmdir(path), ==, -ENOENT);
	yard_deinit(&yard);
	umask(mask);
}

UNIT_TEST(fs, directories)
{
	everywhere(directories_script);
}

/* --- opening relative to a directory -------------------------------------------------------------------------------- */

static void open_script(const struct place *place)
{
	struct open_how how = { .flags = O_RDWR | O_CREAT | O_CLOEXEC, .mode = 0600, .resolve = RESOLVE_BENEATH };
	struct yard yard;
	int fd;

	(void)place;
	yard_init(&yard);
	fd = rota_openat2(yard.fd, "a", &how);
	expect(fd, >=, 0);
	expect(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	expect(rota_close(fd), ==, 0);
	expect(rota_openat2(yard.fd, "../a", &how), ==, -EXDEV);
	expect(rota_openat2(yard.fd, "a", NULL), ==, -EFAULT);
	how.flags = UINT64_MAX;
	expect(rota_openat2(yard.fd, "a", &how), ==, -EINVAL);
	fd = rota_openat(yard.fd, "a", O_RDONLY, 0);
	expect(fd, >=, 0);
	expect(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	expect(rota_close(fd), ==, 0);
	expect(rota_openat(yard.fd, "b", O_RDONLY, 0), ==, -ENOENT);
	expect(unlinkat(yard.fd, "a", 0), ==, 0);
	yard_deinit(&yard);
}

UNIT_TEST(fs, open_in_a_directory)
{
	everywhere(open_script);
}

/* --- sizes ---------------------------------------------------------------------------------------------------------- */

static void size_script(const struct place *place)
{
	char path[256];
	int fd = plain_file(path), read_only;
	struct stat status;

	(void)place;
	expect(rota_ftruncate(fd, 10000), ==, 0);
	expect(size_of(fd), ==, 10000);
	expect(rota_ftruncate(fd, 0), ==, 0);
	expect(size_of(fd), ==, 0);
	expect(rota_ftruncate(fd, -1), ==, -EINVAL);
	expect(rota_fallocate(fd, 0, 0, 65536), ==, 0);
	expect(size_of(fd), ==, 65536);
	expect(fstat(fd, &status), ==, 0);
	expect(status.st_blocks, >=, 65536 / 512);
	expect(rota_fallocate(fd, FALLOC_FL_KEEP_SIZE, 65536, 65536), ==, 0);
	expect(size_of(fd), ==, 65536);
	expect(rota_fallocate(fd, 0, 0, 0), ==, -EINVAL);
	expect(rota_fallocate(fd, 0, -1, 1), ==, -EINVAL);
	expect(rota_fallocate(fd, 1 << 20, 0, 1), ==, -EOPNOTSUPP);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	expect(rota_ftruncate(read_only, 1), ==, -EINVAL);
	expect(rota_fallocate(read_only, 0, 0, 1), ==, -EBADF);
	close(read_only);
	expect(rota_ftruncate(plain_closed(), 1), ==, -EBADF);
	close(fd);
	unlink(path);
}

UNIT_TEST(fs, sizes)
{
	everywhere(size_script);
}

/* --- as futures ----------------------------------------------------------------------------------------------------- */

static int carry_op(const struct place *place, struct rota_op *op)
{
	return place->carry(place, &op->future);
}

static void future_script(const struct place *place)
{
	const struct open_how how = { .flags = O_RDWR | O_CREAT | O_CLOEXEC, .mode = 0600 };
	struct rota_pooled_op pooled;
	struct rota_op op;
	struct yard yard;
	char text[16] = "";
	int fd;

	yard_init(&yard);
	rota_op_openat2(&op, yard.fd, "a", &how);
	fd = carry_op(place, &op);
	expect(fd, >=, 0);
	rota_op_fallocate(&op, fd, 0, 0, 100);
	expect(carry_op(place, &op), ==, 0);
	rota_op_ftruncate(&pooled, fd, 50);
	expect(place->carry(place, &pooled.future), ==, 0);
	expect(size_of(fd), ==, 50);
	close(fd);
	rota_op_openat(&op, yard.fd, "a", O_RDONLY, 0);
	fd = carry_op(place, &op);
	expect(fd, >=, 0);
	close(fd);
	rota_op_linkat(&op, yard.fd, "a", yard.fd, "b", 0);
	expect(carry_op(place, &op), ==, 0);
	rota_op_renameat2(&op, yard.fd, "b", yard.fd, "c", 0);
	expect(carry_op(place, &op), ==, 0);
	rota_op_unlinkat(&op, yard.fd, "c", 0);
	expect(carry_op(place, &op), ==, 0);
	rota_op_unlinkat(&op, yard.fd, "a", 0);
	expect(carry_op(place, &op), ==, 0);
	rota_op_mkdirat(&op, yard.fd, "d", 0700);
	expect(carry_op(place, &op), ==, 0);
	rota_op_unlinkat(&op, yard.fd, "d", AT_REMOVEDIR);
	expect(carry_op(place, &op), ==, 0);
	rota_op_symlinkat(&op, "target", yard.fd, "s");
	expect(carry_op(place, &op), ==, 0);
	rota_op_readlinkat(&pooled, yard.fd, "s", text, sizeof(text));
	expect(place->carry(place, &pooled.future), ==, 6);
	expect_text(text, "target");
	rota_op_unlinkat(&op, yard.fd, "s", 0);
	expect(carry_op(place, &op), ==, 0);
	yard_deinit(&yard);
}

UNIT_TEST(fs, as_futures)
{
	everyhow(future_script);
}

/* --- who makes the calls -------------------------------------------------------------------------------------------- */

static struct rota_metrics metrics_of(const struct place *place)
{
	struct rota_metrics metrics;

	rota_runtime_metrics(place->rt, &metrics);
	return metrics;
}

/* A ring makes the call: neither the worker itself nor a thread of the pool. */
#define BY_RING(call, relation, result) \
	do { \
		const uint64_t before_ = metrics_of(place).operations; \
\
		expect(call, relation, result); \
		expect(metrics_of(place).operations, >, before_); \
		expect(metrics_of(place).blocking_threads, ==, 0); \
	} while (0)

static void descriptors_by_ring(const struct place *place, const struct yard *yard)
{
	const struct open_how how = { .flags = O_RDWR | O_CREAT | O_CLOEXEC, .mode = 0600 };
	const struct iovec parts[2] = { { (void *)"by", 2 }, { (void *)"tes", 3 } };
	struct statx status;
	char path[256];
	int fd = -1, fds[2];

	snprintf(path, sizeof(path), "%s/a", yard->path);
	BY_RING(fd = rota_open(path, O_RDWR | O_CREAT, 0600), >=, 0);
	BY_RING(rota_close(fd), ==, 0);
	BY_RING(fd = rota_openat2(yard->fd, "a", &how), >=, 0);
	BY_RING(rota_close(fd), ==, 0);
	BY_RING(fd = rota_openat(yard->fd, "a", O_RDWR, 0), >=, 0);
	BY_RING(rota_fallocate(fd, 0, 0, 4096), ==, 0);
	BY_RING(rota_write(fd, "bytes", 5), ==, 5);
	BY_RING(rota_writev(fd, parts, 2), ==, 5);
	BY_RING(rota_pwrite(fd, "bytes", 5, 0), ==, 5);
	BY_RING(rota_pwritev(fd, parts, 2, 0), ==, 5);
	BY_RING(rota_fsync(fd), ==, 0);
	BY_RING(rota_fdatasync(fd), ==, 0);
	if (rota__sys_ring_has(ROTA__OP_FTRUNCATE))
		BY_RING(rota_ftruncate(fd, 5), ==, 0);
	BY_RING(rota_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &status), ==, 0);
	plain_pipe(fds);
	if (rota__sys_ring_has(IORING_OP_SPLICE))
		BY_RING(rota_splice(fd, 0, fds[1], -1, 5, 0), ==, 5);
	plain_close(fds);
	BY_RING(rota_close(fd), ==, 0);
	BY_RING(rota_unlink(path), ==, 0);
}

static void names_by_ring(const struct place *place, const struct yard *yard)
{
	char a[256], b[256], *bytes;

	snprintf(a, sizeof(a), "%s/a", yard->path);
	snprintf(b, sizeof(b), "%s/b", yard->path);
	BY_RING(rota_write_file(a, "bytes", 5, 0600), ==, 0);
	BY_RING(rota_read_file(a, 5, &bytes, NULL), ==, 0);
	free(bytes);
	BY_RING(rota_link(a, b), ==, 0);
	BY_RING(rota_rename(b, a), ==, 0); /* two names of one file: nothing to do */
	BY_RING(rota_unlink(b), ==, 0);
	BY_RING(rota_symlink("a", b), ==, 0);
	BY_RING(rota_renameat2(yard->fd, "b", yard->fd, "c", 0), ==, 0);
	BY_RING(rota_unlinkat(yard->fd, "c", 0), ==, 0);
	BY_RING(rota_linkat(yard->fd, "a", yard->fd, "b", 0), ==, 0);
	BY_RING(rota_unlink(a), ==, 0);
	BY_RING(rota_unlink(b), ==, 0);
	BY_RING(rota_mkdir(a, 0700), ==, 0);
	BY_RING(rota_rmdir(a), ==, 0);
	BY_RING(rota_mkdirat(yard->fd, "a", 0700), ==, 0);
	BY_RING(rota_symlinkat("a", yard->fd, "b"), ==, 0);
	BY_RING(rota_unlinkat(yard->fd, "b", 0), ==, 0);
	BY_RING(rota_unlinkat(yard->fd, "a", AT_REMOVEDIR), ==, 0);
}

/* Everything that the kernel's rings can do is done by the ring. */
static void ring_script(const struct place *place)
{
	struct yard yard;

	if (rota_runtime_backend(place->rt) != ROTA_BACKEND_IO_URING)
		return;
	yard_init(&yard);
	descriptors_by_ring(place, &yard);
	names_by_ring(place, &yard);
	yard_deinit(&yard);
}

UNIT_TEST(fs, no_thread_of_the_pool_is_used)
{
	in_fibers(ring_script, 0);
}

/* A call that no ring has is made by one. */
static void pool_script(const struct place *place)
{
	struct yard yard;
	char text[8];

	yard_init(&yard);
	expect(symlinkat("x", yard.fd, "s"), ==, 0);
	expect(rota_readlinkat(yard.fd, "s", text, sizeof(text)), ==, 1);
	expect(metrics_of(place).blocking_threads, ==, 1);
	expect(unlinkat(yard.fd, "s", 0), ==, 0);
	yard_deinit(&yard);
}

UNIT_TEST(fs, what_no_ring_has_goes_to_the_pool)
{
	in_fibers(pool_script, 0);
}

/* As on a kernel whose rings know no opcode. */
static void old_kernel_script(const struct place *place)
{
	struct io_uring_params params = { .flags = 0 };
	struct rota_pooled_op op;
	struct io_uring ring;
	char path[256];
	int fd = plain_file(path);

	rota__sys_ring_hide((uint64_t)1 << ROTA__OP_FTRUNCATE);
	rota_op_ftruncate(&op, fd, 77);
	expect(place->carry(place, &op.future), ==, 0);
	rota__sys_ring_hide(0);
	expect(size_of(fd), ==, 77);
	close(fd);
	unlink(path);
	expect(rota__sys_ring_has(ROTA__OP_READLINKAT), ==, false);
	if (io_uring_queue_init_params(2, &ring, &params) == 0) {
		rota__sys_ring_probe(&ring);
		expect(rota__sys_ring_has(IORING_OP_READ), ==, true);
		io_uring_queue_exit(&ring);
	}
}

UNIT_TEST(fs, the_pool_truncates_where_rings_cannot)
{
	everyhow(old_kernel_script);
}

/* --- faults and cancels --------------------------------------------------------------------------------------------- */

static void fault_script(const struct place *place)
{
	char path[256], bytes[16];
	int fd = plain_file(path);

	(void)place;
	rota__fault_arm(ROTA__FAULT_OP, 1, -EIO);
	expect(rota_fsync(fd), ==, -EIO);
	expect(rota_fsync(fd), ==, 0);
	rota__fault_arm(ROTA__FAULT_OP, 1, 3);
	expect(rota_pwrite(fd, "0123456789", 10, 0), ==, 3);
	rota__fault_arm(ROTA__FAULT_OP, 2, 3);
	expect(rota_pwrite(fd, "0123456789", 10, 0), ==, 10);
	expect(rota_pread(fd, bytes, 10, 0), ==, 3);
	rota__fault_arm(ROTA__FAULT_OP, 1, -EIO);
	expect(rota_readlink(path, bytes, sizeof(bytes)), ==, -EIO);
	expect(rota_ftruncate(fd, 1), ==, 0);
	close(fd);
	unlink(path);
	rota__fault_arm(ROTA__FAULT_OP, 0, 0);
}

UNIT_TEST(fs, faults_reach_the_caller)
{
	everywhere(fault_script);
}

/* Cancelled before it began: nothing has happened. */
static void cancelled_script(const struct place *place)
{
	struct rota_pooled_op pooled;
	struct rota_op op;
	struct yard yard;
	char text[8];

	yard_init(&yard);
	yard_put(&yard, "a", "A");
	rota_op_unlinkat(&op, yard.fd, "a", 0);
	rota_future_cancel(&op.future);
	expect(carry_op(place, &op), ==, -ECANCELED);
	expect(yard_has(&yard, "a"), ==, true);
	rota_op_readlinkat(&pooled, yard.fd, "a", text, sizeof(text));
	rota_future_cancel(&pooled.future);
	expect(place->carry(place, &pooled.future), ==, -ECANCELED);
	expect(unlinkat(yard.fd, "a", 0), ==, 0);
	yard_deinit(&yard);
}

UNIT_TEST(fs, cancelled_before_they_begin)
{
	everyhow(cancelled_script);
}
