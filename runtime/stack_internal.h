/* SPDX-License-Identifier: MIT */
/*
 * Stacks of fibers. A slab is a run of slots in one mapping; a slot is a guard page (at its low end) and a stack.
 * Guards are markers where the kernel has them (Linux 6.13), which split no mapping, so that a million stacks fit
 * the default max_map_count; page protection before.
 *
 * Spawning reserves, running acquires: a fiber takes a stack only when it first runs, but a spawn that returned 0 has
 * a slot set aside, so that running out of memory is met by spawn and by nobody else. Each worker keeps reservations
 * ("credit") and free stacks of its own, and trades both with the pool in batches.
 *
 * A free stack keeps its touched pages, hot for the next fiber, until the pool holds more than KEEP_DIRTY of them. Of the
 * others, which are only address space, a slab has a bit each.
 *
 * A stack of another size is a mapping of its own. To map one and unmap it again takes a hundred times as long as to spawn a task
 * and join it, so the latest that were given back are kept, with their pages.
 *
 * The pool's lock is a spin lock, so slabs are mapped, pages discarded and first touched without it.
 */
#ifndef ROTA_RUNTIME_STACK_INTERNAL_H
#define ROTA_RUNTIME_STACK_INTERNAL_H

#include "atomic_internal.h"

#define ROTA__STACK_KEPT_MAX 32u
#define ROTA__STACK_KEPT_BYTES ((size_t)16 << 20)

struct rota__forks;
struct rota__stack_slab;

/* Describes a stack; it stands at its top end, in the page that every fiber touches. */
struct rota__stack {
	struct rota__stack *next;      /* in a free list */
	struct rota__stack_slab *slab; /* NULL: it is a mapping of its own */
	void *limit;                   /* lowest usable byte; the guard lies below */
	size_t size;                   /* usable bytes, this description included */
	void *sanitizer;               /* what the sanitizers keep of a fiber */
	struct rota__forks *forks;     /* the fiber's, when it is marked FORKED */
};

struct rota__stack_pool {
	size_t stack_size; /* usable bytes, whole pages */
	size_t guard_size;
	bool light_guards;              /* constant, as the two above */
	struct rota_atomic_u32 lock;    /* guards all below */
	struct rota__stack_slab *slabs; /* all */
	struct rota__stack_slab *clean; /* those with free slots whose pages are untouched, or discarded */
	size_t capacity;                /* slots in all slabs */
	size_t reserved;                /* of them, set aside */
	struct rota__stack *dirty;      /* free, with touched pages */
	size_t dirty_count;
	struct rota__stack *kept[ROTA__STACK_KEPT_MAX]; /* of other sizes, free, oldest first */
	unsigned kept_count;
	size_t kept_bytes; /* theirs, guards included */
};

/* What a worker keeps for itself, less one. */
#define ROTA__STACK_CACHE_MAX 32u
#define ROTA__STACK_CREDIT_MAX 256u

/* A worker's own share; only its thread touches it. */
struct rota__stack_cache {
	struct rota__stack *first;
	unsigned count;
	unsigned credit; /* reservations not used by a fiber */
};

/* stack_size: whatever the user gave, within bounds; rounded up to pages. caches: of how many what they may hold is set
 * aside from the start. */
void rota__stack_pool_init(struct rota__stack_pool *pool, size_t stack_size, unsigned caches);
void rota__stack_pool_deinit(struct rota__stack_pool *pool);

/* There will be one more cache: sets aside what it may hold. 0, -ENOMEM. */
int rota__stack_pool_add_cache(struct rota__stack_pool *pool);
void rota__stack_pool_drop_cache(struct rota__stack_pool *pool);

/* What the four below do when the cache does not serve, or there is none. */
int rota__stack_reserve_slow(struct rota__stack_pool *pool, struct rota__stack_cache *cache);
void rota__stack_unreserve_slow(struct rota__stack_pool *pool, struct rota__stack_cache *cache);
struct rota__stack *rota__stack_acquire_slow(struct rota__stack_pool *pool, struct rota__stack_cache *cache);
void rota__stack_release_slow(struct rota__stack_pool *pool, struct rota__stack_cache *cache);

/* Sets one stack aside. 0, -ENOMEM. cache NULL: a foreign thread. */
static inline int rota__stack_reserve(struct rota__stack_pool *pool, struct rota__stack_cache *cache)
{
	if (cache == NULL || cache->credit == 0)
		return rota__stack_reserve_slow(pool, cache);
	cache->credit--;
	return 0;
}

static inline void rota__stack_unreserve(struct rota__stack_pool *pool, struct rota__stack_cache *cache)
{
	if (cache == NULL || ++cache->credit >= ROTA__STACK_CREDIT_MAX)
		rota__stack_unreserve_slow(pool, cache);
}

/* Takes a stack that was reserved: cannot fail. Its end gives back both stack and reservation. */
static inline struct rota__stack *rota__stack_acquire(struct rota__stack_pool *pool, struct rota__stack_cache *cache)
{
	struct rota__stack *stack = cache->first;

	if (stack == NULL)
		return rota__stack_acquire_slow(pool, cache);
	cache->first = stack->next;
	cache->count--;
	return stack;
}

static inline void rota__stack_release(struct rota__stack_pool *pool, struct rota__stack_cache *cache,
				       struct rota__stack *stack)
{
	stack->next = cache->first;
	cache->first = stack;
	if (++cache->count >= ROTA__STACK_CACHE_MAX)
		rota__stack_release_slow(pool, cache);
	rota__stack_unreserve(pool, cache);
}

/* Gives stacks and reservations of a cache back. */
void rota__stack_cache_flush(struct rota__stack_pool *pool, struct rota__stack_cache *cache);

/* A stack of another size. 0, -ENOMEM. */
int rota__stack_new(struct rota__stack **ret, struct rota__stack_pool *pool, size_t size);
void rota__stack_free(struct rota__stack_pool *pool, struct rota__stack *stack);

/* Discards the pages of all free stacks, and unmaps those of other sizes. */
void rota__stack_pool_trim(struct rota__stack_pool *pool);
size_t rota__stack_pool_bytes(struct rota__stack_pool *pool);

#endif
