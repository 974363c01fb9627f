/* SPDX-License-Identifier: MIT */
#include "multishot_internal.h"

#include "../runtime/runtime_internal.h"
#include "carrier_internal.h"
#include "ring_internal.h"

bool rota__multishot_here(void)
{
	struct rota__worker *worker = rota__worker_self();
	rota_runtime *rt = rota__runtime_self();
	const struct rota__carrier *carrier = NULL;

	if (worker != NULL)
		carrier = worker->io;
	else if (rt != NULL)
		carrier = rt->io;
	return carrier != NULL && carrier->ops == &rota__ring_carrier_ops;
}

rota_poll rota__multishot_stop(struct rota_op *op, struct rota_context *cx)
{
	rota_future_cancel(&op->future);
	if (rota__multishot_lock(op))
		return ROTA_READY;
	rota__multishot_wait(op, cx->waker);
	return ROTA_PENDING;
}
