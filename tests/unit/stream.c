/* SPDX-License-Identifier: MIT */
/*
 * Streams, from every place: lines and other records however the bytes arrive; limits; what is kept when something does
 * not fit, fails or is cancelled; writing through the buffer and past it; half-close; sources of the caller's.
 */
#define _GNU_SOURCE
#include "../../io/stream.h"

#include "../../io/duplex.h"
#include "../../io/fd.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

/* --- a source that plays a script --------------------------------------------------------------------------------- */

/* Reads give the pieces one after another, each in as many turns as the reader's room asks for; then an error, or the end.
 * Writes take at most `takes` bytes at a time, and fail when `room` is used up. */
struct player {
	const char *const *pieces;
	const size_t *lengths; /* NULL: the pieces are strings */
	size_t at;
	int last;
	size_t takes, room;
	char written[4096];
	size_t count;
	unsigned closes, shutdowns;
};

static rota_poll player_read(void *source, struct rota_context *cx, void *buf, size_t len, ssize_t *ret)
{
	struct player *p = source;
	const char *piece = p->pieces != NULL ? *p->pieces : NULL;
	size_t n;

	(void)cx;
	expect(len, >, 0);
	if (piece == NULL) {
		*ret = p->last;
		return ROTA_READY;
	}
	n = (p->lengths != NULL ? *p->lengths : strlen(piece)) - p->at;
	if (n > len)
		n = len;
	memcpy(buf, piece + p->at, n);
	p->at += n;
	if (p->at == (p->lengths != NULL ? *p->lengths : strlen(piece))) {
		p->pieces++;
		p->lengths += p->lengths != NULL;
		p->at = 0;
	}
	*ret = (ssize_t)n;
	return ROTA_READY;
}

static rota_poll player_write(void *source, struct rota_context *cx, const void *buf, size_t len, ssize_t *ret)
{
	struct player *p = source;
	size_t n = len < p->takes ? len : p->takes;

	(void)cx;
	if (n > p->room)
		n = p->room;
	if (n == 0) {
		*ret = -ENOSPC;
		return ROTA_READY;
	}
	memcpy(p->written + p->count, buf, n);
	p->count += n;
	p->room -= n;
	*ret = (ssize_t)n;
	return ROTA_READY;
}

static rota_poll player_shutdown(void *source, struct rota_context *cx, int *ret)
{
	(void)cx;
	((struct player *)source)->shutdowns++;
	*ret = 0;
	return ROTA_READY;
}

static rota_poll player_close(void *source, struct rota_context *cx, int *ret)
{
	(void)cx;
	((struct player *)source)->closes++;
	*ret = 0;
	return ROTA_READY;
}

static const struct rota_stream_ops player_ops = {
	.read = player_read,
	.write = player_write,
	.shutdown = player_shutdown,
	.close = player_close,
};

/* With small buffers, so that everything spans them. */
static void play(struct rota_stream *s, struct player *p, const char *const *pieces, size_t in_size, size_t out_size)
{
	const struct rota_stream_buffers buffers = { .in_size = in_size, .out_size = out_size };

	*p = (struct player){ .pieces = pieces, .takes = SIZE_MAX, .room = sizeof(p->written) };
	expect(rota_stream_init(s, &player_ops, p, &buffers), ==, 0);
}

/* --- lines ---------------------------------------------------------------------------------------------------------- */

static void expect_line(struct rota_stream *s, const char *text)
{
	char line[64];
	size_t len = 1234;

	expect(rota_stream_read_line(s, line, sizeof(line), &len), ==, 1);
	expect_text(line, text);
	expect(len, ==, strlen(text));
}

static void expect_no_line(struct rota_stream *s)
{
	char line[64] = "untouched";
	size_t len = 1234;

	expect(rota_stream_read_line(s, line, sizeof(line), &len), ==, 0);
	expect_text(line, "untouched");
	expect(len, ==, 1234);
}

static void lines_script(const struct place *place)
{
	static const char *const pieces[] = { "one\ntw", "o\r", "\n", "\n\r\nth\rree\r\r\nfo", "ur", NULL };
	struct rota_stream s;
	struct player p;

	(void)place;
	for (size_t size = 9; size < 40; size++) {
		play(&s, &p, pieces, size, 0);
		expect_line(&s, "one");
		expect_line(&s, "two");
		expect_line(&s, "");
		expect_line(&s, "");
		expect_line(&s, "th\rree\r");
		expect_line(&s, "four"); /* without an end */
		expect_no_line(&s);
		expect_no_line(&s);
		expect(rota_stream_close(&s), ==, 0);
		expect(p.closes, ==, 1);
	}
}

