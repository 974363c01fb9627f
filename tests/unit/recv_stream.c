/* SPDX-License-Identifier: MIT */
/*
 * What a socket receives as a stream of buffers: all bytes in order, however the waits are cut off; buffers that run out and
 * come back; the stream that stops and hands out what it has; idle streams that hold nothing.
 */
#define _GNU_SOURCE
#include "../../io/recv_stream.h"
#include "../../io/buffers_internal.h"
#include "../../io/multishot_internal.h"
#include "../../io/ring_internal.h"
#include "../../runtime/runtime_internal.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

enum { LOAD = 1000000 };

/* A spare worker, which comes when one is stuck, has a stock of its own. */
#define NO_STALLS ROTA_SECONDS(3600)

/* The byte at a place of the load: out of order is found out. */
static unsigned char byte_at(size_t at)
{
	return (unsigned char)(at * 7 + at / 251);
}

static int carry_next(const struct place *place, struct rota_recv_stream *stream, struct rota_buffer *ret)
{
	rota_recv_stream_next_init(stream, ret);
	return place->carry(place, &stream->future);
}

static void carry_stop(const struct place *place, struct rota_recv_stream *stream)
{
	rota_recv_stream_stop_init(stream);
	expect(place->carry(place, &stream->future), ==, 0);
}

static size_t check_buffer(const struct rota_buffer *buffer, size_t at)
{
	for (size_t i = 0; i < buffer->len; i++)
		expect(buffer->data[i], ==, byte_at(at + i));
	return buffer->len;
}

struct load {
	int fd;
	size_t len;
};

static void send_load(void *arg)
{
	const struct load *load = arg;
	unsigned char *bytes = malloc(load->len);

	for (size_t i = 0; i < load->len; i++)
		bytes[i] = byte_at(i);
	for (size_t at = 0; at < load->len;) {
		ssize_t n = send(load->fd, bytes + at, load->len - at, MSG_NOSIGNAL);

		expect(n, >, 0);
		at += (size_t)n;
	}
	expect(shutdown(load->fd, SHUT_WR), ==, 0);
	free(bytes);
}

/* A stream, and who sends it a load. */
struct reading {
	struct rota_recv_stream stream;
	struct party party;
	struct load load;
	int fds[2];
	size_t total; /* read so far */
};

static void reading_begin(struct reading *reading, size_t len)
{
	plain_connection(reading->fds);
	reading->load = (struct load){ reading->fds[1], len };
	reading->total = 0;
	party_start(&reading->party, send_load, &reading->load);
	party_go(&reading->party);
	rota_recv_stream_init(&reading->stream, reading->fds[0]);
}

/* After the end was seen. */
static void reading_end(struct reading *reading, const struct place *place)
{
	expect(reading->total, ==, reading->load.len);
	party_join(&reading->party);
	carry_stop(place, &reading->stream);
	rota_recv_stream_close(&reading->stream);
	plain_close(reading->fds);
}

static void all_script(const struct place *place)
{
	struct reading reading;
	struct rota_buffer buffer;
	int n;

	reading_begin(&reading, LOAD);
	while ((n = carry_next(place, &reading.stream, &buffer)) > 0) {
		expect(n, ==, buffer.len);
		reading.total += check_buffer(&buffer, reading.total);
		memset(buffer.data, 0, buffer.len); /* it may be written to */
		rota_buffer_release(&buffer);
		expect_pointer(buffer.data, ==, NULL);
	}
	expect(n, ==, 0);
	expect(carry_next(place, &reading.stream, &buffer), ==, 0); /* as often as it is asked */
	reading_end(&reading, place);
}

UNIT_TEST(recv_stream, all)
{
	everyhow(all_script);
}

