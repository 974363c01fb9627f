/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts and watched values under a crew. Several send numbered values, the others receive, now and then slowly, now and
 * then changing their minds. Each receiver sees each sender's values in order and whole; what it saw and what it was told
 * that it missed are together all that was sent. A watched value only ever goes forward, and the last one is seen by all.
 */
#define _GNU_SOURCE
#include "crew.h"

#define MEMBERS 20u
#define ROUNDS STRESS_FEWER(60u)
#define VALUES 400u /* of each sender */
#define ELEM_MAX 40u

struct value {
	uint32_t sender, number;
	unsigned char rest[ELEM_MAX - 8];
};

struct shared {
	struct rota_broadcast broadcast;
	struct rota_watch watch;
	size_t size;
	struct rota_barrier barrier; /* all have subscribed */
	struct rota_atomic_u32 senders_left;
	struct rota_mutex turn; /* of who sends the next watched value */
	uint32_t watched;
	unsigned senders;
};

static void fill(struct value *value, uint32_t sender, uint32_t number)
{
	value->sender = sender;
	value->number = number;
	for (unsigned i = 0; i < sizeof(value->rest); i++)
		value->rest[i] = (unsigned char)(sender * 41 + number * 7 + i);
}

static void check(const struct value *value, size_t size)
{
	struct value whole;

	fill(&whole, value->sender, value->number);
	expect(memcmp(value, &whole, size), ==, 0);
}

static void send_all(struct member *member, struct shared *shared)
{
	struct value value;

	expect(rota_barrier_wait(&shared->barrier), >=, 0);
	for (uint32_t i = 0; i < VALUES; i++) {
		fill(&value, member->number, i);
		expect(rota_broadcast_send(&shared->broadcast, &value), ==, 0);
		rota_mutex_lock(&shared->turn);
		fill(&value, 0, ++shared->watched);
		expect(rota_watch_send(&shared->watch, &value), ==, 0);
		rota_mutex_unlock(&shared->turn);
		stress_pause(&member->random);
		if (member->kind == MEMBER_FIBER && stress_one_in(&member->random, 8))
			rota_yield();
		stress_moved();
	}
	if (rota__fetch_sub(&shared->senders_left, 1, SEQ_CST) == 1) {
		rota_broadcast_close(&shared->broadcast);
		rota_watch_close(&shared->watch);
	}
}

static int recv_as(struct member *member, struct rota_broadcast_receiver *receiver, struct value *value)
{
	uint32_t dice = stress_below(&member->random, 8);
	struct rota_broadcast_op op;

	if (dice < 3)
		return rota_broadcast_recv(receiver, value);
	if (dice < 4)
		return rota_broadcast_try_recv(receiver, value);
	rota_broadcast_recv_init(&op, receiver, value);
	return dice < 6 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
}

static void hear_all(struct member *member, struct shared *shared)
{
	struct rota_broadcast_receiver receiver;
	uint64_t seen = 0, missed = 0;
	int64_t last[MEMBERS];
	struct value value;
	int rc = 0;

	memset(last, -1, sizeof(last));
	rota_broadcast_subscribe(&shared->broadcast, &receiver);
	expect(rota_barrier_wait(&shared->barrier), >=, 0);
	while (rc != -EPIPE) {
		rc = recv_as(member, &receiver, &value);
		if (rc == 0) {
			check(&value, shared->size);
			expect(value.number, >, last[value.sender]);
			if (missed == 0)
				expect(value.number, ==, last[value.sender] + 1);
			last[value.sender] = value.number;
			seen++;
		} else if (rc == -EOVERFLOW) {
			expect(receiver.missed, >, 0);
			missed += receiver.missed;
		} else {
			expect(rc == -EAGAIN || rc == -ECANCELED || rc == -EPIPE, ==, 1);
			if (rc == -EAGAIN && member->kind == MEMBER_FIBER)
				rota_yield();
		}
		if (stress_one_in(&member->random, 4))
			stress_pause(&member->random);
		stress_moved();
	}
	expect(seen + missed, ==, (uint64_t)shared->senders * VALUES);
}

static bool wanted(const void *value, void *arg)
{
	return ((const struct value *)value)->number >= *(uint32_t *)arg;
}

static int watch_as(struct member *member, struct rota_watch_receiver *receiver, struct value *value, uint32_t from)
{
	uint32_t dice = stress_below(&member->random, 8);
	struct rota_watch_op op;

	if (dice < 2)
		return rota_watch_changed(receiver, value);
	if (dice < 3)
		return rota_watch_try_changed(receiver, value);
	if (dice < 4)
		return rota_watch_wait_for(receiver, wanted, &from, value);
	if (dice < 6)
		rota_watch_changed_init(&op, receiver, value);
	else
		rota_watch_wait_for_init(&op, receiver, wanted, &from, value);
	return dice % 2 == 0 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
}

static void watch_all(struct member *member, struct shared *shared)
{
	struct rota_watch_receiver receiver;
	struct value value, got;
	uint32_t last = 0;
	int rc = 0;

	rota_watch_subscribe(&shared->watch, &receiver);
	expect(rota_barrier_wait(&shared->barrier), >=, 0);
	while (rc != -EPIPE) {
		rc = watch_as(member, &receiver, &value, last + 1);
		if (rc == 0) {
			check(&value, shared->size);
			expect(value.number, >=, last + 1);
			last = value.number;
		} else {
			expect(rc == -EAGAIN || rc == -ECANCELED || rc == -EPIPE, ==, 1);
			if (rc == -EAGAIN && member->kind == MEMBER_FIBER)
				rota_yield();
		}
		rota_watch_get(&shared->watch, &got);
		check(&got, shared->size);
		expect(got.number, >=, last);
		stress_moved();
	}
	rota_watch_get(&shared->watch, &got);
	expect(got.number, ==, shared->senders * VALUES);
}

static void work(struct member *member)
{
	if (member->number < ((struct shared *)member->crew->data)->senders)
		send_all(member, member->crew->data);
	else if (member->number % 2 == 0)
		hear_all(member, member->crew->data);
	else
		watch_all(member, member->crew->data);
}

static void one_round(struct stress_random *random)
{
	static const size_t sizes[] = { 8, 9, 16, 23, ELEM_MAX };
	static const size_t capacities[] = { 1, 2, 8, 64, 1024 };
	struct shared shared = { .size = sizes[stress_below(random, 5)] };
	struct value first;
	struct crew crew;

	fill(&first, 0, 0);
	expect(rota_broadcast_init(&shared.broadcast, shared.size, capacities[stress_below(random, 5)]), ==, 0);
	expect(rota_watch_init(&shared.watch, shared.size, &first), ==, 0);
	crew_init(&crew, 3 + stress_below(random, MEMBERS - 2), random);
	shared.senders = 1 + stress_below(random, crew.n / 3);
	rota__store(&shared.senders_left, shared.senders, SEQ_CST);
	expect(rota_barrier_init(&shared.barrier, crew.n), ==, 0);
	crew_work(&crew, work, &shared);
	crew_free(&crew);
	expect(rota_broadcast_deinit(&shared.broadcast), ==, 0);
	expect(rota_watch_deinit(&shared.watch), ==, 0);
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++)
		one_round(&random);
	return 0;
}
