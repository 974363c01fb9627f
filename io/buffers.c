/* SPDX-License-Identifier: MIT */
#include "buffers_internal.h"

#include "../runtime/alloc_internal.h"
#include "../runtime/sys_internal.h"

#define COUNT 256u
#define COUNT_MAX 32768u /* of the kernel's rings */
#define GROUP 0          /* each ring has one */

/* A power of two: the kernel's rings are. */
static uint32_t count_of(const struct rota_config *config)
{
	uint32_t wanted = config->recv_buffers > 0 ? config->recv_buffers : COUNT;
	uint32_t count = 1;

	while (count < wanted && count < COUNT_MAX)
		count *= 2;
	return count;
}

static void put(struct rota__buffers *buffers, uint32_t id, int at)
{
	io_uring_buf_ring_add(buffers->ring, buffers->memory + (size_t)id * buffers->size, buffers->size,
			      (unsigned short)id, io_uring_buf_ring_mask(buffers->count), at);
}

static size_t notes_bytes(uint32_t count)
{
	return sizeof(struct rota__buffers) + count * sizeof(struct rota__buffer_note);
}

static int map_and_register(struct rota__buffers *buffers, struct io_uring *uring)
{
	struct io_uring_buf_reg registration = { .ring_entries = buffers->count, .bgid = GROUP };
	void *ring, *memory;
	int rc = rota__fault(ROTA__FAULT_RING);

	if (rc < 0)
		return rc;
	rc = rota__sys_map(&ring, buffers->ring_bytes);
	if (rc < 0)
		return rc;
	rc = rota__sys_map(&memory, buffers->memory_bytes);
	if (rc < 0)
		goto unmap_ring;
	registration.ring_addr = (uintptr_t)ring;
	rc = io_uring_register_buf_ring(uring, &registration, 0);
	if (rc < 0)
		goto unmap_memory;
	buffers->ring = ring;
	buffers->memory = memory;
	return 0;

unmap_memory:
	rota__sys_unmap(memory, buffers->memory_bytes);
unmap_ring:
	rota__sys_unmap(ring, buffers->ring_bytes);
	return rc;
}

struct rota__buffers *rota__buffers_new(struct io_uring *uring, const struct rota_config *config)
{
	const uint32_t count = count_of(config);
	struct rota__buffers *buffers = rota__alloc(notes_bytes(count), ROTA__CACHE_LINE);

	if (buffers == NULL)
		return NULL;
	*buffers = (struct rota__buffers){ .count = count };
	buffers->size = (uint32_t)rota__buffer_size(config);
	buffers->ring_bytes = count * sizeof(struct io_uring_buf);
	buffers->memory_bytes = (size_t)count * buffers->size;
	if (map_and_register(buffers, uring) < 0) {
		rota__free(buffers, notes_bytes(count), ROTA__CACHE_LINE);
		return NULL;
	}
	io_uring_buf_ring_init(buffers->ring);
	for (uint32_t id = 0; id < count; id++) {
		buffers->notes[id].id = (uint16_t)id;
		put(buffers, id, (int)id);
	}
	io_uring_buf_ring_advance(buffers->ring, (int)count);
	rota__store(&buffers->available, count, RELAXED); /* nobody else knows of it yet */
	return buffers;
}

void rota__buffers_free(struct rota__buffers *buffers)
{
	if (buffers == NULL)
		return;
	rota__sys_unmap(buffers->memory, buffers->memory_bytes);
	rota__sys_unmap(buffers->ring, buffers->ring_bytes);
	rota__free(buffers, notes_bytes(buffers->count), ROTA__CACHE_LINE);
}

void rota__buffers_put_back(struct rota__buffers *buffers, uint32_t id)
{
	rota__waitlist_lock(&buffers->waiters);
	put(buffers, id, 0);
	io_uring_buf_ring_advance(buffers->ring, 1);
	rota__fetch_add(&buffers->available, 1, RELAXED); /* who waits looks under the lock */
	rota__waitlist_unlock(&buffers->waiters);
}

void rota__buffers_give_back(struct rota__buffers *buffers, uint32_t id)
{
	rota__buffers_put_back(buffers, id);
	rota__buffers_pass_on(buffers);
}

void rota__buffers_pass_on(struct rota__buffers *buffers)
{
	struct rota__wake_batch batch;

	rota__wake_batch_init(&batch);
	rota__waitlist_lock(&buffers->waiters);
	if (!rota__waitlist_empty(&buffers->waiters) && rota__load(&buffers->available, RELAXED) > 0)
		rota__waitlist_grant(&buffers->waiters, 0, &batch);
	rota__waitlist_unlock(&buffers->waiters);
	rota__wake_batch_submit(&batch);
}
