/* SPDX-License-Identifier: MIT */
/* Poll sets, step by step: each reports to what waits in it, and a wake of who waits in one is not lost to who looks for it. */
#define _GNU_SOURCE
#include "../../io/poll_set_internal.h"

#include "../../io/file.h"
#include "../../runtime/slot_internal.h"
#include "epoll_here.h"
#include "plain.h"

/* A read that waits in the set. */
static void leave(struct rota__poll_set *set, struct rota_op *op, int fd)
{
	static char byte;
	const struct rota_waker waker = rota_thread_waker();

	rota_op_read(op, fd, &byte, 1, -1);
	op->stage_ = ROTA__OP_STARTED;
	op->closes_ = rota__fd_closes(fd);
	rota__store(&op->carrier_, set, RELAXED);
	expect(rota__poller_wait(set->poller, op, &waker, false), ==, 0);
}

static bool is_resumed(const struct rota_op *op)
{
	return rota__slot_fired(&op->state_) && op->future.status == ROTA__OP_RESUME;
}

static int wait_in_two(void *arg)
{
	struct rota__poll_set sets[2];
	struct rota_op ops[2];
	int fds[2];

	(void)arg;
	plain_pipe(fds);
	for (unsigned i = 0; i < 2; i++) {
		expect(rota__poll_set_init(&sets[i], poller_here()), ==, 0);
		leave(&sets[i], &ops[i], fds[0]);
		expect(rota__poll_set_has_reports(&sets[i]), ==, false);
		expect(rota__poll_set_turn(&sets[i], 0), ==, 0);
	}
	expect(write(fds[1], "a", 1), ==, 1);
	for (unsigned i = 0; i < 2; i++) {
		expect(rota__poll_set_has_reports(&sets[i]), ==, true);
		expect(is_resumed(&ops[i]), ==, false);
		expect(rota__poll_set_turn(&sets[i], 0), ==, 1);
		expect(is_resumed(&ops[i]), ==, true);
		expect(rota__poll_set_turn(&sets[i], 0), ==, 0);
	}
	for (unsigned i = 0; i < 2; i++)
		rota__poll_set_deinit(&sets[i]);
	plain_close(fds);
	return 0;
}

UNIT_TEST(poll_set, each_reports_to_its_own)
{
	in_fiber_on_epoll(wait_in_two, NULL);
}

/* Whoever looks in the place of a stuck worker takes the report of a wake: the worker, which may be about to wait, wakes. */
static int rescue_and_wait(void *arg)
{
	struct rota__poll_set set;
	struct rota_op op;
	int fds[2];

	(void)arg;
	plain_pipe(fds);
	expect(rota__poll_set_init(&set, poller_here()), ==, 0);
	leave(&set, &op, fds[0]);
	for (unsigned round = 0; round < 3; round++) {
		rota__poll_set_wake(&set);
		for (unsigned i = 0; i < round; i++)
			expect(rota__poll_set_rescue(&set), ==, 0);
		rota__poll_set_wake(&set); /* one is on its way already */
		expect(rota__poll_set_turn(&set, ROTA_NEVER), ==, 0);
		expect(rota__poll_set_turn(&set, 0), ==, 0);
	}
	expect(write(fds[1], "a", 1), ==, 1);
	expect(rota__poll_set_rescue(&set), ==, 1);
	expect(is_resumed(&op), ==, true);
	rota__poll_set_deinit(&set);
	plain_close(fds);
	return 0;
}

UNIT_TEST(poll_set, a_rescue_leaves_the_wake)
{
	in_fiber_on_epoll(rescue_and_wait, NULL);
}
