/* SPDX-License-Identifier: MIT */
/*
 * An HTTP server under wrk: one page, keep-alive, 64 connections, as fast as it goes. Requests a second, latency as wrk
 * tells it, CPU of the server per request. The server is a process of its own; peers/http.sh starts the example
 * http_server, and others.
 *
 *   http [OPTION]... -- SERVER [ARGUMENT]...      the server listens on `--port N` of the loopback
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "harness.h"
#include "server.h"

static struct bench_param params[] = {
	{ "connections", 64, 64, "that are kept alive" },
	{ "threads", 1, 1, "of wrk" },
	{ NULL, 0, 0, NULL },
};

struct outcome {
	double requests, seconds, per_s, p50_us, p99_us;
	unsigned errors;
};

/* A time as wrk prints it, such as 1.23ms, in microseconds. */
static double microseconds(const char *text)
{
	char *unit;
	double value = strtod(text, &unit);

	return strncmp(unit, "us", 2) == 0 ? value : strncmp(unit, "ms", 2) == 0 ? value * 1e3 : value * 1e6;
}

static void take_line(const char *line, struct outcome *o)
{
	char time[32];
	unsigned errors[4];

	if (sscanf(line, " 50%% %31s", time) == 1)
		o->p50_us = microseconds(time);
	else if (sscanf(line, " 99%% %31s", time) == 1)
		o->p99_us = microseconds(time);
	else if (sscanf(line, "Requests/sec: %lf", &o->per_s) == 1)
		return;
	else if (sscanf(line, " Non-2xx or 3xx responses: %u", &errors[0]) == 1)
		o->errors += errors[0];
	else if (sscanf(line, " Socket errors: connect %u, read %u, write %u, timeout %u", &errors[0], &errors[1],
			&errors[2], &errors[3]) == 4)
		o->errors += errors[0] + errors[1] + errors[2] + errors[3];
	else
		sscanf(line, " %lf requests in %lfs", &o->requests, &o->seconds);
}

/* wrk counts whole seconds. */
static int run_wrk(int port, uint64_t seconds, struct outcome *ret)
{
	char command[256], line[256];
	FILE *output;
	int status;

	*ret = (struct outcome){ 0 };
	snprintf(command, sizeof(command),
		 "exec wrk -t%" PRIu64 " -c%" PRIu64 " -d%" PRIu64 "s --latency http://127.0.0.1:%d/ 2>&1",
		 bench_param("threads"), bench_param("connections"), seconds, port);
	output = popen(command, "re");
	if (!output)
		return -errno;
	while (fgets(line, sizeof(line), output))
		take_line(line, ret);
	status = pclose(output);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return status == 0 && ret->requests > 0 ? 0 : -EPROTO;
}

static int measure(const struct bench_server *server)
{
	const uint64_t ms = bench_param("round-ms"), seconds = ms < 1000 ? 1 : ms / 1000;
	struct outcome outcome;
	uint64_t cpu;
	int rc = 0;

	if (bench_param("warmup-ms") >= 100)
		rc = run_wrk(server->port, 1, &outcome);
	cpu = bench_server_cpu_ns(server);
	if (rc == 0)
		rc = run_wrk(server->port, seconds, &outcome);
	cpu = bench_server_cpu_ns(server) - cpu;
	if (rc < 0)
		return rc;
	if (outcome.errors > 0) {
		bench_note("%u requests failed", outcome.errors);
		return -EPROTO;
	}
	bench_report("http", outcome.per_s, "requests/s");
	bench_report("http_cpu", (double)cpu / 1e3 / outcome.requests, "us");
	bench_report("http_p50", outcome.p50_us, "us");
	bench_report("http_p99", outcome.p99_us, "us");
	return 0;
}

static int round_of_http(void)
{
	struct bench_server server;
	int rc = *bench_arguments() ? bench_server_start(&server, bench_arguments()) : -ENOENT;

	if (rc == 0) {
		rc = measure(&server);
		bench_server_stop(&server);
	}
	return rc == -ENOENT ? BENCH_ROUND_SKIPPED : rc; /* no wrk here, or no such server */
}

static const struct bench bench = {
	.name = "http",
	.about = "an HTTP server under wrk",
	.round = round_of_http,
	.params = params,
	.rounds = 5,
	.round_ms = 2000,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
