/* SPDX-License-Identifier: MIT */
/* Several producers, one consumer, one channel, with more and less room and unbounded: taken one by one, and by
 * rota_channel_recv_many (with tokio's sync_mpsc: contention). */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

enum { BATCH = 256, LITTLE_ROOM = 100, AMPLE_ROOM = 1000000 };

static struct bench_param params[] = {
	{ "producers", 4, 4, "tasks that send, at most 1,000" },
	{ "messages", 10000, 1000, "messages of each at a time" },
	{ "capacity", 1024, 1024, "of the channel" },
	{ NULL, 0, 0, NULL },
};

struct works {
	struct rota_channel channel;
	size_t producers;
	uint64_t messages;
	size_t capacity;
	uint64_t sum;
	int (*consume)(struct works *works, uint64_t *sum);
};

static int producer(void *arg)
{
	struct works *works = arg;
	const uint64_t messages = works->messages; /* beside what both ends write */
	int rc = 0;

	for (uint64_t i = 0; i < messages && rc == 0; i++)
		rc = rota_channel_send(&works->channel, &i);
	return rc;
}

static int consume_each(struct works *works, uint64_t *sum)
{
	for (uint64_t left = works->producers * works->messages; left > 0; left--) {
		uint64_t value;
		int rc = rota_channel_recv(&works->channel, &value);

		if (rc < 0)
			return rc;
		*sum += value;
	}
	return 0;
}

static int consume_many(struct works *works, uint64_t *sum)
{
	uint64_t values[BATCH], left = works->producers * works->messages;

	while (left > 0) {
		ssize_t n = rota_channel_recv_many(&works->channel, values, BATCH);

		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++)
			*sum += values[i];
		left -= (uint64_t)n;
	}
	return 0;
}

/* Everything has been received, or has failed: then the close ends producers that still wait. */
static int consume_and_close(void *arg)
{
	struct works *works = arg;
	int rc = works->consume(works, &works->sum);

	rota_channel_close(&works->channel);
	return rc;
}

static int mpsc_step(void *arg)
{
	struct works *works = arg;
	const uint64_t n = works->messages;
	int rc = rota_channel_init(&works->channel, sizeof(uint64_t), works->capacity);

	if (rc < 0)
		return rc;
	works->sum = 0;
	rc = crowd_run(works->producers, producer, consume_and_close, works);
	rota_channel_deinit(&works->channel);
	if (rc == 0 && works->sum != works->producers * (n * (n - 1) / 2))
		rc = -EBADMSG;
	return rc;
}

static int measure(const char *name, struct works *works, size_t capacity, int (*consume)(struct works *, uint64_t *))
{
	works->consume = consume;
	works->capacity = capacity;
	return bench_time_each(name, mpsc_step, works, works->producers * works->messages);
}

/* The rest of tokio's: never full, full most of the time, and unbounded with many taken at a time. */
static int measure_room(struct works *works)
{
	int rc = measure("mpsc_roomy", works, AMPLE_ROOM, consume_each);

	if (rc == 0)
		rc = measure("mpsc_full", works, LITTLE_ROOM, consume_each);
	if (rc == 0)
		rc = measure("mpsc_full_recv_many", works, LITTLE_ROOM, consume_many);
	if (rc == 0)
		rc = measure("mpsc_unbounded_many", works, ROTA_UNBOUNDED, consume_many);
	return rc;
}

static int inside(void *arg)
{
	const size_t capacity = (size_t)bench_param("capacity");
	int rc = measure("mpsc", arg, capacity, consume_each);

	if (rc == 0)
		rc = measure("mpsc_recv_many", arg, capacity, consume_many);
	if (rc == 0)
		rc = measure("mpsc_unbounded", arg, ROTA_UNBOUNDED, consume_each);
	return rc < 0 || bench_plain() ? rc : measure_room(arg);
}

static int round_of_mpsc(void)
{
	struct works works = { .producers = (size_t)bench_param("producers"), .messages = bench_param("messages") };

	if (works.producers == 0 || works.producers > CROWD_MAX || works.messages == 0)
		return -EINVAL;
	return bench_run(inside, &works);
}

static const struct bench bench = {
	.name = "mpsc",
	.about = "four producers, one consumer, one channel; per message",
	.round = round_of_mpsc,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
