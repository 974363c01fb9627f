/* SPDX-License-Identifier: MIT */
/*
 * Loops, reductions, scans and calls in parallel: the result is that of the sequential form, in every place, for
 * every grain; failures and cancellation; what is refused.
 */
#define _GNU_SOURCE
#include "../../runtime/atomic_internal.h"
#include "../../runtime/sys_internal.h"
#include "places.h"

#define N 5000u

static const size_t sizes[] = { 0, 1, 2, 3, 15, 16, 17, 100, N };
static const size_t grains[] = { 0, 1, 7, N, SIZE_MAX };

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define GRAINS (sizeof(grains) / sizeof(grains[0]))

/* --- loops ----------------------------------------------------------------------------------------------------------- */

struct marks {
	uint8_t mark[N + 20];
	size_t grain;
	size_t fail_at;
	int status;
	struct rota_atomic_u32 parts;
};

static int mark(size_t begin, size_t end, void *arg)
{
	struct marks *marks = arg;

	expect(begin, <, end);
	if (marks->grain != 0)
		expect(end - begin, <=, marks->grain);
	for (size_t i = begin; i < end; i++)
		marks->mark[i]++;
	rota__fetch_add(&marks->parts, 1, RELAXED);
	return marks->fail_at >= begin && marks->fail_at < end ? marks->status : 3;
}

static void for_script(const struct place *place)
{
	static struct marks marks;

	(void)place;
	for (unsigned i = 0; i < SIZES * GRAINS; i++) {
		const size_t n = sizes[i / GRAINS];

		memset(&marks, 0, sizeof(marks));
		marks.grain = grains[i % GRAINS];
		expect(rota_parallel_for(10, 10 + n, marks.grain, mark, &marks), ==, 0);
		for (size_t j = 0; j < N + 20; j++)
			expect(marks.mark[j], ==, j >= 10 && j < 10 + n);
	}
	expect(rota_parallel_for(5, 4, 0, mark, &marks), ==, 0);
	expect(rota_parallel_for(0, 1, 0, NULL, NULL), ==, -EINVAL);
}

UNIT_TEST(parallel, a_loop_visits_each_once_everywhere)
{
	everywhere(for_script);
}

TASK_TEST(parallel, a_loop_stops_at_a_failure)
{
	static struct marks marks;

	memset(&marks, 0, sizeof(marks));
	marks.grain = 1;
	marks.status = -EIO;
	expect(rota_parallel_for(0, N, 1, mark, &marks), ==, -EIO);
	expect(rota__load(&marks.parts, RELAXED), <=, N);
	for (size_t j = 0; j < N; j++)
		expect(marks.mark[j], <=, 1);
}

static int loop_when_cancelled(void *arg)
{
	static struct marks marks;

	(void)arg;
	memset(&marks, 0, sizeof(marks));
	marks.fail_at = N;
	while (!rota_cancelled())
		rota_yield();
	expect(rota_parallel_for(0, N, 1, mark, &marks), ==, -ECANCELED);
	expect(rota__load(&marks.parts, RELAXED), <, N);
	return 5;
}

TASK_TEST(parallel, a_loop_of_a_cancelled_task_ends_early)
{
	rota_task *task = unit_spawn(loop_when_cancelled, NULL);

	expect(rota_cancel(task), ==, 0);
	unit_expect_join(task, 5);
}

static int nap(size_t begin, size_t end, void *arg)
{
	(void)arg;
	expect(end, ==, begin + 1);
	return rota_sleep(ROTA_US(200));
}

TASK_TEST(parallel, parts_may_wait)
{
	expect(rota_parallel_for(0, 100, 1, nap, NULL), ==, 0);
}

/* --- reductions: strings of digits, which do not commute ---------------------------------------------------------------- */

struct affine {
	uint32_t factor, offset; /* x -> factor * x + offset */
};

static struct affine step_of(size_t i)
{
	return (struct affine){ 2 * (uint32_t)i + 3, (uint32_t)i * 7 + 1 };
}

static void compose(void *acc, const void *later, void *arg)
{
	struct affine *a = acc;
	const struct affine *b = later;

	expect_pointer(arg, ==, &step_of);
	a->offset = b->factor * a->offset + b->offset;
	a->factor *= b->factor;
}

static int fold(size_t begin, size_t end, void *acc, void *arg)
{
	for (size_t i = begin; i < end; i++) {
		const struct affine step = step_of(i);

		compose(acc, &step, arg);
	}
	return 0;
}

