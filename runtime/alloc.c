/* SPDX-License-Identifier: MIT */
#include "alloc_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic_internal.h"
#include "spin_internal.h"
#include "sys_internal.h"

static struct rota_atomic_u64 bytes_out;

#ifdef ROTA_HAVE_JEMALLOC

#include <jemalloc/jemalloc.h>

/* The arena's index plus one; 0 before it exists. Made once, lives as long as the process. */
static struct rota_atomic_u32 arena_plus_one;
static struct rota_atomic_u32 arena_lock;

static int arena_flags(size_t align)
{
	uint32_t arena = rota__load(&arena_plus_one, ACQUIRE); /* pairs with the RELEASE below */

	if (__builtin_expect(arena == 0, 0)) {
		unsigned index = 0;
		size_t len = sizeof(index);

		rota__spin_lock(&arena_lock);
		arena = rota__load(&arena_plus_one, RELAXED);
		if (arena == 0) {
			/* Without an arena of our own the default one serves: correct, only not told apart. */
			arena = mallctl("arenas.create", &index, &len, NULL, 0) == 0 ? index + 1 : 1;
			rota__store(&arena_plus_one, arena, RELEASE);
		}
		rota__spin_unlock(&arena_lock);
	}
	return (int)MALLOCX_ARENA(arena - 1) | MALLOCX_TCACHE_NONE | MALLOCX_ALIGN(align);
}

static void *raw_alloc(size_t size, size_t align)
{
	return mallocx(size, arena_flags(align) | MALLOCX_ZERO);
}

static void raw_free(void *ptr, size_t size, size_t align)
{
	sdallocx(ptr, size, arena_flags(align));
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

static void *raw_alloc(size_t size, size_t align)
{
	size_t rounded = (size + align - 1) & ~(align - 1);
	void *ptr = rounded >= size ? aligned_alloc(align, rounded) : NULL;

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

void rota__alloc_trim(void)
{
}

#endif

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

size_t rota__alloc_bytes(void)
{
	return (size_t)rota__load(&bytes_out, RELAXED);
}