UNIT_TEST(stream, lines)
{
	everywhere(lines_script);
}

static void nul_script(const struct place *place)
{
	static const char *const pieces[] = { "a\0b\n\0", "\0\nlast\r", NULL };
	static const size_t lengths[] = { 5, 7, 0 };
	struct rota_stream s;
	struct player p;
	char line[16];
	size_t len;

	(void)place;
	play(&s, &p, pieces, 0, 0);
	p.lengths = lengths;
	expect(rota_stream_read_line(&s, line, sizeof(line), &len), ==, 1);
	expect(len, ==, 3);
	plain_expect_bytes(line, "a\0b", 4);
	expect(rota_stream_read_line(&s, line, sizeof(line), &len), ==, 1);
	expect(len, ==, 2);
	plain_expect_bytes(line, "\0\0", 3);
	expect(rota_stream_read_line(&s, line, sizeof(line), NULL), ==, 1);
	expect_text(line, "last\r"); /* no line's end: it is text */
	rota_stream_deinit(&s);
	rota_stream_deinit(&s);
}

UNIT_TEST(stream, lines_with_nuls)
{
	everywhere(nul_script);
}

/* What does not fit stays, however often it is asked for. */
static void limit_script(const struct place *place)
{
	static const char *const pieces[] = { "12345\r\n123456\nshort\n", "this one is longer than the buffer\nx",
					      NULL };
	struct rota_stream s;
	struct player p;
	char line[64];
	size_t len;

	(void)place;
	play(&s, &p, pieces, 16, 0);
	expect(rota_stream_read_line(&s, line, 6, &len), ==, 1);
	expect_text(line, "12345");
	for (int i = 0; i < 3; i++)
		expect(rota_stream_read_line(&s, line, 6, &len), ==, -EMSGSIZE);
	expect(rota_stream_read_line(&s, line, 7, &len), ==, 1);
	expect_text(line, "123456");
	expect_line(&s, "short");
	for (int i = 0; i < 3; i++)
		expect(rota_stream_read_line(&s, line, sizeof(line), &len), ==, -EMSGSIZE);
	expect(rota_stream_read_exact(&s, line, 25), ==, 25);
	plain_expect_bytes(line, "this one is longer than t", 25);
	expect_line(&s, "he buffer");
	expect(rota_stream_read_line(&s, line, 1, &len), ==, -EMSGSIZE);
	expect(rota_stream_read_line(&s, line, 0, &len), ==, -EINVAL);
	expect(rota_stream_read_line(&s, line, 2, &len), ==, 1);
	expect_no_line(&s);
	rota_stream_deinit(&s);
}

UNIT_TEST(stream, limits_of_lines)
{
	everywhere(limit_script);
}

/* A carriage return in front of the end of all is text, and needs a place. */
static void last_return_script(const struct place *place)
{
	static const char *const pieces[] = { "abc\r", NULL };
	struct rota_stream s;
	struct player p;
	char line[6] = "......";
	size_t len = 1234;

	(void)place;
	play(&s, &p, pieces, 16, 0);
	for (int i = 0; i < 3; i++)
		expect(rota_stream_read_line(&s, line, 4, &len), ==, -EMSGSIZE);
	plain_expect_filled(line, '.', sizeof(line));
	expect(len, ==, 1234);
	expect(rota_stream_read_line(&s, line, 5, &len), ==, 1);
	expect(len, ==, 4);
	plain_expect_bytes(line, "abc\r\0.", 6);
	expect_no_line(&s);
	rota_stream_deinit(&s);
}

UNIT_TEST(stream, a_return_at_the_end_of_all)
{
	everywhere(last_return_script);
}

/* A line without end is an error, not memory. */
static void endless_script(const struct place *place)
{
	static const char piece[] = "endless ";
	const char *pieces[1000];
	struct rota_stream s;
	struct player p;
	char line[512];

	(void)place;
	for (int i = 0; i < 999; i++)
		pieces[i] = piece;
	pieces[999] = NULL;
	play(&s, &p, pieces, 256, 0);
	expect(rota_stream_read_line(&s, line, sizeof(line), NULL), ==, -EMSGSIZE);
	size_t len;
	const char *bytes = rota_stream_peek(&s, &len);
	expect(len, ==, 256);
	plain_expect_bytes(bytes, piece, 8);
	rota_stream_consume(&s, 1000); /* no more than there is */
	rota_stream_peek(&s, &len);
	expect(len, ==, 0);
	rota_stream_deinit(&s);
}

