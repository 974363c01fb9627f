/* SPDX-License-Identifier: MIT */
/* A ring whose owner is stuck: another thread takes its completions, and does what it has left to do. */
#define _GNU_SOURCE
#include <poll.h>

#include "ring_owner.h"

struct stuck {
	struct rota__ring ring;
	struct rota_op op;
	unsigned ready, freed; /* atomic */
	char byte;
	int fds[2];
};

static void *be_stuck(void *arg)
{
	struct stuck *stuck = arg;

	expect(rota__ring_init(&stuck->ring, 8, false), ==, 0);
	rota_op_read(&stuck->op, stuck->fds[0], &stuck->byte, 1, -1);
	submit(&stuck->ring, &stuck->op);
	rota__ring_turn(&stuck->ring, 0);
	__atomic_store_n(&stuck->ready, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&stuck->freed, __ATOMIC_ACQUIRE) == 0)
		rota__cpu_relax(); /* never enters the kernel */
	rota__ring_turn(&stuck->ring, 0);
	rota__ring_deinit(&stuck->ring);
	return NULL;
}

UNIT_TEST(ring_rescue, completions_of_a_stuck_owner_are_taken)
{
	struct stuck stuck = { .ready = 0 };
	pthread_t thread;

	plain_pipe(stuck.fds);
	rota__sys_nudge_threads_register();
	expect(pthread_create(&thread, NULL, be_stuck, &stuck), ==, 0);
	expect_eventually(__atomic_load_n(&stuck.ready, __ATOMIC_ACQUIRE) != 0);
	expect(rota__ring_rescue(&stuck.ring, NULL), ==, 0);
	expect(write(stuck.fds[1], "x", 1), ==, 1);
	expect_eventually(rota__ring_rescue(&stuck.ring, NULL) == 1);
	expect(rota__slot_fired(&stuck.op.state_), ==, true);
	expect(stuck.op.future.status, ==, 1);
	expect(stuck.byte, ==, 'x');
	__atomic_store_n(&stuck.freed, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	plain_close(stuck.fds);
}

/* More completions than the queue of the stuck owner holds. */
enum { CROWD = 10 };

struct crowd {
	struct rota__ring ring;
	struct rota_op op[CROWD];
	unsigned ready, freed; /* atomic */
	int fds[2];
};

static void *be_stuck_in_a_crowd(void *arg)
{
	struct crowd *crowd = arg;

	expect(rota__ring_init(&crowd->ring, 1, false), ==, 0);
	for (int i = 0; i < CROWD; i++) {
		rota_op_poll(&crowd->op[i], crowd->fds[0], POLLIN);
		submit(&crowd->ring, &crowd->op[i]);
	}
	rota__ring_turn(&crowd->ring, 0);
	__atomic_store_n(&crowd->ready, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&crowd->freed, __ATOMIC_ACQUIRE) == 0)
		rota__cpu_relax();
	rota__ring_turn(&crowd->ring, 0);
	rota__ring_deinit(&crowd->ring);
	return NULL;
}

UNIT_TEST(ring_rescue, overflow_of_a_stuck_owner_is_taken)
{
	struct crowd crowd = { .ready = 0 };
	unsigned taken = 0;
	pthread_t thread;

	plain_pipe(crowd.fds);
	rota__sys_nudge_threads_register();
	expect(pthread_create(&thread, NULL, be_stuck_in_a_crowd, &crowd), ==, 0);
	expect_eventually(__atomic_load_n(&crowd.ready, __ATOMIC_ACQUIRE) != 0);
	expect(write(crowd.fds[1], "x", 1), ==, 1);
	expect_eventually((taken += rota__ring_rescue(&crowd.ring, NULL)) == CROWD);
	for (int i = 0; i < CROWD; i++) {
		expect(rota__slot_fired(&crowd.op[i].state_), ==, true);
		expect(crowd.op[i].future.status, ==, POLLIN);
	}
	__atomic_store_n(&crowd.freed, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	plain_close(crowd.fds);
}

/* What the owner had left to do when it got stuck: entries that it has filled in, letters, and a close. */
struct left_over {
	struct rota__ring ring, mine; /* the owner's; the rescuer's */
	struct rota__closing closing;
	struct rota_op filled_in, held, wanted, closed, bound;
	struct rota_pooled_op spliced;
	unsigned ready, freed; /* atomic */
	char byte[4];
	int fds[2], other[2], silent[2];
};

static void count_and_submit(struct left_over *left, struct rota_op *op)
{
	expect(rota__closing_enter(&left->closing, op), ==, true);
	submit(&left->ring, op);
}

static void *leave_over(void *arg)
{
	struct left_over *left = arg;

	expect(rota__ring_init(&left->ring, 8, false), ==, 0);
	rota__ring_set_closing(&left->ring, &left->closing);
	rota_op_read(&left->held, left->fds[0], &left->byte[0], 1, -1);
	count_and_submit(left, &left->held);
	rota_op_read(&left->closed, left->other[0], &left->byte[1], 1, -1);
	count_and_submit(left, &left->closed);
	rota__op_prepare(&left->spliced.op_, IORING_OP_SPLICE, left->other[1], NULL, 1, UINT64_MAX, 0);
	left->spliced.op_.addr_ = UINT64_MAX;
	rota__op_pair(&left->spliced.op_, left->silent[0], 0);
	count_and_submit(left, &left->spliced.op_);
	rota__ring_turn(&left->ring, 0);
	rota_op_poll(&left->filled_in, left->fds[1], POLLOUT);
	count_and_submit(left, &left->filled_in);
	__atomic_store_n(&left->ready, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&left->freed, __ATOMIC_ACQUIRE) == 0)
		rota__cpu_relax(); /* never enters the kernel */
	rota__ring_turn(&left->ring, 0);
	rota__ring_deinit(&left->ring);
	return NULL;
}

