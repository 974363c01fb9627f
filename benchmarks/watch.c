/* SPDX-License-Identifier: MIT */
/* A watched value: read, and changed for 8 receivers that all acknowledge. And for a crowd that is there all the while,
 * of which the last one answers (tokio's sync_watch, without the work that its receivers make up in between). */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "receivers", 8, 8, "tasks that watch, at most 1,000" },
	{ "values", 1000, 100, "values at a time" },
	{ NULL, 0, 0, NULL },
};

struct works {
	struct rota_watch watch;
	struct rota_watch_receiver start; /* each receiver goes on from there */
	struct rota_semaphore seen;
	uint64_t values;
	size_t receivers;
};

static int read_all(void *arg)
{
	struct works *works = arg;
	uint64_t sum = 0, value = 0;

	for (uint64_t i = 0; i < works->values; i++) {
		rota_watch_get(&works->watch, &value);
		sum += value;
	}
	return sum == UINT64_MAX;
}

static int watch(void *arg)
{
	struct works *works = arg;
	struct rota_watch_receiver receiver = works->start;
	const uint64_t values = works->values; /* beside what all of them write */
	uint64_t value;
	int rc = 0;

	for (uint64_t i = 0; i < values && rc == 0; i++) {
		rc = rota_watch_changed(&receiver, &value);
		if (rc == 0)
			rc = value == i ? rota_semaphore_release(&works->seen, 1) : -EBADMSG;
	}
	return rc;
}

static int change(void *arg)
{
	struct works *works = arg;
	int rc = 0;

	for (uint64_t i = 0; i < works->values && rc == 0; i++) {
		rc = rota_watch_send(&works->watch, &i);
		if (rc == 0)
			rc = rota_semaphore_acquire(&works->seen, works->receivers);
	}
	return rc;
}

static int changed_step(void *arg)
{
	struct works *works = arg;

	rota_watch_subscribe(&works->watch, &works->start);
	return crowd_run(works->receivers, watch, change, works);
}

/* ---- a crowd that stays ---- */

static int hear(void *arg)
{
	struct crowd_asking *asking = arg;
	const struct works *works = asking->arg;
	struct rota_watch_receiver receiver = works->start;
	uint64_t value;
	int rc = 0;

	while (rc == 0) {
		rc = rota_watch_changed(&receiver, &value);
		if (rc == 0)
			crowd_answer(asking);
	}
	return rc == -EPIPE ? 0 : rc;
}

static int tell(void *arg, uint64_t value)
{
	return rota_watch_send(&((struct works *)arg)->watch, &value);
}

static void fall_silent(void *arg)
{
	rota_watch_close(&((struct works *)arg)->watch);
}

static int measure_crowd(const char *name, size_t receivers)
{
	const uint64_t first = 0;
	struct works works = { .receivers = receivers };
	struct crowd_asking asking = {
		.name = name,
		.members = receivers,
		.hear = hear,
		.send = tell,
		.close = fall_silent,
		.arg = &works,
	};
	int rc = rota_watch_init(&works.watch, sizeof(first), &first);

	if (rc < 0)
		return rc;
	rota_watch_subscribe(&works.watch, &works.start);
	rc = crowd_ask(&asking);
	rota_watch_deinit(&works.watch);
	return rc;
}

static int inside(void *arg)
{
	struct works *works = arg;
	int rc = bench_time_each("watch_get", read_all, works, works->values);

	if (rc == 0)
		rc = bench_time_each("watch_changed", changed_step, works, works->values * works->receivers);
	if (rc == 0)
		rc = measure_crowd("watch_10", 10);
	if (rc < 0 || bench_plain()) /* more threads would be another matter */
		return rc;
	rc = measure_crowd("watch_100", 100);
	return rc < 0 ? rc : measure_crowd("watch_1000", 1000);
}

static int round_of_watch(void)
{
	const uint64_t first = 0;
	struct works works = {
		.seen = ROTA_SEMAPHORE_INIT(0),
		.values = bench_param("values"),
		.receivers = (size_t)bench_param("receivers"),
	};
	int rc;

	if (works.receivers == 0 || works.receivers > CROWD_MAX || works.values == 0)
		return -EINVAL;
	rc = rota_watch_init(&works.watch, sizeof(first), &first);
	if (rc < 0)
		return rc;
	rc = bench_run(inside, &works);
	rota_watch_deinit(&works.watch);
	return rc;
}

static const struct bench bench = {
	.name = "watch",
	.about =
		"a watched value: read; changed, per value and each of 8 receivers that acknowledge it, or of 10, 100, "
		"1,000 that answer",
	.round = round_of_watch,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
