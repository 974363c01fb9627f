/* SPDX-License-Identifier: MIT */
/*
 * The channel under a crew: senders and receivers of every kind, elements of odd sizes, capacities from none to unbounded,
 * calls that wait, try, move many, reserve, have deadlines, and that are cancelled. Every element arrives once and
 * whole, and each receiver sees each sender's elements in order. In the end the channel is closed and drained.
 */
#define _GNU_SOURCE
#include "crew.h"

#define MEMBERS 20u
#define ROUNDS STRESS_FEWER(80u)
#define ELEMENTS 300u /* of each sender */
#define ELEM_MAX 100u
#define MANY_MAX 9u

struct header {
	uint16_t sender, number;
};

struct shared {
	struct rota_channel channel;
	size_t elem_size;
	struct rota_atomic_u32 senders_left;
	struct rota_atomic_u32 *arrived; /* of each sender's each element: how often */
};

static void fill(unsigned char *bytes, size_t size, struct header header)
{
	memcpy(bytes, &header, sizeof(header));
	for (size_t i = sizeof(header); i < size; i++)
		bytes[i] = (unsigned char)(header.sender * 41 + header.number * 7 + i);
}

/* --- senders ---------------------------------------------------------------------------------------------------------- */

/* Reserves a place, and gives it back now and then. */
static int send_reserved(struct member *member, struct rota_channel *channel, const void *elem)
{
	struct rota_channel_op op;
	int rc;

	rota_channel_reserve_init(&op, channel);
	rc = stress_one_in(&member->random, 2) ? member_wait_maybe(member, &op.future)
					       : rota_channel_try_reserve(channel);
	if (rc < 0)
		return rc;
	stress_pause(&member->random);
	if (!stress_one_in(&member->random, 4))
		return rota_channel_send_reserved(channel, elem);
	expect(rota_channel_unreserve(channel), ==, 0);
	return -EAGAIN;
}

static int send_as(struct member *member, struct rota_channel *channel, const void *elem)
{
	struct rota_channel_op op;
	uint32_t dice = stress_below(&member->random, 16);

	if (dice < 4)
		return rota_channel_send(channel, elem);
	if (dice < 6)
		return rota_channel_try_send(channel, elem);
	if (dice < 7)
		return rota_channel_send_until(channel, elem, rota_now() + ROTA_US(stress_below(&member->random, 200)));
	if (dice < 9 && channel->capacity_ > 0)
		return send_reserved(member, channel, elem);
	rota_channel_send_init(&op, channel, elem);
	return dice < 12 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
}

static void pause_between(struct member *member)
{
	if (member->kind == MEMBER_FIBER)
		rota_yield();
	else
		sched_yield();
}

/* Several at a time, from number `from` on. How many it was. */
static uint16_t send_some(struct member *member, struct shared *shared, uint16_t from)
{
	unsigned char *bytes = malloc(MANY_MAX * ELEM_MAX);
	uint32_t n = 1 + stress_below(&member->random, MANY_MAX);
	uint32_t dice = stress_below(&member->random, 4);
	struct rota_channel_op op;
	ssize_t sent;

	n = n < ELEMENTS - from ? n : ELEMENTS - from;
	for (uint32_t i = 0; i < n; i++)
		fill(bytes + i * shared->elem_size, shared->elem_size,
		     (struct header){ (uint16_t)member->number, (uint16_t)(from + i) });
	rota_channel_send_many_init(&op, &shared->channel, bytes, n);
	if (dice == 0)
		sent = rota_channel_send_many(&shared->channel, bytes, n);
	else if (dice == 1)
		sent = rota_channel_try_send_many(&shared->channel, bytes, n);
	else
		sent = dice == 2 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
	if (sent < 0)
		expect(sent == -EAGAIN || sent == -ECANCELED, ==, 1);
	memset(bytes, 0xdd, MANY_MAX * ELEM_MAX);
	free(bytes);
	return sent < 0 ? 0 : (uint16_t)sent;
}

static void send_all(struct member *member, struct shared *shared)
{
	unsigned char bytes[ELEM_MAX];

	for (uint16_t i = 0; i < ELEMENTS; i++) {
		int rc;

		if (stress_one_in(&member->random, 8)) {
			i = (uint16_t)(i + send_some(member, shared, i));
			if (i >= ELEMENTS)
				break;
		}

		fill(bytes, shared->elem_size, (struct header){ (uint16_t)member->number, i });
		while ((rc = send_as(member, &shared->channel, bytes)) != 0) {
			expect(rc == -EAGAIN || rc == -ECANCELED || rc == -ETIMEDOUT, ==, 1);
			pause_between(member);
		}
		memset(bytes, 0xdd, sizeof(bytes)); /* it has been copied */
		stress_pause(&member->random);
		stress_moved();
	}
	if (rota__fetch_sub(&shared->senders_left, 1, SEQ_CST) == 1)
		rota_channel_close(&shared->channel);
}

