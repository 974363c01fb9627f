/* SPDX-License-Identifier: MIT */
/* A round trip between two tasks over two channels of one element. */
#include <errno.h>

#include "crowd.h"
#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "trips", 1000, 100, "round trips at a time" },
	{ NULL, 0, 0, NULL },
};

struct table {
	struct rota_channel ping, pong;
	uint64_t trips;
};

/* Plays until the first channel is closed. */
static int other_player(void *arg)
{
	struct table *table = arg;
	uint64_t value;
	int rc;

	while ((rc = rota_channel_recv(&table->ping, &value)) == 0) {
		value++;
		rc = rota_channel_send(&table->pong, &value);
		if (rc < 0)
			break;
	}
	rota_channel_close(&table->pong); /* an error must not leave the first player waiting */
	return rc == -EPIPE ? 0 : rc;
}

static int play(struct table *table)
{
	for (uint64_t i = 0; i < table->trips; i++) {
		uint64_t answer;
		int rc = rota_channel_send(&table->ping, &i);

		if (rc == 0)
			rc = rota_channel_recv(&table->pong, &answer);
		if (rc < 0)
			return rc;
		if (answer != i + 1)
			return -EBADMSG;
	}
	return 0;
}

/* And closes the first channel. */
static int first_player(void *arg)
{
	struct table *table = arg;
	int rc = play(table);

	rota_channel_close(&table->ping);
	return rc;
}

static int pingpong_step(void *arg)
{
	struct table *table = arg;
	int rc = rota_channel_init(&table->ping, sizeof(uint64_t), 1);

	if (rc < 0)
		return rc;
	rc = rota_channel_init(&table->pong, sizeof(uint64_t), 1);
	if (rc < 0)
		goto deinit_ping;
	rc = crowd_run(1, other_player, first_player, table);
	rota_channel_deinit(&table->pong);
deinit_ping:
	rota_channel_deinit(&table->ping);
	return rc;
}

static int inside(void *arg)
{
	struct table table = { .trips = bench_param("trips") };

	(void)arg;
	return bench_time_each("pingpong", pingpong_step, &table, table.trips);
}

static int round_of_pingpong(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "pingpong",
	.about = "a round trip between two tasks over two channels of one element",
	.round = round_of_pingpong,
	.params = params,
	.plain = true,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
