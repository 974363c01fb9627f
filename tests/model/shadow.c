/* SPDX-License-Identifier: MIT */
/*
 * Plain memory: who wrote and read each byte last, as the thread sanitizer does it, but for all reads and for every
 * execution. Two accesses of which one writes and neither happens before the other are a race, and end the search. So
 * the orderings that protect plain data are checked without trying what the data might look like.
 */
#include <string.h>

#include "explore.h"

#define CELLS 8192 /* of eight bytes, that one execution touches */

struct cell {
	uintptr_t key;
	unsigned execution; /* in which the rest means something */
	bool freed;
	uint8_t writer[8];
	uint16_t written[8]; /* the writer's clock; 0: never */
	uint16_t read[ALL_THREADS][8];
	struct location *location[2]; /* atomic words that begin here */
};

static struct cell cells[CELLS];
static unsigned execution;

static struct {
	uintptr_t begin, end;
} ordered[4];
static unsigned ordered_count;

void model_ordered(const void *memory, size_t size)
{
	if (ordered_count == sizeof(ordered) / sizeof(ordered[0]))
		model__fail("too many calls of model_ordered");
	ordered[ordered_count].begin = (uintptr_t)memory;
	ordered[ordered_count++].end = (uintptr_t)memory + size;
}

static bool is_ordered(const void *address)
{
	for (unsigned i = 0; i < ordered_count; i++) {
		if ((uintptr_t)address >= ordered[i].begin && (uintptr_t)address < ordered[i].end)
			return true;
	}
	return false;
}

void model__shadow_begin(void)
{
	ordered_count = 0;
	model__shadow_reset();
}

void model__shadow_reset(void)
{
	execution++;
}

static struct cell *cell_at(const void *address)
{
	const uintptr_t key = (uintptr_t)address >> 3;
	size_t i = key * 0x9e3779b97f4a7c15u >> 40 & (CELLS - 1);

	for (unsigned tries = 0; tries < CELLS; tries++, i = (i + 1) & (CELLS - 1)) {
		if (cells[i].execution == execution && cells[i].key == key)
			return &cells[i];
		if (cells[i].execution != execution) {
			memset(&cells[i], 0, sizeof(cells[i]));
			cells[i].execution = execution;
			cells[i].key = key;
			return &cells[i];
		}
	}
	model__fail("more memory than CELLS");
}

struct location **model__shadow_location(const void *address)
{
	return &cell_at(address)->location[(uintptr_t)address >> 2 & 1];
}

static bool before(unsigned thread, uint16_t clock)
{
	return clock <= model__threads[model__self].now.clock[thread];
}

static void race(const void *place, const void *address, const char *what)
{
	model__trace(place, what, address, 0, -1, 0);
	model__fail("data race: the last line, against an earlier access of another thread");
}

/* The atomic word that the byte is part of, or NULL. */
static struct location *word_at(const struct cell *cell, unsigned byte)
{
	if (byte >= 4 && cell->location[0] != NULL && model__touched(cell->location[0])->size == 8)
		return cell->location[0];
	return cell->location[byte / 4];
}

/* Whether it was touched by somebody who does not happen before. */
static bool touched(struct location *word, bool write)
{
	const struct touched *t = model__touched(word);

	for (unsigned u = 0; u < ALL_THREADS; u++) {
		if (!before(u, t->written[u]) || (write && !before(u, t->read[u])))
			return true;
	}
	return false;
}

static void access_byte(struct cell *cell, unsigned byte, bool write, const void *place, const void *address)
{
	const uint16_t now = model__threads[model__self].now.clock[model__self];

	struct location *word = word_at(cell, byte);

	if (!before(cell->writer[byte], cell->written[byte]) || (word != NULL && touched(word, write)))
		race(place, address, write ? "plain write" : "plain read");
	if (!write) {
		cell->read[model__self][byte] = now;
		return;
	}
	for (unsigned u = 0; u < ALL_THREADS; u++) {
		if (!before(u, cell->read[u][byte]))
			race(place, address, "plain write");
	}
	cell->writer[byte] = (uint8_t)model__self;
	cell->written[byte] = now;
	if (word != NULL)
		model__renew(word);
}

