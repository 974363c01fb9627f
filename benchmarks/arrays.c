/* SPDX-License-Identifier: MIT */
#include "arrays.h"

#include <stdlib.h>
#include <string.h>

enum { INSERT_MAX = 20, MERGE_GRAIN = 2048 };

/* --- cilksort ------------------------------------------------------------------------------------------------------- */

uint32_t *arrays_new_unsorted(size_t n)
{
	uint32_t *a = malloc((2 * n + 1) * sizeof(*a));
	uint64_t state = 1;

	if (a == NULL)
		return NULL;
	memset(a, 1, (2 * n + 1) * sizeof(*a)); /* nobody measures page faults here */
	for (size_t i = 0; i < n; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		a[i] = (uint32_t)(state >> 32);
	}
	return a;
}

bool arrays_sorted(const uint32_t *a, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (a[i - 1] > a[i])
			return false;
	}
	return true;
}

static void insert_sort(uint32_t *a, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		uint32_t x = a[i];
		size_t j = i;

		for (; j > 0 && a[j - 1] > x; j--)
			a[j] = a[j - 1];
		a[j] = x;
	}
}

static void merge_here(const uint32_t *x, size_t nx, const uint32_t *y, size_t ny, uint32_t *to)
{
	while (nx > 0 && ny > 0) {
		const bool first = *x <= *y;

		*to++ = first ? *x : *y;
		x += first;
		nx -= first;
		y += !first;
		ny -= !first;
	}
	memcpy(to, x, nx * sizeof(uint32_t));
	memcpy(to + nx, y, ny * sizeof(uint32_t));
}

static size_t count_less(const uint32_t *a, size_t n, uint32_t key)
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

bool arrays_merge_or_split(struct arrays_runs runs, uint32_t *to, struct arrays_runs *ret_below,
			   struct arrays_runs *ret_above, size_t *ret_less)
{
	size_t half, less;

	if (runs.nx < runs.ny)
		runs = (struct arrays_runs){ runs.y, runs.x, runs.ny, runs.nx };
	if (runs.nx + runs.ny <= MERGE_GRAIN) {
		merge_here(runs.x, runs.nx, runs.y, runs.ny, to);
		return true;
	}
	half = runs.nx / 2;
	less = count_less(runs.y, runs.ny, runs.x[half]);
	*ret_below = (struct arrays_runs){ runs.x, runs.y, half, less };
	*ret_above = (struct arrays_runs){ runs.x + half, runs.y + less, runs.nx - half, runs.ny - less };
	*ret_less = half + less;
	return false;
}

void arrays_sort_here(uint32_t *a, uint32_t *b, size_t n, bool into_b)
{
	const size_t half = n / 2;
	uint32_t *from = into_b ? a : b;

	if (n <= INSERT_MAX) {
		insert_sort(a, n);
		if (into_b)
			memcpy(b, a, n * sizeof(uint32_t));
		return;
	}
	arrays_sort_here(a, b, half, !into_b);
	arrays_sort_here(a + half, b + half, n - half, !into_b);
	merge_here(from, half, from + half, n - half, into_b ? b : a);
}

/* --- matmul ----------------------------------------------------------------------------------------------------------- */

float *arrays_new_matrices(size_t n)
{
	float *a = malloc((3 * n * n + 1) * sizeof(*a));

	for (size_t i = 0; a != NULL && i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			a[i * n + j] = (float)(i % 4);
			a[(n + i) * n + j] = (float)(j % 3);
			a[(2 * n + i) * n + j] = 0;
		}
	}
	return a;
}

struct arrays_product arrays_whole_product(float *matrices, size_t n)
{
	return (struct arrays_product){ matrices, matrices + n * n, matrices + 2 * n * n, n };
}

bool arrays_product_right(const float *matrices, size_t n)
{
	/* Rows of a and columns of b are constant. */
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			if (matrices[(2 * n + i) * n + j] != (float)n * (float)(i % 4) * (float)(j % 3))
				return false;
		}
	}
	return true;
}

void arrays_multiply_block(struct arrays_product p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			const float a = p.a[i * p.stride + k];

			for (size_t j = 0; j < n; j++)
				p.c[i * p.stride + j] += a * p.b[k * p.stride + j];
		}
	}
}

struct arrays_product arrays_quarter(struct arrays_product p, size_t n, unsigned row, unsigned column, unsigned k)
{
	const size_t half = n / 2;

	return (struct arrays_product){ p.a + row * half * p.stride + k * half,
					p.b + k * half * p.stride + column * half,
					p.c + row * half * p.stride + column * half, p.stride };
}
