/* SPDX-License-Identifier: MIT */
/* A broadcast to 8 receivers: many values at once, and one at a time that all acknowledge. And to a crowd that is there
 * all the while, of which the last one answers (tokio's sync_broadcast, without the work that its receivers make up in
 * between). */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

enum { CAPACITY = 1024 };

static struct bench_param params[] = {
	{ "receivers", 8, 8, "tasks that receive, at most 1,000" },
	{ "values", 1000, 100, "values at a time, at most 1024" },
	{ NULL, 0, 0, NULL },
};

struct works {
	struct rota_broadcast broadcast;
	struct rota_broadcast_receiver start; /* each receiver goes on from there */
	struct rota_semaphore heard;
	uint64_t values;
	size_t receivers;
	bool acknowledge;
};

static int receive(void *arg)
{
	struct works *works = arg;
	struct rota_broadcast_receiver receiver = works->start;
	const uint64_t values = works->values; /* these two beside what all of them write */
	const bool acknowledge = works->acknowledge;
	uint64_t sum = 0, value;
	int rc = 0;

	for (uint64_t i = 0; i < values && rc == 0; i++) {
		rc = rota_broadcast_recv(&receiver, &value);
		sum += rc == 0 ? value : 0;
		if (rc == 0 && acknowledge)
			rc = rota_semaphore_release(&works->heard, 1);
	}
	if (rc == 0 && sum != values * (values - 1) / 2)
		rc = -EBADMSG;
	return rc;
}

static int send_all(void *arg)
{
	struct works *works = arg;
	int rc = 0;

	for (uint64_t i = 0; i < works->values && rc == 0; i++) {
		rc = rota_broadcast_send(&works->broadcast, &i);
		if (rc == 0 && works->acknowledge)
			rc = rota_semaphore_acquire(&works->heard, works->receivers);
	}
	return rc;
}

static int broadcast_step(void *arg)
{
	struct works *works = arg;
	int rc = rota_broadcast_init(&works->broadcast, sizeof(uint64_t), CAPACITY);

	if (rc < 0)
		return rc;
	rota_broadcast_subscribe(&works->broadcast, &works->start);
	rc = crowd_run(works->receivers, receive, send_all, works);
	rota_broadcast_deinit(&works->broadcast);
	return rc;
}

static int measure(const char *name, struct works *works, bool acknowledge)
{
	works->acknowledge = acknowledge;
	return bench_time_each(name, broadcast_step, works, works->values * works->receivers);
}

/* ---- a crowd that stays ---- */

static int hear(void *arg)
{
	struct crowd_asking *asking = arg;
	const struct works *works = asking->arg;
	struct rota_broadcast_receiver receiver = works->start;
	uint64_t value;
	int rc = 0;

	while (rc == 0) {
		rc = rota_broadcast_recv(&receiver, &value);
		if (rc == 0)
			crowd_answer(asking);
	}
	return rc == -EPIPE ? 0 : rc;
}

static int tell(void *arg, uint64_t value)
{
	return rota_broadcast_send(&((struct works *)arg)->broadcast, &value);
}

static void fall_silent(void *arg)
{
	rota_broadcast_close(&((struct works *)arg)->broadcast);
}

static int measure_crowd(const char *name, size_t receivers)
{
	struct works works = { .receivers = receivers };
	struct crowd_asking asking = {
		.name = name,
		.members = receivers,
		.hear = hear,
		.send = tell,
		.close = fall_silent,
		.arg = &works,
	};
	int rc = rota_broadcast_init(&works.broadcast, sizeof(uint64_t), CAPACITY);

	if (rc < 0)
		return rc;
	rota_broadcast_subscribe(&works.broadcast, &works.start);
	rc = crowd_ask(&asking);
	rota_broadcast_deinit(&works.broadcast);
	return rc;
}

static int inside(void *arg)
{
	int rc = measure("broadcast", arg, false);

	if (rc == 0)
		rc = measure("broadcast_each", arg, true);
	if (rc == 0)
		rc = measure_crowd("broadcast_10", 10);
	if (rc < 0 || bench_plain()) /* more threads would be another matter */
		return rc;
	rc = measure_crowd("broadcast_100", 100);
	return rc < 0 ? rc : measure_crowd("broadcast_1000", 1000);
}

static int round_of_broadcast(void)
{
	struct works works = {
		.heard = ROTA_SEMAPHORE_INIT(0),
		.values = bench_param("values"),
		.receivers = (size_t)bench_param("receivers"),
	};

	if (works.receivers == 0 || works.receivers > CROWD_MAX || works.values == 0 || works.values > CAPACITY)
		return -EINVAL;
	return bench_run(inside, &works);
}

static const struct bench bench = {
	.name = "broadcast",
	.about = "one sender, 8 receivers: all values at once, and each acknowledged by all; 10, 100, 1,000 that "
		 "answer each; "
		 "per value and receiver",
	.round = round_of_broadcast,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
