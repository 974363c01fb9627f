/* SPDX-License-Identifier: MIT */
/*
 * Copying between streams, one way and both; the pair in memory. Ends are passed on, errors end both ways, and what was
 * read and not written is still there.
 */
#define _GNU_SOURCE
#include "../../io/stream_copy.h"

#include <sys/syscall.h>

#include "../../io/duplex.h"
#include "../../io/fd.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

enum { LONG = 300000 };

static unsigned char known(size_t i)
{
	return (unsigned char)(i % 251);
}

/* --- the pair in memory ---------------------------------------------------------------------------------------------- */

struct ends {
	struct rota_duplex duplex;
	struct rota_stream s[2];
};

static void ends_init(struct ends *ends, size_t capacity)
{
	expect(rota_duplex_init(&ends->duplex, capacity), ==, 0);
	for (int i = 0; i < 2; i++)
		expect(rota_stream_init(&ends->s[i], &rota_duplex_ops, &ends->duplex.ends[i], NULL), ==, 0);
}

static void ends_deinit(struct ends *ends)
{
	rota_stream_deinit(&ends->s[0]);
	rota_stream_deinit(&ends->s[1]);
	rota_duplex_deinit(&ends->duplex);
}

static void pair_script(const struct place *place)
{
	struct ends ends;
	char line[16];

	(void)place;
	ends_init(&ends, 0);
	for (int i = 0; i < 2; i++) {
		expect(rota_stream_printf(&ends.s[i], "from %d\n", i), ==, 7);
		expect(rota_stream_flush(&ends.s[i]), ==, 0);
	}
	expect(rota_stream_read_line(&ends.s[0], line, sizeof(line), NULL), ==, 1);
	expect_text(line, "from 1");
	expect(rota_stream_shutdown(&ends.s[0]), ==, 0);
	expect(rota_stream_read_line(&ends.s[1], line, sizeof(line), NULL), ==, 1);
	expect_text(line, "from 0");
	expect(rota_stream_read_line(&ends.s[1], line, sizeof(line), NULL), ==, 0);
	expect(rota_stream_printf(&ends.s[0], "x"), ==, 1);
	expect(rota_stream_flush(&ends.s[0]), ==, -EPIPE); /* it was shut down */
	expect(rota_stream_printf(&ends.s[1], "x"), ==, 1);
	expect(rota_stream_flush(&ends.s[1]), ==, 0);
	expect(rota_stream_close(&ends.s[0]), ==, -EPIPE);
	expect(rota_stream_printf(&ends.s[1], "x"), ==, 1);
	expect(rota_stream_flush(&ends.s[1]), ==, -EPIPE);
	ends_deinit(&ends);
}

UNIT_TEST(stream_copy, a_pair_in_memory)
{
	everywhere(pair_script);
}

static void no_memory_script(const struct place *place)
{
	struct rota_duplex duplex;

	unit_no_more_spares(place->rt);
	for (unsigned nth = 1; nth <= 2; nth++) {
		rota__fault_arm(ROTA__FAULT_ALLOC, nth, -ENOMEM);
		expect(rota_duplex_init(&duplex, 0), ==, -ENOMEM);
	}
	rota__fault_arm(ROTA__FAULT_ALLOC, 0, 0);
}

