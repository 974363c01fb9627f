/* SPDX-License-Identifier: MIT */
/*
 * The barrier: nobody goes on before all are there, one of each round is told, who is cancelled has not come, and rounds do
 * not mix.
 */
#define _GNU_SOURCE
#include "../../sync/barrier.h"

#include "waiters.h"

static void alone_script(const struct place *place)
{
	struct rota_barrier b = ROTA_BARRIER_INIT(1);
	struct rota_barrier_op op;

	expect(rota_barrier_wait(&b), ==, ROTA_BARRIER_LEADER);
	rota_barrier_wait_init(&op, &b);
	expect(place->carry(place, &op.future), ==, ROTA_BARRIER_LEADER);
	expect(rota_barrier_init(&b, 2), ==, 0);
	rota_barrier_wait_init(&op, &b);
	rota_future_cancel(&op.future);
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	expect(b.arrived_, ==, 0);
	expect(rota_barrier_init(&b, 0), ==, -EINVAL);
	expect(rota_barrier_deinit(&b), ==, 0);
}

UNIT_TEST(barrier, alone)
{
	wherever(alone_script);
}

struct meeting {
	struct rota_barrier barrier;
	int result;
};

static void meet(void *arg)
{
	struct meeting *meeting = arg;

	meeting->result = rota_barrier_wait(&meeting->barrier);
}

static void waits_script(const struct place *place)
{
	struct meeting meeting = { ROTA_BARRIER_INIT(2), -1 };
	struct rota_barrier_op op;
	struct party party;
	int mine;

	for (int i = 0; i < 4; i++) {
		party_start(&party, meet, &meeting);
		party_go(&party);
		if (i < 2) {
			mine = rota_barrier_wait(&meeting.barrier);
		} else {
			rota_barrier_wait_init(&op, &meeting.barrier);
			mine = place->carry(place, &op.future);
		}
		party_join(&party);
		expect(mine, >=, 0);
		expect(meeting.result, >=, 0);
		expect(mine + meeting.result, ==, ROTA_BARRIER_LEADER);
	}
}

UNIT_TEST(barrier, waits_for_the_other)
{
	wherever(waits_script);
}

/* --- by hand ------------------------------------------------------------------------------------------------------------- */

static void wait_by_hand(struct rota_barrier_op *op, struct rota_barrier *b)
{
	rota_barrier_wait_init(op, b);
	expect(poll_by_hand(&op->future), ==, ROTA_PENDING);
}

static void expect_ready(struct rota_barrier_op *op, int status)
{
	expect(poll_by_hand(&op->future), ==, ROTA_READY);
	expect(op->future.status, ==, status);
}

UNIT_TEST(barrier, who_is_cancelled_has_not_come)
{
	struct rota_barrier b = ROTA_BARRIER_INIT(3);
	struct rota_barrier_op ops[4];

	wait_by_hand(&ops[0], &b);
	wait_by_hand(&ops[1], &b);
	rota_future_cancel(&ops[0].future);
	expect_ready(&ops[0], -ECANCELED);
	wait_by_hand(&ops[2], &b);
	rota_barrier_wait_init(&ops[3], &b);
	expect_ready(&ops[3], ROTA_BARRIER_LEADER);
	rota_future_cancel(&ops[1].future); /* too late: all were there */
	expect_ready(&ops[1], 0);
	wait_by_hand(&ops[0], &b); /* the next round */
	expect_ready(&ops[2], 0);
	expect(poll_by_hand(&ops[0].future), ==, ROTA_PENDING);
	expect(b.arrived_, ==, 1);
	rota_future_cancel(&ops[0].future);
	expect_ready(&ops[0], -ECANCELED);
	expect(b.arrived_, ==, 0);
}

/* --- a round is over before the wakes of the one before are --------------------------------------------------------------- */

enum { ROUND = ROTA__WAKE_BATCH + 2 }; /* who comes last, and one more than a batch holds */

static struct rota_barrier busy_barrier = ROTA_BARRIER_INIT(ROUND);
static struct rota_barrier_op rounds[3][ROUND];
static unsigned woken_of_round, begun;

static void *executor_clone(void *data)
{
	return data;
}

static void executor_drop(void *data)
{
	(void)data;
}

static void executor_wake(void *data);

static const struct rota_waker_ops executor_ops = { executor_clone, executor_wake, executor_wake, executor_drop };

static rota_poll come(struct rota_barrier_op *op)
{
	const struct rota_waker waker = { &executor_ops, NULL };
	struct rota_context cx = { &waker };

	return rota_future_poll(&op->future, &cx);
}

