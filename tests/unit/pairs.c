/* SPDX-License-Identifier: MIT */
/* Operations about two descriptors, as a back end lists them: those that are there are found, and each can leave at any time. */
#define _GNU_SOURCE
#include "../../io/pairs_internal.h"

#include <poll.h>

#include "../../io/op_internal.h"
#include "unit.h"

enum { CALLS = 3 };

static const int second = 7;

/* Those that are in the list, the latest first. */
static unsigned listed(const struct rota__pairs *pairs, const struct rota_pooled_op calls[CALLS])
{
	const struct rota_op *last = NULL;
	unsigned set = 0;

	for (struct rota_op *op = rota__pairs_polls(pairs, second); op != NULL; last = op, op = rota__pairs_next(op)) {
		expect(last == NULL || op < last, ==, true);
		for (unsigned i = 0; i < CALLS; i++)
			set |= (unsigned)(op == &calls[i].op_) << i;
	}
	expect(rota__pairs_any(pairs), ==, set != 0);
	return set;
}

/* One that is in no list may be taken out once more. */
static void take_out(struct rota__pairs *pairs, struct rota_pooled_op calls[CALLS], unsigned which, unsigned *left)
{
	*left &= ~(1u << which);
	for (unsigned i = 0; i < 2; i++) {
		rota__pairs_remove(pairs, &calls[which].op_);
		expect(listed(pairs, calls), ==, *left);
	}
}

static void in_order(unsigned first, unsigned turn)
{
	struct rota__pairs pairs = { .polls = { NULL } };
	struct rota_pooled_op calls[CALLS];
	unsigned left = 0;

	for (unsigned i = 0; i < CALLS; i++) {
		rota_op_poll(&calls[i].op_, 3, POLLIN);
		rota__op_pair(&calls[i].op_, second, 0);
		rota__pairs_remove(&pairs, &calls[i].op_);
		expect(listed(&pairs, calls), ==, left);
		rota__pairs_add(&pairs, &calls[i].op_);
		left |= 1u << i;
		expect(listed(&pairs, calls), ==, left);
	}
	for (unsigned i = 0; i < CALLS; i++)
		take_out(&pairs, calls, (first + i * turn) % CALLS, &left);
}

UNIT_TEST(pairs, end_in_any_order)
{
	for (unsigned first = 0; first < CALLS; first++) {
		for (unsigned turn = 1; turn < CALLS; turn++)
			in_order(first, turn);
	}
}
