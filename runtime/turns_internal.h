/* SPDX-License-Identifier: MIT */
/*
 * How a spare shares the CPUs with the computations that it stands in for.
 *
 * With all workers stuck there are more threads than CPUs that want one, and of itself the kernel chooses anew at its tick:
 * who does I/O waits for 4 ms at 250 ticks a second, whatever its share is. It also chooses when a thread wakes up on that
 * CPU, or goes to sleep there. So three things make turns shorter, and leave to each about the share that it had:
 *
 *   slice     spares and the reactor ask for short ones: the kernel then lets them in as soon as they have some of their
 *             share left (Linux 6.12; before that it takes no notice).
 *   spare     gives way after a millisecond on its CPU, at a poll.
 *   monitor   its looks, one each millisecond, are wake-ups: it makes them on the CPU for which a spare waits.
 */
#ifndef ROTA_RUNTIME_TURNS_INTERNAL_H
#define ROTA_RUNTIME_TURNS_INTERNAL_H

#include "worker_internal.h"

/* The calling thread is a spare, or the reactor. */
void rota__turns_join(void);

/* The CPU that a spare gives away just now; negative: it has one, or lacks it for another reason. A hint. */
static inline int rota__turns_given(const struct rota__worker *worker)
{
	return (int)rota__load(&worker->given, RELAXED) - 1;
}

/* A spare waits for that CPU (-1: not known). On the reactor's thread. */
void rota__turns_look_from(int cpu);

/* Between tasks: a spare that has had its turn lets others have theirs. Returns the time. */
uint64_t rota__turns_give_way(struct rota__worker *worker, uint64_t now);

#endif
