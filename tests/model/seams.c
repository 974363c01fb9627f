/* SPDX-License-Identifier: MIT */
#include "seams.h"

#include "explore.h"

#include <string.h>

#include "../../runtime/after_fork_internal.h"
#include "../../runtime/alloc_internal.h"
#include "../../runtime/log_internal.h"
#include "../../runtime/runtime_internal.h"
#include "../../runtime/sys_internal.h"

#include "../../runtime/park.c" /* for the thread-local variable and the list of free parkers */

__attribute__((weak)) _Thread_local struct rota__worker *rota__worker_tls; /* NULL: only plain threads */

__attribute__((weak)) _Thread_local rota_task *rota__in_place_task; /* of in_place.c: nobody blocks in place */

__attribute__((weak)) _Thread_local uint64_t rota__bias_tls = ROTA__NOBODY; /* model_bias says it instead */

static unsigned char heap[16384] __attribute__((aligned(ROTA__CACHE_LINE)));
static size_t heap_used;

void model_reset_seams(void)
{
	static bool known;

	if (!known) {
		model_thread_local(&self, sizeof(self));
		model_thread_local(&rota__worker_tls, sizeof(rota__worker_tls));
	}
	known = true;
	free_list = NULL;
	free_lock.value = 0;
	heap_used = 0;
	rota__bias_forked();
}

void model_thread_ends(void)
{
	if (self != NULL)
		give_back(self);
}

/* --- memory, spinning, futexes, reports ----------------------------------------------------------------------------- */

/* Not checked for races: as an allocator it orders nothing, and needs no order. */
__attribute__((no_sanitize_thread)) void *rota__alloc(size_t size, size_t align)
{
	void *memory = heap + (heap_used + align - 1) / align * align;

	heap_used = (size_t)((unsigned char *)memory - heap) + size;
	model_check(heap_used <= sizeof(heap));
	for (size_t i = 0; i < size; i++) /* what another execution has left there must not do */
		((volatile unsigned char *)memory)[i] = 0;
	return memory;
}

void rota__free(void *ptr, size_t size, size_t align)
{
	(void)align;
	model_free(ptr, size);
}

void *rota__alloc_pages(size_t size)
{
	return rota__alloc(size, 8);
}

void rota__free_pages(void *ptr, size_t size)
{
	rota__free(ptr, size, 8);
}

void *rota__alloc_object(size_t size, size_t align)
{
	return rota__alloc(size, align);
}

void rota__free_object(void *ptr, size_t size, size_t align)
{
	rota__free(ptr, size, align);
}

void rota__spin_pause(unsigned *spins)
{
	(void)spins;
	model_spin();
}

void rota__spin_lock_slow(struct rota_atomic_u32 *lock)
{
	unsigned spins = 0;

	while (!rota__spin_trylock(lock))
		rota__spin_pause(&spins);
}

void rota__sys_futex_wait(struct rota_atomic_u32 *word, uint32_t expected, uint64_t timeout_ns)
{
	model_futex_wait(&word->value, expected, timeout_ns == UINT64_MAX);
}

void rota__sys_futex_wake(struct rota_atomic_u32 *word, int count)
{
	model_futex_wake(&word->value, (unsigned)count);
}

uint64_t rota__sys_clock(void)
{
	return 0;
}

bool model_misuse_expected;

void rota__misuse(const char *format, ...)
{
	if (!model_misuse_expected)
		model_failed(__FILE__, __LINE__, format);
}

/* What stands for a thread outside of tasks (sync/owner_internal.h). The threads here have one address for it together. */
void *model_owner_thread(void);
void *model_owner_thread(void)
{
	return &model__threads[model__self];
}

/* --- words that are biased to a thread ------------------------------------------------------------------------------ */

unsigned model_owners;

uint64_t model_bias(void)
{
	return model_owners >> model__self & 1 ? ROTA__BIASED | ROTA__OWNER(model__self) : ROTA__NOBODY;
}

bool rota__sys_has_sequences(void)
{
	return true;
}

void rota__sys_cut_sequences(void)
{
	model_barrier();
}

/* --- tasks ------------------------------------------------------------------------------------------------------------ */

static struct model_task *task_of(rota_task *task)
{
	return (struct model_task *)(void *)task;
}

__attribute__((weak)) void rota__task_submit(rota_task *task)
{
	/* RELEASE: as a run queue hands a task over. */
	model_check(rota__swap(&task_of(task)->queued, 1, RELEASE) == 0);
	rota__sys_futex_wake(&task_of(task)->queued, 1);
}

__attribute__((weak)) void rota__tasks_submit(rota_task *first)
{
	for (rota_task *task = first, *next; task != NULL; task = next) {
		next = task->queue_next;
		rota__task_submit(task);
	}
}

__attribute__((weak)) void rota__tasks_submit_ahead(rota_task *first)
{
	rota__tasks_submit(first);
}

void rota__task_pool_put_slow(struct rota__task_pool *pool, struct rota__task_cache *cache, rota_task *task)
{
	(void)pool;
	(void)cache;
	task_of(task)->freed++;
	if (task_of(task)->stays) {
		task->queue_next = NULL;
		task->kind = UINT8_MAX;
		rota__store(&task->state, 0, RELAXED); /* as in the real pool */
	} else {
		model_free(task, sizeof(*task));
	}
}

static rota_runtime no_runtime;

void model_task_init(struct model_task *task, bool handle)
{
	memset(task, 0, sizeof(*task));
	task->task.rt = &no_runtime;
	task->task.kind = ROTA__TASK_FUTURE;
	rota__state_init(&task->task.state, handle ? 2 : 1);
}

void model_task_take(struct model_task *task)
{
	while (rota__swap(&task->queued, 0, ACQUIRE) == 0)
		rota__sys_futex_wait(&task->queued, 0, UINT64_MAX);
}

void model_task_run(struct model_task *task, struct rota_future *future)
{
	const struct rota_waker waker = { &rota__task_waker_ops, &task->task };
	struct rota_context cx = { &waker };
	bool told = false;

	for (;;) {
		if (!told && rota__task_cancelled(&task->task)) {
			told = true;
			rota_future_cancel(future);
		}
		if (rota_future_poll(future, &cx) == ROTA_READY)
			break;
		if (rota__state_rest(&task->task.state) == ROTA__REST_IDLE)
			model_task_take(task);
	}
	rota__task_finish(&task->task, future->status);
}
