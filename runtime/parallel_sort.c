/* SPDX-License-Identifier: MIT */
/*
 * Merge sort, stable, whose merges are parallel too: the longer run is cut in its middle, the other one where that
 * element belongs, and the two pairs are merged beside each other.
 *
 * A sort goes from `a` to `a` or to `b`, the scratch array, in turn, so that each level copies once. What is done without
 * forks is code made for the type (sort.h); the sort by a pointer to a comparison has four such types, one of
 * which is of any size.
 */
#include "sort.h"

#include <errno.h>

#include "alloc_internal.h"
#include "atomic_internal.h"
#include "parallel_internal.h"

#define SORT_GRAIN ((size_t)2048) /* elements sorted without forks */
#define MERGE_GRAIN ((size_t)4096)

struct sort {
	const struct rota_sort_leaves *leaves;
	void *arg;
};

/* A run of elements, and where two runs go. */
struct run {
	unsigned char *first;
	size_t n;
};

static unsigned char *at(const struct sort *s, unsigned char *first, size_t i)
{
	return first + i * s->leaves->size_;
}

/* Without forks, and without more than one comparison when the runs are in order already. */
static void merge_here(const struct sort *s, struct run x, struct run y, unsigned char *to)
{
	const size_t size = s->leaves->size_;

	if (x.n > 0 && y.n > 0 && s->leaves->rank_(y.first, 1, at(s, x.first, x.n - 1), false, s->arg) > 0) {
		s->leaves->merge_(x.first, x.n, y.first, y.n, to, s->arg);
		return;
	}
	memcpy(to, x.first, x.n * size);
	memcpy(to + x.n * size, y.first, y.n * size);
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
		y.n = s->leaves->rank_(y.first, y.n, at(s, x.first, x.n), false, s->arg);
	} else {
		y.n /= 2;
		x.n = s->leaves->rank_(x.first, x.n, at(s, y.first, y.n), true, s->arg);
	}
	x2.first = at(s, x2.first, x.n);
	x2.n -= x.n;
	y2.first = at(s, y2.first, y.n);
	y2.n -= y.n;
	ROTA_FORK(merge, &later, s, x2, y2, at(s, to, x.n + y.n));
	first = ROTA_FORK_CALL(merge, s, x, y, to);
	return ROTA_FORK_JOIN(merge, &later) & first;
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
	/* So that all leaves but the last have the same length: a power of two, all runs of which have one length. */
	const size_t half = (h.n / 2 + SORT_GRAIN - 1) / SORT_GRAIN * SORT_GRAIN;
	unsigned char *from = h.into_b ? h.a : h.b;
	int done;

	if (h.n <= SORT_GRAIN) {
		s->leaves->sort_(h.a, h.b, h.n, h.into_b, s->arg);
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

int rota_sort_with(void *array, size_t n, const struct rota_sort_leaves *leaves, void *arg)
{
	const struct sort s = { leaves, arg };
	unsigned char *scratch;
	size_t bytes;
	int done;

	if ((array == NULL && n > 0) || __builtin_mul_overflow(n, leaves->size_, &bytes))
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

/* --- by a pointer to a comparison ------------------------------------------------------------------------------------ */

struct by_pointer {
	rota_compare_fn *compare;
	void *arg;
	size_t size;
};

static bool less(const void *a, const void *b, void *arg)
{
	const struct by_pointer *by = arg;

	return by->compare(a, b, by->arg) < 0;
}

struct bytes_4 {
	unsigned char byte[4];
};
struct bytes_8 {
	unsigned char byte[8];
};
struct bytes_16 {
	unsigned char byte[16];
};

ROTA_SORT_DEFINE(sort_bytes_4, struct bytes_4, less)
ROTA_SORT_DEFINE(sort_bytes_8, struct bytes_8, less)
ROTA_SORT_DEFINE(sort_bytes_16, struct bytes_16, less)

static void merge_any(const unsigned char *x, size_t nx, const unsigned char *y, size_t ny, unsigned char *to, void *arg)
{
	rota_sort_merge_(x, nx, y, ny, to, ((const struct by_pointer *)arg)->size, less, arg);
}

static void sort_any(unsigned char *a, unsigned char *b, size_t n, bool into_b, void *arg)
{
	rota_sort_here_(a, b, n, into_b, ((const struct by_pointer *)arg)->size, less, merge_any, arg);
}

static size_t rank_any(const unsigned char *run, size_t n, const unsigned char *key, bool after_equals, void *arg)
{
	return rota_sort_rank_(run, n, key, after_equals, ((const struct by_pointer *)arg)->size, less, arg);
}

int rota_parallel_sort(void *array, size_t n, size_t size, rota_compare_fn *compare, void *arg)
{
	const struct rota_sort_leaves any = { size, sort_any, merge_any, rank_any };
	struct by_pointer by = { compare, arg, size };

	if (compare == NULL || size == 0)
		return -EINVAL;
	switch (size) {
	case 4:
		return sort_bytes_4(array, n, &by);
	case 8:
		return sort_bytes_8(array, n, &by);
	case 16:
		return sort_bytes_16(array, n, &by);
	default:
		return rota_sort_with(array, n, &any, &by);
	}
}
