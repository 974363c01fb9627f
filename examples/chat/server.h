/* SPDX-License-Identifier: MIT */
/* The chat server: accepts clients, a task for each, and ends them all when it is told to stop. */
#ifndef CHAT_SERVER_H
#define CHAT_SERVER_H

#include <stdint.h>

/* Serves at most `clients` at once, until the calling task is cancelled (-ECANCELED) or the listener fails. Returns when the
 * last client is gone, which takes CHAT_GRACE_MS at most. The listener stays the caller's. `patience`: see session.h. */
int chat_serve(int listener, unsigned clients, uint64_t patience);

#endif
