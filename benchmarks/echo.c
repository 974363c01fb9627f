/* SPDX-License-Identifier: MIT */
/*
 * TCP echo: the server and its clients in one process, a fiber for each end of each connection, 64-byte messages,
 * for a fixed time. Round trips per second, CPU time of the whole process per round trip, latency.
 */
#include <errno.h>
#include <stdio.h>

#include "hall.h"
#include "harness.h"

enum { MAX_CLIENTS = 100000 };

static struct bench_param params[] = {
	{ "clients", 0, 0, "connections; 0: 1, 100 and 1000, one after the other" },
	{ "bytes", 64, 64, "of a message" },
	{ NULL, 0, 0, NULL },
};

static void report(size_t clients, const struct bench_hall *hall)
{
	char name[48];

	snprintf(name, sizeof(name), "echo_%zu", clients);
	bench_report(name, hall->trips_per_s, "rt/s");
	snprintf(name, sizeof(name), "echo_%zu_cpu", clients);
	bench_report(name, hall->cpu_us, "us");
	snprintf(name, sizeof(name), "echo_%zu_p50", clients);
	bench_report(name, hall->p50_us, "us");
	snprintf(name, sizeof(name), "echo_%zu_p99", clients);
	bench_report(name, hall->p99_us, "us");
}

static int run(void *arg)
{
	const size_t *clients = arg;
	struct bench_hall hall = { 0 };
	int rc = bench_hall_run(*clients, (size_t)bench_param("bytes"), &hall);

	if (rc == 0)
		report(*clients, &hall);
	return rc;
}

static int measure(size_t clients)
{
	return bench_run(run, &clients);
}

static int round_of_echo(void)
{
	static const size_t usual[] = { 1, 100, 1000 };
	uint64_t clients = bench_param("clients");
	int rc;

	if (clients > MAX_CLIENTS)
		return -EINVAL;
	rc = bench_raise_fd_limit();
	if (rc == 0 && clients > 0)
		return measure((size_t)clients);
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && rc == 0; i++)
		rc = measure(usual[i]);
	return rc;
}

static const struct bench bench = {
	.name = "echo",
	.about = "TCP echo, server and clients in one process",
	.round = round_of_echo,
	.params = params,
	.round_ms = 1000,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
