/* SPDX-License-Identifier: MIT */
/*
 * The harness of all benchmarks. A benchmark is one workload: a name, parameters, and a function that measures one
 * round and reports its results. bench_main runs it in one of two ways:
 *
 *  - with --round: one round in this process; prints a line `name value unit` for each result, and notes (`# ...`);
 *  - otherwise: R rounds (--rounds), each a fresh process that is this program with --round, between the rounds of
 *    the peers (--peer NAME=COMMAND), which speak the same lines. So the contenders are interleaved, and none
 *    inherits a warm heap. Prints median, minimum and maximum of each result, as a table or as JSON lines.
 *
 * A peer is run as `COMMAND-PROGRAM WORKLOAD --round [--PARAMETER VALUE]... [COMMAND-ARGUMENT]...`. It is skipped,
 * with a note, when it is not there or exits with BENCH_EXIT_SKIPPED (no such workload). One that fails or takes too long
 * (--timeout) drops out, and the others go on.
 */
#ifndef BENCHMARKS_HARNESS_H
#define BENCHMARKS_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_EXIT_SKIPPED 77
#define BENCH_ROUND_SKIPPED 1

struct bench_param {
	const char *name; /* the option is --name N; NULL ends the list */
	uint64_t value;   /* by default */
	uint64_t quick;   /* by default with --quick */
	const char *help;
};

struct bench {
	const char *name;  /* what peers are asked for */
	const char *about; /* one line */
	/* Measures one round on a plain thread; 0, a negative errno, or BENCH_ROUND_SKIPPED: something is not here. */
	int (*round)(void);
	struct bench_param *params; /* NULL: none but the common ones, workers, warmup-ms and round-ms */
	unsigned rounds;            /* by default; 0: 7 */
	uint64_t round_ms;          /* by default; 0: 500 */
	bool plain;                 /* has the option --plain 1: the same by plain threads, without a runtime */
};

/* The body of main. Returns the exit code. */
int bench_main(const struct bench *bench, int argc, char **argv);

/* In a round: the value of a parameter, one of the benchmark's or of the common ones. */
uint64_t bench_param(const char *name);

/* In a round: whether plain threads are wanted in place of tasks. What runs through bench_run and crowd_run (crowd.h)
 * need not ask. */
bool bench_plain(void);

/* In a round: what stood behind "--" on the command line, ends with NULL. */
char *const *bench_arguments(void);

/* In a round: one result. A unit that ends in "/s" is better when it is more, any other when it is less. */
void bench_report(const char *name, double value, const char *unit);

/* In a round: something that the reader of the figures must know. */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
