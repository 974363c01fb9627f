/* SPDX-License-Identifier: MIT */
/*
 * The run-once cell: it succeeds once, who sees it done sees what was done, after a failure the next has the turn, and a
 * cancelled waiter does not keep a turn that nobody else gets.
 */
#include "../../sync/once.h"

#include <errno.h>

#include "waits.h"

static struct rota_once once;
static unsigned runs, product;                   /* plain: to run at the same time is a data race */
static struct rota_once_op first, second, third; /* they wait, in this order */

static void setup(void)
{
	rota_once_init(&once);
	runs = product = 0;
}

/* Somebody has the turn: a thread ends it. */
static void setup_running(void)
{
	setup();
	rota_once_begin_init(&first, &once);
	model_check(poll(&first.future) == ROTA_READY && first.future.status == ROTA_ONCE_TURN);
}

static void setup_two_wait(void)
{
	setup_running();
	rota_once_begin_init(&first, &once);
	model_check(poll(&first.future) == ROTA_PENDING);
	rota_once_begin_init(&second, &once);
	model_check(poll(&second.future) == ROTA_PENDING);
}

/* More than one batch of wakes (meson.build). */
static void setup_three_wait(void)
{
	struct rota_once_op *const ops[] = { &first, &second, &third };

	setup_running();
	for (int i = 0; i < 3; i++) {
		rota_once_begin_init(ops[i], &once);
		model_check(poll_elsewhere(&ops[i]->future) == ROTA_PENDING);
	}
}

static int succeed(void *arg)
{
	(void)arg;
	runs++;
	product = 42;
	return 7;
}

static int not_again(void *arg)
{
	(void)arg;
	model_check(false);
	return 0;
}

static int fail_at_first(void *arg)
{
	return runs++ == 0 ? -EIO : succeed(arg);
}

static void run(void)
{
	model_check(rota_once_run(&once, succeed, NULL) == 7);
	model_check(product == 42);
	model_check(rota_once_done(&once));
}

/* It is under way, and does not fail. */
static void run_nothing(void)
{
	model_check(rota_once_run(&once, not_again, NULL) == 7);
	model_check(product == 42);
}

/* Whoever is first fails. */
static void run_and_maybe_fail(void)
{
	int rc = rota_once_run(&once, fail_at_first, NULL);

	model_check(rc == 7 || rc == -EIO);
	if (rc == 7)
		model_check(product == 42);
}

static void look(void)
{
	const bool done = rota_once_done(&once);

	if (done)
		model_check(product == 42);
	model_outcome(done);
}

static void end_well(void)
{
	product = 42;
	model_check(rota_once_end(&once, 7) == 0);
}

static void end_badly(void)
{
	model_check(rota_once_end(&once, -EIO) == 0);
}

/* If it had the turn after all, it ends it. */
static void give_up_first(void)
{
	int status = give_up(&first.future);

	model_free(&first, sizeof(first));
	model_outcome(status == ROTA_ONCE_TURN ? 0 : 1);
	if (status == ROTA_ONCE_TURN)
		end_badly();
	else
		model_check(status == -ECANCELED);
}

static void give_up_third(void)
{
	int status = give_up(&third.future);

	model_free(&third, sizeof(third));
	model_check(status == 0 || status == -ECANCELED);
	model_check(status < 0 || product == 42);
	model_outcome(status == 0 ? 0 : 1);
}

static void first_two_know(void)
{
	model_check(poll(&first.future) == ROTA_READY && first.future.status == 0);
	model_check(poll(&second.future) == ROTA_READY && second.future.status == 0);
	model_check(rota_once_deinit(&once) == 0);
}

static void second_has_the_turn(void)
{
	model_check(poll(&second.future) == ROTA_READY && second.future.status == ROTA_ONCE_TURN);
}

static void ran_once(void)
{
	model_check(runs == 1 && rota_once_deinit(&once) == 0);
}

static void failed_then_ran(void)
{
	model_check(rota_once_run(&once, succeed, NULL) == 7);
	model_check(runs == 3 && rota_once_deinit(&once) == 0);
}

const struct model_scenario model_scenarios[] = {
	{ "once: two", setup, { run, run }, ran_once, 0, 0, 0 },
	{ "once: done while others look", setup, { run, look }, ran_once, 0x3, 0, 0 },
	{ "once: ended, run", setup_running, { end_well, run_nothing }, NULL, 0, 0, 0 },
	{ "once: failed, run", setup_running, { end_badly, run }, ran_once, 0, 0, 0 },
	{ "once: the first fails", setup, { run_and_maybe_fail, run_and_maybe_fail }, failed_then_ran, 0, 0, 0 },
	{ "once: cancelled, another waits", setup_two_wait, { end_badly, give_up_first }, second_has_the_turn, 0x3, 0, 0 },
	{ "once: cancel between two batches", setup_three_wait, { end_well, give_up_third }, first_two_know, 0x3, 0, 0 },
	{ .name = NULL },
};
