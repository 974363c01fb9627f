/* SPDX-License-Identifier: MIT */
/* benchmarks/file_reads.c on libuv: uv_fs_read, which is a job of the thread pool each. The pool has a thread for each
 * read that is under way. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uv.h"

enum { BLOCK = 4096, MOST = 128 };

/* Reads one block after the other until the time is over. */
struct reader {
	uv_fs_t request;
	uv_buf_t buffer;
	uint64_t random;
};

static struct reader readers[MOST];
static uint64_t blocks, reads, stop_at;
static uv_file file;

static void start_read(uv_loop_t *loop, struct reader *reader);

static void on_read(uv_fs_t *request)
{
	struct reader *reader = request->data;
	uv_loop_t *loop = request->loop;

	check(request->result == BLOCK ? 0 : request->result < 0 ? (int)request->result : UV_EIO, "read");
	uv_fs_req_cleanup(request);
	reads++;
	if (uv_hrtime() < stop_at)
		start_read(loop, reader);
}

static void start_read(uv_loop_t *loop, struct reader *reader)
{
	const int64_t at = (int64_t)(next_random(&reader->random) % blocks * BLOCK);

	reader->request.data = reader;
	check(uv_fs_read(loop, &reader->request, file, &reader->buffer, 1, at, on_read), "read");
}

/* Nanoseconds for a read, so many under way. */
static double read_for(uv_loop_t *loop, unsigned depth, uint64_t ms)
{
	uint64_t start = uv_hrtime();

	reads = 0;
	stop_at = start + ms * 1000000;
	for (unsigned i = 0; i < depth; i++)
		start_read(loop, &readers[i]);
	uv_run(loop, UV_RUN_DEFAULT);
	return (double)(uv_hrtime() - start) / (double)reads;
}

static double timed(uv_loop_t *loop, unsigned depth)
{
	read_for(loop, depth, param("warmup-ms"));
	return read_for(loop, depth, param("round-ms"));
}

static int fill(char *path, size_t room)
{
	const char *directory = getenv("TMPDIR");
	int fd;

	snprintf(path, room, "%s/uv-file-reads-XXXXXX", directory ? directory : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	check(fd < 0 ? uv_translate_sys_error(errno) : 0, path);
	memset(readers[0].buffer.base, 7, BLOCK);
	for (uint64_t i = 0; i < blocks; i++)
		check(write(fd, readers[0].buffer.base, BLOCK) == BLOCK ? 0 : UV_EIO, "write");
	check(fsync(fd) < 0 ? uv_translate_sys_error(errno) : 0, "fsync");
	return fd;
}

void file_reads(void)
{
	static const unsigned depths[] = { 1, 32, MOST };
	char path[256], threads[8], *buffers = aligned_alloc(BLOCK, (size_t)BLOCK * MOST);
	uv_loop_t loop;
	int fd;

	check(buffers != NULL ? 0 : UV_ENOMEM, "memory");
	for (unsigned i = 0; i < MOST; i++)
		readers[i] = (struct reader){ .buffer = uv_buf_init(buffers + (size_t)i * BLOCK, BLOCK), .random = i };
	snprintf(threads, sizeof(threads), "%d", MOST);
	setenv("UV_THREADPOOL_SIZE", threads, 1);
	blocks = (param("megabytes") << 20) / BLOCK;
	check(uv_loop_init(&loop), "loop");
	file = fd = fill(path, sizeof(path));
	printf("cached %g ns\n", timed(&loop, 1));
	file = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	for (unsigned i = 0; file >= 0 && i < sizeof(depths) / sizeof(depths[0]); i++)
		printf("direct-%u %g reads/s\n", depths[i], 1e9 / timed(&loop, depths[i]));
	unlink(path);
	close(fd);
	if (file >= 0)
		close(file);
	uv_loop_close(&loop);
	free(buffers);
}
