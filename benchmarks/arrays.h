/* SPDX-License-Identifier: MIT */
/*
 * What cilksort and matmul do without forks: their leaves, where they divide, what they start from, whether the result
 * is right. All contenders call this one, so that they differ by how they fork only.
 */
#ifndef BENCHMARKS_ARRAYS_H
#define BENCHMARKS_ARRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- cilksort: merge sort, its merges in parallel too. From `a` to `a` or to `b`, the scratch array, in turn --------- */

enum { ARRAYS_SORT_GRAIN = 2048 };

struct arrays_runs {
	const uint32_t *x, *y;
	size_t nx, ny;
};

/* Two arrays of n integers in random order and scratch, with room for one more; all touched. NULL: no memory. Freed
 * with free(). */
uint32_t *arrays_new_unsorted(size_t n);
bool arrays_sorted(const uint32_t *a, size_t n);

void arrays_sort_here(uint32_t *a, uint32_t *b, size_t n, bool into_b);

/* Merges if that is little: true. Else two independent pairs, the upper of which goes to `to` + *ret_less. */
bool arrays_merge_or_split(struct arrays_runs runs, uint32_t *to, struct arrays_runs *ret_below,
			   struct arrays_runs *ret_above, size_t *ret_less);

/* --- matmul: a recursive product of square matrices of floats ------------------------------------------------------- */

enum { ARRAYS_BLOCK = 64 };

/* Quarters of matrices that lie in rows of `stride` floats: c += a * b. */
struct arrays_product {
	const float *a, *b;
	float *c;
	size_t stride;
};

/* Three matrices with n rows, one after the other: a, b, and c, which is zero. NULL: no memory. Freed with free(). */
float *arrays_new_matrices(size_t n);
struct arrays_product arrays_whole_product(float *matrices, size_t n);
bool arrays_product_right(const float *matrices, size_t n);

void arrays_multiply_block(struct arrays_product p, size_t n);

/* The product of the quarters (row, k) of a and (k, column) of b. */
struct arrays_product arrays_quarter(struct arrays_product p, size_t n, unsigned row, unsigned column, unsigned k);

#ifdef __cplusplus
}
#endif

#endif