UNIT_TEST(stream, a_line_without_end)
{
	everywhere(endless_script);
}

/* --- other ways of reading -------------------------------------------------------------------------------------------- */

static void until_script(const struct place *place)
{
	static const char *const pieces[] = { "head\r\n", "more\r", "\n\r", "\nbody::a:", ":b", NULL };
	struct rota_stream s;
	struct player p;
	char buf[64];
	size_t len;

	(void)place;
	for (size_t size = 16; size < 32; size++) {
		play(&s, &p, pieces, size, 0);
		expect(rota_stream_read_until(&s, "\r\n\r\n", 4, buf, sizeof(buf), &len), ==, 1);
		expect(len, ==, 14);
		plain_expect_bytes(buf, "head\r\nmore\r\n\r\n", 14);
		expect(rota_stream_read_until(&s, "::", 2, buf, 5, &len), ==, -EMSGSIZE);
		expect(rota_stream_read_until(&s, "::", 2, buf, 6, &len), ==, 1);
		plain_expect_bytes(buf, "body::", 6);
		expect(rota_stream_read_until(&s, "::", 2, buf, sizeof(buf), &len), ==, 1);
		expect(len, ==, 3);
		expect(rota_stream_read_until(&s, "::", 2, buf, sizeof(buf), &len), ==, 1);
		expect(len, ==, 1);
		expect(buf[0], ==, 'b');
		expect(rota_stream_read_until(&s, "::", 2, buf, sizeof(buf), &len), ==, 0);
		expect(rota_stream_read_until(&s, "", 0, buf, sizeof(buf), &len), ==, -EINVAL);
		rota_stream_deinit(&s);
	}
}

UNIT_TEST(stream, until_a_delimiter)
{
	everywhere(until_script);
}

/* What has no delimiter is an error, not memory: nothing of it is taken, however large the caller's buffer is. */
static void until_endless_script(const struct place *place)
{
	static const char *const pieces[] = { "one;", "endless ", "endless ", "endless ", "endless ", ";", NULL };
	struct rota_stream_op op;
	struct rota_stream s;
	struct player p;
	char buf[64] = "untouched";
	size_t len = 1234;

	play(&s, &p, pieces, 16, 0);
	expect(rota_stream_read_until(&s, ";", 1, buf, sizeof(buf), &len), ==, 1);
	expect(len, ==, 4);
	for (int i = 0; i < 3; i++) {
		expect(rota_stream_read_until(&s, ";", 1, buf, sizeof(buf), &len), ==, -EMSGSIZE);
		rota_op_stream_read_until(&op, &s, ";", 1, buf, sizeof(buf));
		expect(place->carry(place, &op.future), ==, -EMSGSIZE);
		expect(op.done, ==, 0);
	}
	expect(len, ==, 4);
	plain_expect_bytes(buf, "one;uched", 9);
	expect(rota_stream_read_exact(&s, buf, 20), ==, 20);
	plain_expect_bytes(buf, "endless endless endl", 20);
	expect(rota_stream_read_until(&s, ";", 1, buf, sizeof(buf), &len), ==, 1);
	plain_expect_bytes(buf, "ess endless ;", 13);
	expect(len, ==, 13);
	rota_stream_deinit(&s);
}

UNIT_TEST(stream, until_a_delimiter_that_does_not_come)
{
	everywhere(until_endless_script);
}

static void read_script(const struct place *place)
{
	static const char *const pieces[] = { "0123456789", "abcdefghij", "ABCDEFGHIJ", NULL };
	struct rota_stream s;
	struct player p;
	char buf[64];
	size_t len;

	(void)place;
	play(&s, &p, pieces, 8, 0);
	expect(rota_stream_fill(&s, 0), ==, 0);
	expect(rota_stream_fill(&s, 1), ==, 8);
	expect(rota_stream_fill(&s, 9), ==, -EMSGSIZE);
	rota_stream_consume(&s, 3);
	expect(rota_stream_fill(&s, 8), ==, 8);
	plain_expect_bytes(rota_stream_peek(&s, &len), "3456789a", 8);
	expect(rota_stream_read(&s, buf, 0), ==, 0);
	expect(rota_stream_read(&s, buf, 5), ==, 5);
	expect(rota_stream_read(&s, buf, sizeof(buf)), ==, 3); /* what is there */
	plain_expect_bytes(buf, "89a", 3);
	expect(rota_stream_read(&s, buf, sizeof(buf)), ==, 9); /* directly, past the buffer */
	expect(rota_stream_read_exact(&s, buf, 4), ==, 4);
	plain_expect_bytes(buf, "ABCD", 4);
	expect(rota_stream_read_exact(&s, buf, 60), ==, 6);
	plain_expect_bytes(buf, "EFGHIJ", 6);
	expect(rota_stream_read_exact(&s, buf, 1), ==, 0);
	expect(rota_stream_read(&s, buf, 1), ==, 0);
	expect(rota_stream_fill(&s, 1), ==, 0);
	rota_stream_deinit(&s);
}