static int fold_badly(size_t begin, size_t end, void *acc, void *arg)
{
	fold(begin, end, acc, arg);
	return end > N / 2 ? -ERANGE : 0;
}

static void reduce_script(const struct place *place)
{
	(void)place;
	for (unsigned i = 0; i < SIZES * GRAINS; i++) {
		struct affine expected = { 1, 0 }, value = { 1, 0 };

		fold(0, sizes[i / GRAINS], &expected, (void *)&step_of);
		expect(rota_parallel_reduce(0, sizes[i / GRAINS], grains[i % GRAINS], sizeof(value), fold, compose,
					    (void *)&step_of, &value),
		       ==, 0);
		expect(value.factor, ==, expected.factor);
		expect(value.offset, ==, expected.offset);
	}
}

UNIT_TEST(parallel, a_reduction_keeps_the_order_everywhere)
{
	everywhere(reduce_script);
}

TASK_TEST(parallel, a_reduction_that_fails_leaves_the_value)
{
	struct affine value = { 17, 4 };
	char large[1];

	expect(rota_parallel_reduce(0, N, 3, sizeof(value), fold_badly, compose, (void *)&step_of, &value), ==, -ERANGE);
	expect(value.factor, ==, 17);
	expect(value.offset, ==, 4);
	expect(rota_parallel_reduce(0, N, 0, 0, fold, compose, NULL, &value), ==, -EINVAL);
	expect(rota_parallel_reduce(0, N, 0, ROTA_REDUCE_MAX + 1, fold, compose, NULL, large), ==, -EINVAL);
	expect(rota_parallel_reduce(0, N, 0, 8, NULL, compose, NULL, &value), ==, -EINVAL);
	expect(rota_parallel_reduce(0, N, 0, 8, fold, NULL, NULL, &value), ==, -EINVAL);
}

/* --- scans --------------------------------------------------------------------------------------------------------------- */

static void scan_script(const struct place *place)
{
	static struct affine array[N];

	(void)place;
	for (unsigned i = 0; i < SIZES * GRAINS; i++) {
		struct affine expected = { 1, 0 };
		const size_t n = sizes[i / GRAINS];

		for (size_t j = 0; j < n; j++)
			array[j] = step_of(j);
		expect(rota_parallel_scan(array, n, sizeof(array[0]), grains[i % GRAINS], compose, (void *)&step_of),
		       ==, 0);
		for (size_t j = 0; j < n; j++) {
			const struct affine step = step_of(j);

			compose(&expected, &step, (void *)&step_of);
			expect(array[j].factor, ==, expected.factor);
			expect(array[j].offset, ==, expected.offset);
		}
	}
	expect(rota_parallel_scan(array, 1, 0, 0, compose, NULL), ==, -EINVAL);
	expect(rota_parallel_scan(array, 1, 8, 0, NULL, NULL), ==, -EINVAL);
	expect(rota_parallel_scan(NULL, 1, 8, 0, compose, NULL), ==, -EINVAL);
	expect(rota_parallel_scan(array, SIZE_MAX, 8, 0, compose, NULL), ==, -EINVAL);
}

UNIT_TEST(parallel, a_scan_keeps_the_order_everywhere)
{
	everywhere(scan_script);
}

/* --- calls --------------------------------------------------------------------------------------------------------------- */

static int same(void *arg)
{
	return (int)(intptr_t)arg;
}

static void invoke_script(const struct place *place)
{
	struct rota_call calls[100];

	(void)place;
	for (int i = 0; i < 100; i++)
		calls[i] = (struct rota_call){ same, (void *)(intptr_t)(i + 1), 0 };
	expect(rota_invoke(calls, 100), ==, 0);
	for (int i = 0; i < 100; i++)
		expect(calls[i].status, ==, i + 1);
	calls[30].arg = (void *)(intptr_t)-EIO;
	calls[60].arg = (void *)(intptr_t)-EPERM;
	expect(rota_invoke(calls, 100), ==, -EIO);
	expect(calls[60].status, ==, -EPERM);
	expect(calls[99].status, ==, 100);
	expect(rota_invoke(calls, 0), ==, 0);
	calls[1].fn = NULL;
	calls[0].status = 7;
	expect(rota_invoke(calls, 2), ==, -EINVAL);
	expect(calls[0].status, ==, 7);
	expect(rota_invoke(NULL, 2), ==, -EINVAL);
}

UNIT_TEST(parallel, calls_are_made_everywhere)
{
	everywhere(invoke_script);
}
