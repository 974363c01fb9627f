/* SPDX-License-Identifier: MIT */
/*
 * Stacks: where they lie and what guards them; reservations; no memory at each step; reuse; what is given back. The
 * overflow of a fiber's stack is in fiber.c.
 */
#define _GNU_SOURCE
#include "../../runtime/stack_internal.h"

#include <setjmp.h>

#include "../../runtime/alloc_internal.h"
#include "../../runtime/sys_internal.h"
#include "unit.h"

#define SIZE ((size_t)64 * 1024)
#define MANY 1000u

static struct rota__stack_pool pool;
static struct rota__stack_cache cache;
static struct rota__stack *stacks[10000];

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Of a stack of the pool's size. Not by its description, which goes when its page is given back. */
static unsigned char *bottom(struct rota__stack *stack)
{
	return (unsigned char *)(stack + 1) - pool.stack_size;
}

static struct rota__stack *take(void)
{
	expect(rota__stack_reserve(&pool, &cache), ==, 0);
	return rota__stack_acquire(&pool, &cache);
}

static void init(void)
{
	rota__stack_pool_init(&pool, SIZE, 1);
}

static void deinit(void)
{
	rota__stack_cache_flush(&pool, &cache);
	rota__stack_pool_deinit(&pool);
}

/* --- guards -------------------------------------------------------------------------------------------------------- */

static sigjmp_buf fault_return;
static void *fault_at;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	fault_at = info->si_addr;
	siglongjmp(fault_return, 1);
}

static bool faults(volatile unsigned char *at)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_NODEFER | SA_SIGINFO }, old;
	bool hit = true;

	sigaction(SIGSEGV, &action, &old);
	if (sigsetjmp(fault_return, 1) == 0) {
		*at = *at;
		hit = false;
	}
	sigaction(SIGSEGV, &old, NULL);
	return hit;
}

static void expect_whole_and_guarded(const struct rota__stack *stack, size_t size)
{
	unsigned char *low = stack->limit;

	expect(stack->size, ==, size);
	expect_pointer(low + size, ==, (const unsigned char *)(stack + 1));
	expect((uintptr_t)low % page_size(), ==, 0);
	memset(low, 0x77, size - sizeof(*stack));
	expect(faults(low), ==, false);
	expect(faults(low - 1), ==, true);
	expect_pointer(fault_at, ==, low - 1);
	expect(faults(low - page_size()), ==, true);
}

static void guarded_stacks(bool light)
{
	init();
	pool.light_guards = light;
	for (unsigned i = 0; i < 200; i++) {
		stacks[i] = take();
		expect_whole_and_guarded(stacks[i], SIZE);
	}
	/* Again when they are reused, and after their pages were given back. */
	for (unsigned i = 0; i < 200; i++)
		rota__stack_release(&pool, &cache, stacks[i]);
	rota__stack_cache_flush(&pool, &cache);
	rota__stack_pool_trim(&pool);
	for (unsigned i = 0; i < 200; i++) {
		stacks[i] = take();
		expect_whole_and_guarded(stacks[i], SIZE);
	}
	for (unsigned i = 0; i < 200; i++)
		rota__stack_release(&pool, &cache, stacks[i]);
	deinit();
}

UNIT_TEST(stack, has_a_guard_below)
{
	guarded_stacks(false);
	if (rota__sys_has_light_guards())
		guarded_stacks(true);
}

UNIT_TEST(stack, of_another_size_has_a_guard_below)
{
	static const size_t sizes[] = { 8 * 1024, 8 * 1024 + 1, 12345, 100 * 1024, 1 << 20, 64 << 20 };
	const unsigned before = unit_mappings();

	init();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct rota__stack *stack = NULL;

		expect(rota__stack_new(&stack, &pool, sizes[i]), ==, 0);
		expect(stack->size, >=, sizes[i]);
		expect(stack->size, <, sizes[i] + page_size());
		expect_whole_and_guarded(stack, (sizes[i] + page_size() - 1) & ~(page_size() - 1));
		rota__stack_free(&pool, stack);
	}
	deinit();
	expect(unit_mappings(), <=, before + 4); /* the C library's own, at the most */
}

static struct rota__stack *new_of(size_t size)
{
	struct rota__stack *stack = NULL;

	expect(rota__stack_new(&stack, &pool, size), ==, 0);
	return stack;
}

