/* SPDX-License-Identifier: MIT */
#ifndef ROTA_IO_RESOLVE_INTERNAL_H
#define ROTA_IO_RESOLVE_INTERNAL_H

#include "resolve.h"

/* Waits until no thread of the lane is about to wake anybody: who stops a runtime, after its last task has ended. Never
 * waits for getaddrinfo. */
void rota__resolve_settle(void);

#endif
