/* SPDX-License-Identifier: MIT */
/*
 * A ring and closes: what comes to it, or is still with it, when it has cancelled all that the kernel had on a descriptor; and
 * splices, which such a cancel does not find.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "../../io/ring_parts_internal.h"
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

/* --- splices -------------------------------------------------------------------------------------------------------- */

/* Into a blocking socket without room: a thread of the kernel's waits in the call. */
static void prepare_splice(struct rota_pooled_op *call, int from, int to)
{
	struct rota_op *op = &call->op_;

	rota__op_prepare(op, IORING_OP_SPLICE, to, NULL, 1, UINT64_MAX, 0);
	op->addr_ = UINT64_MAX;
	rota__op_pair(op, from, 0);
}

struct splices {
	struct rota__ring ring;
	struct rota__closing closing;
	struct rota_pooled_op calls[3];
	struct rota_op closer;
	int fds[2], pair[2];
};

/* More of them than the ring has entries. */
static void splices_init(struct splices *s)
{
	plain_pipe(s->fds);
	expect(write(s->fds[1], "abc", 3), ==, 3);
	plain_pair(s->pair);
	plain_fill(s->pair[0]);
	expect(rota__closing_init(&s->closing), ==, 0);
	expect(rota__ring_init(&s->ring, 1, false), ==, 0);
	rota__ring_set_closing(&s->ring, &s->closing);
	for (int i = 0; i < 3; i++) {
		prepare_splice(&s->calls[i], s->fds[0], s->pair[0]);
		expect(rota__closing_enter(&s->closing, &s->calls[i].op_), ==, true);
		submit(&s->ring, &s->calls[i].op_);
	}
}

/* Closes one of the two, which ends them; `moments`: how often the ring has its turn before. */
static void close_and_finish(struct splices *s, int fd, unsigned moments)
{
	for (unsigned i = 0; i < moments; i++) {
		rota__ring_turn(&s->ring, 0);
		usleep(100);
	}
	rota_op_close(&s->closer, fd);
	make_ready(&s->closer);
	rota__store(&s->closer.carrier_, &s->ring, RELAXED);
	expect(rota__closing_begin(&s->closing, &s->closer), ==, true);
	rota__ring_wake(&s->ring);
	for (int i = 0; i < 3; i++)
		expect(finish(&s->ring, &s->calls[i].op_), ==, -ECANCELED);
	expect(finish(&s->ring, &s->closer), ==, 0);
	expect(fcntl(fd, F_GETFD), ==, -1);
	for (unsigned i = 0; i < ROTA__ELSEWHERE_LISTS; i++)
		expect_pointer(s->ring.elsewhere.lists[i], ==, NULL);
	rota__ring_deinit(&s->ring);
	rota__closing_deinit(&s->closing);
}

UNIT_TEST(ring_mail, splices_end_when_either_side_is_closed)
{
	for (unsigned round = 0; round < 20; round++) {
		struct splices s;
		const bool from = round % 2 != 0;

		splices_init(&s);
		close_and_finish(&s, from ? s.fds[0] : s.pair[0], round / 2);
		close(from ? s.pair[0] : s.fds[0]);
		close(s.fds[1]);
		close(s.pair[1]);
	}
}

/* One splice keeps two closes. */
UNIT_TEST(ring_mail, a_splice_whose_two_sides_are_closed)
{
	struct rota__closing closing;
	struct rota_pooled_op call;
	struct rota_op closers[2];

	expect(rota__closing_init(&closing), ==, 0);
	prepare_splice(&call, 3, 4);
	expect(rota__closing_enter(&closing, &call.op_), ==, true);
	for (int i = 0; i < 2; i++) {
		rota_op_close(&closers[i], 3 + i);
		expect(rota__closing_begin(&closing, &closers[i]), ==, true);
	}
	expect(rota__closing_marked(&closing, &call.op_), ==, true);
	const struct rota_op *first = rota__closing_leave(&closing, &call.op_);
	expect_pointer(first, !=, NULL);
	const struct rota_op *second = first->backlog_next_;
	expect(first == &closers[0] || first == &closers[1], ==, true);
	expect_pointer(second, ==, first == &closers[0] ? &closers[1] : &closers[0]);
	expect_pointer(second->backlog_next_, ==, NULL);
	expect(rota__closing_marked(&closing, &call.op_), ==, false);
	rota__closing_deinit(&closing);
}

/* It goes on with what was meant when it began, on either side. */
UNIT_TEST(ring_mail, a_splice_of_what_was_closed)
{
	for (int side = 3; side <= 5; side++) {
		struct rota__closing closing;
		struct rota_pooled_op call;
		struct rota_op *op = &call.op_, closer;

		expect(rota__closing_init(&closing), ==, 0);
		prepare_splice(&call, 3, 4);
		rota__op_goes_on(op, rota__fd_closes(4));
		op->second_closes_ = rota__fd_closes(3);
		rota_op_close(&closer, side);
		expect(rota__closing_begin(&closing, &closer), ==, false);
		expect(rota__closing_enter(&closing, op), ==, side == 5);
		expect_pointer(rota__closing_leave(&closing, op), ==, NULL);
		rota__closing_deinit(&closing);
	}
}
