/* SPDX-License-Identifier: MIT */
/* For tests of the epoll back end, whichever the others run on. */
#ifndef TESTS_UNIT_EPOLL_HERE_H
#define TESTS_UNIT_EPOLL_HERE_H

#include "../../io/poller_internal.h"
#include "../../runtime/runtime_internal.h"
#include "unit.h"

static inline struct rota__poller *poller_here(void)
{
	return (struct rota__poller *)(void *)rota_runtime_current()->io;
}

/* fn(arg) is a fiber on the one worker, for which nobody steps in: what it spawns runs when it waits. */
static inline void in_fiber_on_epoll(rota_fn *fn, void *arg)
{
	const struct rota_config config = { .workers = 1, .backend = ROTA_BACKEND_EPOLL };
	rota_runtime *rt;

	expect(rota_runtime_new(&rt, &config), ==, 0);
	unit_no_more_spares(rt);
	expect(rota_block_on(rt, fn, arg), ==, 0);
	rota_runtime_free(rt);
}

#endif
