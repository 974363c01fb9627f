/* SPDX-License-Identifier: MIT */
/*
 * The raw switch between two stacks: what a fiber pays before there is any scheduler. One switch is half of a round
 * trip from the host to the fiber and back. The only benchmark that looks inside the library.
 */
#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "measure.h"
#include "runtime/context_internal.h"

#define STACK_SIZE ((size_t)64 * 1024)

static struct bench_param params[] = {
	{ "switches", 1000000, 10000, "switches that are timed at a time" },
	{ NULL, 0, 0, NULL },
};

struct pair {
	void *host, *fiber; /* the saved stack pointers */
	uint64_t switches;
};

static void bounce(void *arg)
{
	struct pair *pair = arg;

	for (;;)
		rota__context_switch(&pair->fiber, pair->host);
}

static int switch_step(void *arg)
{
	struct pair *pair = arg;

	for (uint64_t i = 0; i < pair->switches / 2; i++)
		rota__context_switch(&pair->host, pair->fiber);
	return 0;
}

static int round_of_switches(void)
{
	struct pair pair = { .switches = bench_param("switches") };
	unsigned char *stack = aligned_alloc(64, STACK_SIZE);
	int rc;

	if (stack == NULL)
		return -ENOMEM;
	pair.fiber = rota__context_make(stack + STACK_SIZE, bounce, &pair);
	rc = bench_time_each("switch", switch_step, &pair, pair.switches);
	free(stack);
	return rc;
}

int main(int argc, char **argv)
{
	const struct bench bench = {
		.name = "switch",
		.about = "the raw switch between two stacks",
		.round = round_of_switches,
		.params = params,
	};

	return bench_main(&bench, argc, argv);
}