/* A whole round; the last one wakes the others. */
static void come_all(struct rota_barrier_op ops[])
{
	for (unsigned i = 0; i < ROUND; i++) {
		rota_barrier_wait_init(&ops[i], &busy_barrier);
		expect(come(&ops[i]), ==, i < ROUND - 1 ? ROTA_PENDING : ROTA_READY);
	}
	expect(ops[ROUND - 1].future.status, ==, ROTA_BARRIER_LEADER);
}

static void executor_wake(void *data)
{
	(void)data;
	woken_of_round++;
	if (begun > 0)
		return;
	begun++;
	come_all(rounds[1]);
	rota_barrier_wait_init(&rounds[2][0], &busy_barrier);
	expect(come(&rounds[2][0]), ==, ROTA_PENDING);
}

UNIT_TEST(barrier, a_round_that_overtakes_the_wakes_of_another_is_not_taken_for_it)
{
	come_all(rounds[0]);
	expect(begun, ==, 1);
	expect(woken_of_round, ==, 2 * (ROUND - 1));
	for (unsigned i = 0; i < ROUND - 1; i++) {
		expect(come(&rounds[0][i]), ==, ROTA_READY);
		expect(rounds[0][i].future.status, ==, 0);
		expect(come(&rounds[1][i]), ==, ROTA_READY);
		expect(rounds[1][i].future.status, ==, 0);
	}
	expect(come(&rounds[2][0]), ==, ROTA_PENDING); /* alone of the third */
	rota_future_cancel(&rounds[2][0].future);
	expect(come(&rounds[2][0]), ==, ROTA_READY);
	expect(rounds[2][0].future.status, ==, -ECANCELED);
	expect(busy_barrier.arrived_, ==, 0);
	expect(rota_barrier_deinit(&busy_barrier), ==, 0);
}

/* --- a crowd ------------------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 30 };

struct shared {
	struct rota_barrier barrier;
	unsigned arrived, leaders; /* atomic */
};

static int go_round(void *arg)
{
	struct shared *shared = arg;

	for (unsigned round = 1; round <= ROUNDS; round++) {
		int rc;

		__atomic_fetch_add(&shared->arrived, 1, __ATOMIC_SEQ_CST);
		rc = rota_barrier_wait(&shared->barrier);
		expect(rc, >=, 0);
		/* All of this round have come, none can be two rounds ahead. */
		expect(__atomic_load_n(&shared->arrived, __ATOMIC_SEQ_CST), >=, round * shared->barrier.count_);
		expect(__atomic_load_n(&shared->arrived, __ATOMIC_SEQ_CST), <=, (round + 1) * shared->barrier.count_);
		if (rc == ROTA_BARRIER_LEADER)
			__atomic_fetch_add(&shared->leaders, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

static void *go_round_as_thread(void *arg)
{
	go_round(arg);
	return NULL;
}

/* More threads than a batch of wakes holds, and fibers among them. */
static void crowd_script(const struct place *place)
{
	enum { THREADS = 20, FIBERS = 20 };
	struct shared shared = { ROTA_BARRIER_INIT(THREADS + FIBERS), 0, 0 };
	pthread_t threads[THREADS];
	rota_task *tasks[FIBERS];

	(void)place;
	for (int i = 0; i < THREADS; i++)
		expect(pthread_create(&threads[i], NULL, go_round_as_thread, &shared), ==, 0);
	for (int i = 0; i < FIBERS; i++)
		expect(rota_spawn(&tasks[i], go_round, &shared), ==, 0);
	for (int i = 0; i < FIBERS; i++)
		expect(rota_join(tasks[i], NULL), ==, 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	expect(shared.leaders, ==, ROUNDS);
	expect(rota_barrier_deinit(&shared.barrier), ==, 0);
}

UNIT_TEST(barrier, rounds_of_a_crowd)
{
	in_fibers(crowd_script, 0);
}

UNIT_TEST(barrier, a_wait_for_nobody_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_barrier b = ROTA_BARRIER_INIT(0);
	struct unit_capture capture;

	unit_capture_begin(&capture);
	expect(rota_barrier_wait(&b), ==, -EINVAL);
	expect_contains(unit_capture_end(&capture), "for nobody");
	expect(rota_barrier_deinit(&b), ==, 0);
}

UNIT_TEST(barrier, its_end_while_somebody_waits_is_reported, .signal = UNIT_MISUSE_SIGNAL)
{
	struct rota_barrier b = ROTA_BARRIER_INIT(2);
	struct unit_capture capture;
	struct rota_barrier_op op;

	wait_by_hand(&op, &b);
	unit_capture_begin(&capture);
	expect(rota_barrier_deinit(&b), ==, -EBUSY);
	expect_contains(unit_capture_end(&capture), "while somebody waits");
	expect(rota_barrier_wait(&b), ==, ROTA_BARRIER_LEADER);
	expect_ready(&op, 0);
}
