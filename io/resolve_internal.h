/* SPDX-License-Identifier: MIT */
#ifndef ROTA_IO_RESOLVE_INTERNAL_H
#define ROTA_IO_RESOLVE_INTERNAL_H

#include <stdint.h>

/* On a reactor's thread: makes a thread that the lane lacks. Returns when to look again, ROTA_NEVER while it lacks none. */
uint64_t rota__resolver_look(uint64_t now);

#endif