/* Each datagram is a buffer, save an empty one, which is no end. */
static void datagrams_script(const struct place *place)
{
	static const size_t lengths[] = { 3, 0, 2, 0, 0, 1 };
	struct rota_recv_stream stream;
	struct rota_buffer buffer;
	int fds[2];

	expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), ==, 0);
	rota_recv_stream_init(&stream, fds[0]);
	for (int together = 0; together < 2; together++) {
		for (size_t i = 0; together && i < 6; i++)
			expect(send(fds[1], "abc", lengths[i], 0), ==, lengths[i]);
		for (size_t i = 0; i < 6; i++) {
			if (!together)
				expect(send(fds[1], "abc", lengths[i], 0), ==, lengths[i]);
			expect(carry_next(place, &stream, &buffer), ==, lengths[i]);
			if (lengths[i] == 0)
				continue;
			plain_expect_bytes(buffer.data, "abc", lengths[i]);
			rota_buffer_release(&buffer);
		}
	}
	carry_stop(place, &stream);
	expect(carry_next(place, &stream, &buffer), ==, -ECANCELED);
	rota_recv_stream_close(&stream);
	plain_close(fds);
}

UNIT_TEST(recv_stream, datagrams)
{
	everyhow(datagrams_script);
}

/* The kernel will not have the buffers: the stream works all the same. */
static void refused_script(const struct place *place)
{
	rota__fault_arm(ROTA__FAULT_RING, 1, -ENOMEM);
	all_script(place);
	rota__fault_arm(ROTA__FAULT_RING, 0, 0);
}

UNIT_TEST(recv_stream, buffers_refused)
{
	in_fibers(refused_script, 0);
}

/* A wait without a buffer ends when there is one, takes nothing, and may be made again; then the buffer is there at once. */
static void seen_script(const struct place *place)
{
	struct reading reading;
	struct rota_buffer buffer;
	int n;

	reading_begin(&reading, LOAD / 10);
	for (unsigned turn = 0; (n = carry_next(place, &reading.stream, NULL)) > 0; turn++) {
		for (unsigned again = 0; again < turn % 3; again++)
			expect(carry_next(place, &reading.stream, NULL), ==, n);
		expect(carry_next(place, &reading.stream, &buffer), ==, n);
		expect(buffer.len, ==, n);
		reading.total += check_buffer(&buffer, reading.total);
		rota_buffer_release(&buffer);
	}
	expect(n, ==, 0);
	expect(carry_next(place, &reading.stream, NULL), ==, 0);
	reading_end(&reading, place);
}

UNIT_TEST(recv_stream, seen_before_it_is_taken)
{
	everyhow(seen_script);
}

/* What was seen can be taken after the stop; else the close gives it back. */
static void seen_and_closed_script(const struct place *place)
{
	for (int taken = 0; taken < 2; taken++) {
		struct rota_recv_stream stream;
		struct rota_buffer buffer;
		int fds[2];

		plain_connection(fds);
		expect(write(fds[1], "abc", 3), ==, 3);
		rota_recv_stream_init(&stream, fds[0]);
		expect(carry_next(place, &stream, NULL), ==, 3);
		carry_stop(place, &stream);
		if (taken) {
			expect(carry_next(place, &stream, NULL), ==, 3);
			expect(carry_next(place, &stream, &buffer), ==, 3);
			plain_expect_bytes(buffer.data, "abc", 3);
			rota_buffer_release(&buffer);
			expect(carry_next(place, &stream, NULL), ==, -ECANCELED);
		}
		rota_recv_stream_close(&stream); /* a leak is the sanitizer's to see */
		plain_close(fds);
	}
}

UNIT_TEST(recv_stream, seen_and_closed)
{
	everyhow(seen_and_closed_script);
}

static void late_byte(void *arg)
{
	expect(send(*(int *)arg, "late", 4, 0), ==, 4);
}

