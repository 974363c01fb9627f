/* SPDX-License-Identifier: MIT */
/*
 * Pairs of members at the two ends of a stream, over sockets, pipes and memory, with buffers of random size: one writes a
 * known sequence in random portions and ways, the other reads it in others, and both change their minds again and again.
 * Nothing is lost, doubled or out of order. Some pairs have a third member between them that copies.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crew.h"

#define PAIRS 4u
#define ROUNDS STRESS_FEWER(16u)
#define LENGTH 6000u
#define MOST 700u

/* Three members of a pair: who writes, who copies from the first channel to the second, who reads. */
struct channel {
	struct rota_duplex duplex;
	bool in_memory;
	struct rota_stream writer, reader;
};

struct pair {
	struct channel channels[2];
};

static unsigned char known(uint64_t i)
{
	return (unsigned char)(i * 7 + i / 256);
}

static void writer(struct member *member, struct rota_stream *s)
{
	unsigned char bytes[MOST];
	struct rota_stream_op op;
	uint64_t at = 0;
	int rc;

	while (at < LENGTH) {
		uint32_t n = 1 + stress_below(&member->random, MOST);

		if (n > LENGTH - at)
			n = (uint32_t)(LENGTH - at);
		for (uint32_t i = 0; i < n; i++)
			bytes[i] = known(at + i);
		if (stress_one_in(&member->random, 4)) {
			rota_op_stream_flush(&op, s);
			rc = member_wait_maybe(member, &op.future);
		} else {
			rota_op_stream_write_all(&op, s, bytes, n);
			rc = member_wait_maybe(member, &op.future);
			at += op.done;
		}
		if (rc < 0)
			expect(rc, ==, -ECANCELED);
		else
			stress_moved();
	}
	do {
		rota_op_stream_shutdown(&op, s);
		rc = member_wait_maybe(member, &op.future);
	} while (rc == -ECANCELED);
	expect(rc, ==, 0);
	expect(rota_stream_unwritten(s), ==, 0);
	expect(rota_stream_written(s), ==, LENGTH);
}

static void copier(struct member *member, struct rota_stream *from, struct rota_stream *to)
{
	struct rota_stream_copy_op copy;
	struct rota_stream_op op;
	uint64_t copied = 0;
	int rc;

	do {
		rota_op_stream_copy(&copy, from, to,
				    stress_one_in(&member->random, 2) ? UINT64_MAX
								      : stress_below(&member->random, MOST));
		rc = member_wait_maybe(member, &copy.future);
		copied += copy.copied;
		if (rc < 0)
			expect(rc, ==, -ECANCELED);
		stress_moved();
	} while (copied < LENGTH);
	rota_op_stream_shutdown(&op, to);
	expect(member_wait(member, &op.future), ==, 0);
}

/* One read in some way; how many bytes it gave, from `bytes` on. */
static size_t read_somehow(struct member *member, struct rota_stream *s, unsigned char *bytes, bool *ret_end)
{
	uint32_t n = 1 + stress_below(&member->random, MOST), way = stress_below(&member->random, 5);
	struct rota_stream_op op;
	size_t len;
	int rc;

	if (way == 0)
		rota_op_stream_read(&op, s, bytes, n);
	else if (way == 1)
		rota_op_stream_read_exact(&op, s, bytes, n);
	else if (way == 2)
		rota_op_stream_fill(&op, s, 1);
	else if (way == 3)
		rota_op_stream_read_to_end(&op, s, bytes, n);
	else
		rota_op_stream_read_until(&op, s, "\x15", 1, bytes, MOST);
	rc = member_wait_maybe(member, &op.future);
	if (rc < 0 && rc != -EMSGSIZE)
		expect(rc, ==, -ECANCELED);
	if (way == 2 && rc > 0) {
		const void *first = rota_stream_peek(s, &len);

		expect(len, >=, 1);
		bytes[0] = *(const unsigned char *)first;
		rota_stream_consume(s, 1);
		return 1;
	}
	*ret_end = rc == 0 && op.done < n;
	if (way == 0 && rc > 0)
		expect(op.done, ==, rc);
	if (rc == -EMSGSIZE && way == 4) { /* some of it, then */
		rota_op_stream_read(&op, s, bytes, n);
		rc = member_wait(member, &op.future);
		expect(rc, >, 0);
	}
	return op.done;
}