UNIT_TEST(stream, read_fill_and_peek)
{
	everywhere(read_script);
}

static void to_end_script(const struct place *place)
{
	static const char *const pieces[] = { "0123456789", "abcdefghij", "ABCDEFGHIJ", NULL };
	struct rota_stream s;
	struct player p;
	char buf[64];

	(void)place;
	for (size_t room = 0; room < 40; room++) {
		size_t len = room, rest = sizeof(buf);

		play(&s, &p, pieces, 8, 0);
		expect(rota_stream_read_to_end(&s, buf, &len), ==, room < 30 ? -EMSGSIZE : 0);
		expect(len, ==, room < 30 ? room : 30);
		rest -= len;
		expect(rota_stream_read_to_end(&s, buf + len, &rest), ==, 0);
		expect(len + rest, ==, 30);
		plain_expect_bytes(buf, "0123456789abcdefghijABCDEFGHIJ", 30);
		rota_stream_deinit(&s);
	}
}

UNIT_TEST(stream, to_the_end_with_a_limit)
{
	everywhere(to_end_script);
}

/* An error that came behind some bytes is met by the read after them. */
static void error_script(const struct place *place)
{
	static const char *const pieces[] = { "abc", "defg", NULL };
	struct rota_stream s;
	struct player p;
	char buf[16];
	size_t len = sizeof(buf);

	(void)place;
	play(&s, &p, pieces, 16, 0);
	p.last = -ECONNRESET;
	expect(rota_stream_read_exact(&s, buf, 16), ==, 7);
	p.last = 0; /* as sockets do, which tell an error once */
	expect(rota_stream_read(&s, buf, 16), ==, -ECONNRESET);
	expect(rota_stream_read(&s, buf, 16), ==, 0);
	rota_stream_deinit(&s);
	play(&s, &p, pieces, 16, 0);
	p.last = -EIO;
	expect(rota_stream_read_line(&s, buf, sizeof(buf), NULL), ==, -EIO);
	expect(rota_stream_read_to_end(&s, buf, &len), ==, -EIO); /* what came before is not lost */
	expect(len, ==, 7);
	plain_expect_bytes(buf, "abcdefg", 7);
	expect(rota_stream_fill(&s, 1), ==, -EIO);
	rota_stream_deinit(&s);
}

UNIT_TEST(stream, errors_of_the_source)
{
	everywhere(error_script);
}

/* --- writing ------------------------------------------------------------------------------------------------------------ */

static void write_script(const struct place *place)
{
	struct rota_stream s;
	struct player p;

	(void)place;
	for (size_t takes = 1; takes < 12; takes++) {
		play(&s, &p, NULL, 0, 8);
		p.takes = takes;
		expect(rota_stream_write_all(&s, "abc", 3), ==, 3);
		expect(p.count, ==, 0);
		expect(rota_stream_unwritten(&s), ==, 3);
		expect(rota_stream_write_all(&s, "defghij", 7), ==, 7);
		expect(rota_stream_write_all(&s, "0123456789ABCDEF", 16), ==, 16);
		expect(rota_stream_write_all(&s, "", 0), ==, 0);
		expect(rota_stream_printf(&s, "<%d>", 42), ==, 4);
		expect(rota_stream_flush(&s), ==, 0);
		expect(rota_stream_flush(&s), ==, 0);
		expect(p.count, ==, 30);
		expect(rota_stream_written(&s), ==, 30);
		plain_expect_bytes(p.written, "abcdefghij0123456789ABCDEF<42>", 30);
		expect(rota_stream_shutdown(&s), ==, 0);
		expect(p.shutdowns, ==, 1);
		expect(rota_stream_write_all(&s, "end", 3), ==, 3);
		expect(rota_stream_close(&s), ==, 0); /* flushes */
		expect(p.count, ==, 33);
		expect(p.closes, ==, 1);
	}
}

