/* SPDX-License-Identifier: MIT */
/* What the runtime's own futures and combinators know of others. */
#ifndef ROTA_RUNTIME_FUTURE_INTERNAL_H
#define ROTA_RUNTIME_FUTURE_INTERNAL_H

#include "future.h"

/* What a future's ops turn into when it was ready. */
extern const struct rota_future_ops rota__done_ops;

static inline bool rota__future_done(const struct rota_future *future)
{
	return future->ops == &rota__done_ops;
}

#endif
