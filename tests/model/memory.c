/* SPDX-License-Identifier: MIT */
/*
 * The memory model, by views, after "A promising semantics for relaxed-memory concurrency" without promises, and C11
 * tester. Each atomic word keeps all its stores in the order in which they were executed. A thread knows of each word
 * the oldest store that it may still read; a load takes that one or any newer one, by a choice.
 *
 *   release   a store carries what its thread knows; a relaxed one what the thread knew at its last release fence
 *   acquire   a load makes known what the store carries; after a relaxed one the next acquire fence does
 *   rmw       reads the newest store and passes on what that one carries
 *   SEQ_CST   stores enter their words in `order`; a fence learns all of `order` and adds what its thread knows; a load
 *             reads nothing older than `order` has. A fence or a load so orders stores, not plain data
 *
 * An exchange that fails is a load. All plain accesses see the newest value, which is why they must be free of races.
 */
#include <string.h>

#include "explore.h"

struct store {
	uint64_t value;
	bool carries;
	struct knowledge knowledge;
};

struct location {
	const void *address;
	unsigned id;
	unsigned first, count; /* stores first..count-1 may be read */
	bool renewed;          /* by plain stores, since the last atomic access */
	struct touched touched;
	struct store store[STORES];
};

static struct location locations[LOCATIONS];
static unsigned location_count;
static uint8_t order[LOCATIONS]; /* of SEQ_CST operations, as `seen` */

static bool acquires(int o)
{
	return o == __ATOMIC_ACQUIRE || o == __ATOMIC_ACQ_REL || o == __ATOMIC_SEQ_CST;
}

static bool releases(int o)
{
	return o == __ATOMIC_RELEASE || o == __ATOMIC_ACQ_REL || o == __ATOMIC_SEQ_CST;
}

static void raise(uint8_t *seen, unsigned to)
{
	if (*seen < to)
		*seen = (uint8_t)to;
}

static void raise_all(uint8_t *seen, const uint8_t *from)
{
	for (unsigned i = 0; i < LOCATIONS; i++)
		seen[i] = seen[i] < from[i] ? from[i] : seen[i];
}

void model__learn(struct knowledge *to, const struct knowledge *from)
{
	raise_all(to->seen, from->seen);
	for (unsigned t = 0; t < ALL_THREADS; t++)
		to->clock[t] = to->clock[t] < from->clock[t] ? from->clock[t] : to->clock[t];
}

/* How often all threads were made to pass a barrier, and at which count each began the sequence that it is in, plus one. */
static unsigned barriers, sequences[ALL_THREADS];

void model__memory_reset(void)
{
	location_count = 0;
	memset(order, 0, sizeof(order));
	memset(sequences, 0, sizeof(sequences));
	barriers = 0;
}

static uint64_t hash_seen(const uint8_t *seen)
{
	uint64_t sum = 0;

	/* By address and as a sum: numbers are given in the order of execution. */
	for (unsigned i = 0; i < location_count; i++)
		sum += model__mix(seen[i], (uintptr_t)locations[i].address);
	return sum;
}

uint64_t model__memory_hash(void)
{
	uint64_t hash = hash_seen(order);

	for (unsigned i = 0; i < ALL_THREADS; i++) /* whether it is in a sequence, and cut off */
		hash = model__mix(hash, sequences[i] == 0 ? 0 : sequences[i] == barriers + 1 ? 1 : 2);
	return hash;
}

struct touched *model__touched(struct location *location)
{
	return &location->touched;
}

void model__renew(struct location *location)
{
	location->renewed = true;
}

static uint64_t read_memory(const volatile void *address, unsigned size)
{
	return size == 4 ? *(const volatile uint32_t *)address : *(const volatile uint64_t *)address;
}

static void write_memory(volatile void *address, unsigned size, uint64_t value)
{
	if (size == 4)
		*(volatile uint32_t *)address = (uint32_t)value;
	else
		*(volatile uint64_t *)address = value;
}

