/* SPDX-License-Identifier: MIT */
/*
 * The recursions of fork, fork_arrays and uts as one would write them for one thread, without any forks: what
 * parallelism is to be measured against.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../arrays.h"
#include "../uts_tree.h"
#include "option.h"

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* --- fork ----------------------------------------------------------------------------------------------------------- */

static uint64_t fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

struct queen {
	const struct queen *above;
	unsigned column;
};

static bool attacked(const struct queen *above, unsigned column)
{
	for (unsigned distance = 1; above != NULL; above = above->above, distance++) {
		if (above->column == column || above->column == column + distance || above->column + distance == column)
			return true;
	}
	return false;
}

static uint64_t queens(const struct queen *above, unsigned row, unsigned n)
{
	uint64_t sum = 0;

	if (row == n)
		return 1;
	for (unsigned column = 0; column < n; column++) {
		struct queen next = { above, column };

		if (!attacked(above, column))
			sum += queens(&next, row + 1, n);
	}
	return sum;
}

static double curve(double x)
{
	return (x * x + 1) * x;
}

static double integrate(double x1, double y1, double x2, double y2)
{
	const double half = (x2 - x1) / 2, x0 = x1 + half, y0 = curve(x0);
	const double area = (y1 + y2) * (x2 - x1) / 2;
	const double left_area = (y1 + y0) * half / 2, right_area = (y0 + y2) * half / 2;

	if (fabs(left_area + right_area - area) < 1e-9)
		return left_area + right_area;
	return integrate(x1, y1, x0, y0) + integrate(x0, y0, x2, y2);
}

static uint64_t skynet(uint64_t number, uint64_t leaves)
{
	uint64_t sum = 0;

	if (leaves == 1)
		return number;
	for (unsigned i = 0; i < 10; i++)
		sum += skynet(number + i * leaves / 10, leaves / 10);
	return sum;
}

static void forks(void)
{
	const unsigned n = (unsigned)option("fib", 42);
	const double x = (double)option("integral", 10000);
	double calls = 1, before = 1, start = now_ms(), ms;
	volatile uint64_t sink = fib(n);
	volatile double area;

	ms = now_ms() - start;
	for (unsigned i = 2; i <= n; i++) {
		double next = 1 + calls + before;

		before = calls;
		calls = next;
	}
	printf("fib %g ms\nfib_call %g ns\n", ms, ms * 1e6 / calls);
	start = now_ms();
	sink = queens(NULL, 0, (unsigned)option("queens", 14));
	printf("nqueens %g ms\n", now_ms() - start);
	start = now_ms();
	area = integrate(0, curve(0), x, curve(x));
	printf("integrate %g ms\n", now_ms() - start);
	start = now_ms();
	sink = skynet(0, option("leaves", 1000000));
	printf("skynet %g ms\n", now_ms() - start);
	(void)sink;
	(void)area;
}

/* --- fork_arrays ------------------------------------------------------------------------------------------------------ */

static void merge(struct arrays_runs runs, uint32_t *to)
{
	struct arrays_runs below, above;
	size_t less;

	if (arrays_merge_or_split(runs, to, &below, &above, &less))
		return;
	merge(below, to);
	merge(above, to + less);
}

static void cilksort(uint32_t *a, uint32_t *b, size_t n, bool into_b)
{
	const size_t half = n / 2;
	const uint32_t *from = into_b ? a : b;

	if (n <= ARRAYS_SORT_GRAIN) {
		arrays_sort_here(a, b, n, into_b);
		return;
	}
	cilksort(a, b, half, !into_b);
	cilksort(a + half, b + half, n - half, !into_b);
	merge((struct arrays_runs){ from, from + half, half, n - half }, into_b ? b : a);
}

static void multiply(struct arrays_product p, size_t n)
{
	if (n <= ARRAYS_BLOCK) {
		arrays_multiply_block(p, n);
		return;
	}
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < 4; i++)
			multiply(arrays_quarter(p, n, i / 2, i % 2, k), n / 2);
	}
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool arrays(void)
{
	const size_t n = (size_t)option("elements", 10000000), rows = (size_t)option("matrix", 2048);
	uint32_t *a = arrays_new_unsorted(n), *b = arrays_new_unsorted(n);
	float *matrices = arrays_new_matrices(rows);
	bool right = false;
	double start;

	if (a != NULL && b != NULL && matrices != NULL) {
		start = now_ms();
		cilksort(a, a + n, n, false);
		printf("cilksort %g ms\n", now_ms() - start);
		start = now_ms();
		qsort(b, n, sizeof(*b), compare);
		printf("parallel_sort %g ms\n", now_ms() - start);
		start = now_ms();
		multiply(arrays_whole_product(matrices, rows), rows);
		printf("matmul %g ms\n", now_ms() - start);
		right = arrays_sorted(a, n) && arrays_sorted(b, n) && arrays_product_right(matrices, rows);
	}
	free(a);
	free(b);
	free(matrices);
	return right;
}

/* --- uts --------------------------------------------------------------------------------------------------------------- */

static const struct uts_tree *tree;

static uint64_t count(const struct uts_state *state, unsigned depth, unsigned n)
{
	uint64_t sum = 1;

	for (unsigned i = 0; i < n; i++) {
		struct uts_state child;
		const unsigned children = uts_tree_child(tree, state, i, depth + 1, &child);

		sum += count(&child, depth + 1, children);
	}
	return sum;
}

static double peak_mib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

static bool search(bool deep)
{
	const double before = peak_mib(), start = now_ms();
	struct uts_state root;
	uint64_t nodes;

	tree = uts_tree_find(deep, option("small", 0) != 0);
	nodes = count(&root, 0, uts_tree_root(tree, &root));
	printf("%s %g ms\n", tree->name, now_ms() - start);
	if (deep)
		printf("peak %g MiB\npeak_growth %g MiB\n", peak_mib(), peak_mib() - before);
	return nodes == tree->nodes;
}

int main(int argc, char **argv)
{
	bool right = true;

	option_init(argc, argv);
	if (argc >= 2 && !strcmp(argv[1], "fork")) {
		forks();
	} else if (argc >= 2 && !strcmp(argv[1], "fork_arrays")) {
		right = arrays();
	} else if (argc >= 2 && !strcmp(argv[1], "uts")) {
		right = (option("wide", 1) == 0 || search(false)) && (option("deep", 1) == 0 || search(true));
	} else {
		return 77;
	}
	return right ? 0 : 1;
}
