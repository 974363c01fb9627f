/* SPDX-License-Identifier: MIT */
/* Bytes on their way, each of which has a number: whoever gets them sees that none is missing, twice, or out of turn. */
#ifndef TESTS_STRESS_FLOW_H
#define TESTS_STRESS_FLOW_H

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "stress.h"

#define FLOW_LONGEST 20000u /* that are wanted in one piece */

struct flow {
	uint64_t said, moved, heard;
};

static unsigned char flow_numbers[FLOW_LONGEST + 251];

/* Before any other. */
static inline void flow_number(void)
{
	for (size_t i = 0; i < sizeof(flow_numbers); i++)
		flow_numbers[i] = (unsigned char)(i % 251);
}

/* The bytes from that number on. */
static inline const unsigned char *numbered(uint64_t from)
{
	return flow_numbers + from % 251;
}

static inline void hear(struct flow *flow, const unsigned char *bytes, ssize_t n)
{
	expect(memcmp(bytes, numbered(flow->heard), (size_t)n), ==, 0);
	flow->heard += (uint64_t)n;
}

/* All that is there to be read from a socket or a pipe. */
static inline void drain(struct flow *flow, int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	unsigned char bytes[4096];

	while (poll(&ready, 1, 0) == 1)
		hear(flow, bytes, read(fd, bytes, sizeof(bytes)));
}

static inline void say(struct flow *flow, int fd, size_t n)
{
	expect(write(fd, numbered(flow->said), n), ==, (ssize_t)n);
	flow->said += n;
}

#endif
