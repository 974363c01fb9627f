/* SPDX-License-Identifier: MIT */
#include "bias_internal.h"

#include "after_fork_internal.h"
#include "spin_internal.h"
#include "sys_internal.h"

#define FEW 16u      /* words that are revoked without further ado */
#define SELDOM 64u   /* of so many that would be biased one is, while most are revoked */
#define OF_LATE 256u /* so many words ago counts half */

static struct rota_atomic_u32 revoking; /* the lock of revocations */

static struct rota_atomic_u32 owners_lock;
static uint64_t owners[ROTA__OWNERS / 64]; /* a bit for each that is taken; under the lock */

/* Of late: how many words would have been made biased, and were, and how many of these were revoked. RELAXED: a rule of thumb
 * follows from them. */
static struct rota_atomic_u32 asked, granted, revoked;

bool rota__bias_always;

uint64_t rota__bias_new(void)
{
	uint64_t bias = 0;

	if (!rota__sys_has_sequences())
		return 0;
	rota__after_fork_install();
	rota__spin_lock(&owners_lock);
	/* What the one who had the number before has done to words of his is seen, because of the lock. */
	for (unsigned n = 1; n < ROTA__OWNERS && bias == 0; n++) {
		if (!(owners[n / 64] >> n % 64 & 1)) {
			owners[n / 64] |= UINT64_C(1) << n % 64;
			bias = ROTA__BIASED | ROTA__OWNER(n);
		}
	}
	rota__spin_unlock(&owners_lock);
	return bias;
}

void rota__bias_free(uint64_t bias)
{
	const unsigned n = (unsigned)(bias >> ROTA__MODE_SHIFT) % ROTA__OWNERS;

	rota__spin_lock(&owners_lock);
	owners[n / 64] &= ~(UINT64_C(1) << n % 64);
	rota__spin_unlock(&owners_lock);
}

void rota__bias_forked(void)
{
	rota__store(&revoking, 0, RELAXED); /* the process has one thread */
	rota__store(&owners_lock, 0, RELAXED);
	rota__store(&asked, 0, RELAXED);
	rota__store(&granted, 0, RELAXED);
	rota__store(&revoked, 0, RELAXED);
	for (unsigned i = 0; i < ROTA__OWNERS / 64; i++)
		owners[i] = 0;
}

uint64_t rota__bias_grant(uint64_t bias)
{
	const uint32_t all = rota__load(&granted, RELAXED), gone = rota__load(&revoked, RELAXED);
	const uint32_t turn = rota__fetch_add(&asked, 1, RELAXED);

	if (gone > FEW + all / 2 && turn % SELDOM != 0 && !rota__bias_always)
		return ROTA__SHARED;
	if (all >= OF_LATE) {
		rota__store(&granted, all / 2, RELAXED);
		rota__store(&revoked, gone / 2, RELAXED);
	}
	rota__fetch_add(&granted, 1, RELAXED);
	return bias;
}

void rota__bias_revoke(struct rota_atomic_u64 *word)
{
	uint64_t state;

	rota__spin_lock(&revoking);
	if (rota__load(word, RELAXED) & ROTA__BIASED)
		rota__fetch_add(&revoked, 1, RELAXED);
	state = rota__load(word, RELAXED);
	while (state & ROTA__BIASED) {
		if (!rota__cas(word, &state, state | ROTA__REVOKING, RELAXED)) /* the barrier orders it */
			continue;
		rota__sys_cut_sequences();
		state = rota__load(word, RELAXED);
		if (state & ROTA__REVOKING) {
			/* RELAXED: the barrier has ordered it after what the owner did, for whoever changes it next. */
			rota__store(word, ROTA__SHARED | rota__word_own(state), RELAXED);
			break;
		}
	}
	rota__spin_unlock(&revoking);
}
