/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "stack_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "alloc_internal.h"
#include "spin_internal.h"
#include "sys_internal.h"
#include "valgrind_internal.h"

#define SLAB_STACKS ((size_t)64)
#define CREDIT_BATCH 64u
#define CREDIT_MAX ROTA__STACK_CREDIT_MAX
#define CACHE_MAX ROTA__STACK_CACHE_MAX
#define CACHE_BATCH (CACHE_MAX / 2)
#define KEEP_DIRTY ((size_t)2048)

/* Allocated apart: its slots are only address space. */
struct rota__stack_slab {
	struct rota__stack_slab *next;
	struct rota__stack_slab *next_clean; /* while a bit is set; these two under the pool's lock */
	uint64_t clean;                      /* a bit per slot: free, and without pages */
	unsigned char *base;
};

_Static_assert(SLAB_STACKS == 64, "a bit per slot");

static size_t slot_size(const struct rota__stack_pool *pool)
{
	return pool->guard_size + pool->stack_size;
}

/* Where the description of the stack in [limit, limit + size) stands. */
static struct rota__stack *description(unsigned char *limit, size_t size)
{
	return (struct rota__stack *)(void *)(limit + size - sizeof(struct rota__stack));
}

/* Fills in a description whose page may have been discarded. */
static struct rota__stack *describe(struct rota__stack *stack, struct rota__stack_slab *slab, size_t size)
{
	stack->next = NULL;
	stack->slab = slab;
	stack->limit = (unsigned char *)(stack + 1) - size;
	stack->size = size;
	stack->sanitizer = NULL;
	return stack;
}

/* Of one or more stacks in order of their addresses, CACHE_MAX at most: those that lie side by side, as those of tasks that
 * were spawned together do, are one range. The guards between them stay, of either kind. */
static void discard_all(const struct rota__stack_pool *pool, struct rota__stack *const stacks[], unsigned n)
{
	struct iovec ranges[CACHE_MAX];
	unsigned count = 0, i = 0;

	do {
		unsigned char *low = (unsigned char *)(stacks[i] + 1), *high = low; /* ends of the first and the last */

		for (i++; i < n && (unsigned char *)(stacks[i] + 1) == high + slot_size(pool); i++)
			high += slot_size(pool);
		ranges[count++] = (struct iovec){ low - pool->stack_size, (size_t)(high - low) + pool->stack_size };
	} while (i < n);
	rota__sys_discard(ranges, count);
}

void rota__stack_pool_init(struct rota__stack_pool *pool, size_t stack_size, unsigned caches)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	memset(pool, 0, sizeof(*pool));
	pool->stack_size = (stack_size + page - 1) & ~(page - 1);
	pool->guard_size = page;
	pool->light_guards = rota__sys_has_light_guards();
	pool->reserved = (size_t)caches * CACHE_MAX;
}

static int slab_map(struct rota__stack_pool *pool, struct rota__stack_slab *slab)
{
	const size_t size = SLAB_STACKS * slot_size(pool);
	void *base;
	int rc = rota__sys_map(&base, size);

	if (rc < 0)
		return rc;
	slab->base = base;
	for (size_t i = 0; i < SLAB_STACKS; i++) {
		rc = rota__sys_guard(slab->base + i * slot_size(pool), pool->guard_size, pool->light_guards);
		if (rc < 0) {
			rota__sys_unmap(base, size);
			return -ENOMEM;
		}
	}
	rota__valgrind_stacks(base, size);
	return 0;
}

/* NULL: no memory. Without the lock. */
static struct rota__stack_slab *slab_new(struct rota__stack_pool *pool)
{
	struct rota__stack_slab *slab = rota__alloc(sizeof(*slab), ROTA__CACHE_LINE);

	if (slab == NULL)
		return NULL;
	if (slab_map(pool, slab) < 0) {
		rota__free(slab, sizeof(*slab), ROTA__CACHE_LINE);
		return NULL;
	}
	slab->clean = UINT64_MAX;
	return slab;
}