UNIT_TEST(stream_copy, no_memory_for_a_pair)
{
	everywhere(no_memory_script);
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

static int give_up(const struct place *place, struct rota_future *future)
{
	static const struct rota_future_ops ops = { .poll = impatient_poll };
	struct impatient impatient = { .child = future };

	rota_future_init(&impatient.future, &ops);
	return place->carry(place, &impatient.future);
}

static void pair_cancel_script(const struct place *place)
{
	static unsigned char bytes[100];
	struct rota_stream_op op;
	struct ends ends;
	char buf[100];

	ends_init(&ends, 10);
	rota_op_stream_fill(&op, &ends.s[0], 1);
	expect(give_up(place, &op.future), ==, -ECANCELED);
	rota_op_stream_write_all(&op, &ends.s[1], bytes, sizeof(bytes));
	expect(place->carry(place, &op.future), ==, 0);
	rota_op_stream_flush(&op, &ends.s[1]);
	expect(give_up(place, &op.future), ==, -ECANCELED);
	expect(rota_stream_unwritten(&ends.s[1]), ==, 90);
	rota_op_stream_read(&op, &ends.s[0], buf, sizeof(buf));
	expect(place->carry(place, &op.future), ==, 10);
	rota_op_stream_flush(&op, &ends.s[1]);
	expect(give_up(place, &op.future), ==, -ECANCELED);
	expect(rota_stream_unwritten(&ends.s[1]), ==, 80);
	ends_deinit(&ends);
}

UNIT_TEST(stream_copy, a_pair_given_up)
{
	everyhow(pair_cancel_script);
}

/* --- one way ------------------------------------------------------------------------------------------------------------ */

static void feed(void *arg)
{
	unsigned char bytes[7000];
	const int fd = *(int *)arg;

	for (size_t at = 0, n = 1; at < LONG; at += n, n = n * 3 % sizeof(bytes) + 1) {
		if (n > LONG - at)
			n = LONG - at;
		for (size_t i = 0; i < n; i++)
			bytes[i] = known(at + i);
		expect(write(fd, bytes, n), ==, n);
	}
	shutdown(fd, SHUT_WR); /* of a pipe: nothing */
}

static void drink(void *arg)
{
	unsigned char bytes[5000];
	const int fd = *(int *)arg;
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n; i++, at++)
			expect(bytes[i], ==, known(at));
	}
	expect(at, ==, LONG);
}

static void copy_script(const struct place *place)
{
	struct rota_stream_copy_op op;
	struct rota_stream from, to;
	struct party feeder, drinker;
	int in[2], out[2];

	plain_pair(in);
	plain_pair(out);
	party_start(&feeder, feed, &in[1]);
	party_start(&drinker, drink, &out[1]);
	expect(rota_stream_init_fd(&from, in[0], NULL), ==, 0);
	expect(rota_stream_init_fd(&to, out[0], NULL), ==, 0);
	party_go(&feeder);
	party_go(&drinker);
	rota_op_stream_copy(&op, &from, &to, 10);
	expect(place->carry(place, &op.future), ==, 0);
	expect(op.copied, ==, 10);
	rota_op_stream_copy(&op, &from, &to, UINT64_MAX);
	expect(place->carry(place, &op.future), ==, 0);
	expect(op.copied, ==, LONG - 10);
	shutdown(out[0], SHUT_WR);
	party_join(&feeder);
	party_join(&drinker);
	close(in[0]);
	close(out[0]);
	close(in[1]);
	close(out[1]);
	rota_stream_deinit(&from);
	rota_stream_deinit(&to);
}

UNIT_TEST(stream_copy, one_way)
{
	everyhow(copy_script);
}

/* The writing buffer goes first; what cannot be written stays in the reading one. */
static void kept_script(const struct place *place)
{
	struct rota_stream from, to;
	uint64_t copied = 77;
	int in[2], full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char buf[16];

	(void)place;
	plain_pair(in);
	expect(write(in[1], "0123456789", 10), ==, 10);
	expect(rota_stream_init_fd(&from, in[0], NULL), ==, 0);
	expect(rota_stream_init_fds(&to, -1, full, NULL), ==, 0);
	expect(rota_stream_copy(&from, &to, 5, &copied), ==, -ENOSPC);
	expect(copied, ==, 0);
	expect(rota_stream_read(&from, buf, sizeof(buf)), ==, 10);
	plain_expect_bytes(buf, "0123456789", 10);
	expect(rota_stream_write_all(&to, "first", 5), ==, 5);
	expect(rota_stream_copy(&from, &to, UINT64_MAX, NULL), ==, -ENOSPC);
	expect(rota_stream_unwritten(&to), ==, 5);
	expect(rota_stream_close(&from), ==, 0);
	expect(rota_stream_close(&to), ==, -ENOSPC);
	close(in[1]);
}

UNIT_TEST(stream_copy, what_is_not_written_is_kept)
{
	everywhere(kept_script);
}

