/* SPDX-License-Identifier: MIT */
/*
 * Fork and join, recursions: fib (a fork for each call but the leaves), nqueens (all solutions), integrate (adaptive,
 * unbalanced), skynet (1,000,000 leaves, ten forks at a time). Milliseconds each; fib also per call. Every result is
 * checked.
 */
#include <errno.h>
#include <math.h>

#include "fib.h"
#include "harness.h"
#include "measure.h"

static struct bench_param params[] = {
	{ "fib", 42, 25, "n of fib" },
	{ "queens", 14, 8, "n of nqueens" },
	{ "integral", 10000, 50, "upper limit of integrate" },
	{ "leaves", 1000000, 1000, "leaves of skynet, a power of ten" },
	{ NULL, 0, 0, NULL },
};

/* --- nqueens ------------------------------------------------------------------------------------------------------------ */

enum { MAX_QUEENS = 20 };

/* A board is the columns of the rows so far, linked by the stack frames of the callers. */
struct queen {
	const struct queen *above;
	unsigned column;
};

static bool attacked(const struct queen *above, unsigned column)
{
	unsigned distance = 1;

	for (; above != NULL; above = above->above, distance++) {
		if (above->column == column || above->column == column + distance || above->column + distance == column)
			return true;
	}
	return false;
}

ROTA_FORK_DEFINE_3(uint64_t, queens, const struct queen *, above, unsigned, row, unsigned, n)
{
	struct queens_frame frames[MAX_QUEENS];
	struct queen queen[MAX_QUEENS];
	unsigned forked = 0;
	uint64_t sum = 0;

	if (row == n)
		return 1;
	for (unsigned column = 0; column < n; column++) {
		if (attacked(above, column))
			continue;
		queen[forked] = (struct queen){ above, column };
		ROTA_FORK(queens, &frames[forked], &queen[forked], row + 1, n);
		forked++;
	}
	while (forked-- > 0)
		sum += ROTA_FORK_JOIN(queens, &frames[forked]);
	return sum;
}

static const uint64_t solutions[MAX_QUEENS] = {
	1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712, 365596, 2279184, 14772512,
};

/* --- integrate --------------------------------------------------------------------------------------------------------- */

#define EPSILON 1e-9

static double curve(double x)
{
	return (x * x + 1) * x;
}

ROTA_FORK_DEFINE_4(double, integrate, double, x1, double, y1, double, x2, double, y2)
{
	struct integrate_frame right;
	const double half = (x2 - x1) / 2, x0 = x1 + half, y0 = curve(x0);
	const double area = (y1 + y2) * (x2 - x1) / 2, left_area = (y1 + y0) * half / 2,
		     right_area = (y0 + y2) * half / 2;

	if (fabs(left_area + right_area - area) < EPSILON)
		return left_area + right_area;
	ROTA_FORK(integrate, &right, x0, y0, x2, y2);
	double sum = ROTA_FORK_CALL(integrate, x1, y1, x0, y0);
	return sum + ROTA_FORK_JOIN(integrate, &right);
}

/* --- skynet -------------------------------------------------------------------------------------------------------------- */

ROTA_FORK_DEFINE_2(uint64_t, skynet, uint64_t, number, uint64_t, leaves)
{
	struct skynet_frame frames[10];
	uint64_t sum = 0;

	if (leaves == 1)
		return number;
	for (unsigned i = 0; i < 10; i++)
		ROTA_FORK(skynet, &frames[i], number + i * leaves / 10, leaves / 10);
	for (unsigned i = 10; i-- > 0;)
		sum += ROTA_FORK_JOIN(skynet, &frames[i]);
	return sum;
}

/* --- measuring ------------------------------------------------------------------------------------------------------------ */

static double ms_since(uint64_t start)
{
	return (double)(rota_now() - start) / 1e6;
}

static int measure_fib(void)
{
	const unsigned n = (unsigned)bench_param("fib");
	uint64_t start = rota_now(), result = fib(n);
	double ms = ms_since(start);

	bench_report("fib", ms, "ms");
	bench_report("fib_call", ms * 1e6 / (double)(2 * fib_by_sum(n + 1) - 1), "ns");
	return result == fib_by_sum(n) ? 0 : -EPROTO;
}

static int measure_queens(void)
{
	const unsigned n = (unsigned)bench_param("queens");
	uint64_t start = rota_now(), result;

	if (n >= MAX_QUEENS)
		return -EINVAL;
	result = queens(NULL, 0, n);
	bench_report("nqueens", ms_since(start), "ms");
	return solutions[n] == 0 || result == solutions[n] ? 0 : -EPROTO;
}

static int measure_integral(void)
{
	const double x = (double)bench_param("integral");
	const double expected = x * x * x * x / 4 + x * x / 2;
	uint64_t start = rota_now();
	double result = integrate(0, curve(0), x, curve(x));

	bench_report("integrate", ms_since(start), "ms");
	return fabs(result / expected - 1) < 1e-3 ? 0 : -EPROTO;
}

static int measure_skynet(void)
{
	const uint64_t leaves = bench_param("leaves");
	uint64_t start = rota_now(), result = skynet(0, leaves);

	bench_report("skynet", ms_since(start), "ms");
	return result == leaves * (leaves - 1) / 2 ? 0 : -EPROTO;
}

static int inside(void *arg)
{
	int rc = measure_fib();

	(void)arg;
	if (rc == 0)
		rc = measure_queens();
	if (rc == 0)
		rc = measure_integral();
	return rc == 0 ? measure_skynet() : rc;
}

static int round_of_fork(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "fork",
	.about = "fork and join: fib, nqueens, integrate, skynet",
	.round = round_of_fork,
	.params = params,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
