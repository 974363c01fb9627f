/* SPDX-License-Identifier: MIT */
/*
 * The checker itself, on the tests that every memory model is explained with: what C11 allows must be found, what it
 * forbids must not. Outcome a + 2 b is "a and b were read"; IRIW has four.
 */
#include "../../runtime/atomic_internal.h"
#include "model.h"

static struct rota_atomic_u32 x, y, z;
static uint32_t plain;
static uint32_t a, b, c, d;

static void setup(void)
{
	x.value = y.value = z.value = plain = a = b = c = d = 0;
}

static void two(void)
{
	model_outcome(a + 2 * b);
}

/* --- store buffering: may both read 0? ---------------------------------------------------------------------------- */

#define STORE_BUFFERING(name, store_order, fence_, load_order) \
	static void name##_1(void) \
	{ \
		rota__store(&x, 1, store_order); \
		fence_; \
		a = rota__load(&y, load_order); \
	} \
	static void name##_2(void) \
	{ \
		rota__store(&y, 1, store_order); \
		fence_; \
		b = rota__load(&x, load_order); \
	}

STORE_BUFFERING(sb, RELAXED, , RELAXED)
STORE_BUFFERING(sb_ordered, RELEASE, , ACQUIRE)
STORE_BUFFERING(sb_fences, RELAXED, rota__fence(SEQ_CST), RELAXED)
STORE_BUFFERING(sb_weak_fences, RELAXED, rota__fence(ACQ_REL), RELAXED)
STORE_BUFFERING(sb_seq_cst, SEQ_CST, , SEQ_CST)
STORE_BUFFERING(sb_store_seq_cst, SEQ_CST, , ACQUIRE)

static void sb_rmw_1(void)
{
	rota__swap(&x, 1, SEQ_CST);
	a = rota__fetch_add(&y, 0, SEQ_CST);
}

static void sb_rmw_2(void)
{
	rota__swap(&y, 1, SEQ_CST);
	b = rota__fetch_add(&x, 0, SEQ_CST);
}

/* --- message passing: may the flag be seen without the message? ------------------------------------------------------ */

#define MESSAGE_PASSING(name, before, store_order, load_order, after) \
	static void name##_1(void) \
	{ \
		rota__store(&x, 1, RELAXED); \
		before; \
		rota__store(&y, 1, store_order); \
	} \
	static void name##_2(void) \
	{ \
		a = rota__load(&y, load_order); \
		after; \
		b = rota__load(&x, RELAXED); \
	}

MESSAGE_PASSING(mp, , RELAXED, RELAXED, )
MESSAGE_PASSING(mp_release, , RELEASE, RELAXED, )
MESSAGE_PASSING(mp_acquire, , RELAXED, ACQUIRE, )
MESSAGE_PASSING(mp_both, , RELEASE, ACQUIRE, )
MESSAGE_PASSING(mp_fences, rota__fence(RELEASE), RELAXED, RELAXED, rota__fence(ACQUIRE))
MESSAGE_PASSING(mp_half_fences, rota__fence(RELEASE), RELAXED, RELAXED, )

/* Through a third thread's exchange, which continues the release sequence; and through its plain store, which ends it. */
static void mp_between_rmw(void)
{
	c = rota__fetch_add(&y, 1, RELAXED);
}

static void mp_between_2(void)
{
	a = rota__load(&y, ACQUIRE) == 2;
	b = rota__load(&x, RELAXED);
}

static void mp_between_end(void)
{
	if (a && c == 1)
		model_outcome(b);
}

static void mp_between_store(void)
{
	c = rota__load(&y, RELAXED);
	if (c == 1)
		rota__store(&y, 2, RELAXED);
}

/* --- coherence, atomicity -------------------------------------------------------------------------------------------- */

static void corr_1(void)
{
	rota__store(&x, 1, RELAXED);
	rota__store(&x, 2, RELAXED);
}

static void corr_2(void)
{
	a = rota__load(&x, RELAXED);
	b = rota__load(&x, RELAXED);
}

static void corr_end(void)
{
	model_outcome(a + 3 * b);
}

static void add(void)
{
	rota__fetch_add(&x, 1, RELAXED);
}

static void add_by_cas(void)
{
	uint32_t old = rota__load(&x, RELAXED);

	while (!rota__cas(&x, &old, old + 1, RELAXED)) {
	}
}

static void add_in_two(void)
{
	rota__store(&x, rota__load(&x, SEQ_CST) + 1, SEQ_CST);
}

static void sum(void)
{
	model_outcome(rota__load(&x, RELAXED));
}

/* --- independent reads of independent writes --------------------------------------------------------------------------- */

static void write_x(void)
{
	rota__store(&x, 1, SEQ_CST);
}

static void write_y(void)
{
	rota__store(&y, 1, SEQ_CST);
}

