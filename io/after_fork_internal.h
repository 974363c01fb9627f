/* SPDX-License-Identifier: MIT */
#ifndef ROTA_IO_AFTER_FORK_INTERNAL_H
#define ROTA_IO_AFTER_FORK_INTERNAL_H

/* Lets children of fork(2) begin anew (after_fork.c). By whoever is about to make a thread of the process, or to
 * take a lock of it, each time. */
void rota__io_after_fork_install(void);

/* Around a fork, in the parent. */
void rota__signals_fork_begin(void);
void rota__signals_fork_end(void);

/* In the child, whose only thread makes everything as it was when the library was loaded. */
void rota__accepts_forked(void);
void rota__outside_forked(void);
void rota__signals_forked(void);
void rota__reaper_forked(void);
void rota__resolver_forked(void);

#endif
