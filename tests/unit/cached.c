/* SPDX-License-Identifier: MIT */
/*
 * Reads that the page cache answers are made in place: no operation goes to a ring for them. What is not in the cache, what
 * is large, and what is no regular file does go there. The results are the same either way, at the end of the file too.
 */
#define _GNU_SOURCE
#include "../../io/cached_internal.h"

#include <sys/uio.h>

#include "../../io/fd.h"
#include "../../io/fd_hint_internal.h"
#include "../../io/file.h"
#include "places.h"
#include "plain.h"

enum { PAGE = 4096, PAGES = 64, SIZE = PAGE * PAGES - 100 };

/* A file of known bytes, its pages in the cache. */
static int known_file(char *path)
{
	unsigned char *bytes = malloc(SIZE);
	int fd = plain_file(path);

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (unsigned char)(i % 251);
	expect(write(fd, bytes, SIZE), ==, SIZE);
	expect(lseek(fd, 0, SEEK_SET), ==, 0);
	expect(pread(fd, bytes, SIZE, 0), ==, SIZE);
	rota__fd_forget(fd); /* plain calls made it */
	free(bytes);
	return fd;
}

static void expect_known(const unsigned char *bytes, size_t len, size_t offset)
{
	for (size_t i = 0; i < len; i++)
		expect(bytes[i], ==, (offset + i) % 251);
}

/* Operations that went to the kernel by way of a ring. */
static uint64_t operations(const struct place *place)
{
	struct rota_metrics metrics;

	rota_runtime_metrics(place->rt, &metrics);
	return metrics.operations;
}

static bool has_nowait(int fd)
{
	char byte;
	const struct iovec iov = { &byte, 1 };

	return preadv2(fd, &iov, 1, 0, RWF_NOWAIT) == 1;
}

static void in_place_script(const struct place *place)
{
	unsigned char bytes[2 * PAGE];
	const struct iovec iov[2] = { { bytes, 100 }, { bytes + 100, 900 } };
	char path[256];
	int fd = known_file(path);
	uint64_t before = operations(place);

	if (has_nowait(fd)) {
		for (int i = 0; i < 20; i++) {
			size_t at = (size_t)(i * 7 % (PAGES - 4)) * PAGE + (size_t)i;

			expect(rota_pread(fd, bytes, sizeof(bytes), (off_t)at), ==, sizeof(bytes));
			expect_known(bytes, sizeof(bytes), at);
		}
		expect(rota_preadv(fd, iov, 2, 5000), ==, 1000);
		expect_known(bytes, 1000, 5000);
		expect(rota_read(fd, bytes, 100), ==, 100); /* at its own position, which moves on */
		expect(rota_read(fd, bytes, 100), ==, 100);
		expect_known(bytes, 100, 100);
		expect(rota_pread(fd, bytes, sizeof(bytes), SIZE - 10), ==, 10);
		expect_known(bytes, 10, SIZE - 10);
		expect(rota_pread(fd, bytes, sizeof(bytes), SIZE), ==, 0);
		expect(operations(place), ==, before);
	}
	close(fd);
	unlink(path);
}

UNIT_TEST(cached, reads_are_made_in_place)
{
	in_fibers(in_place_script, 0);
}

