/* SPDX-License-Identifier: MIT */
/*
 * Blocks are scanned each for itself; then, one after the other, the last element of each block is combined with the
 * last of the one before; then the other elements of each block with that. All in place: no memory is needed but for
 * two elements on the stack.
 */
#include <errno.h>
#include <string.h>

#include "atomic_internal.h"
#include "parallel_internal.h"

struct scan {
	unsigned char *array;
	size_t n, size, block;
	rota_combine_fn *combine;
	void *arg;
};

static unsigned char *at(const struct scan *scan, size_t i)
{
	return scan->array + i * scan->size;
}

static size_t end_of(const struct scan *scan, size_t block)
{
	return block * scan->block + scan->block < scan->n ? (block + 1) * scan->block : scan->n;
}

/* *later = *earlier combined with *later. */
static void combine_into(const struct scan *scan, const void *earlier, void *later)
{
	unsigned char acc[ROTA_REDUCE_MAX] __attribute__((aligned(ROTA__CACHE_LINE)));

	memcpy(acc, earlier, scan->size);
	scan->combine(acc, later, scan->arg);
	memcpy(later, acc, scan->size);
}

static int scan_blocks(size_t begin, size_t end, void *arg)
{
	const struct scan *scan = arg;

	for (size_t block = begin; block < end; block++) {
		for (size_t i = block * scan->block + 1; i < end_of(scan, block); i++)
			combine_into(scan, at(scan, i - 1), at(scan, i));
	}
	return 0;
}

/* Blocks are counted from the second one here. */
static int carry_blocks(size_t begin, size_t end, void *arg)
{
	const struct scan *scan = arg;

	for (size_t block = begin + 1; block < end + 1; block++) {
		const size_t first = block * scan->block;

		for (size_t i = first; i + 1 < end_of(scan, block); i++)
			combine_into(scan, at(scan, first - 1), at(scan, i));
	}
	return 0;
}

int rota_parallel_scan(void *array, size_t n, size_t size, size_t grain, rota_combine_fn *combine, void *arg)
{
	struct scan scan = { .array = array, .n = n, .size = size, .combine = combine, .arg = arg };
	size_t blocks;
	int rc;

	if (combine == NULL || size == 0 || size > ROTA_REDUCE_MAX || (array == NULL && n > 0) || n > PTRDIFF_MAX / size)
		return -EINVAL;
	if (n == 0)
		return 0;
	scan.block = grain != 0 ? grain : rota__parallel_grain(n);
	if (scan.block > n)
		scan.block = n;
	blocks = (n - 1) / scan.block + 1;
	rc = rota_parallel_for(0, blocks, 1, scan_blocks, &scan);
	if (rc < 0)
		return rc;
	for (size_t block = 1; block < blocks; block++)
		combine_into(&scan, at(&scan, end_of(&scan, block - 1) - 1), at(&scan, end_of(&scan, block) - 1));
	return rota_parallel_for(0, blocks - 1, 1, carry_blocks, &scan);
}