static int rescued(struct left_over *left, struct rota_op *op)
{
	expect_eventually((rota__ring_rescue(&left->ring, &left->mine), rota__ring_turn(&left->mine, 0),
			   rota__slot_fired(&op->state_)));
	return op->future.status;
}

/* A close of what a thread of the kernel's waits for in its name. */
static void close_silent(struct left_over *left)
{
	struct rota_op closer;

	rota_op_close(&closer, left->silent[0]);
	make_ready(&closer);
	rota__store(&closer.carrier_, &left->mine, RELAXED);
	expect(rota__closing_begin(&left->closing, &closer), ==, true);
	expect(rescued(left, &left->spliced.op_), ==, -ECANCELED);
	expect(finish(&left->mine, &closer), ==, 0);
	expect(fcntl(left->silent[0], F_GETFD), ==, -1);
}

/* A close of what the stuck owner waits for; what begins meanwhile is refused. */
static void close_other(struct left_over *left)
{
	const struct rota_waker waker = rota_thread_waker();
	struct rota_op closer, late;
	char byte;

	rota_op_close(&closer, left->other[0]);
	make_ready(&closer);
	rota__store(&closer.carrier_, &left->mine, RELAXED);
	rota_op_read(&left->bound, left->other[0], &byte, 1, -1);
	left->bound.entry_flags_ = IOSQE_BUFFER_SELECT;
	expect(rota__closing_enter(&left->closing, &left->bound), ==, true);
	make_ready(&left->bound);
	expect(rota__closing_begin(&left->closing, &closer), ==, true);
	rota_op_read(&late, left->other[0], &byte, 1, -1);
	expect(left->mine.carrier.ops->start(&left->mine.carrier, &late, &waker), ==, ROTA_READY);
	expect(late.future.status, ==, -ECANCELED);
	/* One that cannot leave the owner's ring, for the sake of its buffers, lies in its mail. */
	rota__store(&left->bound.carrier_, &left->ring, RELAXED);
	rota__ring_mail(&left->ring, &left->bound, ROTA__MAIL_SUBMIT);
	expect(rescued(left, &left->bound), ==, -ECANCELED);
	expect(rescued(left, &left->closed), ==, -ECANCELED);
	expect(finish(&left->mine, &closer), ==, 0);
	expect(fcntl(left->other[0], F_GETFD), ==, -1);
}

UNIT_TEST(ring_rescue, what_a_stuck_owner_has_left_to_do_is_done)
{
	struct left_over left = { .ready = 0 };
	pthread_t thread;

	plain_pipe(left.fds);
	plain_pipe(left.other);
	plain_pipe(left.silent);
	rota__sys_nudge_threads_register();
	expect(rota__closing_init(&left.closing), ==, 0);
	expect(rota__ring_init(&left.mine, 8, false), ==, 0);
	rota__ring_set_closing(&left.mine, &left.closing);
	expect(pthread_create(&thread, NULL, leave_over, &left), ==, 0);
	expect_eventually(__atomic_load_n(&left.ready, __ATOMIC_ACQUIRE) != 0);
	expect(rescued(&left, &left.filled_in), ==, POLLOUT);
	close_other(&left);
	close_silent(&left);
	cancel(&left.held); /* a letter */
	expect(rescued(&left, &left.held), ==, -ECANCELED);
	rota_op_poll(&left.wanted, left.fds[1], POLLOUT);
	expect(rota__closing_enter(&left.closing, &left.wanted), ==, true);
	make_ready(&left.wanted);
	rota__store(&left.wanted.carrier_, &left.ring, RELAXED);
	rota__ring_mail(&left.ring, &left.wanted, ROTA__MAIL_SUBMIT);
	expect(rescued(&left, &left.wanted), ==, POLLOUT);
	__atomic_store_n(&left.freed, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	rota__ring_deinit(&left.mine);
	rota__closing_deinit(&left.closing);
	plain_close(left.fds);
	close(left.other[1]);
	close(left.silent[1]);
}