/* The same file in and out of the cache, by whatever way: the same bytes. */
static void results_script(const struct place *place)
{
	unsigned char *bytes = malloc(SIZE + PAGE);
	struct rota_op op;
	char path[256];
	int fd = known_file(path);

	for (int i = 0; i < 3; i++) {
		if (i > 0) {
			expect(fsync(fd), ==, 0);
			/* All of it, then the second half, leaves the cache. */
			posix_fadvise(fd, i == 1 ? 0 : SIZE / 2, 0, POSIX_FADV_DONTNEED);
		}
		rota_op_read(&op, fd, bytes, 60000, SIZE / 2 - 30000);
		expect(place->carry(place, &op.future), ==, 60000);
		expect_known(bytes, 60000, SIZE / 2 - 30000);
		rota_op_read(&op, fd, bytes, SIZE + PAGE, 0); /* large */
		expect(place->carry(place, &op.future), ==, SIZE);
		expect_known(bytes, SIZE, 0);
		posix_fadvise(fd, SIZE / 2, 0, POSIX_FADV_DONTNEED);
		expect(lseek(fd, SIZE / 2 - 20000, SEEK_SET), ==, SIZE / 2 - 20000);
		rota_op_read(&op, fd, bytes, 40000, -1);
		expect(place->carry(place, &op.future), ==, 40000);
		expect_known(bytes, 40000, SIZE / 2 - 20000);
		expect(lseek(fd, 0, SEEK_CUR), ==, SIZE / 2 + 20000);
		rota_op_read(&op, fd, bytes, 1000, SIZE - 400);
		expect(place->carry(place, &op.future), ==, 400);
		rota_op_read(&op, fd, bytes, 1000, SIZE);
		expect(place->carry(place, &op.future), ==, 0);
		rota_op_read(&op, fd, NULL, 1000, 0);
		expect(place->carry(place, &op.future), ==, -EFAULT);
	}
	close(fd);
	unlink(path);
	free(bytes);
}

UNIT_TEST(cached, results_are_the_same_in_and_out_of_the_cache)
{
	everyhow(results_script);
}

/* The part that was there is not lost when the rest fails. */
static void partial_script(const struct place *place)
{
	struct rota_op op = { .moved_ = 7 };

	(void)place;
	expect(rota__cached_result(&op, 3), ==, 10);
	expect(rota__cached_result(&op, 0), ==, 7);
	expect(rota__cached_result(&op, -EIO), ==, 7);
	expect(rota__cached_result(&op, -ECANCELED), ==, 7);
	op.moved_ = 0;
	expect(rota__cached_result(&op, -EIO), ==, -EIO);
	expect(rota__cached_result(&op, 5), ==, 5);
}

UNIT_TEST(cached, a_part_is_not_lost)
{
	partial_script(NULL);
}

/* What is not a regular file is not taken for one, whatever had its number before. */
static void others_script(const struct place *place)
{
	unsigned char bytes[100];
	char path[256];
	int fd = known_file(path), fds[2];

	expect(rota_pread(fd, bytes, 100, 0), ==, 100);
	expect(rota__fd_hinted(&rota__fd_cached, fd), ==, place->rt != NULL);
	plain_pipe(fds);
	expect(dup3(fds[0], fd, O_CLOEXEC), ==, fd); /* behind rota's back */
	expect(write(fds[1], "pipe", 4), ==, 4);
	expect(rota_read(fd, bytes, 100), ==, 4);
	plain_expect_bytes(bytes, "pipe", 4);
	expect(close(fds[1]), ==, 0);
	expect(rota_read(fd, bytes, 100), ==, 0);
	expect(rota_close(fd), ==, 0);
	expect(rota__fd_hinted(&rota__fd_cached, fd), ==, false);
	expect(rota__fd_hinted(&rota__fd_asked, fd), ==, false);
	expect(close(fds[0]), ==, 0);
	fd = rota_open(path, O_RDONLY | O_DIRECT, 0);
	if (fd >= 0) { /* else a file system without */
		void *page = aligned_alloc(PAGE, PAGE);

		expect(rota_pread(fd, page, PAGE, 0), ==, PAGE);
		expect_known(page, PAGE, 0);
		expect(rota__fd_hinted(&rota__fd_asked, fd), ==, place->rt != NULL);
		expect(rota__fd_hinted(&rota__fd_cached, fd), ==, false);
		free(page);
		expect(rota_close(fd), ==, 0);
	}
	unlink(path);
}

UNIT_TEST(cached, what_is_no_cached_file)
{
	everywhere(others_script);
}

