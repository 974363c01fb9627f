/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing until all has moved, over what holds less than that: short ends, what breaks in the middle, and the
 * same as futures.
 */
#define _GNU_SOURCE
#include "../../io/fd.h"
#include "../../io/op.h"
#include "places.h"
#include "plain.h"

enum { LONG = 300000 }; /* more than a pipe holds */

static void write_in_pieces(void *arg)
{
	static unsigned char bytes[LONG];
	const int fd = *(int *)arg;

	for (size_t i = 0; i < LONG; i++)
		bytes[i] = (unsigned char)(i % 251);
	for (size_t at = 0, n = 1; at < LONG; at += n, n = n * 3 % 9001 + 1) {
		if (n > LONG - at)
			n = LONG - at;
		expect(write(fd, bytes + at, n), ==, n);
	}
	close(fd);
}

static void read_exact_script(const struct place *place)
{
	unsigned char *bytes = malloc(LONG);
	struct party party;
	int fds[2];

	(void)place;
	plain_pipe(fds);
	party_start(&party, write_in_pieces, &fds[1]);
	party_go(&party);
	expect(rota_read_exact(fds[0], bytes, 0), ==, 0);
	expect(rota_read_exact(fds[0], bytes, LONG - 10), ==, LONG - 10);
	for (size_t i = 0; i < LONG - 10; i++)
		expect(bytes[i], ==, i % 251);
	expect(rota_read_exact(fds[0], bytes, 100), ==, 10); /* a short end */
	expect(rota_read_exact(fds[0], bytes, 100), ==, 0);
	party_join(&party);
	close(fds[0]);
	free(bytes);
}

UNIT_TEST(fd, read_exact)
{
	everywhere(read_exact_script);
}

static void read_in_pieces(void *arg)
{
	unsigned char piece[7000];
	const int fd = *(int *)arg;
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		for (ssize_t i = 0; i < n; i++, at++)
			expect(piece[i], ==, at % 251);
	}
	expect(at, ==, LONG);
}

static void write_all_script(const struct place *place)
{
	unsigned char *bytes = malloc(LONG);
	struct party party;
	int fds[2];

	(void)place;
	for (size_t i = 0; i < LONG; i++)
		bytes[i] = (unsigned char)(i % 251);
	plain_pair(fds);
	party_start(&party, read_in_pieces, &fds[0]);
	party_go(&party);
	expect(rota_write_all(fds[1], bytes, 0), ==, 0);
	expect(rota_write_all(fds[1], bytes, LONG), ==, LONG);
	close(fds[1]);
	party_join(&party);
	close(fds[0]);
	free(bytes);
}

UNIT_TEST(fd, write_all)
{
	everywhere(write_all_script);
}

static void take_page_and_close(void *arg)
{
	char page[4096];
	const int fd = *(int *)arg;

	expect(read(fd, page, sizeof(page)), ==, sizeof(page));
	close(fd);
}

/* An error after some bytes: the count, and the error is met again. */
static void write_all_broken_script(const struct place *place)
{
	unsigned char *bytes = calloc(1, LONG);
	struct party party;
	ssize_t n;
	int fds[2];

	(void)place;
	plain_pipe(fds);
	party_start(&party, take_page_and_close, &fds[0]);
	party_go(&party);
	n = rota_write_all(fds[1], bytes, LONG);
	expect(n, >=, 4096);
	expect(n, <, LONG);
	expect(rota_write_all(fds[1], bytes, LONG), ==, -EPIPE);
	party_join(&party);
	close(fds[1]);
	free(bytes);
}

UNIT_TEST(fd, write_all_to_a_pipe_that_breaks)
{
	everywhere(write_all_broken_script);
}

static void write_xyz(void *arg)
{
	expect(write(*(int *)arg, "xyz", 3), ==, 3);
}

static void transfer_script(const struct place *place)
{
	struct rota_transfer_op in, out;
	struct party party;
	char buf[8] = "";
	int fds[2];

	plain_pipe(fds);
	rota_op_write_all(&out, fds[1], "abcde", 5);
	expect(place->carry(place, &out.future), ==, 0);
	expect(out.done, ==, 5);
	party_start(&party, write_xyz, &fds[1]);
	rota_op_read_exact(&in, fds[0], buf, 8);
	party_go(&party);
	expect(place->carry(place, &in.future), ==, 0);
	expect(in.done, ==, 8);
	plain_expect_bytes(buf, "abcdexyz", 8);
	party_join(&party);
	rota_op_read_exact(&in, fds[0], buf, 8);
	rota_future_cancel(&in.future);
	expect(place->carry(place, &in.future), ==, -ECANCELED);
	expect(in.done, ==, 0);
	expect(write(fds[1], "12", 2), ==, 2);
	close(fds[1]);
	rota_op_read_exact(&in, fds[0], buf, 8);
	expect(place->carry(place, &in.future), ==, 0);
	expect(in.done, ==, 2);
	close(fds[0]);
	rota_op_read_exact(&in, fds[0], buf, 8);
	expect(place->carry(place, &in.future), ==, -EBADF);
	expect(in.done, ==, 0);
}

UNIT_TEST(fd, transfers_as_futures)
{
	everyhow(transfer_script);
}
