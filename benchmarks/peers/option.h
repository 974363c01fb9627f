/* SPDX-License-Identifier: MIT */
/* What a peer in C or C++ is asked for: PEER WORKLOAD --round [--NAME VALUE]... */
#ifndef BENCHMARKS_PEERS_OPTION_H
#define BENCHMARKS_PEERS_OPTION_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int option_count;
static char **options;

/* First thing in main. */
static inline void option_init(int argc, char **argv)
{
	option_count = argc;
	options = argv;
}

/* The value of --NAME. */
static inline uint64_t option(const char *name, uint64_t otherwise)
{
	for (int i = 2; i + 1 < option_count; i++) {
		if (!strncmp(options[i], "--", 2) && !strcmp(options[i] + 2, name))
			return strtoull(options[i + 1], NULL, 10);
	}
	return otherwise;
}

#endif
