/* SPDX-License-Identifier: MIT */
/*
 * Oneshots under a crew: for each one, a member sends, a member receives, now and then a member closes, all at once; the
 * receiver changes its mind and comes again. What was sent is received, once; what was not can be neither.
 */
#define _GNU_SOURCE
#include "crew.h"

#define MEMBERS 18u
#define ROUNDS STRESS_FEWER(160u)
#define SHOTS 600u

struct shot {
	struct rota_oneshot oneshot;
	struct rota_atomic_u32 sent, received, refused, closed; /* how often */
};

struct range {
	struct shot *shots;
	struct rota_atomic_u32 next_sender, next_receiver, next_closer;
};

static void send_one(struct member *member, struct shot *shot)
{
	int rc;

	stress_pause(&member->random);
	rc = rota_oneshot_send(&shot->oneshot, shot);
	if (rc == 0) {
		rota__fetch_add(&shot->sent, 1, SEQ_CST);
		return;
	}
	expect(rc, ==, -EPIPE);
	rota__fetch_add(&shot->refused, 1, SEQ_CST);
}

static int receive_as(struct member *member, struct shot *shot, void **ret_value)
{
	struct rota_oneshot_op op;
	uint32_t dice = stress_below(&member->random, 8);
	int rc;

	if (dice < 2)
		return rota_oneshot_recv(&shot->oneshot, ret_value);
	if (dice < 3)
		return rota_oneshot_try_recv(&shot->oneshot, ret_value);
	rota_oneshot_recv_init(&op, &shot->oneshot);
	rc = dice < 5 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
	if (rc == 0)
		*ret_value = op.value;
	return rc;
}

static void receive_one(struct member *member, struct shot *shot)
{
	void *value = NULL;
	int rc;

	stress_pause(&member->random);
	do {
		rc = receive_as(member, shot, &value);
		if (rc == -EAGAIN && member->kind == MEMBER_FIBER)
			rota_yield();
		else if (rc == -EAGAIN)
			sched_yield();
	} while (rc == -ECANCELED || rc == -EAGAIN);
	if (rc == 0) {
		expect_pointer(value, ==, shot);
		rota__fetch_add(&shot->received, 1, SEQ_CST);
		expect(rota_oneshot_try_recv(&shot->oneshot, &value), ==, -EPIPE);
		return;
	}
	expect(rc, ==, -EPIPE);
	expect_pointer(value, ==, NULL);
}

/* Members take the roles as they come, each role at its own place of the row. */
static void work(struct member *member)
{
	struct range *range = member->crew->data;
	bool left = true;

	while (left) {
		uint32_t i;

		left = false;
		if (member->number % 2 == 0 && (i = rota__fetch_add(&range->next_sender, 1, RELAXED)) < SHOTS) {
			send_one(member, &range->shots[i]);
			left = true;
		}
		if (member->number % 2 == 1 && (i = rota__fetch_add(&range->next_receiver, 1, RELAXED)) < SHOTS) {
			receive_one(member, &range->shots[i]);
			left = true;
		}
		if (member->number % 2 == 0 && (i = rota__fetch_add(&range->next_closer, 1, RELAXED)) < SHOTS &&
		    stress_one_in(&member->random, 3)) {
			rota_oneshot_close(&range->shots[i].oneshot);
			rota__fetch_add(&range->shots[i].closed, 1, SEQ_CST);
		}
		stress_moved();
	}
}

static void check(const struct shot *shot)
{
	uint32_t sent = rota__load(&shot->sent, SEQ_CST);

	expect(rota__load(&shot->received, SEQ_CST), ==, sent);
	expect(rota__load(&shot->refused, SEQ_CST), ==, 1 - sent);
	if (sent == 0)
		expect(rota__load(&shot->closed, SEQ_CST), ==, 1);
}

int main(int argc, char **argv)
{
	static struct shot shots[SHOTS];
	struct stress_random random;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct range range = { .shots = shots };
		struct crew crew;

		for (unsigned i = 0; i < SHOTS; i++)
			shots[i] = (struct shot){ .oneshot = ROTA_ONESHOT_INIT };
		crew_init(&crew, 2 + stress_below(&random, MEMBERS - 1), &random);
		crew_work(&crew, work, &range);
		for (unsigned i = 0; i < SHOTS; i++)
			check(&shots[i]);
		crew_free(&crew);
	}
	return 0;
}
