/* SPDX-License-Identifier: MIT */
/* oneTBB beside benchmarks/fork.c: the same recursions by task_group, which is what its users write. */
#include <cmath>
#include <cstdio>

#include <tbb/task_group.h>

#include "peer.h"

static uint64_t fib(unsigned n)
{
	if (n < 2)
		return n;
	uint64_t a, b;
	tbb::task_group group;
	group.run([&] { a = fib(n - 1); });
	b = fib(n - 2);
	group.wait();
	return a + b;
}

struct queen {
	const queen *above;
	unsigned column;
};

static bool attacked(const queen *above, unsigned column)
{
	for (unsigned distance = 1; above != nullptr; above = above->above, distance++) {
		if (above->column == column || above->column == column + distance || above->column + distance == column)
			return true;
	}
	return false;
}

static uint64_t queens(const queen *above, unsigned row, unsigned n)
{
	if (row == n)
		return 1;
	queen queen_at[20];
	uint64_t sums[20], sum = 0;
	unsigned forked = 0;
	tbb::task_group group;
	for (unsigned column = 0; column < n; column++) {
		if (attacked(above, column))
			continue;
		const unsigned i = forked++;
		queen_at[i] = { above, column };
		group.run([&, i] { sums[i] = queens(&queen_at[i], row + 1, n); });
	}
	group.wait();
	for (unsigned i = 0; i < forked; i++)
		sum += sums[i];
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
	if (std::fabs(left_area + right_area - area) < 1e-9)
		return left_area + right_area;
	double right, left;
	tbb::task_group group;
	group.run([&] { right = integrate(x0, y0, x2, y2); });
	left = integrate(x1, y1, x0, y0);
	group.wait();
	return left + right;
}

static uint64_t skynet(uint64_t number, uint64_t leaves)
{
	if (leaves == 1)
		return number;
	uint64_t sums[10], sum = 0;
	tbb::task_group group;
	for (unsigned i = 0; i < 10; i++)
		group.run([&, i] { sums[i] = skynet(number + i * leaves / 10, leaves / 10); });
	group.wait();
	for (uint64_t part : sums)
		sum += part;
	return sum;
}

bool fork_workload()
{
	const unsigned n = static_cast<unsigned>(option("fib", 42));
	const unsigned rows = static_cast<unsigned>(option("queens", 14));
	const double limit = static_cast<double>(option("integral", 10000));
	const uint64_t leaves = option("leaves", 1000000);
	volatile uint64_t sink;
	volatile double area;
	const double ms = timed([&] { sink = fib(n); });
	double calls = 1, before = 1; /* of fib(n) and fib(n - 1) */

	for (unsigned i = 2; i <= n; i++) {
		const double next = 1 + calls + before;

		before = calls;
		calls = next;
	}
	std::printf("fib %g ms\nfib_call %g ns\n", ms, ms * 1e6 / calls);
	std::printf("nqueens %g ms\n", timed([&] { sink = queens(nullptr, 0, rows); }));
	std::printf("integrate %g ms\n", timed([&] { area = integrate(0, curve(0), limit, curve(limit)); }));
	std::printf("skynet %g ms\n", timed([&] { sink = skynet(0, leaves); }));
	(void)sink;
	(void)area;
	return true;
}
