/* SPDX-License-Identifier: MIT */
/*
 * Threads of the process, not of a runtime, that wake tasks: the resolver's and the signals'.
 *
 * A task that such a thread has woken may end at once, and its runtime after it, while the thread is still putting it
 * into the runtime's queues. So the thread delivers between begin and end, and who stops a runtime, when its last task
 * has ended, settles: deliveries that were under way are over then, and nobody is left whom a later one could be for.
 * In between the thread does nothing that could take long.
 */
#ifndef ROTA_IO_OUTSIDE_INTERNAL_H
#define ROTA_IO_OUTSIDE_INTERNAL_H

void rota__outside_begin(void);
void rota__outside_end(void);
void rota__outside_settle(void);

#endif
