/* SPDX-License-Identifier: MIT */
/* oneTBB beside benchmarks/uts.c. */
#include <cstdio>
#include <sys/resource.h>
#include <vector>

#include <tbb/task_group.h>

#include "../../uts_tree.h"
#include "peer.h"

static const uts_tree *tree;

static uint64_t count(const uts_state *state, unsigned depth, unsigned n)
{
	if (n == 0)
		return 1;
	std::vector<uint64_t> sums(n);
	tbb::task_group group;
	for (unsigned i = 0; i < n; i++) {
		group.run([=, &sums] {
			uts_state child;
			const unsigned children = uts_tree_child(tree, state, i, depth + 1, &child);

			sums[i] = count(&child, depth + 1, children);
		});
	}
	group.wait();
	uint64_t sum = 1;
	for (uint64_t part : sums)
		sum += part;
	return sum;
}

static double peak_mib()
{
	rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return static_cast<double>(usage.ru_maxrss) / 1024;
}

static bool search(bool deep)
{
	const double before = peak_mib();
	uint64_t nodes;

	tree = uts_tree_find(deep, option("small", 0) != 0);
	const double ms = timed([&] {
		uts_state root;
		const unsigned n = uts_tree_root(tree, &root);

		nodes = count(&root, 0, n);
	});
	std::printf("%s %g ms\n", tree->name, ms);
	if (deep)
		std::printf("peak %g MiB\npeak_growth %g MiB\n", peak_mib(), peak_mib() - before);
	return nodes == tree->nodes;
}

bool uts_workload()
{
	return (option("wide", 1) == 0 || search(false)) && (option("deep", 1) == 0 || search(true));
}
