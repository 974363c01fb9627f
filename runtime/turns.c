/* SPDX-License-Identifier: MIT */
#include "turns_internal.h"

#include "sys_internal.h"

/* The shortest that there is: who gives way forgoes what is left of one, since Linux 6.18. */
#define SLICE_NS 100000u
#define TURN_NS 1000000u

void rota__turns_join(void)
{
	rota__sys_slice(SLICE_NS);
}

void rota__turns_look_from(int cpu)
{
	if (cpu >= 0)
		rota__sys_move(cpu);
}

uint64_t rota__turns_give_way(struct rota__worker *worker, uint64_t now)
{
	if (!worker->spare || now - worker->gave_way_at < TURN_NS || now - worker->woke_at < TURN_NS)
		return now;
	rota__store(&worker->given, (uint32_t)rota__sys_here() + 1, RELAXED);
	rota__sys_yield();
	rota__store(&worker->given, 0, RELAXED);
	now = rota__sys_clock();
	worker->gave_way_at = now;
	return now;
}