static void add_slab_locked(struct rota__stack_pool *pool, struct rota__stack_slab *slab)
{
	slab->next = pool->slabs;
	pool->slabs = slab;
	slab->next_clean = pool->clean;
	pool->clean = slab;
	pool->capacity += SLAB_STACKS;
}

/* Reserves up to `want`; returns how many. Of several who find too little at once each makes a slab. */
static unsigned reserve(struct rota__stack_pool *pool, unsigned want)
{
	struct rota__stack_slab *slab;

	rota__spin_lock(&pool->lock);
	while (pool->capacity < pool->reserved + want) {
		rota__spin_unlock(&pool->lock);
		slab = slab_new(pool);
		rota__spin_lock(&pool->lock);
		if (slab == NULL)
			break;
		add_slab_locked(pool, slab);
	}
	if (pool->capacity < pool->reserved + want) /* no memory: what is left is given */
		want = pool->capacity > pool->reserved ? (unsigned)(pool->capacity - pool->reserved) : 0;
	pool->reserved += want;
	rota__spin_unlock(&pool->lock);
	return want;
}

static void unreserve(struct rota__stack_pool *pool, unsigned n)
{
	rota__spin_lock(&pool->lock);
	pool->reserved -= n;
	rota__spin_unlock(&pool->lock);
}

int rota__stack_pool_add_cache(struct rota__stack_pool *pool)
{
	const unsigned got = reserve(pool, CACHE_MAX);

	if (got == CACHE_MAX)
		return 0;
	unreserve(pool, got);
	return -ENOMEM;
}

void rota__stack_pool_drop_cache(struct rota__stack_pool *pool)
{
	unreserve(pool, CACHE_MAX);
}

int rota__stack_reserve_slow(struct rota__stack_pool *pool, struct rota__stack_cache *cache)
{
	if (cache == NULL)
		return reserve(pool, 1) == 1 ? 0 : -ENOMEM;
	cache->credit = reserve(pool, CREDIT_BATCH);
	if (cache->credit == 0)
		return -ENOMEM;
	cache->credit--;
	return 0;
}

void rota__stack_unreserve_slow(struct rota__stack_pool *pool, struct rota__stack_cache *cache)
{
	if (cache == NULL) {
		unreserve(pool, 1);
		return;
	}
	unreserve(pool, CREDIT_MAX / 2);
	cache->credit -= CREDIT_MAX / 2;
}

/* One without pages, which is described when the lock was dropped, since that touches it. NULL: there is none. */
static struct rota__stack *take_clean_locked(struct rota__stack_pool *pool, struct rota__stack_slab **ret_slab)
{
	struct rota__stack_slab *slab = pool->clean;
	unsigned char *slot;

	if (slab == NULL)
		return NULL;
	slot = slab->base + (size_t)__builtin_ctzll(slab->clean) * slot_size(pool);
	slab->clean &= slab->clean - 1;
	if (slab->clean == 0)
		pool->clean = slab->next_clean;
	*ret_slab = slab;
	return description(slot + pool->guard_size, pool->stack_size);
}

static void put_clean_locked(struct rota__stack_pool *pool, const struct rota__stack *stack,
			     struct rota__stack_slab *slab)
{
	const size_t slot = (size_t)((const unsigned char *)stack - slab->base) / slot_size(pool);

	if (slab->clean == 0) {
		slab->next_clean = pool->clean;
		pool->clean = slab;
	}
	slab->clean |= (uint64_t)1 << slot;
}

/* false: there are enough of those that keep their pages. */
static bool put_dirty_locked(struct rota__stack_pool *pool, struct rota__stack *stack)
{
	if (pool->dirty_count >= KEEP_DIRTY)
		return false;
	stack->next = pool->dirty;
	pool->dirty = stack;
	pool->dirty_count++;
	return true;
}

/* By address, so that those that lie side by side follow each other. */
static void sort(struct rota__stack *stacks[], unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct rota__stack *stack = stacks[i];
		unsigned at = i;

		for (; at > 0 && (uintptr_t)stacks[at - 1] > (uintptr_t)stack; at--)
			stacks[at] = stacks[at - 1];
		stacks[at] = stack;
	}
}

