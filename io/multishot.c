/* SPDX-License-Identifier: MIT */
#include "multishot_internal.h"

#include "carrier_internal.h"
#include "ring_internal.h"

bool rota__multishot_here(void)
{
	const struct rota__carrier *carrier = rota__carrier_self();

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
