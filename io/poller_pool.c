/* SPDX-License-Identifier: MIT */
#include "poller_pool_internal.h"

#include <errno.h>

#include "../runtime/blocking_internal.h"
#include "../runtime/runtime_internal.h"
#include "../runtime/slot_internal.h"
#include "../runtime/sys_internal.h"
#include "op_list_internal.h"
#include "sys_internal.h"

int rota__poller_to_pool(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker)
{
	const enum rota__op_place place = rota__op_waits_for_ever(op) ? ROTA__PLACE_LONG_CALL : ROTA__PLACE_POOL;
	bool left;
	int rc;

	if (place == ROTA__PLACE_LONG_CALL)
		rota__interrupts_prepare();
	rota__spin_lock(&poller->lock);
	rota__op_list_leave(&poller->for_pool, op, place, waker);
	rota__spin_unlock(&poller->lock);
	do {
		rc = rota__blocking_errand(poller->rt);
		if (rc == 0)
			return 0;
		/* There is no thread. Or one came by for another operation and took this one, so nobody comes for that. */
		rota__spin_lock(&poller->lock);
		left = !rota__op_is_listed(op) && poller->for_pool.first != NULL;
		if (rota__op_is_listed(op))
			rota__op_list_take_back(&poller->for_pool, op);
		else
			rc = 0;
		rota__spin_unlock(&poller->lock);
	} while (left);
	return rc;
}

static bool was_asked(struct rota__poller *poller, const struct rota__interruptible *self)
{
	bool asked;

	rota__spin_lock(&poller->lock);
	asked = self->asked;
	rota__spin_unlock(&poller->lock);
	return asked;
}

/* Resumes closes that have no more calls to wait for. With the lock held. false: the batch is full, come again. */
static bool resume_closers(struct rota__poller *poller, struct rota__wake_batch *batch)
{
	struct rota_op *closer, *next;

	for (closer = poller->closers.first; closer != NULL; closer = next) {
		next = closer->mail_next_;
		if (rota__interrupts_going_on(&poller->interrupts, closer->fd_))
			continue;
		if (rota__wake_batch_full(batch))
			return false;
		rota__op_list_end(&poller->closers, closer, ROTA__OP_RESUME, batch);
	}
	return true;
}

/* A call that a cancel may cut off; it is in the list. */
static int perform_interruptibly(struct rota__poller *poller, struct rota_op *op, struct rota__interruptible *self)
{
	struct rota__wake_batch batch;
	int rc = -EINTR;
	bool ended, done;

	rota__wake_batch_init(&batch);
	rota__interrupts_let(true);
	while (rc == -EINTR)
		rc = was_asked(poller, self) || rota__poller_was_closed(poller, op) ? -ECANCELED
										    : rota__sys_perform_once(op);
	rota__spin_lock(&poller->lock);
	rota__interrupts_leave(&poller->interrupts, self);
	rota__accept_turn_pass(op); /* before a close may go on, and before its owner has it again */
	ended = self->asked || rota__poller_was_closed(poller, op);
	done = resume_closers(poller, &batch);
	rota__spin_unlock(&poller->lock);
	rota__interrupts_let(false);
	rota__wake_batch_submit(&batch);
	while (!done) {
		rota__spin_lock(&poller->lock);
		done = resume_closers(poller, &batch);
		rota__spin_unlock(&poller->lock);
		rota__wake_batch_submit(&batch);
	}
	return rc == -EBADF && ended ? -ECANCELED : rc; /* it was closed just before the call */
}

static void fire(struct rota_op *op, int result)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__op_fire(op, result, &batch);
	rota__wake_batch_submit(&batch);
}

/* The call enters itself where a cancel or a close finds it. */
static void enter_call(struct rota__poller *poller, struct rota__interruptible *self, const struct rota_op *op)
{
	rota__spin_lock(&poller->lock);
	rota__interrupts_enter(&poller->interrupts, self, op);
	rota__spin_unlock(&poller->lock);
}

/* --- beside the pool ------------------------------------------------------------------------------------------------ */

/* On the stack of the job, until it was taken over. */
struct call_beside {
	struct rota__beside beside; /* first */
	struct rota__poller *poller;
	struct rota_op *op;
	struct rota_atomic_u32 taken; /* futex */
};

static void call_beside(struct rota__beside *self, struct rota__idler *thread)
{
	struct call_beside *call = (struct call_beside *)(void *)self;
	struct rota__poller *poller = call->poller;
	struct rota_op *op = call->op;
	struct rota__interruptible interruptible;
	int rc;

	enter_call(poller, &interruptible, op);
	rota__store(&call->taken, 1, RELEASE); /* it may be gone from here on. Partner: rota__poller_beside */
	rota__sys_futex_wake(&call->taken, 1);
	rc = perform_interruptibly(poller, op, &interruptible);
	rota__blocking_beside_free(poller->rt, thread);
	fire(op, rc);
}

bool rota__poller_beside(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker)
{
	struct call_beside call = { { poller->rt, call_beside }, .poller = poller, .op = op };

	rota__interrupts_prepare();
	rota__op_list_leave(NULL, op, ROTA__PLACE_LONG_CALL, waker);
	if (rota__blocking_beside(&call.beside) < 0) {
		rota__slot_disarm(&op->state_, &op->waker_);
		return false;
	}
	while (rota__load(&call.taken, ACQUIRE) == 0) /* partner: call_beside */
		rota__sys_futex_wait(&call.taken, 0, ROTA_NEVER);
	return true;
}

int rota__poller_in_place(struct rota__poller *poller, struct rota_op *op)
{
	struct rota__interruptible self;

	rota__interrupts_prepare();
	enter_call(poller, &self, op);
	return perform_interruptibly(poller, op, &self);
}

/* --- the pool's part ------------------------------------------------------------------------------------------------ */

void rota__poller_errand(struct rota__poller *poller)
{
	struct rota__interruptible self;
	struct rota_op *op;
	bool waits = false;
	int rc;

	rota__spin_lock(&poller->lock);
	op = poller->for_pool.first;
	if (op != NULL) {
		rota__op_list_remove(&poller->for_pool, op);
		waits = op->mail_ == ROTA__PLACE_LONG_CALL;
		if (waits)
			rota__interrupts_enter(&poller->interrupts, &self, op);
	}
	rota__spin_unlock(&poller->lock);
	if (op == NULL)
		return; /* it was cancelled */
	if (waits)
		rc = perform_interruptibly(poller, op, &self);
	else
		rc = rota__poller_was_closed(poller, op) ? -ECANCELED : rota__sys_perform(op);
	fire(op, rc);
}

bool rota__poller_cut_off(struct rota__poller *poller, struct rota_op *closer, const struct rota_waker *waker)
{
	bool any;

	rota__spin_lock(&poller->lock);
	any = rota__interrupts_ask_all(&poller->interrupts, closer->fd_);
	if (any)
		rota__op_list_leave(&poller->closers, closer, ROTA__PLACE_CLOSE, waker);
	rota__spin_unlock(&poller->lock);
	if (any)
		rota__poller_wake(poller); /* who sends the signal again */
	return any;
}