static void calls_script(const struct place *place)
{
	struct rota_recv_stream stream;
	struct rota_buffer buffer;
	struct party party;
	int fds[2];

	(void)place;
	plain_connection(fds);
	rota_recv_stream_init(&stream, fds[0]);
	for (int i = 0; i < 3; i++) {
		party_start(&party, late_byte, &fds[1]);
		party_go(&party);
		expect(rota_recv_stream_next(&stream, &buffer), ==, 4);
		party_join(&party);
		plain_expect_bytes(buffer.data, "late", 4);
		rota_buffer_release(&buffer);
	}
	rota_buffer_release(&buffer); /* once more does nothing */
	plain_reset(fds[1]);
	expect(rota_recv_stream_next(&stream, &buffer), ==, -ECONNRESET);
	rota_recv_stream_stop(&stream);
	rota_recv_stream_close(&stream);
	close(fds[0]);
	rota_recv_stream_init(&stream, plain_closed());
	expect(rota_recv_stream_next(&stream, &buffer), ==, -EBADF);
	rota_recv_stream_stop(&stream);
	rota_recv_stream_close(&stream);
	plain_pipe(fds);
	expect(write(fds[1], "x", 1), ==, 1);
	rota_recv_stream_init(&stream, fds[0]);
	expect(rota_recv_stream_next(&stream, &buffer), ==, -ENOTSOCK);
	rota_recv_stream_stop(&stream);
	rota_recv_stream_close(&stream);
	plain_close(fds);
}

UNIT_TEST(recv_stream, calls)
{
	everywhere(calls_script);
}

/* After the stop: what had been received, then -ECANCELED; the rest is with the socket. Nothing twice, nothing lost. */
static void stop_script(const struct place *place)
{
	static unsigned char rest[LOAD];

	for (unsigned closes = 0; closes < 2; closes++) {
		struct rota_recv_stream stream;
		struct rota_buffer buffer;
		size_t total = 0;
		int fds[2], n;

		plain_connection(fds);
		for (size_t i = 0; i < 60000; i++)
			rest[i] = byte_at(i);
		expect(send(fds[1], rest, 60000, 0), ==, 60000);
		rota_recv_stream_init(&stream, fds[0]);
		expect(carry_next(place, &stream, &buffer), >, 0);
		total += check_buffer(&buffer, total);
		rota_buffer_release(&buffer);
		carry_stop(place, &stream);
		while (!closes && (n = carry_next(place, &stream, &buffer)) != -ECANCELED) {
			expect(n, >, 0);
			total += check_buffer(&buffer, total);
			rota_buffer_release(&buffer);
		}
		rota_recv_stream_close(&stream);
		expect(shutdown(fds[1], SHUT_WR), ==, 0);
		while (!closes && (n = (int)recv(fds[0], rest, LOAD, 0)) > 0) {
			for (int i = 0; i < n; i++)
				expect(rest[i], ==, byte_at(total + (size_t)i));
			total += (size_t)n;
		}
		if (!closes)
			expect(total, ==, 60000);
		plain_close(fds);
	}
}

UNIT_TEST(recv_stream, stop)
{
	everyhow(stop_script);
}

/* --- cancelling -------------------------------------------------------------------------------------------------------- */

struct caller {
	struct rota_recv_stream stream;
	size_t total;
	rota_task *task;
	int status;
};

static int call_next(void *arg)
{
	struct caller *caller = arg;
	struct rota_buffer buffer;
	ssize_t n = rota_recv_stream_next(&caller->stream, &buffer);

	if (n > 0) {
		caller->total += check_buffer(&buffer, caller->total);
		rota_buffer_release(&buffer);
	}
	return (int)n;
}

static void cancel_script(const struct place *place)
{
	struct caller caller = { .total = 0 };
	size_t sent = 0;
	int fds[2];

	(void)place;
	plain_connection(fds);
	rota_recv_stream_init(&caller.stream, fds[0]);
	for (unsigned i = 0; i < 300; i++) {
		expect(rota_spawn(&caller.task, call_next, &caller), ==, 0);
		for (unsigned yields = 0; yields < i % 7; yields++)
			rota_yield();
		if (i % 3 != 0) {
			unsigned char byte = byte_at(sent++);

			expect(send(fds[1], &byte, 1, 0), ==, 1);
		}
		expect(rota_cancel(caller.task), ==, 0);
		expect(rota_join(caller.task, &caller.status), ==, 0);
		if (caller.status <= 0)
			expect(caller.status, ==, -ECANCELED);
	}
	close(fds[1]);
	while (call_next(&caller) > 0)
		;
	expect(caller.total, ==, sent);
	rota_recv_stream_stop(&caller.stream);
	rota_recv_stream_close(&caller.stream);
	close(fds[0]);
}

