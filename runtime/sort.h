/* SPDX-License-Identifier: MIT */
/*
 * The typed form of rota_parallel_sort: an order that the compiler knows, so that comparing is not a call and moving an
 * element is a load and a store. Twice as fast for integers, and more.
 *
 *	static bool younger(const struct person *a, const struct person *b, void *arg)
 *	{
 *		return a->age < b->age;
 *	}
 *	ROTA_SORT_DEFINE(sort_by_age, struct person, younger)
 *
 * defines the static function `int sort_by_age(struct person *array, size_t n, void *arg)`, whose arg is handed on. What
 * rota_parallel_sort promises it does too: the sort is stable, parallel inside a task, and needs memory for a copy of
 * the array: -ENOMEM, and nothing has changed. -EINVAL: the array is NULL, or too large. -ECANCELED, -ETIMEDOUT: the
 * calling task was cancelled, or a scope that it has open; the contents are then undefined.
 *
 * `less` is a function or a macro: whether *a comes before *b. By an order that contradicts itself elements may be lost,
 * others be there twice; nothing outside of the array is touched. Elements are moved as by memcpy.
 */
#ifndef ROTA_RUNTIME_SORT_H
#define ROTA_RUNTIME_SORT_H

#include <string.h>

#include "parallel.h"

ROTA_BEGIN_DECLS

/* What is done with elements of one type without forks. All fields are ROTA_SORT_DEFINE's. */
struct rota_sort_leaves {
	size_t size_;
	/* Sorts n elements of `a`. The result is there, or in `b` with into_b; the other one is scratch. */
	void (*sort_)(unsigned char *a, unsigned char *b, size_t n, bool into_b, void *arg);
	/* Merges x before y. */
	void (*merge_)(const unsigned char *x, size_t nx, const unsigned char *y, size_t ny, unsigned char *to,
		       void *arg);
	/* How many elements of a sorted run come before *key, with after_equals also those that are equal. */
	size_t (*rank_)(const unsigned char *run, size_t n, const unsigned char *key, bool after_equals, void *arg);
};

/* Sorts with these, in parallel. */
ROTA_API int rota_sort_with(void *array, size_t n, const struct rota_sort_leaves *leaves, void *arg);

ROTA_END_DECLS

/* A type cannot stand in parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define ROTA_SORT_DEFINE(name, type, less) \
	static inline bool name##_less_(const void *a_, const void *b_, void *arg_) \
	{ \
		return less((const type *)a_, (const type *)b_, arg_); \
	} \
	static __attribute__((noinline)) void name##_merge_(const unsigned char *x_, size_t nx_, \
							    const unsigned char *y_, size_t ny_, unsigned char *to_, \
							    void *arg_) \
	{ \
		rota_sort_merge_(x_, nx_, y_, ny_, to_, sizeof(type), name##_less_, arg_); \
	} \
	static void name##_sort_(unsigned char *a_, unsigned char *b_, size_t n_, bool into_b_, void *arg_) \
	{ \
		rota_sort_here_(a_, b_, n_, into_b_, sizeof(type), name##_less_, name##_merge_, arg_); \
	} \
	static size_t name##_rank_(const unsigned char *run_, size_t n_, const unsigned char *key_, \
				   bool after_equals_, void *arg_) \
	{ \
		return rota_sort_rank_(run_, n_, key_, after_equals_, sizeof(type), name##_less_, arg_); \
	} \
	static const struct rota_sort_leaves name##_leaves_ = { sizeof(type), name##_sort_, name##_merge_, \
								name##_rank_ }; \
	static inline int name(type *array, size_t n, void *arg) \
	{ \
		return rota_sort_with(array, n, &name##_leaves_, arg); \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

/* --- the leaves, inlined where the compiler knows `size` and `less` --------------------------------------------------- */

#define ROTA_SORT_INLINE_ static inline __attribute__((always_inline))

typedef bool rota_sort_less_fn_(const void *a, const void *b, void *arg);
typedef void rota_sort_merge_fn_(const unsigned char *x, size_t nx, const unsigned char *y, size_t ny,
				 unsigned char *to, void *arg);

/* `yes` or `no`, and not by a branch, which random elements would mislead every other time. */
ROTA_SORT_INLINE_ const unsigned char *rota_sort_choose_(bool which, const unsigned char *yes, const unsigned char *no)
{
	const uintptr_t from = (uintptr_t)no, distance = (uintptr_t)yes - from;

	return (const unsigned char *)(from + (distance & ((uintptr_t)0 - (uintptr_t)which)));
}

