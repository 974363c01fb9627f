/* SPDX-License-Identifier: MIT */
/*
 * Parallel algorithms by fork and join. All calls here: from anywhere; in parallel inside a task of a runtime with
 * several workers, else on the caller, with the same result. The functions that are passed run beside each other, on any
 * worker, by the rules of fork.h: they may wait unless the caller is the poll of a stackless task.
 *
 * Each returns 0, or the status of a part that failed, the first in order of those that ran; parts that have not started
 * then are left out. -ECANCELED, -ETIMEDOUT: the calling task was cancelled, or a scope that it has open, and a part was left
 * out. -EINVAL: a function is NULL, or a size does not fit.
 *
 * `grain`: how many elements make the smallest part. 0: chosen so that each worker gets several parts.
 */
#ifndef ROTA_RUNTIME_PARALLEL_H
#define ROTA_RUNTIME_PARALLEL_H

#include "fork.h"

ROTA_BEGIN_DECLS

/* Does the work for [begin, end), which is not empty. 0 or more, or a negative errno. */
typedef int rota_range_fn(size_t begin, size_t end, void *arg);

/* Calls fn for parts that together are [begin, end). */
ROTA_API int rota_parallel_for(size_t begin, size_t end, size_t grain, rota_range_fn *fn, void *arg);

/* Folds [begin, end), which is not empty, into *acc. 0 or more, or a negative errno. */
typedef int rota_fold_fn(size_t begin, size_t end, void *acc, void *arg);

/* *acc = *acc combined with *later. Associative; operands keep their order. */
typedef void rota_combine_fn(void *acc, const void *later, void *arg);

#define ROTA_REDUCE_MAX ((size_t)1024) /* bytes of an accumulator */

/*
 * Reduces [begin, end) to one value of `size` bytes, at most ROTA_REDUCE_MAX. *value holds the neutral element before, and
 * the result after; on failure it is as before. Parts start from copies of the neutral element. With the same grain
 * (not 0) and the same functions the result is the same however many workers there are, also for floating point.
 */
ROTA_API int rota_parallel_reduce(size_t begin, size_t end, size_t grain, size_t size, rota_fold_fn *fold,
				  rota_combine_fn *combine, void *arg, void *value);

/*
 * The inclusive scan of an array in place: element i becomes the combination of elements 0 to i. Elements have `size`
 * bytes, at most ROTA_REDUCE_MAX. The work is twice that of a loop. On failure (cancellation only) the contents are
 * undefined.
 */
ROTA_API int rota_parallel_scan(void *array, size_t n, size_t size, size_t grain, rota_combine_fn *combine, void *arg);

/* As for qsort_r: negative, 0, positive. */
typedef int rota_compare_fn(const void *a, const void *b, void *arg);

/*
 * Sorts an array, stably, by merging. Needs memory for a copy of it: -ENOMEM, and nothing has changed. After a failure by
 * cancellation the contents are undefined. sort.h has the typed form, which is faster.
 */
ROTA_API int rota_parallel_sort(void *array, size_t n, size_t size, rota_compare_fn *compare, void *arg);

/* One of several calls to be made beside each other. */
struct rota_call {
	rota_fn *fn;
	void *arg;
	int status; /* after: what it returned, or why it was left out */
};

/* Makes the n calls; all of them, whatever the others return. The first failure in order, or 0. */
ROTA_API int rota_invoke(struct rota_call *calls, size_t n);

ROTA_END_DECLS

#endif