UNIT_TEST(stack, of_another_size_is_kept)
{
	struct rota__stack *stack, *other, *again;

	init();
	stack = new_of(100000);
	other = new_of(50000);
	memset(bottom(stack), 1, 100);
	rota__stack_free(&pool, other);
	rota__stack_free(&pool, stack);
	rota__fault_arm(ROTA__FAULT_MAP, 1, -ENOMEM);
	again = new_of(100000);
	expect_pointer(again, ==, stack);
	expect_whole_and_guarded(again, (100000 + page_size() - 1) & ~(page_size() - 1));
	expect(rota__stack_new(&stack, &pool, 100000), ==, -ENOMEM); /* there was one */
	expect_pointer(new_of(50000), ==, other);
	rota__stack_free(&pool, again);
	rota__stack_free(&pool, other);
	deinit();
}

/* So many, and so much address space, the latest of all; what is larger is not, and takes nobody's place. */
UNIT_TEST(stack, of_another_size_are_not_all_kept)
{
	static const size_t sizes[] = { 20000, 1 << 20, 10 << 20 };
	const unsigned before = unit_mappings();

	init();
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned n = 0; n < 50; n++)
			stacks[n] = new_of(sizes[i]);
		for (unsigned n = 0; n < 50; n++) {
			rota__stack_free(&pool, stacks[n]);
			expect_pointer(pool.kept[pool.kept_count - 1], ==, stacks[n]);
			expect(pool.kept_count, <=, ROTA__STACK_KEPT_MAX);
			expect(pool.kept_bytes, <=, ROTA__STACK_KEPT_BYTES);
		}
	}
	expect(pool.kept_count, ==, 1);
	rota__stack_free(&pool, new_of(ROTA__STACK_KEPT_BYTES));
	expect(pool.kept_count, ==, 1);
	rota__stack_pool_trim(&pool);
	expect(pool.kept_count, ==, 0);
	expect(pool.kept_bytes, ==, 0);
	rota__stack_free(&pool, new_of(20000));
	deinit();
	expect(unit_mappings(), <=, before + 4); /* the C library's own, at the most */
}

UNIT_TEST(stack, sizes_are_whole_pages)
{
	rota__stack_pool_init(&pool, 10000, 1);
	stacks[0] = take();
	expect(stacks[0]->size, ==, (10000 + page_size() - 1) / page_size() * page_size());
	rota__stack_release(&pool, &cache, stacks[0]);
	deinit();
}

/* --- each is its own ----------------------------------------------------------------------------------------------- */

UNIT_TEST(stack, are_apart_and_keep_what_is_written)
{
	init();
	for (unsigned i = 0; i < MANY; i++) {
		stacks[i] = take();
		memcpy(bottom(stacks[i]), &i, sizeof(i));
		memcpy(bottom(stacks[i]) + SIZE / 2, &i, sizeof(i));
	}
	for (unsigned i = 0; i < MANY; i++) {
		expect(memcmp(bottom(stacks[i]), &i, sizeof(i)), ==, 0);
		expect(memcmp(bottom(stacks[i]) + SIZE / 2, &i, sizeof(i)), ==, 0);
		rota__stack_release(&pool, &cache, stacks[i]);
	}
	deinit();
}

UNIT_TEST(stack, the_last_one_released_is_the_next_one_taken)
{
	init();
	stacks[0] = take();
	stacks[1] = take();
	rota__stack_release(&pool, &cache, stacks[0]);
	rota__stack_release(&pool, &cache, stacks[1]);
	expect_pointer(take(), ==, stacks[1]);
	expect_pointer(take(), ==, stacks[0]);
	rota__stack_release(&pool, &cache, stacks[0]);
	rota__stack_release(&pool, &cache, stacks[1]);
	deinit();
}

UNIT_TEST(stack, the_same_ones_serve_again)
{
	size_t bytes;

	init();
	for (unsigned i = 0; i < MANY; i++)
		stacks[i] = take();
	bytes = rota__stack_pool_bytes(&pool);
	expect(bytes, >=, MANY * (SIZE + page_size()));
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < MANY; i++)
			rota__stack_release(&pool, &cache, stacks[i]);
		for (unsigned i = 0; i < MANY; i++)
			stacks[i] = take();
	}
	expect(rota__stack_pool_bytes(&pool), <=, bytes + 256 * (SIZE + page_size())); /* reservations held back */
	for (unsigned i = 0; i < MANY; i++)
		rota__stack_release(&pool, &cache, stacks[i]);
	deinit();
}

