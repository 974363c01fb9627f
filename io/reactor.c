/* SPDX-License-Identifier: MIT */
#include "reactor_internal.h"

#include "../runtime/runtime_internal.h"
#include "../runtime/sys_internal.h"
#include "../runtime/turns_internal.h"
#include "fd_closes_internal.h"
#include "outside_internal.h"
#include "resolve_internal.h"

/* How long until the next timer or look, of the monitor or at the resolver's lane; ROTA_NEVER. */
static uint64_t time_to_sleep(rota_runtime *rt)
{
	const uint64_t now = rota__sys_clock();
	const uint64_t monitor = rota__monitor_look(rt, now);
	const uint64_t resolver = rota__resolver_look(now);

	return rota__wheel_wait(&rt->outside, now, monitor < resolver ? monitor : resolver);
}

static void *reactor_main(void *arg)
{
	struct rota__reactor *reactor = arg;
	rota_runtime *rt = reactor->rt;

	rota__turns_join();
	reactor->error = reactor->ops->open(reactor->part, rt);
	rota__store(&reactor->ready, 1, RELEASE); /* partner: rota__reactor_start */
	rota__sys_futex_wake(&reactor->ready, 1);
	if (reactor->error < 0)
		return NULL;
	while (rota__load(&reactor->stop, ACQUIRE) == 0) { /* set before the wake */
		rota__count(&rt->reactor_operations, reactor->ops->turn(reactor->part, time_to_sleep(rt)));
		rota__count(&rt->reactor_wakeups, 1);
		rota__wheel_expire(&rt->outside, rota__sys_clock());
	}
	reactor->ops->leave(reactor->part);
	return NULL;
}

int rota__reactor_start(struct rota__reactor *reactor, rota_runtime *rt, const struct rota__reactor_ops *ops, void *part)
{
	int rc;

	*reactor = (struct rota__reactor){ .ops = ops, .part = part, .rt = rt };
	rota__fd_closes_prepare();
	rc = rota__sys_thread(&reactor->thread, "rota-reactor", reactor_main, reactor);
	if (rc < 0)
		return rc;
	while (rota__load(&reactor->ready, ACQUIRE) == 0)
		rota__sys_futex_wait(&reactor->ready, 0, UINT64_MAX);
	if (reactor->error < 0)
		pthread_join(reactor->thread, NULL);
	return reactor->error;
}

void rota__reactor_stop(struct rota__reactor *reactor)
{
	rota__outside_settle();
	rota__store(&reactor->stop, 1, RELEASE); /* partner: the loop */
	reactor->ops->wake(reactor->part);
	pthread_join(reactor->thread, NULL);
}
