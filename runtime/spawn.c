/* SPDX-License-Identifier: MIT */
/* Making tasks: a header with its references, a stack or a place in a queue set aside, the scope told, then off it goes. */
#include <errno.h>
#include <string.h>

#include "runtime_internal.h"
#include "scope.h"
#include "scope_internal.h"

/* --- a header ---------------------------------------------------------------------------------------------------- */

#define ID_BLOCK 1024u

static struct rota_atomic_u64 id_blocks;

static __attribute__((noinline)) uint64_t new_block(struct rota__worker *worker)
{
	uint64_t block = rota__fetch_add(&id_blocks, ID_BLOCK, RELAXED); /* only uniqueness matters */

	if (worker == NULL)
		return block + 1;
	worker->next_id = block + 2;
	worker->last_id = block + 1 + ID_BLOCK;
	return block + 1;
}

/* Numbers are unique in the process and never 0; a worker takes them in blocks. */
static inline uint64_t next_id(struct rota__worker *worker)
{
	return worker != NULL && worker->next_id != worker->last_id ? worker->next_id++ : new_block(worker);
}

/* memccpy: stops at the end of a short name, cuts a long one. false: no memory. */
static bool set_name(rota_task *task, const char *name)
{
	struct rota__extra *extra = rota__extra_of(task);

	if (extra == NULL)
		return false;
	memccpy(extra->name, name, '\0', ROTA_TASK_NAME_MAX);
	return true;
}

static inline __attribute__((always_inline)) int new_task(rota_task **ret, rota_runtime *rt, enum rota__task_kind kind,
							  unsigned references, bool asked, const char *name,
							  const void *spawned_at)
{
	struct rota__worker *worker = rota__worker_of(rt);
	rota_task *task;
	int rc;

	rc = rota__runtime_admit(rt, worker);
	if (rc < 0)
		return rc;
	task = rota__task_pool_get(&rt->tasks, worker != NULL ? &worker->tasks : NULL);
	if (task == NULL) {
		rota__runtime_withdraw(rt);
		return -ENOMEM;
	}
	task->rt = rt;
	task->arg = NULL;
	task->sp = NULL;
	task->stack = NULL;
	task->id = next_id(worker);
	task->kind = (uint8_t)kind;
	task->flags = ROTA__TASK_FRESH;
	task->shield = 0;
	task->spawned_at = spawned_at;
	rota__store(&task->more, NULL, RELAXED);
	rota__store(&task->waits_for, 0, RELAXED);
	if (name != NULL && name[0] != '\0' && !set_name(task, name)) {
		rota__task_pool_put(&rt->tasks, worker != NULL ? &worker->tasks : NULL, task);
		rota__runtime_withdraw(rt);
		return -ENOMEM;
	}
	if (asked)
		rota__state_init_asked(&task->state, references);
	else
		rota__state_init(&task->state, references);
	*ret = task;
	return 0;
}

int rota__job_new(rota_task **ret, rota_runtime *rt, const void *spawned_at)
{
	return new_task(ret, rt, ROTA__TASK_JOB, 2, false, NULL, spawned_at);
}

/* --- a request ---------------------------------------------------------------------------------------------------- */

/* What is asked for, by whichever call. */
struct request {
	rota_runtime *rt;
	rota_task **ret_task;
	const struct rota_task_attr *attr; /* NULL: defaults */
	struct rota_scope *scope;          /* NULL: none */
	const void *caller;
};

/* The runtime's, the handle's, the scope's. */
static unsigned references(const struct request *request)
{
	return 1u + (request->ret_task != NULL ? 1u : 0u) + (request->scope != NULL ? 1u : 0u);
}

static int check(const struct request *request)
{
	const struct rota_task_attr *attr = request->attr;

	if (request->rt == NULL)
		return -ENXIO;
	if (attr == NULL)
		return 0;
	if (attr->flags & ~(unsigned)ROTA_TASK_LOCAL)
		return -EINVAL;
	if (attr->stack_size != 0 && (attr->stack_size < ROTA_MIN_STACK_SIZE || attr->stack_size > ROTA_MAX_STACK_SIZE))
		return -EINVAL;
	if (attr->flags & ROTA_TASK_LOCAL && rota__task_current() == NULL)
		return -ENXIO;
	return 0;
}

