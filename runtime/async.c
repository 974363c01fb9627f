/* SPDX-License-Identifier: MIT */
#include "async.h"

void rota_async_cancel(struct rota_future *self)
{
	struct rota_async *async = (struct rota_async *)(void *)self;

	async->cancelled_ = true;
	if (async->child_ != NULL && !async->shielded_)
		rota_future_cancel(async->child_);
}