/* The new store is the caller's to fill in. */
static struct store *append(struct location *l, uint64_t value)
{
	if (l->count == STORES)
		model__bound();
	struct store *store = &l->store[l->count++];
	store->value = value;
	store->carries = false;
	return store;
}

static struct location *find(const volatile void *volatile_address, unsigned size)
{
	const void *address = (const void *)(uintptr_t)volatile_address;
	struct location **place = model__shadow_location(address);
	struct location *l = *place;

	if (l == NULL) {
		if (location_count == LOCATIONS)
			model__fail("more atomic words than LOCATIONS");
		l = *place = &locations[location_count];
		l->address = address;
		l->id = location_count++;
		l->first = l->count = 0;
		l->renewed = true;
		l->touched = (struct touched){ .size = size };
	}
	if (l->touched.size != size || l->address != address)
		model__fail("an atomic word is accessed in two sizes");
	/* clang zeroes with calls of memset, of which nobody tells: then the value does. */
	if (l->renewed || l->store[l->count - 1].value != read_memory(address, size)) {
		l->renewed = false;
		append(l, read_memory(address, size));
		l->first = l->count - 1;
	}
	return l;
}

bool model__changed(const struct thread *thread)
{
	return thread->last->count - 1 > thread->last_store;
}

static void remember(struct location *l, unsigned i, char what, int o)
{
	struct thread *self = &model__threads[model__self];

	self->last = l;
	self->last_store = i;
	self->history = model__mix(self->history, (uint64_t)what << 32 | (uint64_t)o << 40 | i);
	self->history = model__mix(self->history, (uintptr_t)l->address);
}

/* The thread has read store i. */
static void found(struct location *l, unsigned i, int o)
{
	struct thread *self = &model__threads[model__self];

	raise(&self->now.seen[l->id], i);
	if (l->store[i].carries)
		model__learn(acquires(o) ? &self->now : &self->acquired, &l->store[i].knowledge);
}

static unsigned oldest(const struct location *l, int o)
{
	unsigned lo = model__threads[model__self].now.seen[l->id];

	if (o == __ATOMIC_SEQ_CST && order[l->id] > lo)
		lo = order[l->id];
	if (model__self == 0)
		lo = l->count - 1;
	return lo < l->first ? l->first : lo;
}

uint64_t model__latest(const void *address, unsigned size)
{
	struct location *l = find(address, size);

	found(l, l->count - 1, __ATOMIC_RELAXED);
	remember(l, l->count - 1, 'k', __ATOMIC_RELAXED);
	return l->store[l->count - 1].value;
}

static uint64_t load(const volatile void *address, unsigned size, int o, const void *place)
{
	model__step(address, false);
	struct location *l = find(address, size);
	unsigned behind = model__choose(l->count - oldest(l, o));
	unsigned i = l->count - 1 - behind;

	model__shadow_atomic(l->address, size, false);
	found(l, i, o);
	remember(l, i, 'l', o);
	model__trace(place, "load", l->address, l->store[i].value, o, behind);
	return l->store[i].value;
}

/* Adds a store by the running thread; `former`: the store that an rmw has read, and passes on. */
static void put(struct location *l, uint64_t value, int o, const struct store *former)
{
	struct thread *self = &model__threads[model__self];
	struct store *store = append(l, value);

	raise(&self->now.seen[l->id], l->count - 1);
	if (o == __ATOMIC_SEQ_CST)
		raise(&order[l->id], l->count - 1);
	store->carries = true;
	store->knowledge = releases(o) ? self->now : self->released;
	raise(&store->knowledge.seen[l->id], l->count - 1);
	if (former != NULL && former->carries)
		model__learn(&store->knowledge, &former->knowledge);
	self->now.clock[model__self]++; /* what the thread does from here on is not handed over */
	write_memory((void *)(uintptr_t)l->address, l->touched.size, value);
}

static void store(volatile void *address, unsigned size, uint64_t value, int o, const void *place)
{
	model__step(address, true);
	struct location *l = find(address, size);

	model__shadow_atomic(l->address, size, true);
	put(l, value, o, NULL);
	remember(l, l->count - 1, 't', o);
	model__trace(place, "store", l->address, value, o, 0);
}

