/* SPDX-License-Identifier: MIT */
#include "reactor_internal.h"

#include <errno.h>
#include <pthread.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/runtime_internal.h"
#include "../runtime/sys_internal.h"
#include "resolve_internal.h"
#include "ring_internal.h"
#include "sys_internal.h"

struct reactor {
	struct rota__ring ring; /* first: rt->io is both */
	rota_runtime *rt;
	pthread_t thread;
	struct rota_atomic_u32 ready; /* futex of the starter */
	struct rota_atomic_u32 stop;
	int error;
};

/* How long until the next timer or look of the monitor; ROTA_NEVER. */
static uint64_t time_to_sleep(rota_runtime *rt)
{
	uint64_t now = rota__sys_clock();
	uint64_t until = rota__monitor_look(rt, now);
	uint64_t timer = rota__wheel_next(&rt->outside);

	if (timer < until)
		until = timer;
	if (until == ROTA_NEVER)
		return ROTA_NEVER;
	return until > now ? until - now : 0;
}

static void *reactor_main(void *arg)
{
	struct reactor *reactor = arg;
	rota_runtime *rt = reactor->rt;

	reactor->error = rota__ring_init(&reactor->ring, rt->config.ring_entries, false);
	rota__store(&reactor->ready, 1, RELEASE); /* partner: rota__reactor_start */
	rota__sys_futex_wake(&reactor->ready, 1);
	if (reactor->error < 0)
		return NULL;
	while (rota__load(&reactor->stop, ACQUIRE) == 0) { /* set before the wake */
		rota__count(&rt->reactor_operations, rota__ring_turn(&reactor->ring, time_to_sleep(rt)));
		rota__count(&rt->reactor_wakeups, 1);
		rota__wheel_expire(&rt->outside, rota__sys_clock());
	}
	rota__ring_leave(&reactor->ring);
	return NULL;
}

int rota__reactor_start(rota_runtime *rt)
{
	struct reactor *reactor = rota__alloc(sizeof(*reactor), ROTA__CACHE_LINE);
	int rc;

	if (reactor == NULL)
		return -ENOMEM;
	rota__sys_nudge_threads_register();
	reactor->rt = rt;
	rc = rota__sys_thread(&reactor->thread, "rota-reactor", reactor_main, reactor);
	if (rc < 0)
		goto free_reactor;
	while (rota__load(&reactor->ready, ACQUIRE) == 0)
		rota__sys_futex_wait(&reactor->ready, 0, UINT64_MAX);
	rc = reactor->error;
	if (rc < 0)
		goto join_thread;
	rt->io = reactor;
	return 0;

join_thread:
	pthread_join(reactor->thread, NULL);
free_reactor:
	rota__free(reactor, sizeof(*reactor), ROTA__CACHE_LINE);
	return rc;
}

void rota__reactor_stop(rota_runtime *rt)
{
	struct reactor *reactor = rt->io;

	rota__resolve_settle();
	rota__store(&reactor->stop, 1, RELEASE); /* partner: the loop */
	rota__ring_wake(&reactor->ring);
	pthread_join(reactor->thread, NULL);
	rota__ring_deinit(&reactor->ring);
	rt->io = NULL;
	rota__free(reactor, sizeof(*reactor), ROTA__CACHE_LINE);
}
