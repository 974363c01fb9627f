/* SPDX-License-Identifier: MIT */
/*
 * Merge sort, stable, whose merges are parallel too: the longer half is cut in its middle, the other one where that
 * element belongs, and the two pairs are merged beside each other.
 *
 * A sort goes from `a` to `a` or to `b`, the scratch array, in turn, so that each level copies once.
 */
#include <errno.h>
#include <string.h>

#include "alloc_internal.h"
#include "atomic_internal.h"
#include "parallel_internal.h"

#define INSERT_MAX ((size_t)16)   /* elements sorted by insertion */
#define SORT_GRAIN ((size_t)2048) /* elements sorted without forks */
#define MERGE_GRAIN ((size_t)4096)

struct sort {
	size_t size;
	rota_compare_fn *compare;
	void *arg;
};

/* A run of elements, and where two runs go. */
struct run {
	unsigned char *first;
	size_t n;
};

static unsigned char *at(const struct sort *s, unsigned char *first, size_t i)
{
	return first + i * s->size;
}

static void copy(const struct sort *s, unsigned char *to, const unsigned char *from)
{
	if (s->size == 8)
		memcpy(to, from, 8);
	else if (s->size == 4)
		memcpy(to, from, 4);
	else
		memcpy(to, from, s->size);
}

static void insert_sort(const struct sort *s, unsigned char *a, size_t n, unsigned char *spare)
{
	for (size_t i = 1; i < n; i++) {
		size_t to = i;

		while (to > 0 && s->compare(at(s, a, to - 1), at(s, a, i), s->arg) > 0)
			to--;
		if (to == i)
			continue;
		copy(s, spare, at(s, a, i));
		memmove(at(s, a, to + 1), at(s, a, to), (i - to) * s->size);
		copy(s, at(s, a, to), spare);
	}
}

static void merge_here(const struct sort *s, struct run x, struct run y, unsigned char *to)
{
	while (x.n > 0 && y.n > 0) {
		struct run *from = s->compare(x.first, y.first, s->arg) <= 0 ? &x : &y;

		copy(s, to, from->first);
		from->first += s->size;
		from->n--;
		to += s->size;
	}
	memcpy(to, x.first, x.n * s->size);
	memcpy(to + x.n * s->size, y.first, y.n * s->size);
}

/* How many elements of the run stand before `key`: those that are less, and with `equals` those that are equal. */
static size_t rank(const struct sort *s, struct run run, const unsigned char *key, bool equals)
{
	size_t low = 0, high = run.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = s->compare(at(s, run.first, middle), key, s->arg);

		if (order < 0 || (order == 0 && equals))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Merges x before y. 1: done; 0: a part was left out. */
ROTA_FORK_DEFINE_4(int, merge, const struct sort *, s, struct run, x, struct run, y, unsigned char *, to)
{
	struct merge_frame later;
	struct run x2 = x, y2 = y;
	int first;

	if (x.n + y.n <= MERGE_GRAIN) {
		merge_here(s, x, y, to);
		return 1;
	}
	if (x.n >= y.n) {
		x.n /= 2;
		y.n = rank(s, y, at(s, x.first, x.n), false);
	} else {
		y.n /= 2;
		x.n = rank(s, x, at(s, y.first, y.n), true);
	}
	x2.first = at(s, x2.first, x.n);
	x2.n -= x.n;
	y2.first = at(s, y2.first, y.n);
	y2.n -= y.n;
	ROTA_FORK(merge, &later, s, x2, y2, at(s, to, x.n + y.n));
	first = ROTA_FORK_CALL(merge, s, x, y, to);
	return ROTA_FORK_JOIN(merge, &later) & first;
}

/* Without forks. The result is in `a`, or in `b` with into_b; the other one is scratch. */
static void sort_here(const struct sort *s, unsigned char *a, unsigned char *b, size_t n, bool into_b)
{
	const size_t half = n / 2;
	unsigned char *from = into_b ? a : b;

	if (n <= INSERT_MAX) {
		insert_sort(s, a, n, b);
		if (into_b)
			memcpy(b, a, n * s->size);
		return;
	}
	sort_here(s, a, b, half, !into_b);
	sort_here(s, at(s, a, half), at(s, b, half), n - half, !into_b);
	merge_here(s, (struct run){ from, half }, (struct run){ at(s, from, half), n - half }, into_b ? b : a);
}

struct halves {
	unsigned char *a, *b;
	size_t n;
	bool into_b;
};

/* 1: done; 0: a part was left out. */
ROTA_FORK_DEFINE_2(int, sort_part, const struct sort *, s, struct halves, h)
{
	struct sort_part_frame later;
	const size_t half = h.n / 2;
	unsigned char *from = h.into_b ? h.a : h.b;
	int done;

	if (h.n <= SORT_GRAIN) {
		sort_here(s, h.a, h.b, h.n, h.into_b);
		return 1;
	}
	ROTA_FORK(sort_part, &later, s, ((struct halves){ at(s, h.a, half), at(s, h.b, half), h.n - half, !h.into_b }));
	done = ROTA_FORK_CALL(sort_part, s, ((struct halves){ h.a, h.b, half, !h.into_b }));
	done &= ROTA_FORK_JOIN(sort_part, &later);
	if (!done)
		return 0;
	return ROTA_FORK_CALL(merge, s, ((struct run){ from, half }), ((struct run){ at(s, from, half), h.n - half }),
			      h.into_b ? h.b : h.a);
}

int rota_parallel_sort(void *array, size_t n, size_t size, rota_compare_fn *compare, void *arg)
{
	const struct sort s = { size, compare, arg };
	unsigned char *scratch;
	size_t bytes;
	int done;

	if (compare == NULL || size == 0 || (array == NULL && n > 0) || __builtin_mul_overflow(n, size, &bytes))
		return -EINVAL;
	if (n < 2)
		return 0;
	scratch = rota__alloc(bytes, ROTA__CACHE_LINE);
	if (scratch == NULL)
		return -ENOMEM;
	done = sort_part(&s, (struct halves){ array, scratch, n, false });
	rota__free(scratch, bytes, ROTA__CACHE_LINE);
	return done ? 0 : rota__parallel_reason();
}