static void access_range(const void *address, size_t size, bool write, const void *place)
{
	uintptr_t at = (uintptr_t)address;
	const uintptr_t to = at + size;

	if (model__self == 0 || model__is_local(address))
		return;
	while (at < to) {
		struct cell *cell = cell_at((const void *)at);

		if (cell->freed) {
			model__trace(place, write ? "plain write" : "plain read", address, 0, -1, 0);
			model__fail("touched after it was freed");
		}
		do {
			access_byte(cell, at & 7, write, place, (const void *)at);
		} while (++at < to && (at & 7) != 0);
	}
}

void model__shadow_atomic(const void *address, unsigned size, bool write)
{
	struct cell *cell = cell_at(address);
	struct touched *t = model__touched(cell->location[(uintptr_t)address >> 2 & 1]);
	const uint16_t now = model__threads[model__self].now.clock[model__self];
	const unsigned first = (uintptr_t)address & 7;

	if (cell->freed) {
		model__trace(__builtin_return_address(0), "atomic", address, 0, -1, 0);
		model__fail("touched after it was freed");
	}
	for (unsigned byte = first; byte < first + size; byte++) {
		if (!before(cell->writer[byte], cell->written[byte]))
			race(__builtin_return_address(0), address, "atomic, not initialised");
		for (unsigned u = 0; write && u < ALL_THREADS; u++) {
			if (!before(u, cell->read[u][byte]))
				race(__builtin_return_address(0), address, "atomic write");
		}
	}
	if (model__self != 0 && is_ordered(address) && touched(cell->location[(uintptr_t)address >> 2 & 1], write))
		race(__builtin_return_address(0), address, "ordered");
	if (write)
		t->written[model__self] = now;
	else
		t->read[model__self] = now;
}

void model_free(const void *memory, size_t size)
{
	uintptr_t at = (uintptr_t)memory;

	access_range(memory, size, true, __builtin_return_address(0));
	for (; at < (uintptr_t)memory + size; at += 8)
		cell_at((const void *)at)->freed = true;
}

/* --- what the compiler calls -------------------------------------------------------------------------------------- */

#define HERE __builtin_return_address(0)

#define ACCESS(name, size, write) \
	void __tsan_##name(void *address); \
	void __tsan_##name(void *address) \
	{ \
		access_range(address, size, write, HERE); \
	}

ACCESS(read1, 1, false)
ACCESS(read2, 2, false)
ACCESS(read4, 4, false)
ACCESS(read8, 8, false)
ACCESS(read16, 16, false)
ACCESS(write1, 1, true)
ACCESS(write2, 2, true)
ACCESS(write4, 4, true)
ACCESS(write8, 8, true)
ACCESS(write16, 16, true)
ACCESS(unaligned_read2, 2, false)
ACCESS(unaligned_read4, 4, false)
ACCESS(unaligned_read8, 8, false)
ACCESS(unaligned_read16, 16, false)
ACCESS(unaligned_write2, 2, true)
ACCESS(unaligned_write4, 4, true)
ACCESS(unaligned_write8, 8, true)
ACCESS(unaligned_write16, 16, true)

void __tsan_read_range(void *address, size_t size);
void __tsan_read_range(void *address, size_t size)
{
	access_range(address, size, false, HERE);
}

void __tsan_write_range(void *address, size_t size);
void __tsan_write_range(void *address, size_t size)
{
	access_range(address, size, true, HERE);
}

void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memcpy(void *to, const void *from, size_t size)
{
	access_range(from, size, false, HERE);
	access_range(to, size, true, HERE);
	return memmove(to, from, size);
}

/* Calls of memcpy are compiled to this one. */
void *model_memcpy(void *to, const void *from, size_t size);
void *model_memcpy(void *to, const void *from, size_t size)
{
	return __tsan_memcpy(to, from, size);
}

void *__tsan_memset(void *to, int value, size_t size);
void *__tsan_memset(void *to, int value, size_t size)
{
	access_range(to, size, true, HERE);
	return memset(to, value, size);
}

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
	(void)caller;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}
