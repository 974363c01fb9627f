/* SPDX-License-Identifier: MIT */
/* Files below the root: found in spite of what a client may ask for, and sent. */
#define _GNU_SOURCE /* splice, statx */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>

/* Bytes that are read, and that are spliced, at a time. */
enum { PIECE = 16 * 1024, SPLICED = 64 * 1024 };

static const char *type_of(const char *name)
{
	static const char *const types[][2] = {
		{ ".html", "text/html" },     { ".txt", "text/plain" },    { ".css", "text/css" },
		{ ".js", "text/javascript" }, { ".svg", "image/svg+xml" }, { ".json", "application/json" },
		{ ".png", "image/png" },
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	}
	return "application/octet-stream";
}

/* A regular file below the root, whatever ".." or symbolic links say: its descriptor and its size. */
static int open_below(int root, const char *name, uint64_t *ret_size)
{
	const struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC, .resolve = RESOLVE_BENEATH };
	int rc, fd = root < 0 ? -ENOENT : rota_openat2(root, name, &how);
	struct statx st;

	if (fd < 0)
		return fd;
	rc = rota_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &st);
	if (rc == 0 && !S_ISREG(st.stx_mode))
		rc = -ENOENT;
	if (rc < 0) {
		rota_close(fd);
		return rc;
	}
	*ret_size = st.stx_size;
	return fd;
}

/* Its next `size` bytes, through the stream's buffer. */
static int copy_file(struct connection *c, int fd, uint64_t size)
{
	char piece[PIECE];
	int rc = 0;

	while (size > 0 && rc == 0) {
		struct rota_scope scope;
		ssize_t n = rota_read(fd, piece, size < PIECE ? size : PIECE);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO; /* shorter than it was: the client must not take this for all */
		size -= (size_t)n;
		rc = rota_scope_open(&scope, c->server->send_limit);
		if (rc < 0)
			return rc;
		if (rota_stream_write_all(&c->stream, piece, (size_t)n) != n)
			rc = -EIO;
		rota_scope_close(&scope);
	}
	return rc;
}

/* What is in the pipe, to the client. */
static int empty_pipe(struct connection *c, int pipe, size_t len, unsigned flags)
{
	struct rota_scope scope;
	ssize_t n = 1;
	int rc = rota_scope_open(&scope, c->server->send_limit);

	if (rc < 0)
		return rc;
	while (len > 0 && n > 0) {
		n = rota_splice(pipe, -1, c->fd, -1, len, flags);
		if (n > 0)
			len -= (size_t)n;
	}
	rota_scope_close(&scope);
	return n < 0 ? (int)n : len > 0 ? -EIO : 0;
}

/* From page cache to socket by way of a pipe: the program never sees the bytes. *left: how many are still to come. */
static int splice_file(struct connection *c, int fd, uint64_t *left)
{
	int ends[2], rc = rota_pipe(ends);

	if (rc < 0)
		return rc;
	while (*left > 0 && rc == 0) {
		ssize_t n = rota_splice(fd, -1, ends[1], -1, *left < SPLICED ? *left : SPLICED, 0);

		rc = n > 0 ? 0 : n < 0 ? (int)n : -EIO;
		if (rc == 0) {
			*left -= (uint64_t)n;
			rc = empty_pipe(c, ends[0], (size_t)n, *left > 0 ? SPLICE_F_MORE : 0);
		}
	}
	rota_close(ends[0]);
	rota_close(ends[1]);
	return rc;
}

/* A small file goes out in one packet with the head; a large one is not copied, where the file system can do that. */
static int send_file(struct connection *c, int fd, uint64_t size)
{
	uint64_t left = size;
	int rc = size > PIECE ? connection_flush(c) : 0;

	if (rc == 0 && size > PIECE)
		rc = splice_file(c, fd, &left);
	if (rc == -EINVAL && left == size)
		rc = 0;
	return rc == 0 ? copy_file(c, fd, left) : rc;
}

int get_file(struct connection *c, const char *name)
{
	uint64_t size;
	int rc, fd = open_below(c->server->root, name, &size);

	if (fd == -EACCES)
		return reply_status(c, HTTP_STATUS_FORBIDDEN, "");
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		return reply_status(c, HTTP_STATUS_SERVICE_UNAVAILABLE, "");
	if (fd == -ECANCELED)
		return fd;
	if (fd < 0)
		return reply_status(c, HTTP_STATUS_NOT_FOUND, "");
	rc = connection_flush(c); /* so that the head has room, and does not wait */
	if (rc == 0)
		rc = write_head(c, HTTP_STATUS_OK, type_of(name), "", size);
	if (rc == 0 && c->parser.method != HTTP_HEAD)
		rc = send_file(c, fd, size);
	rota_close(fd);
	return rc;
}
