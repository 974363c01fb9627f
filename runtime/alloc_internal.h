/* SPDX-License-Identifier: MIT */
/*
 * Memory of the runtime: a jemalloc arena of its own, so that its size can be reported and trimmed apart from the
 * host program's; plain aligned_alloc when rota is built without jemalloc. For slabs, rings and tables; and, from a
 * cache that each worker has, for objects of the program's that come and go, as the places of a channel.
 */
#ifndef ROTA_RUNTIME_ALLOC_INTERNAL_H
#define ROTA_RUNTIME_ALLOC_INTERNAL_H

#include "types.h"

struct rota__worker;

/* Zeroed memory, or NULL. `align` is a power of two, at least 8. */
void *rota__alloc(size_t size, size_t align);

/* `size` and `align` as given to rota__alloc. NULL does nothing. */
void rota__free(void *ptr, size_t size, size_t align);

/* The same by whole pages, which the system has back at once: for what is large, and outgrown for good. */
void *rota__alloc_pages(size_t size);
void rota__free_pages(void *ptr, size_t size);

/* The same for an object of any size that may be one of many; what is in it is anything. One that is freed on a worker stays
 * there for the next, within the bounds that jemalloc has for a thread's cache (32 KiB, and so many of a size), until the
 * worker ends. To clear a large one costs more than to come by it: jemalloc gives its pages back to the system for that. */
void *rota__alloc_object(size_t size, size_t align);
void rota__free_object(void *ptr, size_t size, size_t align);

/* The worker has ended: what it has cached goes back. On any thread that is the worker's alone. */
void rota__alloc_worker_end(struct rota__worker *worker);

/* Bytes given out by these in this process. */
size_t rota__alloc_bytes(void);

/* Gives unused pages of the arena back to the system. */
void rota__alloc_trim(void);

#endif
