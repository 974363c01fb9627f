/* SPDX-License-Identifier: MIT */
#include "backend_uring_internal.h"

#include <errno.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/runtime_internal.h"
#include "reactor_internal.h"
#include "ring_internal.h"
#include "sys_internal.h"

#define TRIAL_ENTRIES 4u
#define TRIAL_WAIT_NS 1000u

/* The reactor's ring, and the thread that owns it. */
struct reactor_ring {
	struct rota__ring ring; /* first: rt->io is both */
	struct rota__reactor reactor;
	struct rota__closing closing;
};

static int reactor_open(void *part, rota_runtime *rt)
{
	struct reactor_ring *own = part;
	int rc = rota__ring_init(&own->ring, rt->config.ring_entries, false);

	if (rc == 0)
		rota__ring_set_closing(&own->ring, &own->closing);
	return rc;
}

static unsigned reactor_turn(void *part, uint64_t timeout_ns)
{
	return rota__ring_turn(part, timeout_ns);
}

static void reactor_leave(void *part)
{
	rota__ring_leave(part);
}

static void reactor_wake(void *part)
{
	rota__ring_wake(part);
}

static const struct rota__reactor_ops reactor_ops = {
	.open = reactor_open,
	.turn = reactor_turn,
	.leave = reactor_leave,
	.wake = reactor_wake,
};

static int reactor_start(rota_runtime *rt)
{
	struct reactor_ring *own = rota__alloc(sizeof(*own), ROTA__CACHE_LINE);
	int rc;

	if (own == NULL)
		return -ENOMEM;
	rc = rota__closing_init(&own->closing);
	if (rc < 0)
		goto free_own;
	rota__sys_nudge_threads_register();
	rt->io = own;
	rc = rota__reactor_start(&own->reactor, rt, &reactor_ops, own);
	if (rc == 0)
		return 0;
	rt->io = NULL;
	rota__closing_deinit(&own->closing);
free_own:
	rota__free(own, sizeof(*own), ROTA__CACHE_LINE);
	return rc;
}

static void reactor_stop(rota_runtime *rt)
{
	struct reactor_ring *own = rt->io;

	rota__reactor_stop(&own->reactor);
	rota__ring_deinit(&own->ring);
	rota__closing_deinit(&own->closing);
	rt->io = NULL;
	rota__free(own, sizeof(*own), ROTA__CACHE_LINE);
}

static int worker_start(struct rota__worker *worker, bool shared)
{
	struct rota__ring *ring = rota__alloc(sizeof(*ring), ROTA__CACHE_LINE);
	int rc;

	if (ring == NULL)
		return -ENOMEM;
	rc = rota__ring_init(ring, worker->rt->config.ring_entries, shared);
	if (rc < 0) {
		rota__free(ring, sizeof(*ring), ROTA__CACHE_LINE);
		return rc;
	}
	rota__ring_set_closing(ring, &((struct reactor_ring *)worker->rt->io)->closing);
	worker->io = ring;
	return 0;
}

static void worker_leave(struct rota__worker *worker)
{
	rota__ring_leave(worker->io);
}

static void worker_free(struct rota__worker *worker)
{
	struct rota__ring *ring = worker->io;

	if (ring == NULL)
		return;
	worker->io = NULL;
	rota__ring_deinit(ring);
	rota__free(ring, sizeof(*ring), ROTA__CACHE_LINE);
}

static unsigned worker_turn(struct rota__worker *worker, uint64_t timeout_ns)
{
	unsigned ended = rota__ring_turn(worker->io, timeout_ns);

	worker->unsubmitted = rota__ring_unsubmitted(worker->io);
	return ended;
}

static bool worker_has_news(const struct rota__worker *worker)
{
	return rota__ring_is_due(worker->io);
}

static void worker_wake(struct rota__worker *worker)
{
	rota__ring_wake(worker->io);
}

static bool worker_rescue(struct rota__worker *worker)
{
	struct reactor_ring *own = worker->rt->io;
	const unsigned ended = rota__ring_rescue(worker->io, &own->ring);

	rota__count(&worker->rt->reactor_operations, ended);
	return ended > 0;
}

static void wake_reactor(rota_runtime *rt)
{
	rota__ring_wake(rt->io);
}

const struct rota__driver rota__driver_uring = {
	.backend = ROTA_BACKEND_IO_URING,
	.start = reactor_start,
	.stop = reactor_stop,
	.worker_start = worker_start,
	.worker_leave = worker_leave,
	.worker_free = worker_free,
	.turn = worker_turn,
	.has_news = worker_has_news,
	.wake = worker_wake,
	.rescue = worker_rescue,
	.wake_reactor = wake_reactor,
};

int rota__uring_try(void)
{
	struct io_uring_params params = { .flags = ROTA__RING_FLAGS };
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int rc = rota__sys_ring_init(&ring, TRIAL_ENTRIES, &params);

	if (rc < 0)
		return rc;
	rota__sys_ring_probe(&ring);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	sqe->user_data = 1;
	rc = io_uring_submit_and_wait(&ring, 1);
	if (rc == 1 && io_uring_cq_ready(&ring) == 1) {
		io_uring_cq_advance(&ring, 1);
		rc = rota__sys_enter(&ring, 0, 1, 0, TRIAL_WAIT_NS); /* nothing comes: it must return all the same */
	} else if (rc >= 0) {
		rc = -ENOSYS;
	}
	rota__sys_ring_exit(&ring);
	return rc < 0 ? rc : 0;
}