/* Puts stacks back without their pages, which are discarded without the lock: it interrupts each CPU that runs a worker. What
 * is reserved must find a stack meanwhile, so `set_aside` of them have been reserved by the caller. At most CACHE_MAX. */
static void put_discarded(struct rota__stack_pool *pool, struct rota__stack *stacks[], unsigned n, unsigned set_aside)
{
	struct rota__stack_slab *slabs[CACHE_MAX]; /* theirs, which their pages would not tell afterwards */

	sort(stacks, n);
	for (unsigned i = 0; i < n; i++)
		slabs[i] = stacks[i]->slab;
	discard_all(pool, stacks, n);
	rota__spin_lock(&pool->lock);
	for (unsigned i = 0; i < n; i++)
		put_clean_locked(pool, stacks[i], slabs[i]);
	pool->reserved -= set_aside;
	rota__spin_unlock(&pool->lock);
}

/* What is discarded counts as the cache's, which had room for it and is not filled meanwhile. */
static void cache_drain(struct rota__stack_pool *pool, struct rota__stack_cache *cache, unsigned keep)
{
	struct rota__stack *excess[CACHE_MAX];
	unsigned n = 0;

	rota__spin_lock(&pool->lock);
	for (; cache->count > keep; cache->count--) {
		struct rota__stack *stack = cache->first;

		cache->first = stack->next;
		if (!put_dirty_locked(pool, stack))
			excess[n++] = stack;
	}
	rota__spin_unlock(&pool->lock);
	if (n > 0)
		put_discarded(pool, excess, n, 0);
}

/* Used ones in a batch. */
static void cache_fill_locked(struct rota__stack_pool *pool, struct rota__stack_cache *cache)
{
	while (pool->dirty != NULL && cache->count < CACHE_BATCH) {
		struct rota__stack *stack = pool->dirty;

		pool->dirty = stack->next;
		pool->dirty_count--;
		stack->next = cache->first;
		cache->first = stack;
		cache->count++;
	}
}

/* A reservation guarantees that there is one, with pages or without: `capacity` counts every slot, and what lies in the
 * workers' caches was set aside when they were made. */
struct rota__stack *rota__stack_acquire_slow(struct rota__stack_pool *pool, struct rota__stack_cache *cache)
{
	struct rota__stack_slab *slab = NULL;
	struct rota__stack *stack = NULL;

	rota__spin_lock(&pool->lock);
	cache_fill_locked(pool, cache);
	if (cache->first == NULL)
		stack = take_clean_locked(pool, &slab);
	rota__spin_unlock(&pool->lock);
	if (stack != NULL)
		return describe(stack, slab, pool->stack_size);
	stack = cache->first;
	assert(stack != NULL); /* it was reserved */
	cache->first = stack->next;
	cache->count--;
	return stack;
}

void rota__stack_release_slow(struct rota__stack_pool *pool, struct rota__stack_cache *cache)
{
	cache_drain(pool, cache, CACHE_BATCH);
}

void rota__stack_cache_flush(struct rota__stack_pool *pool, struct rota__stack_cache *cache)
{
	cache_drain(pool, cache, 0);
	unreserve(pool, cache->credit);
	cache->credit = 0;
}

/* --- of other sizes ------------------------------------------------------------------------------------------------- */

static void unmap(const struct rota__stack_pool *pool, struct rota__stack *stack)
{
	rota__sys_unmap((unsigned char *)stack->limit - pool->guard_size, pool->guard_size + stack->size);
}

static struct rota__stack *take_kept_locked(struct rota__stack_pool *pool, unsigned i)
{
	struct rota__stack *stack = pool->kept[i];

	pool->kept_count--;
	pool->kept_bytes -= pool->guard_size + stack->size;
	memmove(&pool->kept[i], &pool->kept[i + 1], (pool->kept_count - i) * sizeof(pool->kept[0]));
	return stack;
}

/* The latest of that size, or NULL. */
static struct rota__stack *take_kept(struct rota__stack_pool *pool, size_t size)
{
	struct rota__stack *stack = NULL;

