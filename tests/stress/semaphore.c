/* SPDX-License-Identifier: MIT */
/*
 * The semaphore under a crew: never more permits out than there are, and all are back in the end, whoever waited for how
 * many and changed its mind. Then it is closed while all wait.
 */
#define _GNU_SOURCE
#include "crew.h"

#define MEMBERS 24u
#define ROUNDS STRESS_FEWER(60u)
#define TURNS 200u
#define PERMITS_MAX 6u

struct shared {
	struct rota_semaphore semaphore;
	uint32_t permits;
	struct rota_atomic_u32 out;
	struct rota_atomic_u32 working; /* members that have not come to the gate */
};

/* 0: the member has n permits. */
static int take(struct member *member, struct rota_semaphore *s, uint32_t n)
{
	uint32_t dice = stress_below(&member->random, 16);
	struct rota_semaphore_op op;

	if (dice < 5)
		return rota_semaphore_acquire(s, n);
	if (dice < 7)
		return rota_semaphore_try_acquire(s, n);
	if (dice < 10)
		return rota_semaphore_acquire_until(s, n, rota_now() + ROTA_US(stress_below(&member->random, 300)));
	rota_semaphore_acquire_init(&op, s, n);
	return dice < 12 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
}

static void turns(struct member *member)
{
	struct shared *shared = member->crew->data;

	for (unsigned i = 0; i < TURNS; i++) {
		const uint32_t n = 1 + stress_below(&member->random, shared->permits);
		int rc = take(member, &shared->semaphore, n);

		stress_moved();
		if (rc < 0) {
			expect(rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EAGAIN, ==, 1);
			continue;
		}
		expect(rota__fetch_add(&shared->out, n, SEQ_CST) + n, <=, shared->permits);
		if (stress_one_in(&member->random, 32))
			rota_yield();
		else
			stress_pause(&member->random);
		rota__fetch_sub(&shared->out, n, SEQ_CST);
		if (n > 1 && stress_one_in(&member->random, 2)) {
			expect(rota_semaphore_release(&shared->semaphore, n - 1), ==, 0);
			expect(rota_semaphore_release(&shared->semaphore, 1), ==, 0);
		} else {
			expect(rota_semaphore_release(&shared->semaphore, n), ==, 0);
		}
	}
}

/* All but one wait for more than there is, until the last one closes. */
static void gate(struct member *member)
{
	struct shared *shared = member->crew->data;
	struct rota_semaphore_op op;
	int rc;

	if (rota__fetch_sub(&shared->working, 1, SEQ_CST) == 1) {
		rota_semaphore_close(&shared->semaphore);
		return;
	}
	rota_semaphore_acquire_init(&op, &shared->semaphore, shared->permits + 1 + stress_below(&member->random, 3));
	rc = stress_one_in(&member->random, 2) ? member_wait_maybe(member, &op.future) : member_wait(member, &op.future);
	if (rc != -ECANCELED)
		expect(rc, ==, -EPIPE);
	stress_moved();
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		const uint32_t permits = 1 + stress_below(&random, PERMITS_MAX);
		struct shared shared = { .semaphore = ROTA_SEMAPHORE_INIT(permits), .permits = permits };
		struct crew crew;

		crew_init(&crew, 2 + stress_below(&random, MEMBERS - 1), &random);
		crew_work(&crew, turns, &shared);
		expect(rota_semaphore_available(&shared.semaphore), ==, permits);
		rota__store(&shared.working, crew.n, SEQ_CST);
		crew_work(&crew, gate, &shared);
		expect(rota_semaphore_available(&shared.semaphore), ==, permits);
		expect(rota_semaphore_deinit(&shared.semaphore), ==, 0);
		crew_free(&crew);
	}
	return 0;
}