UNIT_TEST(recv_stream, cancelled)
{
	in_fibers(cancel_script, 0);
	in_fibers(cancel_script, 1);
}

static int first_of(const struct place *place, int fd)
{
	struct rota_recv_stream stream;
	struct rota_buffer buffer;
	int rc;

	rota_recv_stream_init(&stream, fd);
	rc = carry_next(place, &stream, &buffer);
	carry_stop(place, &stream);
	rota_recv_stream_close(&stream);
	return rc;
}

/* What nothing can be received from is refused at once, not waited for. */
static void unfit_script(const struct place *place)
{
	int fds[2], listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	expect(listen(listener, 1), ==, 0);
	plain_pipe(fds);
	expect(first_of(place, listener), ==, -ENOTCONN);
	expect(first_of(place, fds[0]), ==, -ENOTSOCK);
	expect(first_of(place, plain_closed()), ==, -EBADF);
	plain_close(fds);
	close(listener);
}

UNIT_TEST(recv_stream, unfit_descriptors)
{
	everyhow(unfit_script);
}

/* Closed between two waits it is over, but for what it has: what comes to the number later is another connection's. */
static void closed_between_script(const struct place *place)
{
	for (unsigned seen = 0; seen < 2; seen++) {
		struct rota_recv_stream stream;
		struct rota_buffer buffer;
		struct rota_op closer;
		int fds[2], number;

		plain_connection(fds);
		number = plain_far(fds[0]);
		rota_recv_stream_init(&stream, number);
		expect(send(fds[1], "old", 3, 0), ==, 3);
		expect(carry_next(place, &stream, seen ? NULL : &buffer), ==, 3);
		rota_op_close(&closer, number);
		expect(place->carry(place, &closer.future), ==, 0);
		close(fds[1]);
		plain_connection(fds);
		plain_at(fds[0], number);
		expect(send(fds[1], "new", 3, 0), ==, 3);
		if (seen)
			expect(carry_next(place, &stream, &buffer), ==, 3);
		plain_expect_bytes(buffer.data, "old", 3);
		rota_buffer_release(&buffer);
		expect(carry_next(place, &stream, &buffer), ==, -ECANCELED);
		expect(carry_next(place, &stream, &buffer), ==, -ECANCELED);
		carry_stop(place, &stream);
		rota_recv_stream_close(&stream);
		expect(plain_waiting(number), ==, 3);
		close(fds[1]);
		rota_op_close(&closer, number);
		expect(place->carry(place, &closer.future), ==, 0);
	}
}

UNIT_TEST(recv_stream, closed_between_two_waits)
{
	everyhow(closed_between_script);
}

/* --- buffers that run out ----------------------------------------------------------------------------------------------- */

static const struct rota__buffers *stock(void)
{
	const struct rota__ring *ring = rota__worker_self()->io;

	return ring->buffers;
}

