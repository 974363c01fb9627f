/* SPDX-License-Identifier: MIT */
/*
 * The benchmarks' workloads on libuv: `uv-peer WORKLOAD [--NAME VALUE]...` runs one round and prints lines of
 * `name value unit`. One loop, and its thread pool. Exit code 77: no such workload here.
 */
#include "uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SAMPLES_MAX = 4 << 20 };

/* Each with the value that it has by default; a workload takes those that it knows. */
static struct {
	const char *name;
	uint64_t value;
} params[] = {
	{ "hogs", 2 },         { "ticker-step-ms", 100 },
	{ "echo-step-ms", 7 }, { "ticks", 3000 },
	{ "clients", 0 },      { "warmup-ms", 200 },
	{ "round-ms", 1000 },  { "workers", 2 },
	{ "timers", 1000000 }, { "spread-ms", 1000 },
	{ "tasks", 64 },       { "jobs", 100 },
	{ "lead-ms", 5000 },   { "fib", 32 },
	{ "pause-ms", 100 },   { "connections", 0 },
	{ "sleep-ms", 20000 }, { "seconds", 10 },
	{ "settle-ms", 500 },  { "megabytes", 64 },
	{ "port", 0 },
};

uint64_t param(const char *name)
{
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		if (strcmp(params[i].name, name) == 0)
			return params[i].value;
	}
	return 0;
}

void check(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "uv-peer: %s: %s\n", what, uv_strerror(rc));
		exit(1);
	}
}

static uint64_t *samples;
static size_t sample_count;

void add_sample(uint64_t ns)
{
	if (sample_count < SAMPLES_MAX)
		samples[sample_count++] = ns;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void clear_samples(void)
{
	sample_count = 0;
}

void sort_samples(void)
{
	qsort(samples, sample_count, sizeof(*samples), compare);
}

void report_quantile(const char *name, double share)
{
	if (sample_count > 0)
		printf("%s %g us\n", name, (double)samples[(size_t)(share * (double)(sample_count - 1))] / 1e3);
}

uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t cpu_ns(void)
{
	uv_rusage_t usage;

	check(uv_getrusage(&usage), "rusage");
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

uint64_t rss_bytes(void)
{
	size_t bytes;

	check(uv_resident_set_memory(&bytes), "memory");
	return bytes;
}

static void parse(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i], "--round") == 0 || i + 1 == argc)
			continue;
		for (size_t k = 0; k < sizeof(params) / sizeof(params[0]); k++) {
			if (strcmp(params[k].name, argv[i] + 2) == 0)
				params[k].value = strtoull(argv[i + 1], NULL, 10);
		}
		i++;
	}
}

/* As many descriptors as the hard limit allows. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} workloads[] = {
		{ "hogs", hogs },
		{ "echo", echo },
		{ "timers", timers },
		{ "blocking", blocking },
		{ "mixed", mixed },
		{ "connections", connections },
		{ "echo_memory", echo_memory },
		{ "sleepers", sleepers },
		{ "idle", idle },
		{ "file_reads", file_reads },
		{ "wake", wake },
		{ "echo_server", echo_server },
	};
	size_t i = 0;

	while (argc >= 2 && i < sizeof(workloads) / sizeof(workloads[0]) && strcmp(argv[1], workloads[i].name) != 0)
		i++;
	if (argc < 2 || i == sizeof(workloads) / sizeof(workloads[0]))
		return 77;
	parse(argc, argv);
	raise_fd_limit();
	printf("# libuv %s\n", uv_version_string());
	samples = malloc(SAMPLES_MAX * sizeof(*samples));
	if (samples == NULL)
		return 1;
	workloads[i].run();
	free(samples);
	return 0;
}