/* A job is no task to its code, and has no values. */
static inline int inherit(rota_task *task)
{
	const struct rota__worker *worker = rota__worker_self();
	const rota_task *parent = worker != NULL ? worker->current : NULL;
	struct rota__extra *extra = parent != NULL ? rota__task_extra(parent) : NULL;

	if (extra == NULL || extra->locals == NULL || task->kind == ROTA__TASK_JOB)
		return 0;
	return rota__locals_inherit(task, extra);
}

static void discard(rota_task *task, const struct request *request)
{
	struct rota__extra *extra = rota__task_extra(task);

	if (extra != NULL)
		rota__locals_clear(extra);
	rota__task_discard(task, references(request));
}

/*
 * Inlined into each call, as new_task, make_fiber and spawn_fiber: most of what the request says is known there, so that
 * a bare spawn tests for neither attributes nor a scope.
 *
 * A task that only its scope knows, if it has one. On failure nothing has changed. With a limit this waits.
 */
static inline __attribute__((always_inline)) int make(rota_task **ret, const struct request *request,
						      enum rota__task_kind kind)
{
	const char *name = request->attr != NULL ? request->attr->name : NULL;
	struct rota_scope *scope = request->scope;
	rota_task *task;
	int rc = scope != NULL ? rota__scope_reserve(scope) : 0;

	if (rc < 0)
		return rc;
	/* A job is listed when it is spawned: it may have to be taken out of its queue. */
	rc = new_task(&task, request->rt, kind, references(request), scope != NULL && kind != ROTA__TASK_JOB, name,
		      request->caller);
	if (rc < 0)
		goto unreserve;
	rc = inherit(task);
	if (rc == 0 && scope != NULL)
		rc = rota__scope_enter(scope, task);
	if (rc < 0)
		goto discard;
	*ret = task;
	return 0;

discard:
	discard(task, request);
unreserve:
	if (scope != NULL)
		rota__scope_unreserve(scope);
	return rc;
}

static void unmake(rota_task *task, const struct request *request)
{
	if (request->scope != NULL)
		rota__scope_leave(task);
	discard(task, request);
}

/* The task may end before this returns. */
static void start(rota_task *task, const struct request *request)
{
	struct rota__worker *worker = rota__worker_of(task->rt);

	/* Before it may run: then the handle's owner may already use it. */
	if (request->ret_task != NULL)
		*request->ret_task = task;
	if (worker != NULL)
		rota__worker_spawned(worker, task);
	else
		rota__task_submit(task);
}

/* --- the three bodies ------------------------------------------------------------------------------------------ */

/* Sets aside what the fiber will run on. */
static int give_stack(rota_task *task, size_t stack_size)
{
	rota_runtime *rt = task->rt;
	struct rota__worker *worker = rota__worker_of(rt);

	if (stack_size == 0 || stack_size == rt->config.stack_size)
		return rota__stack_reserve(&rt->stacks, worker != NULL ? &worker->stacks : NULL);
	task->flags |= ROTA__TASK_OWN_STACK;
	return rota__stack_new(&task->stack, &rt->stacks, stack_size);
}

static inline __attribute__((always_inline)) int make_fiber(rota_task **ret, const struct request *request, rota_fn *fn)
{
	rota_task *task;
	int rc = make(&task, request, ROTA__TASK_FIBER);

	if (rc < 0)
		return rc;
	rc = give_stack(task, request->attr != NULL ? request->attr->stack_size : 0);
	if (rc < 0) {
		unmake(task, request);
		return rc;
	}
	task->fn = fn;
	*ret = task;
	return 0;
}

static inline __attribute__((always_inline)) int spawn_fiber(const struct request *request, rota_fn *fn, void *arg)
{
	const struct rota_task_attr *attr = request->attr;
	rota_task *task;
	int rc;

	if (fn == NULL)
		return -EINVAL;
	rc = check(request);
	if (rc < 0)
		return rc;
	rc = make_fiber(&task, request, fn);
	if (rc < 0)
		return rc;
	task->arg = arg;
	if (attr != NULL && attr->flags & ROTA_TASK_LOCAL) {
		task->flags |= ROTA__TASK_PINNED;
		task->home = (uint16_t)rota__worker_self()->index; /* below ROTA_MAX_WORKERS and the spares */
	}
	start(task, request);
	return 0;
}

static int spawn_future(const struct request *request, struct rota_future *future)
{
	rota_task *task;
	int rc;

	if (future == NULL || future->ops == NULL || future->ops->poll == NULL)
		return -EINVAL;
	rc = check(request);
	if (rc < 0)
		return rc;
	rc = make(&task, request, ROTA__TASK_FUTURE);
	if (rc < 0)
		return rc;
	task->future = future;
	start(task, request);
	return 0;
}