UNIT_TEST(stream, write_and_flush)
{
	everywhere(write_script);
}

static void printf_script(const struct place *place)
{
	struct rota_stream s;
	struct player p;

	(void)place;
	play(&s, &p, NULL, 0, 16);
	expect(rota_stream_printf(&s, "%s", "0123456789abcdef"), ==, -EMSGSIZE);
	expect(rota_stream_unwritten(&s), ==, 0);
	expect(rota_stream_printf(&s, "%s", "0123456789abcde"), ==, 15);
	expect(rota_stream_printf(&s, "%s", ""), ==, 0);
	expect(rota_stream_printf(&s, "%c", 'f'), ==, 1); /* writes out first */
	expect(p.count, >, 0);
	expect(rota_stream_reserve(&s, 17), ==, -EMSGSIZE);
	expect(rota_stream_reserve(&s, 16), ==, 0);
	expect(rota_stream_unwritten(&s), ==, 0);
	plain_expect_bytes(p.written, "0123456789abcdef", 16);
	rota_stream_deinit(&s);
}

UNIT_TEST(stream, printf_is_all_or_nothing)
{
	everywhere(printf_script);
}

/* What could not be written is kept, and how far it went is known. */
static void full_script(const struct place *place)
{
	struct rota_stream s;
	struct player p;

	(void)place;
	play(&s, &p, NULL, 0, 8);
	p.takes = 3;
	p.room = 10;
	expect(rota_stream_write_all(&s, "0123456789abcdefghij", 20), ==, 10); /* directly */
	expect(rota_stream_write_all(&s, "abcdefghij", 10), ==, -ENOSPC);
	expect(rota_stream_write_all(&s, "abcdef", 6), ==, 6); /* into the buffer */
	expect(rota_stream_write_all(&s, "ghij", 4), ==, 2);
	expect(rota_stream_flush(&s), ==, -ENOSPC);
	expect(rota_stream_unwritten(&s), ==, 8);
	expect(rota_stream_written(&s), ==, 10);
	expect(rota_stream_printf(&s, "x"), ==, -ENOSPC);
	expect(rota_stream_shutdown(&s), ==, -ENOSPC);
	p.room = 100; /* somebody has made room */
	expect(rota_stream_write_all(&s, "ij", 2), ==, 2);
	expect(rota_stream_flush(&s), ==, 0);
	plain_expect_bytes(p.written, "0123456789abcdefghij", 20);
	p.room = 0;
	expect(rota_stream_write_all(&s, "lost", 4), ==, 4);
	expect(rota_stream_close(&s), ==, -ENOSPC); /* closed all the same */
	expect(p.closes, ==, 1);
}

UNIT_TEST(stream, no_room_behind)
{
	everywhere(full_script);
}

/* A source that counts more than it was given, or takes nothing, is found out. */
static rota_poll liar(void *source, struct rota_context *cx, void *buf, size_t len, ssize_t *ret)
{
	(void)source, (void)cx, (void)buf;
	*ret = (ssize_t)len + 1;
	return ROTA_READY;
}

static rota_poll refuser(void *source, struct rota_context *cx, const void *buf, size_t len, ssize_t *ret)
{
	(void)source, (void)cx, (void)buf, (void)len;
	*ret = 0;
	return ROTA_READY;
}

static void liar_script(const struct place *place)
{
	static const struct rota_stream_ops ops = { .read = liar, .write = refuser };
	static const struct rota_stream_ops none = { .read = liar };
	char in[4], out[4];
	const struct rota_stream_buffers buffers = { in, sizeof(in), out, sizeof(out) };
	const struct rota_stream_buffers bad = { in, 0, out, 4 };
	struct rota_stream s;

	(void)place;
	expect(rota_stream_init(&s, NULL, NULL, NULL), ==, -EINVAL);
	expect(rota_stream_init(&s, &none, NULL, NULL), ==, -EINVAL);
	expect(rota_stream_init(&s, &ops, NULL, &bad), ==, -EINVAL);
	expect(rota_stream_init(&s, &ops, NULL, &buffers), ==, 0);
	expect(rota_stream_fill(&s, 1), ==, -EIO);
	expect(rota_stream_write_all(&s, "0123", 4), ==, -EIO);
	expect(rota_stream_write_all(&s, "012", 3), ==, 3);
	expect(rota_stream_shutdown(&s), ==, -EIO);
	expect(rota_stream_close(&s), ==, -EIO);
}