/* --- reservations -------------------------------------------------------------------------------------------------- */

UNIT_TEST(stack, what_was_reserved_is_given_back)
{
	size_t reserved;

	init();
	reserved = pool.reserved;
	for (unsigned i = 0; i < MANY; i++)
		expect(rota__stack_reserve(&pool, i % 3 ? &cache : NULL), ==, 0);
	expect(pool.reserved, >=, reserved + MANY);
	expect(pool.capacity, >=, pool.reserved);
	/* Some run, some never do. */
	for (unsigned i = 0; i < MANY / 2; i++)
		stacks[i] = rota__stack_acquire(&pool, &cache);
	for (unsigned i = 0; i < MANY / 2; i++)
		rota__stack_release(&pool, &cache, stacks[i]);
	for (unsigned i = MANY / 2; i < MANY; i++)
		rota__stack_unreserve(&pool, i % 2 ? &cache : NULL);
	rota__stack_cache_flush(&pool, &cache);
	expect(pool.reserved, ==, reserved);
	expect(cache.credit, ==, 0);
	expect(cache.count, ==, 0);
	deinit();
}

UNIT_TEST(stack, an_acquire_after_a_reserve_cannot_fail)
{
	struct rota__stack_cache others[4] = { 0 };

	/* Memory is gone after the reservations were made; others' caches are full of free stacks. */
	rota__stack_pool_init(&pool, SIZE, 5);
	for (unsigned c = 0; c < 4; c++) {
		for (unsigned i = 0; i < 200; i++) {
			expect(rota__stack_reserve(&pool, &others[c]), ==, 0);
			stacks[i] = rota__stack_acquire(&pool, &others[c]);
		}
		for (unsigned i = 0; i < 200; i++)
			rota__stack_release(&pool, &others[c], stacks[i]);
	}
	for (unsigned i = 0; i < MANY; i++)
		expect(rota__stack_reserve(&pool, NULL), ==, 0);
	for (unsigned i = 0; i < MANY; i++) {
		rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
		rota__fault_arm(ROTA__FAULT_MAP, 1, -ENOMEM);
		rota__fault_arm(ROTA__FAULT_GUARD, 1, -ENOMEM);
		stacks[i] = rota__stack_acquire(&pool, &cache);
		expect_pointer(stacks[i], !=, NULL);
		memset(bottom(stacks[i]), 1, 100);
	}
	for (unsigned i = 0; i < MANY; i++)
		rota__stack_release(&pool, &cache, stacks[i]);
	for (unsigned c = 0; c < 4; c++)
		rota__stack_cache_flush(&pool, &others[c]);
	deinit();
}

/* --- no memory ------------------------------------------------------------------------------------------------------ */

static void reserve_without_memory(enum rota__fault_kind kind, uint32_t nth)
{
	const size_t before = rota__alloc_bytes();
	size_t reserved;

	init();
	reserved = pool.reserved;
	rota__fault_arm(kind, nth, -ENOMEM);
	expect(rota__stack_reserve(&pool, NULL), ==, -ENOMEM);
	rota__fault_arm(kind, 0, 0);
	expect(pool.reserved, ==, reserved);
	/* As if nothing had been. */
	for (unsigned i = 0; i < 300; i++)
		stacks[i] = take();
	for (unsigned i = 0; i < 300; i++)
		rota__stack_release(&pool, &cache, stacks[i]);
	deinit();
	expect(rota__alloc_bytes(), ==, before);
}

UNIT_TEST(stack, a_reserve_without_memory_changes_nothing)
{
	unsigned mappings;

	reserve_without_memory(ROTA__FAULT_ALLOC, 1);
	mappings = unit_mappings();
	/* The slab and each of its guards. */
	reserve_without_memory(ROTA__FAULT_MAP, 1);
	reserve_without_memory(ROTA__FAULT_GUARD, 1);
	reserve_without_memory(ROTA__FAULT_GUARD, 2);
	reserve_without_memory(ROTA__FAULT_GUARD, 64);
	expect(unit_mappings(), <=, mappings + 4);
}

