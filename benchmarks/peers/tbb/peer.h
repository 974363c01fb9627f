/* SPDX-License-Identifier: MIT */
/* tbb-peer: one source a workload of benchmarks/; main.cpp knows them. */
#ifndef TBB_PEER_H
#define TBB_PEER_H

#include <chrono>
#include <cstdint>

/* The value of --NAME. */
uint64_t option(const char *name, uint64_t otherwise);

/* Milliseconds that work() takes. */
template <typename F> double timed(const F &work)
{
	const auto start = std::chrono::steady_clock::now();
	work();
	return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/* Run in an arena with as many workers as asked for; false: a result was wrong. */
bool fork_workload();
bool arrays_workload();
bool uts_workload();

#endif