#define READS(name, order_, fence_) \
	static void name##_xy(void) \
	{ \
		a = rota__load(&x, order_); \
		fence_; \
		b = rota__load(&y, order_); \
	} \
	static void name##_yx(void) \
	{ \
		c = rota__load(&y, order_); \
		fence_; \
		d = rota__load(&x, order_); \
	}

READS(iriw_sc, SEQ_CST, )
READS(iriw_acquire, ACQUIRE, )
READS(iriw_fences, RELAXED, rota__fence(SEQ_CST))

static void disagree(void)
{
	model_outcome(a && !b && c && !d);
}

/* --- plain data, waiting ------------------------------------------------------------------------------------------------ */

static void publish(void)
{
	plain = 1;
	rota__store(&y, 1, RELEASE);
}

static void consume(void)
{
	if (rota__load(&y, ACQUIRE) == 1)
		model_outcome(plain);
}

static void futex_sleeper(void)
{
	while (rota__load(&x, ACQUIRE) == 0)
		model_futex_wait(&x.value, 0, true);
	model_check(plain == 7);
}

static void futex_waker(void)
{
	plain = 7;
	rota__store(&x, 1, RELEASE);
	model_futex_wake(&x.value, 1);
}

static void spinner(void)
{
	while (rota__load(&x, ACQUIRE) == 0)
		model_spin();
	model_check(plain == 7);
}

const struct model_scenario model_scenarios[] = {
	{ "SB relaxed", setup, { sb_1, sb_2 }, two, 0xf, 0, 0 },
	{ "SB release, acquire", setup, { sb_ordered_1, sb_ordered_2 }, two, 0xf, 0, 0 },
	{ "SB with fences", setup, { sb_fences_1, sb_fences_2 }, two, 0xe, 0, 0 },
	{ "SB with fences acq_rel", setup, { sb_weak_fences_1, sb_weak_fences_2 }, two, 0xf, 0, 0 },
	{ "SB with one fence", setup, { sb_fences_1, sb_2 }, two, 0xf, 0, 0 },
	{ "SB seq_cst", setup, { sb_seq_cst_1, sb_seq_cst_2 }, two, 0xe, 0, 0 },
	{ "SB seq_cst stores only", setup, { sb_store_seq_cst_1, sb_store_seq_cst_2 }, two, 0xf, 0, 0 },
	{ "SB exchanges", setup, { sb_rmw_1, sb_rmw_2 }, two, 0xe, 0, 0 },
	{ "MP relaxed", setup, { mp_1, mp_2 }, two, 0xf, 0, 0 },
	{ "MP release only", setup, { mp_release_1, mp_release_2 }, two, 0xf, 0, 0 },
	{ "MP acquire only", setup, { mp_acquire_1, mp_acquire_2 }, two, 0xf, 0, 0 },
	{ "MP release, acquire", setup, { mp_both_1, mp_both_2 }, two, 0xd, 0, 0 },
	{ "MP with fences", setup, { mp_fences_1, mp_fences_2 }, two, 0xd, 0, 0 },
	{ "MP with one fence", setup, { mp_half_fences_1, mp_half_fences_2 }, two, 0xf, 0, 0 },
	{ "MP through an exchange", setup, { mp_both_1, mp_between_rmw, mp_between_2 }, mp_between_end, 0x2, 0, 0 },
	{ "MP through a store", setup, { mp_both_1, mp_between_store, mp_between_2 }, mp_between_end, 0x3, 0, 0 },
	{ "CoRR", setup, { corr_1, corr_2 }, corr_end, 1 << 0 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8, 0, 0 },
	{ "three add", setup, { add, add, add }, sum, 1 << 3, 0, 0 },
	{ "three add by exchange", setup, { add_by_cas, add_by_cas, add_by_cas }, sum, 1 << 3, 1, 0 },
	{ "two add in two steps", setup, { add_in_two, add_in_two }, sum, 1 << 1 | 1 << 2, 0, 0 },
	{ "IRIW seq_cst", setup, { write_x, write_y, iriw_sc_xy, iriw_sc_yx }, disagree, 0x1, 0, 0 },
	{ "IRIW acquire", setup, { write_x, write_y, iriw_acquire_xy, iriw_acquire_yx }, disagree, 0x3, 0, 0 },
	{ "IRIW with fences", setup, { write_x, write_y, iriw_fences_xy, iriw_fences_yx }, disagree, 0x1, 0, 0 },
	{ "plain data released", setup, { publish, consume }, NULL, 0x2, 0, 0 },
	{ "futex", setup, { futex_sleeper, futex_waker }, NULL, 0, 1, 0 },
	{ "spin", setup, { spinner, futex_waker }, NULL, 0, 0, 0 },
	{ .name = NULL },
};
