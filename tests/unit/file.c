/* SPDX-License-Identifier: MIT */
/*
 * Opening, syncing and asking for the status of files, from every place that a call may come from; what stands in the
 * way of opening; a cancelled open leaves no descriptor behind.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/resource.h>

#include "../../io/fd.h"
#include "../../io/file.h"
#include "places.h"
#include "plain.h"

static void file_script(const struct place *place)
{
	char directory[200], path[256], byte = 0;
	mode_t mask = umask(022);

	(void)place;
	plain_directory(directory);
	snprintf(path, sizeof(path), "%s/new", directory);
	int fd = rota_open(path, O_CREAT | O_EXCL | O_RDWR, 0666);
	expect(fd, >=, 0);
	expect(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	expect(write(fd, "abc", 3), ==, 3);
	expect(rota_fsync(fd), ==, 0);
	expect(rota_fdatasync(fd), ==, 0);
	expect(rota_close(fd), ==, 0);
	fd = rota_open(path, O_WRONLY | O_APPEND, 0);
	expect(rota_write(fd, "def", 3), ==, 3);
	expect(rota_read(fd, &byte, 1), ==, -EBADF); /* it is for writing */
	expect(rota_close(fd), ==, 0);
	fd = rota_open(path, O_RDONLY | O_NONBLOCK, 0);
	expect(rota_pread(fd, &byte, 1, 5), ==, 1);
	expect(byte, ==, 'f');
	expect(rota_write(fd, "x", 1), ==, -EBADF);
	expect(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
	expect(rota_close(fd), ==, 0);
	fd = rota_open(path, O_RDWR | O_TRUNC, 0);
	expect(rota_read(fd, &byte, 1), ==, 0);
	expect(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, 0);
	expect(rota_close(fd), ==, 0);
	unlink(path);
	rmdir(directory);
	umask(mask);
}

UNIT_TEST(file, open_and_sync)
{
	everywhere(file_script);
}

static void status_script(const struct place *place)
{
	char directory[200], path[256], link[256];
	struct statx status = { .stx_mode = 0 };

	(void)place;
	plain_directory(directory);
	snprintf(path, sizeof(path), "%s/file", directory);
	snprintf(link, sizeof(link), "%s/link", directory);
	int fd = rota_open(path, O_CREAT | O_WRONLY, 0640);
	expect(rota_write(fd, "abc", 3), ==, 3);
	expect(symlink("file", link), ==, 0);
	int dirfd = rota_open(directory, O_RDONLY | O_DIRECTORY, 0);
	expect(dirfd, >=, 0);
	expect(rota_statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &status), ==, 0);
	expect(status.stx_size, ==, 3);
	expect(status.stx_mode, ==, S_IFREG | 0640);
	expect(rota_statx(dirfd, "file", 0, STATX_SIZE, &status), ==, 0);
	expect(rota_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &status), ==, 0);
	expect(rota_statx(fd, NULL, AT_EMPTY_PATH, STATX_SIZE, &status), ==, 0);
	expect(rota_statx(dirfd, "link", 0, STATX_TYPE, &status), ==, 0);
	expect(status.stx_mode & S_IFMT, ==, S_IFREG);
	expect(rota_statx(dirfd, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &status), ==, 0);
	expect(status.stx_mode & S_IFMT, ==, S_IFLNK);
	status.stx_mode = 0;
	expect(rota_statx(dirfd, "none", 0, STATX_TYPE, &status), ==, -ENOENT);
	expect(rota_statx(fd, "file", 0, STATX_TYPE, &status), ==, -ENOTDIR);
	expect(rota_statx(dirfd, "file", 1 << 30, STATX_TYPE, &status), ==, -EINVAL);
	expect(rota_statx(dirfd, "file", 0, ~0u, &status), ==, -EINVAL);
	expect(status.stx_mode, ==, 0);
	expect(rota_close(fd), ==, 0);
	expect(rota_statx(plain_closed(), "file", 0, STATX_TYPE, &status), ==, -EBADF);
	expect(rota_close(dirfd), ==, 0);
	unlink(link);
	unlink(path);
	rmdir(directory);
}

UNIT_TEST(file, status)
{
	everywhere(status_script);
}