	rota__spin_lock(&pool->lock);
	for (unsigned i = pool->kept_count; i > 0 && stack == NULL; i--) {
		if (pool->kept[i - 1]->size == size)
			stack = take_kept_locked(pool, i - 1);
	}
	rota__spin_unlock(&pool->lock);
	return stack;
}

/* Unmaps the oldest until there is room for a mapping of so many bytes, and for one more: the lock is held again then. */
static void make_room_locked(struct rota__stack_pool *pool, size_t bytes)
{
	while (pool->kept_count == ROTA__STACK_KEPT_MAX ||
	       (pool->kept_count > 0 && pool->kept_bytes + bytes > ROTA__STACK_KEPT_BYTES)) {
		struct rota__stack *oldest = take_kept_locked(pool, 0);

		rota__spin_unlock(&pool->lock);
		unmap(pool, oldest);
		rota__spin_lock(&pool->lock);
	}
}

static void unmap_kept(struct rota__stack_pool *pool)
{
	rota__spin_lock(&pool->lock);
	make_room_locked(pool, ROTA__STACK_KEPT_BYTES);
	rota__spin_unlock(&pool->lock);
}

int rota__stack_new(struct rota__stack **ret, struct rota__stack_pool *pool, size_t size)
{
	const size_t page = pool->guard_size;
	struct rota__stack *kept;
	void *base;
	int rc;

	size = (size + page - 1) & ~(page - 1);
	kept = take_kept(pool, size);
	if (kept != NULL) {
		*ret = kept;
		return 0;
	}
	rc = rota__sys_map(&base, page + size);
	if (rc < 0)
		return rc;
	if (rota__sys_guard(base, page, pool->light_guards) < 0) {
		rota__sys_unmap(base, page + size);
		return -ENOMEM;
	}
	rota__valgrind_stacks(base, page + size);
	*ret = describe(description((unsigned char *)base + page, size), NULL, size);
	return 0;
}

void rota__stack_free(struct rota__stack_pool *pool, struct rota__stack *stack)
{
	const size_t bytes = pool->guard_size + stack->size;

	if (bytes > ROTA__STACK_KEPT_BYTES) {
		unmap(pool, stack);
		return;
	}
	rota__spin_lock(&pool->lock);
	make_room_locked(pool, bytes);
	pool->kept[pool->kept_count++] = stack;
	pool->kept_bytes += bytes;
	rota__spin_unlock(&pool->lock);
}

/* --- giving back ------------------------------------------------------------------------------------------------------ */

void rota__stack_pool_deinit(struct rota__stack_pool *pool)
{
	while (pool->slabs != NULL) {
		struct rota__stack_slab *slab = pool->slabs;

		pool->slabs = slab->next;
		rota__sys_unmap(slab->base, SLAB_STACKS * slot_size(pool));
		rota__free(slab, sizeof(*slab), ROTA__CACHE_LINE);
	}
	pool->clean = NULL;
	unmap_kept(pool);
}

/* Takes stacks with pages that nobody has reserved, and reserves them; returns how many, at most CACHE_MAX. */
static unsigned take_dirty(struct rota__stack_pool *pool, struct rota__stack *ret[])
{
	unsigned n = 0;

	rota__spin_lock(&pool->lock);
	for (; n < CACHE_MAX && pool->dirty != NULL && pool->reserved < pool->capacity; n++) {
		ret[n] = pool->dirty;
		pool->dirty = ret[n]->next;
		pool->dirty_count--;
		pool->reserved++;
	}
	rota__spin_unlock(&pool->lock);
	return n;
}

void rota__stack_pool_trim(struct rota__stack_pool *pool)
{
	struct rota__stack *dirty[CACHE_MAX];
	unsigned n;

	while ((n = take_dirty(pool, dirty)) > 0)
		put_discarded(pool, dirty, n, n);
	unmap_kept(pool);
}

size_t rota__stack_pool_bytes(struct rota__stack_pool *pool)
{
	rota__spin_lock(&pool->lock);
	size_t bytes = pool->capacity * slot_size(pool);
	rota__spin_unlock(&pool->lock);
	return bytes;
}
