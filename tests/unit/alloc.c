/* SPDX-License-Identifier: MIT */
/* Memory of the runtime: zeroed, aligned, counted; an armed fault; many threads at once. */
#define _GNU_SOURCE
#include "../../runtime/alloc_internal.h"

#include <pthread.h>

#include "../../runtime/sys_internal.h"
#include "unit.h"

static bool all_zero(const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static void allocate_and_free(size_t size, size_t align)
{
	const size_t before = rota__alloc_bytes();
	unsigned char *p = rota__alloc(size, align);

	expect_pointer(p, !=, NULL);
	expect((uintptr_t)p % align, ==, 0);
	expect(all_zero(p, size), ==, true);
	expect(rota__alloc_bytes(), ==, before + size);
	memset(p, 0xa5, size);
	rota__free(p, size, align);
	expect(rota__alloc_bytes(), ==, before);
}

UNIT_TEST(alloc, gives_zeroed_aligned_memory_and_counts_it)
{
	static const size_t sizes[] = { 1, 8, 63, 64, 65, 1000, 4096, 32 * 1024, 3 << 20 };

	/* Twice, so that what was dirtied comes back clean. */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			for (size_t align = 8; align <= 64 * 1024; align *= 2)
				allocate_and_free(sizes[i], align);
		}
	}
}

UNIT_TEST(alloc, fails_when_told_to_and_counts_nothing)
{
	const size_t before = rota__alloc_bytes();
	void *p;

	rota__fault_arm(ROTA__FAULT_ALLOC, 2, -ENOMEM);
	p = rota__alloc(100, 64);
	expect_pointer(p, !=, NULL);
	expect_pointer(rota__alloc(100, 64), ==, NULL);
	expect(rota__alloc_bytes(), ==, before + 100);
	rota__free(p, 100, 64);
	expect_pointer(p = rota__alloc(100, 64), !=, NULL);
	rota__free(p, 100, 64);
	expect(rota__alloc_bytes(), ==, before);
}

UNIT_TEST(alloc, refuses_what_no_machine_has, .disabled = UNIT_SANITIZED)
{
	const size_t before = rota__alloc_bytes();
	volatile size_t size = SIZE_MAX / 4;

	expect_pointer(rota__alloc(size, 64), ==, NULL);
	expect(rota__alloc_bytes(), ==, before);
}

UNIT_TEST(alloc, frees_null)
{
	const size_t before = rota__alloc_bytes();

	rota__free(NULL, 100, 64);
	expect(rota__alloc_bytes(), ==, before);
}

UNIT_TEST(alloc, trim_leaves_alone_what_is_in_use)
{
	unsigned char *kept, *freed;

	rota__alloc_trim(); /* with no arena yet */
	kept = rota__alloc(1 << 20, 64);
	freed = rota__alloc(1 << 20, 64);
	memset(kept, 0x5a, 1 << 20);
	rota__free(freed, 1 << 20, 64);
	rota__alloc_trim();
	for (size_t i = 0; i < 1 << 20; i++)
		expect(kept[i], ==, 0x5a);
	rota__free(kept, 1 << 20, 64);
}

static void *allocate_often(void *arg)
{
	const size_t seed = (size_t)(uintptr_t)arg;

	for (size_t i = 0; i < 2000; i++) {
		const size_t size = 1 + (seed * 131 + i * 37) % 5000;
		unsigned char *p = rota__alloc(size, 64);

		expect_pointer(p, !=, NULL);
		expect(all_zero(p, size), ==, true);
		memset(p, (int)seed, size);
		sched_yield();
		expect(p[size / 2], ==, seed);
		rota__free(p, size, 64);
	}
	return NULL;
}

UNIT_TEST(alloc, serves_many_threads)
{
	const size_t before = rota__alloc_bytes();
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		expect(pthread_create(&threads[i], NULL, allocate_often, (void *)(i + 1)), ==, 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	expect(rota__alloc_bytes(), ==, before);
}
