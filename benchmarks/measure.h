/* SPDX-License-Identifier: MIT */
/* What a round measures with: a runtime, the timed loop, CPU time, memory, a histogram of latencies. */
#ifndef BENCHMARKS_MEASURE_H
#define BENCHMARKS_MEASURE_H

#include <rota.h>

/* A runtime with as many workers as the parameter of that name says; 0: of the current-thread flavour. */
int bench_runtime_new(rota_runtime **ret) ROTA_MUST_USE;

/* Runs fn(arg) as a fiber on such a runtime and shuts it down; with --plain 1 in the calling thread. fn's status, or
 * what went wrong. */
int bench_run(rota_fn *fn, void *arg) ROTA_MUST_USE;

/* Calls step(arg) again and again, for warmup-ms and then for round-ms; nanoseconds per step of the latter. Stops at
 * the first negative status and returns it. */
int bench_time(rota_fn *step, void *arg, double *ret_ns) ROTA_MUST_USE;

/* The same, and reports the nanoseconds for each of the `parts` that a step has. */
int bench_time_each(const char *name, rota_fn *step, void *arg, uint64_t parts) ROTA_MUST_USE;

/* The same of two steps that are called in turns, for when their difference counts: a machine that is quick at this moment
 * and slow at the next is so for both. */
int bench_time_both(rota_fn *const steps[2], void *arg, double ret_ns[2]) ROTA_MUST_USE;

/* User and system time of this process so far. */
uint64_t bench_cpu_ns(void);

/* Resident memory of this process now; 0 when /proc does not tell. */
uint64_t bench_rss_bytes(void);

/* The number at `index` (0: the first) in the first line of a file, as /proc has them; 0 when it does not tell. */
uint64_t bench_file_number(const char *path, unsigned index);

/* Allows as many descriptors as may be had: with the right to it fs.nr_open, else the hard limit. */
int bench_raise_fd_limit(void) ROTA_MUST_USE;

/* The same, and how many that is, less some for a runtime. 0: none. */
size_t bench_fds_allowed(void);

/* How many connections may be had of those that are wanted, each of which takes two descriptors; when these are fewer, a note
 * says so. 0: none. */
size_t bench_connections_allowed(size_t wanted);

/* The next of a fixed sequence of even numbers (SplitMix64). */
uint64_t bench_random(uint64_t *state);

/* Counts of nanoseconds, in buckets that are at most 1/16 wide. All zero is an empty one. */
#define BENCH_HISTOGRAM_SUB_BITS 4
#define BENCH_HISTOGRAM_BUCKETS ((64 - BENCH_HISTOGRAM_SUB_BITS + 1) << BENCH_HISTOGRAM_SUB_BITS)
struct bench_histogram {
	uint32_t counts[BENCH_HISTOGRAM_BUCKETS];
};

void bench_histogram_add(struct bench_histogram *h, uint64_t ns);
void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from);

/* The upper edge of the bucket where `share` (0 to 1) of all values are reached; 0 when empty. */
uint64_t bench_histogram_quantile(const struct bench_histogram *h, double share);

#endif