UNIT_TEST(stream, sources_that_cannot_count)
{
	everywhere(liar_script);
}

static void memory_script(const struct place *place)
{
	struct rota_stream s;

	unit_no_more_spares(place->rt);
	for (unsigned nth = 1; nth <= 2; nth++) {
		rota__fault_arm(ROTA__FAULT_ALLOC, nth, -ENOMEM);
		expect(rota_stream_init_fd(&s, 0, NULL), ==, -ENOMEM);
	}
	rota__fault_arm(ROTA__FAULT_ALLOC, 0, 0);
}

UNIT_TEST(stream, no_memory)
{
	everywhere(memory_script);
}

/* --- descriptors ---------------------------------------------------------------------------------------------------------- */

static void answer(void *arg)
{
	int fd = *(int *)arg;
	char buf[64];
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, buf + at, sizeof(buf) - at)) > 0) /* until the half-close */
		at += (size_t)n;
	expect(at, ==, 15);
	for (size_t i = 0; i < at; i++)
		expect(write(fd, buf + i, 1), ==, 1);
	close(fd);
}

static void socket_script(const struct place *place)
{
	struct rota_stream s;
	struct party party;
	int fds[2];

	(void)place;
	plain_pair(fds);
	party_start(&party, answer, &fds[1]);
	expect(rota_stream_init_fd(&s, fds[0], NULL), ==, 0);
	expect(rota_stream_printf(&s, "%s\n%d\r\n", "a line", 123456), ==, 15);
	expect(rota_stream_shutdown(&s), ==, 0);
	party_go(&party);
	expect_line(&s, "a line");
	expect_line(&s, "123456");
	expect_no_line(&s);
	party_join(&party);
	expect(rota_stream_close(&s), ==, 0);
	expect(fcntl(fds[0], F_GETFD), <, 0);
}

UNIT_TEST(stream, over_a_socket)
{
	everywhere(socket_script);
}

static void pipes_script(const struct place *place)
{
	struct rota_stream s;
	int in[2], out[2];
	char byte;

	(void)place;
	plain_pipe(in);
	plain_pipe(out);
	expect(write(in[1], "in\n", 3), ==, 3);
	expect(rota_stream_init_fds(&s, in[0], out[1], NULL), ==, 0);
	expect_line(&s, "in");
	expect(rota_stream_write_all(&s, "x", 1), ==, 1);
	expect(rota_stream_shutdown(&s), ==, 0); /* closes the one for writing */
	expect(read(out[0], &byte, 1), ==, 1);
	expect(read(out[0], &byte, 1), ==, 0);
	expect(rota_stream_write_all(&s, "x", 1), ==, 1);
	expect(rota_stream_flush(&s), ==, -EBADF);
	expect(rota_stream_close(&s), ==, -EBADF);
	expect(write(in[1], "x", 1), ==, -1); /* nobody reads any more */
	close(in[1]);
	close(out[0]);
}

UNIT_TEST(stream, over_two_pipes)
{
	signal(SIGPIPE, SIG_IGN);
	everywhere(pipes_script);
}

static void device_script(const struct place *place)
{
	struct rota_stream s;
	int fd = open("/dev/full", O_RDWR | O_CLOEXEC);

	(void)place;
	expect(rota_stream_init_fd(&s, fd, NULL), ==, 0);
	expect(rota_stream_write_all(&s, "abc", 3), ==, 3);
	expect(rota_stream_flush(&s), ==, -ENOSPC);
	expect(rota_stream_unwritten(&s), ==, 3);
	expect(rota_stream_close(&s), ==, -ENOSPC);
	expect(fcntl(fd, F_GETFD), <, 0);
}

UNIT_TEST(stream, over_a_full_device)
{
	everywhere(device_script);
}

/* Short and failing operations beneath. */
static void fault_script(const struct place *place)
{
	struct rota_stream s;
	char buf[16];
	int fds[2];

	(void)place;
	plain_pair(fds);
	expect(rota_stream_init_fd(&s, fds[0], NULL), ==, 0);
	rota__fault_arm(ROTA__FAULT_OP, 1, 4);
	expect(rota_stream_write_all(&s, "0123456789", 10), ==, 10);
	expect(rota_stream_flush(&s), ==, 0);
	expect(read(fds[1], buf, 16), ==, 10);
	expect(rota_stream_write_all(&s, "abc", 3), ==, 3);
	rota__fault_arm(ROTA__FAULT_OP, 1, -EIO);
	expect(rota_stream_flush(&s), ==, -EIO);
	expect(rota_stream_unwritten(&s), ==, 3);
	expect(rota_stream_flush(&s), ==, 0);
	expect(write(fds[1], "0123456789", 10), ==, 10);
	rota__fault_arm(ROTA__FAULT_OP, 1, 4);
	expect(rota_stream_fill(&s, 10), ==, 10);
	rota__fault_arm(ROTA__FAULT_OP, 1, -EIO);
	expect(rota_stream_fill(&s, 11), ==, -EIO);
	expect(rota_stream_read_exact(&s, buf, 10), ==, 10);
	rota__fault_arm(ROTA__FAULT_OP, 0, 0);
	expect(rota_stream_close(&s), ==, 0);
	close(fds[1]);
}

