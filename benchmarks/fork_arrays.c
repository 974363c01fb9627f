/* SPDX-License-Identifier: MIT */
/*
 * Fork and join on arrays: cilksort (merge sort of integers with parallel merges), the same by rota_parallel_sort, and
 * matmul (a recursive product of square matrices of floats). Milliseconds each; results are checked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

typedef uint32_t elem;

enum { INSERT_MAX = 20, SORT_GRAIN = 2048, MERGE_GRAIN = 2048 };

static void insert_sort(elem *a, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		elem x = a[i];
		size_t j = i;

		for (; j > 0 && a[j - 1] > x; j--)
			a[j] = a[j - 1];
		a[j] = x;
	}
}

static void merge_here(const elem *x, size_t nx, const elem *y, size_t ny, elem *to)
{
	while (nx > 0 && ny > 0) {
		const bool first = *x <= *y;

		*to++ = first ? *x : *y;
		x += first;
		nx -= first;
		y += !first;
		ny -= !first;
	}
	memcpy(to, x, nx * sizeof(elem));
	memcpy(to + nx, y, ny * sizeof(elem));
}

static size_t count_less(const elem *a, size_t n, elem key)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;

		if (a[middle] < key)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

struct runs {
	const elem *x, *y;
	size_t nx, ny;
};

ROTA_FORK_DEFINE_2(int, merge, struct runs, r, elem *, to)
{
	struct merge_frame upper;

	if (r.nx < r.ny)
		r = (struct runs){ r.y, r.x, r.ny, r.nx };
	if (r.nx + r.ny <= MERGE_GRAIN) {
		merge_here(r.x, r.nx, r.y, r.ny, to);
		return 0;
	}
	size_t half = r.nx / 2, less = count_less(r.y, r.ny, r.x[half]);
	struct runs above = { r.x + half, r.y + less, r.nx - half, r.ny - less };
	struct runs below = { r.x, r.y, half, less };

	ROTA_FORK(merge, &upper, above, to + half + less);
	ROTA_FORK_CALL(merge, below, to);
	return ROTA_FORK_JOIN(merge, &upper);
}

static void sort_here(elem *a, elem *b, size_t n, bool into_b)
{
	const size_t half = n / 2;
	elem *from = into_b ? a : b;

	if (n <= INSERT_MAX) {
		insert_sort(a, n);
		if (into_b)
			memcpy(b, a, n * sizeof(elem));
		return;
	}
	sort_here(a, b, half, !into_b);
	sort_here(a + half, b + half, n - half, !into_b);
	merge_here(from, half, from + half, n - half, into_b ? b : a);
}

ROTA_FORK_DEFINE_4(int, cilksort, elem *, a, elem *, b, size_t, n, bool, into_b)
{
	struct cilksort_frame upper;
	const size_t half = n / 2;
	const elem *from = into_b ? a : b;

	if (n <= SORT_GRAIN) {
		sort_here(a, b, n, into_b);
		return 0;
	}
	ROTA_FORK(cilksort, &upper, a + half, b + half, n - half, !into_b);
	ROTA_FORK_CALL(cilksort, a, b, half, !into_b);
	ROTA_FORK_JOIN(cilksort, &upper);
	return ROTA_FORK_CALL(merge, ((struct runs){ from, from + half, half, n - half }), into_b ? b : a);
}

static int compare(const void *a, const void *b, void *arg)
{
	const elem x = *(const elem *)a, y = *(const elem *)b;

	(void)arg;
	return (x > y) - (x < y);
}

static void fill(elem *a, size_t n)
{
	uint64_t state = 1;

	for (size_t i = 0; i < n; i++)
		a[i] = (elem)(bench_random(&state) >> 32);
}

static bool sorted(const elem *a, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (a[i - 1] > a[i])
			return false;
	}
	return true;
}

static int measure_sorts(void)
{
	const size_t n = (size_t)bench_param("elements");
	elem *a = calloc(2 * n + 1, sizeof(elem));
	uint64_t start;
	int rc = 0;

	if (a == NULL)
		return -ENOMEM;
	memset(a, 1, 2 * n * sizeof(elem)); /* nobody measures page faults here */
	fill(a, n);
	start = rota_now();
	cilksort(a, a + n, n, false);
	bench_report("cilksort", ms_since(start), "ms");
	if (!sorted(a, n))
		rc = -EPROTO;
	fill(a, n);
	start = rota_now();
	if (rc == 0)
		rc = rota_parallel_sort(a, n, sizeof(elem), compare, NULL);
	bench_report("parallel_sort", ms_since(start), "ms");
	if (!sorted(a, n))
		rc = -EPROTO;
	free(a);
	return rc;
}

/* --- matmul --------------------------------------------------------------------------------------------------------------- */

enum { BLOCK = 64 };

/* Quarters of matrices that lie in rows of `stride` floats: c += a * b. */
struct product {
	const float *a, *b;
	float *c;
	size_t stride;
};

static void multiply_block(struct product p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			const float a = p.a[i * p.stride + k];

			for (size_t j = 0; j < n; j++)
				p.c[i * p.stride + j] += a * p.b[k * p.stride + j];
		}
	}
}

/* The product of the quarters (row, k) of a and (k, column) of b. */
static struct product quarter(struct product p, size_t n, unsigned row, unsigned column, unsigned k)
{
	const size_t half = n / 2;

	return (struct product){ p.a + row * half * p.stride + k * half, p.b + k * half * p.stride + column * half,
				 p.c + row * half * p.stride + column * half, p.stride };
}

ROTA_FORK_DEFINE_2(int, multiply, struct product, p, size_t, n)
{
	struct multiply_frame frames[3];

	if (n <= BLOCK) {
		multiply_block(p, n);
		return 0;
	}
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < 3; i++)
			ROTA_FORK(multiply, &frames[i], quarter(p, n, i / 2, i % 2, k), n / 2);
		ROTA_FORK_CALL(multiply, quarter(p, n, 1, 1, k), n / 2);
		for (unsigned i = 3; i-- > 0;)
			ROTA_FORK_JOIN(multiply, &frames[i]);
	}
	return 0;
}

static int measure_product(void)
{
	const size_t n = (size_t)bench_param("matrix");
	float *a = calloc(3 * n * n, sizeof(float));
	uint64_t start;
	int rc = 0;

	if (a == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			a[i * n + j] = (float)(i % 4);
			a[(n + i) * n + j] = (float)(j % 3);
			a[(2 * n + i) * n + j] = 0;
		}
	}
	start = rota_now();
	multiply((struct product){ a, a + n * n, a + 2 * n * n, n }, n);
	bench_report("matmul", ms_since(start), "ms");
	/* Rows of a and columns of b are constant. */
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			if (a[(2 * n + i) * n + j] != (float)n * (float)(i % 4) * (float)(j % 3))
				rc = -EPROTO;
		}
	}
	free(a);
	return rc;
}

static int inside(void *arg)
{
	int rc = measure_sorts();

	(void)arg;
	return rc == 0 ? measure_product() : rc;
}

static int round_of_arrays(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "fork_arrays",
	.about = "fork and join on arrays: cilksort, rota_parallel_sort, matmul",
	.round = round_of_arrays,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
