/* SPDX-License-Identifier: MIT */
/* The barrier: who has passed sees what all did before it, one of each round leads, a cancelled one does not count. */
#include "../../sync/barrier.h"
#include "../../runtime/waitlist_internal.h"

#include <errno.h>

#include "waits.h"

static struct rota_barrier barrier;
static unsigned steps[2]; /* plain: to pass too early is a data race */
static struct rota_atomic_u32 leaders;
static struct rota_barrier_op waiting;
static struct rota_barrier_op crowd[3]; /* they wait, in this order: more than one batch of wakes (meson.build) */

static void setup(void)
{
	model_check(rota_barrier_init(&barrier, 2) == 0);
	steps[0] = steps[1] = 0;
	leaders.value = 0;
}

/* One has come already. */
static void setup_one_waits(void)
{
	setup();
	rota_barrier_wait_init(&waiting, &barrier);
	model_check(poll(&waiting.future) == ROTA_PENDING);
}

/* The fourth is to come. */
static void setup_three_wait(void)
{
	setup();
	model_check(rota_barrier_init(&barrier, 4) == 0);
	for (int i = 0; i < 3; i++) {
		rota_barrier_wait_init(&crowd[i], &barrier);
		model_check(poll_elsewhere(&crowd[i].future) == ROTA_PENDING);
	}
}

static int pass(void)
{
	int rc = rota_barrier_wait(&barrier);

	model_check(rc == 0 || rc == ROTA_BARRIER_LEADER);
	if (rc == ROTA_BARRIER_LEADER)
		rota__fetch_add(&leaders, 1, RELAXED);
	return rc;
}

static void arrive(void)
{
	pass();
}

static void round_of(unsigned self)
{
	steps[self]++;
	arrive();
	model_check(steps[1 - self] == 1);
}

static void round_0(void)
{
	round_of(0);
}

static void round_1(void)
{
	round_of(1);
}

/* The second round keeps the first one's looks apart from what comes after. */
static void two_rounds_0(void)
{
	round_of(0);
	arrive();
	steps[0] = 2;
}

static void two_rounds_1(void)
{
	round_of(1);
	arrive();
	steps[1] = 2;
}

/* All have come, so whoever has waited may end it: the leader does not touch it any more. */
static void pass_and_free(void)
{
	if (pass() != ROTA_BARRIER_LEADER)
		model_free(&barrier, sizeof(barrier));
}

/* One that left takes its arrival back, and comes again. */
static void give_up_or_pass(void)
{
	int status = give_up(&waiting.future);

	model_free(&waiting, sizeof(waiting));
	model_outcome(status == 0 ? 0 : 1);
	if (status < 0) {
		model_check(status == -ECANCELED);
		arrive();
	}
}

/* When all have come it has passed, though it may have to wait for its turn to be told. */
static void give_up_the_third_or_pass(void)
{
	rota_future_cancel(&crowd[2].future);
	const int status = rota_await(&crowd[2].future);

	model_free(&crowd[2], sizeof(crowd[2]));
	model_outcome(status == 0 ? 0 : 1);
	if (status < 0) {
		model_check(status == -ECANCELED);
		arrive();
	}
}

/* The third is told with the others, or with those of the next round. Who comes back for it finds the barrier. */
static void next_round_and_free(void)
{
	struct rota_barrier_op next[3];

	model_check(rota_await(&crowd[0].future) == 0);
	model_check(rota_await(&crowd[1].future) == 0);
	model_outcome(rota__waiter_granted(&crowd[2].waiter_) ? 0 : 1);
	for (int i = 0; i < 3; i++) {
		rota_barrier_wait_init(&next[i], &barrier);
		model_check(poll_elsewhere(&next[i].future) == ROTA_PENDING);
	}
	arrive();
	model_check(rota_await(&crowd[2].future) == 0);
	for (int i = 0; i < 3; i++)
		model_check(rota_await(&next[i].future) == 0);
	model_check(rota_barrier_deinit(&barrier) == 0);
	model_free(&barrier, sizeof(barrier));
}

static void one_led(void)
{
	model_check(leaders.value == 1);
}

static void one_led_each(void)
{
	model_check(leaders.value == 2 && rota_barrier_deinit(&barrier) == 0);
}

static void the_others_passed(void)
{
	one_led();
	for (int i = 0; i < 2; i++)
		model_check(poll(&crowd[i].future) == ROTA_READY && crowd[i].future.status == 0);
	model_check(rota_barrier_deinit(&barrier) == 0);
}

const struct model_scenario model_scenarios[] = {
	{ "barrier: a round", setup, { round_0, round_1 }, one_led, 0, 0, 0 },
	{ "barrier: two rounds", setup, { two_rounds_0, two_rounds_1 }, one_led_each, 0, 0, 3 },
	{ "barrier: freed by who has waited", setup, { pass_and_free, pass_and_free }, one_led, 0, 0, 0 },
	{ "barrier: cancel", setup_one_waits, { arrive, give_up_or_pass }, one_led, 0x3, 0, 0 },
	{ "barrier: cancel between two batches",
	  setup_three_wait,
	  { arrive, give_up_the_third_or_pass },
	  the_others_passed,
	  0x3,
	  0,
	  0 },
	{ "barrier: next round between two batches", setup_three_wait, { arrive, next_round_and_free }, NULL, 0x3, 0, 2 },
	{ .name = NULL },
};
