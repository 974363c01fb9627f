/* SPDX-License-Identifier: MIT */
/*
 * Connections as a stream: all are taken, each once, however the waits are cut off; the stream stops and hands out what it
 * has; it stops at its capacity, and outlasts a shortage of descriptors.
 */
#define _GNU_SOURCE
#include "../../io/accept_stream.h"
#include "../../io/fd.h"
#include "../../io/tcp.h"
#include "../../runtime/slot_internal.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

enum { MANY = 40 };

static int carry_next(const struct place *place, struct rota_accept_stream *stream)
{
	rota_accept_stream_next_init(stream);
	return place->carry(place, &stream->future);
}

static void carry_stop(const struct place *place, struct rota_accept_stream *stream)
{
	rota_accept_stream_stop_init(stream);
	expect(place->carry(place, &stream->future), ==, 0);
}

/* Connections that nobody has accepted. */
static unsigned count_backlog(int listener)
{
	unsigned n = 0;
	int fd;

	plain_nonblock(listener);
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		close(fd);
		n++;
	}
	plain_block(listener);
	return n;
}

static void take_all(const struct place *place, unsigned capacity)
{
	struct rota_accept_stream stream;
	int clients[MANY], port;
	int listener = plain_listen(MANY, &port);

	rota_accept_stream_init(&stream, listener, capacity);
	for (unsigned turn = 0; turn < 2; turn++) {
		for (unsigned i = 0; i < MANY; i++)
			clients[i] = plain_connect(port);
		for (unsigned i = 0; i < MANY; i++) {
			char byte = 0;
			int fd = carry_next(place, &stream);

			expect(fd, >=, 0);
			expect(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
			expect(send(clients[i], "x", 1, 0), ==, 1); /* in the order in which they came */
			expect(recv(fd, &byte, 1, 0), ==, 1);
			close(fd);
			close(clients[i]);
		}
	}
	expect(stream.exhausted, ==, 0);
	carry_stop(place, &stream);
	expect(carry_next(place, &stream), ==, -ECANCELED);
	rota_accept_stream_close(&stream);
	close(listener);
}

static void all_script(const struct place *place)
{
	take_all(place, 0);
	take_all(place, 1);
	take_all(place, 3);
}

UNIT_TEST(accept_stream, all)
{
	everyhow(all_script);
}

static void late_client(void *arg)
{
	close(plain_connect(*(int *)arg));
}

static void calls_script(const struct place *place)
{
	struct rota_accept_stream stream;
	struct party party;
	int port, fds[2];
	int listener = plain_listen(5, &port);

	(void)place;
	rota_accept_stream_init(&stream, listener, 0);
	for (int i = 0; i < 3; i++) {
		party_start(&party, late_client, &port);
		party_go(&party);
		int fd = rota_accept_stream_next(&stream);
		expect(fd, >=, 0);
		party_join(&party);
		close(fd);
	}
	rota_accept_stream_stop(&stream);
	rota_accept_stream_close(&stream);
	rota_accept_stream_close(&stream); /* once more does nothing */
	close(listener);
	plain_connection(fds);
	rota_accept_stream_init(&stream, fds[0], 0);
	expect(rota_accept_stream_next(&stream), ==, -EINVAL); /* it does not listen */
	expect(rota_accept_stream_next(&stream), ==, -EINVAL);
	rota_accept_stream_stop(&stream);
	rota_accept_stream_close(&stream);
	plain_close(fds);
	rota_accept_stream_init(&stream, plain_closed(), 0);
	expect(rota_accept_stream_next(&stream), ==, -EBADF);
	rota_accept_stream_stop(&stream);
	rota_accept_stream_close(&stream);
}

UNIT_TEST(accept_stream, calls)
{
	everywhere(calls_script);
}

/* What was accepted and not taken is handed out after the stop, or closed; the rest is still in the backlog. */
static void stop_script(const struct place *place)
{
	for (unsigned closes = 0; closes < 2; closes++) {
		const unsigned before = unit_own_descriptors();
		struct rota_accept_stream stream;
		int clients[MANY], port, fd;
		int listener = plain_listen(MANY, &port);
		unsigned taken = 0;

		rota_accept_stream_init(&stream, listener, 8);
		for (unsigned i = 0; i < MANY; i++)
			clients[i] = plain_connect(port);
		for (; taken < 5; taken++) {
			fd = carry_next(place, &stream);
			expect(fd, >=, 0);
			close(fd);
		}
		carry_stop(place, &stream);
		while (!closes && (fd = carry_next(place, &stream)) != -ECANCELED) {
			expect(fd, >=, 0);
			close(fd);
			taken++;
		}
		rota_accept_stream_close(&stream);
		if (!closes)
			expect(taken + count_backlog(listener), ==, MANY);
		for (unsigned i = 0; i < MANY; i++)
			close(clients[i]);
		close(listener);
		expect(unit_own_descriptors(), ==, before);
	}
}

UNIT_TEST(accept_stream, stop)
{
	everyhow(stop_script);
}

/* --- cancelling -------------------------------------------------------------------------------------------------------- */

struct caller {
	struct rota_accept_stream stream;
	rota_task *task;
	int status;
};

static int call_next(void *arg)
{
	struct caller *caller = arg;
	int fd = rota_accept_stream_next(&caller->stream);

	if (fd >= 0)
		close(fd);
	return fd;
}

static void cancel_with(unsigned capacity)
{
	struct caller caller;
	unsigned connected = 0, taken = 0;
	int port;
	int listener = plain_listen(256, &port);

	rota_accept_stream_init(&caller.stream, listener, capacity);
	for (unsigned i = 0; i < 200; i++) {
		expect(rota_spawn(&caller.task, call_next, &caller), ==, 0);
		for (unsigned yields = 0; yields < i % 7; yields++)
			rota_yield();
		if (i % 3 != 0) {
			close(plain_connect(port));
			connected++;
		}
		expect(rota_cancel(caller.task), ==, 0);
		expect(rota_join(caller.task, &caller.status), ==, 0);
		if (caller.status >= 0)
			taken++;
		else
			expect(caller.status, ==, -ECANCELED);
	}
	rota_accept_stream_stop(&caller.stream);
	while (call_next(&caller) >= 0)
		taken++;
	rota_accept_stream_close(&caller.stream);
	expect(taken + count_backlog(listener), ==, connected);
	close(listener);
}

static void cancel_script(const struct place *place)
{
	(void)place;
	cancel_with(0);
	cancel_with(1);
	cancel_with(2);
}

UNIT_TEST(accept_stream, cancelled)
{
	in_fibers(cancel_script, 0);
	in_fibers(cancel_script, 1);
}

/* The listener is closed while somebody waits: there is nothing more to come. */
static void closed_script(const struct place *place)
{
	struct caller caller;
	int port;

	(void)place;
	for (unsigned i = 0; i < 10; i++) {
		int listener = plain_listen(5, &port);

		rota_accept_stream_init(&caller.stream, listener, 0);
		expect(rota_spawn(&caller.task, call_next, &caller), ==, 0);
		unit_until_resting(caller.task); /* to begin at the same moment would be a mistake, and may never end */
		rota_sleep(i * ROTA_US(100));
		expect(rota_close(listener), ==, 0);
		expect(rota_join(caller.task, &caller.status), ==, 0);
		expect(caller.status, ==, -ECANCELED);
		rota_accept_stream_stop(&caller.stream);
		rota_accept_stream_close(&caller.stream);
	}
}

UNIT_TEST(accept_stream, closed)
{
	in_fibers(closed_script, 0);
}

/* It has no operation under way then: the next one must not begin, on a number that may be another's. */
static void closed_in_a_pause_script(const struct place *place)
{
	struct caller caller;
	int port, listener = plain_far(plain_listen(5, &port));

	(void)place;
	rota_accept_stream_init(&caller.stream, listener, 0);
	rota__fault_arm(ROTA__FAULT_OP, 1, -EMFILE);
	expect(rota_spawn(&caller.task, call_next, &caller), ==, 0);
	unit_until_resting(caller.task);
	rota__fault_arm(ROTA__FAULT_OP, 0, 0);
	expect(caller.stream.exhausted, ==, 1);
	expect(rota_close(listener), ==, 0);
	plain_at(plain_listen(5, &port), listener); /* the number is in use again */
	expect(rota_join(caller.task, &caller.status), ==, 0);
	expect(caller.status, ==, -ECANCELED);
	rota_accept_stream_stop(&caller.stream);
	rota_accept_stream_close(&caller.stream);
	close(listener);
}

UNIT_TEST(accept_stream, closed_in_a_pause)
{
	in_fibers(closed_in_a_pause_script, 0);
}

/* Closed between two waits it is over: who comes to the number later comes to another listener. */
static void closed_between_script(const struct place *place)
{
	for (unsigned capacity = 0; capacity < 3; capacity++) {
		struct rota_accept_stream stream;
		struct rota_op closer;
		int port, fd, client, number = plain_far(plain_listen(5, &port));

		rota_accept_stream_init(&stream, number, capacity);
		client = plain_connect(port);
		fd = carry_next(place, &stream);
		expect(fd, >=, 0);
		close(fd);
		close(client);
		rota_op_close(&closer, number);
		expect(place->carry(place, &closer.future), ==, 0);
		plain_at(plain_listen(5, &port), number);
		client = plain_connect(port);
		expect(carry_next(place, &stream), ==, -ECANCELED);
		expect(carry_next(place, &stream), ==, -ECANCELED);
		carry_stop(place, &stream);
		rota_accept_stream_close(&stream);
		expect(count_backlog(number), ==, 1);
		close(client);
		rota_op_close(&closer, number);
		expect(place->carry(place, &closer.future), ==, 0);
	}
}

UNIT_TEST(accept_stream, closed_between_two_waits)
{
	everyhow(closed_between_script);
}

/* --- from runtime to runtime ------------------------------------------------------------------------------------------------ */

/* With room for one, so that nothing is under way between two waits. */
struct traveller {
	struct rota_accept_stream stream;
	int number, port;
};

static int close_number(void *arg)
{
	return rota_close(((struct traveller *)arg)->number);
}

static int call_travelling(void *arg)
{
	struct traveller *traveller = arg;
	int client = plain_connect(traveller->port);
	int fd = rota_accept_stream_next(&traveller->stream);

	close(client);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

/* Outside of any runtime: NULL. */
static void travel(rota_runtime *rt, struct traveller *traveller, rota_fn *fn, int status)
{
	expect(rt != NULL ? rota_block_on(rt, fn, traveller) : fn(traveller), ==, status);
}

static void travel_begin(struct traveller *traveller, int number)
{
	const int listener = plain_listen(5, &traveller->port);

	traveller->number = number < 0 ? plain_far(listener) : plain_at(listener, number);
	rota_accept_stream_init(&traveller->stream, traveller->number, 1);
}

static void travel_end(struct traveller *traveller)
{
	rota_accept_stream_stop(&traveller->stream);
	rota_accept_stream_close(&traveller->stream);
	close(traveller->number);
}

/* Each runtime is where the one before it was, as a rule, and has seen other closes. */
UNIT_TEST(accept_stream, outlives_its_runtime)
{
	struct traveller traveller;
	rota_runtime *rt;

	travel_begin(&traveller, -1);
	for (unsigned i = 0; i < 4; i++) {
		expect(rota_runtime_new(&rt, NULL), ==, 0);
		if (i == 0) {
			travel(rt, &traveller, close_number, 0);
			travel_begin(&traveller, traveller.number);
		}
		for (unsigned waits = 0; waits < 2; waits++)
			travel(rt, &traveller, call_travelling, 0);
		place_runtime_free(rt);
		travel(NULL, &traveller, call_travelling, 0);
	}
	travel_end(&traveller);
}

/* Whoever has closed the number, and wherever the stream waits next. */
UNIT_TEST(accept_stream, closed_in_another_runtime)
{
	rota_runtime *places[3] = { NULL };
	struct traveller traveller, stranger;

	for (unsigned i = 1; i < 3; i++)
		expect(rota_runtime_new(&places[i], NULL), ==, 0);
	for (unsigned i = 0; i < 9; i++) {
		travel_begin(&traveller, -1);
		for (unsigned waits = 0; waits < 3; waits++)
			travel(places[waits], &traveller, call_travelling, 0);
		travel(places[i / 3], &traveller, close_number, 0);
		travel_begin(&stranger, traveller.number);
		traveller.port = stranger.port;
		travel(places[i % 3], &traveller, call_travelling, -ECANCELED);
		travel(places[i % 3], &stranger, call_travelling, 0);
		rota_accept_stream_stop(&traveller.stream);
		rota_accept_stream_close(&traveller.stream);
		travel_end(&stranger);
	}
	for (unsigned i = 1; i < 3; i++)
		place_runtime_free(places[i]);
}

/* --- a queue that is full --------------------------------------------------------------------------------------------------- */

/* Who comes when the queue is full stays with the kernel, and is taken later. */
static void full_script(const struct place *place)
{
	enum { CAPACITY = 2, EARLY = 3, LATE = 2 };
	struct rota_accept_stream stream;
	int clients[EARLY + LATE], port;
	int listener = plain_listen(EARLY + LATE, &port);

	rota_accept_stream_init(&stream, listener, CAPACITY);
	for (int i = 0; i < EARLY; i++)
		clients[i] = plain_connect(port);
	close(carry_next(place, &stream));
	if (!stream.single_ && rota_runtime_backend(place->rt) == ROTA_BACKEND_IO_URING) {
		while (!rota__slot_fired(&stream.op_.state_)) /* the kernel was told to stop */
			expect(rota_yield(), ==, 0);
		expect(stream.count_, ==, EARLY - 1);
	}
	for (int i = EARLY; i < EARLY + LATE; i++)
		clients[i] = plain_connect(port);
	for (int i = 0; i < 100; i++)
		expect(rota_yield(), ==, 0);
	expect(stream.count_, <=, CAPACITY);
	for (int i = 1; i < EARLY + LATE; i++)
		close(carry_next(place, &stream));
	carry_stop(place, &stream);
	rota_accept_stream_close(&stream);
	for (int i = 0; i < EARLY + LATE; i++)
		close(clients[i]);
	close(listener);
}

UNIT_TEST(accept_stream, full)
{
	in_fibers(full_script, 0);
}

/* With room for one each connection is accepted when it is asked for: the others are still the kernel's. */
static void on_demand_script(const struct place *place)
{
	enum { CLIENTS = 5 };
	struct rota_accept_stream stream;
	int clients[CLIENTS], port;
	int listener = plain_listen(CLIENTS, &port);

	rota_accept_stream_init(&stream, listener, 1);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = plain_connect(port);
	for (int i = 0; i < 2; i++)
		close(carry_next(place, &stream));
	expect(count_backlog(listener), ==, CLIENTS - 2);
	carry_stop(place, &stream);
	expect(carry_next(place, &stream), ==, -ECANCELED);
	rota_accept_stream_close(&stream);
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	close(listener);
}

UNIT_TEST(accept_stream, accepts_on_demand)
{
	everyhow(on_demand_script);
}

/* --- no descriptor left ----------------------------------------------------------------------------------------------------- */

struct shortage {
	struct rlimit limit;
	const struct rota_accept_stream *stream;
	unsigned until; /* exhausted so often */
};

static void raise_limit(void *arg)
{
	const struct shortage *shortage = arg;

	while (__atomic_load_n(&shortage->stream->exhausted, __ATOMIC_RELAXED) < shortage->until)
		usleep(1000);
	expect(setrlimit(RLIMIT_NOFILE, &shortage->limit), ==, 0);
}

/* Accepts when no descriptor is left, until it was tried so often, and there is one again: the connection. */
static int accept_in_shortage(const struct place *place, struct rota_accept_stream *stream, int listener, unsigned tries)
{
	struct shortage shortage = { .stream = stream, .until = stream->exhausted + tries };
	struct rlimit low;
	struct party party;
	int fd, next = dup(listener);

	close(next);
	expect(getrlimit(RLIMIT_NOFILE, &shortage.limit), ==, 0);
	low = (struct rlimit){ (rlim_t)next, shortage.limit.rlim_max };
	expect(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
	party_start(&party, raise_limit, &shortage);
	party_go(&party);
	fd = carry_next(place, stream);
	party_join(&party);
	return fd;
}

/* Lines that tell of it. Others may, too: a spare worker, which a worker without a CPU calls, finds no descriptor either. */
static unsigned times_told(const char *text)
{
	unsigned n = 0;

	while ((text = strstr(text, "accept on descriptor ")) != NULL) {
		text += strcspn(text, "\n");
		n++;
	}
	return n;
}

enum { SHORTAGES = 3 };

static void exhaust(const struct place *place, unsigned capacity, int shortages)
{
	struct rota_accept_stream stream;
	struct unit_capture capture;
	int clients[SHORTAGES], fds[SHORTAGES], port;
	int listener = plain_listen(5, &port);
	uint64_t start, spent, tens = 0;
	const char *text;

	unit_capture_begin(&capture);
	rota_accept_stream_init(&stream, listener, capacity);
	start = rota_now();
	for (int i = 0; i < shortages; i++) {
		const unsigned before = stream.exhausted;

		clients[i] = plain_connect(port);
		spent = rota_now();
		fds[i] = accept_in_shortage(place, &stream, listener, 2);
		tens += (rota_now() - spent) / ROTA_MS(10);
		expect(fds[i], >=, 0);
		expect(stream.exhausted, >, before);
	}
	spent = rota_now() - start;
	text = unit_capture_end(&capture);
	expect(stream.exhausted, <=, (unsigned)shortages + tens); /* between two tries it waits that long at least */
	expect(stream.dropped, ==, 0);
	expect(times_told(text), >=, 1);
	expect(times_told(text), <=, 1 + spent / ROTA_SECONDS(1)); /* told once a second */
	expect_contains(text, "Too many open files");
	carry_stop(place, &stream);
	rota_accept_stream_close(&stream);
	for (int i = 0; i < shortages; i++) {
		close(fds[i]);
		close(clients[i]);
	}
	close(listener);
}

static void exhausted_script(const struct place *place)
{
	exhaust(place, 0, 1);
}

UNIT_TEST(accept_stream, no_descriptor_left)
{
	everyhow(exhausted_script);
}

/* One that begins when another has just been told is told, too, if it lasts: eight tries are 10 + 20 + ... + 640 ms. */
static void exhausted_for_long_script(const struct place *place)
{
	struct rota_accept_stream stream;
	struct unit_capture capture;
	int clients[2], fds[2], port;
	int listener = plain_listen(5, &port);

	unit_capture_begin(&capture);
	rota_accept_stream_init(&stream, listener, 1);
	for (int i = 0; i < 2; i++) {
		clients[i] = plain_connect(port);
		fds[i] = accept_in_shortage(place, &stream, listener, i == 0 ? 1 : 8);
		expect(fds[i], >=, 0);
	}
	expect(times_told(unit_capture_end(&capture)), ==, 2);
	rota_accept_stream_close(&stream);
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(clients[i]);
	}
	close(listener);
}

UNIT_TEST(accept_stream, no_descriptor_left_for_long)
{
	in_fibers(exhausted_for_long_script, 0);
}

/* Each accept is asked for when none is left. */
static void exhausted_again_script(const struct place *place)
{
	exhaust(place, 1, SHORTAGES);
}

UNIT_TEST(accept_stream, no_descriptor_left_again_and_again)
{
	everyhow(exhausted_again_script);
}