/* Past the cache, at the descriptor's own position: each goes on where the last one has ended. */
static void direct_script(const struct place *place)
{
	unsigned char *bytes = aligned_alloc(PAGE, PAGE);
	struct iovec part = { bytes, PAGE };
	struct rota_op op;
	char path[256];
	int fd = known_file(path);

	close(fd);
	rota__fd_forget(fd);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	unlink(path);
	for (int i = 0; fd >= 0 && i < PAGES; i++) { /* else a file system without */
		const int expected = i < PAGES - 1 ? PAGE : SIZE % PAGE;

		if (i % 2 == 0)
			rota_op_read(&op, fd, bytes, PAGE, -1);
		else
			rota_op_readv(&op, fd, &part, 1, -1);
		expect(place->carry(place, &op.future), ==, expected);
		expect_known(bytes, (size_t)expected, (size_t)i * PAGE);
		expect(lseek(fd, 0, SEEK_CUR), ==, i * PAGE + expected);
	}
	expect(lseek(fd, 0, SEEK_SET), ==, fd >= 0 ? 0 : -1);
	for (int i = 0; fd >= 0 && i < PAGES; i++) {
		memset(bytes, i, PAGE);
		rota_op_write(&op, fd, bytes, PAGE, -1);
		expect(place->carry(place, &op.future), ==, PAGE);
		expect(lseek(fd, 0, SEEK_CUR), ==, (i + 1) * PAGE);
	}
	for (int i = 0; fd >= 0 && i < PAGES; i++) {
		expect(pread(fd, bytes, PAGE, (off_t)i * PAGE), ==, PAGE);
		plain_expect_filled(bytes, (unsigned char)i, PAGE);
	}
	if (fd >= 0)
		close(fd);
	free(bytes);
}

UNIT_TEST(cached, in_a_row_past_the_cache)
{
	everyhow(direct_script);
}

/* --- others get their turn -------------------------------------------------------------------------------------------- */

static int other_turns;

static int other(void *arg)
{
	while (*(volatile bool *)arg == false) {
		other_turns++;
		if (rota_yield() < 0)
			break;
	}
	return 0;
}

/* Reads as a future that is never told to wait, save when its turns are spent. */
struct endless {
	struct rota_future future;
	struct rota_op op;
	int fd, reads, waits;
	bool started;
	unsigned char bytes[100];
};

static rota_poll endless_poll(struct rota_future *self, struct rota_context *cx)
{
	struct endless *endless = (struct endless *)(void *)self;

	for (; endless->reads < 2000; endless->reads++) {
		if (!endless->started)
			rota_op_read(&endless->op, endless->fd, endless->bytes, 100, 0);
		endless->started = true;
		if (rota_future_poll(&endless->op.future, cx) == ROTA_PENDING) {
			endless->waits++;
			return ROTA_PENDING;
		}
		endless->started = false;
		expect(endless->op.future.status, ==, 100);
	}
	return ROTA_READY;
}

static void fair_script(const struct place *place)
{
	static const struct rota_future_ops ops = { .poll = endless_poll };
	bool done = false;
	struct endless endless = { .waits = 0 };
	unsigned char bytes[100];
	char path[256];
	rota_task *task;

	(void)place;
	endless.fd = known_file(path);
	if (has_nowait(endless.fd)) {
		other_turns = 0;
		expect(rota_spawn_local(&task, other, &done), ==, 0);
		for (int i = 0; i < 2000; i++)
			expect(rota_pread(endless.fd, bytes, 100, 0), ==, 100);
		expect(other_turns, >, 1);
		done = true;
		expect(rota_join(task, NULL), ==, 0);
		rota_future_init(&endless.future, &ops);
		expect(rota_await(&endless.future), ==, 0);
		expect(endless.waits, >, 1);
		expect(endless.waits, <, 1000);
	}
	close(endless.fd);
	unlink(path);
}

UNIT_TEST(cached, others_get_their_turn)
{
	in_fibers(fair_script, 0);
}

/* A number that nobody had when it was looked up is looked up again. */
UNIT_TEST(cached, a_number_that_was_nobodys_is_asked_again)
{
	enum { NUMBER = 61 }; /* below the least limit that the suite sets */
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	expect(master, >=, 0);
	expect(rota__fd_is(&rota__fd_devices, NUMBER), ==, false);
	expect(dup2(master, NUMBER), ==, NUMBER);
	expect(rota__fd_is(&rota__fd_devices, NUMBER), ==, true);
	rota__fd_forget(NUMBER);
	expect(close(NUMBER), ==, 0);
	expect(close(master), ==, 0);
}
