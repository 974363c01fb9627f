/* SPDX-License-Identifier: MIT */
/*
 * Waiting for several futures at once: for all of them, or for the first (in other places: join and select). Both
 * are futures themselves, so that a stackless task can wait for them too and they nest; rota_await_all and
 * rota_await_any (future.h) are their direct forms.
 *
 * The futures are the caller's, as is the array that names them: both stay in place until the whole is ready. Each wake
 * polls all that are not ready yet: for more than a few dozen, spawn tasks in a scope instead.
 */
#ifndef ROTA_RUNTIME_SELECT_H
#define ROTA_RUNTIME_SELECT_H

#include "future.h"

ROTA_BEGIN_DECLS

/* Ready when every one is. status: 0, or the negative status of the first in the array that has one. */
struct rota_all_op {
	struct rota_future future;
	/* private */
	struct rota_future *const *futures_;
	size_t count_;
};
ROTA_API void rota_all_init(struct rota_all_op *op, struct rota_future *const futures[], size_t n);

/*
 * Ready when one is, and the others have been cancelled and are ready too, so that nobody holds their memory. `index`:
 * which came first; status: its status. The others keep what they have: one that was complete before its cancel came
 * has its own result in `status` (bytes that were received, a descriptor), and only the caller can take care of it.
 * When several are ready at once, one of them is picked by chance, so that none starves; biased: the lowest. A future
 * without `cancel` is waited for. When the whole is cancelled, all are; one that was complete all the same is then the
 * first. n == 0: -EINVAL.
 */
struct rota_any_op {
	struct rota_future future;
	size_t index;
	/* private */
	struct rota_future *const *futures_;
	size_t count_;
	bool biased_, ending_, cancelled_;
};
ROTA_API void rota_any_init(struct rota_any_op *op, struct rota_future *const futures[], size_t n);
ROTA_API void rota_any_init_biased(struct rota_any_op *op, struct rota_future *const futures[], size_t n);

ROTA_END_DECLS

#endif
