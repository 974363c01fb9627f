/* SPDX-License-Identifier: MIT */
/* The wait group: waiting until nothing is under way; whoever waits may free it at once; misuse. */
#define _GNU_SOURCE
#include "../../sync/wait_group.h"

#include "waiters.h"

static struct rota_wait_group static_group = ROTA_WAIT_GROUP_INIT;

static void done_thrice(void *arg)
{
	for (int i = 0; i < 3; i++) {
		expect(rota_wait_group_done(arg), ==, 0);
		sched_yield();
	}
}

static void waits_script(const struct place *place)
{
	struct rota_wait_group group;
	struct rota_wait_group_op op;
	struct party party;

	rota_wait_group_init(&group);
	for (int i = 0; i < 4; i++) {
		struct rota_wait_group *g = i % 2 == 0 ? &group : &static_group;

		expect(rota_wait_group_wait(g), ==, 0);
		rota_wait_group_add(g, 2);
		rota_wait_group_add(g, 1);
		expect(rota_wait_group_count(g), ==, 3);
		rota_wait_group_wait_init(&op, g);
		rota_future_cancel(&op.future);
		expect(place->carry(place, &op.future), ==, -ECANCELED);
		party_start(&party, done_thrice, g);
		party_go(&party);
		if (i < 2) {
			expect(rota_wait_group_wait(g), ==, 0);
		} else {
			rota_wait_group_wait_init(&op, g);
			expect(place->carry(place, &op.future), ==, 0);
		}
		party_join(&party);
		expect(rota_wait_group_count(g), ==, 0);
		expect(rota_wait_group_deinit(g), ==, 0);
	}
}

UNIT_TEST(wait_group, waits_until_nothing_is_under_way)
{
	wherever(waits_script);
}

/* --- by hand ------------------------------------------------------------------------------------------------------------- */

static void wait_by_hand(struct rota_wait_group_op *op, struct rota_wait_group *g)
{
	rota_wait_group_wait_init(op, g);
	expect(poll_by_hand(&op->future), ==, ROTA_PENDING);
}

static void expect_ready(struct rota_wait_group_op *op, int status)
{
	expect(poll_by_hand(&op->future), ==, ROTA_READY);
	expect(op->future.status, ==, status);
}

UNIT_TEST(wait_group, cancel)
{
	struct rota_wait_group g = ROTA_WAIT_GROUP_INIT;
	struct rota_wait_group_op ops[2];

	rota_wait_group_add(&g, 1);
	wait_by_hand(&ops[0], &g);
	wait_by_hand(&ops[1], &g);
	rota_future_cancel(&ops[0].future);
	expect_ready(&ops[0], -ECANCELED);
	expect(rota_wait_group_done(&g), ==, 0);
	rota_wait_group_add(&g, 1); /* the next things; the former wait is over all the same */
	rota_future_cancel(&ops[1].future);
	expect_ready(&ops[1], 0);
	expect(rota_wait_group_done(&g), ==, 0);
	expect(rota__word_own(g.state_.value), ==, 0);
}

/* --- tasks ----------------------------------------------------------------------------------------------------------------- */

static int end_it(void *arg)
{
	return rota_wait_group_done(arg);
}

/* On a heap that checks, a touch after the wait has returned would be noticed. */
static void freed_script(const struct place *place)
{
	(void)place;
	for (int i = 0; i < 300; i++) {
		struct rota_wait_group *g = malloc(sizeof(*g));
		const unsigned n = 1 + (unsigned)i % 5;

		rota_wait_group_init(g);
		rota_wait_group_add(g, n);
		for (unsigned k = 0; k < n; k++)
			expect(rota_spawn(NULL, end_it, g), ==, 0);
		expect(rota_wait_group_wait(g), ==, 0);
		memset(g, 0xff, sizeof(*g));
		free(g);
	}
}

UNIT_TEST(wait_group, may_be_freed_after_the_wait)
{
	in_fibers(freed_script, 0);
}

static struct rota_wait_group_op crowd_ops[CROWD_FUTURES];

static struct rota_future *crowd_future(void *arg, unsigned i)
{
	rota_wait_group_wait_init(&crowd_ops[i], arg);
	return &crowd_ops[i].future;
}

static int crowd_wait(void *arg)
{
	return rota_wait_group_wait(arg);
}

UNIT_TEST(wait_group, the_last_one_wakes_a_crowd)
{
	struct rota_wait_group g = ROTA_WAIT_GROUP_INIT;
	struct crowd crowd = { .wait = crowd_wait, .future = crowd_future, .arg = &g };

	rota_wait_group_add(&g, 2);
	crowd_start(&crowd);
	expect_eventually(__atomic_load_n(&g.waiters_.count_, __ATOMIC_RELAXED) == CROWD);
	expect(rota_wait_group_done(&g), ==, 0);
	expect(rota_wait_group_done(&g), ==, 0);
	expect(crowd_join(&crowd, 0), ==, CROWD);
	expect(rota__word_own(g.state_.value), ==, 0);
}

/* --- misuse ---------------------------------------------------------------------------------------------------------------- */

UNIT_TEST(wait_group, one_end_too_many_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_wait_group g = ROTA_WAIT_GROUP_INIT;
	struct unit_capture capture;

	unit_capture_begin(&capture);
	expect(rota_wait_group_done(&g), ==, -EINVAL);
	expect_contains(unit_capture_end(&capture), "nothing is under way");
	expect(rota_wait_group_wait(&g), ==, 0);
}

UNIT_TEST(wait_group, more_than_it_can_count_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_wait_group g = ROTA_WAIT_GROUP_INIT;
	struct unit_capture capture;

	expect(rota_wait_group_add(&g, ROTA_WAIT_GROUP_MAX), ==, 0);
	expect(rota_wait_group_add(&g, 0), ==, 0);
	unit_capture_begin(&capture);
	expect(rota_wait_group_add(&g, 1), ==, -EOVERFLOW);
	expect_contains(unit_capture_end(&capture), "more than ROTA_WAIT_GROUP_MAX");
	expect(rota_wait_group_count(&g), ==, ROTA_WAIT_GROUP_MAX);
	expect(rota_wait_group_done(&g), ==, 0);
	expect(rota_wait_group_add(&g, 1), ==, 0);
	expect(rota_wait_group_count(&g), ==, ROTA_WAIT_GROUP_MAX);
}

UNIT_TEST(wait_group, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_wait_group g = ROTA_WAIT_GROUP_INIT;
	struct unit_capture capture;
	struct rota_wait_group_op op;

	rota_wait_group_add(&g, 1);
	wait_by_hand(&op, &g);
	unit_capture_begin(&capture);
	expect(rota_wait_group_deinit(&g), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	expect(rota_wait_group_done(&g), ==, 0);
	expect_ready(&op, 0);
}
