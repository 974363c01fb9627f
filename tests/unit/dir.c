/* SPDX-License-Identifier: MIT */
/* Listing directories, small and large, from every place; what goes wrong; and copying ranges of files. */
#define _GNU_SOURCE
#include "../../io/dir.h"

#include "../../io/fd.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

enum { MANY = 1000 }; /* more than one batch of 32 KiB holds */

static void fill_yard(const char *path, int n)
{
	char name[300];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/file-with-a-long-name-%d", path, i);
		int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		expect(fd, >=, 0);
		close(fd);
	}
}

static void clear_yard(const char *path, int n)
{
	char name[300];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/file-with-a-long-name-%d", path, i);
		expect(unlink(name), ==, 0);
	}
	expect(rmdir(path), ==, 0);
}

static void small_script(const struct place *place)
{
	struct rota_dir_entry entry;
	struct rota_dir dir;
	char path[200];
	unsigned files = 0, directories = 0, links = 0;
	int rc;

	(void)place;
	plain_directory(path);
	int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect(mkdirat(dirfd, "d", 0700), ==, 0);
	expect(symlinkat("d", dirfd, "s"), ==, 0);
	close(openat(dirfd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	expect(rota_dir_open(&dir, AT_FDCWD, path), ==, 0);
	while ((rc = rota_dir_next(&dir, &entry)) > 0) {
		struct stat status;

		expect(fstatat(dir.fd, entry.name, &status, AT_SYMLINK_NOFOLLOW), ==, 0);
		expect(entry.inode, ==, status.st_ino);
		files += entry.type == DT_REG || (entry.type == DT_UNKNOWN && entry.name[0] == 'f');
		directories += entry.type == DT_DIR || (entry.type == DT_UNKNOWN && entry.name[0] == 'd');
		links += entry.type == DT_LNK || (entry.type == DT_UNKNOWN && entry.name[0] == 's');
	}
	expect(rc, ==, 0);
	expect(rota_dir_next(&dir, &entry), ==, 0);
	expect(rota_dir_close(&dir), ==, 0);
	expect(files, ==, 1);
	expect(directories, ==, 1);
	expect(links, ==, 1);
	expect(rota_dir_open(&dir, dirfd, "f"), ==, -ENOTDIR);
	expect(rota_dir_open(&dir, dirfd, "none"), ==, -ENOENT);
	expect(rota_dir_open(&dir, dirfd, "d"), ==, 0);
	expect(rota_dir_next(&dir, &entry), ==, 0);
	expect(rota_dir_close(&dir), ==, 0);
	unlinkat(dirfd, "f", 0);
	unlinkat(dirfd, "s", 0);
	unlinkat(dirfd, "d", AT_REMOVEDIR);
	close(dirfd);
	expect(rmdir(path), ==, 0);
}

UNIT_TEST(dir, entries_and_their_types)
{
	everywhere(small_script);
}

/* As readdir(3) has it. */
static void removed_script(const struct place *place)
{
	struct rota_dir_entry entry;
	struct rota_dir dir;
	char path[200];

	(void)place;
	plain_directory(path);
	expect(rota_dir_open(&dir, AT_FDCWD, path), ==, 0);
	expect(rmdir(path), ==, 0);
	expect(rota_dir_next(&dir, &entry), ==, 0);
	expect(rota_dir_close(&dir), ==, 0);
}

UNIT_TEST(dir, removed_meanwhile)
{
	everywhere(removed_script);
}

static char yard[200]; /* one for all places: to make a file takes the disk a millisecond where it is busy */

static void large_script(const struct place *place)
{
	static bool seen[MANY];
	struct rota_dir_entry entry;
	struct rota_dir_op op;
	struct rota_dir dir;
	int n = 0, rc, number;

	memset(seen, 0, sizeof(seen));
	expect(rota_dir_init(&dir, open(yard, O_RDONLY | O_DIRECTORY | O_CLOEXEC)), ==, 0);
	for (;; n++) {
		if (n % 100 == 0) { /* given up before it begins: nothing is skipped */
			rota_op_dir_next(&op, &dir, &entry);
			rota_future_cancel(&op.future);
			rc = place->carry(place, &op.future);
			if (rc == -ECANCELED)
				rc = 2;
		} else {
			rc = 2;
		}
		if (rc == 2) {
			rota_op_dir_next(&op, &dir, &entry);
			rc = place->carry(place, &op.future);
		}
		if (rc == 0)
			break;
		expect(rc, ==, 1);
		expect(sscanf(entry.name, "file-with-a-long-name-%d", &number), ==, 1);
		expect(seen[number], ==, false);
		seen[number] = true;
	}
	expect(n, ==, MANY);
	rota_dir_deinit(&dir);
	close(dir.fd);
}

UNIT_TEST(dir, many_entries)
{
	plain_directory(yard);
	fill_yard(yard, MANY);
	everyhow(large_script);
	clear_yard(yard, MANY);
}

static void fault_script(const struct place *place)
{
	struct rota_dir_entry entry;
	struct rota_dir dir;
	char path[200];

	(void)place;
	plain_directory(path);
	fill_yard(path, 1);
	expect(rota_dir_open(&dir, AT_FDCWD, path), ==, 0); /* what a thread's first wait allocates is there then */
	expect(rota_dir_close(&dir), ==, 0);
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect(rota_dir_open(&dir, AT_FDCWD, path), ==, -ENOMEM);
	rota__fault_arm(ROTA__FAULT_ALLOC, 0, 0);
	expect(rota_dir_open(&dir, AT_FDCWD, path), ==, 0);
	rota__fault_arm(ROTA__FAULT_OP, 1, -EIO);
	expect(rota_dir_next(&dir, &entry), ==, -EIO);
	expect(rota_dir_next(&dir, &entry), ==, 1);
	expect(rota_dir_next(&dir, &entry), ==, 0);
	rota__fault_arm(ROTA__FAULT_OP, 0, 0);
	expect(rota_dir_close(&dir), ==, 0);
	clear_yard(path, 1);
}

UNIT_TEST(dir, faults)
{
	place_run(&place_kinds[0], 0, fault_script, NULL);
	place_run(&place_kinds[1], 0, fault_script, NULL);
}

/* --- ranges of files ---------------------------------------------------------------------------------------------------- */

static void range_script(const struct place *place)
{
	char from_path[256], to_path[256], bytes[16];
	int from = plain_file(from_path), to = plain_file(to_path), fds[2];

	(void)place;
	expect(write(from, "0123456789", 10), ==, 10);
	expect(rota_copy_file_range(from, 2, to, 1, 5), ==, 5);
	expect(pread(to, bytes, sizeof(bytes), 0), ==, 6);
	plain_expect_bytes(bytes, "\00023456", 6);
	expect(lseek(from, 8, SEEK_SET), ==, 8);
	expect(rota_copy_file_range(from, -1, to, -1, 100), ==, 2);
	expect(lseek(from, 0, SEEK_CUR), ==, 10);
	expect(lseek(to, 0, SEEK_CUR), ==, 2);
	expect(rota_copy_file_range(from, -1, to, -1, 100), ==, 0);
	expect(rota_copy_file_range(from, -2, to, 0, 1), ==, -EINVAL);
	expect(rota_copy_file_range(plain_closed(), 0, to, 0, 1), ==, -EBADF);
	plain_pipe(fds);
	expect(rota_copy_file_range(from, 0, fds[1], -1, 1), ==, -EINVAL);
	plain_close(fds);
	close(from);
	close(to);
	unlink(from_path);
	unlink(to_path);
}

UNIT_TEST(dir, copy_file_range)
{
	everywhere(range_script);
}

/* Behind the end there is nothing; a range may not be copied onto itself; one call is made of so much at most. */
static void ends_script(const struct place *place)
{
	enum { MOST = 16 << 20 };
	char from_path[256], to_path[256];
	int from = plain_file(from_path), to = plain_file(to_path);

	(void)place;
	expect(ftruncate(from, MOST + 5), ==, 0);
	expect(rota_copy_file_range(from, MOST + 5, to, 0, 1), ==, 0);
	expect(rota_copy_file_range(from, MOST + 100, to, 0, 1), ==, 0);
	expect(rota_copy_file_range(from, MOST, to, 0, 100), ==, 5);
	expect(rota_copy_file_range(from, 0, from, 1, 10), ==, -EINVAL);
	expect(rota_copy_file_range(from, 0, to, 0, SIZE_MAX), >, 0);
	expect(rota_copy_file_range(from, 0, to, 0, MOST + 5), <=, MOST);
	close(from);
	close(to);
	unlink(from_path);
	unlink(to_path);
}

UNIT_TEST(dir, copy_file_range_ends)
{
	everywhere(ends_script);
}

static __attribute__((noinline)) ssize_t plain_copy(int from, int to)
{
	off_t from_at = 0, to_at = 0;
	ssize_t n = copy_file_range(from, &from_at, to, &to_at, 5, 0);

	return n < 0 ? -errno : n;
}

/* From one file system to another: as the kernel has it. */
static void across_script(const struct place *place)
{
	char path[256], bytes[5];
	int from = plain_file(path), to = memfd_create("to", MFD_CLOEXEC), other = memfd_create("other", MFD_CLOEXEC);

	(void)place;
	expect(write(from, "bytes", 5), ==, 5);
	const ssize_t n = rota_copy_file_range(from, 0, to, 0, 5);
	expect(n, ==, plain_copy(from, other));
	if (n == 5) {
		expect(pread(to, bytes, 5, 0), ==, 5);
		plain_expect_bytes(bytes, "bytes", 5);
	}
	close(from);
	close(to);
	close(other);
	unlink(path);
}

UNIT_TEST(dir, copy_file_range_between_file_systems)
{
	everywhere(across_script);
}
