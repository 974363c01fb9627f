/* SPDX-License-Identifier: MIT */
/* Places in the code, as reports name them: "server+0x4a2c", which addr2line understands whatever the file was mapped at. */
#ifndef ROTA_RUNTIME_PLACE_INTERNAL_H
#define ROTA_RUNTIME_PLACE_INTERNAL_H

#include <stdbool.h>

#define ROTA__PLACE_MAX 160

/* Writes the name into `text`, and returns it. `call`: the address is one that a call returns to. Not in a signal handler. */
const char *rota__name_place(char text[ROTA__PLACE_MAX], const void *address, bool call);

#endif
