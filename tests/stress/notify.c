/* SPDX-License-Identifier: MIT */
/*
 * Notifications under a crew. First half: members put things on a pile and notify one, others take from the pile or wait;
 * were a notification lost, or swallowed by one who changed its mind, things would stay on the pile for ever. Second half:
 * all wait for the next generation and all are notified, over and over.
 */
#define _GNU_SOURCE
#include "crew.h"

#define MEMBERS 20u
#define ROUNDS STRESS_FEWER(40u)
#define THINGS 2000u
#define GENERATIONS 60u

/* --- one ------------------------------------------------------------------------------------------------------------- */

struct pile {
	struct rota_notify notify;
	struct rota_atomic_u32 things; /* on the pile */
	struct rota_atomic_u32 put, taken;
};

static bool take_one(struct pile *pile)
{
	uint32_t things = rota__load(&pile->things, SEQ_CST);

	while (things > 0) {
		if (rota__cas(&pile->things, &things, things - 1, SEQ_CST))
			return true;
	}
	return false;
}

static void put_things(struct member *member, struct pile *pile)
{
	while (rota__fetch_add(&pile->put, 1, RELAXED) < THINGS) {
		rota__fetch_add(&pile->things, 1, SEQ_CST);
		if (stress_one_in(&member->random, 2))
			rota_notify_last(&pile->notify);
		else
			rota_notify_one(&pile->notify);
		stress_pause(&member->random);
		if (member->kind == MEMBER_FIBER && stress_one_in(&member->random, 8))
			rota_yield();
	}
}

static void take_things(struct member *member, struct pile *pile)
{
	while (rota__load(&pile->taken, SEQ_CST) < THINGS) {
		struct rota_notify_op op;
		int rc;

		while (take_one(pile)) {
			stress_moved();
			/* The last one tells the others, one after the other. */
			if (rota__fetch_add(&pile->taken, 1, SEQ_CST) + 1 == THINGS)
				rota_notify_one(&pile->notify);
		}
		if (rota__load(&pile->taken, SEQ_CST) >= THINGS)
			break;
		rota_notify_wait_init(&op, &pile->notify);
		if (stress_one_in(&member->random, 4))
			rc = member_wait_maybe(member, &op.future);
		else if (stress_one_in(&member->random, 2))
			rc = member_wait(member, &op.future);
		else
			rc = rota_notify_wait(&pile->notify);
		if (rc != 0)
			expect(rc, ==, -ECANCELED);
	}
	rota_notify_one(&pile->notify);
}

static void work_on_pile(struct member *member)
{
	if (member->number % 2 == 0)
		put_things(member, member->crew->data);
	else
		take_things(member, member->crew->data);
}

/* --- all ------------------------------------------------------------------------------------------------------------- */

struct meeting {
	struct rota_notify notify;
	struct rota_atomic_u32 generation, arrived;
};

/* Polls a future once and is ready: whoever does this is in the queue before it looks at what it waits for. */
struct enter {
	struct rota_future future;
	struct rota_future *child;
};

static rota_poll enter_poll(struct rota_future *self, struct rota_context *cx)
{
	self->status = rota_future_poll(((struct enter *)(void *)self)->child, cx);
	return ROTA_READY;
}

static const struct rota_future_ops enter_ops = { .poll = enter_poll };

static void wait_for_generation(struct member *member, struct meeting *meeting, uint32_t generation)
{
	while (rota__load(&meeting->generation, SEQ_CST) < generation) {
		struct rota_notify_op op;
		struct enter enter = { .child = &op.future };
		int rc;

		rota_notify_wait_init(&op, &meeting->notify);
		rota_future_init(&enter.future, &enter_ops);
		if (rota_await(&enter.future) == ROTA_READY)
			continue;
		if (rota__load(&meeting->generation, SEQ_CST) >= generation)
			rota_future_cancel(&op.future);
		rc = member_wait(member, &op.future);
		if (rc < 0)
			expect(rc, ==, -ECANCELED);
	}
}

/* Who comes last begins the next generation. */
static void meet(struct member *member)
{
	struct meeting *meeting = member->crew->data;

	for (uint32_t g = 1; g <= GENERATIONS; g++) {
		stress_pause(&member->random);
		if (rota__fetch_add(&meeting->arrived, 1, SEQ_CST) + 1 == g * member->crew->n) {
			rota__store(&meeting->generation, g, SEQ_CST);
			rota_notify_all(&meeting->notify);
		} else {
			wait_for_generation(member, meeting, g);
		}
		stress_moved();
	}
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct pile pile = { .notify = ROTA_NOTIFY_INIT };
		struct meeting meeting = { .notify = ROTA_NOTIFY_INIT };
		struct crew crew;

		crew_init(&crew, 2 + stress_below(&random, MEMBERS - 1), &random);
		crew_work(&crew, work_on_pile, &pile);
		expect(rota__load(&pile.taken, SEQ_CST), ==, THINGS);
		expect(rota__load(&pile.things, SEQ_CST), ==, 0);
		crew_work(&crew, meet, &meeting);
		expect(rota__load(&meeting.arrived, SEQ_CST), ==, GENERATIONS * crew.n);
		crew_free(&crew);
	}
	return 0;
}
