/* SPDX-License-Identifier: MIT */
/* See measure.h. */
#define _GNU_SOURCE
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness.h"

int bench_runtime_new(rota_runtime **ret)
{
	struct rota_config config = { .workers = (unsigned)bench_param("workers") };

	if (config.workers == 0)
		config.flavor = ROTA_FLAVOR_CURRENT_THREAD;

	return rota_runtime_new(ret, &config);
}

int bench_run(rota_fn *fn, void *arg)
{
	rota_runtime *rt;
	int rc, stopped;

	if (bench_plain()) {
		bench_note("plain threads, without a runtime");
		return fn(arg);
	}
	rc = bench_runtime_new(&rt);
	if (rc < 0)
		return rc;
	rc = rota_block_on(rt, fn, arg);
	stopped = rota_runtime_shutdown(rt, ROTA_SECONDS(60));
	if (stopped < 0)
		return rc < 0 ? rc : stopped; /* freeing it would wait for what is left */
	rota_runtime_free(rt);
	return rc;
}

static int repeat(rota_fn *step, void *arg, uint64_t length_ms, double *ret_ns)
{
	uint64_t elapsed, steps = 0, start = rota_now();

	do {
		int rc = step(arg);

		if (rc < 0)
			return rc;
		steps++;
		elapsed = rota_now() - start;
	} while (elapsed < ROTA_MS(length_ms));
	*ret_ns = (double)elapsed / (double)steps;
	return 0;
}

int bench_time(rota_fn *step, void *arg, double *ret_ns)
{
	double warmup_ns;
	int rc = repeat(step, arg, bench_param("warmup-ms"), &warmup_ns);

	return rc < 0 ? rc : repeat(step, arg, bench_param("round-ms"), ret_ns);
}

int bench_time_each(const char *name, rota_fn *step, void *arg, uint64_t parts)
{
	double ns;
	int rc = bench_time(step, arg, &ns);

	if (rc == 0)
		bench_report(name, ns / (double)parts, "ns");
	return rc;
}

/* For length_ms each. */
static int take_turns(rota_fn *const steps[2], void *arg, uint64_t length_ms, double ret_ns[2])
{
	uint64_t elapsed[2] = { 0, 0 }, turns = 0, start = rota_now();

	do {
		for (unsigned i = 0; i < 2; i++) {
			int rc = steps[i](arg);
			uint64_t end = rota_now();

			if (rc < 0)
				return rc;
			elapsed[i] += end - start;
			start = end;
		}
		turns++;
	} while (elapsed[0] + elapsed[1] < ROTA_MS(2 * length_ms));
	for (unsigned i = 0; i < 2; i++)
		ret_ns[i] = (double)elapsed[i] / (double)turns;
	return 0;
}

int bench_time_both(rota_fn *const steps[2], void *arg, double ret_ns[2])
{
	int rc = take_turns(steps, arg, bench_param("warmup-ms"), ret_ns);

	return rc < 0 ? rc : take_turns(steps, arg, bench_param("round-ms"), ret_ns);
}

static uint64_t timeval_ns(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

uint64_t bench_cpu_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return 0; /* cannot fail with these arguments */
	return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

uint64_t bench_file_number(const char *path, unsigned index)
{
	unsigned long long number = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	for (unsigned i = 0; i <= index; i++)
		if (fscanf(file, "%llu", &number) != 1)
			number = 0;
	fclose(file);
	return number;
}

uint64_t bench_rss_bytes(void)
{
	return bench_file_number("/proc/self/statm", 1) * (uint64_t)sysconf(_SC_PAGESIZE);
}

int bench_raise_fd_limit(void)
{
	struct rlimit limit;
	rlim_t most = (rlim_t)bench_file_number("/proc/sys/fs/nr_open", 0);

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (most > limit.rlim_max) {
		struct rlimit more = { .rlim_cur = most, .rlim_max = most };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0) /* as root */
			return 0;
	}
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

enum { SPARE_FDS = 64 };

size_t bench_fds_allowed(void)
{
	struct rlimit limit;

	if (bench_raise_fd_limit() < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	return limit.rlim_cur > SPARE_FDS ? (size_t)(limit.rlim_cur - SPARE_FDS) : 0;
}

size_t bench_connections_allowed(size_t wanted)
{
	const size_t allowed = bench_fds_allowed() / 2;

	if (allowed >= wanted)
		return wanted;
	bench_note("RLIMIT_NOFILE allows %zu connections", allowed);
	return allowed;
}

uint64_t bench_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

enum { SUB = 1 << BENCH_HISTOGRAM_SUB_BITS };

static size_t bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < SUB)
		return (size_t)ns;
	shift = 63 - (unsigned)__builtin_clzll(ns) - BENCH_HISTOGRAM_SUB_BITS;
	return ((size_t)(shift + 1) << BENCH_HISTOGRAM_SUB_BITS) + (size_t)((ns >> shift) - SUB);
}

static uint64_t upper_edge(size_t bucket)
{
	if (bucket < SUB)
		return bucket;
	return ((uint64_t)(SUB + (bucket & (SUB - 1)) + 1) << ((bucket >> BENCH_HISTOGRAM_SUB_BITS) - 1)) - 1;
}

void bench_histogram_add(struct bench_histogram *h, uint64_t ns)
{
	h->counts[bucket_of(ns)]++;
}

void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from)
{
	for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
}

uint64_t bench_histogram_quantile(const struct bench_histogram *h, double share)
{
	uint64_t seen = 0, total = 0;

	for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++)
		total += h->counts[i];
	for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen > 0 && (double)seen >= share * (double)total)
			return upper_edge(i);
	}
	return 0;
}
