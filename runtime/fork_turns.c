/* SPDX-License-Identifier: MIT */
/*
 * Forked work beside the other tasks of its worker.
 *
 * A fiber that forks may compute for seconds and never wait; a thread beside it, which served the others, would have to
 * wait for a CPU for as long as the kernel lets the worker's thread run, and that is milliseconds. So the fiber itself
 * looks around now and then, at a fork: whether its worker has completions to take, timers that are due, mail or tasks. If
 * so, it polls and yields.
 *
 * When: forks are counted down from `credit_`, of which there is as much as lasts LOOK_NS or so, by the time that the last
 * one took. Whoever cannot wait for that sets it to 0 (rota__fork_hurry): thieves, cancels, the monitor. The count is no
 * atomic read-modify-write, so a 0 may be lost; then the fiber looks when the rest is used up, or when the monitor
 * hurries it.
 *
 * Turns: after it has let others run the fiber has as long as they just had, within bounds, before it gives way again; so
 * neither starves the other. To the monitor a worker whose fiber looks around is one that moves. Leaves that do not
 * fork for long, and forks of stackless tasks, which cannot yield, are left to it.
 */
#include "fork_internal.h"

#include "runtime_internal.h"
#include "sys_internal.h"
#include "worker_parts_internal.h"

#define LOOK_NS 20000u
#define MOST_CREDIT 16384u
#define SHORTEST_TURN_NS 20000u
#define LONGEST_TURN_NS 1000000u

static uint64_t turn_after(uint64_t away)
{
	if (away < SHORTEST_TURN_NS)
		return SHORTEST_TURN_NS;
	return away < LONGEST_TURN_NS ? away : LONGEST_TURN_NS;
}

void rota__fork_take_turn(struct rota__forks *forks)
{
	const uint64_t now = rota__sys_clock();

	forks->turn_ends = 0;
	if (forks->gave_way != 0)
		forks->turn_ends = now + turn_after(now - forks->gave_way);
	forks->gave_way = 0;
	forks->looked_at = now;
}

/* As much credit as would have lasted LOOK_NS. */
static void learn(struct rota__forks *forks, uint64_t took)
{
	if (took < LOOK_NS / 2 && forks->refill < MOST_CREDIT)
		forks->refill = 2 * forks->refill + 1;
	else if (took > LOOK_NS)
		forks->refill = (uint32_t)(forks->refill * LOOK_NS / took);
}

void rota__fork_look_around(struct rota__forks *forks, bool hurried)
{
	struct rota__worker *worker = rota__worker_self();
	const uint64_t now = rota__sys_clock();

	if (!hurried)
		learn(forks, now - forks->looked_at);
	forks->looked_at = now;
	if (forks->bounded)
		return;
	rota__count(&worker->looks, 1);
	if (now < forks->turn_ends || !rota__worker_is_wanted(worker, now))
		return;
	forks->gave_way = now;
	rota__worker_suspend(worker, ROTA__VERDICT_YIELD);
}
