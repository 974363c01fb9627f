/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "atomic_internal.h"
#include "parallel_internal.h"
#include "runtime_internal.h"

#define PARTS_PER_WORKER 16u

size_t rota__parallel_grain(size_t n)
{
	const rota_runtime *rt = rota__runtime_self();
	const size_t parts = rt != NULL ? (size_t)rt->worker_count * PARTS_PER_WORKER : 1;

	return n / parts > 0 ? n / parts : 1;
}

int rota__parallel_reason(void)
{
	const rota_task *task = rota__task_current();

	return task != NULL ? rota__task_told_reason(task) : -ECANCELED;
}

struct loop {
	rota_range_fn *fn;
	void *arg;
	size_t grain;
	struct rota_atomic_u32 failed; /* a hint: no more parts need be begun */
};

/* 1: done; 0: left out; negative: it failed. So a frame that was given up, whose result is zero, counts as left out. */
ROTA_FORK_DEFINE_3(int, loop_part, struct loop *, loop, size_t, begin, size_t, end)
{
	struct loop_part_frame later;
	size_t middle = begin + (end - begin) / 2;
	int first, second;

	if (rota__load(&loop->failed, RELAXED))
		return 0;
	if (end - begin <= loop->grain) {
		first = loop->fn(begin, end, loop->arg);
		if (first < 0)
			rota__store(&loop->failed, 1, RELAXED);
		return first < 0 ? first : 1;
	}
	ROTA_FORK(loop_part, &later, loop, middle, end);
	first = ROTA_FORK_CALL(loop_part, loop, begin, middle);
	second = ROTA_FORK_JOIN(loop_part, &later);
	if (first < 0)
		return first;
	return second < 0 ? second : first & second;
}

int rota_parallel_for(size_t begin, size_t end, size_t grain, rota_range_fn *fn, void *arg)
{
	struct loop loop = { .fn = fn, .arg = arg };
	int rc;

	if (fn == NULL)
		return -EINVAL;
	if (begin >= end)
		return 0;
	loop.grain = grain != 0 ? grain : rota__parallel_grain(end - begin);
	rc = loop_part(&loop, begin, end);
	if (rc < 0)
		return rc;
	return rc == 1 ? 0 : rota__parallel_reason();
}