static void reader(struct member *member, struct rota_stream *s)
{
	unsigned char bytes[MOST + 1];
	uint64_t at = 0;
	bool end = false;

	while (!end) {
		size_t n = read_somehow(member, s, bytes, &end);

		for (size_t i = 0; i < n; i++)
			expect(bytes[i], ==, known(at + i));
		at += n;
		if (n > 0)
			stress_moved();
	}
	expect(at, ==, LENGTH);
}

static void work(struct member *member)
{
	struct pair *pair = &((struct pair *)member->crew->data)[member->number / 3];

	if (member->number % 3 == 0)
		writer(member, &pair->channels[0].writer);
	else if (member->number % 3 == 1)
		copier(member, &pair->channels[0].reader, &pair->channels[1].writer);
	else
		reader(member, &pair->channels[1].reader);
}

static size_t some_size(struct stress_random *random)
{
	static const size_t sizes[] = { 1, 2, 17, 100, 1000, 8192 };

	return sizes[stress_below(random, 6)];
}

static void channel_init(struct channel *channel, struct stress_random *random)
{
	const struct rota_stream_buffers buffers = { .in_size = some_size(random), .out_size = some_size(random) };
	const int room = 4096;
	int fds[2];

	channel->in_memory = stress_one_in(random, 2);
	if (channel->in_memory) {
		expect(rota_duplex_init(&channel->duplex, some_size(random)), ==, 0);
		expect(rota_stream_init(&channel->writer, &rota_duplex_ops, &channel->duplex.ends[0], &buffers), ==, 0);
		expect(rota_stream_init(&channel->reader, &rota_duplex_ops, &channel->duplex.ends[1], &buffers), ==, 0);
		return;
	}
	if (stress_one_in(random, 2)) {
		expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
		setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		expect(rota_stream_init_fd(&channel->writer, fds[1], &buffers), ==, 0);
		expect(rota_stream_init_fd(&channel->reader, fds[0], &buffers), ==, 0);
	} else {
		expect(pipe2(fds, O_CLOEXEC), ==, 0);
		fcntl(fds[1], F_SETPIPE_SZ, room);
		expect(rota_stream_init_fds(&channel->writer, -1, fds[1], &buffers), ==, 0);
		expect(rota_stream_init_fds(&channel->reader, fds[0], -1, &buffers), ==, 0);
	}
}

static int close_all(void *arg)
{
	struct pair *pairs = arg;

	for (unsigned i = 0; i < PAIRS * 2; i++) {
		struct channel *channel = &pairs[i / 2].channels[i % 2];

		expect(rota_stream_close(&channel->writer), ==, 0);
		expect(rota_stream_close(&channel->reader), ==, 0);
		if (channel->in_memory)
			rota_duplex_deinit(&channel->duplex);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct stress_random random;
	unsigned descriptors;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	descriptors = stress_descriptors();
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct pair *pairs = calloc(PAIRS, sizeof(*pairs));
		struct crew crew;

		for (unsigned i = 0; i < PAIRS * 2; i++)
			channel_init(&pairs[i / 2].channels[i % 2], &random);
		crew_init(&crew, PAIRS * 3, &random);
		crew_work(&crew, work, pairs);
		expect(rota_block_on(crew.rt, close_all, pairs), ==, 0);
		crew_free(&crew);
		free(pairs);
		expect(stress_descriptors(), ==, descriptors);
	}
	return 0;
}
