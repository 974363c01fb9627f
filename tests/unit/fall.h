/* SPDX-License-Identifier: MIT */
/* The body of a task that runs over its stack. */
#ifndef TESTS_UNIT_FALL_H
#define TESTS_UNIT_FALL_H

static unsigned fall(unsigned depth);
static unsigned (*volatile fall_further)(unsigned depth) = fall; /* so that no compiler sees the end coming */

static __attribute__((noinline)) unsigned fall(unsigned depth)
{
	volatile unsigned char bytes[200];

	bytes[depth % sizeof(bytes)] = (unsigned char)depth;
	return fall_further(depth + 1) + bytes[depth % sizeof(bytes)];
}

static int fall_for_ever(void *arg)
{
	(void)arg;
	return (int)fall(0);
}

#endif