UNIT_TEST(stack, what_memory_is_left_is_given)
{
	unsigned credit;

	/* A batch does not fail as a whole when a part of it is there. */
	init();
	rota__fault_arm(ROTA__FAULT_MAP, 2, -ENOMEM);
	expect(rota__stack_reserve(&pool, &cache), ==, 0);
	rota__fault_arm(ROTA__FAULT_MAP, 0, 0);
	expect(pool.reserved, <=, pool.capacity);
	credit = cache.credit;
	for (unsigned i = 0; i < credit; i++)
		expect(rota__stack_reserve(&pool, &cache), ==, 0);
	for (unsigned i = 0; i <= credit; i++)
		stacks[i] = rota__stack_acquire(&pool, &cache);
	for (unsigned i = 0; i <= credit; i++)
		rota__stack_release(&pool, &cache, stacks[i]);
	deinit();
}

UNIT_TEST(stack, of_another_size_without_memory_leaves_nothing)
{
	struct rota__stack *stack = NULL;
	unsigned mappings;

	init();
	mappings = unit_mappings();
	for (unsigned i = 0; i < 100; i++) {
		rota__fault_arm(ROTA__FAULT_MAP, 1, -ENOMEM);
		expect(rota__stack_new(&stack, &pool, 20000), ==, -ENOMEM);
		rota__fault_arm(ROTA__FAULT_GUARD, 1, -ENOMEM);
		expect(rota__stack_new(&stack, &pool, 20000), ==, -ENOMEM);
		expect_pointer(stack, ==, NULL);
	}
	expect(unit_mappings(), <=, mappings + 4);
	deinit();
}

/* --- given back ------------------------------------------------------------------------------------------------------ */

/* Pages of the stack that are in memory. */
static size_t resident(struct rota__stack *stack)
{
	static unsigned char pages[SIZE / 4096];
	size_t n = 0;

	expect(mincore(bottom(stack), SIZE, pages), ==, 0);
	for (size_t i = 0; i < SIZE / page_size(); i++)
		n += pages[i] & 1;
	return n;
}

static size_t resident_of(unsigned n)
{
	size_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += resident(stacks[i]);
	return sum;
}

static void burst(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		stacks[i] = take();
		memset(bottom(stacks[i]), 1, SIZE - sizeof(struct rota__stack));
	}
	expect(resident_of(n), ==, n * (SIZE / page_size()));
	for (unsigned i = 0; i < n; i++)
		rota__stack_release(&pool, &cache, stacks[i]);
}

UNIT_TEST(stack, after_a_burst_most_pages_go_back_by_themselves)
{
	const unsigned n = 6000;

	init();
	burst(n);
	expect(resident_of(n), <=, n * (SIZE / page_size()) / 2);
	deinit();
}

/* Those that lie side by side are given back together; what is used of others between them stays, and so do guards. */
static void expect_kept_apart(bool light)
{
	const unsigned n = 6000;

	init();
	pool.light_guards = pool.light_guards && light;
	for (unsigned i = 0; i < n; i++) {
		stacks[i] = take();
		memset(bottom(stacks[i]), 1 + (int)(i % 100), SIZE - sizeof(struct rota__stack));
	}
	for (unsigned i = 0; i < n; i++) {
		if (i % 7 != 0)
			rota__stack_release(&pool, &cache, stacks[i]);
	}
	expect(resident_of(n), <=, n * (SIZE / page_size()) / 2 + n / 7 * (SIZE / page_size()));
	for (unsigned i = 0; i < n; i++) {
		expect(faults(bottom(stacks[i]) - 1), ==, true);
		for (size_t at = 0; i % 7 == 0 && at < SIZE - sizeof(struct rota__stack); at += page_size())
			expect(bottom(stacks[i])[at], ==, 1 + i % 100);
	}
	deinit();
}

UNIT_TEST(stack, giving_back_spares_guards_and_what_is_in_use)
{
	expect_kept_apart(true);
}

UNIT_TEST(stack, giving_back_spares_guards_by_protection)
{
	expect_kept_apart(false);
}

UNIT_TEST(stack, trim_gives_back_the_rest)
{
	init();
	burst(MANY);
	rota__stack_cache_flush(&pool, &cache);
	rota__stack_pool_trim(&pool);
	expect(resident_of(MANY), ==, 0);
	burst(MANY); /* and they serve again */
	deinit();
}
