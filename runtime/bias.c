/* SPDX-License-Identifier: MIT */
#include "bias_internal.h"

#include <pthread.h>

#include "after_fork_internal.h"
#include "opaque_internal.h"
#include "spin_internal.h"
#include "sys_internal.h"

#define FEW 16u      /* words that are revoked without further ado */
#define SELDOM 64u   /* of so many that would be biased one is, while most are revoked */
#define OF_LATE 256u /* so many words ago counts half */

static struct rota_atomic_u32 revoking; /* the lock of revocations */

static struct rota_atomic_u32 owners_lock;
static uint64_t owners[ROTA__OWNERS / 64];           /* under the lock: a bit for each that is taken, ... */
static enum { UNKNOWN, THERE, NOT_THERE } sequences; /* ... and whether the process can have them */

/* Of late: how many words would have been made biased, and were, and how many of these were revoked. RELAXED: a rule of thumb
 * follows from them. */
static struct rota_atomic_u32 asked, granted, revoked;

bool rota__bias_always;

static pthread_key_t exit_key; /* its value: the thread's number */
static bool has_exit_key;      /* else no thread has words of its own */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* What other destructors of the thread change from now on is nobody's. */
static ROTA__OPAQUE void thread_ends(void *arg)
{
	const uintptr_t n = (uintptr_t)arg;

	rota__bias_tls = ROTA__NOBODY;
	rota__spin_lock(&owners_lock);
	owners[n / 64] &= ~(UINT64_C(1) << n % 64);
	rota__spin_unlock(&owners_lock);
}

static void begin(void)
{
	rota__after_fork_install();
	has_exit_key = pthread_key_create(&exit_key, thread_ends) == 0;
}

/* Under the lock. */
static bool has_sequences(void)
{
	if (sequences == UNKNOWN)
		sequences = rota__sys_has_sequences() ? THERE : NOT_THERE;
	return sequences == THERE;
}

void rota__bias_prepare(void)
{
	rota__spin_lock(&owners_lock);
	has_sequences();
	rota__spin_unlock(&owners_lock);
}

/* A number that nobody has, or 0. What the one who had it before has done to words of his is seen, because of the lock. */
static unsigned take_number(unsigned end)
{
	unsigned found = 0;

	rota__spin_lock(&owners_lock);
	if (!has_sequences())
		end = 0;
	for (unsigned n = 1; n < end && found == 0; n++) {
		if (!(owners[n / 64] >> n % 64 & 1)) {
			owners[n / 64] |= UINT64_C(1) << n % 64;
			found = n;
		}
	}
	rota__spin_unlock(&owners_lock);
	return found;
}

ROTA__OPAQUE uint64_t rota__bias_ask(void)
{
	unsigned n = 0;

	rota__bias_tls = ROTA__NOBODY;
	pthread_once(&once, begin);
	if (has_exit_key && rota__replaces_here())
		n = take_number(rota__worker_self() != NULL ? ROTA__OWNERS : ROTA__OWNERS / 2);
	if (n == 0)
		return ROTA__NOBODY;
	if (pthread_setspecific(exit_key, (void *)(uintptr_t)n) != 0) {
		thread_ends((void *)(uintptr_t)n);
		return ROTA__NOBODY;
	}
	return rota__bias_tls = ROTA__BIASED | ROTA__OWNER(n);
}

/* The process has one thread, which keeps its words. */
ROTA__OPAQUE void rota__bias_forked(void)
{
	const uint64_t bias = rota__bias_tls;
	const unsigned n = bias & ROTA__BIASED ? (unsigned)((bias & ROTA__OWNER_BITS) >> ROTA__MODE_SHIFT) : 0;

	rota__store(&revoking, 0, RELAXED);
	rota__store(&owners_lock, 0, RELAXED);
	rota__store(&asked, 0, RELAXED);
	rota__store(&granted, 0, RELAXED);
	rota__store(&revoked, 0, RELAXED);
	sequences = UNKNOWN;
	for (unsigned i = 0; i < ROTA__OWNERS / 64; i++)
		owners[i] = 0;
	if (n != 0)
		owners[n / 64] = UINT64_C(1) << n % 64;
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