ROTA_SORT_INLINE_ size_t rota_sort_rank_(const unsigned char *run, size_t n, const unsigned char *key,
					 bool after_equals, size_t size, rota_sort_less_fn_ *less, void *arg)
{
	size_t low = 0;

	while (low < n) {
		const size_t middle = low + (n - low) / 2;
		const unsigned char *at = run + middle * size;

		if (after_equals ? !less(key, at, arg) : less(at, key, arg))
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/*
 * From both ends, which are two chains of dependences in place of one, and by so many steps at a time that neither run
 * can end before the last: no step asks for that. Of two runs of one length the ends meet in the middle.
 */
ROTA_SORT_INLINE_ void rota_sort_merge_(const unsigned char *x, size_t nx, const unsigned char *y, size_t ny,
					unsigned char *to, size_t size, rota_sort_less_fn_ *less, void *arg)
{
	while (nx > 1 && ny > 1) {
		const bool equal = nx == ny;
		const size_t steps = equal ? nx : (nx < ny ? nx : ny) / 2;
		const unsigned char *x_end = x + nx * size, *y_end = y + ny * size;
		unsigned char *to_end = to + (nx + ny) * size;

		for (size_t i = 0; i < steps; i++) {
			const bool y_first = less(y, x, arg), x_last = less(y_end - size, x_end - size, arg);

			memcpy(to, rota_sort_choose_(y_first, y, x), size);
			to += size;
			y += (size_t)y_first * size;
			x += (size_t)!y_first * size;
			to_end -= size;
			memcpy(to_end, rota_sort_choose_(x_last, x_end, y_end) - size, size);
			x_end -= (size_t)x_last * size;
			y_end -= (size_t)!x_last * size;
		}
		if (equal)
			return;
		nx = (size_t)(x_end - x) / size;
		ny = (size_t)(y_end - y) / size;
	}
	while (nx > 0 && ny > 0) {
		const bool y_first = less(y, x, arg);

		memcpy(to, y_first ? y : x, size);
		to += size;
		y += (size_t)y_first * size;
		ny -= y_first;
		x += (size_t)!y_first * size;
		nx -= !y_first;
	}
	memcpy(to, x, nx * size);
	memcpy(to + nx * size, y, ny * size);
}

/* Orders two pairs; then their lesser and their greater ones are compared, and at last what is left in the middle. */
ROTA_SORT_INLINE_ void rota_sort_four_(const unsigned char *first, unsigned char *to, size_t size,
				       rota_sort_less_fn_ *less, void *arg)
{
	const unsigned char *second = first + size, *third = second + size, *fourth = third + size;
	const bool lower = less(second, first, arg), upper = less(fourth, third, arg);
	const unsigned char *a = rota_sort_choose_(lower, second, first), *b = rota_sort_choose_(lower, first, second);
	const unsigned char *c = rota_sort_choose_(upper, fourth, third), *d = rota_sort_choose_(upper, third, fourth);
	const bool c_first = less(c, a, arg), b_last = less(d, b, arg);
	const unsigned char *left = rota_sort_choose_(c_first, a, rota_sort_choose_(b_last, c, b));
	const unsigned char *right = rota_sort_choose_(b_last, d, rota_sort_choose_(c_first, b, c));
	const bool middle = less(right, left, arg);

	memcpy(to, rota_sort_choose_(c_first, c, a), size);
	memcpy(to + size, rota_sort_choose_(middle, right, left), size);
	memcpy(to + 2 * size, rota_sort_choose_(middle, left, right), size);
	memcpy(to + 3 * size, rota_sort_choose_(b_last, b, d), size);
}

/* By insertion: up to three elements. */
ROTA_SORT_INLINE_ void rota_sort_few_(const unsigned char *from, unsigned char *to, size_t n, size_t size,
				      rota_sort_less_fn_ *less, void *arg)
{
	for (size_t i = 0; i < n; i++, from += size) {
		size_t at = i;

		for (; at > 0 && less(from, to + (at - 1) * size, arg); at--)
			memcpy(to + at * size, to + (at - 1) * size, size);
		memcpy(to + at * size, from, size);
	}
}

/* Runs of four elements, which are merged by twos, to and fro. What is in order already is left so. */
ROTA_SORT_INLINE_ void rota_sort_here_(unsigned char *a, unsigned char *b, size_t n, bool into_b, size_t size,
				       rota_sort_less_fn_ *less, rota_sort_merge_fn_ *merge, void *arg)
{
	unsigned char *from = a, *to = b;
	bool odd = false;
	size_t i = 1;

	while (i < n && !less(a + i * size, a + (i - 1) * size, arg))
		i++;
	for (size_t run = 4; run < n; run *= 2)
		odd = !odd;
	if (i >= n) {
		if (into_b)
			memcpy(b, a, n * size);
		return;
	}
	if (odd == into_b) { /* the runs are to lie in `a` */
		memcpy(b, a, n * size);
		from = b;
		to = a;
	}
	for (i = 0; i + 4 <= n; i += 4)
		rota_sort_four_(from + i * size, to + i * size, size, less, arg);
	rota_sort_few_(from + i * size, to + i * size, n - i, size, less, arg);
	for (size_t run = 4; run < n; run *= 2) {
		unsigned char *runs = to;

		to = from;
		from = runs;
		for (i = 0; i < n; i += 2 * run) {
			const size_t nx = n - i < run ? n - i : run, ny = n - i - nx < run ? n - i - nx : run;

			merge(from + i * size, nx, from + (i + nx) * size, ny, to + i * size, arg);
		}
	}
}

#endif
