/* SPDX-License-Identifier: MIT */
/* A value handed over once: a task is spawned that sends it, the spawner waits for it. */
#include <errno.h>

#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "values", 1000, 100, "values at a time" },
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

static int inside(void *arg)
{
	uint64_t values = bench_param("values");
	double ns = 0;
	int rc = bench_time(oneshot_step, &values, &ns);

	(void)arg;
	if (rc == 0)
		bench_report("oneshot", ns / (double)values, "ns");
	return rc;
}

static int round_of_oneshot(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "oneshot",
	.about = "spawn a task that sends one value, and wait for it",
	.round = round_of_oneshot,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