/* Cancelled while the other side has no room: what had left the first descriptor is in its buffer. */
static void lost_nothing_script(const struct place *place)
{
	static char rest[1 << 20];
	struct rota_stream_copy_op op;
	struct rota_stream from, to;
	size_t before, kept;
	ssize_t n;
	int in[2], out[2];

	plain_pair(in);
	plain_pair(out);
	before = plain_fill(out[0]);
	plain_block(out[0]);
	expect(write(in[1], "0123456789", 10), ==, 10);
	expect(rota_stream_init_fd(&from, in[0], NULL), ==, 0);
	expect(rota_stream_init_fd(&to, out[0], NULL), ==, 0);
	rota_op_stream_copy(&op, &from, &to, UINT64_MAX);
	expect(give_up(place, &op.future), ==, -ECANCELED);
	expect(op.copied, ==, 0);
	rota_stream_peek(&from, &kept);
	if (kept == 0) /* it was cancelled before that */
		expect(plain_waiting(in[0]), ==, 10);
	else
		plain_expect_bytes(rota_stream_peek(&from, &kept), "0123456789", 10);
	while (before > 0 && (n = read(out[1], rest, sizeof(rest))) > 0)
		before -= (size_t)n;
	rota_op_stream_copy(&op, &from, &to, 10);
	expect(place->carry(place, &op.future), ==, 0);
	expect(read(out[1], rest, sizeof(rest)), ==, 10);
	plain_expect_bytes(rest, "0123456789", 10);
	rota_stream_deinit(&from);
	rota_stream_deinit(&to);
	plain_close(in);
	plain_close(out);
}

UNIT_TEST(stream_copy, given_up_it_loses_nothing)
{
	everyhow_inside(lost_nothing_script, 0);
}

/* --- by splices -------------------------------------------------------------------------------------------------------- */

static unsigned spliced_calls; /* atomic */

/* Takes the place of splice(2). */
ssize_t splice(int from, off64_t *at, int to, off64_t *into, size_t len, unsigned flags)
{
	__atomic_fetch_add(&spliced_calls, 1, __ATOMIC_RELAXED);
	return syscall(SYS_splice, from, at, to, into, len, flags);
}

/* From a socket into a pipe, and from a pipe into a socket. What was in the buffer goes first. */
static void copy_by_pipe(const struct place *place, bool nonblocking)
{
	struct rota_stream_copy_op op;
	struct rota_stream from, to;
	struct party feeder, drinker;
	int in[2], fds[2], out[2];

	plain_pair(in);
	plain_pipe(fds);
	plain_pair(out);
	for (int hop = 0; hop < 2; hop++) {
		__atomic_store_n(&spliced_calls, 0, __ATOMIC_RELAXED);
		if (nonblocking) {
			plain_nonblock(hop == 0 ? in[0] : fds[0]);
			plain_nonblock(hop == 0 ? fds[1] : out[0]);
		}
		int *source = hop == 0 ? &in[1] : &fds[1];
		int *sink = hop == 0 ? &fds[0] : &out[1];

		party_start(&feeder, feed, source);
		party_start(&drinker, drink, sink);
		expect(rota_stream_init_fds(&from, hop == 0 ? in[0] : fds[0], -1, NULL), ==, 0);
		expect(rota_stream_init_fds(&to, -1, hop == 0 ? fds[1] : out[0], NULL), ==, 0);
		party_go(&feeder);
		party_go(&drinker);
		expect(rota_stream_fill(&from, 1), >=, 1);
		rota_op_stream_copy(&op, &from, &to, LONG);
		expect(place->carry(place, &op.future), ==, 0);
		expect(op.copied, ==, LONG);
		expect(rota_stream_written(&to), ==, LONG);
		if (nonblocking || place->rt == NULL || unit_on_epoll()) /* else a ring makes them */
			expect(__atomic_load_n(&spliced_calls, __ATOMIC_RELAXED), >, 0);
		if (hop == 0)
			close(fds[1]); /* the drinker of a pipe waits for its end */
		else
			shutdown(out[0], SHUT_WR);
		party_join(&feeder);
		party_join(&drinker);
		rota_stream_deinit(&from);
		rota_stream_deinit(&to);
		if (hop == 0) {
			close(fds[0]);
			plain_pipe(fds);
		}
	}
	plain_close(in);
	plain_close(fds);
	plain_close(out);
}

static void pipes_script(const struct place *place)
{
	copy_by_pipe(place, false);
	copy_by_pipe(place, true);
}

UNIT_TEST(stream_copy, to_and_from_a_pipe)
{
	everyhow(pipes_script);
}

