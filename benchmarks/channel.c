/* SPDX-License-Identifier: MIT */
/*
 * One sender, one receiver, one channel: one by one, and in batches. One task that fills a channel and then takes everything out
 * again; and a channel that is made, has one element, and is destroyed (tokio's sync_mpsc).
 */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

enum { BATCH = 256, CAPACITY = 4096 };

static struct bench_param params[] = {
	{ "messages", 100000, 10000, "messages at a time" },
	{ NULL, 0, 0, NULL },
};

struct works {
	struct rota_channel channel;
	uint64_t messages;
	size_t batch;
};

static int send_all(void *arg)
{
	struct works *works = arg;
	uint64_t values[BATCH], sent = 0;
	ssize_t n = 0;

	while (sent < works->messages && n >= 0) {
		size_t count = works->batch;

		if (count == 1) {
			n = rota_channel_send(&works->channel, &sent);
			sent++;
			continue;
		}
		count = count < works->messages - sent ? count : (size_t)(works->messages - sent);
		for (size_t i = 0; i < count; i++)
			values[i] = sent + i;
		n = rota_channel_send_many(&works->channel, values, count);
		sent += count;
	}
	return n < 0 ? (int)n : 0;
}

static int receive_all(void *arg)
{
	struct works *works = arg;
	uint64_t values[BATCH], got = 0, sum = 0;

	while (got < works->messages) {
		ssize_t n = 1;

		if (works->batch == 1)
			n = rota_channel_recv(&works->channel, values) < 0 ? -EPIPE : 1;
		else
			n = rota_channel_recv_many(&works->channel, values, works->batch);
		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++)
			sum += values[i];
		got += (uint64_t)n;
	}
	return sum == works->messages * (works->messages - 1) / 2 ? 0 : -EBADMSG;
}

static int channel_step(void *arg)
{
	return crowd_run(1, send_all, receive_all, arg);
}

enum { FILL = 1000, MADE = 100 };

static int fill_and_empty(struct rota_channel *channel, uint64_t count)
{
	uint64_t sum = 0;
	int rc = 0;

	for (uint64_t i = 0; i < count && rc == 0; i++)
		rc = rota_channel_send(channel, &i);
	for (uint64_t i = 0; i < count && rc == 0; i++) {
		uint64_t value = 0;

		rc = rota_channel_recv(channel, &value);
		sum += value;
	}
	return rc == 0 && sum != count * (count - 1) / 2 ? -EBADMSG : rc;
}

static int alone_step(void *arg)
{
	struct works *works = arg;

	return fill_and_empty(&works->channel, FILL);
}

static int new_step(void *arg)
{
	(void)arg;
	for (int i = 0; i < MADE; i++) {
		struct rota_channel channel;
		int rc = rota_channel_init(&channel, sizeof(uint64_t), MADE);

		if (rc < 0)
			return rc;
		rc = fill_and_empty(&channel, 1);
		rota_channel_deinit(&channel);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int measure_alone(struct works *works)
{
	int rc = bench_time_each("channel_alone", alone_step, works, FILL);

	return rc < 0 ? rc : bench_time_each("channel_new", new_step, NULL, MADE);
}

static int measure(const char *name, struct works *works, size_t batch)
{
	double ns = 0;
	int rc;

	works->batch = batch;
	rc = bench_time(channel_step, works, &ns);
	if (rc == 0)
		bench_report(name, (double)works->messages * 1e9 / ns, "elements/s");
	return rc;
}

static int inside(void *arg)
{
	int rc = measure("channel", arg, 1);

	if (rc == 0)
		rc = measure("channel_batches", arg, BATCH);
	return rc < 0 ? rc : measure_alone(arg);
}

static int round_of_channel(void)
{
	struct works works = { .messages = bench_param("messages") };
	int rc = rota_channel_init(&works.channel, sizeof(uint64_t), CAPACITY);

	if (rc < 0)
		return rc;
	rc = works.messages == 0 ? -EINVAL : bench_run(inside, &works);
	rota_channel_deinit(&works.channel);
	return rc;
}

static const struct bench bench = {
	.name = "channel",
	.about = "one sender, one receiver, a channel of 4096 elements: one by one, and 256 at a time",
	.round = round_of_channel,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