UNIT_TEST(stream, faults_beneath)
{
	everywhere(fault_script);
}

/* --- as futures, and cancelled ---------------------------------------------------------------------------------------------- */

static int carry(const struct place *place, struct rota_stream_op *op)
{
	return place->carry(place, &op->future);
}

static void future_script(const struct place *place)
{
	struct rota_stream_op op;
	struct rota_stream s;
	char buf[32];
	int fds[2];

	plain_pair(fds);
	expect(rota_stream_init_fd(&s, fds[0], NULL), ==, 0);
	expect(write(fds[1], "line\r\nheadbodyrest", 18), ==, 18);
	rota_op_stream_fill(&op, &s, 3);
	expect(carry(place, &op), >=, 3);
	rota_op_stream_read_line(&op, &s, buf, sizeof(buf));
	expect(carry(place, &op), ==, 1);
	expect(op.done, ==, 4);
	rota_op_stream_read_until(&op, &s, "head", 4, buf, sizeof(buf));
	expect(carry(place, &op), ==, 1);
	rota_op_stream_read_exact(&op, &s, buf, 4);
	expect(carry(place, &op), ==, 0);
	expect(op.done, ==, 4);
	rota_op_stream_read(&op, &s, buf, 2);
	expect(carry(place, &op), ==, 2);
	expect(shutdown(fds[1], SHUT_WR), ==, 0);
	rota_op_stream_read_to_end(&op, &s, buf, sizeof(buf));
	expect(carry(place, &op), ==, 0);
	expect(op.done, ==, 2);
	rota_op_stream_write_all(&op, &s, "0123456789", 10);
	expect(carry(place, &op), ==, 0);
	expect(op.done, ==, 10);
	rota_op_stream_reserve(&op, &s, 8192);
	expect(carry(place, &op), ==, 0);
	rota_op_stream_flush(&op, &s);
	expect(carry(place, &op), ==, 0);
	expect(read(fds[1], buf, sizeof(buf)), ==, 10);
	rota_op_stream_shutdown(&op, &s);
	expect(carry(place, &op), ==, 0);
	expect(read(fds[1], buf, sizeof(buf)), ==, 0);
	rota_op_stream_close(&op, &s);
	expect(carry(place, &op), ==, 0);
	close(fds[1]);
}

UNIT_TEST(stream, as_futures)
{
	everyhow(future_script);
}

/* Polls another once, cancels it, and polls it to the end. */
struct impatient {
	struct rota_future future;
	struct rota_future *child;
	bool told;
};

static rota_poll impatient_poll(struct rota_future *self, struct rota_context *cx)
{
	struct impatient *impatient = (struct impatient *)(void *)self;
	rota_poll polled = rota_future_poll(impatient->child, cx);

	if (polled == ROTA_PENDING && !impatient->told) {
		impatient->told = true;
		rota_future_cancel(impatient->child);
		polled = rota_future_poll(impatient->child, cx);
	}
	self->status = impatient->child->status;
	return polled;
}

static int give_up(const struct place *place, struct rota_stream_op *op)
{
	static const struct rota_future_ops ops = { .poll = impatient_poll };
	struct impatient impatient = { .child = &op->future };

	rota_future_init(&impatient.future, &ops);
	return place->carry(place, &impatient.future);
}

