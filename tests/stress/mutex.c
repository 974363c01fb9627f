/* SPDX-License-Identifier: MIT */
/*
 * The mutex under a crew: one at a time is inside, however they came to wait, with those who change their mind, who try
 * without waiting, who sleep inside. All that was counted inside, with plain variables, is there in the end.
 */
#define _GNU_SOURCE
#include "crew.h"

#include "../../runtime/bias_internal.h"

#define MEMBERS 24u
#define ROUNDS STRESS_FEWER(40u)
#define TURNS 200u

struct shared {
	struct rota_mutex mutex;
	unsigned inside; /* the rest is under the mutex */
	unsigned long entered;
	struct rota_atomic_u64 had; /* how often somebody had it, as they say themselves */
};

/* Whether the member has the mutex now. */
static bool take(struct member *member, struct shared *shared)
{
	struct rota_mutex_lock_op op;
	uint32_t dice = stress_below(&member->random, 16);
	int rc;

	if (dice < 8) {
		rota_mutex_lock(&shared->mutex);
		return true;
	}
	if (dice < 10) {
		rc = rota_mutex_trylock(&shared->mutex);
		if (rc < 0)
			expect(rc, ==, -EBUSY);
		return rc == 0;
	}
	rota_mutex_lock_init(&op, &shared->mutex);
	rc = dice < 12 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
	if (rc < 0)
		expect(rc, ==, -ECANCELED);
	return rc == 0;
}

static void be_inside(struct member *member, struct shared *shared)
{
	unsigned long entered = shared->entered;

	expect(shared->inside++, ==, 0);
	if (stress_one_in(&member->random, 32))
		rota_yield();
	else
		stress_pause(&member->random);
	if (stress_one_in(&member->random, 256))
		rota_sleep(ROTA_US(stress_below(&member->random, 200)));
	expect(shared->inside--, ==, 1);
	expect(shared->entered, ==, entered);
	shared->entered = entered + 1;
}

static void work(struct member *member)
{
	struct shared *shared = member->crew->data;

	for (unsigned i = 0; i < TURNS; i++) {
		if (take(member, shared)) {
			be_inside(member, shared);
			rota_mutex_unlock(&shared->mutex);
			rota__fetch_add(&shared->had, 1, RELAXED);
		}
		if (stress_one_in(&member->random, 8))
			stress_pause(&member->random);
		stress_moved();
	}
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct shared shared = { .mutex = ROTA_MUTEX_INIT };
		struct crew crew;

		crew_init(&crew, 2 + stress_below(&random, MEMBERS - 1), &random);
		crew_work(&crew, work, &shared);
		expect(shared.entered, ==, rota__load(&shared.had, SEQ_CST));
		expect(rota__word_own(rota__load(&shared.mutex.state_, SEQ_CST)), ==, 0);
		crew_free(&crew);
	}
	return 0;
}
