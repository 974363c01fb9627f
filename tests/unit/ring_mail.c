/* SPDX-License-Identifier: MIT */
/* A ring and closes: what comes to it, or is still with it, when it has cancelled all that the kernel had on a descriptor. */
#define _GNU_SOURCE
#include <poll.h>

#include "ring_owner.h"

struct closes {
	struct rota__ring ring;
	struct rota__closing closing;
	struct rota_op waits, late, closer;
	int fds[2], other[2];
	char byte;
};

static void count(struct closes *c, struct rota_op *op)
{
	expect(rota__closing_enter(&c->closing, op), ==, true);
}

/* A ring that is woken, and may hold one entry at a time. */
static void closes_init(struct closes *c)
{
	plain_pipe(c->fds);
	plain_pipe(c->other);
	expect(rota__closing_init(&c->closing), ==, 0);
	expect(rota__ring_init(&c->ring, 1, false), ==, 0);
	rota__ring_set_closing(&c->ring, &c->closing);
	rota__ring_turn(&c->ring, 0);
}

static void begin_close(struct closes *c)
{
	rota_op_close(&c->closer, c->fds[0]);
	make_ready(&c->closer);
	rota__store(&c->closer.carrier_, &c->ring, RELAXED);
	expect(rota__closing_begin(&c->closing, &c->closer), ==, true);
}

/* The close goes on when the other one has ended, which waits for what never comes. */
static void expect_closed(struct closes *c)
{
	for (int turn = 0; turn < 20 && !rota__slot_fired(&c->late.state_); turn++)
		rota__ring_turn(&c->ring, 0);
	expect(rota__slot_fired(&c->late.state_), ==, true);
	expect(c->late.future.status, ==, -ECANCELED);
	expect(finish(&c->ring, &c->closer), ==, 0);
	expect(fcntl(c->fds[0], F_GETFD), ==, -1);
	rota__ring_deinit(&c->ring);
	rota__closing_deinit(&c->closing);
	close(c->fds[1]);
	plain_close(c->other);
}

/* It was counted before the close, and comes by mail after the ring has cancelled what it had on the descriptor. */
UNIT_TEST(ring_mail, letter_that_comes_after_a_close)
{
	struct closes c;

	closes_init(&c);
	rota_op_read(&c.late, c.fds[0], &c.byte, 1, -1);
	count(&c, &c.late);
	begin_close(&c);
	while (c.ring.closing_seen != rota__load(&c.closing.sequence, ACQUIRE))
		rota__ring_turn(&c.ring, 0);
	make_ready(&c.late);
	rota__store(&c.late.carrier_, &c.ring, RELAXED);
	rota__ring_mail(&c.ring, &c.late, ROTA__MAIL_SUBMIT);
	expect_closed(&c);
}

/* It is kept in the backlog, by an enter that fails, while the ring cancels what it has on the descriptor. */
UNIT_TEST(ring_mail, backlog_that_outlasts_a_close)
{
	struct closes c;

	closes_init(&c);
	rota_op_poll(&c.waits, c.other[1], POLLOUT);
	count(&c, &c.waits);
	submit(&c.ring, &c.waits);
	rota_op_read(&c.late, c.fds[0], &c.byte, 1, -1);
	count(&c, &c.late);
	rota__fault_arm(ROTA__FAULT_ENTER, 1, -EBUSY);
	submit(&c.ring, &c.late);
	expect_pointer(c.ring.backlog_first, ==, &c.late);
	begin_close(&c);
	rota__fault_arm(ROTA__FAULT_ENTER, 1, -EBUSY);
	expect_closed(&c);
	rota__fault_arm(ROTA__FAULT_ENTER, 0, 0);
}
