/* SPDX-License-Identifier: MIT */
/* oneTBB beside benchmarks/fork_arrays.c. */
#include <cstdio>
#include <cstdlib>

#include <tbb/parallel_sort.h>
#include <tbb/task_group.h>

#include "../../arrays.h"
#include "peer.h"

static void merge(arrays_runs runs, uint32_t *to)
{
	arrays_runs below, above;
	size_t less;

	if (arrays_merge_or_split(runs, to, &below, &above, &less))
		return;
	tbb::task_group group;
	group.run([=] { merge(above, to + less); });
	merge(below, to);
	group.wait();
}

static void cilksort(uint32_t *a, uint32_t *b, size_t n, bool into_b)
{
	const size_t half = n / 2;
	const uint32_t *from = into_b ? a : b;

	if (n <= ARRAYS_SORT_GRAIN) {
		arrays_sort_here(a, b, n, into_b);
		return;
	}
	tbb::task_group group;
	group.run([=] { cilksort(a + half, b + half, n - half, !into_b); });
	cilksort(a, b, half, !into_b);
	group.wait();
	merge({ from, from + half, half, n - half }, into_b ? b : a);
}

static void multiply(arrays_product p, size_t n)
{
	if (n <= ARRAYS_BLOCK) {
		arrays_multiply_block(p, n);
		return;
	}
	for (unsigned k = 0; k < 2; k++) {
		tbb::task_group group;

		for (unsigned i = 0; i < 3; i++)
			group.run([=] { multiply(arrays_quarter(p, n, i / 2, i % 2, k), n / 2); });
		multiply(arrays_quarter(p, n, 1, 1, k), n / 2);
		group.wait();
	}
}

bool arrays_workload()
{
	const size_t n = option("elements", 10000000), rows = option("matrix", 2048);
	uint32_t *a = arrays_new_unsorted(n), *b = arrays_new_unsorted(n);
	float *matrices = arrays_new_matrices(rows);

	if (a == nullptr || b == nullptr || matrices == nullptr)
		std::abort();
	std::printf("cilksort %g ms\n", timed([&] { cilksort(a, a + n, n, false); }));
	std::printf("parallel_sort %g ms\n", timed([&] { tbb::parallel_sort(b, b + n); }));
	std::printf("matmul %g ms\n", timed([&] { multiply(arrays_whole_product(matrices, rows), rows); }));
	const bool right = arrays_sorted(a, n) && arrays_sorted(b, n) && arrays_product_right(matrices, rows);
	std::free(a);
	std::free(b);
	std::free(matrices);
	return right;
}
