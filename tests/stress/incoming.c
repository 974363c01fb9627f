/* SPDX-License-Identifier: MIT */
/*
 * Pairs of members: one connects again and again and sends a known sequence in random portions, the other takes the
 * connections and the bytes from streams of them, is slow at times, changes its mind, stops in between and begins anew,
 * and gives buffers back late. No connection, byte or descriptor is lost, and what is in a buffer stays there until the
 * buffer is given back.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../io/accept_stream.h"
#include "../../io/fd.h"
#include "../../io/recv_stream.h"
#include "../../io/socket.h"
#include "crew.h"

#define PAIRS 4u
#define ROUNDS STRESS_FEWER(16u)
#define CONNECTIONS 12u
#define LENGTH 20000u
#define MOST 3000u
#define HELD 3u

struct pair {
	int listener;
	struct sockaddr_in address;
};

static unsigned char known(uint64_t i)
{
	return (unsigned char)(i * 7 + i / 256);
}

/* --- who connects ------------------------------------------------------------------------------------------------- */

static void send_all(struct member *member, int fd)
{
	unsigned char bytes[MOST];
	uint64_t at = 0;

	while (at < LENGTH) {
		uint32_t n = 1 + stress_below(&member->random, MOST);
		struct rota_op op;
		int rc;

		if (n > LENGTH - at)
			n = (uint32_t)(LENGTH - at);
		for (uint32_t i = 0; i < n; i++)
			bytes[i] = known(at + i);
		rota_op_send(&op, fd, bytes, n, 0);
		rc = member_wait_maybe(member, &op.future);
		if (rc < 0)
			expect(rc, ==, -ECANCELED);
		else
			at += (uint64_t)rc;
	}
}

static void client(struct member *member, const struct pair *pair)
{
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		struct rota_op op;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		expect(fd, >=, 0);
		rota_op_connect(&op, fd, (const struct sockaddr *)&pair->address, sizeof(pair->address));
		expect(member_wait(member, &op.future), ==, 0);
		send_all(member, fd);
		rota_op_close(&op, fd);
		expect(member_wait(member, &op.future), ==, 0);
	}
}

/* --- who takes ---------------------------------------------------------------------------------------------------- */

/* Buffers that were not given back yet, and where in the sequence their bytes are. */
struct held {
	struct rota_buffer buffers[HELD];
	uint64_t at[HELD];
	unsigned n;
};

static void check(const struct rota_buffer *buffer, uint64_t at)
{
	for (size_t i = 0; i < buffer->len; i++)
		expect(buffer->data[i], ==, known(at + i));
}

/* Gives one back, after a last look at it. */
static void give_back(struct held *held, unsigned index)
{
	check(&held->buffers[index], held->at[index]);
	rota_buffer_release(&held->buffers[index]);
	held->n--;
	held->buffers[index] = held->buffers[held->n];
	held->at[index] = held->at[held->n];
}

/* Until the stream ends (true), or was stopped and is empty. */
static bool take_some(struct member *member, struct rota_recv_stream *stream, struct held *held, uint64_t *at)
{
	bool stopped = false;

	for (;;) {
		struct rota_buffer *buffer = &held->buffers[held->n];
		int rc;

		if (!stopped && stress_one_in(&member->random, 16)) {
			rota_recv_stream_stop_init(stream);
			expect(member_wait(member, &stream->future), ==, 0);
			stopped = true;
		}
		rota_recv_stream_next_init(stream, buffer);
		rc = stopped ? member_wait(member, &stream->future) : member_wait_maybe(member, &stream->future);
		if (rc == 0)
			return true;
		if (rc < 0) {
			expect(rc, ==, -ECANCELED);
			if (stopped)
				return false;
			continue;
		}
		stress_moved();
		expect(buffer->len, ==, (size_t)rc);
		check(buffer, *at);
		held->at[held->n++] = *at;
		*at += (uint64_t)rc;
		stress_pause(&member->random);
		while (held->n == HELD || (held->n > 0 && stress_one_in(&member->random, 2)))
			give_back(held, stress_below(&member->random, held->n));
	}
}

static void receive_all(struct member *member, int fd)
{
	struct rota_recv_stream stream;
	struct held held = { .n = 0 };
	uint64_t at = 0;
	bool end;

	do {
		rota_recv_stream_init(&stream, fd);
		end = take_some(member, &stream, &held, &at);
		rota_recv_stream_stop_init(&stream);
		expect(member_wait(member, &stream.future), ==, 0);
		rota_recv_stream_close(&stream);
	} while (!end);
	while (held.n > 0)
		give_back(&held, 0);
	expect(at, ==, LENGTH);
}

static void server(struct member *member, const struct pair *pair)
{
	struct rota_accept_stream stream;
	unsigned taken = 0;

	rota_accept_stream_init(&stream, pair->listener, stress_below(&member->random, 4));
	while (taken < CONNECTIONS) {
		struct rota_op op;
		int fd;

		rota_accept_stream_next_init(&stream);
		fd = member_wait_maybe(member, &stream.future);
		if (fd < 0) {
			expect(fd, ==, -ECANCELED);
			continue;
		}
		taken++;
		receive_all(member, fd);
		rota_op_close(&op, fd);
		expect(member_wait(member, &op.future), ==, 0);
	}
	rota_accept_stream_stop_init(&stream);
	expect(member_wait(member, &stream.future), ==, 0);
	expect(stream.exhausted, ==, 0);
	expect(stream.dropped, ==, 0);
	rota_accept_stream_close(&stream);
}

static void work(struct member *member)
{
	const struct pair *pair = &((struct pair *)member->crew->data)[member->number / 2];

	if (member->number % 2 == 0)
		server(member, pair);
	else
		client(member, pair);
}

static void pair_init(struct pair *pair)
{
	socklen_t len = sizeof(pair->address);

	pair->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	expect(bind(pair->listener, (struct sockaddr *)&pair->address, len), ==, 0);
	expect(listen(pair->listener, 16), ==, 0);
	expect(getsockname(pair->listener, (struct sockaddr *)&pair->address, &len), ==, 0);
}

int main(int argc, char **argv)
{
	struct stress_random random;
	unsigned descriptors;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	descriptors = stress_descriptors();
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct pair pairs[PAIRS];
		struct crew crew;

		for (unsigned i = 0; i < PAIRS; i++)
			pair_init(&pairs[i]);
		crew_init(&crew, PAIRS * 2, &random);
		crew_work(&crew, work, pairs);
		crew_free(&crew);
		for (unsigned i = 0; i < PAIRS; i++)
			close(pairs[i].listener);
		expect(stress_descriptors(), ==, descriptors);
	}
	return 0;
}
