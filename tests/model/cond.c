/* SPDX-License-Identifier: MIT */
/*
 * The condition variable: who gives the mutex up to wait misses no signal, and has it again, alone, whatever ends the wait; a
 * cancelled waiter swallows none; who was woken may end it, though the waker is still on its way out.
 */
#include "../../sync/cond.h"

#include <errno.h>

#include "waits.h"

static struct rota_mutex mutex;
static struct rota_cond cond;
static unsigned things, inside;                  /* under the mutex; plain: to be there together is a data race */
static struct rota_cond_op first, second, third; /* they wait, in this order */

static void setup(void)
{
	rota_mutex_init(&mutex);
	model_share(&mutex.state_);
	mutex.waiters_.lock_.value = 1; /* the hint */
	rota_cond_init(&cond);
	model_share_list(&cond.waiters_);
	things = inside = 0;
}

static void wait_in_setup(struct rota_cond_op *op)
{
	rota_mutex_lock(&mutex);
	rota_cond_wait_init(op, &cond, &mutex);
	model_check(poll_elsewhere(&op->future) == ROTA_PENDING);
}

static void setup_one_waits(void)
{
	setup();
	wait_in_setup(&first);
}

static void setup_two_wait(void)
{
	setup_one_waits();
	wait_in_setup(&second);
}

/* More than one batch of wakes (meson.build). */
static void setup_three_wait(void)
{
	setup_two_wait();
	wait_in_setup(&third);
}

/* With the mutex. */
static void critical(void)
{
	model_check(inside++ == 0);
	inside--;
}

static void put(void)
{
	rota_mutex_lock(&mutex);
	critical();
	things++;
	rota_cond_signal(&cond);
	rota_mutex_unlock(&mutex);
}

static void put_then_signal(void)
{
	rota_mutex_lock(&mutex);
	critical();
	things++;
	rota_mutex_unlock(&mutex);
	rota_cond_signal(&cond);
}

static void put_for_all(void)
{
	rota_mutex_lock(&mutex);
	critical();
	things += 2;
	rota_cond_broadcast(&cond);
	rota_mutex_unlock(&mutex);
}

static void get(void)
{
	rota_mutex_lock(&mutex);
	while (things == 0)
		model_check(rota_cond_wait(&cond, &mutex) == 0);
	critical();
	things--;
	rota_mutex_unlock(&mutex);
}

/* Whoever put the thing there has dropped the mutex when this has it, and touches neither any more. */
static void get_and_free(void)
{
	get();
	model_free(&cond, sizeof(cond));
	model_free(&mutex, sizeof(mutex));
}

/* The deadline has passed before it waits: yet it queues, so a signal may be faster. */
static void get_or_time_out(void)
{
	int rc;

	rota_mutex_lock(&mutex);
	rc = rota_cond_wait_until(&cond, &mutex, 0);
	model_check(rc == 0 || rc == -ETIMEDOUT);
	critical();
	model_check(rc < 0 || things == 1);
	model_outcome(rc == 0 ? 0 : 1);
	rota_mutex_unlock(&mutex);
}

static void signal(void)
{
	rota_cond_signal(&cond);
}

static void broadcast(void)
{
	rota_cond_broadcast(&cond);
}

/* It has the mutex then, and drops it. */
static void woken(struct rota_cond_op *op)
{
	model_check(poll(&op->future) == ROTA_READY && op->future.status == 0);
	rota_mutex_unlock(&mutex);
}

static void await_woken(struct rota_cond_op *op)
{
	model_check(rota_await(&op->future) == 0);
	model_free(op, sizeof(*op));
	rota_mutex_unlock(&mutex);
}

/* Nobody else waits any more, and nobody uses the mutex. */
static void await_two_and_free(void)
{
	await_woken(&first);
	await_woken(&second);
	model_free(&cond, sizeof(cond));
	model_free(&mutex, sizeof(mutex));
}

static int give_up_and_unlock(struct rota_cond_op *op)
{
	int status = give_up(&op->future);

	model_free(op, sizeof(*op));
	model_check(status == 0 || status == -ECANCELED);
	model_outcome(status == 0 ? 0 : 1);
	critical();
	rota_mutex_unlock(&mutex);
	return status;
}

/* A signal that was its own after all goes on to the next. */
static void give_up_first(void)
{
	if (give_up_and_unlock(&first) == 0)
		rota_cond_signal(&cond);
}

/* It may leave while the list is left alone between two batches. */
static void give_up_third(void)
{
	give_up_and_unlock(&third);
}

/* Somebody else may have the mutex then, for which it waits, and no second cancel disturbs that. */
static void give_up_and_wait(void)
{
	rota_future_cancel(&first.future);
	if (poll(&first.future) == ROTA_PENDING) {
		rota_future_cancel(&first.future);
		rota_await(&first.future);
	}
	model_check(first.future.status == 0 || first.future.status == -ECANCELED);
	model_outcome(first.future.status == 0 ? 0 : 1);
	critical();
	rota_mutex_unlock(&mutex);
}

static void nothing_left(void)
{
	model_check(things == 0 && rota_cond_deinit(&cond) == 0 && rota_mutex_deinit(&mutex) == 0);
}

static void first_gets(void)
{
	model_check(poll(&first.future) == ROTA_READY && first.future.status == 0);
	things--;
	rota_mutex_unlock(&mutex);
	nothing_left();
}

static void second_woken(void)
{
	woken(&second);
	nothing_left();
}

static void two_woken(void)
{
	woken(&first);
	woken(&second);
	nothing_left();
}

static void mutex_is_free(void)
{
	model_check(rota_mutex_deinit(&mutex) == 0);
}

const struct model_scenario model_scenarios[] = {
	{ "cond: put, get", setup, { put, get }, nothing_left, 0, 0, 3 },
	{ "cond: signal without the mutex", setup, { put_then_signal, get }, nothing_left, 0, 0, 0 },
	{ "cond: broadcast, two get", setup_one_waits, { put_for_all, get }, first_gets, 0, 0, 2 },
	{ "cond: freed by who was signalled", setup, { put, get_and_free }, NULL, 0, 0, 2 },
	{ "cond: deadline", setup, { put, get_or_time_out }, mutex_is_free, 0x3, 0, 2 },
	{ "cond: broadcast, more than a batch", setup_three_wait, { broadcast, give_up_third }, two_woken, 0x3, 0, 0 },
	{ "cond: freed after a broadcast", setup_two_wait, { broadcast, await_two_and_free }, NULL, 0, 0, 0 },
	{ "cond: cancel, another waits", setup_two_wait, { signal, give_up_first }, second_woken, 0x3, 0, 0 },
	{ "cond: cancel while the mutex is had", setup_two_wait, { put, give_up_and_wait }, mutex_is_free, 0x3, 0, 2 },
	{ .name = NULL },
};
