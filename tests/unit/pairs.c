/* SPDX-License-Identifier: MIT */
/* Operations about two descriptors, as a back end lists them: those that are there are found, and each can leave at any time. */
#define _GNU_SOURCE
#include "../../io/pairs_internal.h"

#include <liburing.h>
#include <poll.h>

#include "../../io/op_internal.h"
#include "unit.h"

enum { CALLS = 3 };

static const int second = 7;

/* Those that are in the list, the latest first. */
static unsigned listed(const struct rota__pairs *pairs, bool polls, const struct rota_pooled_op calls[CALLS])
{
	struct rota_op *first = polls ? rota__pairs_polls(pairs, second) : pairs->splices;
	const struct rota_op *last = NULL;
	unsigned set = 0;

	for (struct rota_op *op = first; op != NULL; last = op, op = rota__pairs_next(op)) {
		expect(last == NULL || op < last, ==, true);
		for (unsigned i = 0; i < CALLS; i++)
			set |= (unsigned)(op == &calls[i].op_) << i;
	}
	expect(rota__pairs_any(pairs), ==,
	       set != 0 || rota__pairs_polls(pairs, second) != NULL || pairs->splices != NULL);
	return set;
}

static void prepare(struct rota_pooled_op *call, bool polls)
{
	if (polls)
		rota_op_poll(&call->op_, 3, POLLIN);
	else
		rota__op_prepare(&call->op_, IORING_OP_SPLICE, 3, NULL, 1, UINT64_MAX, 0);
	rota__op_pair(&call->op_, second, 0);
}

/* One that is in no list may be taken out once more. */
static void take_out(struct rota__pairs *pairs, bool polls, struct rota_pooled_op calls[CALLS], unsigned which,
		     unsigned *left)
{
	*left &= ~(1u << which);
	for (unsigned i = 0; i < 2; i++) {
		rota__pairs_remove(pairs, &calls[which].op_);
		expect(listed(pairs, polls, calls), ==, *left);
	}
}

static void in_order(bool polls, unsigned first, unsigned turn)
{
	struct rota__pairs pairs = { .splices = NULL };
	struct rota_pooled_op calls[CALLS];
	unsigned left = 0;

	for (unsigned i = 0; i < CALLS; i++) {
		prepare(&calls[i], polls);
		rota__pairs_remove(&pairs, &calls[i].op_);
		expect(listed(&pairs, polls, calls), ==, left);
		rota__pairs_add(&pairs, &calls[i].op_);
		left |= 1u << i;
		expect(listed(&pairs, polls, calls), ==, left);
		expect(listed(&pairs, !polls, calls), ==, 0);
	}
	for (unsigned i = 0; i < CALLS; i++)
		take_out(&pairs, polls, calls, (first + i * turn) % CALLS, &left);
}

UNIT_TEST(pairs, end_in_any_order)
{
	for (unsigned first = 0; first < CALLS; first++) {
		for (unsigned turn = 1; turn < CALLS; turn++) {
			in_order(false, first, turn);
			in_order(true, first, turn);
		}
	}
}