struct spliced {
	struct rota_stream from, to;
	uint64_t copied;
	bool ended; /* atomic */
};

static int copy_spliced(void *arg)
{
	struct spliced *spliced = arg;
	const int rc = rota_stream_copy(&spliced->from, &spliced->to, UINT64_MAX, &spliced->copied);

	__atomic_store_n(&spliced->ended, true, __ATOMIC_RELAXED);
	return rc;
}

static int feed_source(void *arg)
{
	unsigned char bytes[7000];

	for (size_t at = 0, n = 1; at < LONG; at += n, n = n * 3 % sizeof(bytes) + 1) {
		if (n > LONG - at)
			n = LONG - at;
		for (size_t i = 0; i < n; i++)
			bytes[i] = known(at + i);
		expect(rota_write_all(*(int *)arg, bytes, n), ==, n);
	}
	expect(rota_close(*(int *)arg), ==, 0);
	return 0;
}

struct sink {
	int fd;
	size_t drunk; /* atomic */
};

static int drink_sink(void *arg)
{
	struct sink *sink = arg;
	unsigned char bytes[5000];
	size_t at = 0;
	ssize_t n;

	while ((n = rota_read(sink->fd, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n; i++, at++)
			expect(bytes[i], ==, known(at));
		__atomic_store_n(&sink->drunk, at, __ATOMIC_RELAXED);
	}
	expect(n, ==, 0);
	return (int)at;
}

/* Some turns of the caller; or, since a thread of the kernel's that is to splice may not get as far in any number of them, until
 * there is more in the sink. */
static void let_copy(const struct sink *sink, const struct spliced *spliced, unsigned turns, bool until_more)
{
	const size_t before = __atomic_load_n(&sink->drunk, __ATOMIC_RELAXED);

	while (turns-- > 0)
		expect(rota_yield(), ==, 0);
	if (until_more)
		expect_eventually(rota_yield() == 0 && (__atomic_load_n(&spliced->ended, __ATOMIC_RELAXED) ||
							__atomic_load_n(&sink->drunk, __ATOMIC_RELAXED) > before));
}

/* Cancelled again and again, and each time begun anew where it was: nothing is missing, nothing comes twice. */
static void spliced_cancelled(bool from_socket, unsigned *seed)
{
	struct spliced spliced;
	rota_task *feeder, *drinker, *copier;
	struct sink sink;
	uint64_t total = 0;
	unsigned rounds = 0;
	int fds[2], pair[2], status;

	plain_pipe(fds);
	plain_pair(pair);
	expect(rota_stream_init_fds(&spliced.from, from_socket ? pair[0] : fds[0], -1, NULL), ==, 0);
	expect(rota_stream_init_fds(&spliced.to, -1, from_socket ? fds[1] : pair[0], NULL), ==, 0);
	feeder = unit_spawn(feed_source, from_socket ? &pair[1] : &fds[1]);
	sink = (struct sink){ .fd = from_socket ? fds[0] : pair[1] };
	drinker = unit_spawn(drink_sink, &sink);
	do {
		spliced.copied = 0;
		spliced.ended = false;
		copier = unit_spawn(copy_spliced, &spliced);
		let_copy(&sink, &spliced, (unsigned)rand_r(seed) % 8, ++rounds % 32 == 0);
		rota_cancel(copier);
		expect(rota_join(copier, &status), ==, 0);
		expect(status == 0 || status == -ECANCELED, ==, true);
		total += spliced.copied;
	} while (status != 0);
	expect(total, ==, LONG);
	expect(rota_stream_written(&spliced.to), ==, LONG);
	unit_expect_join(feeder, 0);
	close(from_socket ? fds[1] : pair[0]);
	unit_expect_join(drinker, LONG);
	rota_stream_deinit(&spliced.from);
	rota_stream_deinit(&spliced.to);
	close(from_socket ? pair[0] : fds[0]);
	close(from_socket ? fds[0] : pair[1]);
}

static void spliced_cancelled_script(const struct place *place)
{
	unsigned seed = (unsigned)rota_now();

	(void)place;
	printf("seed %u\n", seed);
	spliced_cancelled(true, &seed);
	spliced_cancelled(false, &seed);
}

UNIT_TEST(stream_copy, cancelled_at_random_no_spliced_byte_is_lost)
{
	in_fibers(spliced_cancelled_script, 0);
}

/* A file in append mode cannot be spliced to: by the buffer. */
static void by_buffer_script(const struct place *place)
{
	struct rota_stream_copy_op op;
	struct rota_stream from, to;
	char path[64], text[16];
	int fds[2], file = plain_file(path), append = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	unlink(path);
	plain_pipe(fds);
	expect(write(fds[1], "01234", 5), ==, 5);
	expect(rota_stream_init_fds(&from, fds[0], -1, NULL), ==, 0);
	expect(rota_stream_init_fds(&to, -1, append, NULL), ==, 0);
	rota_op_stream_copy(&op, &from, &to, 5);
	expect(place->carry(place, &op.future), ==, 0);
	expect(op.copied, ==, 5);
	expect(pread(file, text, sizeof(text), 0), ==, 5);
	plain_expect_bytes(text, "01234", 5);
	rota_stream_deinit(&from);
	rota_stream_deinit(&to);
	plain_close(fds);
	close(append);
	close(file);
}

UNIT_TEST(stream_copy, falls_back_to_the_buffer)
{
	everyhow(by_buffer_script);
}

/* --- both ways ------------------------------------------------------------------------------------------------------------ */

/* A client and a server with a proxy between them: the client's end is passed on, the server answers after it. */
static void client(void *arg)
{
	feed(arg);
	drink(arg);
}

static void server(void *arg)
{
	drink(arg);
	feed(arg);
}

static void proxy_script(const struct place *place)
{
	struct rota_stream_join_op op;
	struct rota_stream a, b;
	struct party one, other;
	int left[2], right[2];

	plain_pair(left);
	plain_pair(right);
	party_start(&one, client, &left[1]);
	party_start(&other, server, &right[1]);
	expect(rota_stream_init_fd(&a, left[0], NULL), ==, 0);
	expect(rota_stream_init_fd(&b, right[0], NULL), ==, 0);
	party_go(&one);
	party_go(&other);
	rota_op_stream_join(&op, &a, &b);
	expect(place->carry(place, &op.future), ==, 0);
	expect(op.copied[0], ==, LONG);
	expect(op.copied[1], ==, LONG);
	party_join(&one);
	party_join(&other);
	rota_stream_deinit(&a);
	rota_stream_deinit(&b);
	plain_close(left);
	plain_close(right);
}

UNIT_TEST(stream_copy, both_ways_with_half_close)
{
	everyhow(proxy_script);
}

static void vanish(void *arg)
{
	plain_reset(*(int *)arg);
}

/* A reset on one side ends the whole. */
static void reset_script(const struct place *place)
{
	struct rota_stream a, b;
	struct party party;
	uint64_t copied[2] = { 7, 7 };
	int left[2], right[2];

	(void)place;
	plain_connection(left);
	plain_connection(right);
	expect(write(left[1], "x", 1), ==, 1);
	party_start(&party, vanish, &left[1]);
	expect(rota_stream_init_fd(&a, left[0], NULL), ==, 0);
	expect(rota_stream_init_fd(&b, right[0], NULL), ==, 0);
	expect(rota_stream_fill(&a, 1), ==, 1);
	party_go(&party);
	expect(rota_stream_join(&a, &b, copied), ==, -ECONNRESET);
	expect(copied[0], ==, 1);
	expect(copied[1], ==, 0);
	party_join(&party);
	expect(rota_stream_close(&a), ==, 0);
	expect(rota_stream_close(&b), ==, 0);
	close(right[1]);
}

UNIT_TEST(stream_copy, a_reset_ends_both_ways)
{
	for (unsigned i = 1; i < PLACES_FOR_CALLS; i++)
		place_run(&place_kinds[i], 0, reset_script, NULL);
}

/* Given up while both ways wait. */
static void proxy_cancel_script(const struct place *place)
{
	struct rota_stream_join_op op;
	struct ends left, right;

	ends_init(&left, 100);
	ends_init(&right, 100);
	rota_op_stream_join(&op, &left.s[1], &right.s[0]);
	expect(give_up(place, &op.future), ==, -ECANCELED);
	ends_deinit(&left);
	ends_deinit(&right);
}

UNIT_TEST(stream_copy, both_ways_given_up)
{
	everyhow(proxy_cancel_script);
}