static int spawn_job(const struct request *request, rota_fn *fn, void *arg)
{
	rota_task *task;
	int rc;

	if (fn == NULL)
		return -EINVAL;
	rc = check(request);
	if (rc < 0)
		return rc;
	rc = make(&task, request, ROTA__TASK_JOB);
	if (rc < 0)
		return rc;
	task->fn = fn;
	task->arg = arg;
	rc = rota__blocking_submit(request->rt, task, request->ret_task);
	if (rc < 0)
		unmake(task, request);
	return rc;
}

/* --- for rota's own use ------------------------------------------------------------------------------------------- */

int rota__spawn_make(rota_task **ret_task, struct rota__worker *worker, const struct rota_task_attr *attr, rota_fn *fn)
{
	const struct request request = { .rt = worker->rt, .attr = attr, .caller = __builtin_return_address(0) };

	return make_fiber(ret_task, &request, fn);
}

void rota__spawn_discard(struct rota__worker *worker, rota_task *task)
{
	if (task->flags & ROTA__TASK_OWN_STACK)
		rota__stack_free(&worker->rt->stacks, task->stack);
	else
		rota__stack_unreserve(&worker->rt->stacks, &worker->stacks);
	rota__task_discard(task, 1);
}

/* --- the calls --------------------------------------------------------------------------------------------------- */

int rota_spawn(rota_task **ret_task, rota_fn *fn, void *arg)
{
	const struct request request = { rota__runtime_self(), ret_task, NULL, NULL, __builtin_return_address(0) };

	return spawn_fiber(&request, fn, arg);
}

int rota_spawn_on(rota_runtime *rt, rota_task **ret_task, rota_fn *fn, void *arg)
{
	const struct request request = { rt, ret_task, NULL, NULL, __builtin_return_address(0) };

	return rt != NULL ? spawn_fiber(&request, fn, arg) : -EINVAL;
}

int rota_spawn_local(rota_task **ret_task, rota_fn *fn, void *arg)
{
	const struct rota_task_attr attr = { .flags = ROTA_TASK_LOCAL };
	const struct request request = { rota__runtime_self(), ret_task, &attr, NULL, __builtin_return_address(0) };

	return spawn_fiber(&request, fn, arg);
}

int rota_spawn_with(rota_task **ret_task, const struct rota_task_attr *attr, rota_fn *fn, void *arg)
{
	const struct request request = { rota__runtime_self(), ret_task, attr, NULL, __builtin_return_address(0) };

	return spawn_fiber(&request, fn, arg);
}

int rota_spawn_future(rota_task **ret_task, struct rota_future *future)
{
	const struct request request = { rota__runtime_self(), ret_task, NULL, NULL, __builtin_return_address(0) };

	return spawn_future(&request, future);
}

int rota_spawn_future_on(rota_runtime *rt, rota_task **ret_task, struct rota_future *future)
{
	const struct request request = { rt, ret_task, NULL, NULL, __builtin_return_address(0) };

	return rt != NULL ? spawn_future(&request, future) : -EINVAL;
}

int rota_spawn_blocking(rota_task **ret_task, rota_fn *fn, void *arg)
{
	const struct request request = { rota__runtime_self(), ret_task, NULL, NULL, __builtin_return_address(0) };

	return spawn_job(&request, fn, arg);
}

int rota_scope_spawn(struct rota_scope *scope, rota_task **ret_task, rota_fn *fn, void *arg)
{
	const struct request request = { rota__runtime_self(), ret_task, NULL, scope, __builtin_return_address(0) };

	return spawn_fiber(&request, fn, arg);
}

int rota_scope_spawn_with(struct rota_scope *scope, rota_task **ret_task, const struct rota_task_attr *attr,
			  rota_fn *fn, void *arg)
{
	const struct request request = { rota__runtime_self(), ret_task, attr, scope, __builtin_return_address(0) };

	return spawn_fiber(&request, fn, arg);
}

int rota_scope_spawn_future(struct rota_scope *scope, rota_task **ret_task, struct rota_future *future)
{
	const struct request request = { rota__runtime_self(), ret_task, NULL, scope, __builtin_return_address(0) };

	return spawn_future(&request, future);
}

int rota_scope_spawn_blocking(struct rota_scope *scope, rota_task **ret_task, rota_fn *fn, void *arg)
{
	const struct request request = { rota__runtime_self(), ret_task, NULL, scope, __builtin_return_address(0) };

	return spawn_job(&request, fn, arg);
}
