/* SPDX-License-Identifier: MIT */
/*
 * Unbalanced tree search (Olivier and others, "UTS: An Unbalanced Tree Search Benchmark"): counts the nodes of a tree
 * whose shape comes out of SHA-1, a fork for each node that has children. T1L: geometric, 102 million nodes, 13 deep.
 * T3L: binomial, 111 million nodes, 17,844 deep, in a task with a stack to match. Milliseconds, and the memory that the
 * deep one touched. With --quick T1 and T3, their small sisters. The numbers of nodes are checked.
 */
#include <errno.h>
#include <sys/resource.h>

#include "harness.h"
#include "measure.h"
#include "uts_tree.h"

static struct bench_param params[] = {
	{ "wide", 1, 1, "1: T1L" },
	{ "deep", 1, 1, "1: T3L" },
	{ "small", 0, 1, "1: T1 and T3 instead" },
	{ "stack", 256, 256, "stack of the task, MiB" },
	{ NULL, 0, 0, NULL },
};

static const struct uts_tree *tree; /* of this measurement */

/* Children of a node, from `first` on: one frame a level, however many they are. */
struct siblings {
	struct rota_fork_base base;
	const struct uts_state *parent;
	unsigned first, end, depth;
	uint64_t nodes; /* when others counted */
};

static void count_elsewhere(struct rota_forks *forks, struct rota_fork_base *base);

/* Forks those who come after the first, and counts that one's tree; if nobody has taken them meanwhile, the next of them
 * is the first. */
static uint64_t count(struct rota_forks *forks, struct siblings *s)
{
	uint64_t nodes = 0;

	while (s->first < s->end) {
		struct uts_state state;
		struct siblings children = { .parent = &state, .depth = s->depth + 1 };

		children.end = uts_tree_child(tree, s->parent, s->first++, s->depth, &state);
		nodes++;
		if (children.end == 0)
			continue;
		rota_fork_push(forks, &s->base, count_elsewhere);
		nodes += count(forks, &children);
		if (rota_fork_pop(forks, &s->base) != ROTA_FORK_RUN)
			return nodes + s->nodes;
	}
	return nodes;
}

static void count_elsewhere(struct rota_forks *forks, struct rota_fork_base *base)
{
	struct siblings *s = (struct siblings *)(void *)base;
	struct siblings here = { .parent = s->parent, .first = s->first, .end = s->end, .depth = s->depth };

	s->nodes = count(forks, &here);
}

static int count_tree(void *arg)
{
	struct uts_state root;
	struct siblings children = { .parent = &root, .end = uts_tree_root(tree, &root), .depth = 1 };
	uint64_t *nodes = arg;

	*nodes = 1 + count(rota_forks_self(), &children);
	return 0;
}

/* --- measuring ---------------------------------------------------------------------------------------------------------------- */

static double peak_mib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

static int measure(bool deep)
{
	const struct rota_task_attr attr = { .name = "uts", .stack_size = (size_t)bench_param("stack") << 20 };
	const double before = peak_mib();
	uint64_t nodes = 0, start;
	rota_task *task;
	int rc;

	tree = uts_tree_find(deep, bench_param("small") != 0);
	start = rota_now();
	rc = rota_spawn_with(&task, &attr, count_tree, &nodes);
	if (rc == 0)
		rc = rota_join(task, NULL);
	if (rc < 0)
		return rc;
	bench_report(tree->name, (double)(rota_now() - start) / 1e6, "ms");
	if (tree->binomial) {
		bench_report("peak", peak_mib(), "MiB");
		bench_report("peak_growth", peak_mib() - before, "MiB");
	}
	if (nodes != tree->nodes) {
		bench_note("%s has %llu nodes instead of %llu", tree->name, (unsigned long long)nodes,
			   (unsigned long long)tree->nodes);
		return -EPROTO;
	}
	return 0;
}

static int inside(void *arg)
{
	int rc = bench_param("wide") != 0 ? measure(false) : 0;

	(void)arg;
	return rc == 0 && bench_param("deep") != 0 ? measure(true) : rc;
}

static int round_of_uts(void)
{
	return bench_run(inside, NULL);
}

static const struct bench bench = {
	.name = "uts",
	.about = "unbalanced tree search: a wide tree and a deep one",
	.round = round_of_uts,
	.params = params,
	.rounds = 3,
};

int main(int argc, char **argv)
{
	return bench_main(&bench, argc, argv);
}
