/* SPDX-License-Identifier: MIT */
/* Something is done once, though many want it; a failure passes the turn on, also when the next one is cancelled. */
#define _GNU_SOURCE
#include "../../sync/once.h"

#include "waiters.h"

struct work {
	struct rota_once once;
	int runs, failures; /* guarded by the turn */
	bool slow;
};

static int work(void *arg)
{
	struct work *work = arg;

	work->runs++;
	if (work->slow)
		(void)rota_sleep(ROTA_US(100));
	return work->runs <= work->failures ? -EIO : 40 + work->runs;
}

static void alone_script(const struct place *place)
{
	struct work w = { ROTA_ONCE_INIT, 0, 1, true };
	struct rota_once_op op;

	expect(rota_once_done(&w.once), ==, 0);
	expect(rota_once_run(&w.once, work, &w), ==, -EIO);
	expect(rota_once_done(&w.once), ==, 0);
	expect(rota_once_run(&w.once, work, &w), ==, 42);
	expect(rota_once_run(&w.once, work, &w), ==, 42);
	expect(w.runs, ==, 2);
	expect(rota_once_done(&w.once), ==, 1);
	rota_once_begin_init(&op, &w.once);
	expect(place->carry(place, &op.future), ==, 0);
	rota_once_init(&w.once);
	rota_once_begin_init(&op, &w.once);
	rota_future_cancel(&op.future);
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	rota_once_begin_init(&op, &w.once);
	expect(place->carry(place, &op.future), ==, ROTA_ONCE_TURN);
	expect(rota_once_end(&w.once, 7), ==, 0);
	expect(rota_once_run(&w.once, work, &w), ==, 7);
	expect(rota_once_deinit(&w.once), ==, 0);
}

UNIT_TEST(once, alone)
{
	wherever(alone_script);
}

static void end_well(void *arg)
{
	expect(rota_once_end(arg, 3), ==, 0);
}

static void end_badly(void *arg)
{
	expect(rota_once_end(arg, -EIO), ==, 0);
}

static void waits_script(const struct place *place)
{
	for (int i = 0; i < 2; i++) {
		struct rota_once once = ROTA_ONCE_INIT;
		struct rota_once_op op;
		struct party party;

		rota_once_begin_init(&op, &once);
		expect(rota_await(&op.future), ==, ROTA_ONCE_TURN);
		party_start(&party, i == 0 ? end_well : end_badly, &once);
		party_go(&party);
		rota_once_begin_init(&op, &once);
		expect(place->carry(place, &op.future), ==, i == 0 ? 0 : ROTA_ONCE_TURN);
		party_join(&party);
		if (i == 1)
			expect(rota_once_end(&once, 0), ==, 0);
		expect(rota_once_done(&once), ==, 1);
	}
}

UNIT_TEST(once, waits_for_the_one_whose_turn_it_is)
{
	wherever(waits_script);
}

static void wait_by_hand(struct rota_once_op *op, struct rota_once *o)
{
	rota_once_begin_init(op, o);
	expect(poll_by_hand(&op->future), ==, ROTA_PENDING);
}

static void expect_ready(struct rota_once_op *op, int status)
{
	expect(poll_by_hand(&op->future), ==, ROTA_READY);
	expect(op->future.status, ==, status);
}

UNIT_TEST(once, the_turn_is_not_lost)
{
	struct rota_once o = ROTA_ONCE_INIT;
	struct rota_once_op first, ops[3];

	rota_once_begin_init(&first, &o);
	expect_ready(&first, ROTA_ONCE_TURN);
	for (int i = 0; i < 3; i++)
		wait_by_hand(&ops[i], &o);
	rota_future_cancel(&ops[0].future);
	expect_ready(&ops[0], -ECANCELED);
	expect(rota_once_end(&o, -EIO), ==, 0);
	rota_future_cancel(&ops[1].future); /* too late: it has the turn */
	expect_ready(&ops[1], ROTA_ONCE_TURN);
	expect(poll_by_hand(&ops[2].future), ==, ROTA_PENDING);
	expect(rota_once_end(&o, 1), ==, 0);
	expect_ready(&ops[2], 0);
	expect(rota_once_done(&o), ==, 1);
}