static int call_few(void *arg)
{
	struct rota_buffer held[4];
	struct caller caller = { .total = 0 };
	int fds[2], number;

	(void)arg;
	plain_connection(fds);
	number = plain_far(fds[0]);
	expect(rota_close(number), ==, 0); /* before the wait begins: that is not taken for one that comes later */
	close(fds[1]);
	plain_connection(fds);
	fds[0] = plain_at(fds[0], number);
	rota_recv_stream_init(&caller.stream, fds[0]);
	struct load load = { fds[1], 5000 };
	send_load(&load);
	for (unsigned i = 0; i < 4; i++) {
		expect(rota_recv_stream_next(&caller.stream, &held[i]), >, 0);
		expect(held[i].len, <=, 64);
		caller.total += check_buffer(&held[i], caller.total);
	}
	/* None is left for more. */
	for (unsigned i = 0; i < 20; i++) {
		expect(rota_spawn(&caller.task, call_next, &caller), ==, 0);
		rota_sleep(i * ROTA_US(50));
		expect(rota_cancel(caller.task), ==, 0);
		expect(rota_join(caller.task, &caller.status), ==, 0);
		expect(caller.status, ==, -ECANCELED);
	}
	expect(rota_spawn(&caller.task, call_next, &caller), ==, 0);
	rota_sleep(ROTA_MS(1));
	rota_buffer_release(&held[2]);
	expect(rota_join(caller.task, &caller.status), ==, 0);
	expect(caller.status, ==, 64);
	for (unsigned i = 0; i < 4; i++) {
		if (i != 2)
			rota_buffer_release(&held[i]);
	}
	while (call_next(&caller) > 0)
		;
	expect(caller.total, ==, 5000);
	rota_recv_stream_stop(&caller.stream);
	rota_recv_stream_close(&caller.stream);
	plain_close(fds);
	return 0;
}

/* On both flavours: one worker, which has a stock of four small buffers and is not relieved of it. */
static void with_few_buffers(enum rota_backend backend, rota_fn *call)
{
	for (int flavor = 0; flavor < 2; flavor++) {
		const struct rota_config config = { .workers = 1,
						    .backend = backend,
						    .flavor = (enum rota_flavor)flavor,
						    .stall_ns = NO_STALLS,
						    .recv_buffers = 4,
						    .recv_buffer_size = 64 };
		rota_runtime *rt;

		unsetenv("ROTA_FLAVOR");
		expect(rota_runtime_new(&rt, &config), ==, 0);
		expect(rota_block_on(rt, call, NULL), ==, 0);
		place_runtime_free(rt);
	}
}

/* tests/confined.c runs this where there are none. */
static void skip_without_rings(void)
{
	if (getenv("ROTA_TEST_ON") != NULL)
		cr_skip_test("no rings here");
}

UNIT_TEST(recv_stream, few_buffers)
{
	skip_without_rings();
	rota__sys_ring_hide(0); /* without multishot requests nobody waits for a buffer */
	with_few_buffers(ROTA_BACKEND_IO_URING, call_few);
}

/* It waits, for a buffer where there is a stock, else for the socket. Closed then, it has nothing under way that would end:
 * it must not receive from what the number means by the time that a buffer comes back. */
static int call_closed(void *arg)
{
	struct rota_buffer held[4];
	struct caller caller = { .total = 0 };
	const bool starves = rota__multishot_here() && getenv("ROTA_TEST_OLDER") == NULL;
	int fds[2], number;

	(void)arg;
	plain_connection(fds);
	number = plain_far(fds[0]);
	rota_recv_stream_init(&caller.stream, number);
	struct load load = { fds[1], 4 * 64 };
	send_load(&load);
	for (unsigned i = 0; i < 4; i++)
		expect(rota_recv_stream_next(&caller.stream, &held[i]), ==, 64);
	rota_recv_stream_stop(&caller.stream);
	rota_recv_stream_close(&caller.stream);
	expect(rota_close(number), ==, 0); /* which is nothing to a wait that begins later */
	close(fds[1]);
	plain_connection(fds);
	fds[0] = plain_at(fds[0], number);
	rota_recv_stream_init(&caller.stream, number);
	if (starves)
		expect(send(fds[1], "old", 3, 0), ==, 3);
	expect(rota_spawn(&caller.task, call_next, &caller), ==, 0);
	unit_until_resting(caller.task);
	if (starves)
		expect_eventually(rota_yield() == 0 && !rota__waitlist_empty(&stock()->waiters));
	expect(rota_close(number), ==, 0);
	close(fds[1]);
	plain_connection(fds);
	fds[0] = plain_at(fds[0], number);
	expect(send(fds[1], "new", 3, 0), ==, 3);
	for (unsigned i = 0; i < 4; i++)
		rota_buffer_release(&held[i]);
	expect(rota_join(caller.task, &caller.status), ==, 0);
	expect(caller.status, ==, -ECANCELED);
	expect(plain_waiting(number), ==, 3);
	rota_recv_stream_stop(&caller.stream);
	rota_recv_stream_close(&caller.stream);
	plain_close(fds);
	return 0;
}

