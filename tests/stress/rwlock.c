/* SPDX-License-Identifier: MIT */
/*
 * The lock for readers and writers under a crew: a writer is alone, readers are with readers, through every way in, with
 * deadlines, cancels and downgrades. What writers counted with plain variables is there in the end.
 */
#define _GNU_SOURCE
#include "crew.h"

#include "../../runtime/bias_internal.h"

#define MEMBERS 24u
#define ROUNDS STRESS_FEWER(40u)
#define TURNS 200u

struct shared {
	struct rota_rwlock lock;
	struct rota_atomic_u32 readers, writers; /* inside */
	unsigned long first, second;             /* written by writers, always alike */
	struct rota_atomic_u64 wrote;
};

static int lock_plainly(struct rota_rwlock *l, bool write)
{
	return write ? rota_rwlock_wrlock(l) : rota_rwlock_rdlock(l);
}

/* Whether the member has the lock now. */
static bool take(struct member *member, struct rota_rwlock *l, bool write)
{
	uint32_t dice = stress_below(&member->random, 16);
	struct rota_rwlock_op op;
	uint64_t deadline;
	int rc;

	if (dice < 6) {
		rc = lock_plainly(l, write);
		expect(rc, ==, 0);
	} else if (dice < 8) {
		rc = write ? rota_rwlock_trywrlock(l) : rota_rwlock_tryrdlock(l);
		if (rc < 0)
			expect(rc, ==, -EBUSY);
	} else if (dice < 11) {
		deadline = rota_now() + ROTA_US(stress_below(&member->random, 300));
		rc = write ? rota_rwlock_wrlock_until(l, deadline) : rota_rwlock_rdlock_until(l, deadline);
		if (rc < 0)
			expect(rc, ==, -ETIMEDOUT);
	} else {
		(write ? rota_rwlock_wrlock_init : rota_rwlock_rdlock_init)(&op, l);
		rc = dice < 13 ? member_wait(member, &op.future) : member_wait_maybe(member, &op.future);
		if (rc < 0)
			expect(rc, ==, -ECANCELED);
	}
	return rc == 0;
}

static void stay(struct member *member)
{
	if (stress_one_in(&member->random, 32))
		rota_yield();
	else
		stress_pause(&member->random);
}

static void be_reader(struct member *member, struct shared *shared)
{
	unsigned long first = shared->first;

	rota__fetch_add(&shared->readers, 1, RELAXED);
	expect(rota__load(&shared->writers, RELAXED), ==, 0);
	stay(member);
	expect(rota__load(&shared->writers, RELAXED), ==, 0);
	expect(shared->first, ==, first);
	expect(shared->second, ==, first);
	rota__fetch_sub(&shared->readers, 1, RELAXED);
}

static void be_writer(struct member *member, struct shared *shared)
{
	expect(rota__fetch_add(&shared->writers, 1, RELAXED), ==, 0);
	expect(rota__load(&shared->readers, RELAXED), ==, 0);
	shared->first++;
	stay(member);
	shared->second++;
	expect(shared->first, ==, shared->second);
	expect(rota__fetch_sub(&shared->writers, 1, RELAXED), ==, 1);
	rota__fetch_add(&shared->wrote, 1, RELAXED);
}

static void work(struct member *member)
{
	struct shared *shared = member->crew->data;

	for (unsigned i = 0; i < TURNS; i++) {
		const bool write = stress_one_in(&member->random, 4);

		stress_moved();
		if (!take(member, &shared->lock, write))
			continue;
		if (write)
			be_writer(member, shared);
		else
			be_reader(member, shared);
		if (write && stress_one_in(&member->random, 4)) {
			unsigned long first = shared->first;

			expect(rota_rwlock_downgrade(&shared->lock), ==, 0);
			be_reader(member, shared);
			expect(shared->first, ==, first); /* no writer came between */
		}
		expect(rota_rwlock_unlock(&shared->lock), ==, 0);
	}
}

int main(int argc, char **argv)
{
	struct stress_random random;

	stress_start(argc, argv, crew_report);
	random = stress_random_new(0);
	for (unsigned round = 0; round < ROUNDS * stress_scale; round++) {
		struct shared shared = { .lock = ROTA_RWLOCK_INIT };
		struct crew crew;

		crew_init(&crew, 2 + stress_below(&random, MEMBERS - 1), &random);
		crew_work(&crew, work, &shared);
		expect(shared.first, ==, rota__load(&shared.wrote, SEQ_CST));
		expect(rota__word_own(rota__load(&shared.lock.state_, SEQ_CST)), ==, 0);
		expect(rota_rwlock_deinit(&shared.lock), ==, 0);
		crew_free(&crew);
	}
	return 0;
}
