/* SPDX-License-Identifier: MIT */
#include "alloc_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "after_fork_internal.h"
#include "atomic_internal.h"
#include "spin_internal.h"
#include "sys_internal.h"
#include "worker_internal.h"

#define TALLIES 64u

static struct rota_atomic_u64 bytes_out; /* beside `tallies` */

/* What went out and came back through each of the first caches that workers have: counted by the one worker that has it,
 * which a locked instruction would cost more than to come by the memory. */
static struct {
	_Alignas(ROTA__CACHE_LINE) struct rota_atomic_u64 bytes;
} tallies[TALLIES];

#ifdef ROTA_HAVE_JEMALLOC

#include <jemalloc/jemalloc.h>

/* The arena's index plus one; 0 before it exists. Made once, lives as long as the process. */
static struct rota_atomic_u32 arena_plus_one;
static struct rota_atomic_u32 arena_lock;

static int arena(void)
{
	uint32_t made = rota__load(&arena_plus_one, ACQUIRE); /* pairs with the RELEASE below */

	if (__builtin_expect(made == 0, 0)) {
		unsigned index = 0;
		size_t len = sizeof(index);

		rota__after_fork_install();
		rota__spin_lock(&arena_lock);
		made = rota__load(&arena_plus_one, RELAXED);
		if (made == 0) {
			/* Without an arena of our own the default one serves: correct, only not told apart. */
			made = mallctl("arenas.create", &index, &len, NULL, 0) == 0 ? index + 1 : 1;
			rota__store(&arena_plus_one, made, RELEASE);
		}
		rota__spin_unlock(&arena_lock);
	}
	return (int)MALLOCX_ARENA(made - 1);
}

void rota__alloc_forked(void)
{
	rota__spin_unlock(&arena_lock);
}

static int arena_flags(size_t align)
{
	return arena() | MALLOCX_TCACHE_NONE | MALLOCX_ALIGN(align);
}

static void *raw_alloc(size_t size, size_t align)
{
	return mallocx(size, arena_flags(align) | MALLOCX_ZERO);
}

static void raw_free(void *ptr, size_t size, size_t align)
{
	sdallocx(ptr, size, arena_flags(align));
}

/* The worker's cache, which the worker's thread alone uses, and makes when it wants it first: to go to the arena takes
 * ten times as long. Its memory is the arena's own, so it does not matter who frees where. */
static int object_flags(size_t align)
{
	struct rota__worker *worker = rota__worker_self();
	size_t len = sizeof(unsigned);
	unsigned cache;

	if (worker == NULL)
		return arena_flags(align);
	if (__builtin_expect(worker->alloc_cache == 0, 0)) {
		if (mallctl("tcache.create", &cache, &len, NULL, 0) != 0)
			return arena_flags(align);
		worker->alloc_cache = cache + 1;
	}
	return arena() | MALLOCX_TCACHE(worker->alloc_cache - 1) | MALLOCX_ALIGN(align);
}

static void *raw_alloc_object(size_t size, size_t align)
{
	return mallocx(size, object_flags(align));
}

static void raw_free_object(void *ptr, size_t size, size_t align)
{
	sdallocx(ptr, size, object_flags(align));
}

void rota__alloc_worker_end(struct rota__worker *worker)
{
	unsigned cache = worker->alloc_cache - 1;

	if (worker->alloc_cache != 0)
		mallctl("tcache.destroy", NULL, NULL, &cache, sizeof(cache));
	worker->alloc_cache = 0;
}

void rota__alloc_trim(void)
{
	char name[48];
	uint32_t arena = rota__load(&arena_plus_one, ACQUIRE);

	if (arena == 0)
		return;
	snprintf(name, sizeof(name), "arena.%u.purge", arena - 1);
	mallctl(name, NULL, NULL, NULL, 0);
}

#else

/* The C library has caches of its own. */
static void *raw_alloc_object(size_t size, size_t align)
{
	size_t rounded = (size + align - 1) & ~(align - 1);

	return rounded >= size ? aligned_alloc(align, rounded) : NULL;
}

static void *raw_alloc(size_t size, size_t align)
{
	void *ptr = raw_alloc_object(size, align);

	if (ptr != NULL)
		memset(ptr, 0, size);
	return ptr;
}

static void raw_free(void *ptr, size_t size, size_t align)
{
	(void)size;
	(void)align;
	free(ptr);
}

static void raw_free_object(void *ptr, size_t size, size_t align)
{
	raw_free(ptr, size, align);
}

void rota__alloc_worker_end(struct rota__worker *worker)
{
	(void)worker;
}

void rota__alloc_trim(void)
{
}

void rota__alloc_forked(void)
{
}

#endif

/* After the cache was asked. `bytes` were given out, or came back: then it is what makes the sum less. */
static void count_object(uint64_t bytes)
{
	const struct rota__worker *worker = rota__worker_self();
	const unsigned cache = worker != NULL ? worker->alloc_cache - 1 : TALLIES; /* none yet: beyond all */

	if (cache < TALLIES)
		rota__count(&tallies[cache].bytes, bytes);
	else
		rota__fetch_add(&bytes_out, bytes, RELAXED); /* a statistic */
}

void *rota__alloc(size_t size, size_t align)
{
	void *ptr = rota__fault(ROTA__FAULT_ALLOC) < 0 ? NULL : raw_alloc(size, align);

	if (ptr != NULL)
		rota__fetch_add(&bytes_out, size, RELAXED); /* a statistic */
	return ptr;
}

void rota__free(void *ptr, size_t size, size_t align)
{
	if (ptr == NULL)
		return;
	rota__fetch_sub(&bytes_out, size, RELAXED);
	raw_free(ptr, size, align);
}

void *rota__alloc_pages(size_t size)
{
	void *ptr;

	if (rota__sys_map(&ptr, size) < 0)
		return NULL;
	rota__fetch_add(&bytes_out, size, RELAXED); /* a statistic */
	return ptr;
}

void rota__free_pages(void *ptr, size_t size)
{
	if (ptr == NULL)
		return;
	rota__fetch_sub(&bytes_out, size, RELAXED);
	rota__sys_unmap(ptr, size);
}

void *rota__alloc_object(size_t size, size_t align)
{
	void *ptr = rota__fault(ROTA__FAULT_ALLOC) < 0 ? NULL : raw_alloc_object(size, align);

	if (ptr != NULL)
		count_object(size);
	return ptr;
}

void rota__free_object(void *ptr, size_t size, size_t align)
{
	if (ptr == NULL)
		return;
	raw_free_object(ptr, size, align);
	count_object(-(uint64_t)size);
}

size_t rota__alloc_bytes(void)
{
	uint64_t bytes = rota__load(&bytes_out, RELAXED);

	for (unsigned i = 0; i < TALLIES; i++)
		bytes += rota__load(&tallies[i].bytes, RELAXED);
	return (size_t)bytes;
}