/* --- receivers -------------------------------------------------------------------------------------------------------- */

struct receiver {
	struct shared *shared;
	int last[MEMBERS]; /* of each sender */
};

static void arrive(struct receiver *receiver, const unsigned char *bytes)
{
	unsigned char whole[ELEM_MAX];
	struct header header;

	memcpy(&header, bytes, sizeof(header));
	expect(header.sender, <, MEMBERS);
	expect(header.number, <, ELEMENTS);
	fill(whole, receiver->shared->elem_size, header);
	expect(memcmp(bytes, whole, receiver->shared->elem_size), ==, 0);
	expect(header.number, >, receiver->last[header.sender]);
	receiver->last[header.sender] = header.number;
	rota__fetch_add(&receiver->shared->arrived[header.sender * ELEMENTS + header.number], 1, RELAXED);
}

/* How many, or an error. */
static ssize_t recv_as(struct member *member, struct rota_channel *channel, unsigned char *bytes)
{
	struct rota_channel_op op;
	uint32_t dice = stress_below(&member->random, 16);
	int rc;

	if (dice < 2)
		return rota_channel_recv_many(channel, bytes, 1 + stress_below(&member->random, MANY_MAX));
	if (dice < 3)
		return rota_channel_try_recv_many(channel, bytes, 1 + stress_below(&member->random, MANY_MAX));
	if (dice < 4) {
		rota_channel_recv_many_init(&op, channel, bytes, 1 + stress_below(&member->random, MANY_MAX));
		return member_wait_maybe(member, &op.future);
	}
	if (dice < 6) {
		rc = rota_channel_recv(channel, bytes);
	} else if (dice < 7) {
		rc = rota_channel_recv_until(channel, bytes, rota_now() + ROTA_US(stress_below(&member->random, 200)));
	} else if (dice < 9) {
		rc = rota_channel_try_recv(channel, bytes);
	} else {
		rota_channel_recv_init(&op, channel, bytes);
		rc = dice < 12 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
	}
	return rc == 0 ? 1 : rc;
}

static void recv_all(struct member *member, struct shared *shared)
{
	unsigned char *bytes = malloc(MANY_MAX * ELEM_MAX);
	struct receiver receiver = { .shared = shared };
	ssize_t n = 0;

	for (unsigned i = 0; i < MEMBERS; i++)
		receiver.last[i] = -1;
	while (n != -EPIPE) {
		n = recv_as(member, &shared->channel, bytes);
		if (n == -EAGAIN)
			pause_between(member);
		else if (n < 0 && n != -EPIPE)
			expect(n == -ECANCELED || n == -ETIMEDOUT, ==, 1);
		for (ssize_t i = 0; i < n; i++)
			arrive(&receiver, bytes + (size_t)i * shared->elem_size);
		if (stress_one_in(&member->random, 4))
			stress_pause(&member->random);
		stress_moved();
	}
	free(bytes);
}

static void work(struct member *member)
{
	if (member->number % 2 == 0)
		send_all(member, member->crew->data);
	else
		recv_all(member, member->crew->data);
}

static void one_round(struct stress_random *random)
{
	static const size_t sizes[] = { 4, 5, 8, 24, ELEM_MAX };
	static const size_t capacities[] = { 0, 1, 2, 3, 17, 256, ROTA_UNBOUNDED };
	struct shared shared = { .elem_size = sizes[stress_below(random, 5)] };
	struct crew crew;
	unsigned senders;

	expect(rota_channel_init(&shared.channel, shared.elem_size, capacities[stress_below(random, 7)]), ==, 0);
	crew_init(&crew, 2 + stress_below(random, MEMBERS - 1), random);
	senders = (crew.n + 1) / 2;
	rota__store(&shared.senders_left, senders, SEQ_CST);
	shared.arrived = calloc((size_t)crew.n * ELEMENTS, sizeof(*shared.arrived));
	crew_work(&crew, work, &shared);
	for (unsigned i = 0; i < crew.n * ELEMENTS; i++)
		expect(rota__load(&shared.arrived[i], SEQ_CST), ==, i / ELEMENTS % 2 == 0 ? 1 : 0);
	expect(rota_channel_length(&shared.channel), ==, 0);
	crew_free(&crew);
	rota_channel_deinit(&shared.channel);
	free(shared.arrived);
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
