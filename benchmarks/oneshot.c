/* SPDX-License-Identifier: MIT */
/*
 * A value handed over once: a task is spawned that sends it, the spawner waits for it. And tokio's ping_pong
 * (rt_multi_threaded): a thousand tasks at once, each of which spawns a partner that answers it.
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
	double ns = 0;
	int rc = bench_time(pairs_step, &pairs, &ns);

	if (rc == 0)
		bench_report("ping_pong", ns / (double)pairs.count, "ns");
	return rc;
}

static int inside(void *arg)
{
	uint64_t values = bench_param("values");
	double ns = 0;
	int rc = bench_time(oneshot_step, &values, &ns);

	(void)arg;
	if (rc == 0)
		bench_report("oneshot", ns / (double)values, "ns");
	return rc < 0 ? rc : measure_pairs();
}

static int round_of_oneshot(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "oneshot",
	.about = "spawn a task that sends one value, and wait for it; pairs of tasks that answer each other",
	.round = round_of_oneshot,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
