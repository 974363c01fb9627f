/* SPDX-License-Identifier: MIT */
#include "task_pool_internal.h"

#include "alloc_internal.h"
#include "spin_internal.h"

#define SLAB_SIZE ((size_t)32 * 1024)
#define SLAB_TASKS (SLAB_SIZE / sizeof(rota_task) - 1)
#define CACHE_BATCH (ROTA__TASK_CACHE_MAX / 2)
#define EMPTY_SLABS_KEPT 64u /* 2 MiB: a burst that comes again finds its memory */

/* The slab's own header takes the place of the first task. */
struct rota__task_slab {
	struct rota__task_slab *next, *prev; /* of all */
	struct rota__task_slab *available_next, *available_prev;
	rota_task *free; /* that were used before */
	unsigned fresh;  /* the first that was not; those after it are not touched either */
	unsigned used;
	bool available;
};

_Static_assert(sizeof(struct rota__task_slab) <= sizeof(rota_task), "the slab's header fits a task's place");

static rota_task *slab_task(struct rota__task_slab *slab, size_t i)
{
	return (rota_task *)(void *)slab + 1 + i;
}

static struct rota__task_slab *task_slab(rota_task *task)
{
	return (struct rota__task_slab *)((uintptr_t)task & ~(uintptr_t)(SLAB_SIZE - 1));
}

static void make_available(struct rota__task_pool *pool, struct rota__task_slab *slab)
{
	slab->available = true;
	slab->available_prev = NULL;
	slab->available_next = pool->available;
	if (pool->available != NULL)
		pool->available->available_prev = slab;
	pool->available = slab;
}

static void make_unavailable(struct rota__task_pool *pool, struct rota__task_slab *slab)
{
	slab->available = false;
	if (slab->available_prev != NULL)
		slab->available_prev->available_next = slab->available_next;
	else
		pool->available = slab->available_next;
	if (slab->available_next != NULL)
		slab->available_next->available_prev = slab->available_prev;
}

static void slab_free(struct rota__task_pool *pool, struct rota__task_slab *slab)
{
	make_unavailable(pool, slab);
	if (slab->prev != NULL)
		slab->prev->next = slab->next;
	else
		pool->slabs = slab->next;
	if (slab->next != NULL)
		slab->next->prev = slab->prev;
	rota__free(slab, SLAB_SIZE, SLAB_SIZE);
}

static void add_slab_locked(struct rota__task_pool *pool, struct rota__task_slab *slab)
{
	slab->next = pool->slabs;
	if (pool->slabs != NULL)
		pool->slabs->prev = slab;
	pool->slabs = slab;
	make_available(pool, slab);
	pool->empty++;
}

/* Makes sure that a header is available. The memory is asked for without the lock, so of several who find none each may
 * bring some. false: there is none. */
static bool provide_locked(struct rota__task_pool *pool)
{
	struct rota__task_slab *slab;

	if (pool->available != NULL)
		return true;
	rota__spin_unlock(&pool->lock);
	slab = rota__alloc(SLAB_SIZE, SLAB_SIZE);
	rota__spin_lock(&pool->lock);
	if (slab != NULL)
		add_slab_locked(pool, slab);
	return pool->available != NULL;
}

/* What was used lately first, then by address: consecutive spawns share pages. */
static rota_task *get_locked(struct rota__task_pool *pool)
{
	struct rota__task_slab *slab;
	rota_task *task;

	if (!provide_locked(pool))
		return NULL;
	slab = pool->available;
	task = slab->free;
	if (task != NULL)
		slab->free = task->queue_next;
	else
		task = slab_task(slab, slab->fresh++);
	if (slab->used++ == 0)
		pool->empty--;
	if (slab->free == NULL && slab->fresh == SLAB_TASKS)
		make_unavailable(pool, slab);
	return task;
}

static void trim_locked(struct rota__task_pool *pool, unsigned keep)
{
	struct rota__task_slab *slab = pool->available;

	while (slab != NULL && pool->empty > keep && pool->walkers == 0) {
		struct rota__task_slab *next = slab->available_next;

		if (slab->used == 0) {
			slab_free(pool, slab);
			pool->empty--;
		}
		slab = next;
	}
}

