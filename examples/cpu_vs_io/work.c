/* SPDX-License-Identifier: MIT */
/*
 * What a piece does: computing, requests to a slow server, or small files. The same functions whoever runs them, since a
 * call of rota suspends a task and blocks a plain thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cpu_vs_io.h"

/* --- computing -------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) uint64_t fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int work_compute(void *arg)
{
	const struct piece *piece = arg;
	unsigned n = piece->job->size->fib_n;
	uint64_t a = 0, b = 1;

	for (unsigned i = 0; i < n; i++) {
		uint64_t next = a + b;

		a = b;
		b = next;
	}
	return fib(n) == a ? 0 : -EBADMSG;
}

/* --- bytes ------------------------------------------------------------------------------------------------------ */

int write_whole(int fd, const unsigned char *bytes, size_t len)
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

int read_whole(int fd, unsigned char *bytes, size_t len)
{
	ssize_t n = rota_read_exact(fd, bytes, len);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EPIPE;
}

/* Bytes that depend on the piece, on a number within it, and on the process: what an earlier run has left in the
 * files is not what this one reads back. */
static void fill(unsigned char *bytes, size_t len, size_t piece, unsigned number)
{
	size_t seed = piece * 31 + number * 7 + (size_t)getpid();

	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i + seed);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static int exchange(int fd, size_t piece, unsigned number)
{
	unsigned char question[REQUEST_BYTES], answer[REQUEST_BYTES];
	int rc;

	fill(question, sizeof(question), piece, number);
	rc = write_whole(fd, question, sizeof(question));
	if (rc == 0)
		rc = read_whole(fd, answer, sizeof(answer));
	if (rc == 0 && memcmp(question, answer, sizeof(question)) != 0)
		rc = -EBADMSG;
	return rc;
}

int work_request(void *arg)
{
	const struct piece *piece = arg;
	int rc = 0, fd = rota_tcp_connect("127.0.0.1", piece->job->port);

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < piece->job->size->requests && rc == 0; i++)
		rc = exchange(fd, piece->number, i);
	rota_close(fd);
	return rc;
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static int write_file(const char *path, const unsigned char *bytes, size_t len)
{
	int rc, closed, fd = rota_open(path, O_WRONLY | O_CREAT, 0600);

	if (fd < 0)
		return fd;
	rc = write_whole(fd, bytes, len);
	closed = rota_close(fd);
	return rc < 0 ? rc : closed;
}

static int read_file(const char *path, unsigned char *bytes, size_t len)
{
	int rc, fd = rota_open(path, O_RDONLY, 0);

	if (fd < 0)
		return fd;
	rc = read_whole(fd, bytes, len);
	rota_close(fd);
	return rc;
}

void file_path(const struct job *job, size_t piece, unsigned number, char path[PATH_BYTES + 32])
{
	snprintf(path, PATH_BYTES + 32, "%s/%zu-%u", job->directory, piece, number);
}

static int one_file(const struct piece *piece, unsigned number, unsigned pass)
{
	unsigned char written[FILE_BYTES], read[FILE_BYTES];
	char path[PATH_BYTES + 32];
	int rc;

	file_path(piece->job, piece->number, number, path);
	fill(written, sizeof(written), piece->number, number + pass);
	rc = write_file(path, written, sizeof(written));
	if (rc == 0)
		rc = read_file(path, read, sizeof(read));
	if (rc == 0 && memcmp(written, read, sizeof(written)) != 0)
		rc = -EBADMSG;
	return rc;
}

int work_files(void *arg)
{
	const struct piece *piece = arg;
	const struct size *size = piece->job->size;
	int rc = 0;

	for (unsigned pass = 0; pass < size->passes; pass++)
		for (unsigned i = 0; i < size->files && rc == 0; i++)
			rc = one_file(piece, i, pass);
	return rc;
}
