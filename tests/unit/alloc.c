/* SPDX-License-Identifier: MIT */
/* Memory of the runtime: zeroed, aligned, counted; an armed fault; whole pages; many threads at once. */
#define _GNU_SOURCE
#include "../../runtime/alloc_internal.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

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

UNIT_TEST(alloc, gives_pages_back_at_once)
{
	const size_t before = rota__alloc_bytes(), size = 3 * 4096 + 1;
	unsigned char *p = rota__alloc_pages(size);
	void *end = p;

	expect_pointer(p, !=, NULL);
	expect(rota__alloc_bytes(), ==, before + size);
	for (size_t i = 0; i < size; i++)
		expect(p[i], ==, 0);
	memset(p, 0x5a, size);
	rota__free_pages(p, size);
	rota__free_pages(NULL, size);
	expect(rota__alloc_bytes(), ==, before);
	expect(madvise(end, size, MADV_NORMAL), ==, -1); /* nothing is mapped there */
	rota__fault_arm(ROTA__FAULT_MAP, 1, -ENOMEM);
	expect_pointer(rota__alloc_pages(size), ==, NULL);
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

#define OBJECTS 3000

struct handed_over {
	struct rota_channel full; /* of the objects that are still to be freed */
	size_t sizes[OBJECTS];
};

struct object {
	unsigned char *memory;
	size_t number;
};

static int free_objects(void *arg)
{
	struct handed_over *h = arg;
	struct object object;

	while (rota_channel_recv(&h->full, &object) == 0) {
		const size_t size = h->sizes[object.number];

		expect(object.memory[0], ==, object.number % 251);
		expect(object.memory[size - 1], ==, object.number % 251);
		rota__free_object(object.memory, size, 64);
	}
	return 0;
}

/* Made by one task and freed by two, which workers share: small ones, and some that are too large for a cache. */
TASK_TEST(alloc, objects_may_be_freed_on_another_worker)
{
	static struct handed_over h;
	size_t before;
	rota_task *tasks[2];

	expect(rota_channel_init(&h.full, sizeof(struct object), 64), ==, 0);
	before = rota__alloc_bytes();
	for (int i = 0; i < 2; i++)
		expect(rota_spawn(&tasks[i], free_objects, &h), ==, 0);
	for (size_t i = 0; i < OBJECTS; i++) {
		struct object object = { NULL, i };

		h.sizes[i] = 1 + i * 7 % 6000;
		object.memory = rota__alloc_object(h.sizes[i], 64);
		expect_pointer(object.memory, !=, NULL);
		expect((uintptr_t)object.memory % 64, ==, 0);
		memset(object.memory, (int)(i % 251), h.sizes[i]);
		expect(rota_channel_send(&h.full, &object), ==, 0);
	}
	rota_channel_close(&h.full);
	for (int i = 0; i < 2; i++)
		expect(rota_join(tasks[i], NULL), ==, 0);
	expect(rota__alloc_bytes(), <=,
	       before + (1 << 20)); /* headers and stacks of tasks count, too; the objects were 9 MB */
	expect(rota_channel_deinit(&h.full), ==, 0);
}

TASK_TEST(alloc, no_object_is_had_when_told_so)
{
	void *p;

	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect_pointer(rota__alloc_object(100, 64), ==, NULL);
	rota__fault_arm(ROTA__FAULT_ALLOC, 1, -ENOMEM);
	expect_pointer(rota__alloc_object(10000, 64), ==, NULL);
	expect_pointer(p = rota__alloc_object(100, 64), !=, NULL);
	rota__free_object(p, 100, 64);
	rota__free_object(NULL, 100, 64);
}