UNIT_TEST(recv_stream, closed_while_no_buffer_is_left)
{
	with_few_buffers(ROTA_BACKEND_AUTO, call_closed);
}

enum { STREAMS = 30 };

static int drink(void *arg)
{
	struct caller *caller = arg;
	int n;

	while ((n = call_next(caller)) > 0)
		rota_yield();
	rota_recv_stream_stop(&caller->stream);
	rota_recv_stream_close(&caller->stream);
	return n;
}

/* Many streams share few buffers: each gets all of its bytes in the end. */
static int call_crowd(void *arg)
{
	static struct caller callers[STREAMS];
	struct party parties[STREAMS];
	struct load loads[STREAMS];
	int fds[STREAMS][2];

	(void)arg;
	for (unsigned i = 0; i < STREAMS; i++) {
		plain_connection(fds[i]);
		callers[i].total = 0;
		rota_recv_stream_init(&callers[i].stream, fds[i][0]);
		expect(rota_spawn(&callers[i].task, drink, &callers[i]), ==, 0);
		loads[i] = (struct load){ fds[i][1], 20000 };
		party_start(&parties[i], send_load, &loads[i]);
	}
	for (unsigned i = 0; i < STREAMS; i++)
		party_go(&parties[i]);
	for (unsigned i = 0; i < STREAMS; i++) {
		expect(rota_join(callers[i].task, &callers[i].status), ==, 0);
		expect(callers[i].status, ==, 0);
		expect(callers[i].total, ==, 20000);
		party_join(&parties[i]);
		plain_close(fds[i]);
	}
	return 0;
}

UNIT_TEST(recv_stream, crowd)
{
	const struct rota_config config = { .workers = 3, .recv_buffers = 2, .recv_buffer_size = 100 };
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, call_crowd, NULL), ==, 0);
	place_runtime_free(rt);
}

/* Those that wait hold no buffer, and whatever was taken comes back. */
static int call_idle(void *arg)
{
	static struct caller callers[STREAMS];
	int fds[STREAMS][2];

	(void)arg;
	for (unsigned i = 0; i < STREAMS; i++) {
		plain_connection(fds[i]);
		callers[i].total = 0;
		rota_recv_stream_init(&callers[i].stream, fds[i][0]);
		expect(rota_spawn(&callers[i].task, drink, &callers[i]), ==, 0);
	}
	rota_sleep(ROTA_MS(2));
	expect_pointer(stock(), !=, NULL);
	expect(rota__load(&stock()->available, ACQUIRE), ==, stock()->count);
	for (unsigned i = 0; i < STREAMS; i++) {
		struct load load = { fds[i][1], 10000 };

		send_load(&load);
	}
	for (unsigned i = 0; i < STREAMS; i++) {
		expect(rota_join(callers[i].task, &callers[i].status), ==, 0);
		expect(callers[i].total, ==, 10000);
		plain_close(fds[i]);
	}
	expect(rota__load(&stock()->available, ACQUIRE), ==, stock()->count);
	return 0;
}

UNIT_TEST(recv_stream, idle_streams_hold_nothing)
{
	const struct rota_config config = { .workers = 1, .backend = ROTA_BACKEND_IO_URING, .stall_ns = NO_STALLS };
	rota_runtime *rt;

	skip_without_rings();
	unsetenv("ROTA_FLAVOR");
	expect(rota_runtime_new(&rt, &config), ==, 0);
	expect(rota_block_on(rt, call_idle, NULL), ==, 0);
	place_runtime_free(rt);
}
