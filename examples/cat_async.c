/* SPDX-License-Identifier: MIT */
/*
 * cat, with every system call through the ring: open, statx, read, write, close. No thread blocks in them.
 *
 *   cat_async [file]...     without a file: a temporary one, which it writes first
 *
 * The files go to standard output; what statx said and how much was copied goes to standard error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rota.h>

enum { BUFFER_BYTES = 32 * 1024, SAMPLE_LINES = 1000 };

/* After a count below len came an error, which the next write meets again. */
static int write_whole(int fd, const unsigned char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = rota_write_all(fd, bytes, len);

		if (n < 0)
			return (int)n;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy(int from, int to, uint64_t *ret_copied)
{
	unsigned char buffer[BUFFER_BYTES];
	uint64_t copied = 0;
	ssize_t n;

	while ((n = rota_read(from, buffer, sizeof(buffer))) > 0) {
		int rc = write_whole(to, buffer, (size_t)n);

		if (rc < 0)
			return rc;
		copied += (uint64_t)n;
	}
	*ret_copied = copied;
	return (int)n;
}

static int cat(const char *path)
{
	struct statx status;
	uint64_t copied = 0;
	int rc, closed, fd = rota_open(path, O_RDONLY, 0);

	if (fd < 0)
		return fd;
	rc = rota_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_MODE, &status);
	if (rc == 0)
		rc = copy(fd, STDOUT_FILENO, &copied);
	closed = rota_close(fd);
	if (rc == 0)
		rc = closed;
	if (rc == 0)
		fprintf(stderr, "%s: %" PRIu64 " bytes by statx, %" PRIu64 " copied\n", path, (uint64_t)status.stx_size,
			copied);
	return rc;
}

static int write_sample(int fd)
{
	char line[64];
	int rc = 0;

	for (int i = 0; i < SAMPLE_LINES && rc == 0; i++) {
		int len = snprintf(line, sizeof(line), "line %d of %d\n", i + 1, SAMPLE_LINES);

		rc = write_whole(fd, (const unsigned char *)line, (size_t)len);
	}
	return rc;
}

/* Writes a temporary file, prints it, and removes it. */
static int cat_sample(void)
{
	const char *directory = getenv("TMPDIR");
	char path[4096];
	int fd, rc, closed;

	rc = snprintf(path, sizeof(path), "%s/cat_async-%d", directory ? directory : "/tmp", (int)getpid());
	if (rc >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = rota_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	rc = write_sample(fd);
	closed = rota_close(fd);
	if (rc == 0)
		rc = closed < 0 ? closed : cat(path);
	if (unlink(path) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

static int async_main(int argc, char **argv)
{
	const char *path = "a sample";
	int rc = 0;

	if (argc == 1)
		rc = cat_sample();
	for (int i = 1; i < argc && rc == 0; i++)
		rc = cat(path = argv[i]);
	if (rc < 0)
		fprintf(stderr, "cat_async: %s: %s\n", path, strerror(-rc));
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv);
}
