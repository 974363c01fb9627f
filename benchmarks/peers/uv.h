/* SPDX-License-Identifier: MIT */
/* What the workloads on libuv share: parameters, samples, errors; and the workloads. */
#ifndef BENCHMARKS_PEERS_UV_H
#define BENCHMARKS_PEERS_UV_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

uint64_t param(const char *name);
void check(int rc, const char *what);

/* Latencies; as many as there is room for. report_quantile wants them sorted. */
void clear_samples(void);
void add_sample(uint64_t ns);
void sort_samples(void);
void report_quantile(const char *name, double share);

/* The next of a fixed sequence (SplitMix64). */
uint64_t next_random(uint64_t *state);

uint64_t cpu_ns(void);
uint64_t rss_bytes(void);

/* What one run of echo clients on a loop comes to, with the samples cleared before and sorted after it. `at_end` is called in
 * the loop when the round is over. With a pause each client sends so often, and latency counts from when it is due. */
struct echo_outcome {
	double trips_per_s, cpu_us;
};
struct echo_outcome run_echo(uv_loop_t *loop, uint64_t clients, uint64_t pause_ms, void (*at_end)(void));

void hogs(void);
void echo(void);
void timers(void);
void blocking(void);
void mixed(void);
void connections(void);
void echo_memory(void);
void sleepers(void);
void idle(void);
void file_reads(void);
void wake(void);
void echo_server(void);

#endif
