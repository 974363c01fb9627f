/* SPDX-License-Identifier: MIT */
#include "spin_internal.h"

#include "sys_internal.h"

#define SPINS_BEFORE_YIELD 100

void rota__spin_pause(unsigned *spins)
{
	if (++*spins < SPINS_BEFORE_YIELD)
		rota__cpu_relax();
	else
		rota__sys_yield();
}

void rota__spin_lock_slow(struct rota_atomic_u32 *lock)
{
	unsigned spins = 0;

	while (!rota__spin_trylock(lock))
		rota__spin_pause(&spins);
}
