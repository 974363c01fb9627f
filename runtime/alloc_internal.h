/* SPDX-License-Identifier: MIT */
/*
 * Memory of the runtime: a jemalloc arena of its own, so that its size can be reported and trimmed apart from the
 * host program's; plain aligned_alloc when rota is built without jemalloc. For slabs, rings and tables, not for
 * small objects on a hot path.
 */
#ifndef ROTA_RUNTIME_ALLOC_INTERNAL_H
#define ROTA_RUNTIME_ALLOC_INTERNAL_H

#include "types.h"

/* Zeroed memory, or NULL. `align` is a power of two, at least 8. */
void *rota__alloc(size_t size, size_t align);

/* `size` and `align` as given to rota__alloc. NULL does nothing. */
void rota__free(void *ptr, size_t size, size_t align);

/* Bytes given out by rota__alloc in this process. */
size_t rota__alloc_bytes(void);

/* Gives unused pages of the arena back to the system. */
void rota__alloc_trim(void);

#endif
