/* SPDX-License-Identifier: MIT */
#include "backend_epoll_internal.h"

#include <errno.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/runtime_internal.h"
#include "poller_pool_internal.h"

static int reactor_open(void *part, rota_runtime *rt)
{
	return rota__poller_init(part, rt);
}

static unsigned reactor_turn(void *part, uint64_t timeout_ns)
{
	return rota__poller_turn(part, timeout_ns);
}

static void reactor_leave(void *part)
{
	(void)part;
}

static void reactor_wake(void *part)
{
	rota__poller_wake(part);
}

static const struct rota__reactor_ops reactor_ops = {
	.open = reactor_open,
	.turn = reactor_turn,
	.leave = reactor_leave,
	.wake = reactor_wake,
};

static int start(rota_runtime *rt)
{
	struct rota__poller *poller = rota__alloc(sizeof(*poller), ROTA__CACHE_LINE);
	int rc;

	if (poller == NULL)
		return -ENOMEM;
	rt->io = poller;
	rc = rota__reactor_start(&poller->reactor, rt, &reactor_ops, poller);
	if (rc < 0) {
		rt->io = NULL;
		rota__free(poller, sizeof(*poller), ROTA__CACHE_LINE);
	}
	return rc;
}

static void stop(rota_runtime *rt)
{
	struct rota__poller *poller = rt->io;

	rota__reactor_stop(&poller->reactor);
	rota__poller_deinit(poller);
	rt->io = NULL;
	rota__free(poller, sizeof(*poller), ROTA__CACHE_LINE);
}

static int worker_start(struct rota__worker *worker, bool shared)
{
	struct rota__poll_set *set = rota__alloc(sizeof(*set), ROTA__CACHE_LINE);
	int rc;

	(void)shared;
	if (set == NULL)
		return -ENOMEM;
	rc = rota__poll_set_init(set, worker->rt->io);
	if (rc < 0) {
		rota__free(set, sizeof(*set), ROTA__CACHE_LINE);
		return rc;
	}
	worker->io = set;
	return 0;
}

static void worker_leave(struct rota__worker *worker)
{
	(void)worker;
}

static void worker_free(struct rota__worker *worker)
{
	struct rota__poll_set *set = worker->io;

	if (set == NULL)
		return;
	worker->io = NULL;
	rota__poll_set_deinit(set);
	rota__free(set, sizeof(*set), ROTA__CACHE_LINE);
}

/* Nothing ends here: tasks that are woken make their calls themselves. */
static unsigned worker_turn(struct rota__worker *worker, uint64_t timeout_ns)
{
	rota__poll_set_turn(worker->io, timeout_ns);
	return 0;
}

static bool worker_has_news(const struct rota__worker *worker)
{
	return rota__poll_set_has_reports(worker->io);
}

static void worker_wake(struct rota__worker *worker)
{
	rota__poll_set_wake(worker->io);
}

static bool worker_rescue(struct rota__worker *worker)
{
	return rota__poll_set_rescue(worker->io) > 0;
}

static void wake_reactor(rota_runtime *rt)
{
	rota__poller_wake(rt->io);
}

static void errand(rota_runtime *rt)
{
	rota__poller_errand(rt->io);
}

static void errand_beside(rota_runtime *rt, struct rota__beside_thread *thread)
{
	rota__poller_errand_beside(rt->io, thread);
}

const struct rota__driver rota__driver_epoll = {
	.backend = ROTA_BACKEND_EPOLL,
	.start = start,
	.stop = stop,
	.worker_start = worker_start,
	.worker_leave = worker_leave,
	.worker_free = worker_free,
	.turn = worker_turn,
	.has_news = worker_has_news,
	.wake = worker_wake,
	.rescue = worker_rescue,
	.wake_reactor = wake_reactor,
	.errand = errand,
	.errand_beside = errand_beside,
};