static void put_locked(struct rota__task_pool *pool, rota_task *task)
{
	struct rota__task_slab *slab = task_slab(task);

	task->queue_next = slab->free;
	slab->free = task;
	if (!slab->available)
		make_available(pool, slab);
	if (--slab->used > 0)
		return;
	if (++pool->empty > EMPTY_SLABS_KEPT && pool->walkers == 0) {
		slab_free(pool, slab);
		pool->empty--;
	}
}

static void cache_fill(struct rota__task_pool *pool, struct rota__task_cache *cache)
{
	rota_task **link = &cache->first;
	rota_task *task;

	rota__spin_lock(&pool->lock);
	while (cache->count < CACHE_BATCH && (task = get_locked(pool)) != NULL) {
		*link = task;
		link = &task->queue_next;
		cache->count++;
	}
	rota__spin_unlock(&pool->lock);
	*link = NULL;
}

static void cache_drain(struct rota__task_pool *pool, struct rota__task_cache *cache, unsigned keep)
{
	rota__spin_lock(&pool->lock);
	while (cache->count > keep) {
		rota_task *task = cache->first;

		cache->first = task->queue_next;
		cache->count--;
		put_locked(pool, task);
	}
	rota__spin_unlock(&pool->lock);
}

rota_task *rota__task_pool_get_slow(struct rota__task_pool *pool, struct rota__task_cache *cache)
{
	rota_task *task;

	if (cache == NULL) {
		rota__spin_lock(&pool->lock);
		task = get_locked(pool);
		rota__spin_unlock(&pool->lock);
		return task;
	}
	cache_fill(pool, cache);
	task = cache->first;
	if (task != NULL) {
		cache->first = task->queue_next;
		cache->count--;
	}
	return task;
}

void rota__task_pool_put_slow(struct rota__task_pool *pool, struct rota__task_cache *cache, rota_task *task)
{
	if (cache == NULL) {
		rota__spin_lock(&pool->lock);
		put_locked(pool, task);
		rota__spin_unlock(&pool->lock);
		return;
	}
	task->queue_next = cache->first;
	cache->first = task;
	cache->count++;
	cache_drain(pool, cache, CACHE_BATCH);
}

void rota__task_cache_flush(struct rota__task_pool *pool, struct rota__task_cache *cache)
{
	cache_drain(pool, cache, 0);
}

void rota__task_pool_each(struct rota__task_pool *pool, void (*visit)(rota_task *task, void *arg), void *arg)
{
	rota__spin_lock(&pool->lock);
	pool->walkers++;
	struct rota__task_slab *slab = pool->slabs;
	rota__spin_unlock(&pool->lock);

	/* New slabs come at the head and none goes: the rest of the list stays as it is. */
	for (; slab != NULL; slab = slab->next) {
		for (size_t i = 0; i < SLAB_TASKS; i++) {
			rota_task *task = slab_task(slab, i);

			if (rota__state_try_ref(&task->state))
				visit(task, arg);
		}
	}

	rota__spin_lock(&pool->lock);
	pool->walkers--;
	trim_locked(pool, EMPTY_SLABS_KEPT);
	rota__spin_unlock(&pool->lock);
}

rota_task *rota__task_pool_ref(struct rota__task_pool *pool, const struct rota_atomic_ptr *slot)
{
	rota_task *task;

	/* Slabs are freed under the lock: one that is gone was emptied before, and the slot is seen without its task. */
	rota__spin_lock(&pool->lock);
	task = rota__load(slot, RELAXED);
	if (task != NULL && !rota__state_try_ref(&task->state))
		task = NULL;
	rota__spin_unlock(&pool->lock);
	return task;
}

void rota__task_pool_trim(struct rota__task_pool *pool)
{
	rota__spin_lock(&pool->lock);
	trim_locked(pool, 0);
	rota__spin_unlock(&pool->lock);
}

void rota__task_pool_deinit(struct rota__task_pool *pool)
{
	while (pool->slabs != NULL) {
		struct rota__task_slab *slab = pool->slabs;

		pool->slabs = slab->next;
		rota__free(slab, SLAB_SIZE, SLAB_SIZE);
	}
	*pool = (struct rota__task_pool){ 0 };
}
