/* SPDX-License-Identifier: MIT */
/*
 * The current-thread flavour: whoever calls rota_block_on plays the only worker for that time.
 *
 * To enter and to leave costs no system call as long as nothing is waited for. The thread keeps the signal stack that it was
 * given (overflow.c), and SIGPIPE is blocked only before the first operation on a descriptor; from then on each time that
 * somebody enters, since an operation that was begun may end, and raise the signal, whenever its thread is in the kernel.
 */
#include <errno.h>

#include "runtime_internal.h"
#include "sys_internal.h"

enum { FREE, PLAYED, TRIMMED };

/* What held it; FREE: nobody did, and now the caller does. */
static uint32_t occupy(rota_runtime *rt, uint32_t what)
{
	uint32_t held = FREE;

	rota__cas_strong(&rt->occupied, &held, what, SEQ_CST); /* partner: the RELEASE of the thread before */
	return held;
}

bool rota__runtime_occupy(rota_runtime *rt)
{
	uint32_t held;

	while ((held = occupy(rt, PLAYED)) == TRIMMED)
		rota__sys_yield(); /* it is over soon */
	/* A task that is then spawned as the worker is not fenced itself. Partner: shutdown, which sets `closing` and then
	 * looks whether somebody is inside. */
	rota__fence(SEQ_CST);
	return held == FREE;
}

bool rota__runtime_occupy_to_trim(rota_runtime *rt)
{
	return occupy(rt, TRIMMED) == FREE;
}

bool rota__runtime_is_played(const rota_runtime *rt)
{
	return rota__load(&rt->occupied, SEQ_CST) == PLAYED;
}

/* A shutdown that waits for this looks again by itself. */
void rota__runtime_vacate(rota_runtime *rt)
{
	rota__store(&rt->occupied, FREE, RELEASE);
}

/* --- SIGPIPE ---------------------------------------------------------------------------------------------------- */

/* `hears_sigpipe` goes also when the program has blocked it itself: then the leaving must not let it. */
void rota__worker_hush_player(struct rota__worker *worker)
{
	worker->hears_sigpipe = false;
	worker->writes = true;
	worker->hushed = rota__sys_block_sigpipe();
}

static void enter(struct rota__worker *worker)
{
	worker->hears_sigpipe = true;
	worker->hushed = false;
	if (worker->writes || !ROTA__FIBERS_KEEP_SIGNALS)
		rota__worker_hush_player(worker);
	rota__worker_enter(worker);
}

static void leave(struct rota__worker *worker)
{
	rota__worker_leave(worker);
	if (worker->hushed)
		rota__sys_unblock_sigpipe();
}

/* --- playing ---------------------------------------------------------------------------------------------------- */

void rota__runtime_play_worker(rota_runtime *rt, bool (*done)(void *arg), void *arg, uint64_t deadline)
{
	struct rota__worker *worker = &rt->workers[0];

	enter(worker);
	rota__worker_run(worker, done, arg, deadline);
	leave(worker);
}

static bool task_ended(void *arg)
{
	return rota__state_ended(&((rota_task *)arg)->state);
}

/* The task is spawned and joined as the worker, whose caches are at hand; but behind those that were spawned from outside. */
int rota__runtime_block_on_alone(rota_runtime *rt, rota_fn *fn, void *arg)
{
	struct rota__worker *worker = &rt->workers[0];
	const bool others = rota__inject_length(&rt->inject) > 0;
	rota_task *task;
	int status = 0;

	if (!rota__runtime_occupy(rt))
		return -EBUSY;
	if (others)
		status = rota_spawn_on(rt, &task, fn, arg);
	enter(worker);
	if (!others)
		status = rota_spawn_on(rt, &task, fn, arg);
	if (status == 0) {
		worker->until = task;
		rota__worker_run(worker, task_ended, task, ROTA_NEVER);
		worker->until = NULL;
		status = task->status;
		rota__task_unref_ended(task);
	}
	leave(worker);
	rota__runtime_vacate(rt);
	return status;
}
