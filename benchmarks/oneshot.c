/* SPDX-License-Identifier: MIT */
/*
 * A value handed over once: a task is spawned that sends it, the spawner waits for it. Tokio's ping_pong
 * (rt_multi_threaded): a thousand tasks at once, each of which spawns a partner that answers it. And its request_reply
 * (sync_mpsc_oneshot): requests to a task, over a channel, that are answered through a oneshot each.
 */
#include <errno.h>
#include <stdatomic.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "values", 1000, 100, "values at a time" },
	{ "pairs", 1000, 100, "tasks at a time that have a partner" },
	{ NULL, 0, 0, NULL },
};

static int sender(void *arg)
{
	return rota_oneshot_send(arg, arg);
}

static int oneshot_step(void *arg)
{
	const uint64_t *values = arg;

	for (uint64_t i = 0; i < *values; i++) {
		struct rota_oneshot oneshot = ROTA_ONESHOT_INIT;
		void *value;
		int rc = rota_spawn(NULL, sender, &oneshot);

		if (rc == 0)
			rc = rota_oneshot_recv(&oneshot, &value);
		if (rc < 0)
			return rc;
		if (value != &oneshot)
			return -EBADMSG;
	}
	return 0;
}

/* --- pairs ------------------------------------------------------------------------------------------------------------- */

struct pairs {
	uint64_t count;
	_Atomic uint64_t left;
	atomic_int error; /* the first; nobody joins the tasks */
	struct rota_oneshot done;
};

struct pair {
	struct rota_oneshot ping, pong;
};

static int pong(void *arg)
{
	struct pair *pair = arg;
	void *value;
	int rc = rota_oneshot_recv(&pair->ping, &value);

	return rc < 0 ? rc : rota_oneshot_send(&pair->pong, value);
}

static int ping(void *arg)
{
	struct pair pair = { ROTA_ONESHOT_INIT, ROTA_ONESHOT_INIT };
	struct pairs *pairs = arg;
	int none = 0, rc = rota_spawn(NULL, pong, &pair);
	void *value = NULL;

	if (rc == 0)
		rc = rota_oneshot_send(&pair.ping, &pair);
	if (rc == 0)
		rc = rota_oneshot_recv(&pair.pong, &value);
	if (rc == 0 && value != &pair)
		rc = -EBADMSG;
	if (rc < 0)
		atomic_compare_exchange_strong(&pairs->error, &none, rc);
	if (atomic_fetch_sub_explicit(&pairs->left, 1, memory_order_acq_rel) == 1)
		rc = rota_oneshot_send(&pairs->done, pairs);
	return rc;
}

static int spawn_pairs(void *arg)
{
	struct pairs *pairs = arg;
	int rc = 0;

	for (uint64_t i = 0; i < pairs->count && rc == 0; i++)
		rc = rota_spawn(NULL, ping, pairs);
	return rc;
}

static int pairs_step(void *arg)
{
	struct pairs *pairs = arg;
	rota_task *spawner;
	int status = 0;
	void *value;
	int rc;

	rota_oneshot_init(&pairs->done);
	atomic_store_explicit(&pairs->left, pairs->count, memory_order_relaxed);
	rc = rota_spawn(&spawner, spawn_pairs, pairs);
	if (rc == 0)
		rc = rota_join(spawner, &status);
	if (rc < 0 || status < 0)
		return rc < 0 ? rc : status;
	rc = rota_oneshot_recv(&pairs->done, &value);
	return rc < 0 ? rc : atomic_load(&pairs->error);
}

static int measure_pairs(void)
{
	struct pairs pairs = { .count = bench_param("pairs") };

	return bench_time_each("ping_pong", pairs_step, &pairs, pairs.count);
}

/* --- requests ------------------------------------------------------------------------------------------------------------ */

enum { WAITING_REQUESTS = 10 };

struct counter {
	struct rota_channel requests; /* of pointers to where the answer goes */
	uint64_t wanted;
};

static int clerk(void *arg)
{
	struct counter *counter = arg;
	struct rota_oneshot *reply;
	int rc;

	while ((rc = rota_channel_recv(&counter->requests, &reply)) == 0) {
		rc = rota_oneshot_send(reply, counter);
		if (rc < 0)
			break;
	}
	rota_channel_close(&counter->requests); /* after an error nobody else answers */
	return rc == -EPIPE ? 0 : rc;
}

static int request_step(void *arg)
{
	struct counter *counter = arg;

	for (uint64_t i = 0; i < counter->wanted; i++) {
		struct rota_oneshot answer = ROTA_ONESHOT_INIT, *reply = &answer;
		void *value;
		int rc = rota_channel_send(&counter->requests, &reply);

		if (rc == 0)
			rc = rota_oneshot_recv(&answer, &value);
		if (rc < 0)
			return rc;
		if (value != counter)
			return -EBADMSG;
	}
	return 0;
}

static int measure_requests(void)
{
	struct counter counter = { .wanted = bench_param("values") };
	rota_task *task;
	int status = 0, joined;
	int rc = rota_channel_init(&counter.requests, sizeof(struct rota_oneshot *), WAITING_REQUESTS);

	if (rc < 0)
		return rc;
	rc = rota_spawn(&task, clerk, &counter);
	if (rc == 0) {
		rc = bench_time_each("request_reply", request_step, &counter, counter.wanted);
		rota_channel_close(&counter.requests);
		joined = rota_join(task, &status);
		joined = joined < 0 ? joined : status;
		rc = rc < 0 ? rc : joined;
	}
	rota_channel_deinit(&counter.requests);
	return rc;
}

static int inside(void *arg)
{
	uint64_t values = bench_param("values");
	int rc = bench_time_each("oneshot", oneshot_step, &values, values);

	(void)arg;
	if (rc == 0)
		rc = measure_pairs();
	return rc < 0 ? rc : measure_requests();
}

static int round_of_oneshot(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "oneshot",
	.about = "one value from a task that is spawned; pairs of tasks that answer each other; requests to one task",
	.round = round_of_oneshot,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