enum change { CHANGE_SWAP, CHANGE_ADD, CHANGE_SUB, CHANGE_OR, CHANGE_AND, CHANGE_XOR };

static uint64_t changed(uint64_t old, enum change change, uint64_t v, unsigned size)
{
	switch (change) {
	case CHANGE_SWAP:
		break;
	case CHANGE_ADD:
		v = old + v;
		break;
	case CHANGE_SUB:
		v = old - v;
		break;
	case CHANGE_OR:
		v = old | v;
		break;
	case CHANGE_AND:
		v = old & v;
		break;
	case CHANGE_XOR:
		v = old ^ v;
		break;
	}
	return size == 4 ? (uint32_t)v : v;
}

static uint64_t rmw(volatile void *address, unsigned size, enum change change, uint64_t v, int o, const void *place)
{
	model__step(address, true);
	struct location *l = find(address, size);
	unsigned i = l->count - 1;
	uint64_t old = l->store[i].value;

	model__shadow_atomic(l->address, size, true);
	found(l, i, o);
	put(l, changed(old, change, v, size), o, &l->store[i]);
	remember(l, i + 1, 'r', o);
	model__trace(place, change == CHANGE_SWAP ? "swap, had" : "rmw, had", l->address, old, o, 0);
	return old;
}

/* Which of the stores that may be read makes the exchange fail, newest first; the newest one that does not is the
 * exchange's success, so it is tried first. */
static bool cas(volatile void *address, unsigned size, uint64_t *expected, uint64_t desired, bool weak, int o,
		int failure, const void *place)
{
	model__step(address, true);
	struct location *l = find(address, size);
	const unsigned last = l->count - 1;
	const bool may = l->store[last].value == *expected;
	unsigned failing[STORES];
	unsigned n = 0, i;

	if (may && !(weak && model__spurious())) {
		failing[n++] = last;
	} else if (may) {
		model__shadow_atomic(l->address, size, false);
		found(l, last, failure);
		remember(l, last, 'x', failure);
		model__trace(place, "cas, in vain", l->address, *expected, failure, 0);
		return false;
	}
	for (i = last + 1; i-- > oldest(l, failure);) {
		if (l->store[i].value != *expected)
			failing[n++] = i;
	}
	i = failing[model__choose(n)];
	const bool done = may && i == last;
	model__shadow_atomic(l->address, size, done);
	found(l, i, done ? o : failure);
	if (done)
		put(l, desired, o, &l->store[i]);
	else
		*expected = l->store[i].value;
	remember(l, done ? i + 1 : i, done ? 'c' : 'd', done ? o : failure);
	model__trace(place, done ? "cas to" : "cas, found", l->address, done ? desired : *expected, done ? o : failure,
		     last - i);
	return done;
}

void model__spun(void)
{
	struct thread *self = &model__threads[model__self];

	/* To read the same store again would only lead to the same wait. */
	raise(&self->now.seen[self->last->id], self->last_store + 1);
}

/* --- what the compiler calls -------------------------------------------------------------------------------------- */

#define HERE __builtin_return_address(0)

void __tsan_atomic_thread_fence(int o);
void __tsan_atomic_thread_fence(int o)
{
	struct thread *self = &model__threads[model__self];

	if (o == __ATOMIC_SEQ_CST)
		model__step(NULL, false);
	if (acquires(o))
		model__learn(&self->now, &self->acquired);
	if (o == __ATOMIC_SEQ_CST) {
		raise_all(self->now.seen, order);
		raise_all(order, self->now.seen);
	}
	if (releases(o))
		self->released = self->now;
	self->now.clock[model__self]++; /* as in put */
	self->history = model__mix(self->history, (uint64_t)'f' << 32 | (uint64_t)o);
	self->history = model__mix(self->history, hash_seen(self->now.seen));
	model__trace(HERE, "fence", NULL, 0, o, 0);
}

