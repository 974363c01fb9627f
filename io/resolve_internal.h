/* SPDX-License-Identifier: MIT */
/* The resolver's lane, to who asks and to reactors. */
#ifndef ROTA_IO_RESOLVE_INTERNAL_H
#define ROTA_IO_RESOLVE_INTERNAL_H

#include "resolve.h"

/* Asks for the host and the service of an operation; service NULL: none. 0: the waker is left, and the answer may be there
 * already; -ENOMEM. */
int rota__resolver_ask(struct rota_resolve_op *op, const char *service, const struct rota_waker *waker);

/* Of who has asked: READY when its answer is there, or it was cancelled and has left; else the waker is left. */
rota_poll rota__resolver_poll(struct rota_resolve_op *op, const struct rota_waker *waker);

/* On a reactor's thread: makes a thread that the lane lacks. Returns when to look again, ROTA_NEVER while it lacks none. */
uint64_t rota__resolver_look(uint64_t now);

#endif
