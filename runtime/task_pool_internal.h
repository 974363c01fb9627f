/* SPDX-License-Identifier: MIT */
/*
 * Memory of task headers. Slabs of a fixed size, aligned to it, so that a header finds its slab; each worker has a
 * cache of free headers, which it fills and empties in batches at the pool. A slab whose headers are all back is
 * freed, save a few. The lock is a spin lock: memory is asked for without it, and a new slab is not touched before its
 * headers are taken.
 *
 * Slabs also are the list of all tasks: to cancel or to dump them, rota__task_pool_each walks the slabs and takes a
 * reference to each header that is alive. That costs a spawn nothing.
 */
#ifndef ROTA_RUNTIME_TASK_POOL_INTERNAL_H
#define ROTA_RUNTIME_TASK_POOL_INTERNAL_H

#include "task_internal.h"

struct rota__task_slab;

struct rota__task_pool {
	struct rota_atomic_u32 lock;       /* guards all below */
	struct rota__task_slab *slabs;     /* all */
	struct rota__task_slab *available; /* those with a free header */
	unsigned empty;                    /* slabs of which no header is in use */
	unsigned walkers;                  /* in rota__task_pool_each: no slab may go */
};

#define ROTA__TASK_CACHE_MAX 256u /* free headers that a worker keeps, less one */

/* A worker's own free headers; only its thread touches it. */
struct rota__task_cache {
	rota_task *first;
	unsigned count;
};

/* Frees all slabs. No task may be alive. */
void rota__task_pool_deinit(struct rota__task_pool *pool);

/* What get and put do when the cache does not serve, or there is none. */
rota_task *rota__task_pool_get_slow(struct rota__task_pool *pool, struct rota__task_cache *cache);
void rota__task_pool_put_slow(struct rota__task_pool *pool, struct rota__task_cache *cache, rota_task *task);

/* A header, its contents undefined save a zero state; NULL without memory. cache NULL: straight from the pool. */
static inline rota_task *rota__task_pool_get(struct rota__task_pool *pool, struct rota__task_cache *cache)
{
	rota_task *task;

	if (cache == NULL || cache->first == NULL)
		return rota__task_pool_get_slow(pool, cache);
	task = cache->first;
	cache->first = task->queue_next;
	cache->count--;
	return task;
}

static inline void rota__task_pool_put(struct rota__task_pool *pool, struct rota__task_cache *cache, rota_task *task)
{
	/* A walker that looks at the header from now on finds no reference. RELAXED: it takes nothing else from it. */
	rota__store(&task->state, 0, RELAXED);
	if (cache == NULL || cache->count + 1 >= ROTA__TASK_CACHE_MAX) {
		rota__task_pool_put_slow(pool, cache, task);
		return;
	}
	task->queue_next = cache->first;
	cache->first = task;
	cache->count++;
}

/* Gives all headers of a cache back to the pool. */
void rota__task_cache_flush(struct rota__task_pool *pool, struct rota__task_cache *cache);

/* Calls visit for each task that is alive, with a reference that visit must drop (rota__task_unref). */
void rota__task_pool_each(struct rota__task_pool *pool, void (*visit)(rota_task *task, void *arg), void *arg);

/* A reference to the task in *slot, which another thread writes; NULL when there is none, or it has ended. The writer
 * must have taken the task out of the slot before its last reference can go. */
rota_task *rota__task_pool_ref(struct rota__task_pool *pool, const struct rota_atomic_ptr *slot);

/* Frees the slabs that are empty. */
void rota__task_pool_trim(struct rota__task_pool *pool);

#endif
