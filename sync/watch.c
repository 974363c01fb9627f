/* SPDX-License-Identifier: MIT */
/*
 * The protocol. The value lies under a stamp (words_internal.h), which is even and grows by two with each send; a receiver
 * remembers the stamp that it saw last. Senders hold the list's lock; reading takes no lock and is repeated when a send came
 * between. A receiver that has nothing to see looks again under the lock, and queues. A send grants all that are queued,
 * which says "look again": a cancelled receiver has taken nothing from anybody.
 */
#include "watch.h"

#include <errno.h>

#include "../runtime/alloc_internal.h"
#include "../runtime/await_internal.h"
#include "../runtime/direct_internal.h"
#include "misuse_internal.h"
#include "words_internal.h"

int rota_watch_init(struct rota_watch *w, size_t size, const void *value)
{
	if (size == 0 || size > PTRDIFF_MAX / 2)
		return -EINVAL;
	*w = (struct rota_watch){ .size_ = size };
	w->words_ = rota__alloc_object(rota__words(size) * sizeof(*w->words_), ROTA__CACHE_LINE);
	if (w->words_ == NULL)
		return -ENOMEM;
	rota__words_write(&w->stamp_, 2, w->words_, value, size);
	return 0;
}

int rota_watch_deinit(struct rota_watch *w)
{
	int rc = rota__sync_deinit(&w->receivers_, "rota_watch_deinit while somebody waits");

	if (rc < 0)
		return rc;
	if (!w->lent_)
		rota__free_object(w->words_, rota__words(w->size_) * sizeof(*w->words_), ROTA__CACHE_LINE);
	w->words_ = NULL;
	w->size_ = 0;
	w->closed_ |= 1;
	return 0;
}

int rota_watch_send(struct rota_watch *w, const void *value)
{
	struct rota__wake_batch batch;
	bool tell = false;
	int rc = 0;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&w->receivers_);
	if (w->closed_) {
		rc = -EPIPE;
		tell = rota__sync_first_refused(&w->closed_);
	} else {
		uint64_t next = rota__load(&w->stamp_, RELAXED) + 2; /* written under the lock */

		rota__words_write(&w->stamp_, next, w->words_, value, w->size_);
		rota__waitlist_grant_all(&w->receivers_, 0, &batch);
	}
	rota__waitlist_unlock(&w->receivers_);
	rota__wake_batch_submit(&batch);
	if (tell)
		rota__sync_tell_refused("rota_watch_send: the watch is closed");
	return rc;
}

void rota_watch_close(struct rota_watch *w)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&w->receivers_);
	w->closed_ |= 1;
	rota__waitlist_grant_all(&w->receivers_, 0, &batch);
	rota__waitlist_unlock(&w->receivers_);
	rota__wake_batch_submit(&batch);
}

/* The stamp of a whole value. Without the lock. */
static __attribute__((noinline)) uint64_t stamp(struct rota_watch *w)
{
	uint64_t seen = rota__load(&w->stamp_, ACQUIRE); /* partner: rota__words_write */
	unsigned spins = 0;

	while (seen % 2 != 0) {
		rota__spin_pause(&spins);
		seen = rota__load(&w->stamp_, ACQUIRE); /* as above */
	}
	return seen;
}

/* Copies the latest value; its stamp. */
static uint64_t copy(struct rota_watch *w, void *ret_value)
{
	uint64_t seen = rota__load(&w->stamp_, ACQUIRE); /* partner: rota__words_write */

	while (seen % 2 != 0 || !rota__words_read(&w->stamp_, seen, w->words_, ret_value, w->size_))
		seen = stamp(w);
	return seen;
}

void rota_watch_copy(struct rota_watch *w, void *ret_value)
{
	copy(w, ret_value);
}

void rota_watch_subscribe(struct rota_watch *w, struct rota_watch_receiver *receiver)
{
	receiver->watch_ = w;
	receiver->seen_ = stamp(w);
}

/* 0, or -EAGAIN: there is nothing that the receiver has not seen. */
static int take(struct rota_watch_receiver *receiver, void *ret_value)
{
	struct rota_watch *w = receiver->watch_;

	/* While the next value is being written, the present one may be new all the same: a difference is enough. */
	if (rota__load(&w->stamp_, RELAXED) == receiver->seen_)
		return -EAGAIN;
	receiver->seen_ = ret_value != NULL ? copy(w, ret_value) : stamp(w);
	return 0;
}