bool model_replace(uint64_t *word, uint64_t expected, uint64_t desired)
{
	uint64_t found_there = load(word, 8, __ATOMIC_RELAXED, HERE);

	if (found_there != expected)
		return false;
	sequences[model__self] = barriers + 1;
	model__step(word, true);
	const bool cut_off = sequences[model__self] != barriers + 1;
	struct location *l = find(word, 8);
	sequences[model__self] = 0;
	if (cut_off) {
		model__threads[model__self].history = model__mix(model__threads[model__self].history, 'q');
		model__trace(HERE, "cut off", word, expected, __ATOMIC_RELAXED, 0);
		return false;
	}
	model__shadow_atomic(l->address, 8, true);
	put(l, desired, __ATOMIC_RELEASE, NULL);
	remember(l, l->count - 1, 'u', __ATOMIC_RELEASE);
	model__trace(HERE, "replace", l->address, desired, __ATOMIC_RELEASE, 0);
	return true;
}

/* Each thread passes a barrier, and who is in a sequence is cut off. */
void model_barrier(void)
{
	struct thread *self = &model__threads[model__self];

	model__step(NULL, true);
	barriers++;
	for (unsigned i = 0; i < ALL_THREADS; i++) {
		model__learn(&self->now, &model__threads[i].now);
		model__learn(&self->now, &model__threads[i].acquired);
	}
	raise_all(self->now.seen, order);
	raise_all(order, self->now.seen);
	for (unsigned i = 0; i < ALL_THREADS; i++) {
		struct thread *thread = &model__threads[i];

		if (thread != self)
			model__learn(&thread->now, &self->now);
		thread->now.clock[i]++; /* as in put */
		thread->history = model__mix(thread->history, (uint64_t)'b' << 32);
		thread->history = model__mix(thread->history, hash_seen(thread->now.seen));
	}
	self->released = self->now;
	model__trace(HERE, "barrier", NULL, 0, __ATOMIC_SEQ_CST, 0);
}

void __tsan_atomic_signal_fence(int o);
void __tsan_atomic_signal_fence(int o)
{
	(void)o;
}

#define RMW(bits, name, change) \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile void *a, uint##bits##_t v, int o); \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile void *a, uint##bits##_t v, int o) \
	{ \
		return (uint##bits##_t)rmw(a, bits / 8, change, v, o, HERE); \
	}

#define CAS(bits, name, weak) \
	bool __tsan_atomic##bits##_compare_exchange_##name(volatile void *a, void *e, uint##bits##_t v, int o, int f); \
	bool __tsan_atomic##bits##_compare_exchange_##name(volatile void *a, void *e, uint##bits##_t v, int o, int f) \
	{ \
		uint64_t expected = *(uint##bits##_t *)e; \
		bool done = cas(a, bits / 8, &expected, v, weak, o, f, HERE); \
\
		*(uint##bits##_t *)e = (uint##bits##_t)expected; \
		return done; \
	}

#define WORDS(bits) \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile void *a, int o); \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile void *a, int o) \
	{ \
		return (uint##bits##_t)load(a, bits / 8, o, HERE); \
	} \
	void __tsan_atomic##bits##_store(volatile void *a, uint##bits##_t v, int o); \
	void __tsan_atomic##bits##_store(volatile void *a, uint##bits##_t v, int o) \
	{ \
		store(a, bits / 8, v, o, HERE); \
	} \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile void *a, uint##bits##_t e, \
								  uint##bits##_t v, int o, int f); \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile void *a, uint##bits##_t e, \
								  uint##bits##_t v, int o, int f) \
	{ \
		uint64_t expected = e; \
\
		cas(a, bits / 8, &expected, v, false, o, f, HERE); \
		return (uint##bits##_t)expected; \
	} \
	RMW(bits, exchange, CHANGE_SWAP) \
	RMW(bits, fetch_add, CHANGE_ADD) \
	RMW(bits, fetch_sub, CHANGE_SUB) \
	RMW(bits, fetch_or, CHANGE_OR) \
	RMW(bits, fetch_and, CHANGE_AND) \
	RMW(bits, fetch_xor, CHANGE_XOR) \
	CAS(bits, strong, false) \
	CAS(bits, weak, true)

WORDS(32)
WORDS(64)
