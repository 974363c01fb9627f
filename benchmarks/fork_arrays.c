/* SPDX-License-Identifier: MIT */
/*
 * Fork and join on arrays: cilksort (merge sort of integers with parallel merges); the same by the library's sorts, of a
 * type that the compiler knows and by a pointer to a comparison; matmul (a recursive product of square matrices of
 * floats). Milliseconds each; results are checked.
 */
#include <errno.h>
#include <stdlib.h>

#include "arrays.h"
#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "elements", 10000000, 20000, "integers that are sorted" },
	{ "matrix", 2048, 128, "rows of a matrix, a power of two" },
	{ NULL, 0, 0, NULL },
};

static double ms_since(uint64_t start)
{
	return (double)(rota_now() - start) / 1e6;
}

/* --- cilksort ----------------------------------------------------------------------------------------------------------- */

ROTA_FORK_DEFINE_2(int, merge, struct arrays_runs, runs, uint32_t *, to)
{
	struct arrays_runs below, above;
	struct merge_frame upper;
	size_t less;

	if (arrays_merge_or_split(runs, to, &below, &above, &less))
		return 0;
	ROTA_FORK(merge, &upper, above, to + less);
	ROTA_FORK_CALL(merge, below, to);
	return ROTA_FORK_JOIN(merge, &upper);
}

ROTA_FORK_DEFINE_4(int, cilksort, uint32_t *, a, uint32_t *, b, size_t, n, bool, into_b)
{
	struct cilksort_frame upper;
	const size_t half = n / 2;
	const uint32_t *from = into_b ? a : b;

	if (n <= ARRAYS_SORT_GRAIN) {
		arrays_sort_here(a, b, n, into_b);
		return 0;
	}
	ROTA_FORK(cilksort, &upper, a + half, b + half, n - half, !into_b);
	ROTA_FORK_CALL(cilksort, a, b, half, !into_b);
	ROTA_FORK_JOIN(cilksort, &upper);
	return ROTA_FORK_CALL(merge, ((struct arrays_runs){ from, from + half, half, n - half }), into_b ? b : a);
}

static bool less(const uint32_t *a, const uint32_t *b, void *arg)
{
	(void)arg;
	return *a < *b;
}

ROTA_SORT_DEFINE(sort_integers, uint32_t, less)

static int compare(const void *a, const void *b, void *arg)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	(void)arg;
	return (x > y) - (x < y);
}

static int by_cilksort(uint32_t *a, size_t n)
{
	return cilksort(a, a + n, n, false);
}

static int by_type(uint32_t *a, size_t n)
{
	return sort_integers(a, n, NULL);
}

static int by_pointer(uint32_t *a, size_t n)
{
	return rota_parallel_sort(a, n, sizeof(*a), compare, NULL);
}

static int measure_sort(const char *name, int (*sort)(uint32_t *a, size_t n))
{
	const size_t n = (size_t)bench_param("elements");
	uint32_t *a = arrays_new_unsorted(n);
	uint64_t start = rota_now();
	int rc;

	if (a == NULL)
		return -ENOMEM;
	rc = sort(a, n);
	bench_report(name, ms_since(start), "ms");
	if (rc == 0 && !arrays_sorted(a, n))
		rc = -EPROTO;
	free(a);
	return rc;
}

/* --- matmul --------------------------------------------------------------------------------------------------------------- */

ROTA_FORK_DEFINE_2(int, multiply, struct arrays_product, p, size_t, n)
{
	struct multiply_frame frames[3];

	if (n <= ARRAYS_BLOCK) {
		arrays_multiply_block(p, n);
		return 0;
	}
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < 3; i++)
			ROTA_FORK(multiply, &frames[i], arrays_quarter(p, n, i / 2, i % 2, k), n / 2);
		ROTA_FORK_CALL(multiply, arrays_quarter(p, n, 1, 1, k), n / 2);
		for (unsigned i = 3; i-- > 0;)
			ROTA_FORK_JOIN(multiply, &frames[i]);
	}
	return 0;
}

static int measure_product(void)
{
	const size_t n = (size_t)bench_param("matrix");
	float *matrices = arrays_new_matrices(n);
	uint64_t start = rota_now();
	int rc;

	if (matrices == NULL)
		return -ENOMEM;
	multiply(arrays_whole_product(matrices, n), n);
	bench_report("matmul", ms_since(start), "ms");
	rc = arrays_product_right(matrices, n) ? 0 : -EPROTO;
	free(matrices);
	return rc;
}

static int inside(void *arg)
{
	int rc = measure_sort("cilksort", by_cilksort);

	(void)arg;
	if (rc == 0)
		rc = measure_sort("parallel_sort", by_type);
	if (rc == 0)
		rc = measure_sort("sort_by_pointer", by_pointer);
	return rc == 0 ? measure_product() : rc;
}

static int round_of_arrays(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "fork_arrays",
	.about = "fork and join on arrays: cilksort, the library's sorts, matmul",
	.round = round_of_arrays,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
