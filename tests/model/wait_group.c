/* SPDX-License-Identifier: MIT */
/* The wait group: who has waited sees what was done before each done, and may end the group; a cancelled one just goes. */
#include "../../sync/wait_group.h"

#include <errno.h>

#include "waits.h"

static struct rota_wait_group group;
static unsigned work[2];                               /* plain: to go on too early is a data race */
static struct rota_wait_group_op first, second, third; /* in this order */

static void setup_1(void)
{
	rota_wait_group_init(&group);
	rota_wait_group_add(&group, 1);
	work[0] = work[1] = 0;
}

static void setup_2(void)
{
	setup_1();
	rota_wait_group_add(&group, 1);
}

static void wait_in_setup(struct rota_wait_group_op *op)
{
	rota_wait_group_wait_init(op, &group);
	model_check(poll(&op->future) == ROTA_PENDING);
}

static void setup_two_wait(void)
{
	setup_2();
	wait_in_setup(&first);
	wait_in_setup(&second);
}

/* More than one batch of wakes (meson.build). */
static void setup_three_wait(void)
{
	struct rota_wait_group_op *const ops[] = { &first, &second, &third };

	setup_1();
	for (int i = 0; i < 3; i++) {
		rota_wait_group_wait_init(ops[i], &group);
		model_check(poll_elsewhere(&ops[i]->future) == ROTA_PENDING);
	}
}

static void done_0(void)
{
	work[0] = 1;
	model_check(rota_wait_group_done(&group) == 0);
}

static void done_1(void)
{
	work[1] = 1;
	model_check(rota_wait_group_done(&group) == 0);
}

static void wait(void)
{
	model_check(rota_wait_group_wait(&group) == 0);
	model_check(work[0] == 1);
}

static void wait_for_both_and_free(void)
{
	model_check(rota_wait_group_wait(&group) == 0);
	model_check(work[0] == 1 && work[1] == 1);
	model_free(&group, sizeof(group));
}

/* A worker that hands a part of its work to another. */
static void add_and_done(void)
{
	rota_wait_group_add(&group, 1);
	work[0] = 1;
	model_check(rota_wait_group_done(&group) == 0);
	work[1] = 1;
	model_check(rota_wait_group_done(&group) == 0);
}

static void give_up_first(void)
{
	int status = give_up(&first.future);

	model_free(&first, sizeof(first));
	model_check(status == 0 || status == -ECANCELED);
	model_outcome(status == 0 ? 0 : 1);
	done_0();
}

/* Cancelled when all were done it may have to wait for its turn to be told: so when all three have gone the group may end. */
static void give_up_third_and_free(void)
{
	rota_future_cancel(&third.future);
	const int status = rota_await(&third.future);

	model_free(&third, sizeof(third));
	model_check(status == 0 || status == -ECANCELED);
	model_check(status < 0 || work[0] == 1);
	model_outcome(status == 0 ? 0 : 1);
	model_check(rota_await(&first.future) == 0);
	model_check(rota_await(&second.future) == 0);
	model_check(work[0] == 1);
	model_free(&group, sizeof(group));
}

static void served(struct rota_wait_group_op *op)
{
	model_check(poll(&op->future) == ROTA_READY && op->future.status == 0);
}

static void second_served(void)
{
	served(&second);
	model_check(work[0] == 1 && work[1] == 1);
}

static void both_served(void)
{
	served(&first);
	second_served();
	model_check(rota_wait_group_deinit(&group) == 0);
}

const struct model_scenario model_scenarios[] = {
	{ "wait group: done, wait", setup_1, { done_0, wait }, NULL, 0, 0, 0 },
	{ "wait group: two done, wait", setup_2, { done_0, done_1, wait_for_both_and_free }, NULL, 0, 0, 1 },
	{ "wait group: add, wait", setup_1, { add_and_done, wait_for_both_and_free }, NULL, 0, 0, 0 },
	{ "wait group: two done, two wait", setup_two_wait, { done_0, done_1 }, both_served, 0, 0, 0 },
	{ "wait group: cancel, another waits", setup_two_wait, { done_1, give_up_first }, second_served, 0x2, 0, 0 },
	{ "wait group: cancel between two batches", setup_three_wait, { done_0, give_up_third_and_free }, NULL, 0x3, 0, 0 },
	{ .name = NULL },
};
