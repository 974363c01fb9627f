/* SPDX-License-Identifier: MIT */
/*
 * A ring's stock of receive buffers ("provided buffers"): the kernel takes one when bytes have come, says which in the
 * completion, and gets it back through a ring in shared memory.
 *
 *   available  what the kernel may still take, as far as completions were reaped. Whoever reaps counts down; whoever gives
 *              back counts up.
 *   waiters    streams that found none (-ENOBUFS). Their lock also guards the tail of the kernel's ring: any thread may
 *              give back. One is granted for each buffer that comes back. Who was granted and takes no buffer passes the
 *              grant on.
 *
 * Made by the ring's owner when the first stream is started on it; freed with the ring.
 */
#ifndef ROTA_IO_BUFFERS_INTERNAL_H
#define ROTA_IO_BUFFERS_INTERNAL_H

#include <liburing.h>

#include "../runtime/runtime.h"
#include "../runtime/waitlist_internal.h"

#define ROTA__BUFFER_SIZE 4096u

static inline size_t rota__buffer_size(const struct rota_config *config)
{
	return config->recv_buffer_size > 0 ? config->recv_buffer_size : ROTA__BUFFER_SIZE;
}

struct rota__buffers {
	struct io_uring_buf_ring *ring;
	unsigned char *memory;
	uint32_t count, size;
	size_t ring_bytes, memory_bytes;
	struct rota_atomic_u32 available;
	struct rota_waitlist waiters;
	struct rota__buffer_note {
		uint32_t len; /* this and the next: of the stream in whose queue it is */
		uint16_t next;
		uint16_t id; /* constant; the kernel's rings have 32768 at most */
	} notes[];
};

static inline struct rota__buffers *rota__buffers_of(const struct rota__buffer_note *note)
{
	return (struct rota__buffers *)(void *)((char *)(note - note->id) - offsetof(struct rota__buffers, notes));
}

/* By the ring's owner; NULL: it cannot be had, for good. */
struct rota__buffers *rota__buffers_new(struct io_uring *uring, const struct rota_config *config);

/* When the kernel's ring is gone. NULL does nothing. */
void rota__buffers_free(struct rota__buffers *buffers);

/* Any thread. The first wakes nobody, so that it may be called under a lock: pass_on has to follow. */
void rota__buffers_put_back(struct rota__buffers *buffers, uint32_t id);
void rota__buffers_give_back(struct rota__buffers *buffers, uint32_t id);

/* Wakes one who waits, if there is a buffer for him. Any thread, never under a lock. */
void rota__buffers_pass_on(struct rota__buffers *buffers);

#endif
