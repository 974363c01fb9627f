/* SPDX-License-Identifier: MIT */
/*
 * Memory that is registered with rings: the kernel has its pages pinned once, and a read or a write of it need not do so
 * again. An operation knows nothing of that; its entry does, which is made by the ring that submits it. So an operation may
 * still move to another ring.
 *
 * A ring's `memory` is written before `memory_known` is set, once, by whoever registers it, and stays until the ring ends.
 * All rings have it, or none: those where it was registered before one refused it give it back, and no owner has seen it.
 */
#include <errno.h>

#include "../runtime/runtime_internal.h"
#include "ring_internal.h"
#include "sys_internal.h"

/* Those of workers, of spares that are there, and the reactor's, which is the last. NULL: there are no more. */
static struct rota__ring *ring_at(rota_runtime *rt, unsigned workers, unsigned i)
{
	if (i < workers)
		return rt->workers[i].io;
	return i == workers ? rt->io : NULL;
}

static void publish(struct rota__ring *ring, const struct iovec *memory)
{
	ring->memory = *memory;
	rota__store(&ring->memory_known, 1, RELEASE); /* partner: rota__ring_has_registered */
}

int rota__ring_register_memory(rota_runtime *rt, const struct iovec *memory)
{
	struct rota__ring *last = rt->io, *ring;
	const unsigned workers = rota__worker_total(rt);
	unsigned registered = 0;
	int rc = 0;

	if (rota__swap(&last->memory_taken, 1, SEQ_CST) != 0)
		return -EBUSY;
	while (rc == 0 && (ring = ring_at(rt, workers, registered)) != NULL) {
		rc = rota__sys_register_memory(&ring->uring, memory);
		registered += rc == 0;
	}
	for (unsigned i = 0; i < registered; i++) {
		if (rc == 0)
			publish(ring_at(rt, workers, i), memory);
		else
			rota__sys_unregister_memory(&ring_at(rt, workers, i)->uring);
	}
	if (rc < 0)
		rota__store(&last->memory_taken, 0, SEQ_CST);
	return rc;
}
