/* SPDX-License-Identifier: MIT */
/* The echo workload: a server and its clients in one process, a fiber for each end of each connection. */
#ifndef BENCHMARKS_HALL_H
#define BENCHMARKS_HALL_H

#include "measure.h"

#define BENCH_HALL_MAX_BYTES 4096

struct bench_hall {
	uint64_t pause_ns; /* in: each client sends so often, and latency counts from when it is due; 0: without a pause */
	double trips_per_s;
	double cpu_us; /* of the whole process, per round trip */
	double p50_us, p99_us;
};

/* Inside a fiber: `clients` connections that exchange messages of `bytes` for warmup-ms and then for round-ms. */
int bench_hall_run(size_t clients, size_t bytes, struct bench_hall *ret) ROTA_MUST_USE;

#endif
