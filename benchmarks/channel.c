/* SPDX-License-Identifier: MIT */
/*
 * One sender, one receiver, one channel: one by one, in batches, and in batches on two workers. One task that fills a
 * channel and then takes everything out again; and a channel that is made, has one element or none, and is destroyed
 * (tokio's sync_mpsc: uncontended, create, send).
 */
#include <errno.h>
#include <string.h>

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

/* ---- the two on two workers, which they do not leave ---- */

struct side {
	rota_fn *fn;
	struct works *works;
	_Atomic unsigned *there;
};

/* Two at once that do not wait are on two workers. */
static int on_a_worker_of_its_own(void *arg)
{
	const struct side *side = arg;
	rota_task *task;
	int status = 0, rc;

	atomic_fetch_add(side->there, 1);
	while (atomic_load(side->there) < 2)
		;
	rc = rota_spawn_local(&task, side->fn, side->works);
	if (rc == 0)
		rc = rota_join(task, &status);
	return rc < 0 ? rc : status;
}

static int across_step(void *arg)
{
	_Atomic unsigned there = 0;
	struct side sender = { send_all, arg, &there }, receiver = { receive_all, arg, &there };
	struct rota_scope scope;
	int rc = rota_scope_open(&scope, 0);

	if (rc < 0)
		return rc;
	rc = rota_scope_spawn(&scope, NULL, on_a_worker_of_its_own, &sender);
	if (rc == 0)
		rc = rota_scope_spawn(&scope, NULL, on_a_worker_of_its_own, &receiver);
	if (rc < 0) { /* who came alone need not wait for another */
		atomic_store(&there, 2);
		rota_scope_cancel(&scope);
	}
	return rota_scope_close(&scope) < 0 && rc == 0 ? -EBADMSG : rc;
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

/* ---- one task that sends 5,000 elements into a new channel, and then receives them ---- */

enum { BURST = 5000, AMPLE_ROOM = 1000000 };

struct burst {
	size_t capacity, batch; /* received so many at a time; sent one by one */
};

static int burst_step(void *arg)
{
	const struct burst *burst = arg;
	struct works works = { .messages = BURST, .batch = 1 };
	int rc = rota_channel_init(&works.channel, sizeof(uint64_t), burst->capacity);

	if (rc < 0)
		return rc;
	rc = send_all(&works);
	works.batch = burst->batch;
	if (rc == 0)
		rc = receive_all(&works);
	rota_channel_deinit(&works.channel);
	return rc;
}

static int measure_bursts(void)
{
	static const struct {
		const char *name;
		struct burst burst;
	} rows[] = {
		{ "channel_burst", { AMPLE_ROOM, 1 } },
		{ "channel_burst_many", { AMPLE_ROOM, BATCH } },
		{ "unbounded_burst", { ROTA_UNBOUNDED, 1 } },
		{ "unbounded_burst_many", { ROTA_UNBOUNDED, BATCH } },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && rc == 0; i++) {
		struct burst burst = rows[i].burst;

		rc = bench_time_each(rows[i].name, burst_step, &burst, BURST);
	}
	return rc;
}

/* ---- channels that are made, have one element or none, and are destroyed ---- */

enum { MEDIUM = 64 * sizeof(uint64_t), LARGE = 64 * MEDIUM }; /* elements as tokio's */

struct making {
	size_t elem_size, places;
	unsigned char *elem; /* NULL: none is sent */
};

/* An element is all zero and made for the occasion, as tokio's is. */
static int pass_one(struct rota_channel *channel, const struct making *making)
{
	int rc;

	memset(making->elem, 0, making->elem_size);
	rc = rota_channel_send(channel, making->elem);
	return rc < 0 ? rc : rota_channel_recv(channel, making->elem);
}

static int make_step(void *arg)
{
	const struct making *making = arg;

	for (int i = 0; i < MADE; i++) {
		struct rota_channel channel;
		int rc = rota_channel_init(&channel, making->elem_size, making->places);

		if (rc == 0 && making->elem)
			rc = pass_one(&channel, making);
		if (rc < 0)
			return rc;
		rota_channel_deinit(&channel);
	}
	return 0;
}

static int measure_making(void)
{
	static unsigned char elem[LARGE];
	static const struct {
		const char *name;
		struct making making;
	} rows[] = {
		{ "channel_new", { sizeof(uint64_t), 100, elem } }, { "channel_create_1", { MEDIUM, 1, NULL } },
		{ "channel_create_100", { MEDIUM, 100, NULL } },    { "channel_create_100k", { MEDIUM, 100000, NULL } },
		{ "channel_send_medium", { MEDIUM, 1000, elem } },  { "channel_send_large", { LARGE, 1000, elem } },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && rc == 0; i++) {
		struct making making = rows[i].making;

		rc = bench_time_each(rows[i].name, make_step, &making, MADE);
	}
	return rc;
}

static int measure(const char *name, int (*step)(void *arg), struct works *works, size_t batch)
{
	double ns = 0;
	int rc;

	works->batch = batch;
	rc = bench_time(step, works, &ns);
	if (rc == 0)
		bench_report(name, (double)works->messages * 1e9 / ns, "elements/s");
	return rc;
}

static int inside(void *arg)
{
	int rc = measure("channel", channel_step, arg, 1);

	if (rc == 0)
		rc = measure("channel_batches", channel_step, arg, BATCH);
	if (rc == 0 && !bench_plain() && bench_param("workers") >= 2)
		rc = measure("channel_across", across_step, arg, BATCH);
	if (rc == 0)
		rc = bench_time_each("channel_alone", alone_step, arg, FILL);
	if (rc == 0)
		rc = measure_bursts();
	return rc < 0 ? rc : measure_making();
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
	.about = "one sender, one receiver, a channel of 4096 elements: one by one, and 256 at a time; one task with "
		 "both "
		 "ends; channels made and destroyed",
	.round = round_of_channel,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