int rota_watch_try_changed(struct rota_watch_receiver *receiver, void *ret_value)
{
	struct rota_watch *w = receiver->watch_;
	int rc = take(receiver, ret_value);

	if (rc == -EAGAIN) {
		rota__waitlist_lock(&w->receivers_);
		rc = take(receiver, ret_value);
		if (rc == -EAGAIN && w->closed_)
			rc = -EPIPE;
		rota__waitlist_unlock(&w->receivers_);
	}
	return rc;
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

static struct rota_watch_op *op_of(struct rota_future *future)
{
	return (struct rota_watch_op *)(void *)future;
}

/* Looks at all that is new, without the lock: 0, or -EAGAIN. */
static int look(struct rota_watch_op *op)
{
	int rc;

	do {
		rc = 0;
		if (op->looked_)
			rc = take(op->receiver_, op->value_);
		else
			op->receiver_->seen_ = copy(op->receiver_->watch_, op->value_);
		op->looked_ = true;
	} while (rc == 0 && op->predicate_ != NULL && !op->predicate_(op->value_, op->arg_));
	return rc;
}

/* Under the lock no value comes. Queues when there is nothing to look at: -EINPROGRESS; -EAGAIN: look again. */
static int queue(struct rota_watch_op *op, struct rota_context *cx)
{
	struct rota_watch *w = op->receiver_->watch_;

	if (rota__load(&w->stamp_, RELAXED) != op->receiver_->seen_) /* written under the lock */
		return -EAGAIN;
	if (w->closed_)
		return -EPIPE;
	rota__waitlist_wait(&w->receivers_, &op->waiter_, cx->waker, false);
	return -EINPROGRESS;
}

static rota_poll wait_poll(struct rota_future *self, struct rota_context *cx)
{
	struct rota_watch_op *op = op_of(self);
	struct rota_watch *w = op->receiver_->watch_;
	const bool cancelled = rota__future_cancel_noted(self);
	int rc;

	do {
		rc = cancelled ? -ECANCELED : look(op);
		if (rc != -EAGAIN && rota__waiter_mine(&op->waiter_))
			break;
		rota__waitlist_lock(&w->receivers_);
		if (rc == -EAGAIN)
			rc = queue(op, cx);
		if (rc != -EAGAIN && rc != -EINPROGRESS && rota__waiter_queued(&op->waiter_))
			rota__waitlist_remove(&w->receivers_, &op->waiter_);
		rota__waitlist_unlock(&w->receivers_);
	} while (rc == -EAGAIN);
	if (rc == -EINPROGRESS)
		return ROTA_PENDING;
	self->status = rc;
	return ROTA_READY;
}

static const struct rota_future_ops wait_ops = { wait_poll, rota__future_note_cancel, "watch" };

void rota_watch_wait_for_init(struct rota_watch_op *op, struct rota_watch_receiver *receiver,
			      rota_watch_predicate *predicate, void *arg, void *value)
{
	rota_future_init(&op->future, &wait_ops);
	op->receiver_ = receiver;
	op->predicate_ = predicate;
	op->arg_ = arg;
	op->value_ = value;
	op->looked_ = predicate == NULL;
	rota__waiter_init(&op->waiter_);
}

void rota_watch_changed_init(struct rota_watch_op *op, struct rota_watch_receiver *receiver, void *ret_value)
{
	rota_watch_wait_for_init(op, receiver, NULL, NULL, ret_value);
}

/* Apart, so that who finds a new value makes no room for the wait. */
static __attribute__((noinline)) int changed_waiting(struct rota_watch_receiver *receiver, void *ret_value)
{
	struct rota_watch_op op;

	rota_watch_changed_init(&op, receiver, ret_value);
	return rota__await_own(&op.future, &wait_ops);
}

int rota_watch_changed(struct rota_watch_receiver *receiver, void *ret_value)
{
	struct rota__worker *worker = rota__worker_self();

	if (!rota__direct_may(worker) || take(receiver, ret_value) < 0)
		return ROTA__COME_BACK2(changed_waiting, receiver, ret_value);
	rota__direct_done(worker);
	return 0;
}

int rota_watch_wait_for(struct rota_watch_receiver *receiver, rota_watch_predicate *predicate, void *arg, void *value)
{
	struct rota_watch_op op;

	rota_watch_wait_for_init(&op, receiver, predicate, arg, value);
	return rota_await(&op.future);
}