static int run_it(void *arg)
{
	struct work *w = arg;

	return rota_once_run(&w->once, work, w);
}

static int must_not_run(void *arg)
{
	(void)arg;
	expect(false, ==, true);
	return 0;
}

static int run_in_vain(void *arg)
{
	return rota_once_run(arg, must_not_run, NULL);
}

/* Who gives up, before it waits or while it does, does not do it, and leaves the turn where it is. */
static void cancel_script(const struct place *place)
{
	struct rota_once o = ROTA_ONCE_INIT;
	struct rota_once_op turn;
	rota_task *task;

	(void)place;
	rota_once_begin_init(&turn, &o);
	expect(rota_await(&turn.future), ==, ROTA_ONCE_TURN);
	for (int waits = 0; waits < 2; waits++) {
		expect(rota_spawn(&task, run_in_vain, &o), ==, 0);
		if (waits)
			waiters_await(&o.waiters_, 1);
		expect(rota_cancel(task), ==, 0);
		unit_expect_join(task, -ECANCELED);
	}
	expect(rota_once_run(&o, NULL, NULL), ==, -EINVAL); /* does not wait, either */
	expect(rota_once_end(&o, 7), ==, 0);
	expect(rota_once_run(&o, must_not_run, NULL), ==, 7);
	expect(rota_once_run(&o, NULL, NULL), ==, 7);
}

UNIT_TEST(once, who_was_cancelled_does_not_run_it)
{
	in_fibers(cancel_script, 0);
}

static struct rota_once_op crowd_ops[CROWD_FUTURES];

/* Stackless tasks only wait for it to be done: one whose turn it is fails. */
struct attempt {
	struct rota_future future;
	struct rota_once_op *op;
};
static struct attempt attempts[CROWD_FUTURES];

static rota_poll attempt_poll(struct rota_future *self, struct rota_context *cx)
{
	struct attempt *attempt = (struct attempt *)(void *)self;
	struct rota_once *once = attempt->op->once_;

	if (rota_future_poll(&attempt->op->future, cx) == ROTA_PENDING)
		return ROTA_PENDING;
	self->status = 42;
	if (attempt->op->future.status == ROTA_ONCE_TURN) {
		expect(rota_once_end(once, -EIO), ==, 0);
		self->status = -EIO;
	}
	return ROTA_READY;
}

static const struct rota_future_ops attempt_ops = { .poll = attempt_poll };

static struct rota_future *crowd_future(void *arg, unsigned i)
{
	rota_once_begin_init(&crowd_ops[i], &((struct work *)arg)->once);
	attempts[i].op = &crowd_ops[i];
	rota_future_init(&attempts[i].future, &attempt_ops);
	return &attempts[i].future;
}

UNIT_TEST(once, a_crowd_does_it_once)
{
	struct work w = { ROTA_ONCE_INIT, 0, 1, true };
	struct crowd crowd = { .wait = run_it, .future = crowd_future, .arg = &w };

	crowd_start(&crowd);
	expect(crowd_join(&crowd, 42), >=, CROWD_FIBERS + CROWD_THREADS - 1);
	expect(w.runs, ==, 2); /* one failure */
}

UNIT_TEST(once, an_end_without_a_turn_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_once o = ROTA_ONCE_INIT;
	struct unit_capture capture;

	unit_capture_begin(&capture);
	expect(rota_once_end(&o, 0), ==, -EINVAL);
	expect_contains(unit_capture_end(&capture), "without a turn");
	expect(rota_once_done(&o), ==, 0);
}

UNIT_TEST(once, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_once o = ROTA_ONCE_INIT;
	struct rota_once_op ops[2];
	struct unit_capture capture;

	for (int i = 0; i < 2; i++)
		rota_once_begin_init(&ops[i], &o);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_READY);
	expect(poll_by_hand(&ops[1].future), ==, ROTA_PENDING);
	unit_capture_begin(&capture);
	expect(rota_once_deinit(&o), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	expect(rota_once_end(&o, 0), ==, 0); /* it is still there */
	expect(poll_by_hand(&ops[1].future), ==, ROTA_READY);
	expect(rota_once_deinit(&o), ==, 0);
}
