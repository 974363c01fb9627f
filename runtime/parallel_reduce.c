/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "atomic_internal.h"
#include "parallel_internal.h"

struct reduction {
	rota_fold_fn *fold;
	rota_combine_fn *combine;
	void *arg;
	const void *neutral;
	size_t size, grain;
	struct rota_atomic_u32 failed; /* a hint: no more parts need be begun */
};

/* Its own function, so that only those that split carry the second accumulator. As loop_part (parallel_for.c): 1 done,
 * 0 left out, negative failed. */
static int split(struct rota_forks *forks, struct reduction *r, size_t begin, size_t end, void *acc);

ROTA_FORK_DEFINE_4(int, reduce_part, struct reduction *, r, size_t, begin, size_t, end, void *, acc)
{
	int rc;

	if (rota__load(&r->failed, RELAXED))
		return 0;
	if (end - begin > r->grain)
		return split(rota_forks_, r, begin, end, acc);
	rc = r->fold(begin, end, acc, r->arg);
	if (rc < 0)
		rota__store(&r->failed, 1, RELAXED);
	return rc < 0 ? rc : 1;
}

static __attribute__((noinline)) int split(struct rota_forks *rota_forks_, struct reduction *r, size_t begin,
					   size_t end, void *acc)
{
	struct reduce_part_frame later;
	/* Aligned for whatever may lie in it. */
	unsigned char *second = __builtin_alloca_with_align(r->size, 8 * ROTA__CACHE_LINE);
	size_t middle = begin + (end - begin) / 2;
	int first_rc, second_rc;

	memcpy(second, r->neutral, r->size);
	ROTA_FORK(reduce_part, &later, r, middle, end, second);
	first_rc = ROTA_FORK_CALL(reduce_part, r, begin, middle, acc);
	second_rc = ROTA_FORK_JOIN(reduce_part, &later);
	if (first_rc < 0)
		return first_rc;
	if (second_rc < 0 || !(first_rc & second_rc))
		return second_rc < 0 ? second_rc : 0;
	r->combine(acc, second, r->arg);
	return 1;
}

int rota_parallel_reduce(size_t begin, size_t end, size_t grain, size_t size, rota_fold_fn *fold,
			 rota_combine_fn *combine, void *arg, void *value)
{
	struct reduction r = { .fold = fold, .combine = combine, .arg = arg, .neutral = value, .size = size };
	unsigned char acc[ROTA_REDUCE_MAX] __attribute__((aligned(ROTA__CACHE_LINE)));
	int rc;

	if (fold == NULL || combine == NULL || value == NULL || size == 0 || size > ROTA_REDUCE_MAX)
		return -EINVAL;
	if (begin >= end)
		return 0;
	r.grain = grain != 0 ? grain : rota__parallel_grain(end - begin);
	memcpy(acc, value, size);
	rc = reduce_part(&r, begin, end, acc);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return rota__parallel_reason();
	memcpy(value, acc, size);
	return 0;
}