static void refused_script(const struct place *place)
{
	char path[256], below[300];
	char *endless = malloc(PATH_MAX + 2);
	int fds[2];

	(void)place;
	close(plain_file(path));
	snprintf(below, sizeof(below), "%s/below", path);
	memset(endless, 'x', PATH_MAX + 1);
	endless[PATH_MAX + 1] = '\0';
	expect(rota_open("/nonexistent/file", O_RDONLY, 0), ==, -ENOENT);
	expect(rota_open("", O_RDONLY, 0), ==, -ENOENT);
	expect(rota_open(path, O_CREAT | O_EXCL | O_RDWR, 0600), ==, -EEXIST);
	expect(rota_open(path, O_RDONLY | O_DIRECTORY, 0), ==, -ENOTDIR);
	expect(rota_open(below, O_RDONLY, 0), ==, -ENOTDIR);
	expect(rota_open("/", O_WRONLY, 0), ==, -EISDIR);
	expect(rota_open(endless, O_RDONLY, 0), ==, -ENAMETOOLONG);
	plain_pipe(fds);
	expect(rota_fsync(fds[0]), ==, -EINVAL);
	expect(rota_fdatasync(fds[0]), ==, -EINVAL);
	plain_close(fds);
	expect(rota_fsync(plain_closed()), ==, -EBADF);
	expect(rota_fdatasync(-1), ==, -EBADF);
	expect(rota_close(plain_closed()), ==, -EBADF);
	unlink(path);
	free(endless);
}

UNIT_TEST(file, refused)
{
	everywhere(refused_script);
}

/* No descriptors are left for a while. */
static void exhausted_script(const struct place *place)
{
	struct rlimit old, low;
	int fds[2];

	(void)place;
	expect(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
	plain_pipe(fds); /* the lowest that are free */
	low = (struct rlimit){ (rlim_t)fds[1] + 1, old.rlim_max };
	expect(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
	for (int i = 0; i < 3; i++)
		expect(rota_open("/dev/null", O_RDONLY, 0), ==, -EMFILE);
	expect(write(fds[1], "x", 1), ==, 1);
	char byte;
	expect(rota_read(fds[0], &byte, 1), ==, 1); /* the rest goes on */
	expect(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
	int fd = rota_open("/dev/null", O_RDONLY, 0);
	expect(fd, >=, 0);
	expect(rota_close(fd), ==, 0);
	plain_close(fds);
}

UNIT_TEST(file, no_descriptor_left)
{
	everywhere(exhausted_script);
}

/* --- a FIFO: opening waits ------------------------------------------------------------------------------------------- */

static void open_to_write(void *arg)
{
	int fd = open(arg, O_WRONLY | O_CLOEXEC);

	expect(fd, >=, 0);
	expect(write(fd, "xyz", 3), ==, 3);
	close(fd);
}

static void open_to_read(void *arg)
{
	char byte;
	int fd = open(arg, O_RDONLY | O_CLOEXEC);

	expect(fd, >=, 0);
	expect(read(fd, &byte, 1), ==, 1);
	close(fd);
}

/* As open(2): until the other side opens too. */
static void fifo_script(const struct place *place)
{
	char directory[200], path[256], buf[8];
	struct party party;

	(void)place;
	plain_directory(directory);
	snprintf(path, sizeof(path), "%s/fifo", directory);
	expect(mkfifo(path, 0600), ==, 0);
	party_start(&party, open_to_write, path);
	party_go(&party);
	int fd = rota_open(path, O_RDONLY, 0);
	expect(fd, >=, 0);
	expect(rota_read_exact(fd, buf, 3), ==, 3);
	expect(rota_close(fd), ==, 0);
	party_join(&party);
	party_start(&party, open_to_read, path);
	party_go(&party);
	fd = rota_open(path, O_WRONLY, 0);
	expect(fd, >=, 0);
	expect(rota_write(fd, "x", 1), ==, 1);
	expect(rota_close(fd), ==, 0);
	party_join(&party);
	expect(rota_open(path, O_WRONLY | O_NONBLOCK, 0), ==, -ENXIO);
	unlink(path);
	rmdir(directory);
}

UNIT_TEST(file, opening_a_fifo_waits_for_the_other_side)
{
	everywhere(fifo_script);
}

/* --- cancelling ------------------------------------------------------------------------------------------------------- */

static int open_one(void *arg)
{
	int fd = rota_open(arg, O_RDONLY, 0);

	if (fd >= 0)
		expect(rota_close(fd), ==, 0);
	return fd;
}

static void cancel_script(const struct place *place)
{
	const unsigned before = unit_own_descriptors();
	char path[256];
	int opened = 0, cancelled = 0;

	(void)place;
	close(plain_file(path));
	for (int i = 0; i < 200; i++) {
		rota_task *task;
		int status;

		expect(rota_spawn(&task, open_one, path), ==, 0);
		for (int n = i % 4; n > 0; n--)
			rota_yield();
		rota_cancel(task);
		expect(rota_join(task, &status), ==, 0);
		if (status < 0)
			expect(status, ==, -ECANCELED);
		opened += status >= 0;
		cancelled += status < 0;
	}
	expect(opened + cancelled, ==, 200);
	expect(unit_own_descriptors(), ==, before);
	unlink(path);
}

UNIT_TEST(file, a_cancelled_open_leaves_no_descriptor)
{
	in_fibers(cancel_script, 0);
	in_fibers(cancel_script, 1);
}
