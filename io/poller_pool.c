/* SPDX-License-Identifier: MIT */
#include "poller_pool_internal.h"

#include <errno.h>

#include "../runtime/blocking_internal.h"
#include "../runtime/runtime_internal.h"
#include "op_list_internal.h"
#include "sys_internal.h"

/* Asks for a thread for an operation that was left in the list. 0, or a negative errno: there is none, and it was taken back. */
static int ask_for_thread(struct rota__poller *poller, struct rota__op_list *list, struct rota_op *op,
			  int (*errand)(rota_runtime *rt))
{
	bool left;
	int rc;

	do {
		rc = errand(poller->rt);
		if (rc == 0)
			return 0;
		/* There is no thread. Or one came by for another operation and took this one, so nobody comes for that. */
		rota__spin_lock(&poller->lock);
		left = !rota__op_is_listed(op) && list->first != NULL;
		if (rota__op_is_listed(op))
			rota__op_list_take_back(list, op);
		else
			rc = 0;
		rota__spin_unlock(&poller->lock);
	} while (left);
	return rc;
}

int rota__poller_to_pool(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker)
{
	const enum rota__op_place place = rota__op_waits_for_ever(op) ? ROTA__PLACE_LONG_CALL : ROTA__PLACE_POOL;

	if (place == ROTA__PLACE_LONG_CALL)
		rota__interrupts_prepare();
	rota__spin_lock(&poller->lock);
	rota__op_list_leave(&poller->for_pool, op, place, waker);
	rota__spin_unlock(&poller->lock);
	return ask_for_thread(poller, &poller->for_pool, op, rota__blocking_errand);
}

int rota__poller_beside(struct rota__poller *poller, struct rota_op *op, const struct rota_waker *waker)
{
	rota__interrupts_prepare();
	rota__spin_lock(&poller->lock);
	rota__op_list_leave(&poller->for_beside, op, ROTA__PLACE_BESIDE, waker);
	rota__spin_unlock(&poller->lock);
	return ask_for_thread(poller, &poller->for_beside, op, rota__blocking_errand_beside);
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
		if (rota__interrupts_any(&poller->interrupts, closer->fd_, true))
			continue;
		if (rota__wake_batch_full(batch))
			return false;
		rota__op_list_end(&poller->closers, closer, ROTA__OP_RESUME, batch);
	}
	return true;
}

/* Makes the call, again where it was interrupted for nothing. With an alarm, which has, only once. */
static int call(struct rota__poller *poller, struct rota_op *op, const struct rota__interruptible *self, bool alarmed)
{
	int rc = 0;

	while (!was_asked(poller, self) && !rota__op_was_closed(op)) {
		if (rc == -EINTR && alarmed)
			return ROTA__CALL_TAKEN;
		rc = rota__sys_perform_once(op);
		if (rc != -EINTR)
			return rc;
	}
	return -ECANCELED;
}

/* A call that a cancel may cut off; it is in the list. Shortly: ROTA__CALL_TAKEN, when it takes longer than a moment. */
static int perform_interruptibly(struct rota__poller *poller, struct rota_op *op, struct rota__interruptible *self,
				 bool shortly)
{
	struct rota__wake_batch batch;
	bool ended, done, alarmed;
	timer_t alarm;
	int rc;

	rota__wake_batch_init(&batch);
	rota__interrupts_let(true);
	alarmed = shortly && rota__interrupts_alarm(&alarm);
	rc = call(poller, op, self, alarmed);
	if (alarmed)
		rota__interrupts_alarm_end(alarm);
	rota__spin_lock(&poller->lock);
	rota__interrupts_leave(&poller->interrupts, self);
	rota__accept_turn_pass(op); /* before a close may go on, and before its owner has it again */
	ended = self->asked || rota__op_was_closed(op);
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

int rota__poller_in_place(struct rota__poller *poller, struct rota_op *op)
{
	struct rota__interruptible self;

	rota__interrupts_prepare();
	rota__spin_lock(&poller->lock);
	rota__interrupts_enter(&poller->interrupts, &self, op);
	rota__spin_unlock(&poller->lock);
	return perform_interruptibly(poller, op, &self, op->opcode_ == IORING_OP_ACCEPT);
}

/* --- the threads' part ---------------------------------------------------------------------------------------------- */

/* A call that may wait for ever, by a thread of the pool, whose place is free meanwhile. The open of what is a file does not. */
static int perform_aside(struct rota__poller *poller, struct rota_op *op, struct rota__interruptible *self)
{
	const bool aside = !rota__sys_opens_file(op);
	int result;

	if (aside)
		rota__blocking_step_aside(poller->rt);
	result = perform_interruptibly(poller, op, self, false);
	if (aside)
		rota__blocking_step_back(poller->rt);
	return result;
}

/* Takes the longest waiting operation out of the list, performs it, and leaves its result to be fired. NULL: what was there was
 * cancelled. */
static struct rota_op *perform_first(struct rota__poller *poller, struct rota__op_list *list, int *ret_result)
{
	struct rota__interruptible self;
	struct rota_op *op;
	bool waits = false;

	rota__spin_lock(&poller->lock);
	op = list->first;
	if (op != NULL) {
		rota__op_list_remove(list, op);
		waits = op->mail_ != ROTA__PLACE_POOL;
		if (waits)
			rota__interrupts_enter(&poller->interrupts, &self, op);
	}
	rota__spin_unlock(&poller->lock);
	if (op == NULL)
		return NULL;
	if (waits && list == &poller->for_pool)
		*ret_result = perform_aside(poller, op, &self);
	else if (waits)
		*ret_result = perform_interruptibly(poller, op, &self, false);
	else
		*ret_result = rota__op_was_closed(op) ? -ECANCELED : rota__sys_perform(op);
	return op;
}

void rota__poller_errand(struct rota__poller *poller)
{
	int result;
	struct rota_op *op = perform_first(poller, &poller->for_pool, &result);

	if (op != NULL)
		fire(op, result);
}

void rota__poller_errand_beside(struct rota__poller *poller, struct rota__beside_thread *thread)
{
	int result;
	struct rota_op *op = perform_first(poller, &poller->for_beside, &result);

	rota__blocking_beside_free(poller->rt, thread);
	if (op != NULL)
		fire(op, result);
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
