/* SPDX-License-Identifier: MIT */
/*
 * Condition variables, barriers, wait groups and run-once cells under a crew. A bounded store by mutex and two condition
 * variables: were a signal swallowed by a waiter that changed its mind, everybody would wait for ever. Then rounds of a
 * barrier, in each of which a cell is filled once, by a member that may fail, and a group is waited for.
 */
#define _GNU_SOURCE
#include "crew.h"

#define MEMBERS 20u
#define ROUNDS STRESS_FEWER(40u)
#define THINGS 2000u
#define PLACES_MAX 4u
#define MEETINGS 60u

/* --- the store ----------------------------------------------------------------------------------------------------------- */

struct store {
	struct rota_mutex mutex;
	struct rota_cond not_empty, not_full;
	uint32_t places; /* the rest is under the mutex */
	uint32_t inside, put, taken;
};

/* With the mutex, before and after. */
static void wait_for(struct member *member, struct store *store, struct rota_cond *cond)
{
	uint32_t dice = stress_below(&member->random, 8);
	struct rota_cond_op op;
	int rc;

	if (dice < 3) {
		rc = rota_cond_wait(cond, &store->mutex);
	} else if (dice < 5) {
		rc = rota_cond_wait_until(cond, &store->mutex, rota_now() + ROTA_US(stress_below(&member->random, 300)));
	} else {
		rota_cond_wait_init(&op, cond, &store->mutex);
		rc = dice < 6 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
	}
	expect(rc == 0 || rc == -ECANCELED || rc == -ETIMEDOUT, ==, 1);
	expect(rota_mutex_trylock(&store->mutex), ==, -EBUSY);
}

static void put_things(struct member *member, struct store *store)
{
	for (bool more = true; more;) {
		rota_mutex_lock(&store->mutex);
		while (store->inside == store->places && store->put < THINGS)
			wait_for(member, store, &store->not_full);
		more = store->put < THINGS;
		if (more) {
			store->put++;
			store->inside++;
			rota_cond_signal(&store->not_empty);
		}
		if (store->put == THINGS)
			rota_cond_broadcast(&store->not_full);
		rota_mutex_unlock(&store->mutex);
		stress_moved();
		stress_pause(&member->random);
	}
}

static void take_things(struct member *member, struct store *store)
{
	for (bool more = true; more;) {
		rota_mutex_lock(&store->mutex);
		while (store->inside == 0 && store->taken < THINGS)
			wait_for(member, store, &store->not_empty);
		more = store->taken < THINGS;
		if (more) {
			store->taken++;
			store->inside--;
		}
		if (store->taken == THINGS)
			rota_cond_broadcast(&store->not_empty);
		rota_mutex_unlock(&store->mutex);
		if (more)
			rota_cond_signal(&store->not_full); /* without the mutex is allowed */
		stress_moved();
		stress_pause(&member->random);
	}
}

static void work_in_store(struct member *member)
{
	if (member->number % 2 == 0)
		put_things(member, member->crew->data);
	else
		take_things(member, member->crew->data);
}

/* --- meetings -------------------------------------------------------------------------------------------------------------- */

struct meetings {
	struct rota_barrier barrier;
	struct rota_atomic_u32 leaders;
	struct rota_once cell[MEETINGS];
	unsigned filled[MEETINGS]; /* guarded by the cell's turn */
	struct rota_wait_group group[MEETINGS];
	struct rota_atomic_u32 ended[MEETINGS];
};

struct filling {
	struct member *member;
	unsigned *filled;
};

static int fill(void *arg)
{
	struct filling *filling = arg;

	stress_pause(&filling->member->random);
	if (stress_one_in(&filling->member->random, 3))
		return -EIO;
	return (int)++*filling->filled;
}

/* Until all are there; one who changes its mind comes again. */
static void meet(struct member *member, struct meetings *meetings)
{
	int rc = -ECANCELED;

	while (rc == -ECANCELED) {
		struct rota_barrier_op op;

		rota_barrier_wait_init(&op, &meetings->barrier);
		rc = stress_one_in(&member->random, 3) ? member_wait_maybe(member, &op.future)
						       : member_wait(member, &op.future);
	}
	expect(rc, >=, 0);
	rota__fetch_add(&meetings->leaders, (uint32_t)rc, RELAXED);
}

static void attend(struct member *member)
{
	struct meetings *meetings = member->crew->data;

	for (unsigned i = 0; i < MEETINGS; i++) {
		struct filling filling = { member, &meetings->filled[i] };
		struct rota_wait_group_op op;
		int rc;

		rota_wait_group_add(&meetings->group[i], 1);
		meet(member, meetings); /* all have added */
		do {
			rc = rota_once_run(&meetings->cell[i], fill, &filling);
		} while (rc == -EIO);
		expect(rc, ==, 1);
		rota__fetch_add(&meetings->ended[i], 1, RELAXED);
		expect(rota_wait_group_done(&meetings->group[i]), ==, 0);
		rota_wait_group_wait_init(&op, &meetings->group[i]);
		rc = stress_one_in(&member->random, 3) ? member_wait_maybe(member, &op.future)
						       : member_wait(member, &op.future);
		if (rc == 0)
			expect(rota__load(&meetings->ended[i], RELAXED), ==, member->crew->n);
		else
			expect(rc, ==, -ECANCELED);
		stress_moved();
	}
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct store store = { .places = 1 + stress_below(&random, PLACES_MAX) };
		struct meetings *meetings = calloc(1, sizeof(*meetings)); /* all zero is how each of them begins */
		struct crew crew;

		crew_init(&crew, 2 + stress_below(&random, MEMBERS - 1), &random);
		crew_work(&crew, work_in_store, &store);
		expect(store.put, ==, THINGS);
		expect(store.taken, ==, THINGS);
		expect(rota_cond_deinit(&store.not_empty), ==, 0);
		expect(rota_cond_deinit(&store.not_full), ==, 0);
		expect(rota_barrier_init(&meetings->barrier, crew.n), ==, 0);
		crew_work(&crew, attend, meetings);
		expect(rota__load(&meetings->leaders, SEQ_CST), ==, MEETINGS);
		for (unsigned i = 0; i < MEETINGS; i++)
			expect(meetings->filled[i], ==, 1);
		crew_free(&crew);
		free(meetings);
	}
	return 0;
}
