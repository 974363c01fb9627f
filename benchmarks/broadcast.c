/* SPDX-License-Identifier: MIT */
/* A broadcast to 8 receivers: many values at once, and one at a time that all acknowledge. */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

enum { CAPACITY = 1024 };

static struct bench_param params[] = {
	{ "receivers", 8, 8, "tasks that receive, at most 256" },
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

static int inside(void *arg)
{
	int rc = measure("broadcast", arg, false);

	return rc < 0 ? rc : measure("broadcast_each", arg, true);
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
	.about = "one sender, 8 receivers: all values at once, and each acknowledged by all; per value and receiver",
	.round = round_of_broadcast,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