/* Whatever is given up, nothing that came is lost. */
static void cancel_script(const struct place *place)
{
	struct rota_stream_op op;
	struct rota_stream s;
	char buf[32];
	int fds[2];

	plain_pair(fds);
	expect(rota_stream_init_fd(&s, fds[0], NULL), ==, 0);
	expect(write(fds[1], "half a li", 9), ==, 9);
	rota_op_stream_read_line(&op, &s, buf, sizeof(buf));
	expect(give_up(place, &op), ==, -ECANCELED);
	rota_op_stream_read_until(&op, &s, "ne", 2, buf, sizeof(buf));
	expect(give_up(place, &op), ==, -ECANCELED);
	rota_op_stream_fill(&op, &s, 10);
	expect(give_up(place, &op), ==, -ECANCELED);
	expect(write(fds[1], "ne\n01234", 8), ==, 8);
	rota_op_stream_read_line(&op, &s, buf, sizeof(buf));
	expect(carry(place, &op), ==, 1);
	expect_text(buf, "half a line");
	rota_op_stream_read_exact(&op, &s, buf, 10);
	expect(give_up(place, &op), ==, -ECANCELED);
	expect(op.done, ==, 5); /* these are the caller's */
	plain_expect_bytes(buf, "01234", 5);
	rota_op_stream_read_to_end(&op, &s, buf, sizeof(buf));
	expect(give_up(place, &op), ==, -ECANCELED);
	expect(op.done, ==, 0);
	rota_op_stream_close(&op, &s);
	rota_future_cancel(&op.future);
	expect(carry(place, &op), ==, 0); /* closes all the same */
	expect(fcntl(fds[0], F_GETFD), <, 0);
	close(fds[1]);
}

UNIT_TEST(stream, given_up_reads_lose_nothing)
{
	for (unsigned i = 1; i < PLACES; i++)
		place_run(&place_kinds[i], 0, cancel_script, NULL);
}

static void cancel_write_script(const struct place *place)
{
	struct rota_stream_op op;
	struct rota_stream s;
	char buf[128];
	size_t filled;
	ssize_t n;
	int fds[2];

	plain_pipe(fds);
	filled = plain_fill(fds[1]);
	expect(rota_stream_init_fds(&s, -1, fds[1], NULL), ==, 0);
	rota_op_stream_write_all(&op, &s, "0123456789", 10);
	expect(carry(place, &op), ==, 0);
	rota_op_stream_flush(&op, &s);
	expect(give_up(place, &op), ==, -ECANCELED);
	expect(rota_stream_unwritten(&s), ==, 10);
	expect(rota_stream_written(&s), ==, 0);
	while (filled > 0) {
		n = read(fds[0], buf, sizeof(buf) < filled ? sizeof(buf) : filled);
		expect(n, >, 0);
		filled -= (size_t)n;
	}
	rota_op_stream_flush(&op, &s);
	expect(carry(place, &op), ==, 0);
	expect(read(fds[0], buf, sizeof(buf)), ==, 10);
	plain_expect_bytes(buf, "0123456789", 10);
	rota_op_stream_fill(&op, &s, 1);
	expect(carry(place, &op), ==, -EBADF); /* it has none to read from */
	rota_op_stream_close(&op, &s);
	expect(carry(place, &op), ==, 0);
	close(fds[0]);
}

UNIT_TEST(stream, given_up_writes_lose_nothing)
{
	for (unsigned i = 1; i < PLACES; i++)
		place_run(&place_kinds[i], 0, cancel_write_script, NULL);
}

/* A source whose functions simply wait: for fibers and threads. */
static rota_poll waiting_read(void *source, struct rota_context *cx, void *buf, size_t len, ssize_t *ret)
{
	(void)cx;
	*ret = rota_read(*(int *)source, buf, len);
	return ROTA_READY;
}

static rota_poll waiting_write(void *source, struct rota_context *cx, const void *buf, size_t len, ssize_t *ret)
{
	(void)cx;
	*ret = rota_write(*(int *)source, buf, len);
	return ROTA_READY;
}

static void send_later(void *arg)
{
	expect(write(*(int *)arg, "late\n", 5), ==, 5);
}

static void waiting_script(const struct place *place)
{
	static const struct rota_stream_ops ops = { .read = waiting_read, .write = waiting_write };
	struct rota_stream s;
	struct party party;
	char byte;
	int fds[2];

	(void)place;
	plain_pair(fds);
	party_start(&party, send_later, &fds[1]);
	expect(rota_stream_init(&s, &ops, &fds[0], NULL), ==, 0);
	party_go(&party);
	expect_line(&s, "late");
	expect(rota_stream_printf(&s, "!"), ==, 1);
	expect(rota_stream_close(&s), ==, 0);
	expect(read(fds[1], &byte, 1), ==, 1);
	party_join(&party);
	plain_close(fds);
}

UNIT_TEST(stream, over_functions_that_wait)
{
	everywhere(waiting_script);
}
